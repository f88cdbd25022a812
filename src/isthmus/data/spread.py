"""Where the values of each column lie, and the offset and scale that bring them to a support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.arrays import blocks, moments
from isthmus.data.contracts import Array, Floats

Mask = NDArray[np.bool_]

MIN_SHARED = 256
"""From so many columns on, a range that half of them share is taken for one and the same unit: such
rows are flattened images or spectra. Fewer columns are standardised each, as users would."""
NOISE = 1e-10
"""A column that varies less than this, relative to its magnitude, varies by rounding only."""
SPARSE_NOISE = 1e-6
"""The same where a variance is a difference of sums over cells that are mostly zero."""
SKEWED, SKEW_ROWS = 1.0, 4096
"""Whole numbers more skewed than this, over so many of the rows, are counts."""
FAR, FAR_ROWS = 1e3, 10_000
"""Distances between the 10 % and the 90 % quantile, of so many of the rows, from which further away
is no further where values are held."""


@dataclass(frozen=True)
class Spread:
    """What was learned of the values of p columns, each array of shape (p,)."""

    low: Floats
    high: Floats
    mean: Floats
    deviation: Floats
    """From the mean, as it is divided by: one for all numbers that share one range."""
    known: Mask
    """Whether there was any value."""
    whole: Mask
    """Whether all were whole numbers from 0 on."""
    skewed: Mask
    """Whether those look like counts of something."""
    shared: bool
    """Whether the numbers share one range, as pixels do."""

    def to(self, support: Sequence[str], numbers: Mask) -> tuple[Floats, Floats]:
        """Offset and scale that bring each column to its support.

        Parameters
        ----------
        support : sequence of "real", "unit" or "count"
            One for each column.
        numbers : array of shape (p,)
            False for categories that stay the numbers of their levels.
        """
        wanted = np.array(support)
        offset, scale = self.mean.copy(), self.deviation.copy()
        raw = ~numbers | (wanted == "count")
        offset[raw], scale[raw] = 0.0, 1.0
        unit = numbers & (wanted == "unit")
        if unit.any():
            low, high = self.low[unit], self.high[unit]
            if low.min() >= 0 and high.max() <= 1:
                low, high = np.zeros_like(low), np.ones_like(high)
            elif self.shared:
                low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
            offset[unit], scale[unit] = low, np.where(high > low, _difference(high, low), 1.0)
        return offset, scale

    def arrays(self) -> dict[str, Array]:
        """All but ``shared``, to be saved."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "shared"}

    @staticmethod
    def from_arrays(arrays: Mapping[str, Array], shared: bool, n_columns: int) -> Spread:
        """What ``arrays`` gave; ``ValueError`` where lengths differ."""
        numbers = ("low", "high", "mean", "deviation")
        marks = ("known", "whole", "skewed")
        parts: dict[str, Any] = {name: np.array(arrays[name], dtype=float) for name in numbers}
        parts |= {name: np.array(arrays[name], dtype=bool) for name in marks}
        if any(part.shape != (n_columns,) for part in parts.values()):
            raise ValueError("parts of different lengths")
        return Spread(**parts, shared=shared)


def measure(values: Array, weight: Floats | None, numbers: Mask) -> Spread:
    """The spread of the columns of an array, NaN where a value is missing.

    Infinite values show in ``low`` and ``high``; the rest is of no use then.

    Parameters
    ----------
    values : array of shape (n, p)
    weight : array of shape (n,), optional
    numbers : array of shape (p,)
        False for categories, whose values are the numbers of their levels.
    """
    low, high = values.min(0).astype(np.float64), values.max(0).astype(np.float64)
    known: Mask = np.ones(len(low), dtype=bool)
    seen: Mask | None = None
    seen_share: Floats | None = None
    if np.isnan(low).any():
        seen = ~np.isnan(values)
        known = np.asarray(seen.any(0))
        low = np.where(known, np.where(seen, values, np.inf).min(0), 0.0)
        high = np.where(known, np.where(seen, values, -np.inf).max(0), 0.0)
        rows = np.ones(len(values)) if weight is None else weight
        seen_share = np.where(known, rows @ seen / rows.sum(), 1.0)
    if np.isinf(low).any() or np.isinf(high).any():
        none = np.zeros(len(low), dtype=bool)
        return Spread(low, high, low, high, known, none, none, False)
    # What is missing adds nothing to either moment when it stands in the middle.
    filled = values if seen is None else np.where(seen, values, low / 2 + high / 2)
    first, second = moments(filled, low, high, weight)
    if seen_share is not None:
        first, second = first / seen_share, second / seen_share
    half = high / 2 - low / 2
    constant = half == 0
    deviation = half * np.sqrt(np.maximum(second - first * first, 0))
    mean = np.where(constant, low, low / 2 + high / 2 + first * half)
    real = numbers & known
    shared = _one_range(low[real], high[real])
    noise = NOISE
    if values.dtype.kind == "f":
        noise = max(noise, 8 * float(np.finfo(values.dtype).eps))
    floor = np.maximum(np.maximum(abs(low), abs(high)) * noise, np.finfo(np.float64).tiny)
    scale = np.where(constant, 1.0, np.maximum(deviation, floor))
    if shared:
        largest = deviation[real].max()
        scale[numbers] = largest * np.sqrt(np.mean((deviation[real] / largest) ** 2))
    whole = _whole(values, known & (low >= 0))
    skewed = _skewed(values, whole & numbers & (_difference(high, low) > 1))
    return Spread(low, high, mean, scale, known, whole, skewed, shared)


