"""Ways to make columns comparable, so that distances mean something: each learned from rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Scale = Callable[[Array], Array]
"""(n, d) rows to (n, d) rows."""

FAR = 30.0
"""Standard deviations from which further away is no further."""
BESIDE = 5.0
"""Ranges beyond the range of the rows, likewise."""
ROUNDING = 1e-6
"""Of the values: a spread below it is none, for nearly all values are one, as single precision
tells them."""
LEVEL = 0.5**0.5
"""A place of a category, so that two levels are as far apart as two rows on average."""


@dataclass(frozen=True)
class Linear:
    """A centre and a width for each column, and how far from it values may lie.

    ``place`` is what a place of a category is multiplied by.
    """

    places: Mask
    centre: Array
    width: Array
    least: float = -FAR
    most: float = FAR
    place: float = 1.0

    def __call__(self, x: Array) -> Array:
        """(n, d) of (n, d)."""
        moved = np.clip((x - self.centre) / self.width, self.least, self.most)
        return np.where(self.places, x * self.place, moved)


@dataclass(frozen=True)
class NormalScores:
    """The normal quantile of the rank of each value among those of its column."""

    places: Mask
    ordered: Array
    deviation: Array

    def __call__(self, x: Array) -> Array:
        """(n, d) of (n, d)."""
        columns = zip(x.T, self.ordered.T, self.deviation, strict=True)
        return np.where(self.places, x, np.stack([normal_scores(*column) for column in columns], 1))


def learn(rows: Array, places: Mask) -> dict[str, Scale]:
    """The scales by name: "standard", "range", "spread" and "normal".

    Parameters
    ----------
    rows : array of shape (n, d)
        Constant columns stay as wide as they are.
    places : array of bool of shape (d,)
        Which columns are places of categories, 0 or 1, and stay so.

    Returns
    -------
    dict of str to Scale
        Standard deviations about the mean; shares of the range; standard deviations about the
        median by the 10 % and 90 % quantiles, which outliers do not move (of columns in which
        nearly all values are one, by all values); normal scores (van der Waerden 1952): the
        normal quantile of a value's rank.
    """
    deviation, width = above_zero(rows.std(0)), above_zero(np.ptp(rows, axis=0))
    tenth, middle, nine_tenths = np.quantile(rows, [0.1, 0.5, 0.9], axis=0)
    spread = (nine_tenths - tenth) / (ndtri(0.9) - ndtri(0.1))
    alike = spread <= ROUNDING * np.maximum(np.abs(tenth), np.abs(nine_tenths))
    spread = np.where(alike, deviation, spread)
    return {
        "standard": Linear(places, rows.mean(0), deviation),
        "range": Linear(places, rows.min(0), width, -BESIDE, 1 + BESIDE, LEVEL),
        "spread": Linear(places, middle, spread),
        "normal": NormalScores(places, np.sort(rows, axis=0), deviation),
    }


def above_zero(widths: Array) -> Array:
    """(d,) with 1 in place of 0."""
    return np.where(widths > 0, widths, 1.0)


def normal_scores(values: Array, ordered: Array, deviation: Any) -> Array:
    """(n,) the normal quantile of the rank of each value among ``ordered``; beyond them it goes
    on in standard deviations.
    """
    below = np.searchsorted(ordered, values, "left")
    up_to = np.searchsorted(ordered, values, "right")
    scores = ndtri(((below + up_to) / 2 + 0.5) / (len(ordered) + 1))
    beyond = np.maximum(values - ordered[-1], 0) - np.maximum(ordered[0] - values, 0)
    found: Array = np.clip(scores + beyond / deviation, -FAR, FAR)
    return found
