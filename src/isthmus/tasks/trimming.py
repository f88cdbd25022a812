"""The ordinary ones among rows of which some are anomalies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isthmus.tasks.strangeness import Strangeness

Array = NDArray[np.float64]
TRIMMED = 0.3
"""Share of the rows that is left out, at least: anomalies among the rest cost more than ordinary
rows that are missed."""
FEWEST_ROWS = 4
CROWD = 5
"""Neighbours more than anomalies are: so many are not to be found among anomalies alone."""
SEVERAL = (5, 20)
"""Neighbours where anomalies may be left in twos and threes."""


def ordinary(
    rows: Array, places: NDArray[np.bool_], contamination: float, seed: int
) -> NDArray[np.bool_]:
    """(r,) which rows are kept: those that are the least strange, judged by all and then again by
    those kept.

    Rousseeuw & Van Driessen 1999, https://doi.org/10.1080/00401706.1999.10485670.

    Parameters
    ----------
    rows : array of shape (r, d)
    places : array of bool of shape (d,)
    contamination : float
        The share that is believed to be anomalies.
    seed : int
    """
    n = len(rows)
    most = max(FEWEST_ROWS, round((1 - max(contamination, TRIMMED)) * n))
    crowd = (min(n - 1, CROWD + round(contamination * n)),)
    scores = Strangeness(rows, places, seed=seed, close=crowd).of_references
    kept = least(scores, most)
    judge = Strangeness(rows[kept], places, seed=seed, close=SEVERAL)
    scores[kept] = judge.of_references
    if not kept.all():
        scores[~kept] = judge.score(rows[~kept], None)
    return least(scores, most)


def least(scores: Array, most: int) -> NDArray[np.bool_]:
    """(r,) which scores are the lowest."""
    found = np.zeros(len(scores), bool)
    found[np.argsort(scores, kind="stable")[:most]] = True
    return found
