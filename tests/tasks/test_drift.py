"""What the order of rows tells: drift, which stays, and bursts, which end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest

from isthmus.tasks.drift import drift, in_order

Array = NDArray[np.float64]


def series(seed: int, n: int = 2000) -> tuple[Array, Array]:
    """Scores of new rows, and of rows fitted on, all alike."""
    draws = np.random.default_rng(seed)
    return draws.normal(size=n), draws.normal(size=400)


def test_of_rows_as_they_were_few_series_are_said_to_have_drifted() -> None:
    found = [drift(*series(seed), 0.01, error=0.05) for seed in range(100)]
    assert sum(one.since is not None for one in found) <= 12
    assert sum(bool(one.bursts) for one in found) <= 12


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0, -1.0])
def test_drift_is_told_from_about_the_row_on_at_which_it_began(shift: float) -> None:
    scores, known = series(1)
    scores[1200:] += shift
    found = drift(scores, known, 0.01)
    assert found.since is not None
    assert abs(found.since - 1200) < 120
    assert not found.bursts
    assert f"from about row {found.since} on rows are unlike those fitted on" in str(found)


def test_rows_that_grow_stranger_little_by_little_have_drifted() -> None:
    scores, known = series(2)
    scores += np.linspace(0, 3, len(scores))
    found = drift(scores, known, 0.01)
    assert found.since is not None
    assert found.since < 1000


@pytest.mark.parametrize("length", [8, 20, 80])
def test_a_crowd_of_alarms_that_ends_is_a_burst_and_no_drift(length: int) -> None:
    scores, known = series(3)
    scores[700 : 700 + length] += 8
    found = drift(scores, known, 0.01)
    assert found.since is None
    [(first, end)] = found.bursts
    assert abs(first - 700) < 60
    assert abs(end - 700 - length) < 120
    assert str(found) == f"a burst in rows {first} to {end - 1}"


def test_each_of_two_bursts_is_told() -> None:
    scores, known = series(3)
    scores[500:520] += 8
    scores[1500:1520] += 8
    assert len(drift(scores, known, 0.01).bursts) == 2


def test_a_burst_before_a_drift_is_told_apart_from_it() -> None:
    scores, known = series(4)
    scores[300:320] += 8
    scores[1400:] += 1
    found = drift(scores, known, 0.01)
    assert len(found.bursts) == 1
    assert found.since is not None
    assert abs(found.since - 1400) < 150


def test_rows_that_are_all_alarms_have_drifted() -> None:
    scores, known = series(5)
    found = drift(scores + 30, known, 0.01)
    assert found.since == 0
    assert not found.bursts


def test_a_single_alarm_says_nothing() -> None:
    scores, known = series(6, 50)
    scores[20] = 40
    found = drift(scores, known, 0.01)
    assert (found.since, found.bursts) == (None, [])
    assert str(found) == "no drift, and no burst"


def test_pvalues_in_order_are_uniform_and_independent() -> None:
    scores, known = series(7, 5000)
    found = in_order(scores, known, np.random.default_rng(0))
    assert kstest(found, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.05


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.lists(st.integers(0, 5), min_size=1, max_size=10),
)
def test_a_rank_is_among_scores_known_and_before(new: list[int], known: list[int]) -> None:
    found = in_order(np.array(new, float), np.array(known, float), np.random.default_rng(0))
    for i, value in enumerate(new):
        before = [*known, *new[:i]]
        higher, equal = (sum(test(b) for b in before) for test in (value.__lt__, value.__eq__))
        n = len(before) + 1
        assert higher / n <= found[i] < (higher + equal + 1) / n


def test_ranks_do_not_depend_on_how_many_rows_come_at_once() -> None:
    scores, known = series(8, 3000)
    whole = in_order(scores, known, np.random.default_rng(0))
    first = in_order(scores[:1500], known, np.random.default_rng(0))
    np.testing.assert_array_equal(whole[:1500], first)


@pytest.mark.parametrize("same", [0.0, 3.0])
def test_rows_that_are_all_equal_have_no_drift_among_equals(same: float) -> None:
    found = drift(np.full(500, same), np.full(100, same), 0.05)
    assert (found.since, found.bursts) == (None, [])


def test_the_evidence_of_one_bet_is_seldom_won_by_chance() -> None:
    won = [drift(*series(seed, 600), 0.05).evidence.max() > 1 for seed in range(200)]
    assert np.mean(won) <= 0.13


def test_a_long_burst_ends_about_where_it_ended() -> None:
    draws = np.random.default_rng(0)
    scores, known = draws.normal(size=20_000), draws.normal(size=2000)
    scores[1000:2000] += 1.5
    found = drift(scores, known, 0.01)
    assert found.since is None
    assert abs(found.bursts[0][0] - 1000) < 150
    assert abs(found.bursts[-1][1] - 2000) < 300
