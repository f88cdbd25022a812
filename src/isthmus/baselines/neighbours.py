"""Distances to the nearest of some rows, the plain method for anomalies.

Ramaswamy et al. 2000, https://doi.org/10.1145/342009.335437.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

Array = NDArray[np.float64]
CLOSE = (1, 5)
AT_ONCE = 2**23
"""Values of rows found that are held at a time."""


class Neighbours:
    """Rows, and how far others lie from the nearest of them.

    Parameters
    ----------
    rows : array of shape (n, d)
        At least two.
    close : tuple of int
        Of how many neighbours the mean distance is taken; of all, where there are fewer.
    """

    def __init__(self, rows: Array, close: tuple[int, ...] = CLOSE) -> None:
        self.rows, self.close = np.ascontiguousarray(rows, np.float64), close
        self.most = min(close[-1], len(rows) - 1)
        self.index = NearestNeighbors(n_neighbors=self.most + 1).fit(self.rows)

    def distances(self, x: Array, own: NDArray[np.bool_] | None = None) -> Array:
        """(n, len(close)) mean distances to so many of the nearest.

        Parameters
        ----------
        x : array of shape (n, d)
        own : array of bool of shape (n,), optional
            Whether a row is one of the rows itself, and so no neighbour of its own.
        """
        own = np.zeros(len(x), bool) if own is None else own
        some = max(1, AT_ONCE // ((self.most + 1) * x.shape[1]))
        parts = [slice(first, first + some) for first in range(0, len(x), some)]
        return np.concatenate([self._distances(x[part], own[part]) for part in parts])

    def _distances(self, x: Array, own: NDArray[np.bool_]) -> Array:
        near = self.index.kneighbors(x, return_distance=False)
        # Worked out anew: those of the search depend on which rows are searched for together.
        apart = self.rows[near] - x[:, None]
        distances = steady(np.sort(np.sqrt(np.einsum("nkd,nkd->nk", apart, apart)), axis=1))
        kept = np.take_along_axis(distances, own.astype(int)[:, None] + np.arange(self.most), 1)
        return np.stack([kept[:, :k].mean(1) for k in self.close], 1)


def steady(distances: Array) -> Array:
    """Distances to single precision: equally far is equally far, whichever row was found."""
    return distances.astype(np.float32).astype(np.float64)
