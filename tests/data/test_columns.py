"""Columns of every kind go in, and come back as they were."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from isthmus.core.errors import ColumnsError, DataError, EmptyError, ModelFileError
from isthmus.data import Table, modality, modality_from_state

FRAMES: dict[str, Any] = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
EPOCH = dt.datetime(2000, 1, 1)


@pytest.fixture(params=FRAMES)
def frame(request: pytest.FixtureRequest) -> Any:
    return FRAMES[request.param]


def fitted(X: Any, weight: Any = None) -> Any:
    table = Table()
    table.fit(X, weight)
    return table


def rebuilt(X: Any) -> Any:
    table = fitted(X)
    return table.restore(table.batch(X).x, X)


def values(X: Any) -> dict[str, list[Any]]:
    """Any frame as lists of Python's own values."""
    if isinstance(X, pd.DataFrame):
        return {str(name): [None if pd.isna(v) else v for v in X[name]] for name in X.columns}
    return X.to_dict(as_series=False) if isinstance(X, pl.DataFrame) else X.to_pydict()


# ---------------------------------------------------------------------- random frames

WHOLE = st.integers(-1000, 1000)
SECONDS = st.integers(0, 86_399)
CELLS: dict[str, tuple[st.SearchStrategy[Any], Any, str]] = {
    "int": (WHOLE, pl.Int64, "Int64"),
    "byte": (st.integers(0, 255), pl.UInt8, "UInt8"),
    "float": (st.floats(-1e6, 1e6), pl.Float64, "float64"),
    "single": (st.floats(-1e3, 1e3, width=32), pl.Float32, "Float32"),
    "bool": (st.booleans(), pl.Boolean, "boolean"),
    "text": (st.text("abcdeé ", max_size=2), pl.String, "str"),
    "category": (st.sampled_from("xyz"), pl.Categorical, "category"),
    "enum": (st.sampled_from("xyz"), pl.Enum(["z", "y", "x", "w"]), "category"),
    "date": (WHOLE.map(lambda d: EPOCH.date() + dt.timedelta(d)), pl.Date, "object"),
    "time": (SECONDS.map(lambda s: (EPOCH + dt.timedelta(seconds=s)).time()), pl.Time, "object"),
    "instant": (WHOLE.map(lambda d: EPOCH + dt.timedelta(d)), pl.Datetime("us"), "datetime64[us]"),
    "length": (WHOLE.map(lambda d: dt.timedelta(d)), pl.Duration("ms"), "timedelta64[ms]"),
    "decimal": (WHOLE.map(lambda c: decimal.Decimal(c) / 4), pl.Decimal(9, 2), "object"),
    "nothing": (st.none(), pl.Null, "object"),
}


@st.composite
def frames(draw: st.DrawFn) -> Any:
    n = draw(st.integers(1, 12))
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=6))
    library = draw(st.sampled_from(["pandas", "polars"]))
    made: dict[str, Any] = {}
    any_known = False
    for j, kind in enumerate(kinds):
        cells, polars_type, pandas_type = CELLS[kind]
        column = draw(st.lists(st.none() | cells, min_size=n, max_size=n))
        any_known |= any(cell is not None for cell in column)
        if library == "polars":
            made[f"{kind} {j}"] = pl.Series(column, dtype=polars_type, strict=False)
        else:
            made[f"{kind} {j}"] = pd.Series(column, dtype=pandas_type)
    assume(any_known)
    return FRAMES[library](made)


def as_number(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return (value.replace(tzinfo=None) - EPOCH).total_seconds()
    if isinstance(value, dt.date):
        return (value - EPOCH.date()).total_seconds()
    if isinstance(value, dt.time):
        return value.hour * 3600.0 + value.minute * 60 + value.second + value.microsecond / 1e6
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, int | float | decimal.Decimal | np.number) and not isinstance(value, bool):
        return float(value)
    return None


