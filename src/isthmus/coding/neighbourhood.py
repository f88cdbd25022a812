"""Which decoded pixels a pixel is predicted from, and how they are shown to a network.

All values are whole numbers carried in floats, so that the same function serves training, encoding
and decoding, and gives the same bits in all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Offsets = tuple[tuple[int, int], ...]

CONTRAST = 255
"""The largest difference that a network is shown; deeper images are scaled to it."""
FARTHEST = 12
MOST_SLOPE = 8


@dataclass(frozen=True)
class Neighbourhood:
    """The pixels around one that are known before it.

    Parameters
    ----------
    own : int
        How many of its own plane, the nearest first.
    other : int
        How many of each plane before it, around and at its place.
    planes : int
        How many planes come before it.
    slope : int
        How many pixels each row must be ahead of the next, at least 2: pixels at column j of row i
        are coded at step ``j + slope * i``, all at once.
    places : bool
        Whether row and column are shown too: for small images of one size.
    """

    own: int
    other: int = 0
    planes: int = 0
    slope: int = 3
    places: bool = False

    @cached_property
    def own_offsets(self) -> Offsets:
        """Rows and columns to go, of the pixels of the same plane."""
        reach = range(-FARTHEST, FARTHEST + 1)
        known = [
            (dy, dx)
            for dy in range(-FARTHEST, 1)
            for dx in reach
            if (dy == 0 and dx < 0) or (dy < 0 and dx < self.slope * -dy)
        ]
        return _nearest(known, self.own)

    @cached_property
    def other_offsets(self) -> Offsets:
        """Rows and columns to go, of the pixels of each plane before; the place itself is first."""
        reach = range(-FARTHEST, FARTHEST + 1)
        return _nearest([(dy, dx) for dy in reach for dx in reach], self.other)

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Pixels needed above, below, left and right of a plane."""
        offsets = self.own_offsets + (self.other_offsets if self.planes else ())
        rows, columns = zip(*offsets, strict=True)
        return -min(rows), max(*rows, 0), -min(columns), max(*columns, 0)

    @property
    def n_inputs(self) -> int:
        """Numbers that the network is shown."""
        return self.own + self.planes * (self.other + 1) + 1 + 2 * self.places

    def features(
        self,
        own: Array,
        others: Sequence[Array],
        places: tuple[Array, Array] | None,
        depth: int,
    ) -> tuple[Array, Array, Array | None]:
        """What the network is shown of n pixels.

        Parameters
        ----------
        own : array of shape (own, n), float32
            The neighbours, in the order of ``own_offsets``.
        others : sequence of array of shape (other, n), float32
        places : tuple of array of shape (n,), optional
            Rows and columns.
        depth : int
            Bits of a value.

        Returns
        -------
        shown : array of shape (n_inputs, n), float32
            Whole numbers of at most ``CONTRAST``.
        reference : array of shape (n,), float32
            The mean of the pixels to the left and above, to which all are differences.
        shift : array of shape (n,), int32, optional
            By how many bits the differences were shortened; None if no image of such a depth can
            need it.
        """
        shown = np.empty((self.n_inputs, own.shape[1]), np.float32)
        left, above = self._sides
        reference = np.floor((own[left] + own[above]) * np.float32(0.5))
        np.subtract(own, reference, out=shown[: self.own])
        at = self.own
        side, top = self._other_sides
        for plane in others:
            level = np.floor((plane[side] + plane[top]) * np.float32(0.5))
            np.subtract(plane, level, out=shown[at : at + self.other])
            np.subtract(level, reference, out=shown[at + self.other])
            at += self.other + 1
        shift = _shortened(shown[:at], self.own) if depth > 8 else None
        shown[at] = np.floor(reference * np.float32(2.0 ** (8 - depth))) - np.float32(128)
        if places is not None:
            np.minimum(places[0], CONTRAST, out=shown[at + 1])
            np.minimum(places[1], CONTRAST, out=shown[at + 2])
        return shown, reference, shift

    @cached_property
    def _sides(self) -> tuple[int, int]:
        return self.own_offsets.index((0, -1)), self.own_offsets.index((-1, 0))

    @cached_property
    def _other_sides(self) -> tuple[int, int]:
        if not self.planes:
            return 0, 0
        return self.other_offsets.index((0, -1)), self.other_offsets.index((-1, 0))


def _nearest(offsets: list[tuple[int, int]], n: int) -> Offsets:
    return tuple(sorted(offsets, key=lambda o: (o[0] ** 2 + o[1] ** 2, o))[:n])


def _shortened(differences: Array, own: int) -> Array:
    """Scale differences to what a network is shown, each pixel by the spread of its neighbours."""
    widest = np.abs(differences[:own]).max(axis=0)
    _, exponent = np.frexp(widest)
    shift: Array = np.maximum(exponent - 8, 0).astype(np.int32)
    differences *= np.ldexp(np.float32(1), -shift)
    np.floor(differences, out=differences)
    np.clip(differences, -CONTRAST, CONTRAST, out=differences)
    return shift
