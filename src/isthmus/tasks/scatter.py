"""How far the cells of a column lie from what is expected of them, by cells that were held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]
MOST_CELLS = 2000
"""Held out cells that are kept of a column."""
WILD = 0.99
"""The quantile of squared errors at which larger ones are held, where the scale is learned."""
SMALLEST = 1e-6
NEAREST = 48
"""Held out cells of like expectation, one of whose errors a draw has."""
ROUNDS = 3
MOST_GROUPS, CELLS_OF_GROUP = 8, 150
"""Of cells of a like scale, and how many each has at least."""
LEAST_LEFT = 0.5
"""Of a variance, when that between members is taken from it."""


class Scatter(NamedTuple):
    """Of the cells of one number: their scale, and their errors in units of it.

    The variance of a cell is a sum of parts, each at least 0: one that is the same for all cells,
    the Gaussian's variance, and that among neighbours.
    """

    parts: Array
    """(3,)"""
    expected: Array
    """(c,) of the cells that were held out, in their order."""
    scales: Array
    """(c,) of the same cells."""
    errors: Array
    """(c,) of the same cells, divided by their scale."""

    @classmethod
    def fit(cls, expected: Array, variances: Array, true: Array) -> Scatter:
        """Learn from cells that were held out.

        Parameters
        ----------
        expected, true : arrays of shape (c,)
        variances : array of shape (2, c)
        """
        squared = np.square(true - expected)
        squared = np.minimum(squared, np.quantile(squared, WILD))
        told = np.stack([np.ones(len(expected)), *variances], 1)
        weight = np.ones(len(expected))
        least = max(SMALLEST, 0.01 * float(squared.mean()))
        parts = np.array([least, 0.0, 0.0])
        for _ in range(ROUNDS):
            parts = nnls(told * weight[:, None], squared * weight)[0]
            parts[0] = max(parts[0], least)
            weight = 1 / (told @ parts)
        scales = np.sqrt(told @ parts)
        few = np.argsort(expected, kind="stable")
        few = few[:: -(-len(few) // MOST_CELLS)]
        return cls(parts, expected[few], scales[few], (true - expected)[few] / scales[few])

    def scale(self, variances: Array, between: Array) -> Array:
        """(n,) how far cells lie from what is expected, of (2, n) variances, and (n,) of which
        part the mean of members is rid.
        """
        whole = self.parts[0] + self.parts[1:] @ variances
        found: Array = np.sqrt(np.maximum(whole - between, LEAST_LEFT * whole))
        return found

    def bounds(self, scale: Array, coverage: float) -> tuple[Array, Array]:
        """(n,) each, in units of the scale, between which errors lie that often.

        Split conformal, a tail on each side, among cells of a like scale (Lei et al. 2018,
        https://doi.org/10.1080/01621459.2017.1307116): minus and plus infinity, where the cells
        held out are too few for it.
        """
        groups = np.array_split(np.argsort(self.scales, kind="stable"), self._groups())
        ends = np.array([_ends(np.sort(self.errors[group]), coverage) for group in groups])
        starts = np.array([self.scales[group[0]] for group in groups[1:]])
        low, high = ends[np.searchsorted(starts, scale, "right")].T
        return low, high

    def _groups(self) -> int:
        return max(1, min(MOST_GROUPS, len(self.errors) // CELLS_OF_GROUP))

    def draw(self, expected: Array, scale: Array, draws: np.random.Generator) -> Array:
        """(n,) values: what is expected, and the error of a cell of which the like was expected."""
        n = len(self.expected)
        width = min(NEAREST, n)
        first = np.searchsorted(self.expected, expected) - width // 2
        first = np.clip(first, 0, n - width)
        found: Array = (
            expected + scale * self.errors[first + draws.integers(width, size=len(first))]
        )
        return found


class Doubt(NamedTuple):
    """Of the cells of one category: how unlikely the true levels of held out cells were, sorted."""

    unlikely: Array
    """(c,) 1 less the probability of the true level."""

    @classmethod
    def fit(cls, probability: Array) -> Doubt:
        """Learn from the probabilities, (c,), of the true levels of cells that were held out."""
        ordered = np.sort(1 - probability)
        return cls(ordered[:: max(1, -(-len(ordered) // MOST_CELLS))])

    def likely(self, probabilities: Array, coverage: float) -> NDArray[np.bool_]:
        """(n, levels) the levels among which the true one is that often; the likeliest always.

        Sadinle, Lei & Wasserman 2019, https://doi.org/10.1080/01621459.2017.1395341.
        """
        n = len(self.unlikely)
        place = int(np.ceil(coverage * (n + 1)))
        limit = float(self.unlikely[place - 1]) if place <= n else 1.0
        found: NDArray[np.bool_] = 1 - probabilities <= limit
        found[np.arange(len(found)), probabilities.argmax(1)] = True
        return found


def _ends(ordered: Array, coverage: float) -> tuple[float, float]:
    """Of sorted errors, those between which others lie that often."""
    n = len(ordered)
    beyond = int(np.floor((1 - coverage) / 2 * (n + 1)))
    if not beyond:
        return -np.inf, np.inf
    return float(ordered[beyond - 1]), float(ordered[n - beyond])


def probabilities_of(places: Array) -> Array:
    """(n, levels) from what is expected of the places of levels."""
    found = np.clip(places, 0, None)
    found = found + 1e-9
    shares: Array = found / found.sum(1, keepdims=True)
    return shares


def drawn_levels(probabilities: Array, draws: np.random.Generator) -> NDArray[np.int64]:
    """(n,) numbers of levels."""
    along = np.cumsum(probabilities, 1)
    picked = draws.random((len(along), 1)) * along[:, -1:]
    found: NDArray[np.int64] = np.minimum((along < picked).sum(1), probabilities.shape[1] - 1)
    return found