@settings(deadline=None)
@given(frames())
def test_what_was_there_comes_back_with_its_type_and_what_was_missing_is_filled(X):
    table = fitted(X)
    batch = table.batch(X)
    assert torch.isfinite(batch.x).all()
    back = table.restore(batch.x, X)
    assert type(back) is type(X)
    assert list(back.columns) == list(X.columns)
    assert list(back.dtypes) == list(X.dtypes)
    gone = values(back)
    for name, column in values(X).items():
        numbers = [n for n in map(as_number, column) if n is not None]
        reach = max([1e-2, *(abs(a - b) * 1e-6 for a in numbers[:1] for b in numbers)])
        for there, here in zip(column, gone[name], strict=True):
            if there is None:
                assert (here is None) == all(value is None for value in column)
            elif as_number(there) is None:
                assert here == there
            else:
                assert abs(as_number(here) - as_number(there)) <= reach + 1e-4 * (
                    max(numbers) - min(numbers)
                )
    if batch.weight is not None:
        missing = [[value is None for value in column] for column in values(X).values()]
        assert torch.equal(batch.weight == 0, torch.tensor(missing).T)
        assert (batch.x[batch.weight == 0] == 0).all()


@settings(deadline=None)
@given(frames(), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_that_of_columns_matters(X, random):
    rows = list(range(len(X)))
    random.shuffle(rows)
    names = list(X.columns)
    random.shuffle(names)
    turned = X[names].iloc[rows] if isinstance(X, pd.DataFrame) else X[rows].select(names)
    table, other = fitted(X), fitted(turned)
    assert sorted(table.columns_described()) == sorted(other.columns_described())
    assert torch.equal(table.batch(X).x[rows], table.batch(turned).x)
    place = [other.names.index(name) for name in table.names]
    assert torch.allclose(other.batch(turned).x[:, place], table.batch(X).x[rows], atol=1e-5)


@settings(deadline=None)
@given(frames())
def test_a_schema_survives_json_and_arrays(X):
    table = fitted(X)
    words, numbers = table.state()
    again = modality_from_state(json.loads(json.dumps(words)), numbers)
    assert json.dumps(again.state()[0]) == json.dumps(words)
    assert again.likelihood() == table.likelihood()
    assert again.columns_described() == table.columns_described()
    x, weight = table.batch(X)[:2]
    assert torch.equal(again.batch(X).x, x)
    assert (weight is None) == (again.batch(X).weight is None)
    assert again.restore(x, X).equals(table.restore(x, X))


# ---------------------------------------------------------------------- kinds


def people(n: int = 300) -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    return {
        "age": rng.normal(40, 10, n).tolist(),
        "visits": rng.poisson(0.5, n).tolist(),
        "sex": [("f", "m")[i] for i in rng.integers(0, 2, n)],
        "member": (rng.random(n) < 0.3).tolist(),
        "since": [EPOCH + dt.timedelta(hours=int(h)) for h in rng.integers(0, 9999, n)],
        "name": [f"person {i}" for i in range(n)],
    }


def test_each_column_is_described_and_explained_by_its_kind(frame):
    table = fitted(frame(people()))
    assert table.columns_described() == [
        ("age", "number"),
        ("visits", "count"),
        ("sex", "category"),
        ("member", "category"),
        ("since", "date"),
        ("name", "text"),
    ]
    assert table.names == ["age", "visits", "sex", "member", "since"]
    assert table.shape == (5,)
    options = table.likelihood().options
    assert options["columns"] == ("number", "count", "category", "category", "number")
    assert options["levels"] == (0, 0, 2, 2, 0)
    assert fitted(np.ones((3, 2))).columns_described() == [
        ("column 0", "number"),
        ("column 1", "number"),
    ]


def test_names_have_no_place_in_x_and_may_be_absent_or_changed(frame):
    data = people()
    table = fitted(frame(data))
    x = table.batch(frame(data)).x
    without = {name: column for name, column in data.items() if name != "name"}
    assert torch.equal(table.batch(frame(without)).x, x)
    assert torch.equal(table.batch(frame({**data, "name": [1.5] * 300})).x, x)
    back = table.restore(x, frame(data))
    assert values(back)["name"] == [None] * 300
    with pytest.raises(EmptyError, match=r"column 'name'.*too many different texts"):
        fitted(frame({"name": data["name"]}))


def test_levels_come_by_frequency_and_then_by_name_and_those_of_a_type_in_its_order():
    words = ["b", "c", "a", "c", "d", "a", None]
    assert fitted(pl.DataFrame({"w": words})).columns[0].levels == ("a", "c", "b", "d")
    categories = pd.DataFrame({"w": pd.Categorical(words, categories=["d", "x", "c", "b", "a"])})
    column = fitted(categories).columns[0]
    assert column.levels == ("d", "c", "b", "a")
    assert list(rebuilt(categories)["w"].cat.categories) == ["d", "x", "c", "b", "a"]


def test_of_many_levels_the_frequent_stand_alone_and_the_rest_together_come_back_as_missing(frame):
    words = [f"w{i % 10}" for i in range(400)] + [f"rare {i}" for i in range(100)]
    table = fitted(frame({"w": words}))
    assert table.columns[0].levels == tuple(f"w{i}" for i in range(10))
    assert table.likelihood().options["levels"] == (11,)
    x, weight = table.batch(frame({"w": ["w3", "rare 1", "never seen", None]}))[:2]
    assert x.flatten().tolist() == [3, 10, 10, 0]
    assert weight.flatten().tolist() == [1, 1, 1, 0]
    assert values(table.restore(x, frame({"w": ["a"]})))["w"] == ["w3", None, None, "w0"]


def test_many_levels_are_kept_where_none_is_rare():
    words = [f"w{i % 100:02}" for i in range(1000)]
    column = fitted(pl.DataFrame({"w": words})).columns[0]
    assert (column.n_levels, column.others) == (100, False)


def test_text_of_which_hardly_any_is_frequent_has_no_place_in_x():
    days = [f"2026-{1 + i % 12:02}-{1 + i % 28:02} {i % 500:03}" for i in range(700)] + ["-"] * 20
    X = pl.DataFrame({"day": days, "n": range(720)})
    table = fitted(X)
    assert [column.kind for column in table.columns] == ["text", "number"]
    back = table.restore(table.batch(X).x, X)
    assert back["day"].null_count() == 720


def test_a_level_never_seen_is_missing(frame):
    table = fitted(frame({"w": ["a", "b", "a"], "n": [1.0, 2.0, 3.0]}))
    batch = table.batch(frame({"w": ["new", "b", "a"], "n": [1.0, 2.0, 3.0]}))
    assert batch.weight.tolist() == [[0, 1], [1, 1], [1, 1]]
    assert batch.x[0, 0] == 0


def test_a_level_never_seen_is_told_from_one_that_is_missing(frame):
    table = fitted(frame({"w": ["a", "b", "a"], "yes": [True, False, True]}))
    batch = table.batch(frame({"w": ["new", None, "b"], "yes": [True, None, False]}))
    assert batch.unknown.tolist() == [[True, False], [False, False], [False, False]]
    assert batch.rows(torch.tensor([1, 0])).unknown.tolist() == [[False, False], [True, False]]
    assert table.batch(frame({"w": ["a", None, "b"], "yes": [True, None, False]})).unknown is None


def test_where_rare_levels_are_one_a_level_never_seen_is_one_of_them(frame):
    words = [f"w{i % 10}" for i in range(900)] + [f"rare {i}" for i in range(60)]
    table = fitted(frame({"w": words}))
    assert table.batch(frame({"w": ["never seen"]})).unknown is None


def test_no_level_of_rows_that_do_not_count_is_known(frame):
    table = Table()
    table.fit(frame({"w": ["a", "b", "c"], "n": [1.0, 2.0, 3.0]}), np.array([1.0, 1.0, 0.0]))
    unknown = table.batch(frame({"w": ["c"], "n": [1.0]})).unknown
    assert unknown is not None
    assert unknown.tolist() == [[True, False]]


def test_columns_of_one_value_and_of_none_are_harmless(frame):
    data = {"one": ["a", "a", None], "same": [7, 7, 7], "none": [None, None, None], "n": [1, 2, 4]}
    table = fitted(frame(data))
    batch = table.batch(frame(data))
    assert batch.weight.tolist() == [[1, 1, 0, 1], [1, 1, 0, 1], [0, 1, 0, 1]]
    assert table.likelihood().options["levels"][0] == 1
    back = values(table.restore(batch.x, frame(data)))
    assert back["one"] == ["a"] * 3
    assert back["same"] == [7] * 3
    assert back["none"] == [None] * 3
    later = table.batch(frame({**data, "none": [1.0, 2.0, 3.0]}))
    assert torch.equal(later.x, batch.x)
    assert torch.equal(later.weight, batch.weight)


def test_counts_are_left_as_they_are_for_a_likelihood_of_counts():
    X = np.random.default_rng(0).poisson(0.5, (200, 2)).astype(float)
    table = fitted(X)
    assert [kind for _, kind in table.columns_described()] == ["count", "count"]
    assert table.likelihood().kind == "gaussian"
    assert not torch.equal(table.batch(X).x, torch.from_numpy(X).float())
    table.suit("count")
    assert torch.equal(table.batch(X).x, torch.from_numpy(X).float())
    assert np.array_equal(table.restore(table.batch(X).x), X)
    with pytest.raises(DataError, match=r"column 1 holds 1\.5, but the model was fitted on counts"):
        table.batch(np.array([[0, 1.5]]))
    for bad, words in ((-1.0, "column 0 has values down to -1"), (0.5, "column 0 has fractions")):
        X[3, 0] = bad
        with pytest.raises(DataError, match=words):
            fitted(X).suit("count")


def test_each_column_can_have_its_own_support():
    X = pd.DataFrame({"n": [0, 2, 1, 9], "p": [0.0, 5.0, 10.0, 2.0], "w": list("abca")})
    table = fitted(X)
    table.suit(("count", "unit", "real"))
    x = table.batch(X).x
    assert x.T.tolist() == pytest.approx(np.array([[0, 2, 1, 9], [0, 0.5, 1, 0.2], [0, 1, 2, 0]]))
    pd.testing.assert_frame_equal(table.restore(x, X), X)
    beyond = table.batch(pd.DataFrame({"n": [100], "p": [20.0], "w": ["a"]}))
    assert beyond.x.tolist() == [[100, 1, 0]]
    with pytest.raises(DataError, match="one of 2 columns, the table has 3"):
        table.suit(("real", "real"))
    with pytest.raises(DataError, match="column 'w' is a category, which a likelihood of numbers"):
        table.suit("real")
    with pytest.raises(ValueError, match="real, unit, count"):
        table.suit("complex")


def test_two_levels_can_pass_for_a_number():
    X = pd.DataFrame({"yes": [True, False, True, True], "n": [1.0, 2.0, 3.0, 4.0]})
    table = fitted(X)
    table.suit("unit")
    assert table.batch(X).x[:, 0].tolist() == [1, 0, 1, 1]
    table.suit("real")
    assert table.batch(X).x.mean(0).abs().max() < 1e-6
    pd.testing.assert_frame_equal(table.restore(table.batch(X).x), X)


def test_dates_keep_their_unit_and_zone():
    days = pd.date_range("2020-03-01", periods=400, freq="7h")
    X = pd.DataFrame(
        {
            "ns": days.as_unit("ns"),
            "s": days.as_unit("s"),
            "berlin": days.tz_localize("UTC").tz_convert("Europe/Berlin"),
        }
    )
    back = rebuilt(X)
    assert (back.dtypes == X.dtypes).all()
    assert (abs(back - X) < pd.Timedelta("10s")).all(axis=None)


def test_integers_beyond_what_a_float_tells_apart_are_taken(frame):
    data = frame({"id": [2**62, 2**62 + 1, None], "n": [1, 2, 3]})
    back = values(rebuilt(data))
    assert back["id"][0] == pytest.approx(2**62)


def test_a_decimal_in_steps_of_a_hundred_is_taken():
    X = pa.table({"d": pa.array([decimal.Decimal("12E2")], pa.decimal128(3, -2))})
    assert rebuilt(X).equals(X)


def test_integers_stay_within_the_range_of_their_type():
    X = pl.DataFrame({"a": pl.Series([0, 255], dtype=pl.UInt8), "b": [-(2**63), 2**63 - 1]})
    table = fitted(X)
    far = table.restore(torch.tensor([[-50.0, -50.0], [50.0, 50.0]]), X)
    assert far["a"].to_list() == [0, 255]
    assert far["b"][0] == -(2**63)
    assert far["b"][1] > 2**62
    floats = fitted(pl.DataFrame({"a": [0.0, 1.0]}))
    assert floats.restore(torch.tensor([[50.0]]))["a"][0] == pytest.approx(25.5)


# ---------------------------------------------------------------------- retyped columns


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ([1.5, 2, 3], ["7", "n/a?", "8"], r"held numbers, now it holds text \('n/a\?'\)"),
        ([1.5, 2, 3], [EPOCH] * 3, "held numbers, now it holds dates"),
        (["a", "b", "a"], [1.0, 2.0, 1.0], r"held text, now it holds numbers \(1, ...\)"),
        (["a", "b", "a"], [EPOCH] * 3, "held text, now it holds dates"),
        ([EPOCH] * 3, [1.0, 2.0, 1.0], "held dates, now it holds numbers"),
        ([EPOCH] * 3, ["a", "b", "a"], "held dates, now it holds text"),
        ([True, False, True], [0, 1, 2], r"held true and false, now .* \(2\)"),
        ([True, False, True], ["yes", "no", "yes"], "held true and false, now it holds text"),
        ([dt.timedelta(1)] * 3, [EPOCH] * 3, "held lengths of time, now it holds dates"),
    ],
)
def test_a_retyped_column_is_named_with_an_example(frame, before, now, words):
    table = fitted(frame({"age": before, "b": [1, 2, 3]}))
    with pytest.raises(ColumnsError, match=f"column 'age' {words}"):
        table.batch(frame({"age": now, "b": [1, 2, 3]}))


