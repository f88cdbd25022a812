"""Sparse matrices, from SciPy to principal components, without becoming dense."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.core import linear
from isthmus.core.errors import ColumnsError, DataError, EmptyError
from isthmus.core.sparse import SparseRows
from isthmus.data import Table, modality, modality_from_state
from isthmus.data.scipy_sparse import to_rows

FORMS: dict[str, Any] = {
    "csr_matrix": sp.csr_matrix,
    "csc_matrix": sp.csc_matrix,
    "coo_matrix": sp.coo_matrix,
    "csr_array": sp.csr_array,
    "csc_array": sp.csc_array,
    "coo_array": sp.coo_array,
}


def some(n: int = 40, p: int = 30, density: float = 0.2, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return sp.random(n, p, density, format="csr", rng=rng, data_rvs=rng.standard_normal)


def rows_of(matrix: Any) -> SparseRows:
    found = to_rows(matrix, np.ones(matrix.shape[1]))
    assert found is not None
    return found


def fitted(X: Any, weight: Any = None) -> Any:
    table = Table()
    table.fit(X, weight)
    return table


# ---------------------------------------------------------------------- rows


@given(st.integers(1, 9), st.integers(1, 7), st.floats(0, 1), st.data())
def test_sparse_rows_answer_as_the_dense_tensor_would(n, p, density, data):
    matrix = some(n, p, density, seed=data.draw(st.integers(0, 99)))
    rows = rows_of(matrix)
    dense = torch.from_numpy(matrix.toarray().astype(np.float32))
    assert rows.shape == dense.shape
    assert (rows.ndim, len(rows), rows.dtype) == (2, n, torch.float32)
    some_rows = slice(*sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2))))
    assert torch.equal(rows[some_rows], dense[some_rows])
    assert torch.equal(rows[::2], dense[::2])
    index = torch.tensor(data.draw(st.lists(st.integers(0, n - 1), max_size=12)), dtype=torch.int64)
    assert torch.equal(rows.index_select(0, index), dense[index])
    assert torch.equal(rows.rows(index)[:], dense[index])
    assert rows.rows(index).shape == (len(index), p)
    assert torch.equal(rows.to("cpu")[:], dense)
    right, left = torch.randn(p, 3, dtype=torch.float64), torch.randn(n, 3, dtype=torch.float64)
    assert torch.allclose(rows.matmul(right), dense.double() @ right)
    assert torch.allclose(rows.t_matmul(left), dense.double().T @ left)
    weight = torch.rand(n) + 0.1
    assert torch.allclose(rows.mean(), dense.mean(0), atol=1e-6)
    assert torch.allclose(rows.mean(weight), weight @ dense / weight.sum(), atol=1e-6)


def test_the_bytes_of_rows_tell_them_apart():
    one = rows_of(some())
    assert one.tobytes() == rows_of(some()).tobytes()
    assert one.tobytes() != rows_of(some(seed=1)).tobytes()
    assert one.tobytes() != rows_of(sp.hstack([some(), sp.csr_array((40, 1))]).tocsr()).tobytes()


@pytest.mark.parametrize("limit", [2048, 20, 45])
@pytest.mark.parametrize("shape", [(60, 30), (25, 50)])
def test_components_are_those_of_the_dense_rows_by_each_way(monkeypatch, limit, shape):
    matrix = some(*shape)
    weight = torch.rand(shape[0], generator=torch.Generator().manual_seed(0))
    dense = linear.principal_components(torch.from_numpy(matrix.toarray()).float(), 5, weight)
    monkeypatch.setattr(linear, "EXACT_LIMIT", limit)
    sparse = linear.principal_components(rows_of(matrix), 5, weight)
    assert torch.allclose(sparse.mean, dense.mean, atol=1e-6)
    assert torch.allclose(sparse.total_variance, dense.total_variance, rtol=1e-4)
    assert torch.allclose(sparse.variance, dense.variance, rtol=1e-2)
    assert (sparse.axes * dense.axes).sum(1)[:3].min() > 0.99
    assert torch.allclose(sparse.axes @ sparse.axes.T, torch.eye(5), atol=1e-4)


# ---------------------------------------------------------------------- tables


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_scaled_by_column_and_its_zeros_stay(form):
    X = FORMS[form](some() @ sp.diags([1e3, *[1.0] * 29]))
    assert modality(X).kind == "table"
    table = fitted(X)
    x = table.batch(X).x
    assert isinstance(x, SparseRows)
    assert len(x.values) == X.nnz
    assert table.batch(X).weight is None
    dense = X.toarray()
    assert np.allclose(table.scale, dense.std(0))
    assert np.allclose(x[:], dense / dense.std(0), atol=1e-5)
    assert np.allclose(table.restore(x[:]), dense, atol=1e-3)
    assert abs(table.restore(x) - X).max() < 1e-3
    assert table.columns_described()[0] == ("column 0", "number")
    assert table.likelihood().kind == "gaussian"


@settings(max_examples=20)
@given(st.integers(0, 99))
def test_a_weight_counts_like_repeated_rows_of_a_sparse_matrix(seed):
    X = some(20, 5, seed=seed)
    weight = np.arange(20) % 3
    again = fitted(sp.csr_array(np.repeat(X.toarray(), weight, axis=0)))
    assert np.allclose(fitted(X, weight).scale, again.scale)


def test_columns_of_nothing_and_of_one_value_keep_a_finite_scale():
    X = sp.csr_array(np.array([[0.0, 5.0, 1.0], [0.0, 5.0, 0.0]]))
    table = fitted(X)
    assert table.scale.tolist() == [1, 5, 0.5]
    assert torch.isfinite(table.batch(X).x[:]).all()


def test_dense_rows_are_taken_by_a_model_of_sparse_ones_and_not_the_other_way():
    X = some()
    table = fitted(X)
    assert torch.allclose(table.batch(X.toarray()).x, table.batch(X).x[:])
    with pytest.raises(DataError, match="fitted on a dense table"):
        fitted(X.toarray()).batch(X)
    with pytest.raises(ColumnsError, match="fitted on 30 columns, got 29"):
        table.batch(X[:, :29])
    with pytest.raises(EmptyError, match="no rows"):
        table.batch(X[:0])


def test_counts_and_shares_keep_their_zeros_too():
    X = sp.csr_array(np.random.default_rng(0).poisson(0.3, (50, 8)))
    table = fitted(X)
    table.suit("count")
    assert np.array_equal(table.batch(X).x[:], X.toarray())
    assert ("column 0", "count") in table.columns_described()
    with pytest.raises(DataError, match="column 3 holds"):
        table.batch(sp.csr_array(([0.5], ([0], [3])), shape=(1, 8)))
    table.suit("unit")
    assert table.batch(X).x[:].max() == 1
    with pytest.raises(DataError, match="no number is below 0"):
        fitted(some()).suit("unit")
    with pytest.raises(DataError, match="counts are whole numbers"):
        fitted(some()).suit("count")


def test_a_schema_of_a_sparse_table_survives():
    X = some()
    words, numbers = fitted(X).state()
    again = modality_from_state(json.loads(json.dumps(words)), numbers)
    x: Any = again.batch(X).x
    assert x.tobytes() == fitted(X).batch(X).x.tobytes()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, r"1 missing value \(NaN\)"),
        (np.inf, "1 infinite value"),
        (1j, "complex128, not real numbers"),
    ],
)
def test_what_cannot_be_used_in_a_sparse_matrix_is_said(value, words):
    with pytest.raises(DataError, match=words):
        fitted(sp.coo_array(([1.0, value], ([0, 1], [0, 1])), shape=(3, 3)))


def test_cells_stored_twice_are_their_sum_and_explicit_zeros_are_zeros():
    X = sp.coo_array(([1.0, 2.0, 0.0, 4.0], ([0, 0, 1, 2], [0, 0, 0, 1])), shape=(3, 2))
    table = fitted(X)
    assert np.allclose(table.restore(table.batch(X).x[:]), X.toarray(), atol=1e-6)


def test_a_large_sparse_matrix_never_becomes_dense():
    n = p = 20_000
    rng = np.random.default_rng(0)
    place = rng.integers(0, n, (2, n * p // 1000))
    X = sp.coo_array((rng.random(place.shape[1]), (place[0], place[1])), shape=(n, p)).tocsr()
    held: list[int] = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                held.append(out.numel())
            return out

    tracemalloc.start()
    table = fitted(X)
    x = table.batch(X).x
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with Sizes():
        found = linear.principal_components(x, 2)
    assert found.axes.shape == (2, p)
    assert max(held) < n * p / 50
    assert peak < n * p * 4 / 20


@pytest.mark.parametrize("stored", [0.0, -0.0])
def test_rows_are_equal_whatever_zeros_are_stored_and_the_users_matrix_is_kept(stored):
    X = sp.csr_array(([1.0, stored, 1.0, 2.0], [0, 1, 0, 2], [0, 2, 3, 4]), shape=(3, 3))
    kind = fitted(X)
    first, second, third = kind.batch(X).x.keys()
    assert first == second != third
    assert X.nnz == 4
    assert kind.batch(X).x.keys() == kind.batch(sp.csr_array(X.toarray())).x.keys()
