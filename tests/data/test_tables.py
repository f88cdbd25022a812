from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from isthmus.core.errors import (
    ColumnsError,
    DataError,
    EmptyError,
    IsthmusError,
    ModelFileError,
    SpecError,
)
from isthmus.data import Table, modality, modality_from_state

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
TABLES = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-1e300, 1e300, allow_subnormal=False),
)


@pytest.fixture(params=FRAMES)
def frame(request: pytest.FixtureRequest) -> Any:
    return FRAMES[request.param]


def fitted(X: Any, support: str = "real") -> Table:
    table = Table()
    table.fit(X)
    table.suit(support)
    return table


def normal(n: int = 200, p: int = 4) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=(n, p))


# ---------------------------------------------------------------------- there and back


@given(TABLES, st.sampled_from(["real", "unit"]))
def test_what_was_fitted_comes_back_to_float32_accuracy_whatever_its_magnitude(X, support):
    table = fitted(X, support)
    x = table.batch(X).x
    restored = table.restore(x)
    smallest = np.finfo(np.float32).tiny * table.scale
    reach = np.abs(X - table.offset).max(0) / 2**22 + np.abs(X).max(0) / 2**50 + smallest
    assert x.dtype == torch.float32
    assert torch.isfinite(x).all()
    assert (np.abs(restored - X) <= reach).all()
    if support == "unit":
        assert x.min() >= 0
        assert x.max() <= 1


@given(TABLES, st.sampled_from(["real", "unit"]), st.booleans())
def test_a_schema_survives_json_and_arrays_exactly(X, support, named):
    data: Any = pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])]) if named else X
    table = fitted(data, support)
    words, numbers = table.state()
    again = modality_from_state(json.loads(json.dumps(words)), numbers)
    assert again.state()[0] == words
    assert again.names == table.names
    assert torch.equal(again.batch(data).x, table.batch(data).x)
    assert np.array_equal(again.restore(table.batch(X).x), table.restore(table.batch(X).x))


@pytest.mark.parametrize(
    ("given", "returned"),
    [("float32", "float32"), ("float16", "float32"), ("float64", "float64"), ("int16", "float64")],
)
def test_single_precision_comes_back_single_and_all_else_double(given, returned):
    X = (10 * normal()).astype(given)
    table = fitted(X)
    assert table.restore(table.batch(X).x).dtype == returned


@pytest.mark.parametrize("given", [">f8", "<f4", "uint8", "bool", "int64"])
def test_any_numeric_type_and_byte_order_is_read(given):
    X = (normal() > 0).astype(given)
    assert torch.equal(fitted(X).batch(X).x, fitted(X.astype(float)).batch(X.astype(float)).x)


def test_a_read_only_or_strided_array_gives_the_same_as_its_copy():
    X = normal()[::2, ::-1]
    X.flags.writeable = False
    assert torch.equal(fitted(X).batch(X).x, fitted(X.copy()).batch(np.asfortranarray(X)).x)


# ---------------------------------------------------------------------- scaling


def test_columns_of_their_own_units_are_standardised_one_by_one():
    X = normal() * [1, 1e6, 1e-6, 1e200] + [5, 1e9, 0, 0]
    table = fitted(X)
    assert not table.spread.shared
    assert np.allclose(table.offset, X.mean(0), rtol=1e-12)
    assert np.allclose(table.batch(X).x.std(0, correction=0), 1, atol=1e-5)


def test_pixels_stay_in_proportion_under_one_scale():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 17, (300, 260)).astype(float)
    X[:, :3] = 0
    X[:, 3] = rng.random(300) < 0.01
    table = fitted(X)
    assert table.state()[0]["scaling"] == "shared"
    assert np.ptp(table.scale) == 0
    assert table.scale[0] == pytest.approx(np.sqrt(X.var(0).mean()))
    assert np.allclose(table.offset, X.mean(0))


def test_fewer_columns_than_256_are_standardised_each():
    X = np.random.default_rng(0).integers(0, 3, (300, 256)).astype(float)
    assert not fitted(X[:, :255]).spread.shared
    assert fitted(X).spread.shared


def test_a_constant_column_keeps_its_unit():
    X = normal()
    X[:, 1] = 0.1
    table = fitted(X)
    assert table.offset[1] == 0.1
    assert table.scale[1] == 1
    assert (table.batch(X).x[:, 1] == 0).all()


def test_rounding_noise_is_not_blown_up_to_unit_variance():
    X = normal()
    X[:, 1] = 1e6 + 1e-9 * X[:, 1]
    assert fitted(X).batch(X).x[:, 1].std() < 1e-3
    single = np.full((200, 1), 0.1, dtype=np.float32)
    single[::2] = np.nextafter(single[::2], np.float32(1))
    assert fitted(single).batch(single).x.std() < 0.2


