"""The cells of a table as places of a row: one for a number, one for each level of a category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from isthmus.core.errors import ModelFileError
from isthmus.core.types import Batch
from isthmus.data import Modality
from isthmus.parts import LIKELIHOODS, Likelihood
from isthmus.tasks.references import owners

Array = NDArray[Any]
FEWEST_RANKED = 8
"""Different values from which a number has a place for its rank too."""
KNOTS = 128
"""Ranks that are kept of a column, those between being interpolated."""


class Places:
    """Rows as completion sees them.

    Each number has its standardised value, and a second place with the normal score of its rank,
    in which long tails are short; a category has a place for each level.

    Parameters
    ----------
    likelihood : Likelihood
        That of the table.
    n_columns : int
    ranked : array of int of shape (r,)
        Which columns have a place for their rank.
    values, scores : arrays of shape (r, KNOTS)
        Values of each such column in their order, and the normal scores that they have.
    """

    def __init__(
        self, likelihood: Likelihood, n_columns: int, ranked: Array, values: Array, scores: Array
    ) -> None:
        self.likelihood, self.n_columns = likelihood, n_columns
        self.ranked, self.values, self.scores = ranked, values, scores
        first = owners(likelihood, n_columns)
        self.n_values = len(first)
        """How many places come before those of ranks."""
        self.owner = torch.from_numpy(np.concatenate([first, ranked]).astype(np.int64))
        """(p,) the column of each place."""
        self.width = np.bincount(first, minlength=n_columns)
        """(columns,) how many places each has, those of ranks aside."""
        self.is_number = numbers_of(likelihood, n_columns)
        """(columns,) of bool."""

    @classmethod
    def fit(cls, kind: Modality, batch: Batch) -> Places:
        """Learn the ranks of the numbers of a batch, the rows of a table."""
        likelihood = LIKELIHOODS.build(kind.likelihood(), shape=kind.shape)
        there = there_of(batch)
        ranked, values, scores = [], [], []
        for j in np.flatnonzero(numbers_of(likelihood, batch.x.shape[1])):
            found = np.sort(batch.x[there[:, j], j].numpy())
            different = np.unique(found)
            if len(different) < FEWEST_RANKED:
                continue
            kept = different[np.linspace(0, len(different) - 1, KNOTS).round().astype(int)]
            middle = np.searchsorted(found, kept, "left") + np.searchsorted(found, kept, "right")
            ranked.append(j)
            values.append(kept)
            scores.append(ndtri((middle / 2 + 0.5) / (len(found) + 1)))
        shape = (len(ranked), KNOTS)
        return cls(
            likelihood,
            batch.x.shape[1],
            np.array(ranked, np.int64),
            np.array(values, np.float32).reshape(shape),
            np.array(scores, np.float32).reshape(shape),
        )

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.owner)

    def of(self, x: Tensor) -> Tensor:
        """(n, p) places of (n, columns) rows, whatever is missing of them."""
        shown = [self.likelihood.embed(x)]
        for j, values, scores in zip(self.ranked, self.values, self.scores, strict=True):
            score = np.interp(x[:, int(j)].numpy(), values, scores).astype(np.float32)
            shown.append(torch.from_numpy(score)[:, None])
        return torch.cat(shown, 1)

    def spread(self, cells: Tensor) -> Tensor:
        """(n, p) what is said of each cell, (n, columns), for all of its places."""
        return cells[:, self.owner]

    def back(self, places: Tensor) -> Tensor:
        """(n, columns) the values, or numbers of levels, that look most like (n, p) places."""
        return self.likelihood.unembed(places[:, : self.n_values])

    def of_column(self, j: int) -> Tensor:
        """The numbers of the places of a column, that of its rank aside."""
        return (self.owner[: self.n_values] == j).nonzero()[:, 0]

    def arrays(self) -> dict[str, Array]:
        """All that was learned."""
        return {"ranked": self.ranked, "values": self.values, "scores": self.scores}

    @classmethod
    def from_arrays(cls, kind: Modality, arrays: Mapping[str, Array]) -> Places:
        """What ``arrays`` gave.

        Raises
        ------
        ModelFileError
            If they do not fit the table or each other.
        """
        likelihood = LIKELIHOODS.build(kind.likelihood(), shape=kind.shape)
        ranked, values, scores = (arrays[name] for name in ("ranked", "values", "scores"))
        (columns,) = kind.shape
        sound = (
            ranked.ndim == 1
            and ranked.dtype == np.int64
            and values.shape == scores.shape == (len(ranked), KNOTS)
            and values.dtype == scores.dtype == np.float32
            and bool(((ranked >= 0) & (ranked < columns)).all())
            and bool(np.isfinite(values).all() and np.isfinite(scores).all())
            and bool((np.diff(values) >= 0).all())
        )
        if not sound:
            raise ModelFileError("the ranks of the imputer do not fit its table.")
        return cls(likelihood, columns, ranked, values, scores)


def there_of(batch: Batch) -> Tensor:
    """(n, columns) which cells are there."""
    if batch.weight is None:
        return torch.ones_like(batch.x, dtype=torch.bool)
    return batch.weight > 0


def numbers_of(likelihood: Likelihood, n_columns: int) -> NDArray[np.bool_]:
    """(columns,) which hold numbers, in place of categories."""
    found = np.ones(n_columns, bool)
    groups = getattr(likelihood, "places", {})
    found[groups.get("category", [])] = False
    return found