@pytest.mark.parametrize(
    ("before", "same"),
    [
        ([1.5, 2.0, -3.0], ["1.5", "2", "-3e0"]),
        ([1, 0, 1], [True, False, True]),
        ([True, False, True], [1, 0, 1]),
        ([True, False, True], ["True", "false", "1"]),
        ([EPOCH, EPOCH, EPOCH + dt.timedelta(1)], ["2000-01-01", "2000-01-01", "2000-01-02 00:00"]),
        ([dt.timedelta(1), dt.timedelta(2), dt.timedelta(0)], [86_400, 172_800, 0]),
        (["1", "2", "1"], [1, 2, 1]),
        (["a", "b", "a"], [None, None, None]),
    ],
)
def test_the_same_values_in_another_type_are_accepted(frame, before, same):
    table = fitted(frame({"a": before}))
    x, weight = table.batch(frame({"a": same}))[:2]
    if same[0] is None:
        assert (weight == 0).all()
    else:
        assert torch.allclose(x, table.batch(frame({"a": before})).x)


@pytest.mark.parametrize("other", FRAMES)
def test_a_model_of_one_library_takes_and_gives_frames_of_any(frame, other):
    data = people(30)
    table = fitted(frame(data))
    theirs = FRAMES[other](data)
    x = table.batch(theirs).x
    assert torch.equal(x, table.batch(frame(data)).x)
    assert type(table.restore(x, theirs)) is type(theirs)
    assert type(table.restore(x)) is type(frame(data))
    same = ("sex", "member")
    back = values(table.restore(x, theirs))
    assert {name: back[name] for name in same} == {name: data[name] for name in same}


