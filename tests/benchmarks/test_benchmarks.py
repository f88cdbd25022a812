"""The benchmarks run, keep what they measured, and say what they found."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import data, quality, train
from benchmarks.process import Worker
from benchmarks.runner import Answer, Cell, Results

TINY = {
    "train": [
        *("--methods", "sklearn", "--networks", "30-64-32-64-30", "--rounds", "2"),
        *("--seconds", "0.01", "--rows", "64", "--threads", "1"),
    ],
    "quality": ["--methods", "pca", "--sets", "wine", "--dims", "2,8,13", "--threads", "1"],
    "detect": [
        *("--methods", "knn,pca", "--protocol", "one-class", "--what", "detection"),
        *("--sets", "breast-cancer", "--rounds", "1"),
    ],
    "impute": ["--methods", "mean,knn", "--sets", "wine", "--shares", "0.3", "--rounds", "1"],
}
OURS = {
    "train": [
        *("--methods", "matrix-product,torch,ours", "--networks", "30-64-32-64-30"),
        *("--rounds", "1", "--seconds", "0.01", "--rows", "64", "--threads", "1"),
    ],
    "quality": [
        *("--methods", "pca,ours,plain", "--sets", "wine", "--dims", "2"),
        *("--table-seconds", "0.3", "--threads", "1"),
    ],
    "nested": ["--sets", "wine", "--dims", "2,3", "--latent-dim", "3"],
    "scaling": ["--what", "scoring", "--rounds", "1", "--seconds", "0.1", "--threads", "1"],
    "until": ["--peers", "keras-basic", "--sets", "digits-images", "--rounds", "1"],
    "startup": ["--runs", "1"],
    "impute": ["--methods", "ours,mean", "--sets", "wine", "--shares", "0.3", "--rounds", "1"],
}


def run(name: str, arguments: list[str], out: Path) -> tuple[int, dict[str, Any]]:
    """The exit status and the JSON."""
    status = importlib.import_module(f"benchmarks.{name}").main([*arguments, "--out", str(out)])
    return status, json.loads(out.read_text())


@pytest.fixture
def opened(tmp_path: Path) -> Results:
    chosen = argparse.Namespace(out=tmp_path / "results.json", seed=0, fresh=False)
    return Results.opened("some", chosen, {"seconds": 1}, {})


@pytest.mark.parametrize("name", TINY)
def test_a_stopped_benchmark_goes_on_and_measures_nothing_twice(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    status, whole = run(name, TINY[name], out)
    assert status == 0
    assert whole["benchmark"] == name
    assert whole["seed"] == 0
    assert whole["machine"]["cores"] >= 1
    assert {"python", "numpy", "scikit-learn"} <= whole["versions"]["own"].keys()
    assert "|\n| --- |" in capsys.readouterr().out

    assert len(whole["cells"]) == 2
    lost, kept = whole["cells"]
    part = {**whole, "cells": {kept: whole["cells"][kept]}}
    out.write_text(json.dumps(part))
    _, again = run(name, TINY[name], out)
    assert again["cells"].keys() == whole["cells"].keys()
    assert again["cells"][lost]["when"] > whole["cells"][lost]["when"]
    assert again["cells"][kept] == whole["cells"][kept]


@pytest.mark.long
@pytest.mark.parametrize("name", OURS)
def test_ours_is_measured_beside_the_others(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = run(name, OURS[name], tmp_path / "out.json")
    assert status == 0
    printed = capsys.readouterr().out
    table = ["--table", "--out", str(tmp_path / "out.json")]
    importlib.import_module(f"benchmarks.{name}").main(table)
    assert capsys.readouterr().out == printed
    for cell in found["cells"].values():
        numbers = [value for value in cell.values() if isinstance(value, float)]
        assert np.isfinite(numbers).all()


def test_cells_are_kept_one_by_one_and_only_the_failed_run_again(opened: Results) -> None:
    ran: list[str] = []

    def cell(key: str, answer: Answer) -> Cell:
        def work() -> Answer:
            ran.append(key)
            return answer

        return Cell(key, work)

    def interrupted() -> Answer:
        raise KeyboardInterrupt

    first = [
        cell("good", {"value": 1.0}),
        cell("bad", {"error": "it broke"}),
        cell("absent", {"missing": "pyod"}),
    ]
    with pytest.raises(KeyboardInterrupt):
        opened.fill([*first, Cell("stopped", interrupted)])
    again = Results.read(opened.path)
    assert again.fill([*first, cell("stopped", {"value": 2.0})]) == 1
    assert ran == ["good", "bad", "absent", "bad", "absent", "stopped"]
    assert Results.read(opened.path).finished.keys() == {"good", "stopped"}


def test_results_of_other_conditions_are_not_mixed(opened: Results) -> None:
    opened.write()
    chosen = argparse.Namespace(out=opened.path, seed=0, fresh=False)
    with pytest.raises(SystemExit, match=r"seconds.*--fresh"):
        Results.opened("some", chosen, {"seconds": 2}, {})
    chosen.fresh = True
    assert Results.opened("some", chosen, {"seconds": 2}, {}).cells == {}


@pytest.mark.parametrize("text", ["{}", "[1]", '{"schema": 1', ""])
def test_a_file_that_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match="--fresh"):
        Results.read(path)


def test_a_method_whose_process_dies_is_an_error_and_the_next_question_is_answered() -> None:
    with Worker(sys.executable, 1) as worker:
        answer = worker.ask("fits", name="no such set")
        assert "ended with status 1" in answer["error"]
        assert "TypeError" in answer["error"]
        assert "python" in worker.ask("versions")


def test_ratios_compare_runs_of_the_same_round() -> None:
    def cell(cpu: float) -> Answer:
        return {"cpu_us": cpu}

    # The machine is ten times slower in the second round, for both.
    runs = {
        "torch": {0: cell(1.0), 1: cell(10.0), 2: cell(1.0)},
        "ours": {0: cell(2.0), 1: cell(20.0), 3: cell(99.0)},
    }
    assert train.ratio(runs, "ours", "cpu_us") == 2.0
    assert train.ratio({"ours": runs["ours"]}, "ours", "cpu_us") is None


def test_absent_libraries_are_named_in_the_table(opened: Results) -> None:
    opened.data["versions"] = {"own": {"python": "3"}}
    opened.cells[train.key("30-64-32-64-30", 1, "pyod", 0)] = {"missing": "pyod"}
    assert "| PyOD AutoEncoder, the same layers | not installed |" in train.table(opened)


def test_worse_is_a_difference_beyond_one_standard_error_of_the_mean(opened: Results) -> None:
    opened.data["versions"] = {"own": {"python": "3"}}
    for seed, difference in enumerate([0.3, 0.1, -0.2]):
        opened.cells[quality.key("wine", 2, "ours", seed)] = {
            "mse": 1 + difference, "mse_error": 0.2, "pca_mse": 1.0, "pca_mse_error": 0.2,
            "difference": difference, "difference_error": 0.01, "cpu_seconds": 1.0,
        }  # fmt: skip
    text = quality.table(opened)
    assert "worse (1 of 3)" in text
    assert "| tables | 2 | 3 | 1.100 | 1.067 | 1 |" in text


def test_only_columns_of_numbers_that_are_mostly_there_are_kept() -> None:
    text = "a,b,c,d\n1,x,?,4\n2,y,3,\n3,z,NA,6\n4,w,,7\n5,v,,8\n"
    np.testing.assert_array_equal(data.numeric_columns(text), [[1, 4], [3, 6], [4, 7], [5, 8]])
    # Without a header, the first line is a row.
    np.testing.assert_array_equal(data.numeric_columns("M,1,2\nF,3,4\n"), [[1, 2], [3, 4]])


@pytest.mark.parametrize("name", ["digits", "digits-images", "wine"])
def test_a_split_has_every_row_once_and_units_of_the_rows_to_train_on(name: str) -> None:
    split = data.load(name, 0, 100)
    assert len(split.test) == round(0.2 * (len(split.train) + len(split.test)))
    units = split.units(split.train)
    if split.peak is None:
        np.testing.assert_allclose(units.mean(0), 0, atol=1e-9)
        np.testing.assert_allclose(units.std(0), 1)
    else:
        assert units.min() == 0
        assert units.max() == 1
    other = data.load(name, 1, 100)
    assert not np.array_equal(split.test, other.test)


def test_the_images_to_measure_on_are_the_last_of_the_file() -> None:
    if "fashion-mnist" not in data.names():
        pytest.skip(f"there are no images in {data.folder()}; set ISTHMUS_DATA")
    split = data.load("fashion-mnist", 0, 1000)
    x = data.array(data.folder() / "images_small" / data.IMAGES["fashion-mnist"], "x")
    np.testing.assert_array_equal(split.train, x[:1000])
    np.testing.assert_array_equal(split.test, x[50_000:])