def within(values: Array, numbers: Mask) -> tuple[Floats, Floats]:
    """(p,) the bounds at which to hold values, so that a few cannot make all others look alike.

    Infinite for categories, and where nearly all values are one.
    """
    some = values[:: max(1, len(values) // FAR_ROWS)].astype(np.float64)
    some[:, np.isnan(some).all(0)] = 0.0
    low, high = np.nanquantile(some, [0.1, 0.9], axis=0)
    with np.errstate(over="ignore"):
        reach = FAR * (high - low)
        free = ~numbers | (reach == 0)
        return np.where(free, -np.inf, low - reach), np.where(free, np.inf, high + reach)


def held(
    found: Spread,
    values: Array,
    weight: Floats | None,
    numbers: Mask,
    bounds: tuple[Floats, Floats],
) -> Spread:
    """The spread of values held at bounds, of which ``found`` is the spread as they came."""
    least, most = bounds
    if (found.low >= least).all() and (found.high <= most).all():
        return found
    again = measure(np.clip(values, least, most), weight, numbers)
    return replace(again, whole=found.whole, skewed=found.skewed)


def bounds_of(arrays: Mapping[str, Array], n_columns: int) -> tuple[Floats, Floats] | None:
    """The bounds that were saved, if any; ``ValueError`` where they are none."""
    if "least" not in arrays:
        return None
    least, most = (np.array(arrays[name], dtype=float) for name in ("least", "most"))
    if not least.shape == most.shape == (n_columns,) or not (least <= most).all():
        raise ValueError("bounds that are none")
    return least, most


def measure_sparse(rows: Array, column: Array, values: Floats, shape: tuple[int, int]) -> Spread:
    """The spread of sparse columns, zeros included; they are scaled and not moved.

    Parameters
    ----------
    rows : array of shape (nnz,)
        The share of all weight that the row of each value has.
    column, values : array of shape (nnz,)
    shape : tuple of two int
    """

    def total(of_values: Floats) -> Floats:
        return np.bincount(column, weights=of_values, minlength=p).astype(np.float64)

    p = shape[1]
    low, high = np.zeros(p), np.zeros(p)
    np.minimum.at(low, column, values)
    np.maximum.at(high, column, values)
    reach = np.maximum(abs(low), abs(high))
    reach[reach == 0] = 1.0
    part = values / reach[column]
    first, second = total(rows * part), total(rows * part * part)
    deviation = np.sqrt(np.maximum(second - first * first, 0))
    scale = reach * np.where(deviation > SPARSE_NOISE, deviation, 1.0)
    whole = total(((values < 0) | (values != np.floor(values))).astype(np.float64)) == 0
    every = np.ones(p, dtype=bool)
    return Spread(low, high, np.zeros(p), scale, every, whole, whole & (high > 1), False)


def _whole(values: Array, candidates: Mask) -> Mask:
    """Which of the columns hold whole numbers only; the first other number settles it."""
    if values.dtype.kind != "f":
        return candidates
    left = np.flatnonzero(candidates)
    for rows in blocks(values):
        if not len(left):
            break
        some = values[rows] if len(left) == values.shape[1] else values[rows][:, left]
        left = left[((some == np.floor(some)) | np.isnan(some)).all(0)]
    found = np.zeros(len(candidates), dtype=bool)
    found[left] = True
    return found


def _skewed(values: Array, candidates: Mask) -> Mask:
    """Which of the columns have a long tail above, as counts do and codes don't."""
    found = np.zeros(len(candidates), dtype=bool)
    if candidates.any():
        step = max(1, len(values) // SKEW_ROWS)
        some = values[::step, candidates].astype(np.float64)
        some /= np.maximum(np.nanmax(some, 0, initial=1.0), 1.0)  # no sum goes beyond a float
        seen = ~np.isnan(some)
        n = np.maximum(seen.sum(0), 1)
        away = np.where(seen, some - np.where(seen, some, 0).sum(0) / n, 0.0)
        cubed, squared = (away**3).sum(0) / n, (away**2).sum(0) / n
        found[candidates] = cubed > SKEWED * squared**1.5
    return found


def _difference(high: Array, low: Array) -> Array:
    """How far apart they are, at most the largest float."""
    with np.errstate(over="ignore"):
        distance: Array = np.minimum(high - low, np.finfo(np.float64).max)
    return distance


def _one_range(low: Array, high: Array) -> bool:
    """Whether there are many columns and they share one unit, as pixels do."""
    varying = high > low
    if varying.sum() < MIN_SHARED:
        return False
    low, high = low[varying], high[varying]
    return float(np.mean((low == low.min()) & (high == high.max()))) >= 0.5
