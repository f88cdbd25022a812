"""``isthmus fit --for detect`` and ``isthmus detect``: alarms in a file, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from isthmus import AnomalyDetector, load
from isthmus.apps.cli.main import app
from isthmus.data import read
from tests.apps.interruptions import interrupt_when_training

Run = Callable[..., Result]
COLUMNS = ["row", "score", "p_value", "alarm", "reasons"]


def pumps(n: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    pressure = random.normal(4.2, 0.3, n)
    return pd.DataFrame(
        {
            "pressure": pressure.round(4),
            "flow": (3 * pressure + random.normal(0, 0.1, n)).round(4),
            "mode": random.choice(["auto", "manual"], n),
            "broken": 0,
        }
    )


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of pumps as they should be."""
    path = tmp_path_factory.mktemp("data") / "before.csv"
    pumps(150).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of pumps, of which three are not as they should be."""
    rows = pumps(80, 1)
    rows.loc[[3, 40, 77], "pressure"] = [9.1, 1.2, 7.7]
    rows.loc[[3, 40, 77], "broken"] = 1
    path = tmp_path_factory.mktemp("data") / "today.csv"
    rows.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def detector(before: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that the command line fitted."""
    path = tmp_path_factory.mktemp("models") / "pumps.model"
    words = ["fit", before, "-o", path, "--for", "detect", "--epochs", 2, "--labels", "broken"]
    told = CliRunner().invoke(app, [str(word) for word in words])
    assert told.exit_code == 0, told.stderr
    return path


APART = ("--labels", "broken")


def test_a_detector_is_fitted_as_by_the_library_and_it_is_said_what_came_of_it(
    run: Run, before: Path, tmp_path: Path
) -> None:
    model = tmp_path / "m.model"
    told = run(
        "fit", before, "-o", model, "--for", "detect", "--epochs", 2, "--seed", 5, *APART,
        "--false-alarms", "2%", "--contamination", "0.1",
    )  # fmt: skip
    assert told.exit_code == 0, told.stderr
    assert told.stderr.startswith(f"{before}: 150 rows of 3 columns\n")
    assert told.stdout.startswith(f"{model}: a detector by 105 rows of 150, with 0.02 of ")
    assert "Scales by weight: standard " in told.stdout
    found = load(model)
    expected = AnomalyDetector(epochs=2, random_state=5, false_alarms=0.02, contamination=0.1)
    expected.fit(read(before, labels="broken").X)
    X = read(before, labels="broken").X
    np.testing.assert_array_equal(found.score_samples(X), expected.score_samples(X))
    assert (found.offset_, found.false_alarms) == (expected.offset_, 0.02)
    assert [path.name for path in tmp_path.iterdir()] == ["m.model"]


def test_what_came_of_a_fit_is_told_in_json(run: Run, before: Path, tmp_path: Path) -> None:
    words = ("--for", "detect", "--epochs", 1, "--quiet", "--json")
    told = run("fit", before, "-o", tmp_path / "m.model", *words)
    facts = json.loads(told.stdout)
    assert told.stderr == ""
    assert (facts["rows"], facts["references"], facts["false_alarms"]) == (150, 150, 0.01)
    assert facts["contamination"] is None
    assert sum(facts["weights"].values()) == pytest.approx(1)
    assert len(facts["identity"]) == 64


def test_an_interrupted_fit_goes_on_to_the_detector_that_it_would_have_been(
    run: Run, before: Path, tmp_path: Path
) -> None:
    model, undisturbed = tmp_path / "m.model", tmp_path / "u.model"
    words = ("--for", "detect", "--epochs", 60, *APART)
    thread = interrupt_when_training()
    told = run("fit", before, "-o", model, *words)
    thread.join()
    assert told.exit_code == 130, told.stderr
    assert told.stderr.endswith("--labels broken --resume\n")
    assert {path.name.removesuffix(path.suffix) for path in tmp_path.iterdir()} == {
        "m.model.partial"
    }
    again = run("fit", before, "-o", model, *words)
    assert (again.exit_code, "--no-resume" in again.stderr) == (2, True)
    assert run("fit", before, "-o", model, *words, "--resume").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m.model"]
    assert run("fit", before, "-o", undisturbed, *words, "--quiet").exit_code == 0
    weights = [(path / "model.safetensors").read_bytes() for path in (model, undisturbed)]
    assert weights[0] == weights[1]


