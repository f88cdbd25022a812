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


def cut(
    n: int,
    parts: int,
    most: int,
    draws: np.random.Generator,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """(n,) a part for each of n rows, drawn; ``NOBODY`` for those beyond ``most``.

    Rows of the same one of ``groups``, (n,), are in one part.
    """
    folds = np.full(n, NOBODY)
    used = draws.permutation(n)[:most]
    if groups is None:
        folds[used] = np.arange(len(used)) % parts
        return folds
    _, which, sizes = np.unique(groups[used], return_inverse=True, return_counts=True)
    part, filled = np.zeros(len(sizes), np.int64), np.zeros(parts, np.int64)
    for group in draws.permutation(len(sizes)):
        part[group] = filled.argmin()
        filled[part[group]] += sizes[group]
    folds[used] = part[which]
    return folds


def few_of_each(
    groups: NDArray[np.int64], times: float, draws: np.random.Generator
) -> NDArray[np.bool_]:
    """(n,) some rows of each group, at most so many times as the middle group has: a group that is
    far larger than others would leave nothing but itself, or nothing of it.
    """
    order = draws.permutation(len(groups))
    _, which, sizes = np.unique(groups[order], return_inverse=True, return_counts=True)
    by_group = np.argsort(which, kind="stable")
    rank = np.empty(len(groups), np.int64)
    rank[by_group] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = np.zeros(len(groups), bool)
    kept[order] = rank < times * np.median(sizes)
    return kept


def leaving_out(folds: NDArray[np.int64], parts: int) -> list[View]:
    """For each part a view of the rows of all others, as many for each, as in cross-validation."""
    rows = [np.flatnonzero((folds != k) & (folds != NOBODY)) for k in range(parts)]
    least = min(len(each) for each in rows)
    return [View(torch.from_numpy(evenly(each, least))) for each in rows]


def evenly(rows: NDArray[np.int64], many: int) -> NDArray[np.int64]:
    """(many,) of the rows, from all along them."""
    return rows[np.arange(many) * len(rows) // max(many, 1)]
