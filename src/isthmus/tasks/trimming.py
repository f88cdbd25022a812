"""The ordinary ones among rows of which some are anomalies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isthmus.core.errors import DataError
from isthmus.core.wording import counted
from isthmus.tasks.strangeness import Strangeness

Array = NDArray[np.float64]
TRIMMED = 0.3
"""Share of the rows that is left out, at least: anomalies among the rest cost more than ordinary
rows that are missed."""
FEWEST_ROWS, FEWEST_KEPT = 8, 4
"""Of fewer rows false alarms are far more than was asked for."""
JUDGES = 1000
"""Rows that all are compared with at first, where a crowd of neighbours is asked for."""
CROWD = 5
"""Neighbours more than anomalies are: so many are not to be found among anomalies alone."""
SEVERAL = (5, 20)
"""Neighbours where anomalies may be left in twos and threes."""


def check_rows(n: int) -> None:
    """Refuse too few rows to learn what is ordinary."""
    if n < FEWEST_ROWS:
        raise DataError(f"found {counted(n, 'row')}, but a detector needs at least {FEWEST_ROWS}.")


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
    most = max(FEWEST_KEPT, round((1 - max(contamination, TRIMMED)) * n))
    few = np.zeros(n, bool)
    few[np.random.default_rng(seed).permutation(n)[:JUDGES]] = True
    crowd = min(few.sum() - 1, CROWD + round(contamination * few.sum()))
    scores = judged(rows, few, places, seed, (int(crowd),))
    scores = judged(rows, least(scores, most), places, seed, SEVERAL)
    return least(scores, most)


def judged(
    rows: Array, by: NDArray[np.bool_], places: NDArray[np.bool_], seed: int, close: tuple[int, ...]
) -> Array:
    """(r,) how strange each row is, compared with some of them."""
    judge = Strangeness(rows[by], places, seed=seed, close=close)
    scores = np.zeros(len(rows))
    scores[by] = judge.of_references
    if not by.all():
        scores[~by] = judge.score(rows[~by], None)
    return scores


def least(scores: Array, most: int) -> NDArray[np.bool_]:
    """(r,) which scores are the lowest."""
    found = np.zeros(len(scores), bool)
    found[np.argsort(scores, kind="stable")[:most]] = True
    return found
