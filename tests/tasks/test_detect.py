"""Anomalies: found, at a rate of false alarms that is kept, and with reasons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from isthmus import AnomalyDetector, Autoencoder
from isthmus.core.errors import (
    ColumnsError,
    DataError,
    NotFittedError,
    SpecError,
    TrainingError,
)
from isthmus.tasks import detect
from isthmus.tasks.members import MEMBERS
from isthmus.tasks.reasons import Reason
from isthmus.tasks.strangeness import STRANGER
from isthmus.training.views import cut

Array = NDArray[Any]
UNITS = np.array([1.0, 1000.0, 0.001, 10.0, 1.0])
ZERO = np.array([0.0, 5000.0, 0.0, 0.0, -3.0])


def ordinary(n: int, seed: int = 0) -> Array:
    """Five columns of their own units, of which two hidden numbers decide."""
    random = np.random.default_rng(seed)
    turned = np.array([[1.0, 0.5, -1.0, 0.3, 0.8], [0.2, -1.0, 0.4, 1.0, 0.7]])
    rows = random.normal(size=(n, 2)) @ turned + 0.3 * random.normal(size=(n, 5))
    return rows * UNITS + ZERO


def crossed(n: int, seed: int = 0) -> Array:
    """Rows with values as usual, each of another row."""
    return np.random.default_rng(seed).permuted(ordinary(n, seed), axis=0)


def quick(**options: Any) -> AnomalyDetector:
    return AnomalyDetector(**{"epochs": 2, **options})


@cache
def fitted(n: int = 400, seed: int = 0) -> AnomalyDetector:
    return quick().fit(ordinary(n, seed))


# ------------------------------------------------------------------ scores


def test_ordinary_rows_have_higher_scores_than_others() -> None:
    X = np.vstack([ordinary(500, 1), crossed(500, 2)])
    scores = fitted().score_samples(X)
    assert roc_auc_score(np.repeat([1, 0], 500), scores) > 0.9


def test_the_further_a_row_is_moved_the_lower_its_score() -> None:
    steps = np.arange(0, 20, 2)
    moved = np.repeat(ordinary(1, 3), len(steps), axis=0)
    moved[:, 1] += steps * UNITS[1]
    assert (np.diff(fitted().score_samples(moved)) < 0).all()


def grid(n: int, seed: int) -> Array:
    """Rows of few values, so that many are equally far from many."""
    return np.random.default_rng(seed).integers(0, 2, size=(n, 17)) / 3


def gappy(n: int, seed: int) -> Array:
    rows = ordinary(n, seed)
    rows[np.random.default_rng(seed).random(rows.shape) < 0.2] = np.nan
    return rows


@pytest.mark.parametrize("kind", [ordinary, grid, gappy])
def test_a_row_is_scored_to_the_bit_whatever_else_is_passed_and_in_any_order(
    kind: Callable[[int, int], Array],
) -> None:
    known = kind(250, 27)
    if kind is grid:
        known = np.vstack([known, -known])
    detector = quick().fit(known)
    X = np.vstack([kind(60, 1), known[:20], kind(60, 2) + 0.1])
    scores, blame = detector.score_samples(X), detector.explain_scores(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert_array_equal(detector.score_samples(X[order]), scores[order])
    assert_array_equal([detector.score_samples(row[None])[0] for row in X[::2]], scores[::2])
    assert_array_equal(detector.score_samples(np.vstack([kind(3000, 3), X]))[3000:], scores)
    assert_array_equal(detector.score_samples(np.repeat(X, 2, axis=0))[::2], scores)
    assert_array_equal(detector.score_samples(np.asfortranarray(X)), scores)
    assert_array_equal(detector.explain_scores(X[order]), blame[order])


def test_the_same_seed_gives_the_same_detector_to_the_bit_and_another_seed_another(
    tmp_path: Path,
) -> None:
    found = []
    for seed in (3, 3, 4):
        detector = quick(random_state=seed).fit(ordinary(60))
        detector.save(tmp_path / "d")
        weights = (tmp_path / "d" / "model.safetensors").read_bytes()
        found.append((weights, detector.weights_, detector.offset_))
    one, same, other = found
    assert one == same
    assert all(a != b for a, b in zip(one, other, strict=True))


def test_rows_fitted_on_are_scored_as_by_the_others() -> None:
    """Or they would seem more ordinary than they are, lying where they lie."""
    known, new = fitted().score_samples(ordinary(400)), fitted().score_samples(ordinary(3000, 1))
    assert ks_2samp(known, new).statistic < 0.1
    assert 0.05 < (fitted().pvalues(ordinary(400)) <= 0.1).mean() < 0.15


def test_rows_fitted_on_are_known_by_their_numbers_and_others_are_strangers() -> None:
    references = fitted().references_
    rows = references.looked.rows
    assert_array_equal(references.numbers(rows[::-1]), np.arange(len(rows))[::-1])
    assert (references.numbers(np.nextafter(rows, np.float32(9))) == STRANGER).all()
    constant = quick().fit(np.c_[ordinary(40), np.ones(40)]).references_
    rows = constant.looked.rows.copy()
    assert not rows[:, 5].any()
    rows[:, 5] = -0.0
    assert_array_equal(constant.numbers(rows), np.arange(40))


def test_a_member_learns_nothing_of_the_rows_that_it_answers_for() -> None:
    """Two rows change places; what they are on the whole stays to the bit."""
    signs = np.sign(np.random.default_rng(0).normal(size=(100, 6)))
    X = np.vstack([signs, -signs])
    folds = cut(len(X), MEMBERS, detect.MOST_ROWS, np.random.default_rng(0))
    own = np.flatnonzero(folds == 2)
    i, j = own[0], next(j for j in own[1:] if (X[j] != X[own[0]]).any())
    changed = X.copy()
    changed[[i, j]] = X[[j, i]]
    one, other = quick().fit(X), quick().fit(changed)
    codes = [[member.transform(X) for member in each.model_.members_] for each in (one, other)]
    assert_array_equal(one.references_.folds, folds)
    same = [np.array_equal(ours, theirs) for ours, theirs in zip(*codes, strict=True)]
    assert same == [False, False, True, False]


# ------------------------------------------------------------------ rates


@pytest.mark.parametrize(("rate", "band"), [(0.01, 0.008), (0.05, 0.02), (0.1, 0.03)])
def test_false_alarms_are_as_many_as_was_asked_for(rate: float, band: float) -> None:
    """Over four fits of 400 rows, about three standard errors of the rows that calibrate."""
    found = [
        (fitted(400, seed).pvalues(ordinary(2000, 100 + seed)) <= rate).mean() for seed in range(4)
    ]
    assert abs(np.mean(found) - rate) < band


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.25])
def test_alarms_are_the_rows_whose_pvalue_is_at_most_the_rate(rate: float) -> None:
    detector = quick(false_alarms=rate).fit(ordinary(200))
    X = np.vstack([ordinary(400), crossed(400), ordinary(400, 1)])
    alarms = detector.predict(X) == -1
    assert_array_equal(alarms, detector.pvalues(X) <= rate)
    assert_array_equal(alarms, detector.decision_function(X) < 0)
    assert_array_equal(alarms, detector.score_samples(X) < detector.offset_)
    assert set(detector.predict(X)) == {-1, 1}


def test_pvalues_are_above_nothing_and_at_most_one_and_fall_with_the_score() -> None:
    X = np.vstack([ordinary(300, 1), crossed(300), ordinary(50, 2) * 1e6])
    order = np.argsort(fitted().score_samples(X))
    pvalues = fitted().pvalues(X)[order]
    assert ((pvalues > 0) & (pvalues <= 1)).all()
    assert (np.diff(pvalues) >= 0).all()
    alike = quick().fit(np.ones((40, 3)))  # and what differs from them is as strange as can be
    assert (alike.pvalues(np.zeros((3, 3))) > 0).all()


@pytest.mark.parametrize("fdr", [0.1, 0.3])
def test_of_the_selected_rows_no_larger_share_is_ordinary_than_was_asked_for(fdr: float) -> None:
    wrong, missed = [], []
    for seed in range(40):
        strange = ordinary(20, seed)
        strange[:, 3] += 8 * UNITS[3]
        found = fitted(400, seed % 4).select(np.vstack([ordinary(180, 100 + seed), strange]), fdr)
        wrong.append(found[:180].sum() / max(found.sum(), 1))
        missed.append(1 - found[180:].mean())
    assert np.mean(wrong) < fdr + 0.04
    assert np.mean(wrong) > fdr / 4, "nothing is risked"
    assert np.mean(missed) < 0.2


def test_from_eight_rows_on_false_alarms_are_no_more_than_was_asked_for() -> None:
    found = [
        quick().fit(ordinary(8, seed)).pvalues(ordinary(300, 100 + seed)) <= 0.1
        for seed in range(8)
    ]
    assert np.mean(found) < 0.1


def test_obvious_anomalies_are_selected_even_after_forty_rows() -> None:
    """By ranks alone no p-value would be below 1 in 41."""
    strange = ordinary(5, 7) + 20 * UNITS
    found = fitted(40).select(np.vstack([ordinary(100, 1), strange]), fdr=0.1)
    assert found[100:].all()
    assert found[:100].sum() <= 3


def test_of_ordinary_rows_few_are_selected() -> None:
    assert np.mean([fitted().select(ordinary(200, seed)).any() for seed in range(20)]) < 0.4


# ------------------------------------------------------------------ contamination


def among_others(share: float, n: int = 300) -> tuple[Array, NDArray[np.bool_]]:
    """Rows of which a share is strange in one and the same way."""
    many = round(share * n)
    random = np.random.default_rng(5)
    alike = ordinary(1) + UNITS * ([4, 4, 4, -4, 0] + 0.3 * random.normal(size=(many, 5)))
    return np.vstack([ordinary(n - many), alike]), np.arange(n) >= n - many


@cache
def aware(share: Any) -> AnomalyDetector:
    return quick(contamination=share).fit(among_others(0.1)[0])


@pytest.mark.parametrize("share", [0.02, 0.1, np.float32(0.3), 0.5])
def test_of_the_rows_fitted_on_the_share_that_was_said_is_called_anomalies(share: float) -> None:
    X, _ = among_others(0.1)
    alarms = aware(share).predict(X) == -1
    assert abs(alarms.sum() - share * len(X)) <= 1


def test_anomalies_that_are_alike_are_found_among_the_rows_fitted_on() -> None:
    X, strange = among_others(0.1)
    detector = aware(0.1)
    assert (detector.predict(X)[strange] == -1).mean() > 0.9
    found = roc_auc_score(strange, -detector.score_samples(X))
    unaware = roc_auc_score(strange, -quick().fit(X).score_samples(X))
    assert found > 0.98 > unaware


def test_anomalies_are_found_where_it_is_not_known_how_many_there_are() -> None:
    X, strange = among_others(0.1)
    detector = aware("auto")
    assert roc_auc_score(strange, -detector.score_samples(X)) > 0.98
    assert_array_equal(detector.predict(X) == -1, detector.pvalues(X) <= 0.01)


def test_of_eight_rows_of_which_half_may_be_anomalies_four_are_compared_with() -> None:
    detector = quick(contamination=0.5).fit(ordinary(8))
    assert detector.kept_.sum() == 4
    assert (detector.predict(ordinary(8)) == -1).sum() == 4


@pytest.mark.parametrize("share", [0.1, "auto"])
def test_rows_are_not_compared_with_anomalies(share: Any) -> None:
    X, strange = among_others(0.1)
    detector = aware(share)
    compared = detector.kept_[detector.references_.numbers(next(looked(detector, X)))]
    assert not compared[strange].any()
    assert compared[~strange].mean() > 0.6


@pytest.mark.parametrize("share", [0.1, "auto"])
def test_where_anomalies_are_among_the_rows_fitted_on_pvalues_are_shares_of_all(share: Any) -> None:
    X, strange = among_others(0.1)
    pvalues = aware(share).pvalues(X)
    assert 0.06 < (pvalues <= 0.1).mean() < 0.14
    assert np.median(pvalues[strange]) < 0.1 < np.median(pvalues[~strange])


def looked(detector: AnomalyDetector, X: Array) -> Iterator[Array]:
    """The rows as they are compared."""
    for _, found in detector.references_.look(detector.model_._batch(X)[0]):
        yield found.rows


# ------------------------------------------------------------------ reasons


def test_a_column_that_was_moved_is_blamed_and_named_first() -> None:
    random = np.random.default_rng(0)
    X, columns = ordinary(100, 1), random.integers(5, size=100)
    signs = random.choice([-1, 1], size=100)
    moved = X.copy()
    moved[np.arange(100), columns] += 5 * signs * UNITS[columns]
    assert (fitted().explain_scores(moved).argmax(1) == columns).mean() > 0.9
    first = [row[0] for row in fitted().reasons(moved)]
    right = np.array([reason.column for reason in first]) == [f"column {j}" for j in columns]
    assert right.mean() > 0.9
    before, after = X[np.arange(100), columns], moved[np.arange(100), columns]
    assert_array_equal(np.array([reason.value for reason in first])[right], after[right])
    away = np.abs([reason.expected for reason in first] - before) / UNITS[columns]
    assert np.median(away[right]) < 0.6, "what is expected is what was there before"


@pytest.mark.parametrize("share", [None, 0.2])
def test_what_is_expected_is_told_by_ordinary_rows_like_the_one_that_is_not(
    share: float | None,
) -> None:
    strange = ordinary(60, 5) + 10 * UNITS
    detector = quick(contamination=share).fit(
        ordinary(240) if share is None else np.vstack([ordinary(100), strange, ordinary(140, 6)])
    )
    X = ordinary(60, 1)
    moved = X.copy()
    moved[:, 1] += 9 * UNITS[1]
    told = {
        i: r for i, row in enumerate(detector.reasons(moved)) for r in row if r.column[-1] == "1"
    }
    assert len(told) > 50
    away = [abs(reason.expected - X[i, 1]) / UNITS[1] for i, reason in told.items()]
    assert np.median(away) < 0.6


def test_reasons_are_words_in_the_units_of_the_user() -> None:
    names = ["pressure", "volume", "leak", "heat", "flow"]
    frame = pd.DataFrame(ordinary(200), columns=names)
    detector = quick().fit(frame)
    row = pd.DataFrame(ordinary(1, 1), columns=names)
    row["volume"] = 25_000.0
    first = detector.reasons(row)[0][0]
    assert (first.column, first.value) == ("volume", 25_000.0)
    assert abs(first.expected - 5000) < 3000
    assert first.spread is not None
    assert 50 < first.spread < 1500
    assert first.blame == detector.explain_scores(row)[0, 1] > 1
    assert re.fullmatch(r"volume 25000, expected [34567]\d\d\d ± \d+", str(first))


@pytest.mark.parametrize(
    ("value", "expected", "spread", "words"),
    [
        (9.1, 4.2, 0.3, "9.1, expected 4.2 ± 0.3"),
        (123456.7, 25000.4, 1234.5, "123457, expected 25000 ± 1200"),
        (0.123456, 999.96, 99.9, "0.1235, expected 1000 ± 100"),
        (2e6, -1234.6, 1.5e7, "2e+06, expected -1235 ± 1.5e+07"),
        (25000, 7, None, "25000, expected 7"),
        (None, 25000.0, 20.0, "missing, expected 25000"),
        (
            datetime(2020, 1, 24, 2, 13, 59, 86119),
            pd.Timestamp("2020-01-25 00:00:00.000000001"),
            None,
            "2020-01-24 02:13:59, expected 2020-01-25",
        ),
        (pd.Timestamp("2020-01-24"), date(2020, 1, 25), None, "2020-01-24, expected 2020-01-25"),
        (time(2, 13, 59, 86119), time(2), None, "02:13:59, expected 02:00:00"),
        (
            timedelta(days=1, seconds=2.4),
            timedelta(milliseconds=86.119),
            None,
            "1 day, 0:00:02, expected 0.08612 s",
        ),
    ],
)
def test_numbers_and_times_are_told_as_exactly_as_it_takes(
    value: Any, expected: Any, spread: float | None, words: str
) -> None:
    assert str(Reason("at", value, expected, spread, 1.0)) == f"at {words}"


def test_no_more_columns_are_named_than_asked_for_the_worst_first() -> None:
    X = crossed(30)
    for most in (1, 2, 5):
        found = fitted().reasons(X, most)
        assert max(len(row) for row in found) == most
        for row in found:
            assert [reason.blame for reason in row] == sorted((r.blame for r in row), reverse=True)
    assert [row[:1] for row in fitted().reasons(X, 5)] == fitted().reasons(X, 1)


def test_what_is_expected_of_a_row_fitted_on_is_what_the_others_have() -> None:
    X = ordinary(30)
    X[7, 3] = 1e6
    first = quick().fit(X).reasons(X[[7]])[0][0]
    assert (first.column, first.value) == ("column 3", 1e6)
    assert abs(first.expected) < 100


@pytest.mark.parametrize(
    ("form", "dtype"),
    [
        *((np.asarray, dtype) for dtype in (float, int, bool, np.float32)),
        (sp.csr_array, float),
        (sp.coo_array, int),
    ],
)
def test_values_are_told_as_they_were_written(form: Any, dtype: Any) -> None:
    random = np.random.default_rng(0)
    X = random.integers(0, 2 if dtype is bool else 4, size=(80, 6)).astype(dtype)
    detector = quick().fit(form(X))
    told = [(i, r) for i, row in enumerate(detector.reasons(form(X[:20]), 6)) for r in row]
    assert len(told) > 20
    for i, reason in told:
        assert reason.value == X[i, int(reason.column.removeprefix("column "))]


@pytest.mark.filterwarnings("ignore:left out")
def test_columns_without_a_place_are_blamed_for_nothing() -> None:
    frame = pd.DataFrame(ordinary(60))
    frame.columns = [*"abcde"]
    frame.insert(1, "note", [f"seen by {i}, at noon" for i in range(60)])
    detector = quick().fit(frame)
    blame = detector.explain_scores(frame)
    assert blame.shape == (60, 6)
    assert not blame[:, 1].any()
    assert blame[:, [0, 2, 3, 4, 5]].any(0).all()
    assert "note" not in {reason.column for row in detector.reasons(frame) for reason in row}


# ------------------------------------------------------------------ tables as they are


def machines(n: int, seed: int = 0, gaps: float = 0.0) -> pd.DataFrame:
    """What kind they are decides how warm they are; ``colour`` is of no account."""
    random = np.random.default_rng(seed)
    kind, hidden = random.integers(3, size=n), random.normal(size=n)
    found = pd.DataFrame(
        {
            "kind": pd.Categorical(np.array(["pump", "fan", "press"])[kind]),
            "heat": 40.0 + 10 * kind + 5 * hidden,
            "runs": (100 * np.exp(0.5 * hidden) * (kind + 1)).astype(np.int64),
            "old": hidden > 0.3,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta((30 * hidden).round(), unit="D"),
            "colour": random.choice(["red", "blue"], size=n),
        }
    )
    for name in ("heat", "since") if gaps else ():
        found.loc[random.random(n) < gaps, name] = None
    return found


@cache
def watching() -> AnomalyDetector:
    return AnomalyDetector(epochs=4).fit(machines(200, gaps=0.1))


CHANGES: dict[str, tuple[Any, str]] = {
    "heat": (190.0, r"heat 190, expected \d\d(\.\d+)? ± .*"),
    "runs": (9000, r"runs 9000, expected \d+(\.\d+)? ± .*"),
    "since": (
        pd.Timestamp("2023-05-01"),
        r"since 2023-05-01, expected 20(19|20)-\d\d-\d\d",
    ),
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_cell_that_does_not_belong_is_found_and_named_in_a_mixed_table(name: str) -> None:
    value, words = CHANGES[name]
    rows = machines(10, seed=1)
    rows.loc[4, name] = value
    pvalues = watching().pvalues(rows)
    assert pvalues.argmin() == 4
    assert pvalues[4] < 0.01
    assert re.fullmatch(words, str(watching().reasons(rows)[4][0]))


def test_a_level_that_does_not_go_with_the_others_is_named() -> None:
    rows = machines(300, seed=1)
    rows = rows[(rows["since"] - pd.Timestamp("2020-01-09")).abs() > pd.Timedelta(20, "D")].head(9)
    before = rows["old"].tolist()
    rows["old"] = ~rows["old"]
    first = [row[0] for row in watching().reasons(rows)]
    assert {reason.column for reason in first} == {"old"}
    assert [reason.value for reason in first] == [not old for old in before]
    assert [reason.expected for reason in first] == before
    assert {reason.spread for reason in first} == {None}
    assert str(first[0]) == f"old {not before[0]}, expected {before[0]}"


def test_a_level_that_was_never_seen_is_named_as_it_was_written_and_a_gap_is_said_to_be_one() -> (
    None
):
    rows = machines(12, seed=2)
    for value, words in (("mauve", "mauve, expected (red|blue)"), (None, "missing.*")):
        rows["colour"] = value
        told = [str(r) for row in watching().reasons(rows, 6) for r in row if r.column == "colour"]
        assert told
        assert all(re.fullmatch(f"colour {words}", each) for each in told)


@pytest.mark.parametrize(("column", "levels"), [("colour", 2), ("kind", 3)])
def test_a_level_that_was_never_seen_is_as_far_from_each_that_was_as_those_are_from_each_other(
    column: str, levels: int
) -> None:
    detector, rows = watching(), machines(5, seed=2)
    own = detector._owners() == list(rows).index(column)
    known = np.unique(detector.references_.looked.rows[:, own], axis=0)
    assert len(known) == levels
    assert np.linalg.norm(known[0] - known[1]) == pytest.approx(2**0.5)
    rows[column] = "never seen"
    for place in next(looked(detector, rows))[:, own]:
        np.testing.assert_allclose(np.linalg.norm(known - place, axis=1), 2**0.5, rtol=1e-6)


@pytest.mark.parametrize("column", ["colour", "kind"])
@pytest.mark.parametrize("form", [pd.DataFrame, pl.from_pandas])
def test_a_level_that_was_never_seen_makes_a_row_strange_and_is_to_blame(
    column: str, form: Any
) -> None:
    rows = machines(100, seed=5)
    before = watching().pvalues(rows)
    rows[column] = "never seen"
    detector, X = watching(), form(rows)
    assert (detector.score_samples(X) < detector.score_samples(form(machines(100, seed=5)))).all()
    assert np.median(detector.pvalues(X)) < 0.03 < 0.3 < np.median(before)
    blame = detector.explain_scores(X).argmax(1) == list(rows).index(column)
    assert blame.mean() > 0.9
    told = [str(row[0]) for row in detector.reasons(X) if row[0].column == column]
    assert len(told) > 90
    assert all(words.startswith(f"{column} never seen, expected ") for words in told)


def test_a_missing_level_makes_no_row_strange() -> None:
    rows = machines(300, seed=5)
    rows["colour"] = None
    assert (watching().pvalues(rows) <= 0.05).mean() < 0.15


def test_levels_that_are_numbers_or_objects_are_told_from_those_never_seen() -> None:
    random = np.random.default_rng(0)
    words = np.array([[random.choice(["a", "b"]), random.normal()] for _ in range(80)], object)
    codes = pd.DataFrame({"code": pd.Categorical(random.choice([3, 7], 80)), "x": words[:, 1]})
    codes["x"] = codes["x"].astype(float)
    for rows, value in ((words, "c"), (codes, 5)):
        changed = rows.copy()
        if isinstance(changed, pd.DataFrame):
            changed["code"] = value
        else:
            changed[:, 0] = value
        detector = quick().fit(rows)
        assert np.median(detector.pvalues(changed)) < 0.05 < np.median(detector.pvalues(rows))
        assert str(detector.reasons(changed)[0][0]).split(", ")[0].endswith(f" {value}")


def test_a_level_that_came_with_an_update_is_ordinary_from_then_on() -> None:
    detector = quick().fit(machines(100))
    new, others = machines(60, seed=3), machines(60, seed=4)
    new["colour"] = others["colour"] = "green"
    assert np.median(detector.pvalues(others)) < 0.1
    detector.update(new)
    assert np.median(detector.pvalues(others)) > 0.2


def test_a_level_that_a_given_model_has_never_seen_is_ordinary_where_it_was_fitted_on() -> None:
    model = Autoencoder(2, epochs=1).fit(machines(100, seed=9))
    rows, red = machines(100), machines(60, seed=4)
    rows.loc[rows["colour"] == "blue", "colour"] = "green"
    detector = AnomalyDetector(model=model).fit(rows)
    green = red.copy()
    red["colour"], green["colour"] = "red", "green"
    assert 0.2 < np.median(detector.pvalues(green)) < 0.8
    assert 0.2 < np.median(detector.pvalues(red)) < 0.8


def test_polars_and_pandas_and_columns_in_another_order_are_scored_alike() -> None:
    rows = machines(40, seed=3, gaps=0.2)
    scores, told = watching().score_samples(rows), watching().reasons(rows)
    assert_array_equal(watching().score_samples(rows[rows.columns[::-1]]), scores)
    assert str(watching().reasons(rows[rows.columns[::-1]])) == str(told)
    assert_array_equal(watching().score_samples(pl.from_pandas(rows)), scores)
    theirs = watching().reasons(pl.from_pandas(rows))
    assert [[r.column for r in row] for row in theirs] == [[r.column for r in row] for row in told]


@pytest.mark.parametrize("column", range(5))
def test_a_gap_where_rows_fitted_on_had_none_makes_an_ordinary_row_no_stranger(column: int) -> None:
    """It is filled with what the other columns say of it, not with a mean."""
    X = ordinary(1000, 1)
    X[:, column] = np.nan
    assert 0.02 < (fitted().pvalues(X) <= 0.05).mean() < 0.08


def test_gaps_do_not_change_how_many_false_alarms_there_are() -> None:
    found = watching().pvalues(machines(1000, seed=4, gaps=0.1)) <= 0.1
    assert 0.03 < found.mean() < 0.2


def counts(n: int = 80) -> Any:
    return sp.random_array((n, 12), density=0.3, rng=np.random.default_rng(0), format="csr")


TABLES: dict[str, Callable[[], Any]] = {
    "a constant column": lambda: np.c_[ordinary(60), np.ones(60)],
    "constant columns alone": lambda: np.ones((40, 3)),
    "a column twice": lambda: np.c_[ordinary(60), ordinary(60)],
    "rows six times": lambda: np.repeat(ordinary(10), 6, axis=0),
    "one row often": lambda: np.vstack([np.repeat(ordinary(1), 50, axis=0), ordinary(10, 2)]),
    "heavy tails": lambda: np.random.default_rng(0).standard_cauchy((120, 4)),
    "eleven rows": lambda: ordinary(11),
    "ten rows": lambda: ordinary(10),
    "nine rows": lambda: ordinary(9),
    "eight rows": lambda: ordinary(8),
    "300 columns": lambda: np.random.default_rng(0).normal(size=(8, 300)),
    "one column": lambda: ordinary(60)[:, :1],
    "two values": lambda: (ordinary(60)[:, :1] > 0).astype(float),
    "single precision": lambda: ordinary(60).astype(np.float32),
    "whole numbers": lambda: (ordinary(60) / UNITS).astype(int),
    "yes and no": lambda: ordinary(60) > ZERO,
    "gaps": lambda: gappy(60, 0),
    "a column of gaps": lambda: np.where(np.arange(5) == 2, np.nan, gappy(60, 0)),
    "a row of gaps": lambda: np.vstack([gappy(60, 0), np.full((1, 5), np.nan)]),
    "large numbers": lambda: ordinary(60) * 1e30,
    "small numbers": lambda: ordinary(60) * 1e-30,
    "far from zero": lambda: ordinary(60) + 1e9,
    "sparse": counts,
    "lists": lambda: ordinary(30).tolist(),
    "words": lambda: np.array([["a", 1.0], ["b", 2.0], ["c", None]] * 15, dtype=object),
    "dates": lambda: machines(40, gaps=0.1),
    "dates of polars": lambda: pl.from_pandas(machines(40, gaps=0.1)),
}


SHARES = dict.fromkeys(TABLES) | {
    f"anomalies in {name}": 0.3
    for name in ("eight rows", "eleven rows", "a constant column", "one row often", "sparse")
}


@pytest.mark.parametrize("name", list(SHARES))
def test_any_table_is_scored_and_explained(name: str) -> None:
    X = TABLES[name.removeprefix("anomalies in ")]()
    n = len(X) if isinstance(X, list) else X.shape[0]
    detector = quick(epochs=1, contamination=SHARES[name]).fit(X)
    scores, pvalues, blame = (
        answer(X) for answer in (detector.score_samples, detector.pvalues, detector.explain_scores)
    )
    assert scores.shape == pvalues.shape == detector.predict(X).shape == (n,)
    assert np.isfinite(scores).all()
    assert ((pvalues > 0) & (pvalues <= 1)).all()
    assert blame.shape == (n, detector.n_features_in_)
    assert np.isfinite(blame).all()
    told = detector.reasons(X)
    assert len(told) == n
    assert all(np.isfinite(reason.blame) and str(reason) for row in told for reason in row)


@pytest.mark.parametrize("form", ["csc", "coo", "dense"])
def test_sparse_rows_of_every_form_have_the_same_scores(form: str) -> None:
    detector = quick().fit(counts())
    rows = counts(30)
    other = rows.toarray() if form == "dense" else rows.asformat(form)
    assert_array_equal(detector.score_samples(other), detector.score_samples(rows))


def test_heavy_tails_do_not_multiply_false_alarms() -> None:
    random = np.random.default_rng(0)
    detector = quick().fit(random.standard_cauchy((300, 4)))
    found = detector.pvalues(random.standard_cauchy((3000, 4))) <= 0.05
    assert 0.015 < found.mean() < 0.11


@pytest.mark.parametrize("value", [1e5, 1e30, -1e300])
@pytest.mark.parametrize("columns", [1, 5])
def test_a_cell_however_far_beyond_all_others_is_found_and_blinds_nobody_to_its_column(
    value: float, columns: int
) -> None:
    """Training gives no warning either, which would fail the test."""
    X, rows = ordinary(60)[:, :columns], ordinary(200, 1)[:, :columns]
    wild, moved = X.copy(), rows.copy()
    wild[7, 0] = value
    moved[:, 0] += 30
    detector = quick().fit(wild)
    pvalues = detector.pvalues(wild)
    assert pvalues.argmin() == 7
    assert pvalues[7] < 0.01
    assert detector.reasons(wild[[7]])[0][0][:2] == ("column 0", value)
    assert np.median(detector.pvalues(moved)) < 0.1 < 0.4 < np.median(detector.pvalues(rows))
    for other in (1e5, 1e30, -1e300):
        rows[0, 0] = other
        assert detector.pvalues(rows)[0] < 0.1


def test_a_single_column_that_is_nearly_always_the_same_gives_no_warning() -> None:
    detector = quick().fit(np.where(np.arange(60) == 7, 2.0, 1.0)[:, None])
    assert detector.pvalues([[1.0], [2.0]])[1] < 0.05


def test_of_many_rows_some_are_compared_with_and_all_are_scored_as_unseen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detect, "MOST_ROWS", 250)
    monkeypatch.setattr(detect, "MOST_REFERENCES", 200)
    X = ordinary(800)
    detector = quick().fit(X)
    assert len(detector.references_.folds) == 200
    known = detector.references_.numbers(detector.references_.looked.rows)
    assert_array_equal(known, np.arange(200))
    assert 0.04 < (detector.pvalues(X) <= 0.1).mean() < 0.18


# ------------------------------------------------------------------ interrupted


def test_a_fit_goes_on_from_its_state_to_the_same_detector_and_refuses_that_of_another(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    expected = quick().fit(ordinary(60)).score_samples(ordinary(20, 1))
    for _ in range(2):
        detector = quick(resume=state).fit(ordinary(60))
        assert state.is_file()
        assert_array_equal(detector.score_samples(ordinary(20, 1)), expected)
    with pytest.raises(TrainingError, match="of other data or other settings"):
        quick(resume=state).fit(ordinary(61))


# ------------------------------------------------------------------ models that are there


def test_a_fitted_model_is_used_and_stays_as_it_was(tmp_path: Path) -> None:
    model = Autoencoder(2, epochs=3).fit(ordinary(300, 9))
    before = model.save(tmp_path / "m")
    detector = AnomalyDetector(model=model).fit(ordinary(300))
    assert detector.model_ is model
    assert model.save(tmp_path / "m") == before
    assert 0.02 < (detector.pvalues(ordinary(1500, 1)) <= 0.05).mean() < 0.1
    X = np.vstack([ordinary(300, 1), crossed(300)])
    assert roc_auc_score(np.repeat([1, 0], 300), detector.score_samples(X)) > 0.85


def test_a_saved_model_is_used_by_its_folder(tmp_path: Path) -> None:
    model = Autoencoder(2, epochs=3).fit(ordinary(100, 9))
    model.save(tmp_path / "m")
    expected = AnomalyDetector(model=model).fit(ordinary(80)).score_samples(ordinary(20, 1))
    for folder in (tmp_path / "m", str(tmp_path / "m")):
        detector = AnomalyDetector(model=folder).fit(ordinary(80))
        assert_array_equal(detector.score_samples(ordinary(20, 1)), expected)


@pytest.mark.parametrize("members", [2, 3, 7])
def test_several_fitted_models_are_used_together(members: int) -> None:
    model = Autoencoder(2, epochs=2, n_members=members).fit(ordinary(100, 9))
    detector = AnomalyDetector(model=model).fit(ordinary(150))
    assert set(detector.references_.folds) == set(range(members))
    assert 0.01 < (detector.pvalues(ordinary(1500, 1)) <= 0.05).mean() < 0.12


# ------------------------------------------------------------------ more rows


def test_further_rows_are_ordinary_from_then_on_and_members_stay(tmp_path: Path) -> None:
    other = ordinary(150, 3) + np.array([0, 8000, 0, 0, 0])
    detector = quick().fit(ordinary(150))
    weights = detector.model_.save(tmp_path / "before")
    assert np.median(detector.pvalues(other[100:])) < 0.01
    detector.update(other[:100])
    assert len(detector.references_.folds) == 250
    assert np.median(detector.pvalues(other[100:])) > 0.1
    assert detector.model_.save(tmp_path / "after") == weights
    assert 0.01 < (detector.pvalues(other[:100]) <= 0.1).mean() < 0.3


def test_rows_that_are_known_are_not_added_again() -> None:
    detector = quick().fit(ordinary(100))
    before = detector.score_samples(ordinary(50, 1))
    detector.update(ordinary(100))
    assert len(detector.references_.folds) == 100
    assert_array_equal(detector.score_samples(ordinary(50, 1)), before)


def test_no_more_rows_are_compared_with_however_many_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "MOST_REFERENCES", 120)
    detector = quick().fit(ordinary(100))
    detector.update(ordinary(100, 1)).update(ordinary(100, 2))
    assert len(detector.references_.folds) == 120


def test_anomalies_among_further_rows_are_left_out_where_some_are_expected() -> None:
    X, _ = among_others(0.1)
    detector = quick(contamination=0.1).fit(X)
    detector.update(np.vstack([ordinary(20, 1), ordinary(30, 2) + 20 * UNITS]))
    assert 310 <= len(detector.references_.folds) <= 320


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"false_alarms": 0}, r"false_alarms must be above 0 and at most 0\.5, got 0"),
        ({"false_alarms": 2}, "false_alarms must be above 0"),
        ({"false_alarms": float("nan")}, "false_alarms must be above 0"),
        ({"false_alarms": "x"}, "false_alarms must be a number, got 'x'"),
        ({"contamination": 0.9}, r"contamination must be above 0 and at most 0\.5, got 0\.9"),
        ({"contamination": 0}, "contamination must be above 0"),
        ({"contamination": "some"}, "contamination must be .* got 'some'"),
        ({"model": 3}, "model must be a fitted Autoencoder"),
        ({"model": Autoencoder}, "model must be a fitted Autoencoder"),
        ({"epochs": "many"}, "epochs must be a whole number"),
        ({"max_time": "soon"}, "max_time must be seconds"),
        ({"device": "abacus"}, "device 'abacus' is not available"),
        ({"random_state": "x"}, "random_state must be"),
    ],
)
def test_wrong_parameters_are_refused_by_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        AnomalyDetector(**options).fit(ordinary(20))


@pytest.mark.parametrize(("fdr", "words"), [(0, "above 0"), (1.5, "at most 1"), ("x", "number")])
def test_a_wrong_rate_of_false_discoveries_is_refused(fdr: Any, words: str) -> None:
    with pytest.raises(SpecError, match=f"fdr must be .*{words}"):
        fitted().select(ordinary(5), fdr=fdr)


def test_no_column_to_name_is_refused() -> None:
    with pytest.raises(SpecError, match="most must be a whole number of at least 1"):
        fitted().reasons(ordinary(5), 0)


@pytest.mark.parametrize("n", [2, 7])
def test_too_few_rows_are_refused(n: int) -> None:
    model = Autoencoder(2, epochs=1).fit(ordinary(20))
    for detector in (quick(), quick(contamination=0.1), quick(model=model)):
        with pytest.raises(DataError, match=f"found {n} rows, but a detector needs at least 8"):
            detector.fit(ordinary(n))


ANSWERS = ["score_samples", "decision_function", "predict", "pvalues", "select", "explain_scores"]
ANSWERS += ["reasons", "update"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_other_columns_and_no_rows_are_refused(answer: str) -> None:
    with pytest.raises(ColumnsError, match="4 features"):
        getattr(fitted(), answer)(ordinary(5)[:, :4])
    with pytest.raises(DataError, match="0 sample"):
        getattr(fitted(), answer)(ordinary(0))
    with pytest.raises(ColumnsError, match="missing: 'runs'"):
        getattr(watching(), answer)(machines(5).drop(columns="runs"))


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_unfitted_detector_says_so(answer: str, tmp_path: Path) -> None:
    for ask in (lambda: getattr(quick(), answer)(ordinary(5)), lambda: quick().save(tmp_path)):
        with pytest.raises(NotFittedError, match="AnomalyDetector instance is not fitted yet"):
            ask()


def test_infinity_is_refused() -> None:
    rows = ordinary(20)
    rows[2, 1] = np.inf
    with pytest.raises(DataError, match="infinity"):
        fitted().predict(rows)
    frames = [pd.DataFrame(part, columns=[*"abcde"]) for part in (ordinary(20), rows)]
    with pytest.raises(DataError, match="column 'b' has 1 infinite value"):
        quick(epochs=1).fit(frames[1])
    with pytest.raises(DataError, match="column 'b' has 1 infinite value"):
        quick(epochs=1).fit(frames[0]).predict(frames[1])


def test_values_beyond_all_that_a_given_model_has_seen_are_refused() -> None:
    model = Autoencoder(2, epochs=1).fit(ordinary(60, 9))
    detector = AnomalyDetector(model=model).fit(ordinary(40))
    rows = ordinary(5)
    rows[2, 1] = 1e300
    with pytest.raises(DataError, match="Check its units"):
        detector.predict(rows)


def test_a_model_that_is_not_fitted_or_of_other_columns_is_refused() -> None:
    with pytest.raises(NotFittedError, match="Autoencoder instance is not fitted yet"):
        quick(model=Autoencoder()).fit(ordinary(20))
    with pytest.raises(ColumnsError, match="expecting 4 features"):
        quick(model=Autoencoder(2, epochs=1).fit(ordinary(20)[:, :4])).fit(ordinary(20))


def test_rows_of_new_groups_give_as_many_false_alarms_as_said_where_groups_are_told() -> None:
    draws = np.random.default_rng(0)

    def machines_of(n: int) -> tuple[Array, NDArray[np.int64]]:
        own = np.repeat(draws.normal(size=(n, 3)), 6, axis=0)
        return own + draws.normal(0, 0.05, own.shape), np.repeat(np.arange(n), 6)

    (X, groups), (new, _) = machines_of(60), machines_of(100)
    unaware = (quick(epochs=1).fit(X).pvalues(new) <= 0.1).mean()
    detector = quick(epochs=1).fit(X, groups=groups)
    assert unaware > 0.5
    assert (detector.pvalues(new) <= 0.1).mean() < 0.25
    assert str(detector.drift(new)) == "drift is not judged, for rows come in groups"
    with pytest.raises(DataError, match="one group for each of the 360 rows"):
        quick().fit(X, groups=groups[:-1])


def by_machine(
    n: int, draws: np.random.Generator, times: int = 6
) -> tuple[Array, NDArray[np.int64]]:
    own = np.repeat(draws.normal(size=(n, 3)), times, axis=0)
    return own + draws.normal(0, 0.05, own.shape), np.repeat(np.arange(n), times)


def test_further_groups_keep_the_rate_of_false_alarms_and_must_be_told() -> None:
    draws = np.random.default_rng(1)
    (X, groups), (more, of_more), (new, _) = (by_machine(n, draws) for n in (60, 60, 100))
    detector = quick(epochs=1).fit(X, groups=groups)
    with pytest.raises(DataError, match=r"update\(X, groups=\.\.\.\)"):
        detector.update(more)
    detector.update(more, groups=of_more)
    assert (detector.pvalues(new) <= 0.1).mean() < 0.25


def test_one_group_that_is_far_larger_than_others_leaves_the_rate_as_it_is() -> None:
    draws = np.random.default_rng(2)
    (X, groups), (large, _), (new, _) = (
        by_machine(n, draws, t) for n, t in ((60, 6), (1, 2000), (100, 6))
    )
    detector = quick(epochs=1).fit(np.vstack([large, X]), groups=[0] * 2000 + [*(groups + 1)])
    assert (detector.pvalues(new) <= 0.1).mean() < 0.25


def test_a_row_without_a_group_is_refused() -> None:
    with pytest.raises(DataError, match="row 3 has no group"):
        quick().fit(ordinary(20), groups=[*range(3), None, *range(16)])


def test_rows_that_are_passed_to_update_often_count_once() -> None:
    detector, again = (quick(epochs=1).fit(ordinary(200)) for _ in range(2))
    more = ordinary(100, 1)
    detector.update(more)
    again.update(np.vstack([more, more, more]))
    assert len(again.known_) == len(detector.known_) == 300


def test_updates_with_ordinary_rows_do_not_lower_the_threshold_of_a_known_share() -> None:
    X = np.vstack([ordinary(360), ordinary(40, 9) + 8])
    detector = quick(epochs=1, contamination=0.1).fit(X)
    for seed in range(3):
        detector.update(ordinary(200, 20 + seed))
    assert (detector.predict(ordinary(500, 50)) == -1).mean() < 0.04
