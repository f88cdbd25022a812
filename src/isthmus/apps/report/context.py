"""What the sections of a report draw from: one model and the rows it is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.baselines.comparison import Comparison
from isthmus.core.types import Batch
from isthmus.tasks.answers import encode
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.compare import compare
from isthmus.tasks.plain import plain_rebuilt, row_errors

Array = NDArray[Any]
MOST_ROWS = 4000
"""Rows that are coded for pictures; all are compared."""


@dataclass(frozen=True)
class Context:
    """One chapter's subject.

    Parameters
    ----------
    name : str
        What the model is called.
    model : Autoencoder
        Fitted.
    X : array-like, DataFrame or images
        Rows to judge it on, best such as were not in the fit.
    labels : sequence, optional
        One per row; they only colour the map.
    identity : str
        The identity of the saved model.
    source : str
        What the rows are called.
    """

    name: str
    model: Autoencoder
    X: Any
    labels: Sequence[Any] | Array | None = None
    identity: str = ""
    source: str = ""

    @cached_property
    def comparison(self) -> Comparison:
        """The model beside the plain methods, on all rows."""
        return compare(self.model, self.X)

    def outcome(self) -> dict[str, Any]:
        """What the page says in short, as plain data."""
        return {"verdict": self.comparison.verdict, "plain_wins": self.comparison.plain_wins}

    @cached_property
    def batch(self) -> Batch:
        """All rows in the model's own units."""
        return self.model._batch(self.X)[0]

    def __len__(self) -> int:
        return len(self.batch.x)

    @cached_property
    def some(self) -> Array:
        """Numbers of the rows that pictures show, in a random order that is always the same."""
        order = np.random.default_rng(0).permutation(len(self))
        return order[:MOST_ROWS]

    def rows(self, numbers: Array) -> Batch:
        """Some of the rows."""
        return self.batch.rows(torch.from_numpy(numbers))

    @cached_property
    def codes(self) -> Array:
        """(m, dims) codes of ``some``; a code on a grid is flattened."""
        batch = self.rows(self.some)
        return encode(self.model.model_, batch).flatten(1).cpu().numpy()

    def spread(self, n: int) -> Array:
        """Numbers of ``n`` rows, evenly from those PCA rebuilds best to those it does worst."""
        batch = self.rows(self.some)
        wrong = row_errors(self.model, plain_rebuilt(self.model, batch), batch)
        order = wrong.argsort().cpu().numpy()
        # In the middle of n equal parts, so that neither end is an outlier.
        places = (np.arange(min(n, len(order))) + 0.5) / min(n, len(order)) * len(order)
        chosen: Array = self.some[order[places.astype(int)]]
        return chosen

    def rebuilt(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Rows as the model and as PCA give them back, in the model's own units."""
        return self.model._rebuilt(batch), plain_rebuilt(self.model, batch)

    @property
    def columns(self) -> list[str]:
        """What the columns of a table are called."""
        described = self.model.kind_.columns_described() or []
        return [name for name, kind in described if kind != "text"]
