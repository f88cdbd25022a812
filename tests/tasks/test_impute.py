"""Missing cells: filled and nothing else touched, with bounds that hold and draws that spread."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from isthmus import Imputer, compare
from isthmus.core.errors import (
    ColumnsError,
    DataError,
    EmptyError,
    NotFittedError,
    ShapeError,
    SpecError,
)

DRAWS = np.random.default_rng(0)
N = 400
BASE = DRAWS.normal(size=N)
WHOLE = pd.DataFrame(
    {
        "length": 10 + 2 * BASE + 0.3 * DRAWS.normal(size=N),
        "weight": np.exp(1 + 0.5 * BASE + 0.1 * DRAWS.normal(size=N)),
        "age": np.rint(40 + 9 * BASE + 2 * DRAWS.normal(size=N)),
        "size": pd.Categorical(
            np.select([BASE < -0.4, BASE < 0.4], ["small", "middle"], "large"),
            ["small", "middle", "large"],
            ordered=True,
        ),
        "sex": DRAWS.choice(["f", "m"], N),
        "grown": BASE > 0,
    }
)
WHOLE["pregnant"] = np.where(WHOLE.sex == "m", "no", DRAWS.choice(["no", "yes"], N))


def gappy(table: pd.DataFrame, share: float, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    """The table with cells hidden at random, and which they are."""
    hidden = np.random.default_rng(seed).random(table.shape) < share
    found = table.copy()
    for j, name in enumerate(table):
        column = found[name].astype(object) if found[name].dtype.kind == "b" else found[name]
        found[name] = column.mask(hidden[:, j])
    return found, hidden


TRAIN, _ = gappy(WHOLE[:300], 0.2, 1)
NEW_WHOLE = WHOLE[300:].reset_index(drop=True)
NEW, HIDDEN = gappy(NEW_WHOLE, 0.3, 2)
X = DRAWS.normal(size=(60, 2)) @ DRAWS.normal(size=(2, 4)) + 0.3 * DRAWS.normal(size=(60, 4))
GAPPY = np.where(DRAWS.random(X.shape) < 0.2, np.nan, X)


def random_numbers() -> Any:
    state: Any = np.random.get_state()
    return state[1]


def quick(**options: Any) -> Imputer:
    return Imputer(**{"epochs": 1, "n_members": 2, **options})


@pytest.fixture(scope="module")
def imputer() -> Imputer:
    return quick(epochs=5).fit(TRAIN)


# ---------------------------------------------------------------------------- what comes back


def test_every_gap_is_filled_and_every_other_cell_stays_as_it_was(imputer: Imputer) -> None:
    filled = imputer.transform(NEW)
    assert list(filled.columns) == list(NEW.columns)
    assert not filled.isna().any(axis=None)
    there = NEW.notna()
    for name in NEW:
        assert list(filled[name][there[name]]) == list(NEW[name][there[name]])


def test_types_and_the_index_are_those_of_the_table_that_came(imputer: Imputer) -> None:
    moved = NEW.set_index(pd.Index(range(500, 500 + len(NEW))))
    filled = imputer.transform(moved)
    assert_array_equal(filled.index, moved.index)
    assert dict(filled.dtypes) == dict(moved.dtypes)
    assert list(filled["size"].cat.categories) == ["small", "middle", "large"]
    assert filled["size"].cat.ordered


def test_a_table_without_gaps_comes_back_as_it_was(imputer: Imputer) -> None:
    assert_frame_equal(imputer.transform(NEW_WHOLE), NEW_WHOLE)


def test_what_was_passed_is_not_changed(imputer: Imputer) -> None:
    before = NEW.copy(deep=True)
    imputer.transform(NEW)
    imputer.sample(NEW, 2)
    assert_frame_equal(NEW, before)


def test_columns_may_come_in_another_order(imputer: Imputer) -> None:
    turned = imputer.transform(NEW[NEW.columns[::-1]])
    assert list(turned.columns) == list(NEW.columns[::-1])
    assert_frame_equal(turned[list(NEW.columns)], imputer.transform(NEW))


def test_a_mask_asks_for_cells_that_are_there(imputer: Imputer) -> None:
    mask = np.zeros(NEW_WHOLE.shape, bool)
    mask[:5, 0] = mask[2:7, 4] = True
    by_mask = imputer.transform(NEW_WHOLE, mask)
    by_gaps = NEW_WHOLE.copy()
    for j, name in enumerate(NEW_WHOLE):
        column = by_gaps[name]
        by_gaps[name] = column.mask(mask[:, j]) if mask[:, j].any() else column
    filled = imputer.transform(by_gaps)
    assert_frame_equal(by_mask, filled)
    assert (by_mask["length"][:5] != NEW_WHOLE["length"][:5]).all()
    assert_frame_equal(by_mask[5:].drop(columns="sex"), NEW_WHOLE[5:].drop(columns="sex"))
    frame = pd.DataFrame(mask, columns=NEW_WHOLE.columns)
    assert_frame_equal(imputer.transform(NEW_WHOLE, frame), by_mask)


def test_whole_numbers_stay_whole_where_the_column_holds_no_others(imputer: Imputer) -> None:
    counted = NEW_WHOLE.astype({"age": "int64"})
    mask = np.zeros(counted.shape, bool)
    mask[:, 2] = True
    assert imputer.transform(counted, mask)["age"].dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_comes_back_as_an_array(dtype: type) -> None:
    rows: Any = GAPPY.astype(dtype)
    filled = quick().fit(rows).transform(rows)
    assert filled.dtype == dtype
    assert not np.isnan(filled).any()
    assert_array_equal(filled[~np.isnan(rows)], rows[~np.isnan(rows)])


def test_an_array_of_words_and_numbers_comes_back_as_one() -> None:
    rows: Any = NEW_WHOLE[["length", "sex", "pregnant"]].to_numpy(object)
    rows[::5, 0] = None
    rows[1::7, 1] = None
    filled = quick().fit(rows).transform(rows)
    assert filled.dtype == object
    assert all(isinstance(value, float) for value in filled[:, 0])
    assert set(filled[:, 1]) == {"f", "m"}


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_tables_of_other_libraries_come_back_as_theirs(library: str) -> None:
    plain = TRAIN.astype({"size": "string", "sex": "string", "pregnant": "string"})
    arrow = pa.Table.from_pandas(plain.drop(columns="grown"), preserve_index=False)
    table: Any = pl.from_arrow(arrow) if library == "polars" else arrow
    filled = quick().fit(table).transform(table)
    assert type(filled) is type(table)
    assert filled.schema == table.schema
    back = filled.to_arrow() if library == "polars" else filled
    assert sum(column.null_count for column in back.columns) == 0


def test_dates_are_filled_with_dates() -> None:
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta((9 * BASE[:100]).round(), unit="D")
    table = pd.DataFrame({"day": days, "x": BASE[:100]})
    table.loc[::5, "day"] = pd.NaT
    filled = quick().fit(table).transform(table)
    assert filled["day"].dtype == table["day"].dtype
    assert filled["day"].notna().all()


# ---------------------------------------------------------------------------- how good it is


def test_it_fills_far_better_than_the_mean_and_the_mode(imputer: Imputer) -> None:
    filled = imputer.transform(NEW)
    for j, name in enumerate(("length", "weight", "age")):
        at = HIDDEN[:, j]
        missed = (filled[name] - NEW_WHOLE[name])[at]
        assert np.square(missed).mean() < 0.5 * WHOLE[name].var()
    wrong = (filled["size"].astype(str) != NEW_WHOLE["size"].astype(str))[HIDDEN[:, 3]].mean()
    assert wrong < 0.5


def test_with_all_else_missing_it_says_the_mean_and_the_mode() -> None:
    table = WHOLE[["length", "sex"]].assign(noise=np.random.default_rng(5).normal(size=N))
    filled = (
        quick().fit(table).transform(table.iloc[:1].assign(length=np.nan, sex=None, noise=np.nan))
    )
    assert float(filled["length"].iloc[0]) == pytest.approx(table["length"].mean(), abs=0.5)
    assert filled["sex"].iloc[0] == table["sex"].mode()[0]


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_hold_about_as_often_as_they_say(coverage: float) -> None:
    draws = np.random.default_rng(3)
    base = draws.normal(size=(2400, 1))
    rows = base + draws.normal(size=(2400, 4)) * np.array([0.3, 0.5, 1.0, 0.5])
    hidden = draws.random(rows.shape) < 0.2
    holes = np.where(hidden, np.nan, rows)
    found = quick().fit(holes[:1200]).intervals(holes[1200:], coverage)
    at = hidden[1200:]
    inside = (rows[1200:] >= found.low) & (rows[1200:] <= found.high)
    assert inside[at].mean() == pytest.approx(coverage, abs=0.05)
    assert_array_equal(found.low[~at], rows[1200:][~at])


def test_likely_levels_hold_the_true_one_about_as_often_as_said(imputer: Imputer) -> None:
    found = imputer.intervals(NEW, 0.9).levels
    assert set(found) == {"size", "sex", "grown", "pregnant"}
    held = []
    for j, name in enumerate(NEW):
        if name in found:
            for among, true, hidden in zip(found[name], NEW_WHOLE[name], HIDDEN[:, j], strict=True):
                assert (among is not None) == hidden
                held += [true in among] if among is not None else []
    assert np.mean(held) > 0.8


def test_draws_spread_as_errors_do() -> None:
    draws = np.random.default_rng(4)
    base = draws.normal(size=1600)
    rows = np.stack([base, base + 0.5 * draws.normal(size=1600)], 1)
    holes = rows.copy()
    holes[1200:, 1] = np.nan
    drawn = np.stack(quick().fit(holes[:1200]).sample(holes[1200:], 20))[:, :, 1]
    missed = rows[1200:, 1] - drawn.mean(0)
    assert np.sqrt(drawn.var(0).mean() / np.square(missed).mean()) == pytest.approx(1, abs=0.2)


def test_draws_of_a_row_go_together() -> None:
    """Two columns that say the same: whatever is drawn of the one is drawn of the other."""
    side = np.random.default_rng(6).choice(["left", "right"], 300)
    table = pd.DataFrame({"a": side, "b": side, "noise": np.random.default_rng(7).normal(size=300)})
    filler = quick(epochs=5).fit(table)
    empty = table[:60].assign(a=None, b=None)
    drawn = pd.concat(filler.sample(empty, 4))
    together = (drawn["a"] == drawn["b"]).mean()
    assert 0.2 < (drawn["a"] == "left").mean() < 0.8
    assert together > 0.65


def test_compare_says_what_is_better_and_by_how_much(imputer: Imputer) -> None:
    found = compare(imputer, NEW_WHOLE)
    methods = {row.method for row in found.rows}
    assert methods == {"this model", "the mean or mode", "KNNImputer", "IterativeImputer"}
    [mean] = [r.value for r in found.rows if r.method == "the mean or mode" and r.column is None]
    assert mean == pytest.approx(1)
    assert {row.column for row in found.rows} == {None, *NEW_WHOLE.columns}


def test_where_columns_say_nothing_of_each_other_the_mean_is_said_to_be_as_good() -> None:
    rows = np.random.default_rng(8).normal(size=(300, 4))
    found = quick().fit(rows[:200]).compare(rows[200:])
    assert found.plain_wins
    assert "simpler" in found.verdict or "wins" in found.verdict


# ---------------------------------------------------------------------------- the same every time


def test_the_same_seed_fills_to_the_bit_and_nothing_of_the_users_is_touched() -> None:
    np.random.seed(3)
    torch.manual_seed(3)
    before = random_numbers().copy(), torch.get_rng_state(), torch.get_num_threads()
    first, second = (quick().fit(TRAIN) for _ in range(2))
    assert_frame_equal(first.transform(NEW), second.transform(NEW))
    for one, other in zip(first.sample(NEW, 2), second.sample(NEW, 2), strict=True):
        assert_frame_equal(one, other)
    assert_array_equal(random_numbers(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == before[2]


def test_draws_differ_from_each_other_and_with_their_seed(imputer: Imputer) -> None:
    first, second = imputer.sample(NEW, 2)
    [other] = imputer.sample(NEW, 1, random_state=9)
    assert not first.equals(second)
    assert not first.equals(other)


def test_a_row_is_filled_the_same_alone_and_in_company(imputer: Imputer) -> None:
    whole = imputer.transform(NEW)
    for i in (0, 7, 63, 64, 99):
        alone = imputer.transform(NEW[i : i + 1])
        assert_frame_equal(alone, whole[i : i + 1])


def test_a_fit_that_was_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.tasks import imputer_fit

    whole = quick(epochs=2).fit(GAPPY)
    train: Any = vars(imputer_fit)["train"]
    calls: list[int] = []

    def stopped(*given: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*given, **options)

    monkeypatch.setattr(imputer_fit, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        quick(epochs=2, resume=tmp_path / "run").fit(GAPPY)
    assert (tmp_path / "run.0").is_file()
    again = quick(epochs=2, resume=tmp_path / "run").fit(GAPPY)
    assert_array_equal(again.transform(GAPPY), whole.transform(GAPPY))


# ---------------------------------------------------------------------------- bad input


def test_a_level_that_was_never_seen_stays_and_says_nothing(imputer: Imputer) -> None:
    strange = NEW.assign(sex=["x", *NEW["sex"][1:]])
    filled = imputer.transform(strange)
    assert filled["sex"].iloc[0] == "x"
    missing = imputer.transform(NEW.assign(sex=[None, *NEW["sex"][1:]]))
    assert_frame_equal(filled.drop(columns="sex"), missing.drop(columns="sex"))


def test_a_column_of_which_nothing_was_seen_stays_missing_and_is_named() -> None:
    rows = np.c_[GAPPY, np.full(60, np.nan)]
    with pytest.warns(UserWarning, match="no value of column 4 was ever seen"):
        found = quick().fit(rows)
    filled = found.transform(rows)
    assert np.isnan(filled[:, 4]).all()
    assert not np.isnan(filled[:, :4]).any()


def test_names_are_left_as_they_are() -> None:
    names = [f"person {i}" for i in range(300)]
    table = TRAIN.assign(name=names)
    table.loc[3, "name"] = None
    with pytest.warns(UserWarning, match="left out: name"):
        found = quick().fit(table)
    filled = found.transform(table)
    assert filled["name"].isna().sum() == 1
    assert not filled.drop(columns="name").isna().any(axis=None)


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "one row": (X[:1], DataError, "sample|row"),
    "few rows": (X[:5], DataError, "at least 8"),
    "no rows": (X[:0], DataError, "sample|row"),
    "no columns": (X[:, :0], DataError, "feature|column"),
    "nothing there": (np.full((20, 3), np.nan), EmptyError, "every cell"),
    "infinite": (np.where(X > 1, np.inf, X), DataError, "nfin"),
    "sparse": (sp.csr_matrix(X), DataError, "sparse"),
    "three dimensions": (np.zeros((20, 3, 3)), DataError, "dim"),
    "lists of unlike lengths": ([[1, 2], [3]], DataError, "shape|size|sequence"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_what_cannot_be_learned_from_is_refused_by_name(case: str) -> None:
    rows, error, words = BAD[case]
    with pytest.raises(error, match=words):
        quick().fit(rows)


def test_new_rows_that_cannot_be_filled_are_refused_by_name(imputer: Imputer) -> None:
    with pytest.raises(ColumnsError, match="'age'"):
        imputer.transform(NEW.drop(columns="age"))
    with pytest.raises(ColumnsError, match="held numbers"):
        imputer.transform(NEW.assign(age="old"))
    with pytest.raises(DataError, match="nfin"):
        imputer.transform(NEW.assign(age=np.inf))
    with pytest.raises(DataError):
        imputer.transform(NEW[:0])
    with pytest.raises(ShapeError, match="mask has shape"):
        imputer.transform(NEW, np.zeros((2, 2), bool))
    with pytest.raises(DataError, match="true and false"):
        imputer.transform(NEW, np.full(NEW.shape, 7))
    with pytest.raises(NotFittedError, match="Imputer"):
        Imputer().transform(X)


OPTIONS: dict[str, dict[str, Any]] = {
    "n_members": {"n_members": 1},
    "epochs": {"epochs": 0},
    "max_time": {"max_time": "soon"},
    "device": {"device": "abacus"},
    "random_state": {"random_state": "seed"},
    "resume": {"random_state": None, "resume": "x"},
}


@pytest.mark.parametrize("name", list(OPTIONS))
def test_options_out_of_range_are_refused_by_name(name: str) -> None:
    with pytest.raises(SpecError, match=name):
        Imputer(**OPTIONS[name]).fit(X)


def test_arguments_out_of_range_are_refused_by_name(imputer: Imputer) -> None:
    for coverage in (0, 1, 1.5, "most"):
        with pytest.raises(SpecError, match="coverage"):
            imputer.intervals(NEW, coverage)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="n must be"):
        imputer.sample(NEW, 0)
    with pytest.raises(SpecError, match="share"):
        imputer.compare(NEW, share=0)


HARD: dict[str, Any] = {
    "constant columns": np.c_[GAPPY, np.ones(60), np.where(GAPPY[:, 0] > 0, 2.0, np.nan)],
    "one column": GAPPY[:, :1],
    "rows without a value": np.vstack([GAPPY, np.full((3, 4), np.nan)]),
    "eight rows": GAPPY[:8],
    "more columns than rows": DRAWS.normal(size=(12, 40)),
    "very many columns": DRAWS.normal(size=(60, 3)) @ DRAWS.normal(size=(3, 200)) + GAPPY[:, :1],
    "equal columns": np.c_[GAPPY, GAPPY],
    "a value far beyond": np.where(np.arange(240).reshape(60, 4) == 30, 1e30, GAPPY),
    "tiny and huge units": GAPPY * np.array([1e-12, 1.0, 1e6, 1e12]),
    "nearly all missing": np.where(DRAWS.random((60, 4)) < 0.9, np.nan, X),
    "one level": pd.DataFrame({"a": ["x"] * 20 + [None] * 4, "b": np.arange(24.0)}),
    "many levels": pd.DataFrame({"a": [f"{i % 30}" for i in range(300)], "b": np.arange(300) % 30}),
    "true and false": pd.DataFrame({"a": [True, False, None] * 10, "b": np.arange(30.0)}),
}


@pytest.mark.parametrize("case", list(HARD))
def test_hard_tables_are_filled_with_what_is_within_their_range(case: str) -> None:
    rows = HARD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = quick().fit(rows)
        filled, drawn = found.transform(rows), found.sample(rows, 1)[0]
        bounds = found.intervals(rows)
    for table in (filled, drawn):
        frame, before = pd.DataFrame(table), pd.DataFrame(rows)
        assert not frame.isna().any(axis=None)
        for name in frame:
            if before[name].dtype.kind == "f":
                low, high = before[name].min(), before[name].max()
                room = 1e-5 * max(abs(low), abs(high), 1e-30)
                assert frame[name].between(low - room, high + room).all()
    low, high = (pd.DataFrame(end).select_dtypes("number") for end in (bounds.low, bounds.high))
    assert (low.to_numpy() <= high.to_numpy()).all()
