"""Distances to others in several scales, and among what members make of rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from isthmus.tasks.strangeness import STRANGER, Strangeness

Array = NDArray[np.float64]
FOLDS = np.arange(60) % 3


def rows(n: int = 60, d: int = 4, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 2)) @ random.normal(size=(2, d)) + 0.3 * random.normal(
        size=(n, d)
    )


def of(x: Array, rebuilt: Array | None = None) -> Strangeness:
    folds = None if rebuilt is None else FOLDS
    return Strangeness(x, np.zeros(x.shape[1], bool), rebuilt, folds)


def test_a_row_is_judged_by_the_member_alone_that_has_not_seen_it() -> None:
    x, rebuilt = rows(), rows(180, seed=1).reshape(3, 60, 4)
    before = of(x, rebuilt).of_references[7]
    others = rebuilt.copy()
    others[[0, 2], 7] += 50
    assert of(x, others).of_references[7] == before
    own = rebuilt.copy()
    own[1, 7] += 50
    assert of(x, own).of_references[7] > before


def test_any_other_row_is_judged_by_all_members() -> None:
    x, rebuilt, new = rows(), rows(180, seed=1).reshape(3, 60, 4), rows(3, seed=2).reshape(3, 1, 4)
    strangeness = of(x, rebuilt)
    before = strangeness.score(x[:1], new)
    for k in range(3):
        moved = new.copy()
        moved[k] += 50
        assert strangeness.score(x[:1], moved) > before


def test_a_row_has_no_part_in_how_it_is_judged_itself() -> None:
    """Nor in the scales: the furthest of all is no nearer for being there."""
    x = rows()
    x[7] = 1e4
    alone = np.delete(x, 7, 0)
    places = np.zeros(4, bool)
    judge = Strangeness(alone, places, weights=of(x).weights)
    found = of(x).of_references[7]
    assert found == pytest.approx(float(judge.score(x[[7]], None)[0]), rel=0.2)
    assert found > 3 * np.sort(of(x).of_references)[-2]


def test_scales_count_by_how_well_they_tell_rows_from_mixed_ones() -> None:
    ratios = np.exp(3 * rows(400, d=6))
    assert max(of(ratios).weights, key=of(ratios).weights.__getitem__) == "normal"
    for weights in (of(rows()).weights, of(ratios).weights):
        assert set(weights) == {"standard", "range", "spread", "normal"}
        assert sum(weights.values()) == pytest.approx(1)
        assert min(weights.values()) >= 0


def test_without_the_column_that_was_moved_a_row_is_as_ordinary_as_before() -> None:
    x = rows(200)
    columns = [np.array([j]) for j in range(4)]
    moved = x[3].copy()
    moved[2] += 20
    blame = of(x).without(moved, STRANGER, columns)
    assert blame.argmax() == 2
    assert blame[2] > 5 * np.delete(blame, 2).max()
    assert_array_equal(of(np.c_[x, np.ones(200)]).without(
        np.append(moved, 9), STRANGER, [*columns, np.array([4])]
    )[4], 0)  # fmt: skip


def test_of_a_row_that_is_there_it_is_not_itself_that_it_is_compared_with() -> None:
    x = rows(200)
    x[3, 2] += 20
    columns = [np.array([j]) for j in range(4)]
    as_itself, as_another = (of(x).without(x[3], own, columns) for own in (3, STRANGER))
    assert as_itself[2] > as_another[2] + 1