def test_values_within_zero_and_one_are_left_as_they_are_for_a_unit_likelihood():
    X = np.random.default_rng(0).random((50, 3))
    assert torch.equal(fitted(X, "unit").batch(X).x, torch.from_numpy(X.astype(np.float32)))


def test_other_values_are_brought_to_zero_and_one_and_later_ones_clipped_there():
    X = normal()
    table = fitted(X, "unit")
    x = table.batch(X).x
    assert x.amin(0).tolist() == [0] * 4
    assert x.amax(0).tolist() == [1] * 4
    beyond = table.batch(10 * X).x
    assert [beyond.min().item(), beyond.max().item()] == [0, 1]


def test_a_weight_counts_like_repeated_rows_and_zero_like_absent_ones():
    X = normal(50)
    weight = np.arange(50) % 3
    weighted = Table()
    spoilt = X.copy()
    spoilt[weight == 0] = np.nan
    weighted.fit(spoilt, weight)
    repeated = fitted(np.repeat(X, weight, axis=0))
    assert np.allclose(weighted.offset, repeated.offset)
    assert np.allclose(weighted.scale, repeated.scale)


def test_a_row_alone_gives_the_same_bits_as_among_others():
    X = normal(3000, 50)
    table = fitted(X)
    assert torch.equal(table.batch(X).x[2999:], table.batch(X[2999:]).x)


# ---------------------------------------------------------------------- frames


def test_columns_of_a_frame_are_found_by_name_in_any_order(frame):
    data: dict[str, list[Any]] = {"a": [1, 2, 4], "b": [True, False, True], "c": [0.5, 0.25, -1.0]}
    table = fitted(frame(data))
    assert table.names == ["a", "b", "c"]
    other_order = frame({name: data[name] for name in "cab"})
    assert torch.equal(table.batch(other_order).x, table.batch(frame(data)).x)


def test_a_missing_or_an_unknown_column_is_named(frame):
    table = fitted(frame({"age": [1, 2], "b": [1.0, 3.0]}))
    with pytest.raises(ColumnsError, match=r"fitted on 2 columns, got 1 \(missing: 'age'\)"):
        table.batch(frame({"b": [1.0]}))
    with pytest.raises(ColumnsError, match=r"got 3 \(not known: 'Age'\)"):
        table.batch(frame({"age": [1], "b": [1.0], "Age": [1]}))
    with pytest.raises(ColumnsError, match=r"missing: 'age'; not known: 'Age'"):
        table.batch(frame({"b": [1.0], "Age": [1]}))
    with pytest.raises(ColumnsError, match="fitted on 2 columns, got 5"):
        table.batch(np.ones((2, 5)))


def test_columns_that_cannot_be_told_apart_are_refused():
    with pytest.raises(DataError, match="'a'"):
        fitted(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="'a'"):
        fitted(pa.table([[1.0], [2.0]], names=["a", "a"]))
    with pytest.raises(DataError, match="some column names are text"):
        fitted(pd.DataFrame([[1, 2]], columns=["a", 3]))


def test_numbered_columns_are_columns_without_names():
    table = fitted(pd.DataFrame(normal()))
    assert table.names is None
    assert torch.equal(table.batch(pd.DataFrame(normal())).x, table.batch(normal()).x)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (
            np.array([[1, np.nan], [np.inf, -np.inf]]),
            DataError,
            "column 0 has 1 infinite value; column 1 has 1",
        ),
        (np.zeros((0, 3)), EmptyError, "no rows"),
        (np.zeros((3, 0)), EmptyError, "no columns"),
        (np.zeros(3), DataError, "Reshape your data"),
        (np.zeros((3, 2, 2)), DataError, r"reshape\(len\(X\), -1\)"),
        ([["a", "b"]], DataError, "text"),
        ([["a", None]], DataError, "not numbers"),
        (np.array([[{}, 1.0]], dtype=object), DataError, "column 0 holds records"),
        (
            np.array([["a"], [1.0]], dtype=object),
            DataError,
            "do not go together .* str ..a.., float",
        ),
        (np.array([[1j]]), DataError, "complex"),
        ([[1, 2], [3]], DataError, "different sizes"),
        (np.array([["2020-01-01"]], dtype="datetime64"), DataError, "datetime64"),
        (None, DataError, "two dimensions"),
        ("table.csv", DataError, "text"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_in_plain_words(X, error, words):
    with pytest.raises(error, match=words):
        fitted(X)


def test_units_gone_wrong_and_impossible_weights_are_refused():
    with pytest.raises(DataError, match="column 1 has values up to"):
        fitted(normal(p=2)).batch(np.array([[0.0, 1e300]]))
    with pytest.raises(DataError, match="column 0 has values up to 1e\\+20"):
        fitted(normal(p=2)).batch(np.array([[1e20, 0.0]]))
    with pytest.raises(DataError, match="weights"):
        Table().fit(normal(3), np.array([1.0, -1.0, 1.0]))


def test_objects_and_tensors_that_hold_numbers_are_read():
    X = normal()
    for same in (X.astype(object), torch.from_numpy(X), torch.from_numpy(X).requires_grad_()):
        assert torch.equal(fitted(same).batch(X).x, fitted(X).batch(X).x)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
        max_leaves=12,
    )
)
def test_whatever_is_passed_is_fitted_or_refused_by_an_error_of_ours(X):
    try:
        kind = modality(X)
        kind.fit(X)
    except IsthmusError:
        return
    x, weight = kind.batch(X)[:2]
    assert torch.isfinite(x).all()
    assert weight is None or (x[weight == 0] == 0).all()


