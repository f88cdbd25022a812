"""What one of several models is shown of the data."""

from __future__ import annotations

from typing import NamedTuple

import torch
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


def bags(n: int, share: float, seeds: list[int]) -> list[View]:
    """For each seed a view of so large a share of n rows, drawn without replacement."""
    size = max(1, round(share * n))
    return [
        View(torch.randperm(n, generator=torch.Generator().manual_seed(seed % 2**63))[:size])
        for seed in seeds
    ]
