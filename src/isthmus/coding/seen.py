"""Which values an image has had so far, and whether they lie on a lattice.

A picture whose contrast was stretched has gaps between its values that no network knows of: n + 1
levels became ⌊255 k / n⌋. So the last digit of a value is weighed by three things: whether it lies
on the coarsest lattice that holds all values so far, how sure that lattice is, and how often the
value itself has occurred.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TIMES = 8
"""How often a value occurred, from 0 to 7 and more."""
COARSEST, FINEST = 16, 255
"""Steps of a lattice; the finest holds all values."""
EVIDENCE = np.array([3, 6, 9, 12, 16, 24, 40])
"""Bits by which values on a lattice are too many for chance, where kinds of images begin."""
KINDS = len(EVIDENCE) + 1
DIGITS, VALUES = 16, 256
UNIT, HEAVIEST = 256, 4095
"""The weight that changes nothing, and the largest."""
SHAPE = (KINDS, 2, TIMES)


@cache
def lattices() -> tuple[Array, Array, Array]:
    """Which values lie on each lattice, the same by value in bits, and what a value on it tells.

    Returns
    -------
    held : array of shape (lattices, 256), bool
    masks : array of shape (256, lattices / 8), uint8
    told : array of shape (lattices,), int64
        256ths of a bit, that a new value on a lattice tells for it.
    """
    held = np.zeros((FINEST - COARSEST + 1, VALUES), bool)
    for row, n in enumerate(range(COARSEST, FINEST + 1)):
        held[row, np.arange(n + 1) * (VALUES - 1) // n] = True
    masks = np.packbits(held.T, axis=1)
    told = np.array([_bits(VALUES, int(row.sum())) for row in held], np.int64)
    return held, masks, told


def _bits(whole: int, part: int) -> int:
    """256ths of log2(whole / part), rounded down, in whole numbers alone."""
    return ((whole**256) // (part**256)).bit_length() - 1


class Seen:
    """The values that each of several images has had.

    Parameters
    ----------
    weights : array of shape (KINDS, 2, TIMES)
        Whole numbers above 0, for values beside the lattice and on it.
    images : int
    """

    def __init__(self, weights: Array, images: int) -> None:
        self.weights = weights.astype(np.float64)
        self.held, self.masks, self.told = lattices()
        self.times = np.zeros(images * VALUES, np.uint16)
        self.possible = np.full((images, self.masks.shape[1]), 255, np.uint8)
        self.lattice = np.zeros(images, np.intp)
        self.distinct = np.zeros(images, np.int64)
        self.looked: tuple[Array, Array, Array] | None = None
        """Kinds of images, (n,), and of the 16 values whether they lie on the lattice and how often
        they occurred, (n, 16), of the pixels being coded."""

    def weigh(self, image: Array, low: Array, counts: Array) -> Array:
        """What is expected of the last digit, given what occurred.

        Parameters
        ----------
        image : array of shape (n,)
        low : array of shape (n,)
            The values, but for their last digit.
        counts : array of shape (n, 16), float64
            What is expected without.
        """
        self.image, self.at = image, image * VALUES + low
        times = self.times.reshape(-1, DIGITS)[self.at // DIGITS]
        lattice = self.lattice[image]
        held = self.held.reshape(-1, DIGITS)[lattice * (VALUES // DIGITS) + low // DIGITS]
        evidence = self.distinct * self.told[self.lattice]
        kinds = (evidence >= 256 * EVIDENCE[:, None]).sum(axis=0)[image]
        self.looked = kinds, held, times
        place = (kinds[:, None] * 2 + held) * TIMES + times
        found: Array = counts * self.weights.take(place)
        return found

    def learn(self, digits: Array) -> None:
        """Take note of the last digits of the pixels that were looked at."""
        place = self.at + digits
        fresh = np.unique(place[self.times[place] == 0])
        np.add.at(self.times, place, 1)
        self.times[place] = np.minimum(self.times[place], TIMES - 1)
        self.looked = None
        if not fresh.size:
            return
        images, values = np.divmod(fresh, VALUES)
        np.add.at(self.distinct, images, 1)
        np.bitwise_and.at(self.possible, images, self.masks[values])
        changed = np.unique(images)
        self.lattice[changed] = np.unpackbits(self.possible[changed], axis=1).argmax(axis=1)


def possible_weights(weights: Array) -> bool:
    """Whether weights are those of ``Seen``."""
    alike = weights.shape == SHAPE and weights.dtype == np.int16
    return alike and bool((weights >= 1).all()) and bool((weights <= HEAVIEST).all())


def neutral() -> Array:
    """Weights that change nothing."""
    return np.full(SHAPE, UNIT, np.int16)
