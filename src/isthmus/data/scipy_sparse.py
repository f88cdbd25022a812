"""Sparse matrices of SciPy, as sparse rows and back; never dense."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isthmus.core.errors import DataError
from isthmus.core.sparse import SparseRows
from isthmus.core.wording import counted
from isthmus.data.arrays import LARGEST
from isthmus.data.contracts import Array, Floats
from isthmus.data.spread import Spread, measure_sparse

LONGEST_SIDE = 1 << 24
"""So many rows or columns may be empty; more only as numbers are stored."""


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix or array of SciPy's."""
    return hasattr(X, "toarray") and hasattr(X, "nnz") and hasattr(X, "tocsr")


def compressed(X: Any) -> Any:
    """X by rows, each cell that is not 0 stored once.

    Raises
    ------
    DataError
        If it holds anything but finite real numbers, or has not two dimensions.
    """
    if len(X.shape) != 2:
        raise DataError(f"a sparse table has two dimensions, got one of shape {X.shape}.")
    if X.dtype.kind not in "biuf":
        raise DataError(f"the sparse matrix holds values of type {X.dtype}, not real numbers.")
    check_sides(X.shape[0], X.shape[1], X.nnz)
    rows = X.tocsr()
    if not (rows.has_canonical_format and rows.data.all()):
        rows = rows.copy()
        rows.sum_duplicates()
        rows.eliminate_zeros()
    if not np.isfinite(rows.data).all():
        missing, infinite = int(np.isnan(rows.data).sum()), int(np.isinf(rows.data).sum())
        found = [counted(missing, "missing value") + " (NaN)"] if missing else []
        found += [counted(infinite, "infinite value")] if infinite else []
        raise DataError(
            f"the sparse matrix has {' and '.join(found)}. Set them to a number; what is not "
            "stored is 0."
        )
    return rows


def check_sides(rows: int, columns: int, stored: int) -> None:
    """Refuse sizes that cost far more than what is stored.

    Raises
    ------
    DataError
    """
    most = max(LONGEST_SIDE, stored)
    if not (0 <= rows <= most and 0 <= columns <= most):
        raise DataError(
            f"the sparse matrix has {counted(rows, 'row')}, {counted(columns, 'column')} and "
            f"{counted(stored, 'number')} stored: nearly all of it is empty. Leave out rows and "
            "columns that hold nothing."
        )


def spread_of(rows: Any, weight: Floats | None) -> Spread:
    """Where the values of each column lie, zeros included."""
    share = np.full(rows.shape[0], 1 / rows.shape[0]) if weight is None else weight / weight.sum()
    by_value = np.repeat(share, np.diff(rows.indptr))
    return measure_sparse(by_value, rows.indices, rows.data.astype(np.float64), rows.shape)


def to_rows(rows: Any, scale: Array) -> SparseRows | None:
    """The rows divided by the scale of each column; None if a value cannot be used."""
    with np.errstate(over="ignore"):
        values = (rows.data.astype(np.float64) / scale[rows.indices]).astype(np.float32)
    if values.size and not np.abs(values).max() <= LARGEST:
        return None
    return SparseRows(
        torch.from_numpy(rows.indptr.astype(np.int64)),
        torch.from_numpy(rows.indices.astype(np.int64)),
        torch.from_numpy(values),
        rows.shape[1],
    )


def from_rows(x: SparseRows, scale: Array) -> Any:
    """A sparse array of SciPy's in the user's units."""
    from scipy.sparse import csr_array

    column = x.col.cpu().numpy()
    values = x.values.cpu().double().numpy() * scale[column]
    return csr_array((values, column, x.crow.cpu().numpy()), shape=tuple(x.shape))