def test_info_tells_what_a_detector_compares_with_and_how_many_alarms_it_gives(
    run: Run, detector: Path, flower_model: Path
) -> None:
    facts, fitted = json.loads(run("info", detector, "--json").stdout)["detector"], load(detector)
    assert (facts["references"], facts["rows"], facts["false_alarms"]) == (150, 150, 0.01)
    assert (facts["contamination"], facts["threshold"]) == (None, fitted.offset_)
    assert facts["weights"] == fitted.weights_
    words = run("info", detector).stdout
    assert "detector    compares rows with 150 rows\n" in words
    assert f"score below {fitted.offset_:.4g}, which 1 % of ordinary rows have\n" in words
    assert f"standard {fitted.weights_['standard']:.0%}, " in words
    assert json.loads(run("info", flower_model, "--json").stdout)["detector"] is None
    assert "detector" not in run("info", flower_model).stdout


def test_the_card_of_a_detector_shows_how_it_is_used(detector: Path, flower_model: Path) -> None:
    card = (detector / "README.md").read_text(encoding="utf-8")
    assert "# Anomaly detector" in card
    assert "detector.pvalues(X)" in card
    assert "isthmus detect path/to/this/folder rows.csv -o alarms.csv" in card
    assert "which 1 % of ordinary rows have" in card
    assert "transform" not in card
    other = (flower_model / "README.md").read_text(encoding="utf-8")
    assert "model.transform(X)" in other
    assert "detect" not in other


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "feather"])
def test_every_row_gets_a_score_a_pvalue_whether_it_is_an_alarm_and_why(
    run: Run, detector: Path, today: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"alarms.{ending}"
    told = run("detect", detector, today, "-o", out, *APART)
    assert (told.exit_code, told.stderr) == (0, "")
    table = read(out).X
    assert table.column_names == COLUMNS
    found = table.to_pandas()
    assert len(found) == 80
    X = read(today, labels="broken").X
    expected = load(detector)
    np.testing.assert_allclose(found["score"], expected.score_samples(X), rtol=1e-12)
    np.testing.assert_allclose(found["p_value"], expected.pvalues(X), rtol=1e-12)
    alarms = found["alarm"].astype(bool).to_numpy()
    np.testing.assert_array_equal(alarms, expected.predict(X) == -1)
    assert alarms[[3, 40, 77]].all()
    assert told.stdout == f"{out}: {alarms.sum()} alarms in 80 rows\n"
    assert found["reasons"][3].startswith("pressure 9.1, expected ")
    assert not found["reasons"].astype(object).fillna("")[~alarms].any()
    assert found["reasons"][alarms].str.len().min() > 0


def alarms_at(run: Run, tmp_path: Path, *words: object) -> np.ndarray:
    out = tmp_path / "alarms.parquet"
    told = run("detect", *words, "-o", out, *APART)
    assert told.exit_code == 0, told.stderr
    return read(out).X.column("alarm").to_numpy(zero_copy_only=False).astype(bool)


@pytest.mark.parametrize(("one", "same"), [("1%", "0.01"), ("10%", ".1"), (" 25 %", "0.25")])
def test_a_rate_of_false_alarms_is_a_share_or_a_percentage(
    run: Run, detector: Path, today: Path, tmp_path: Path, one: str, same: str
) -> None:
    pvalues = load(detector).pvalues(read(today, labels="broken").X)
    for rate in (one, same):
        found = alarms_at(run, tmp_path, detector, today, "--false-alarms", rate)
        np.testing.assert_array_equal(found, pvalues <= float(same))


def test_a_rate_of_false_discoveries_selects_as_the_library_does(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    X = read(today, labels="broken").X
    for rate in (0.1, 0.5):
        found = alarms_at(run, tmp_path, detector, today, "--fdr", f"{rate:.0%}")
        np.testing.assert_array_equal(found, load(detector).select(X, fdr=rate))
        assert found[[3, 40, 77]].all()


def test_reasons_are_as_many_as_asked_for_and_none_if_none_are(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    for most in (0, 1, 2):
        out = tmp_path / "alarms.csv"
        told = run("detect", detector, today, "-o", out, "--reasons", most, *APART)
        assert told.exit_code == 0
        found = pd.read_csv(out)["reasons"].astype(object).fillna("")
        longest = max(len(words.split("; ")) if words else 0 for words in found)
        assert min(most, 1) <= longest <= most


def test_rows_without_an_alarm_are_written_too(run: Run, detector: Path, tmp_path: Path) -> None:
    calm = tmp_path / "calm.csv"
    pumps(5, 2).assign(pressure=4.2, flow=12.6).to_csv(calm, index=False)
    out = tmp_path / "alarms.csv"
    told = run("detect", detector, calm, "-o", out, *APART, "--json")
    assert json.loads(told.stdout) == {
        "out": str(out),
        "rows": 5,
        "alarms": 0,
        "drift_judged": True,
        "drift_since": None,
        "bursts": [],
    }
    assert list(pd.read_csv(out)) == COLUMNS
    assert len(pd.read_csv(out)) == 5


def test_arrays_are_taken_too(run: Run, tmp_path: Path) -> None:
    rows = pumps(100)[["pressure", "flow"]].to_numpy()
    np.save(tmp_path / "rows.npy", rows)
    model, out = tmp_path / "m.model", tmp_path / "out.csv"
    fit, rate = ("-o", model, "--for", "detect", "--epochs", 1), ("--false-alarms", "20%")
    assert run("fit", tmp_path / "rows.npy", *fit).exit_code == 0
    assert run("detect", model, tmp_path / "rows.npy", "-o", out, *rate).exit_code == 0
    found = pd.read_csv(out)
    assert len(found) == 100
    assert found["reasons"][found["alarm"]].str.match(r"column [01] ").all()


def test_other_verbs_work_with_the_model_of_a_detector(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    codes, rebuilt, drawn, page = (
        tmp_path / name for name in ("codes.csv", "rebuilt.csv", "drawn.csv", "page.html")
    )
    assert run("embed", detector, today, "-o", codes, *APART).exit_code == 0
    assert run("reconstruct", detector, today, "-o", rebuilt, *APART).exit_code == 0
    assert run("sample", detector, "-n", 4, "-o", drawn).exit_code == 0
    assert run("report", detector, today, "-o", page, *APART).exit_code == 0
    assert len(pd.read_csv(codes)) == len(pd.read_csv(rebuilt)) == 80
    assert len(pd.read_csv(drawn)) == 4
    assert list(pd.read_csv(rebuilt)) == ["pressure", "flow", "mode"]
    assert page.read_text(encoding="utf-8").startswith("<!")
    facts = json.loads(run("info", detector, "--json").stdout)
    assert facts["columns"] == ["pressure", "flow", "mode"]
    assert facts["identity"] in run("info", detector).stdout


def test_a_detector_is_evaluated_by_its_alarms_and_by_labels(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    judged = run("evaluate", detector, today, *APART)
    assert judged.exit_code == 0, judged.stderr
    assert "AUROC" in judged.stdout
    assert "nearest neighbours" in judged.stdout
    later = tmp_path / "later.csv"
    pumps(200, 7).drop(columns="broken").to_csv(later, index=False)
    facts = json.loads(run("evaluate", detector, later, "--json").stdout)
    assert facts["rows_compared"] == 200
    assert facts["verdict"].startswith("As many alarms as ordinary rows give")
    moved = tmp_path / "moved.csv"
    pumps(200, 7).drop(columns="broken").assign(flow=1.0).to_csv(moved, index=False)
    assert "than ordinary rows give: there are" in run("evaluate", detector, moved).stdout


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["detect", "{model}", "{data}"], "--out"),
        (["detect", "{model}", "{data}", "-o", "out.xyz"], "'.xyz'"),
        (["detect", "none", "none", "-o", "out.npy"], "a table with words to '.npy' files"),
        (["detect", "{model}", "{data}", "-o", "out.npz"], "Known endings: .csv, .tsv, .parquet"),
        (["detect", "{model}", "{data}", "-o", "{out}", "--false-alarms", "1"], "below 1; got '1'"),
        (["detect", "{model}", "{data}", "-o", "{out}", "--false-alarms", "0%"], "got '0%'"),
        (["detect", "{model}", "{data}", "-o", "{out}", "--false-alarms", "few"], "as 1% or 0.01"),
        (["detect", "{model}", "{data}", "-o", "{out}", "--fdr", "nan"], "--fdr"),
        (["detect", "{model}", "{data}", "-o", "{out}", "--reasons", "-1"], "--reasons"),
        (
            ["detect", "{model}", "{data}", "-o", "{out}", "--fdr", "5%", "--false-alarms", "1%"],
            "not both",
        ),
        (["fit", "{data}", "-o", "{out}", "--false-alarms", "1%"], "goes with --for detect"),
        (["fit", "{data}", "-o", "{out}", "--contamination", "1%"], "goes with --for detect"),
        (["fit", "{data}", "-o", "{out}", "--for", "detect", "--false-alarms", "2"], "got '2'"),
        (
            ["fit", "{data}", "-o", "{out}", "--for", "detect", "--contamination", "80%"],
            "at most 0.5",
        ),
        (["fit", "{data}", "-o", "{out}", "--for", "detect", "--contamination", "few"], "'few'"),
        (["fit", "{data}", "-o", "{out}", "--for", "detect", "--latent-dim", "2"], "--latent-dim"),
        (["fit", "{data}", "-o", "{out}", "--for", "detect", "--recipe", "vae"], "--recipe"),
        (["fit", "{data}", "-o", "{out}", "--for", "detect", "--n-members", "2"], "Leave it out"),
        (["fit", "{data}", "-o", "{data}", "--for", "detect"], "not a saved model"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_would_be_right(
    run: Run, words: list[str], expected: str, before: Path, detector: Path, tmp_path: Path
) -> None:
    places = {"data": before, "model": detector, "out": tmp_path / "out.csv"}
    told = run(*(word.format(**places) for word in words))
    assert told.exit_code == 2
    assert expected in told.stderr
    assert told.stdout == ""
    assert not places["out"].exists()


def test_a_model_that_is_no_detector_is_said_how_to_become_one(
    run: Run, flowers: Path, flower_model: Path, tmp_path: Path
) -> None:
    told = run("detect", flower_model, flowers, "-o", tmp_path / "out.csv", "--labels", "species")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "isthmus fit DATA --for detect" in told.stderr
    assert told.stderr.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_failed_work_exits_with_1_and_one_clear_line(
    run: Run, before: Path, detector: Path, flowers: Path, tmp_path: Path
) -> None:
    few, out = tmp_path / "few.csv", tmp_path / "out"
    pumps(7).to_csv(few, index=False)
    fit = ("-o", out, "--for", "detect", "--epochs", 1, "--quiet")
    for words, expected in (
        (("fit", few, *fit), "found 7 rows, but a detector needs at least 8"),
        (
            ("detect", detector, flowers, "-o", tmp_path / "a.csv"),
            "missing: 'pressure', 'flow', 'mode'",
        ),
        (("detect", tmp_path / "none", before, "-o", tmp_path / "a.csv"), "there is no model"),
    ):
        told = run(*words)
        assert (told.exit_code, told.stdout) == (1, ""), words
        assert told.stderr.startswith("error: ")
        assert expected in told.stderr
        assert told.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.csv"]


def test_a_damaged_detector_is_refused_by_name(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.model"
    damaged.mkdir()
    for file in detector.iterdir():
        cut = -10 if file.suffix == ".safetensors" else None
        (damaged / file.name).write_bytes(file.read_bytes()[:cut])
    told = run("detect", damaged, today, "-o", tmp_path / "out.csv", *APART)
    assert told.exit_code == 1
    assert "cut short" in told.stderr


def test_the_column_of_groups_may_be_in_later_tables_and_is_not_looked_at(
    run: Run, tmp_path: Path
) -> None:
    rows = pumps(120).assign(machine=np.arange(120) // 6)
    table, model, out = tmp_path / "rows.csv", tmp_path / "m.model", tmp_path / "out.csv"
    rows.drop(columns=["label"], errors="ignore").to_csv(table, index=False)
    fit = ("-o", model, "--for", "detect", "--epochs", 1, "--groups", "machine", "--quiet")
    assert run("fit", table, *fit).exit_code == 0
    told = run("detect", model, table, "-o", out, "--json")
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout)["drift_judged"] is False
    assert run("evaluate", model, table).exit_code == 0
    assert run("report", model, table, "-o", tmp_path / "page.html").exit_code == 0
    few = rows[:40]
    few.to_csv(table, index=False)
    refused = run("fit", table, *fit)
    assert refused.exit_code == 1
    assert "found 7 groups, but a detector needs rows of at least 8" in refused.stderr
