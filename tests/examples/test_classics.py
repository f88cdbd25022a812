"""The classics, run as a reader would run them: what they print and claim is what happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus

CLASSICS = Path(__file__).resolve().parents[2] / "examples" / "classics"
SOURCE = Path(isthmus.__file__).resolve().parents[1]
EXAMPLES = (
    "compress_images",
    "learn_features",
    "practice",
    "fully_recovered",
    "own_keras_modules",
)
SMALL = {
    "compress_images": "--rows 800 --epochs 2 --seeds 1",
    "learn_features": "--rows 800 --epochs 4 --seeds 1",
    "practice": "--rows 800 --epochs 10 --seeds 1 --lever-epochs 8 --levers dropout",
    "fully_recovered": "--rows 800 --epochs 4 --seeds 1 --codec-epochs 20",
    "own_keras_modules": "--rows 800 --epochs 4 --seeds 1",
}
NEEDS_TIME = "no worse than plain Keras"

needs_keras = pytest.mark.skipif(
    find_spec("keras") is None, reason="keras is not installed: pip install keras jax"
)


def python(*arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own: Keras settles its backend once, and reseeds everything."""
    path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def figures_of(name: str, options: str, keras: bool = True) -> tuple[dict[str, Any], str]:
    """What ``main`` returns, and what it printed."""
    absent = "" if keras else "sys.modules['keras'] = None;"
    done = python(
        "-c",
        f"import json, sys; {absent} sys.path.insert(0, {str(CLASSICS)!r});"
        f"import {name}; print(json.dumps({name}.main({options.split()!r})))",
    )
    assert done.returncode == 0, done.stderr
    printed, _, last = done.stdout.rstrip().rpartition("\n")
    return json.loads(last), printed


@needs_keras
@pytest.mark.parametrize("name", EXAMPLES)
def test_what_a_classic_claims_holds_on_few_images_but_for_long_training(name: str) -> None:
    figures, printed = figures_of(name, SMALL[name])
    claims = {c: held for c, held in figures["claims"].items() if NEEDS_TIME not in c}
    assert claims
    assert all(claims.values()), printed
    if name != "own_keras_modules":
        assert {"plain Keras", "ours, same network", "ours", "PCA"} <= set(figures["rows"])


@pytest.mark.parametrize("name", EXAMPLES[:4])
def test_without_keras_a_classic_says_so_and_still_holds_ours_against_pca(name: str) -> None:
    figures, printed = figures_of(name, SMALL[name], keras=False)
    assert "Keras is not installed" in printed
    assert not any("Keras" in row for row in figures["rows"])
    assert any("PCA" in claim for claim in figures["claims"])
    assert all(figures["claims"].values()), printed


def test_a_method_that_loses_to_pca_is_named_in_print(tmp_path: Path) -> None:
    figures, printed = figures_of(
        "compress_images", f"--rows 300 --epochs 1 --seeds 1 --out {tmp_path}", keras=False
    )
    rows = figures["rows"]
    assert rows["PCA"]["squared error"] < rows["ours, same network"]["squared error"]
    assert "PCA beats ours, same network" in printed
    for picture in ("reconstructions.png", "codes.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_bytes_are_weighed_as_they_are_and_every_pixel_comes_back_from_ours_alone() -> None:
    figures, printed = figures_of("fully_recovered", SMALL["fully_recovered"], keras=False)
    nbytes = {name: row["bytes"] for name, row in figures["bytes"].items()}
    assert nbytes["its pixels, a byte each"] == 64
    assert nbytes["its code, float32"] == 4 * 16
    assert nbytes["ours, an archive"] < nbytes["ours, a file each"] < nbytes["a PNG file"]
    assert all(row["images right"] < 1 for row in figures["rows"].values())
    assert "holds: ours, lossless, gives every pixel" in printed
    assert "has paid for its model from" in printed


def test_a_file_of_images_has_its_last_ten_thousand_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.arange(10_004, dtype=np.uint16).astype(np.uint8).repeat(16).reshape(-1, 4, 4)
    np.savez(tmp_path / "small.npz", x=x, y=np.arange(10_004) % 10)
    images = from_file(monkeypatch)(tmp_path / "small.npz")
    assert images.train.shape == (4, 4, 4)
    assert images.test.shape == (10_000, 4, 4)
    np.testing.assert_array_equal(images.train[:, 0, 0], np.arange(4, dtype=np.float32) / 255)
    assert images.test_labels[0] == 4


@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ({"x": np.zeros((10_004, 2, 2), np.float32), "y": np.zeros(10_004)}, "uint8"),
        ({"x": np.zeros((9, 2, 2), np.uint8), "y": np.zeros(9)}, "10,000"),
        ({"x": np.zeros((10_004, 2, 2), np.uint8)}, "'y'"),
    ],
    ids=["of another type", "too few", "without labels"],
)
def test_a_file_of_something_else_is_refused_in_words(
    arrays: dict[str, Any], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ValueError, match=word):
        from_file(monkeypatch)(tmp_path / "other.npz")


def test_a_missing_file_is_named_and_no_traceback_shown() -> None:
    done = python(str(CLASSICS / "compress_images.py"), "--data", "nowhere.npz")
    assert done.returncode == 2
    assert "nowhere.npz" in done.stderr
    assert "Traceback" not in done.stderr


@needs_keras
@pytest.mark.long
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_claim_of_a_classic_holds_at_its_defaults(name: str) -> None:
    done = python(str(CLASSICS / f"{name}.py"), seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILS" not in done.stdout


def from_file(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The reader of the examples, from the file next to them."""
    from importlib.util import module_from_spec, spec_from_file_location

    found = spec_from_file_location("classics_data", CLASSICS / "data.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    monkeypatch.setitem(sys.modules, "classics_data", module)
    found.loader.exec_module(module)
    return module.from_file
