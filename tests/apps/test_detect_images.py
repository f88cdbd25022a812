"""``isthmus detect`` on images: alarms by file, maps of them, and a page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from isthmus import AnomalyDetector, load
from isthmus.apps.cli.main import app
from isthmus.data import read
from tests.apps.pages import read as page_read
from tests.tasks.textures import Array, Backbone, blotched, textured

Run = Callable[..., Result]
COLUMNS = ["score", "p_value", "alarm", "reasons"]
MIDDLES = blotched(3, 2)[1]
SMALL = (6, 6)


def put(folder: Path, images: Array) -> Path:
    """A folder of PNG files, in their order."""
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"part {i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images of parts as they should be."""
    return put(tmp_path_factory.mktemp("data") / "parts", textured(40))


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images of which the last three have a blotch; beside it a table of them."""
    folder = tmp_path_factory.mktemp("data") / "today"
    put(folder, np.concatenate([textured(12, 1), blotched(3, 2)[0]]))
    names = [f"today/part {i:02d}.png" for i in range(15)]
    rows = pd.DataFrame({"photo": names, "broken": [0] * 12 + [1] * 3})
    rows.to_csv(folder.parent / "today.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def detector(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that the command line fitted."""
    path = tmp_path_factory.mktemp("models") / "parts.model"
    words = ["fit", str(parts), "-o", str(path), "--for", "detect"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.stderr
    assert told.stderr.startswith(f"{parts}: 40 images of 20 x 20\n")
    assert told.stdout.startswith(f"{path}: a detector by 40 rows of 40, with 0.01 of ")
    return path


@pytest.fixture(scope="module")
def of_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "table.model"
    rows = np.random.default_rng(0).normal(size=(20, 4))
    AnomalyDetector(epochs=1).fit(rows).save(path)
    return path


# ------------------------------------------------------------------ alarms


def test_alarms_are_written_by_file_with_the_places_to_blame(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    out = tmp_path / "alarms.csv"
    told = run("detect", detector, today, "-o", out)
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout == f"{out}: 3 alarms in 15 rows\n"
    found, model, X = pd.read_csv(out, keep_default_na=False), load(detector), read(today).X
    assert list(found) == ["file", *COLUMNS]
    assert found["file"].tolist() == sorted(path.name for path in today.iterdir())
    np.testing.assert_array_equal(found["alarm"], np.arange(15) >= 12)
    np.testing.assert_allclose(found["score"], model.score_samples(X))
    np.testing.assert_allclose(found["p_value"], model.pvalues(X))
    expected = ["; ".join(str(one) for one in row) for row in model.reasons(X[12:])]
    assert found["reasons"].tolist() == [""] * 12 + expected
    for (x, y), words in zip(MIDDLES, expected, strict=True):
        left, right, top, bottom = (int(n) for n in re.findall(r"\d+", words)[:4])
        assert left <= x < right
        assert top <= y < bottom


def test_images_in_an_array_have_numbers_and_drift_is_said(
    run: Run, detector: Path, tmp_path: Path
) -> None:
    out, array = tmp_path / "alarms.csv", tmp_path / "line.npy"
    np.save(array, np.concatenate([textured(60, 1), textured(40, 2) // 10 * 8]))
    told = run("detect", detector, array, "-o", out, "--json")
    facts = json.loads(told.stdout)
    assert {"out", "rows", "alarms", "drift_since", "bursts"} <= set(facts)
    assert facts["rows"] == 100
    assert 50 <= facts["drift_since"] <= 70
    found = pd.read_csv(out)
    assert list(found) == ["row", *COLUMNS]
    assert found["row"].tolist() == list(range(100))
    words = run("detect", detector, array, "-o", out).stdout
    assert f"from about row {facts['drift_since']} on rows are unlike those fitted on" in words


# ------------------------------------------------------------------ maps


def test_maps_are_pictures_of_the_alarms_tinted_at_the_blotch(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    told = run("detect", detector, today, "-o", tmp_path / "a.csv", "--maps", maps)
    assert told.exit_code == 0, told.stderr
    names = [f"{i}-part {i}.png" for i in (12, 13, 14)]
    assert sorted(path.name for path in maps.iterdir()) == names
    for name, (x, y) in zip(names, MIDDLES, strict=True):
        with Image.open(maps / name) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (20, 20))
            tint = np.asarray(picture).astype(int)
        redness = tint[..., 0] - tint[..., 2]
        assert redness[y, x] > 60
        assert (redness == 0).mean() > 0.1


def test_maps_of_images_without_files_are_called_by_their_numbers(
    run: Run, detector: Path, tmp_path: Path
) -> None:
    images = np.concatenate([textured(2, 1), blotched(1, 2)[0]])
    np.save(tmp_path / "line.npy", images)
    words = ("detect", detector, tmp_path / "line.npy", "-o", tmp_path / "a.csv", "--maps")
    assert run(*words, tmp_path / "maps").exit_code == 0
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["2.png"]
    assert run(*words, tmp_path / "maps.npy").exit_code == 0
    assert np.load(tmp_path / "maps.npy").shape == (1, 20, 20, 3)


def test_without_an_alarm_no_map_is_written(run: Run, detector: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "calm.npy", textured(3, 1))
    words = ("detect", detector, tmp_path / "calm.npy", "-o", tmp_path / "a.csv", "--maps")
    told = run(*words, tmp_path / "maps")
    assert told.exit_code == 0, told.stderr
    assert not (tmp_path / "maps").exists()


# ------------------------------------------------------------------ other verbs


def test_the_page_shows_the_alarms_and_names_the_places(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    told = run("report", detector, today, "-o", page)
    assert told.exit_code == 0, told.stderr
    html = page.read_text(encoding="utf-8")
    words = page_read(html).words
    assert "3 alarms in 15 rows" in words
    for row in load(detector).reasons(read(today).X[12:]):
        assert all(str(region) in words for region in row)
    section = html[html.index("Where they are unlike others") :]
    drawn = section[: section.index("</svg>")]
    assert drawn.count("data:image/png;base64,") == 3
    assert all(f"part {i}.png" in drawn for i in (12, 13, 14))
    assert "today, 15 images of 20 × 20 pixels" in words
    assert "Columns to blame" not in words


def test_labels_stand_in_a_table_of_paths(
    run: Run, detector: Path, today: Path, tmp_path: Path
) -> None:
    table = today.parent / "today.csv"
    judged = run("evaluate", detector, table, "--labels", "broken", "--json")
    assert judged.exit_code == 0, judged.stderr
    facts = json.loads(judged.stdout)
    ours = {row["measure"]: row["value"] for row in facts["rows"] if "this" in row["method"]}
    assert ours["AUROC"] == 1
    out = tmp_path / "alarms.csv"
    told = run("detect", detector, table, "-o", out, "--labels", "broken")
    assert told.exit_code == 0, told.stderr
    assert pd.read_csv(out)["file"][14] == "today/part 14.png"


def test_a_detector_is_fitted_as_by_the_library_to_images_whose_paths_stand_in_a_table(
    run: Run, tmp_path: Path
) -> None:
    images = textured(9, 0, SMALL)
    put(tmp_path / "small", images)
    table, model = tmp_path / "small.csv", tmp_path / "m.model"
    pd.DataFrame({"path": [f"small/part {i:02d}.png" for i in range(9)]}).to_csv(table, index=False)
    words = ("fit", table, "-o", model, "--for", "detect", "--quiet")
    assert run(*words, "--kind", "images").exit_code == 0
    found, expected = load(model), AnomalyDetector().fit(images)
    np.testing.assert_array_equal(found.score_samples(images), expected.score_samples(images))
    assert found.offset_ == expected.offset_


def test_info_says_what_the_images_are(run: Run, detector: Path) -> None:
    words = run("info", detector)
    assert words.exit_code == 0
    assert "images, 1 x 20 x 20" in words.stdout
    assert "compares rows with 40 rows" in words.stdout
    assert json.loads(run("info", detector, "--json").stdout)["detector"]["references"] == 40


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "{model}", "{data}", "-o", "{out}.csv"),
        ("reconstruct", "{model}", "{data}", "-o", "{out}"),
        ("sample", "{model}", "-n", "3", "-o", "{out}.csv"),
    ],
)
def test_verbs_that_need_codes_say_what_to_fit(
    run: Run, words: tuple[str, ...], detector: Path, today: Path, tmp_path: Path
) -> None:
    places = {"model": detector, "data": today, "out": tmp_path / "out"}
    told = run(*(word.format(**places) for word in words))
    assert (told.exit_code, told.stdout) == (1, "")
    assert "has no codes of them. Fit a model that has with: isthmus fit DATA" in told.stderr
    assert told.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_maps_that_cannot_be_are_wrong_use(
    run: Run, detector: Path, of_tables: Path, today: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((3, 4)))
    out = tmp_path / "a.csv"
    for model, data, maps, expected in (
        (of_tables, tmp_path / "rows.npy", tmp_path / "maps", "there are maps of images only"),
        (detector, today, today, "holds files already. Give the name of a new or empty folder"),
        (detector, today, tmp_path / "no" / "maps", "there is no folder"),
        (detector, today, tmp_path / "maps.csv", "cannot write images to '.csv' files"),
    ):
        told = run("detect", model, data, "-o", out, "--maps", maps)
        assert (told.exit_code, told.stdout) == (2, "")
        assert "--maps" in told.stderr
        assert expected in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]


def test_data_that_the_model_cannot_look_at_is_refused_in_one_clear_line(
    run: Run, detector: Path, of_tables: Path, today: Path, tmp_path: Path
) -> None:
    files = {"rows": np.zeros((3, 4)), "large": textured(3, 0, (24, 20)), "few": textured(7)}
    for name, array in files.items():
        np.save(tmp_path / f"{name}.npy", array)
    AnomalyDetector(encoder=Backbone(pooled=True)).fit(textured(9)).save(tmp_path / "own.model")
    before = sorted(tmp_path.iterdir())
    out = ("-o", tmp_path / "a.csv")
    for words, expected in (
        (("detect", detector, tmp_path / "rows.npy", *out), "images come as an array of shape"),
        (("detect", detector, tmp_path / "large.npy", *out), "fitted on 20 x 20 grey images, got"),
        (("detect", of_tables, today, *out), "the rows of a table, got images"),
        (("detect", tmp_path / "own.model", today, *out), "load(path, encoder=...)"),
        (
            ("fit", tmp_path / "few.npy", "-o", tmp_path / "m", "--for", "detect", "--quiet"),
            "found 7 rows, but a detector needs at least 8",
        ),
    ):
        told = run(*words)
        assert (told.exit_code, told.stdout) == (1, ""), words
        assert told.stderr.startswith("error: ")
        assert expected in told.stderr
        assert told.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
