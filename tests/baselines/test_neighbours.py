"""Distances to the nearest rows: those of a search by hand, and to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from isthmus.baselines.neighbours import Neighbours

CLOSE = st.sampled_from([(1,), (1, 5), (3, 4, 9)])


def drawn(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@given(st.integers(2, 30), st.integers(1, 20), CLOSE, st.integers(0, 99))
def test_distances_are_the_means_to_so_many_of_the_nearest(
    n: int, d: int, close: tuple[int, ...], seed: int
) -> None:
    rows, x = drawn(n, d, seed), drawn(7, d, seed + 1)
    apart = np.sort(cdist(x, rows), axis=1)[:, : n - 1]
    expected = np.stack([apart[:, :k].mean(1) for k in close], 1)
    found = Neighbours(rows, close).distances(x)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@given(st.integers(2, 30), st.integers(1, 20), CLOSE, st.integers(0, 99))
def test_a_row_is_no_neighbour_of_its_own(
    n: int, d: int, close: tuple[int, ...], seed: int
) -> None:
    rows = drawn(n, d, seed)
    apart = np.sort(cdist(rows, rows) + np.diag(np.full(n, np.inf)), axis=1)[:, : n - 1]
    expected = np.stack([apart[:, :k].mean(1) for k in close], 1)
    found = Neighbours(rows, close).distances(rows, np.ones(n, bool))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_only_rows_said_to_be_among_them_leave_themselves_out() -> None:
    rows = np.array([[0.0], [1.0], [3.0]])
    found = Neighbours(rows, (1,)).distances(rows, np.array([True, False, True]))
    assert found[:, 0].tolist() == [1, 0, 2]


def test_the_copy_of_a_row_is_a_neighbour() -> None:
    rows = np.array([[0.0], [0.0], [3.0], [4.0]])
    found = Neighbours(rows, (1, 2)).distances(rows, np.ones(4, bool))
    np.testing.assert_allclose(found[0], [0, 1.5])


@pytest.mark.parametrize(
    ("d", "values"),
    [(3, [0, 1 / 3, 2 / 3]), (16, [0, 1 / 3, 2 / 3]), (20, [0, 1 / 7]), (64, [0, 1 / 7])],
)
def test_among_many_equally_far_a_row_is_as_far_whoever_else_is_looked_for(
    d: int, values: list[float]
) -> None:
    random = np.random.default_rng(0)
    rows, x = (random.choice(values, size=(n, d)) for n in (300, 120))
    near = Neighbours(rows)
    together = near.distances(x)
    alone = np.concatenate([near.distances(row[None]) for row in x])
    np.testing.assert_array_equal(together, alone)
    among = near.distances(np.concatenate([drawn(2000, d, 0), x]))[2000:]
    np.testing.assert_array_equal(together, among)
