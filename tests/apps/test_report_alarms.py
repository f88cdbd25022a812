"""The page of a detector: its alarms, why they are, and whether its promise holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from typer.testing import Result

from isthmus import AnomalyDetector, Autoencoder
from isthmus.apps.report.alarm_context import MOST_ALARMS, AlarmContext
from isthmus.apps.report.context import Context
from isthmus.apps.report.page import page
from isthmus.apps.report.pieces import ROLES
from isthmus.core.errors import DataError
from isthmus.plot.tables import shortened
from tests.apps.pages import SCRIPT, read

Run = Callable[..., Result]
HOSTILE = "a_$b$ & 'c' </td>"
BROKEN = [3, 40, 77]


def pumps(n: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    pressure = random.normal(4.2, 0.3, n)
    flow = 3 * pressure + random.normal(0, 0.1, n)
    mode = random.choice(["auto", "manual"], n)
    return pd.DataFrame({SCRIPT: pressure, HOSTILE: flow, "mode": mode})


def today(n: int = 80) -> pd.DataFrame:
    rows = pumps(n, 1)
    rows.loc[BROKEN, SCRIPT] = [9.1, 1.2, 7.7]
    rows.loc[77, "mode"] = f"</td>\n{SCRIPT}" * 100
    return rows


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    return AnomalyDetector(epochs=2).fit(pumps(150))


@pytest.fixture(scope="module")
def context(detector: AnomalyDetector) -> AlarmContext:
    return AlarmContext("pump.model", detector, today(), None, "abc" * 20, "today.csv")


@pytest.fixture(scope="module")
def html(context: AlarmContext) -> str:
    return page("Pumps", [context])


def words_of(detector: AnomalyDetector, X: object, labels: object = None) -> str:
    return read(page("Page", [AlarmContext("Page", detector, X, labels)])).words  # type: ignore[arg-type]


def table(html: str, title: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    body = re.search(rf">{title}</h2>.*?<tbody>(.*?)</tbody>", html, re.DOTALL)
    assert body is not None
    rows = re.findall(r"<tr.*?</tr>", body[1], re.DOTALL)
    return [[read(cell).words for cell in re.findall(r"<t[hd].*?</t[hd]>", r, re.S)] for r in rows]


# ------------------------------------------------------------------ what it says


def test_the_first_sentence_counts_alarms_beside_those_to_be_expected(
    detector: AnomalyDetector, context: AlarmContext, html: str
) -> None:
    n = int((detector.predict(today()) == -1).sum())
    expected = f"{n} alarms in 80 rows; at 1 % of false alarms about 1 is to be expected if all is"
    assert expected in read(html).words
    assert context.comparison.verdict in read(html).words
    assert html.index(expected) < html.index(context.comparison.verdict) < html.index("<table>")


def test_alarms_are_those_of_the_detector_the_strangest_first_each_with_its_reasons(
    detector: AnomalyDetector, html: str
) -> None:
    X = today()
    rows = table(html, "Alarms")
    numbers = [int(row[0]) for row in rows]
    assert sorted(numbers) == np.flatnonzero(detector.predict(X) == -1).tolist()
    assert set(BROKEN) <= set(numbers)
    scores = [float(row[1]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, -detector.score_samples(X)[numbers], atol=0.0051)
    np.testing.assert_allclose(
        [float(row[2]) for row in rows], detector.pvalues(X)[numbers], rtol=0.06
    )
    reasons = detector.reasons(X.iloc[numbers])
    for row, expected in zip(rows, reasons, strict=True):
        assert row[3].split("\n") == [shortened(str(one), 160) for one in expected]
    assert f"{SCRIPT} 9.1, expected " in rows[numbers.index(3)][3]


def test_the_columns_to_blame_are_those_of_the_detector(
    detector: AnomalyDetector, context: AlarmContext, html: str
) -> None:
    blame = detector.explain_scores(today().iloc[context.alarms]).mean(0)
    assert context.blame[0][1] == pytest.approx(blame[0])
    assert f"{blame[0]:.3g}" in html
    assert [name for name, _ in context.blame] == [
        [SCRIPT, HOSTILE, "mode"][j] for j in np.argsort(-blame) if blame[j] > 0
    ]


def test_it_is_told_what_the_detector_is_and_how_the_rows_fitted_on_compare(
    detector: AnomalyDetector, html: str
) -> None:
    words = read(html).words
    for expected in (
        "today.csv, 80 rows of 3 columns",
        "150 rows fitted on",
        f"{-detector.offset_:.2f} nats, for 1 % of ordinary rows",
        "4 autoencoders, mlp network",
        "2 epochs in ",
        "abcabcabcabcabca",
        *(f"{name} {100 * weight:.3g} %" for name, weight in detector.weights_.items()),
    ):
        assert expected in words
    fitted, these = table(html, "The detector")
    known = detector.known_
    above = int((known > -detector.offset_).sum())
    assert fitted[:3] == ["fitted on", "150", f"{np.median(known):.2f}"]
    assert fitted[4].startswith(f"{above} (")
    assert these[:2] == ["these", "80"]


def test_sections_come_in_the_order_of_what_to_do(html: str) -> None:
    titles = ["Alarms", "Row by row", "Columns to blame", "The detector"]
    assert re.findall(r"<h2>(.*?)</h2>", html) == titles


def test_names_and_levels_of_the_users_are_shown_and_never_run(html: str) -> None:
    reader = read(html)
    assert "<script" not in html
    assert not {"script", "link", "iframe", "object", "base"} & set(reader.tags)
    assert SCRIPT in reader.words
    assert HOSTILE in reader.words
    longest = max(len(line) for row in table(html, "Alarms") for line in row[3].split("\n"))
    assert longest <= 160


def test_pictures_follow_the_light_or_dark_of_the_page(html: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        assert "var(--muted)" in picture
        assert not [colour for colour in ROLES if colour in picture]


def test_the_same_rows_give_the_same_page(context: AlarmContext, html: str) -> None:
    again = AlarmContext("pump.model", context.detector, today(), None, "abc" * 20, "today.csv")
    assert page("Pumps", [again]) == html


def test_models_and_detectors_stand_on_one_page(context: AlarmContext) -> None:
    model = Context("Model", Autoencoder(2, epochs=1).fit(pumps(100)), pumps(20))
    both = page("Both", [context, model])
    titles = re.findall(r"<h2>(.*?)</h2>", both)
    assert titles == ["pump.model", "Model"]
    names = re.findall(r'\sid="([^"]*)"', both)
    assert len(set(names)) == len(names)
    read(both)


# ------------------------------------------------------------------ few and many


def test_no_alarms_are_said_to_be_none_and_what_came_nearest_is_named(
    detector: AnomalyDetector,
) -> None:
    calm = pumps(5, 2).assign(**{SCRIPT: 4.2, HOSTILE: 12.6})
    html = page("Calm", [AlarmContext("Calm", detector, calm)])
    words = read(html).words
    assert "No alarms in 5 rows; at 1 % of false alarms none is to be expected" in words
    assert f"The strangest is row {detector.score_samples(calm).argmin()}, with a" in words
    assert "Columns to blame" not in words


def test_where_all_rows_are_alarms_the_strangest_are_shown_and_the_others_counted(
    detector: AnomalyDetector,
) -> None:
    moved = pumps(60, 3).assign(**{HOSTILE: 99.0})
    context = AlarmContext("Moved", detector, moved)
    html = page("Moved", [context])
    words = read(html).words
    assert "60 alarms in 60 rows" in words
    assert "than ordinary rows give: there are anomalies" in words
    assert f"These are the {MOST_ALARMS} strangest; there are 10 more alarms" in words
    assert len(table(html, "Alarms")) == len(context.reasons) == MOST_ALARMS


@pytest.mark.parametrize("row", [0, 3])
def test_a_single_row_is_enough(detector: AnomalyDetector, row: int) -> None:
    words = words_of(detector, today()[row : row + 1])
    assert ("1 alarm in 1 row;" if row == 3 else "No alarms in 1 row;") in words
    assert "how many alarms there would be at another rate" not in words


def test_no_more_columns_are_drawn_than_fit() -> None:
    random = np.random.default_rng(0)
    detector = AnomalyDetector(epochs=1).fit(random.normal(size=(100, 20)))
    html = page("Wide", [AlarmContext("Wide", detector, random.normal(size=(30, 20)) * 9)])
    assert html.count('<div class="bar ') == 12
    assert "The 12 columns with the most are drawn." in read(html).words


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize("words", [("normal", "anomaly"), (0, 1)])
def test_labels_add_how_well_rows_are_told_apart(
    detector: AnomalyDetector, words: tuple[object, object]
) -> None:
    X = today()
    labels = [words[i in BROKEN] for i in range(80)]
    html = page("Labels", [AlarmContext("Labels", detector, X, labels)])
    told = read(html).words
    for expected in ("AUROC", "AUPRC", "5 nearest neighbours", "this detector"):
        assert expected in told
    n = int((detector.predict(X) == -1).sum())
    assert f"3 of {n} alarms are labelled as anomalies; 0 of 3 anomalies gave none." in told
    marked = {int(row[0]) for row in table(html, "Alarms") if row[3] == "anomaly"}
    assert marked == set(BROKEN)


@pytest.mark.parametrize(("label", "word"), [(0, "none"), (1, "all")])
def test_labels_that_are_all_alike_are_said_to_be_of_no_use(
    detector: AnomalyDetector, label: int, word: str
) -> None:
    told = words_of(detector, today(), [label] * 80)
    assert f"The labels call {word} of these rows anomalies" in told
    assert "AUROC" not in told


def test_labels_that_name_no_anomalies_are_refused(detector: AnomalyDetector) -> None:
    with pytest.raises(DataError, match="Give 1 for an anomaly"):
        words_of(detector, today(), ["setosa"] * 80)


# ------------------------------------------------------------------ kinds of rows and detectors


def test_rows_of_any_library_give_the_same_alarms(detector: AnomalyDetector, html: str) -> None:
    frame = pl.DataFrame(today().to_dict("list"))
    for X in (frame, frame.to_arrow()):
        told = page("Pumps", [AlarmContext("pump.model", detector, X)])
        assert table(told, "Alarms") == table(html, "Alarms")


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_sparse_rows_of_any_format_are_taken(form: str) -> None:
    rows = np.random.default_rng(0).poisson(0.7, (100, 6)).astype(float)
    detector = AnomalyDetector(epochs=1).fit(scipy.sparse.csr_array(rows))
    rows[7, 2] = 50
    context = AlarmContext("Sparse", detector, scipy.sparse.coo_array(rows).asformat(form))
    assert context.alarms[0] == 7
    assert "column 2 50, expected" in read(page("Sparse", [context])).words


@pytest.mark.parametrize(("contamination", "rate"), [(0.1, "10 %"), ("auto", "1 %")])
def test_shares_are_of_the_rows_fitted_on_where_these_were_not_all_ordinary(
    contamination: float | str, rate: str
) -> None:
    detector = AnomalyDetector(epochs=1, contamination=contamination).fit(pumps(100))
    told = words_of(detector, today(100))
    expected = "about 10 are" if contamination == 0.1 else "about 1 is"
    assert f" in 100 rows; {expected} to be expected if they are like the rows fitted on" in told
    assert f"nats, for {rate} of the rows fitted on" in told
    assert "the 70 least strange of 100 rows fitted on" in told
    assert "ordinary rows that" not in told


def test_rows_that_are_files_are_called_by_their_names(detector: AnomalyDetector) -> None:
    files = [f"{SCRIPT}{i}.png" for i in range(80)]
    html = page("Files", [AlarmContext("Files", detector, today(), files=files)])
    assert {row[0] for row in table(html, "Alarms")} >= {files[i] for i in BROKEN}
    assert "<script" not in html
    assert "counted from 0" not in html


# ------------------------------------------------------------------ command line


def test_the_command_line_writes_the_page_of_a_detector_and_says_what_came_of_it(
    run: Run, detector: AnomalyDetector, tmp_path: Path
) -> None:
    model, data, out = (tmp_path / name for name in ("m.model", "today.parquet", "page.html"))
    identity = detector.save(model)
    labelled = today().assign(broken=[int(i in BROKEN) for i in range(80)])
    labelled.to_parquet(data)
    told = run("report", model, data, "-o", out, "--labels", "broken")
    assert (told.exit_code, told.stderr) == (0, "")
    n = int((detector.predict(today()) == -1).sum())
    assert told.stdout.startswith(f"{n} alarms in 80 rows; at 1 % of false alarms about 1 is")
    assert "AUROC" in told.stdout
    assert told.stdout.endswith(f"\n{out}\n")
    words = read(out.read_text(encoding="utf-8")).words
    assert "today.parquet, 80 rows of 3 columns" in words
    assert identity[:16] in words
    today().to_parquet(data)
    facts = json.loads(run("report", model, data, "-o", out, "--json").stdout)
    assert (facts["rows"], facts["alarms"], facts["out"]) == (80, n, str(out))
