"""Several ways to complete rows, weighed column by column by cells that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.tasks.completion import Hidden, Member
from isthmus.tasks.places import Places

Array = NDArray[np.float64]
WAYS = ("mean or mode", "Gaussian", "network", "neighbours")
N_NEIGHBOURS, CLOSEST = 10, 1e-3
"""Neighbours that a cell is taken from, and the squared distance below which all count alike."""
COMPLETED = 0.5
"""How much a place that is only expected counts in a distance, beside one that is there."""
BLOCK = 64
MOST_KNOWN = 4096
"""Rows among which neighbours are looked for."""
SHARED_CELLS = 40
"""As many cells as count with each column's own, weighed as suits all columns together."""


class Ways(NamedTuple):
    """What each way says of rows."""

    expected: Tensor
    """(4, n, p), in the order of ``WAYS``."""
    scatter: Tensor
    """(2, n, p) variances that go with it: of the Gaussian, and among neighbours."""
    between: Tensor
    """(n, p) how much less variance the mean of members has than one of them, which is what cells
    that were held out are judged by."""


class Known:
    """Completed rows among which neighbours are looked for.

    Parameters
    ----------
    places : Places
    rows : Tensor of shape (r, p)
    there : Tensor of bool of shape (r, columns)
        Which of their cells were there, and not only expected.
    folds : Tensor of int of shape (r,)
        The member that has not seen a row.
    """

    def __init__(self, places: Places, rows: Tensor, there: Tensor, folds: Tensor) -> None:
        self.rows, self.there, self.folds = rows, there, folds
        ranked = torch.zeros(places.n_columns)
        ranked[torch.from_numpy(places.ranked)] = 1
        categories = (~torch.from_numpy(places.is_number)).float()
        self.share = 1 / (1 + torch.maximum(ranked, categories))[places.owner]
        """(p,) of a place in a squared distance: that of a cell is the sum over its places."""

    def near(self, x: Tensor, seen: Tensor, without: int | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance, (n, p) each, of the nearest to completed rows, closer ones more.

        Parameters
        ----------
        x : Tensor of shape (n, p)
        seen : Tensor of bool of shape (n, p)
            Which places are there.
        without : int, optional
            The fold that is not looked at.
        """
        rows = self.rows if without is None else self.rows[self.folds != without]
        squares, k = rows.square().T.contiguous(), min(N_NEIGHBOURS, len(rows))
        mean, variance = torch.empty_like(x), torch.empty_like(x)
        for first in range(0, len(x), BLOCK):
            n = min(BLOCK, len(x) - first)
            query, share = x.new_zeros(BLOCK, x.shape[1]), x.new_ones(BLOCK, x.shape[1])
            query[:n] = x[first : first + n]
            share[:n] = torch.where(seen[first : first + n], 1.0, COMPLETED)
            share = share * self.share
            far = (share * query.square()).sum(1, keepdim=True) + share @ squares
            far = far - 2 * (share * query) @ rows.T
            distance, which = far.topk(k, 1, largest=False)
            weight = 1 / (distance.clamp(min=0) + CLOSEST)
            weight = (weight / weight.sum(1, keepdim=True)).unsqueeze(2)
            found = rows[which]
            middle = (weight * found).sum(1)
            away = (weight * (found - middle.unsqueeze(1)).square()).sum(1)
            mean[first : first + n], variance[first : first + n] = middle[:n], away[:n]
        return mean, variance


class Stack:
    """Members and neighbours, that answer together.

    Parameters
    ----------
    places : Places
    members : sequence of Member
    known : Known
    mean : Tensor of shape (p,)
    weights : Tensor of shape (4, columns)
        How much each of the ``WAYS`` counts.
    """

    def __init__(
        self,
        places: Places,
        members: Sequence[Member],
        known: Known,
        mean: Tensor,
        weights: Tensor,
    ) -> None:
        self.places, self.members, self.known = places, list(members), known
        self.mean, self.weights = mean, weights

    def ways(self, x: Tensor, there: Tensor, by: int | None = None) -> Ways:
        """What is said of rows, (n, p), of which cells (n, columns) are there.

        ``by`` is the member that has not seen them; without it, all answer with their mean.
        """
        members = self.members if by is None else [self.members[by]]
        said = [
            torch.stack(part) for part in zip(*(m.expect(x, there) for m in members), strict=True)
        ]
        gaussian, network, variance = (part.mean(0) for part in said)
        near, scatter = self.known.near(network, self.places.spread(there), by)
        expected = [self.mean.expand_as(gaussian), gaussian, network, near]
        between = torch.zeros_like(gaussian)
        if by is None:
            weights = self.weights[:, self.places.owner]
            between = (weights[1] * said[0] + weights[2] * said[1]).var(0, correction=0)
        return Ways(torch.stack(expected), torch.stack([variance, scatter]), between)

    def mixed(self, ways: Ways) -> Tensor:
        """(n, values) the weighed mean of all ways, for the places of values and levels."""
        owner = self.places.owner[: self.places.n_values]
        weights = self.weights[:, owner].unsqueeze(1)
        found: Tensor = (weights * ways.expected[:, :, : len(owner)]).sum(0)
        return found


class Moments(NamedTuple):
    """Of the errors of the ways, column by column: what weights are found from."""

    errors: Array
    """(columns, 4, 4) sums of products of errors."""
    cells: Array
    """(columns,) of how many cells."""

    @classmethod
    def of(cls, places: Places, ways: Ways, held: Hidden) -> Moments:
        """Over the cells that were hidden."""
        n = len(WAYS)
        errors, cells = np.zeros((places.n_columns, n, n)), np.zeros(places.n_columns)
        for j in range(places.n_columns):
            asked = held.asked[:, j]
            at = places.of_column(j)
            missed = (ways.expected[:, asked][:, :, at] - held.x[asked][:, at]).double()
            flat = missed.reshape(n, -1).numpy()
            errors[j], cells[j] = flat @ flat.T, int(asked.sum())
        return cls(errors, cells)


def stacked(moments: Sequence[Moments]) -> Tensor:
    """(4, columns) weights from 0 to 1 that sum to 1 and make the squared error least.

    Stacking, as Breiman 1996 (https://doi.org/10.1007/BF00117832) has it. Where a column has few
    cells, those of all columns count with it.
    """
    errors, cells = (np.sum(part, 0) for part in zip(*moments, strict=True))
    each = errors / np.maximum(errors[:, 0, 0], 1e-12)[:, None, None]
    count = cells[:, None, None]
    shared = (each * count).sum(0) / max(count.sum(), 1.0)
    found = [
        _on_simplex((n * own + SHARED_CELLS * shared) / (n + SHARED_CELLS))
        for own, n in zip(each, cells, strict=True)
    ]
    return torch.from_numpy(np.stack(found, 1)).float()


def _on_simplex(products: Array) -> Array:
    """The weights, none below 0 and 1 together, of the least mean square, by all active sets."""
    n = len(products)
    best: Array = np.eye(n)[1]
    least = np.inf
    for some in chain.from_iterable(combinations(range(n), k) for k in range(1, n + 1)):
        part = products[np.ix_(some, some)]
        part = part + 1e-9 * max(float(np.trace(part)), 1e-12) * np.eye(len(some))
        solved = np.linalg.solve(part, np.ones(len(some)))
        if not np.isfinite(solved).all() or not solved.sum() > 0 or (solved < 0).any():
            continue
        weights = np.zeros(n)
        weights[list(some)] = solved / solved.sum()
        loss = float(weights @ products @ weights)
        if loss < least - 1e-12:
            best, least = weights, loss
    return best