def test_a_query_is_read_and_answered_with_a_table():
    data = pl.DataFrame(people(30))
    table = fitted(data.lazy())
    assert torch.equal(table.batch(data.lazy()).x, table.batch(data).x)
    assert isinstance(table.restore(table.batch(data).x, data.lazy()), pl.DataFrame)


def test_an_index_and_numbers_for_names_come_back():
    X = pd.DataFrame({5: [1.0, 2.0], 3: ["a", "b"]}, index=["r", "s"])
    back = rebuilt(X)
    assert back.equals(X)
    assert list(back.index) == ["r", "s"]
    table = fitted(X)
    assert table.names is None
    assert table.columns_described() == [("column 0", "number"), ("column 1", "category")]


# ---------------------------------------------------------------------- arrays


def test_missing_cells_of_an_array_weigh_nothing_and_the_others_as_if_alone():
    X = np.random.default_rng(0).normal(5, 2, (60, 3))
    X[::4, 1] = np.nan
    table = fitted(X)
    alone = fitted(X[~np.isnan(X[:, 1])][:, [1]])
    assert table.offset[1] == pytest.approx(alone.offset[0])
    assert table.scale[1] == pytest.approx(alone.scale[0])
    x, weight = table.batch(X)[:2]
    assert torch.equal(weight == 0, torch.from_numpy(np.isnan(X)))
    assert (x[weight == 0] == 0).all()
    back = table.restore(x)
    assert back.dtype == np.float64
    assert np.allclose(back[~np.isnan(X)], X[~np.isnan(X)], atol=1e-5)
    masked = np.ma.masked_invalid(X)
    assert torch.equal(table.batch(masked).weight, weight)
    whole = table.batch(X[~np.isnan(X).any(1)])
    assert whole.weight is None


