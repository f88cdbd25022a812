"""``isthmus demo``: something to look at, on a machine with no data and no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from isthmus import load
from isthmus.apps.cli.bundled import EVERY, SIDE, STRIP, digits, photographs

Run = Callable[..., Result]


@pytest.mark.long
def test_the_demo_beats_pca_on_what_it_has_not_seen(run: Run, tmp_path: Path) -> None:
    told = run("demo", tmp_path / "demo", "--json")
    assert told.exit_code == 0, told.stderr
    result = json.loads(told.stdout)
    assert [model["plain_wins"] for model in result["models"]] == [False, False]
    page = Path(result["report"]).read_text(encoding="utf-8")
    for model in result["models"]:
        assert model["verdict"] in page


def test_the_demo_leaves_models_and_a_report_and_says_where(run: Run, tmp_path: Path) -> None:
    told = run("demo", tmp_path / "demo", "--epochs", 1, "--quiet")
    assert (told.exit_code, told.stderr) == (0, "")
    names = sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert names == ["digits.model", "photographs.model", "report.html"]
    assert told.stdout.endswith(f"The report: {tmp_path / 'demo' / 'report.html'}\n")
    assert load(tmp_path / "demo" / "digits.model").transform(digits().held).shape == (360, 8)


def test_a_file_in_the_place_of_the_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("precious")
    assert run("demo", tmp_path / "demo").exit_code == 2
    assert (tmp_path / "demo").read_text() == "precious"


def test_no_patch_to_fit_on_shares_a_pixel_with_one_held_out() -> None:
    found = photographs()
    assert found.fit.shape[1:] == found.held.shape[1:] == (SIDE, SIDE, 3)
    assert STRIP % SIDE == 0
    assert EVERY > 1
    # Rough patches are unique, so a column of pixels that is in both was cut twice.
    rough = [part[part.std((1, 2, 3)) > 40] for part in (found.fit, found.held)]
    columns = [
        {column.tobytes() for patch in part for column in patch.swapaxes(0, 1)} for part in rough
    ]
    assert len(columns[1]) > 100
    assert not columns[0] & columns[1]


def test_the_digits_held_out_are_of_all_kinds() -> None:
    found = digits()
    assert len(found.fit) + len(found.held) == 1797
    assert found.labels is not None
    assert np.bincount(found.labels).min() > 30
