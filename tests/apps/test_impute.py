"""``isthmus fit --for restore`` and ``isthmus restore``: the empty cells of a table, filled."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner, Result

from isthmus import Imputer, load
from isthmus.apps.cli.main import app
from isthmus.data import read
from tests.apps.interruptions import interrupt_when_training

Run = Callable[..., Result]
JOB = ("--for", "restore")


def pumps(n: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    pressure = random.normal(4.2, 0.3, n)
    whole = pd.DataFrame(
        {
            "pressure": pressure.round(4),
            "flow": (3 * pressure + random.normal(0, 0.1, n)).round(4),
            "mode": np.where(pressure > 4.2, "high", "low"),
            "starts": random.poisson(3, n),
            "broken": 0,
        }
    )
    return whole.astype({"starts": "Int64"}).mask(random.random(whole.shape) < 0.2)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "before.csv"
    pumps(150).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "today.csv"
    pumps(60, 1).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def mender(before: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mend.model"
    told = CliRunner().invoke(app, ["fit", str(before), "-o", str(path), *JOB, "--epochs", "2"])
    assert told.exit_code == 0, told.stderr
    assert told.stderr.startswith(f"{before}: 150 rows of 5 columns\n")
    assert told.stdout.startswith(f"{path}: fills the gaps of 5 columns. What is said counts by: ")
    return path


def test_it_fills_as_the_library_does_and_leaves_all_else(
    run: Run, mender: Path, before: Path, today: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    told = run("restore", mender, today, "-o", out)
    assert told.exit_code == 0, told.stderr
    gaps = pd.read_csv(today).isna()
    assert told.stdout == f"{out}: 60 rows, {gaps.sum().sum()} cells filled\n"
    filled, came = pd.read_csv(out), pd.read_csv(today)
    assert not filled.isna().any(axis=None)
    assert_frame_equal(filled.where(~gaps), came, check_dtype=False)
    assert set(filled["mode"]) == {"high", "low"}
    found = Imputer(epochs=2).fit(read(before).X).transform(read(today).X)
    assert_frame_equal(found.to_pandas(), filled, check_dtype=False, rtol=1e-6)
    assert filled["starts"].dtype == np.int64


@pytest.mark.parametrize("ending", ["tsv", "parquet", "arrow", "feather"])
def test_the_ending_chooses_the_format(
    run: Run, mender: Path, today: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"out.{ending}"
    assert run("restore", mender, today, "-o", out).exit_code == 0
    assert read(out).X.column_names == ["pressure", "flow", "mode", "starts", "broken"]


def test_several_draws_stand_below_each_other(
    run: Run, mender: Path, today: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = ("--draws", 3, "--seed", seed)
        told = run("restore", mender, today, "-o", tmp_path / f"{name}.csv", *words)
        assert told.exit_code == 0, told.stderr
    a, b, c = (pd.read_csv(tmp_path / f"{name}.csv") for name in "abc")
    assert list(a["draw"].value_counts()) == [60] * 3
    assert not a.isna().any(axis=None)
    assert a.equals(b)
    assert not a.equals(c)
    first, second = (a[a.draw == i].drop(columns="draw").reset_index(drop=True) for i in (1, 2))
    gaps = pd.read_csv(today).isna()
    assert_frame_equal(first.where(~gaps), second.where(~gaps))
    assert (first["flow"] != second["flow"])[gaps["flow"]].any()


def test_bounds_and_likely_levels_stand_beside_their_columns(
    run: Run, mender: Path, today: Path, tmp_path: Path
) -> None:
    told = run("restore", mender, today, "-o", tmp_path / "out.csv", "--intervals", "90%")
    assert told.exit_code == 0, told.stderr
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found)[:4] == ["pressure", "pressure low", "pressure high", "flow"]
    assert (found["flow low"] <= found["flow"]).all()
    assert (found["flow"] <= found["flow high"]).all()
    gap = pd.read_csv(today)["mode"].isna()
    assert_frame_equal(found[["mode likely"]].notna(), gap.to_frame("mode likely"))
    assert set("|".join(found["mode likely"].dropna()).split("|")) <= {"high", "low"}


def test_an_array_of_numbers_is_filled_too(run: Run, tmp_path: Path) -> None:
    rows = pumps(60)[["pressure", "flow"]].to_numpy()
    np.save(tmp_path / "rows.npy", rows)
    fitted = run("fit", tmp_path / "rows.npy", "-o", tmp_path / "m", *JOB, "--epochs", 1)
    assert fitted.exit_code == 0, fitted.stderr
    told = run("restore", tmp_path / "m", tmp_path / "rows.npy", "-o", tmp_path / "out.npy")
    assert told.exit_code == 0, told.stderr
    filled = np.load(tmp_path / "out.npy")
    assert not np.isnan(filled).any()
    there = ~np.isnan(rows)
    np.testing.assert_array_equal(filled[there], rows[there])


def test_levels_that_are_not_known_are_told(run: Run, mender: Path, tmp_path: Path) -> None:
    strange = pumps(20, 3)
    strange.loc[0, "mode"] = "reverse"
    strange.to_csv(tmp_path / "new.csv", index=False)
    told = run("restore", mender, tmp_path / "new.csv", "-o", tmp_path / "out.csv")
    assert "; 1 cell of levels that are not known" in told.stdout
    assert pd.read_csv(tmp_path / "out.csv")["mode"][0] == "reverse"


def test_evaluate_info_and_cite_know_it(run: Run, mender: Path, today: Path) -> None:
    told = run("evaluate", mender, today)
    assert told.exit_code == 0, told.stderr
    assert "IterativeImputer  error beside the mean's" in told.stdout
    found = json.loads(run("evaluate", mender, today, "--json").stdout)
    assert found["rows_compared"] == 60
    assert {row["column"] for row in found["rows"]} >= {None, "flow"}
    assert "known rows  150" in run("info", mender).stdout
    assert json.loads(run("info", mender, "--json").stdout)["members"] == 8
    assert "Dempster" in run("cite", mender).stdout


def test_a_column_can_be_set_apart(run: Run, before: Path, today: Path, tmp_path: Path) -> None:
    apart = ("--labels", "broken")
    assert run("fit", before, "-o", tmp_path / "m", *JOB, "--epochs", 1, *apart).exit_code == 0
    told = run("evaluate", tmp_path / "m", today, *apart)
    assert told.exit_code == 0, told.stderr
    assert "broken" not in told.stdout
    assert run("restore", tmp_path / "m", today, "-o", tmp_path / "o.csv", *apart).exit_code == 0
    assert list(pd.read_csv(tmp_path / "o.csv")) == ["pressure", "flow", "mode", "starts"]


def test_a_result_is_one_json_object(run: Run, mender: Path, today: Path, tmp_path: Path) -> None:
    told = json.loads(run("restore", mender, today, "-o", tmp_path / "o.csv", "--json").stdout)
    assert told["rows"] == 60
    assert told["filled"] == int(pd.read_csv(today).isna().sum().sum())


REFUSED: dict[str, tuple[tuple[Any, ...], int, str]] = {
    "both": (("restore", "{m}", "{t}", "-o", "{o}.csv", "--draws", 2, "--intervals", "90%"), 2,
             "not both"),
    "coverage": (("restore", "{m}", "{t}", "-o", "{o}.csv", "--intervals", "2"), 2, "a share"),
    "no draws": (("restore", "{m}", "{t}", "-o", "{o}.csv", "--draws", 0), 2, "--draws"),
    "ending": (("restore", "{m}", "{t}", "-o", "{o}.doc"), 2, ".doc"),
    "draws as numbers": (("restore", "{m}", "{t}", "-o", "{o}.npy", "--draws", 2), 2, ".npy"),
    "another model": (("restore", "{f}", "{t}", "-o", "{o}.csv"), 1, "--for restore"),
    "codes": (("embed", "{m}", "{t}", "-o", "{o}.csv"), 1, "no codes of rows"),
    "alarms": (("detect", "{m}", "{t}", "-o", "{o}.csv"), 1, "--for detect"),
    "a page": (("report", "{m}", "{t}", "-o", "{o}.html"), 1, "isthmus evaluate"),
    "images": (("fit", "{p}", "-o", "{o}", *JOB), 2, "say what shall be restored"),
    "a mask": (("restore", "{m}", "{t}", "-o", "{o}.csv", "--mask", "{p}"), 2, "for images"),
    "an option": (("fit", "{t}", "-o", "{o}", *JOB, "--latent-dim", 3), 2, "decided by the data"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_be_done_is_refused_by_name(
    case: str,
    mender: Path,
    today: Path,
    flower_model: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from isthmus.apps.cli import main

    words, status, said = REFUSED[case]
    places = {"m": mender, "t": today, "o": tmp_path / "o", "f": flower_model, "p": pictures}
    given = [str(word).format(**places) for word in words]
    monkeypatch.setattr(sys, "argv", ["isthmus", *given])
    with pytest.raises(SystemExit) as ended:
        main.main()
    told = capsys.readouterr().err
    assert ended.value.code == status, told
    assert said in told
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())


def test_a_fit_that_was_interrupted_goes_on(run: Run, before: Path, tmp_path: Path) -> None:
    words = ("fit", before, "-o", tmp_path / "m", *JOB, "--epochs", 20, "--quiet")
    thread = interrupt_when_training()
    stopped = run(*words)
    thread.join()
    assert stopped.exit_code == 130
    assert "--resume" in stopped.stderr
    assert run(*words).exit_code == 2
    assert run(*words, "--resume").exit_code == 0
    assert not list(tmp_path.glob("m.partial*"))
    whole = Imputer(epochs=20).fit(read(before).X)
    found, expected = (one.transform(read(before).X) for one in (load(tmp_path / "m"), whole))
    assert found.equals(expected)
