"""``isthmus denoise`` and ``isthmus restore``, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from isthmus import Denoiser, Restorer, load, spec
from tests.tasks.scenes import error, noisy, scenes

Run = Callable[..., Result]
QUICK: dict[str, Any] = {"epochs": 10, "random_state": 0, "network": spec("unet", widths=(8, 12))}


def folder(path: Path, images: Any) -> Path:
    path.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(path / f"{i:02d}.png")
    return path


def read(path: Path) -> Any:
    return np.stack([np.asarray(Image.open(file)) for file in sorted(path.iterdir())])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    Denoiser("noise", **QUICK).fit(scenes()).save(place / "denoiser")
    Restorer("holes", **QUICK).fit(scenes()).save(place / "mender")
    return place


def test_a_model_learned_from_noisy_images_takes_out_noise(run: Run, tmp_path: Path) -> None:
    data = folder(tmp_path / "noisy", noisy(scenes(4, 32)))
    done = run("fit", data, "--for", "denoise", "--epochs", 1, "-o", tmp_path / "m", "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["undoes"] == "noise"
    assert told["noise"] == pytest.approx(0.1, rel=0.4)
    assert "by estimate" in done.stderr
    assert isinstance(load(tmp_path / "m"), Denoiser)
    for verb in ("info", "cite"):
        assert run(verb, tmp_path / "m").exit_code == 0
    found = run("cite", tmp_path / "m").stdout
    assert "Recorrupted" in found


def test_images_are_written_under_their_names(run: Run, models: Path, tmp_path: Path) -> None:
    clean = scenes(3, seed=9)
    data = folder(tmp_path / "noisy", noisy(clean))
    done = run("denoise", models / "denoiser", data, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert [file.name for file in sorted((tmp_path / "out").iterdir())] == [
        "00.png", "01.png", "02.png",
    ]  # fmt: skip
    assert error(read(tmp_path / "out"), clean) < error(noisy(clean), clean)
    again = run("denoise", models / "denoiser", data, "-o", tmp_path / "out")
    assert again.exit_code == 2
    assert "holds files already" in again.stderr


def test_holes_are_filled_where_the_masks_are_white(run: Run, models: Path, tmp_path: Path) -> None:
    clean = scenes(3, seed=9)
    lost = np.random.default_rng(0).random(clean.shape) < 0.4
    data = folder(tmp_path / "torn", np.where(lost, 0, clean).astype(np.uint8))
    masks = folder(tmp_path / "masks", (255 * lost).astype(np.uint8))
    place = tmp_path / "out"
    done = run("restore", models / "mender", data, "--mask", masks, "-o", place)
    assert done.exit_code == 0, done.stderr
    assert np.array_equal(read(place)[~lost], clean[~lost])
    without = run("restore", models / "mender", data, "-o", tmp_path / "other")
    assert without.exit_code == 2
    assert "--mask" in without.stderr


def test_each_is_judged_beside_the_plain_methods(run: Run, models: Path, tmp_path: Path) -> None:
    clean = folder(tmp_path / "clean", scenes(2, seed=9))
    data = folder(tmp_path / "noisy", noisy(scenes(2, seed=9)))
    done = run("evaluate", models / "denoiser", data, "--clean", clean, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["images_compared"] == 2
    assert {row["method"] for row in told["rows"]} >= {"this model", "median filter"}
    assert run("evaluate", models / "mender", clean).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("denoise", "mender"), "takes out no noise"),
        (("restore", "denoiser"), "restores nothing"),
    ],
)
def test_the_wrong_model_is_told_from_the_right_one(
    run: Run, models: Path, tmp_path: Path, words: tuple[str, str], said: str
) -> None:
    data = folder(tmp_path / "data", scenes(1))
    done = run(words[0], models / words[1], data, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert said in done.stderr
    assert f"--for {words[0]}" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for", "restore"], "say what shall be restored"),
        (["--for", "restore", "--damage", "hols"], "Did you mean 'holes'"),
        (["--for", "denoise", "--damage", "holes"], "Use Restorer"),
        (["--for", "denoise", "--latent-dim", "3"], "--latent-dim"),
        (["--damage", "holes"], "it goes with --for"),
        (["--clean", "x"], "it goes with --for"),
    ],
)
def test_wrong_use_is_told_before_the_work(
    run: Run, tmp_path: Path, words: list[str], said: str
) -> None:
    data = folder(tmp_path / "data", scenes(2, 32))
    done = run("fit", data, "-o", tmp_path / "m", *words)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert not (tmp_path / "m").exists()


def test_clean_images_are_found_by_their_names(run: Run, tmp_path: Path) -> None:
    clean = scenes(3, 32)
    data = folder(tmp_path / "noisy", noisy(clean))
    other = folder(tmp_path / "clean", clean)
    (other / "02.png").rename(other / "03.png")
    done = run(
        "fit", data, "--for", "denoise", "--clean", other, "--epochs", 1, "-o", tmp_path / "m"
    )
    assert done.exit_code == 2
    assert "there is none for '02.png'" in done.stderr
