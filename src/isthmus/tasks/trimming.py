"""The ordinary ones among rows of which some are anomalies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from isthmus.core.errors import DataError
from isthmus.core.wording import counted
from isthmus.data import modality
from isthmus.tasks.strangeness import Strangeness
from isthmus.training.views import few_of_each

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
LARGER = 4.0
"""Times as many rows as the middle group has, that are looked at of a group."""
SEVERAL = (5, 20)
"""Neighbours where anomalies may be left in twos and threes."""


def check_rows(n: int) -> None:
    """Refuse too few rows to learn what is ordinary."""
    if n < FEWEST_ROWS:
        raise DataError(f"found {counted(n, 'row')}, but a detector needs at least {FEWEST_ROWS}.")


def numbers_of(groups: Any, n: int) -> NDArray[np.int64] | None:
    """(n,) a number for each row, the same where groups are; None where there are no groups."""
    if groups is None:
        return None
    named = np.asarray(groups)
    if named.shape != (n,):
        raise DataError(
            f"groups must name one group for each of the {n} rows, got shape {named.shape}."
        )
    unnamed = [i for i, name in enumerate(named.tolist()) if name is None or name != name]
    if unnamed:
        raise DataError(f"row {unnamed[0]} has no group. Give it one, or leave such rows out.")
    found: NDArray[np.int64] = np.unique(named.astype(str), return_inverse=True)[1].ravel()
    return found


def check_groups(numbers: NDArray[np.int64] | None) -> None:
    """Refuse rows of too few groups to leave some of them out."""
    many = FEWEST_ROWS if numbers is None else len(np.unique(numbers))
    if many < FEWEST_ROWS:
        raise DataError(
            f"found {counted(many, 'group')}, but a detector needs rows of at least {FEWEST_ROWS}."
        )


def groups_to_add(known: NDArray[np.int64] | None, groups: Any, n: int) -> NDArray[np.int64] | None:
    """(n,) numbers for the groups of further rows, none of which is known."""
    if known is None:
        return None
    if groups is None:
        raise DataError(
            "the detector was fitted with groups. Say which the rows are of: update(X, groups=...)."
        )
    found = numbers_of(groups, n)
    return None if found is None else found + 1 + known.max()


def some_of_each(
    X: Any, groups: Any, most: int, draws: np.random.Generator
) -> tuple[Any, NDArray[np.int64] | None]:
    """Rows to fit on, and the numbers of their groups: of a group that is far larger than others
    a part, and of images no more than are used.
    """
    of_images = modality(X).kind == "images"
    if groups is None and not of_images:
        return X, None
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    numbers = numbers_of(groups, n)
    check_groups(numbers)
    kept = np.ones(n, bool) if numbers is None else few_of_each(numbers, LARGER, draws)
    if n > most and of_images:
        kept[draws.permutation(n)[most:]] = False
    if kept.all():
        return X, numbers
    return _safe_indexing(X, np.flatnonzero(kept)), None if numbers is None else numbers[kept]


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
