"""P-values by ranks and a smooth tail, and what may be selected by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from isthmus.tasks.calibration import TAIL, Tail, selected

Array = NDArray[np.float64]
NUMBERS = st.floats(-50, 50) | st.integers(-5, 5).map(float)
KNOWN = st.lists(NUMBERS, min_size=1, max_size=60).map(np.array)
SCORES = st.lists(NUMBERS, min_size=1, max_size=20)


def around(tail: Tail, more: list[float]) -> Array:
    """Scores in order: those known, beside them, where the tail begins, beyond all."""
    places = np.array([*tail.ordered, tail.begin, *more])
    beside = [np.nextafter(places, -np.inf), np.nextafter(places, np.inf)]
    return np.sort(np.concatenate([places, *beside, [places.max() + 100]]))


@given(KNOWN, SCORES, st.booleans())
def test_the_higher_a_score_the_smaller_its_share(
    known: Array, more: list[float], in_nats: bool
) -> None:
    tail = Tail(known, in_nats)
    assert (np.diff(tail(around(tail, more))) >= 0).all()


@given(KNOWN, SCORES)
def test_up_to_the_tail_the_share_is_that_of_the_rank(known: Array, more: list[float]) -> None:
    tail = Tail(known)
    scores = around(tail, more)
    scores = scores[scores <= np.quantile(known, 1 - TAIL)]
    at_least = (known >= scores[:, None]).sum(1)
    np.testing.assert_allclose(np.exp(-tail(scores)), (at_least + 1) / (len(known) + 1))


def test_beyond_all_known_scores_the_share_falls_as_that_of_an_exponential() -> None:
    random = np.random.default_rng(0)
    tail = Tail(random.exponential(2.0, 4000))
    there = np.array([8.0, 16.0, 32.0])
    np.testing.assert_allclose(tail(there), there / 2, rtol=0.15)


def test_few_scores_in_nats_are_believed_to_fall_as_nats_do() -> None:
    tail = Tail(np.zeros(5), in_nats=True)
    found = tail(np.array([1.0, 7.0]))
    assert found[1] - found[0] == pytest.approx(6)


@pytest.mark.parametrize("rate", [1e-6, 0.01, 0.05, 0.1, 0.11, 0.25, 0.5, 0.9])
@given(known=KNOWN, more=SCORES, in_nats=st.booleans())
def test_scores_above_the_threshold_of_a_rate_are_those_whose_share_is_at_most_the_rate(
    rate: float, known: Array, more: list[float], in_nats: bool
) -> None:
    rank = rate * (len(known) + 1)
    assume(abs(rank - round(rank)) > 1e-9)  # a share and a rate that differ by rounding alone
    tail = Tail(known, in_nats)
    threshold = tail.reached(rate)
    scores = around(tail, more)
    if rate <= TAIL:
        scores = scores[np.abs(scores - threshold) > 1e-9 * (1 + abs(threshold))]
    shares = np.exp(-tail(scores))
    apart = np.abs(shares - rate) > 1e-9 * rate
    np.testing.assert_array_equal((scores > threshold)[apart], (shares <= rate)[apart])


@given(KNOWN, st.floats(1e-6, 0.999), st.floats(1e-6, 0.999))
def test_the_higher_the_rate_the_lower_its_threshold(known: Array, a: float, b: float) -> None:
    tail = Tail(known)
    assert tail.reached(min(a, b)) >= tail.reached(max(a, b))


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_a_share_of_the_known_scores_is_above_the_threshold_of_that_share(rate: float) -> None:
    known = np.random.default_rng(1).exponential(size=2000)
    above = (known > Tail(known).reached(rate)).mean()
    assert above == pytest.approx(rate, rel=0.15)


PVALUES = st.lists(
    st.floats(1e-9, 1) | st.integers(1, 1000).map(lambda k: k / 1000), min_size=1, max_size=60
).map(np.array)


@given(PVALUES, st.floats(1e-4, 1))
def test_what_is_selected_is_what_scipy_would_select(pvalues: Array, fdr: float) -> None:
    adjusted = false_discovery_control(pvalues)
    assume(np.abs(adjusted - fdr).min() > 1e-9)
    np.testing.assert_array_equal(selected(pvalues, fdr), adjusted <= fdr)


def test_of_no_rows_none_is_selected() -> None:
    assert selected(np.zeros(0), 0.1).tolist() == []
