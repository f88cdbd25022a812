"""The rows that others are compared with, as the network sees them and as members rebuild them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.types import Batch
from isthmus.ensemble import Ensemble
from isthmus.model import Model
from isthmus.parts import Likelihood
from isthmus.tasks import answers
from isthmus.tasks.strangeness import STRANGER

Array = NDArray[np.float32]
COLUMNS_AT_ONCE = 256
AT_ONCE = 16_384
"""Rows that are looked at together."""


class Looked(NamedTuple):
    """Rows as they are compared."""

    rows: Array
    """(n, d), in a gap what the members expect; a level never seen is as far from each that was as
    those are from each other.
    """
    rebuilt: Array
    """(k, n, d) as each member gives them back."""


class References:
    """Rows to compare with, and the members that look at all rows.

    Parameters
    ----------
    model : Model or Ensemble
        One model looks for two, each half of the references being unseen by one.
    looked : Looked
    folds : array of int of shape (r,)
        Which member has not seen a row.
    groups : array of int of shape (r,), optional
        Numbers from 0 on, the same for rows that belong together.
    """

    def __init__(
        self,
        model: Model | Ensemble,
        looked: Looked,
        folds: NDArray[np.int64],
        groups: NDArray[np.int64] | None = None,
    ) -> None:
        self.model, self.looked, self.folds, self.groups = model, looked, folds, groups
        keys = as_bytes(looked.rows)
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    @classmethod
    def of(
        cls,
        model: Model | Ensemble,
        batch: Batch,
        folds: NDArray[np.int64],
        groups: NDArray[np.int64] | None = None,
    ) -> References:
        """Of the rows of a batch."""
        return cls(model, look(model, batch), folds, groups)

    def kept(self, numbers: NDArray[np.int64]) -> References:
        """Only those with these numbers."""
        rows, rebuilt = self.looked
        few = Looked(rows[numbers], rebuilt[:, numbers])
        groups = None if self.groups is None else self.groups[numbers]
        return References(self.model, few, self.folds[numbers], groups)

    def with_more(
        self,
        more: Looked,
        groups_of_more: NDArray[np.int64] | None,
        most: int,
        draws: np.random.Generator,
    ) -> References:
        """These and others, which no member has seen; of more than ``most`` a part is drawn."""
        rows = np.concatenate([self.looked.rows, more.rows])
        rebuilt = np.concatenate([self.looked.rebuilt, more.rebuilt], axis=1)
        folds = draws.integers(len(rebuilt), size=len(more.rows))
        folds = np.concatenate([self.folds, folds])
        few = np.sort(draws.permutation(len(folds))[:most])
        groups = self.groups
        if groups is not None and groups_of_more is not None:
            groups = np.concatenate([groups, groups_of_more])
        return References(self.model, Looked(rows, rebuilt), folds, groups).kept(few)

    def whole(self, batch: Batch) -> Looked:
        """All rows of a batch at once."""
        found = [looked for _, looked in self.look(batch)]
        rows = np.concatenate([looked.rows for looked in found])
        return Looked(rows, np.concatenate([looked.rebuilt for looked in found], axis=1))

    def look(self, batch: Batch) -> Iterator[tuple[slice, Looked]]:
        """All rows of a batch, a part at a time."""
        n = len(batch.x)
        for first in range(0, n, AT_ONCE):
            part = slice(first, min(first + AT_ONCE, n))
            yield part, look(self.model, batch.rows(torch.arange(part.start, part.stop)))

    def numbers(self, rows: Array) -> NDArray[np.int64]:
        """(n,) which reference each row is, or ``STRANGER``."""
        keys = as_bytes(rows)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.order[place], STRANGER)


def look(model: Model | Ensemble, batch: Batch) -> Looked:
    """Rows with what the members expect in their gaps, and what each member makes of them."""
    rows, there = shown(model.likelihood, batch)
    models = model.models if isinstance(model, Ensemble) else [model]
    parts = [embedded(model.likelihood, answers.rebuild(one, batch)) for one in models]
    rebuilt = np.stack(parts * (2 if len(parts) == 1 else 1))
    rows = np.where(there, rows, rebuilt.mean(0))
    if batch.unknown is not None:
        rows = np.where(*like_no_level(model.likelihood, batch.unknown), rows)
    return Looked(rows, rebuilt)


def like_no_level(likelihood: Likelihood, unknown: Tensor) -> tuple[NDArray[np.bool_], Array]:
    """(n, d) the places of categories whose level was never seen, and (d,) what is put there.

    Of L levels, each 1 in its own place, the point with c in all places, L c^2 - 2 c = 1, is as
    far from each as two are from each other: the square root of 2.
    """
    owner = owners(likelihood, unknown.shape[1])
    levels = np.bincount(owner)[owner]
    between = ((1 - np.sqrt(1 + levels)) / levels).astype(np.float32)
    return embedded(likelihood, unknown.float(), weight=True) > 0, between


def shown(likelihood: Likelihood, batch: Batch) -> tuple[Array, NDArray[np.bool_]]:
    """(n, d) rows as the network sees them, and which of the values are there."""
    rows = embedded(likelihood, batch.x)
    weight = batch.weight
    if weight is None or weight.ndim == 1:
        return rows, np.ones(rows.shape, bool)
    return rows, embedded(likelihood, weight, weight=True) > 0


def embedded(likelihood: Likelihood, x: Tensor, weight: bool = False) -> Array:
    """(n, d) of (n, *shape)."""
    found = likelihood.embed_weight(x) if weight else likelihood.embed(x)
    return found.detach().cpu().flatten(1).contiguous().numpy()


def owners(likelihood: Likelihood, n_columns: int) -> NDArray[np.int64]:
    """(d,) which column of the data each value belongs to that the network sees."""
    found = np.zeros(0, np.int64)
    for first in range(0, n_columns, COLUMNS_AT_ONCE):
        last = min(first + COLUMNS_AT_ONCE, n_columns)
        one = torch.zeros(last - first, n_columns)
        one[:, first:last] = torch.eye(last - first)
        shown = embedded(likelihood, one, weight=True)
        found = np.zeros(shown.shape[1], np.int64) if not first else found
        own, column = np.nonzero(shown)
        found[column] = first + own
    return found


def first_of_equal(rows: Array) -> NDArray[np.bool_]:
    """(n,) whether a row is the first of those that are equal."""
    found = np.zeros(len(rows), bool)
    found[np.unique(as_bytes(rows), return_index=True)[1]] = True
    return found


def as_bytes(rows: Array) -> NDArray[np.void]:
    """(n,) something that is the same for equal rows only, and can be sorted."""
    rows = np.ascontiguousarray(rows + np.float32(0))  # + 0: one zero, not two
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
