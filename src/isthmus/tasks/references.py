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
AT_ONCE = 16_384
"""Rows that are looked at together."""


class Looked(NamedTuple):
    """Rows as they are compared."""

    rows: Array
    """(n, d), in a gap what the members expect."""
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
    """

    def __init__(self, model: Model | Ensemble, looked: Looked, folds: NDArray[np.int64]) -> None:
        self.model, self.looked, self.folds = model, looked, folds
        keys = as_bytes(looked.rows)
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    @classmethod
    def of(cls, model: Model | Ensemble, batch: Batch, folds: NDArray[np.int64]) -> References:
        """Of the rows of a batch."""
        return cls(model, look(model, batch), folds)

    def kept(self, numbers: NDArray[np.int64]) -> References:
        """Only those with these numbers."""
        rows, rebuilt = self.looked
        few = Looked(rows[numbers], rebuilt[:, numbers])
        return References(self.model, few, self.folds[numbers])

    def with_more(self, more: Looked, draws: np.random.Generator) -> References:
        """These and others, which no member has seen."""
        rows = np.concatenate([self.looked.rows, more.rows])
        rebuilt = np.concatenate([self.looked.rebuilt, more.rebuilt], axis=1)
        folds = draws.integers(len(rebuilt), size=len(more.rows))
        folds = np.concatenate([self.folds, folds])
        return References(self.model, Looked(rows, rebuilt), folds)

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
    return Looked(np.where(there, rows, rebuilt.mean(0)), rebuilt)


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
    found: NDArray[np.int64] = embedded(likelihood, torch.eye(n_columns), weight=True).argmax(0)
    return found


def as_bytes(rows: Array) -> NDArray[np.void]:
    """(n,) something that is the same for equal rows only, and can be sorted."""
    rows = np.ascontiguousarray(rows + np.float32(0))  # + 0: one zero, not two
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
