"""The command line with loss: fitted for qualities, compressed at one, had back nearly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from isthmus.apps.cli.main import app
from tests.codecs.samples import digits, smooth

Run = Callable[..., Result]
FIT = ("--for", "compress", "--quality", "2..7", "--speed", "fast", "--epochs", "6")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small grey pictures."""
    folder = tmp_path_factory.mktemp("data") / "scans"
    folder.mkdir()
    for i, image in enumerate(digits()[:200]):
        Image.fromarray(image).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def model(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec that the command line fitted."""
    path = tmp_path_factory.mktemp("models") / "scans.model"
    told = CliRunner().invoke(app, ["fit", str(scans), "-o", str(path), *FIT])
    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith(f"{path}: a codec. On images held out: ")
    assert "fewer bits than before training" in told.stdout
    return path


def errors(folder: Path, scans: Path) -> float:
    """The mean squared error of pictures that came back."""
    apart = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as one, Image.open(scans / path.name) as other:
            apart.append(np.square(np.asarray(one, float) - np.asarray(other, float)).mean())
    assert apart
    return float(np.mean(apart))


def test_files_come_back_nearer_at_a_higher_quality(
    run: Run, model: Path, scans: Path, tmp_path: Path
) -> None:
    found = []
    some = sorted(scans.iterdir())[:20]
    for quality in (2, 5, 7):
        small, back = tmp_path / f"small{quality}", tmp_path / f"back{quality}"
        told = run("compress", model, *some, "-o", small, "--quality", quality, "--json")
        assert told.exit_code == 0, told.stderr
        again = run("decompress", *sorted(small.iterdir()), "-o", back, "--model", model)
        assert again.exit_code == 0, again.stderr
        found.append((json.loads(told.stdout)["after"], -errors(back, scans)))
    assert found == sorted(found)
    assert sum(path.stat().st_size for path in some) > found[-1][0]


def test_an_archive_is_written_at_a_quality(
    run: Run, model: Path, scans: Path, tmp_path: Path
) -> None:
    sizes = []
    for quality in ("2", "7"):
        words = ("compress", model, scans, "--archive", f"{quality}.ista", "-o", tmp_path)
        told = run(*words, "--quality", quality, "--json")
        sizes.append(json.loads(told.stdout)["after"])
    assert sizes[0] < sizes[1]
    told = run("decompress", tmp_path / "7.ista", "-o", tmp_path / "back", "--model", model)
    assert told.stdout == f"{tmp_path / 'back'}: 200 files\n"
    assert errors(tmp_path / "back", scans) < 60


def test_evaluate_sets_curves_beside_those_of_other_formats(
    run: Run, model: Path, scans: Path
) -> None:
    told = run("evaluate", model, scans / "003.png")
    assert told.exit_code == 0, told.stderr
    assert "PSNR in dB" in told.stdout
    assert "beside JPEG" in told.stdout
    assert "At equal PSNR" in told.stdout


def test_info_and_cite_tell_of_a_codec_with_loss(run: Run, model: Path) -> None:
    told = run("info", model)
    assert "images, grey, with loss" in told.stdout
    assert "qualities 2 to 7" in told.stdout
    assert "Minnen" in run("cite", model).stdout


def test_what_does_not_go_together_is_wrong_use(
    run: Run, model: Path, scans: Path, tmp_path: Path
) -> None:
    lossy, out = ("--for", "compress"), ("-o", tmp_path / "m")
    for words, expected in (
        (("fit", scans, *out, *lossy, "--quality", "0..8"), "like 1..8"),
        (("fit", scans, *out, *lossy, "--quality", "5..2"), "like 1..8"),
        (("fit", scans, *out, *lossy, "--quality", "best"), "like 1..8"),
        (("fit", scans, *out, *lossy, "--quality", "3", "--lossless"), "--lossless, or --quality"),
        (("fit", scans, *out, "--quality", "3"), "it goes with --for compress"),
        (("compress", scans, *out, "--quality", "3"), "a model with loss"),
        (("compress", model, scans, *out, "--quality", "9"), "--quality"),
    ):
        told = run(*words)
        assert told.exit_code == 2, words
        assert expected in told.stderr, words
    told = run("compress", model, scans, *out, "--quality", "8")
    assert told.exit_code == 2
    assert "qualities 2 to 7" in told.stderr
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_coded_with_loss_is_refused_in_words(
    run: Run, model: Path, tmp_path: Path
) -> None:
    Image.fromarray(smooth(9, 9, 4)).save(tmp_path / "clear.png")
    told = run("compress", model, tmp_path / "clear.png", "-o", tmp_path / "out")
    assert told.exit_code == 1
    assert "alpha" in told.stderr
    assert "without" in told.stderr
