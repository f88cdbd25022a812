"""Arrays of the user's: taken in whatever form, measured and scaled in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.errors import DataError, NumbersError
from isthmus.data.contracts import Array

BLOCK_VALUES = 1 << 16
"""Values that are scaled at a time, so that the float64 copy stays in the processor's cache."""

LARGEST = 1e15
"""Further than this from the data it was fitted on, in units of x, a value cannot be used: its
square and the sums over it would leave float32."""

Blocks = Iterator[slice]


def as_array(X: Any) -> Array:
    """Whatever holds numbers, as a NumPy array of booleans, integers or floats.

    Raises
    ------
    DataError
        If it holds something else, or rows of different sizes.
    """
    if isinstance(X, Tensor):
        X = X.detach().cpu()
        X = (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise DataError("X is a sparse matrix. Pass X.toarray(), a dense array.")
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        X = np.ma.filled(X.astype(np.float64), np.nan)
    try:
        array = np.asarray(X)
    except (ValueError, TypeError) as error:
        raise DataError(
            "the rows of X have different sizes, or cannot be read as numbers. Pass a "
            "rectangular array, a DataFrame, or images of one size."
        ) from error
    if array.dtype.kind in "biuf":
        return array
    return _numbers(array)


def _numbers(array: Array) -> Array:
    """Objects and texts as floats, where each of them is a number."""
    if array.dtype.kind == "O":
        try:
            return np.asarray(array, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise NumbersError(
                f"X holds values that are not numbers ({error}). Drop them or encode them as "
                "numbers, for example with scikit-learn's OneHotEncoder."
            ) from error
    what = {"c": "Complex data not supported: X holds complex numbers", "U": "X holds text"}
    found = what.get(array.dtype.kind, f"X holds values of type {array.dtype}")
    raise DataError(f"{found}. Pass an array of real numbers.")


def as_number(text: str) -> float | None:
    """The number that a text spells, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def row_weights(n: int, weight: Array | None) -> NDArray[np.float64] | None:
    """How often each of n rows counts, if that is said and possible.

    Raises
    ------
    DataError
        If weights are not so many finite numbers from 0 on, or are all 0.
    """
    if weight is None:
        return None
    weight = np.asarray(weight, dtype=np.float64)
    if weight.shape != (n,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError(f"weights must be {n} finite numbers, none below 0.")
    if not weight.any():
        raise DataError("all weights are 0: there is no row to learn from.")
    return weight


def used_rows(X: Array, weight: Array | None) -> tuple[Array, NDArray[np.float64] | None]:
    """The rows that count, and their weights."""
    weight = row_weights(X.shape[0], weight)
    if weight is None:
        return X, None
    kept = weight > 0
    return (X, weight) if kept.all() else (X[kept], weight[kept])


def moments(
    X: Array, low: Any, high: Any, weight: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and second moments by column, of X brought to -1 to 1 by ``low`` and ``high``.

    Within that range nothing overflows, and little cancels: both ends are taken.

    Parameters
    ----------
    X : array of shape (n, p)
    low, high : float or array of shape (p,)
        Where they are equal, the moments are 0.
    weight : array of shape (n,), optional

    Returns
    -------
    tuple of two arrays of shape (p,)
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    half = np.where(half > 0, half, 1.0)
    first, second = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    weight = np.ones(len(X)) if weight is None else weight
    for rows in blocks(X):
        d = (X[rows] - middle) / half
        first += weight[rows] @ d
        second += weight[rows] @ (d * d)
    total = weight.sum()
    return first / total, second / total


def scaled(X: Array, offset: Any, scale: Any, *, unit: bool = False) -> Array | None:
    """(X - offset) / scale in float32, worked out in float64; None if a value cannot be used.

    Parameters
    ----------
    X : array of shape (n, ...)
    offset, scale : float or array that broadcasts against a row
    unit : bool
        Clip to 0 to 1: a value beyond those fitted on is taken as the outermost of them.
    """
    x = np.empty(X.shape, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in blocks(X):
            np.divide(
                np.subtract(X[rows], offset, dtype=np.float64),
                scale,
                out=x[rows],
                casting="same_kind",
            )
    if x.size:
        low, high = torch.aminmax(torch.from_numpy(x))
        if not (low.item() >= -LARGEST and high.item() <= LARGEST):
            return None
        if unit and (low < 0 or high > 1):
            np.clip(x, 0, 1, out=x)
    return x


def unscaled(x: Tensor, offset: Any, scale: Any) -> NDArray[np.float64]:
    """Back from what ``scaled`` gave: x * scale + offset, in float64."""
    restored: NDArray[np.float64] = x.detach().cpu().double().numpy() * scale
    restored += offset
    return restored


def blocks(X: Array) -> Blocks:
    """Slices of rows that hold about ``BLOCK_VALUES`` values each."""
    rows = max(1, BLOCK_VALUES // max(1, int(np.prod(X.shape[1:]))))
    return (slice(first, first + rows) for first in range(0, len(X), rows))