def test_an_array_of_objects_has_columns_of_their_own_kinds():
    X = np.array([["a", 1, EPOCH, True], ["b", None, EPOCH, False], ["a", 3, None, True]], object)
    table = fitted(X)
    kinds = [kind for _, kind in table.columns_described()]
    assert kinds == ["category", "number", "date", "category"]
    back = table.restore(table.batch(X).x)
    assert back.dtype == object
    assert back[[0, 2]][:, [0, 1, 3]].tolist() == X[[0, 2]][:, [0, 1, 3]].tolist()
    assert back[1, 1] == 2
    assert modality(X).kind == "table"
    with pytest.raises(ColumnsError, match="column 1 held numbers, now it holds text"):
        table.batch(np.array([["a", "x", EPOCH, True]], object))
    with pytest.raises(ColumnsError, match="fitted on 4 columns, got 3"):
        table.batch(X[:, :3])


def test_text_in_an_array_where_numbers_were_is_said():
    table = fitted(np.arange(6.0).reshape(3, 2))
    with pytest.raises(ColumnsError, match=r"column 1 held numbers, now it holds text \('n/a'\)"):
        table.batch(np.array([[1.0, "n/a"]], object))


def test_infinite_values_are_counted_by_column(frame):
    with pytest.raises(DataError, match=r"column 'b' has 1 infinite value.*Leave them empty"):
        fitted(frame({"b": [1.0, float("nan"), float("-inf")]}))
    table = fitted(frame({"b": [1.0, 2.0]}))
    with pytest.raises(DataError, match="column 'b' has 2 infinite values"):
        table.batch(frame({"b": [float("inf")] * 2}))


