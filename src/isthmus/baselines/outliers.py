"""The plain methods for anomalies, that a user would pick instead of a detector."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from isthmus.baselines.neighbours import Neighbours

Array = NDArray[np.float64]
Scorer = Callable[[Array], Array]
"""(n, d) rows to (n,) scores, higher where stranger."""
VARIANCE = 0.9
NEIGHBOURS = 5


def plain_scorers(rows: Array, seed: int) -> dict[str, Scorer]:
    """By name: the distance to neighbours, what components leave over, and an isolation forest.

    Parameters
    ----------
    rows : array of shape (r, d)
        Ordinary ones, their columns of one scale.
    seed : int
        Of the forest.
    """
    near = Neighbours(rows, (NEIGHBOURS,))
    components = PCA(VARIANCE, svd_solver="full").fit(rows)
    forest = IsolationForest(random_state=seed).fit(rows)

    def left_over(x: Array) -> Array:
        rebuilt = components.inverse_transform(components.transform(x))
        found: Array = np.square(x - rebuilt).sum(1)
        return found

    return {
        f"{NEIGHBOURS} nearest neighbours": lambda x: near.distances(x)[:, 0],
        "PCA": left_over,
        "isolation forest": lambda x: -forest.score_samples(x),
    }