def test_the_kind_is_guessed_or_the_choices_are_said(frame):
    assert modality(frame({"a": [1]})).kind == "table"
    assert modality([[1, 2], [3, 4]]).kind == "table"
    assert modality(np.zeros((2, 8, 8))).kind == "images"
    assert modality(np.zeros((2, 8, 8, 3))).kind == "images"
    assert modality(np.zeros((2, 8, 8)), "table").kind == "table"
    with pytest.raises(DataError, match="DataFrame or an array"):
        modality(np.zeros(3))
    with pytest.raises(SpecError, match="Did you mean 'table'"):
        modality(np.zeros((2, 2)), "tabel")


@pytest.mark.parametrize("lost", ["columns", "names", "support", "schema", "library", "scaling"])
def test_a_damaged_schema_is_refused(lost):
    words, numbers = fitted(normal()).state()
    with pytest.raises(ModelFileError, match="table schema"):
        modality_from_state({k: v for k, v in words.items() if k != lost}, numbers)


def test_a_schema_whose_parts_do_not_fit_together_is_refused():
    words, numbers = fitted(normal()).state()
    with pytest.raises(ModelFileError, match="different lengths"):
        modality_from_state({**words, "columns": 3}, numbers)
    with pytest.raises(ModelFileError, match="different lengths"):
        modality_from_state(words, {**numbers, "low": numbers["low"][:-1]})
    with pytest.raises(ModelFileError, match="unknown kind"):
        modality_from_state({**words, "kind": "sound"}, numbers)


@pytest.mark.parametrize("words", [False, True])
def test_numbered_columns_are_found_by_their_numbers_in_any_order(words):
    df = pd.DataFrame(normal(30, 4)[:, 1:] * [1, 10, 100], columns=[1, 2, 3])
    if words:
        df[2] = np.where(df[2] > 0, "high", "low")
    json_, held = fitted(df).state()
    for kind in (fitted(df), modality_from_state(json.loads(json.dumps(json_)), held)):
        assert torch.equal(kind.batch(df[[3, 1, 2]]).x, kind.batch(df).x)
        assert torch.equal(kind.batch(df.to_numpy()).x, kind.batch(df).x)
        with pytest.raises(ColumnsError, match=r"missing: '3'; not known: '4'"):
            kind.batch(df.rename(columns={3: 4}))


# ---------------------------------------------------------------------------- held at bounds


def held(X):
    table = Table()
    table.holds = True
    table.fit(X)
    return table


@pytest.mark.parametrize("value", [1e6, 1e30, -1e308])
def test_a_value_however_far_leaves_the_others_apart_where_numbers_are_held(value):
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[7, 1] = value
    table = held(X)
    x = table.batch(X).x
    assert x.abs().max() < 10
    assert len(x[:, 1].unique()) == 60
    assert x[:, 1].std() == pytest.approx(1, rel=0.05)
    again = Table.from_state(*table.state())
    assert torch.equal(again.batch(X).x, x)
    assert torch.equal(table.batch(np.full((1, 3), value)).x, again.batch(np.full((1, 3), value)).x)


def test_numbers_that_need_not_be_held_are_as_they_were():
    X = np.random.default_rng(0).standard_cauchy((300, 4))
    X[:, 2], X[:40, 3] = 7.0, np.nan
    X[9, 1] = 0
    table = Table()
    table.fit(X)
    assert torch.equal(held(X).batch(X).x, table.batch(X).x)
    assert table.state()[1].keys() == held(X).state()[1].keys() - {"least", "most"}


def test_categories_and_columns_of_nearly_one_value_are_not_held():
    rows = pd.DataFrame({"w": ["a"] * 58 + ["b", "c"], "n": [1.0] * 59 + [50.0]})
    table = held(rows)
    assert not np.isfinite(table.bounds).any()
    back = table.restore(table.batch(rows).x)
    pd.testing.assert_frame_equal(back, rows, check_exact=False, rtol=1e-5)


def test_infinity_is_refused_where_numbers_are_held():
    X = np.random.default_rng(0).normal(size=(60, 3))
    table = held(X)
    with pytest.raises(DataError, match="column 1 has 1 infinite value"):
        table.batch(np.array([[0, np.inf, 0]]))