# ---------------------------------------------------------------------- sizes and refusals


def test_five_thousand_columns_are_taken_by_name():
    X = np.random.default_rng(0).normal(size=(10, 5000))
    data = pd.DataFrame(X, columns=[f"c{j}" for j in range(5000)])
    back = rebuilt(data)
    assert list(back.columns) == list(data.columns)
    assert np.allclose(back, X, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 10])
def test_one_column_of_few_rows_is_a_table(frame, n):
    data = frame({"w": (["a", "b"] * 5)[:n]})
    assert values(rebuilt(data)) == values(data)


def test_what_is_no_kind_of_column_is_named(frame):
    with pytest.raises(DataError, match="column 'l' holds lists"):
        fitted(frame({"l": [[1, 2], [3]], "n": [1, 2]}))
    with pytest.raises(DataError, match=r"column 'm' .*str \('a'\), int \(1\)"):
        fitted(pd.DataFrame({"m": ["a", 1]}))


@pytest.mark.parametrize("broken", [{"kind": "sound"}, {"type": "int7"}, {"levels": ["z"]}])
def test_a_damaged_column_of_a_schema_is_refused(broken):
    X = pd.DataFrame({"w": pd.Categorical(["a", "b"])})
    words, numbers = fitted(X).state()
    words["schema"][0].update(broken)
    with pytest.raises(ModelFileError, match="table schema"):
        modality_from_state(words, numbers)
