"""The rows of a batch as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.core.sparse import is_sparse
from isthmus.core.types import Batch
from isthmus.model import of_values, without_gaps
from isthmus.training.dense.passes import Pass
from isthmus.training.dense.tape import Array


class Rows:
    """Values without gaps, and their weights.

    Parameters
    ----------
    batch : Batch
        Of n rows; sparse ones stay sparse, and become dense as they are used.
    columns : array of shape (..., 1, n_in), optional
        Of each model, 1 where it sees a column, else 0.
    """

    def __init__(self, batch: Batch, columns: Array | None = None) -> None:
        batch = without_gaps(batch)
        self.x: Any = batch.x
        if not is_sparse(batch.x):
            self.x = batch.x.flatten(1).contiguous().numpy()
        """(n, n_in)"""
        weight = batch.weight
        if weight is not None and weight.ndim > 1:
            weight = of_values(batch)
        self.weight: Array | None = None
        """(n, 1) or (n, n_in)"""
        if weight is not None:
            self.weight = weight.reshape(len(self.x), -1).contiguous().numpy()
        self.columns = columns
        if columns is not None and self.weight is None:
            self.weight = np.ones((len(self.x), 1), np.float32)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def weights(self) -> int:
        """How many a row has."""
        if self.columns is not None:
            return int(self.columns.shape[-1])
        return 0 if self.weight is None else self.weight.shape[1]

    def pick(self, at_work: Pass, index: Array) -> None:
        """The rows with these numbers, (..., rows), into a pass."""
        np.take(self.x, index, axis=0, out=at_work.x, mode="clip")
        if self.weight is not None and self.columns is not None:
            np.multiply(self.weight[index], self.columns, out=at_work.weight)
        elif self.weight is not None:
            np.take(self.weight, index, axis=0, out=at_work.weight, mode="clip")

    def copy(self, at_work: Pass, some: slice) -> None:
        """The same rows for all models; zeros where a pass has room for more."""
        n = some.stop - some.start
        at_work.x[..., :n, :] = np.asarray(self.x[some])
        at_work.x[..., n:, :] = 0
        if self.weight is not None and at_work.weight is not None:
            weight = self.weight[some]
            at_work.weight[..., :n, :] = weight if self.columns is None else weight * self.columns
            at_work.weight[..., n:, :] = 0
