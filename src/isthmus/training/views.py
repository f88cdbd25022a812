"""What one of several models is shown of the data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.types import Batch
from isthmus.model import like, of_values, without_gaps


class View(NamedTuple):
    """Rows, as in bagging, and columns, as in random subspaces.

    Breiman 1996, https://doi.org/10.1007/BF00058655; Ho 1998, https://doi.org/10.1109/34.709601.
    """

    rows: Tensor | None = None
    """(n,) numbers of the rows, which may repeat; all, if left out."""
    columns: Tensor | None = None
    """(*shape) 1 where a value belongs to the view, else 0; all, if left out."""

    def of(self, batch: Batch) -> Batch:
        """The batch as the view shows it."""
        batch = self.without_columns(batch)
        return batch if self.rows is None else batch.kept(self.rows)

    def without_columns(self, batch: Batch) -> Batch:
        """All rows, with the columns of other views missing."""
        if self.columns is None:
            return batch
        weight = of_values(batch)
        weight = batch.x.new_ones(len(batch.x)) if weight is None else weight
        mask = self.columns.to(batch.x)
        return without_gaps(batch._replace(weight=like(weight, batch.x) * mask))

    def size(self, of: int) -> int:
        """How many rows the view has of so many."""
        return of if self.rows is None else len(self.rows)


ALL = View()
"""Every row and column."""


NOBODY = -1
"""In place of the number of a view, of rows that none shows."""


def cut(n: int, parts: int, most: int, draws: np.random.Generator) -> NDArray[np.int64]:
    """(n,) a part for each of n rows, drawn; ``NOBODY`` for those beyond ``most``."""
    folds = np.full(n, NOBODY)
    used = draws.permutation(n)[:most]
    folds[used] = np.arange(len(used)) % parts
    return folds


def leaving_out(folds: NDArray[np.int64], parts: int) -> list[View]:
    """For each part a view of the rows of all others, as many for each, as in cross-validation."""
    rows = [np.flatnonzero((folds != k) & (folds != NOBODY)) for k in range(parts)]
    least = min(len(each) for each in rows)
    return [View(torch.from_numpy(each[:least])) for each in rows]
