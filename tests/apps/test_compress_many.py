"""``isthmus compress`` and ``decompress`` of many files: one that fails harms no other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from isthmus import Archive, ImageCodec
from isthmus.coding.container import Stored, store
from tests.codecs.samples import smooth

Run = Callable[..., Result]
FAST = ("--speed", "fast")


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of three pictures, of which one is larger than any that is compressed."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in (0, 2):
        Image.fromarray(smooth(40, 50, seed=i)).save(folder / f"{i}.png")
    (folder / "1.png").touch()
    os.truncate(folder / "1.png", 5 << 30)
    return folder


def test_a_file_that_cannot_be_read_stops_no_other(run: Run, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = run("compress", scans, "-o", out, *FAST, "--json")
    assert told.exit_code == 1
    assert told.stderr.startswith(f"error: {scans / '1.png'}")
    assert told.stderr.count("\n") == 1
    facts = json.loads(told.stdout)
    assert [Path(one["file"]).name for one in facts["files"]] == ["0.png", "2.png"]
    assert [one["file"] for one in facts["failed"]] == [str(scans / "1.png")]
    assert sorted(content(out)) == ["0.png.ist", "2.png.ist"]
    told = run("compress", scans, "--archive", tmp_path / "all.ista", *FAST)
    assert told.exit_code == 1
    assert "2 files, " in told.stdout
    assert "1 file could not be read" in told.stdout
    assert Archive(tmp_path / "all.ista", ImageCodec()).names == ["0.png", "2.png"]
    told = run("compress", scans / "1.png", "--archive", tmp_path / "none.ista", *FAST)
    assert (told.exit_code, told.stdout) == (1, "")
    assert not (tmp_path / "none.ista").exists()


def test_a_damaged_file_stops_no_other(run: Run, tmp_path: Path) -> None:
    small, back = tmp_path / "small", tmp_path / "back"
    small.mkdir()
    codec = ImageCodec()
    for i in range(3):
        (small / f"{i}.png.ist").write_bytes(codec.compress(smooth(9, 9, seed=i)))
    Archive.write(small / "all.ista", [smooth(8, 8)], codec, ["x.png"])
    (small / "1.png.ist").write_bytes((small / "1.png.ist").read_bytes()[:-3])
    (small / "no.ista").write_bytes(b"nothing of ours")
    told = run("decompress", small, "-o", back, "--json")
    assert told.exit_code == 1
    assert sorted(content(back)) == ["0.png", "2.png", "x.png"]
    assert told.stderr.count("error: ") == 2
    assert all(str(small / name) in told.stderr for name in ("1.png.ist", "no.ista"))
    facts = json.loads(told.stdout)
    assert len(facts["failed"]) == 2
    assert sorted(facts["files"]) == [str(back / name) for name in content(back)]


def test_of_a_damaged_archive_comes_back_what_can_be_read(run: Run, tmp_path: Path) -> None:
    one = tmp_path / "all.ista"
    images = [smooth(9, 9), smooth(5, 5), Stored(b"as it is"), smooth(9, 9, seed=1)]
    Archive.write(one, images, ImageCodec(), ["a.png", "b.png", "c.txt", "d.png"])
    data = one.read_bytes()
    one.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    told = run("decompress", one, "-o", tmp_path / "back")
    assert told.exit_code == 1
    assert sorted(content(tmp_path / "back")) == ["a.png", "b.png", "d.png"]
    assert "c.txt" in told.stderr
    assert "1 of the 4 files in it were not written" in told.stderr


def test_what_was_given_is_never_written_over(run: Run, tmp_path: Path) -> None:
    Image.fromarray(smooth(40, 50)).save(tmp_path / "a.png")
    (tmp_path / "a.png.ist").write_bytes(ImageCodec().compress(smooth(40, 50)))
    (tmp_path / "a.png.ist.ist").write_bytes(store((tmp_path / "a.png.ist").read_bytes()))
    (tmp_path / "link.ista").symlink_to(tmp_path / "a.png")
    before = content(tmp_path)
    files = [tmp_path / name for name in ("a.png", "a.png.ist", "a.png.ist.ist")]
    for words in (
        ("compress", *files[:2], "-o", tmp_path, *FAST),
        ("compress", files[0], "--archive", files[0], *FAST),
        ("compress", files[0], "--archive", tmp_path / "link.ista", *FAST),
        ("decompress", *files[1:], "-o", tmp_path),
    ):
        told = run(*words, "--overwrite")
        assert told.exit_code == 2, words
        assert "one of the files that were given" in told.stderr
        assert content(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_names_of_one_file_do_not_replace_each_other(
    run: Run, tmp_path: Path, overwrite: bool
) -> None:
    """As where case makes no difference: here a link stands for the other name."""
    one, back = tmp_path / "all.ista", tmp_path / "back"
    Archive.write(one, [Stored(b"small"), Stored(b"large")], ImageCodec(), ["a.txt", "A.txt"])
    back.mkdir()
    (back / "A.txt").symlink_to(back / "a.txt")
    told = run("decompress", one, "-o", back, *["--overwrite"] * overwrite)
    assert told.exit_code == 1
    assert "A.txt" in told.stderr
    assert "not written over" in told.stderr
    assert (back / "a.txt").read_bytes() == b"small"


def test_files_of_other_endings_are_said_to_be_left_out(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(smooth(40, 50)).save(folder / "a.png")
    for name in ("notes.txt", "raw.dng", ".hidden"):
        (folder / name).write_text("x")
    told = run("compress", folder, "-o", tmp_path / "out", *FAST)
    assert told.exit_code == 0
    assert told.stderr == f"{folder}: 2 files and 1 folder in it were left out, by the ending\n"
    (tmp_path / "out" / "other").write_text("x")
    told = run("decompress", tmp_path / "out", "-o", tmp_path / "back")
    assert told.exit_code == 0
    assert told.stderr == f"{tmp_path / 'out'}: 1 file in it was left out, by the ending\n"


def test_the_longest_names_come_back(run: Run, tmp_path: Path) -> None:
    name = "n" * 247 + ".png"
    (tmp_path / "in").mkdir()
    Image.fromarray(smooth(40, 50)).save(tmp_path / "in" / name)
    assert run("compress", tmp_path / "in", "-o", tmp_path / "out", *FAST).exit_code == 0
    assert run("decompress", tmp_path / "out", "-o", tmp_path / "back").exit_code == 0
    assert list(content(tmp_path / "back")) == [name]


def test_three_small_files_are_no_larger_in_an_archive(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pattern = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    for i in range(3):
        Image.fromarray(np.tile(np.roll(pattern, i), (12, 12 + i))).save(folder / f"{i}.png")
    told = run("compress", folder, "--archive", tmp_path / "all.ista", *FAST, "--json")
    assert told.exit_code == 0
    facts = json.loads(told.stdout)
    assert facts["after"] < facts["before"] + 3 * (24 + 5) + 64
    assert facts["stored"] == 3


def test_names_that_no_archive_can_hold_are_refused_one_by_one(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b\\c.png"):
        Image.fromarray(smooth(40, 50)).save(folder / name)
    told = run("compress", folder, "--archive", tmp_path / "all.ista", *FAST)
    assert told.exit_code == 1
    assert "Rename it" in told.stderr
    assert Archive(tmp_path / "all.ista", ImageCodec()).names == ["a.png"]
