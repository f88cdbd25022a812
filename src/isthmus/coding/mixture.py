"""The distribution of a pixel as integers: a mixture of logistics, looked up in one table.

Nothing here is computed with floating-point functions when images are coded. The tables are made
of exact decimal arithmetic, which is the same everywhere, and held to their checksum by a test.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MEAN_STEPS = 16
"""Steps of a mean within one grey value."""
SCALE_STEPS = 8
"""Steps of a scale within a factor of two."""
SCALES, NARROWEST = 96, -4
"""How many scales there are; the first is 2**NARROWEST grey values."""
WEIGHT_STEPS, WEIGHTS = 16, 160
"""Steps of a log weight within one nat; how many are told apart below the heaviest."""
ARGUMENT_STEPS, WIDEST = 64, 12
"""Steps of the logistic's argument, and where its tails end."""
PRECISION, WEIGHT_PRECISION = 16, 12
INVERSE_BITS = 10
HALF = ARGUMENT_STEPS * WIDEST
RADIX_BITS = 4
FARTHEST = MEAN_STEPS * 512 - 1
"""Steps between a mean and the reference, at most."""
AT_ONCE = 512
"""Pixels whose masses are looked up at a time: more would leave the cache."""


@cache
def tables() -> tuple[Array, Array, Array]:
    """The logistic function, the inverses of the scales, and the weights by how light they are."""
    with localcontext() as context:
        context.prec = 30
        two, one = Decimal(2), Decimal(1)
        heights = [
            int(two**PRECISION / (one + (-Decimal(i) / ARGUMENT_STEPS).exp()) + Decimal("0.5"))
            for i in range(-HALF, HALF + 1)
        ]
        heights[0], heights[-1] = 0, 2**PRECISION
        unit = Decimal(ARGUMENT_STEPS) / MEAN_STEPS * two**INVERSE_BITS
        inverses = [
            int(unit / two ** (Decimal(i) / SCALE_STEPS + NARROWEST) + Decimal("0.5"))
            for i in range(SCALES)
        ]
        most = 2**WEIGHT_PRECISION - 1
        weights = [
            int(most * (-Decimal(i) / WEIGHT_STEPS).exp() + Decimal("0.5")) for i in range(WEIGHTS)
        ]
    return (
        np.array(heights, np.int32),
        np.array(inverses, np.int32),
        np.array(weights, np.int32),
    )


def radices(depth: int) -> list[int]:
    """Bits of the digits in which a value of so many bits is coded, the highest first."""
    whole, rest = divmod(depth, RADIX_BITS)
    return [rest] * (rest > 0) + [RADIX_BITS] * whole


class Mixture:
    """The distributions of n pixels.

    Parameters
    ----------
    outputs : array of shape (3 * components, n)
        Means in steps from the reference, scales, log weights: whole numbers.
    reference : array of shape (n,)
    shift : array of shape (n,), optional
        By how many bits a unit of the means is larger than a grey value.
    depth : int
        Bits of a value.
    """

    def __init__(self, outputs: Array, reference: Array, shift: Array | None, depth: int) -> None:
        self.heights, inverses, weights = tables()
        means, scales, logits = outputs.astype(np.int32).reshape(3, -1, outputs.shape[1])
        self.inverse = inverses.take(scales, mode="clip")
        self.weight = weights.take(logits.max(axis=0) - logits, mode="clip")
        np.maximum(np.minimum(means, FARTHEST, out=means), -FARTHEST, out=means)
        origin = reference.astype(np.int32)
        self.fine = shift is not None
        if self.fine:
            assert shift is not None
            self.shift = shift.astype(np.int64)
            self.centre = (origin.astype(np.int64) * MEAN_STEPS) + (means.astype(np.int64) << shift)
            self.inverse = self.inverse.astype(np.int64)
        else:
            self.centre = means + origin * MEAN_STEPS
        self.total = self.weight.sum(axis=0) << PRECISION

    def below(self, edges: Array) -> Array:
        """The mass of values under each edge.

        Parameters
        ----------
        edges : array of shape (m, 1) or (m, n), int32

        Returns
        -------
        array of shape (m, n), int32
        """
        if self.fine:
            return self._below_finely(edges)
        n = self.centre.shape[1]
        found = np.empty((len(edges), n), np.int32)
        for start in range(0, n, AT_ONCE):
            part = slice(start, start + AT_ONCE)
            here = edges[:, part] if edges.shape[1] > 1 else edges
            place = (here * MEAN_STEPS - MEAN_STEPS // 2) - self.centre[:, None, part]
            place *= self.inverse[:, None, part]
            place >>= INVERSE_BITS
            place += HALF
            mass = self.heights.take(place, mode="clip")
            np.einsum("kmn,kn->mn", mass, self.weight[:, part], out=found[:, part])
        return found

    def _below_finely(self, edges: Array) -> Array:
        """As ``below``, between the steps of the table: of deep images, many values are on one."""
        more = 8
        place = (edges.astype(np.int64) * MEAN_STEPS - MEAN_STEPS // 2) - self.centre[:, None]
        place *= self.inverse[:, None]
        place >>= self.shift + (INVERSE_BITS - more)
        np.clip(place, -HALF << more, (HALF << more) - 1, out=place)
        part = (place & ((1 << more) - 1)).astype(np.int32)
        at = (place >> more) + HALF
        low = self.heights.take(at)
        mass = low + ((self.heights.take(at + 1) - low) * part >> more)
        mass *= self.weight[:, None]
        found: Array = mass.sum(axis=0, dtype=np.int32)
        return found


class Digits:
    """The frequencies of the digits of pixels, one digit after the other."""

    def __init__(self, mixture: Mixture, depth: int) -> None:
        self.mixture = mixture
        n = mixture.total.shape[0]
        self.low = np.zeros(n, np.int32)
        self.under, self.over = np.zeros(n, np.int32), mixture.total
        self.bits_left = depth

    def frequencies(self, bits: int) -> Array:
        """Of the next digit: an array of shape (n, 2**bits), whole and above 0.

        In float64: constriction adds them up as floats, where float32 would have to round.
        """
        self.bits_left -= bits
        m = (1 << bits) - 1
        steps = np.arange(1, m + 1, dtype=np.int32)[:, None] << self.bits_left
        edges = np.empty((m + 2, len(self.low)), np.int32)
        edges[0], edges[-1] = self.under, self.over
        edges[1:-1] = self.mixture.below(steps + self.low)
        self.edges = edges
        counts = np.empty((len(self.low), m + 1), np.float64)
        np.subtract(edges[1:].T, edges[:-1].T, out=counts, casting="unsafe")
        counts += 1
        return counts

    def narrow(self, digits: Array) -> None:
        """Go on below the digits that were coded."""
        if not self.bits_left:
            self.low += digits
            return
        pick = np.arange(len(digits))
        self.under, self.over = self.edges[digits, pick], self.edges[digits + 1, pick]
        self.low += digits << self.bits_left
