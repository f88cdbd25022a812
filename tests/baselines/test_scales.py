"""Scales of columns: each in order, and what each promises of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from isthmus.baselines.scales import FAR, LEVEL, learn

Array = NDArray[np.float64]
NAMES = ["standard", "range", "spread", "normal"]
VALUES = st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float)
ROWS = st.integers(4, 40).flatmap(lambda n: arrays(np.float64, (n, 3), elements=VALUES))
NONE = np.zeros(3, bool)


def normal(n: int = 400) -> Array:
    return np.random.default_rng(0).normal(size=(n, 3)) * [1, 20, 0.01] + [5, 0, -3]


@pytest.mark.parametrize("name", NAMES)
@given(rows=ROWS, x=arrays(np.float64, (20, 3), elements=VALUES))
def test_what_is_higher_is_no_lower_in_any_scale(name: str, rows: Array, x: Array) -> None:
    x = np.sort(np.concatenate([x, rows]), axis=0)
    found = learn(rows, NONE)[name](x)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=0) >= 0).all()


def test_standard_scores_have_no_mean_and_a_deviation_of_one() -> None:
    rows = normal()
    found = learn(rows, NONE)["standard"](rows)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(found.std(0), 1)


def test_shares_of_the_range_are_from_nothing_to_one() -> None:
    rows = normal()
    found = learn(rows, NONE)["range"](rows)
    np.testing.assert_allclose(found.min(0), 0)
    np.testing.assert_allclose(found.max(0), 1)


def test_spreads_are_standard_deviations_about_the_median_whatever_a_few_rows_do() -> None:
    rows = normal()
    scale = learn(rows, NONE)["spread"]
    found = scale(rows)
    np.testing.assert_allclose(np.median(found, 0), 0, atol=1e-9)
    np.testing.assert_allclose(found.std(0), 1, atol=0.15)
    # Outliers on both sides leave the median and the quantiles as good as they were.
    far = np.tile(1000 * rows.std(0), (8, 1))
    wild = np.concatenate([rows, rows[:8] + far, rows[:8] - far])
    among = learn(wild, NONE)["spread"](rows)
    np.testing.assert_allclose(np.median(among, 0), 0, atol=1e-9)
    np.testing.assert_allclose(among.std(0), found.std(0), rtol=0.15)
    assert (learn(wild, NONE)["standard"](rows).std(0) < 0.01).all()


def test_spreads_are_as_good_however_far_outliers_are() -> None:
    rows = normal()
    expected = learn(rows, NONE)["spread"](rows)
    for far in (1e5, 1e9, 1e12):
        wild = np.concatenate([rows, np.tile([[far], [-far]], (4, 3))])
        found = learn(wild, NONE)["spread"](rows)
        np.testing.assert_allclose(found.std(0), expected.std(0), rtol=0.1)


def test_what_differs_by_rounding_alone_has_no_spread() -> None:
    random = np.random.default_rng(0)
    rows = (-0.13 * (1 + 1e-8 * random.normal(size=(100, 3)))).astype(np.float32).astype(float)
    rows[:3] = 7
    scales = learn(rows, NONE)
    np.testing.assert_allclose(scales["spread"](rows).std(0), 1)


def test_a_spread_of_a_column_that_is_nearly_always_the_same_is_its_deviation() -> None:
    rows = np.zeros((100, 3))
    rows[:3] = [[1, 2, 3]] * 3
    scales = learn(rows, NONE)
    np.testing.assert_allclose(scales["spread"](rows), rows / rows.std(0))


def test_normal_scores_are_of_ranks_alone() -> None:
    rows = normal() / [1, 20, 0.01]
    found = learn(rows, NONE)["normal"](rows)
    np.testing.assert_allclose(learn(np.exp(rows), NONE)["normal"](np.exp(rows)), found)
    np.testing.assert_allclose(found.std(0), 1, atol=0.05)
    np.testing.assert_allclose(found[np.argsort(rows[:, 0])[::-1], 0], -np.sort(found[:, 0]))


def test_beyond_all_rows_normal_scores_go_on_in_standard_deviations() -> None:
    rows = normal()
    scale = learn(rows, NONE)["normal"]
    for end, sign in ((rows.max(0), 1), (rows.min(0), -1)):
        near, far = (scale((end + sign * k * rows.std(0))[None]) for k in (1, 4))
        np.testing.assert_allclose(far - near, sign * 3 * np.ones((1, 3)))
        assert (sign * near > sign * scale(end[None]) + 1).all()


@pytest.mark.parametrize("name", ["standard", "range", "spread"])
def test_linear_scales_are_linear(name: str) -> None:
    rows = normal()
    scale = learn(rows, NONE)[name]
    a, b = rows[:50], rows[50:100]
    np.testing.assert_allclose(scale((a + b) / 2), (scale(a) + scale(b)) / 2, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_from_some_distance_on_further_away_is_no_further(name: str) -> None:
    scale = learn(normal(), NONE)[name]
    for sign in (1, -1):
        far, further = scale(np.full((1, 3), sign * 1e8)), scale(np.full((1, 3), sign * 1e12))
        np.testing.assert_array_equal(far, further)
        assert np.abs(far).max() <= FAR


def test_places_of_categories_stay_as_they_are() -> None:
    rows = normal()
    rows[:, 1] = np.arange(len(rows)) % 2
    for name, scale in learn(rows, np.array([False, True, False])).items():
        found = scale(rows)[:, 1]
        np.testing.assert_array_equal(found, rows[:, 1] * (LEVEL if name == "range" else 1))


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_is_constant_makes_no_row_infinite(name: str) -> None:
    rows = normal()
    rows[:, 2] = 7
    found = learn(rows, NONE)[name](np.concatenate([rows, rows + 1]))
    assert np.isfinite(found).all()
