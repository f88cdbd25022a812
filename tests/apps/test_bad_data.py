"""Data that do not fit, at the command line: one line in the user's words, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus import Autoencoder, load
from isthmus.data import read, write
from tests.apps.conftest import Run

HEADER = "height,width,kind"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of 60 rows, with two columns of numbers and one of words."""
    cells = np.random.default_rng(0).normal(size=(60, 2))
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text(f"{HEADER}\n" + lines(*cells.T, np.where(cells[:, 0] > 0, "x", "y")) + "\n")
    return path


@pytest.fixture(scope="module")
def model(table: Path) -> Path:
    """A saved model of that table."""
    path = table.with_name("table.model")
    Autoencoder(2, epochs=1).fit(read(table).X).save(path)
    return path


def lines(*columns: Iterable[object]) -> str:
    return "\n".join(",".join(str(cell) for cell in row) for row in zip(*columns, strict=True))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("height,kind\n1,x\n", "fitted on 3 columns, got 2 (missing: 'width')"),
        (f"{HEADER},age\n1,2,x,3\n", "fitted on 3 columns, got 4 (not known: 'age')"),
        ("height,breadth,kind\n1,2,x\n", "missing: 'width'; not known: 'breadth'"),
        ("a,b\n1,2\n", "missing: 'height', 'width', 'kind'"),
        (f"{HEADER}\ntall,2,x\nsmall,3,y\n", "column 'height' held numbers, now it holds text"),
        (f"{HEADER}\n1,2,3\n4,5,6\n", "column 'kind' held"),
        (f"{HEADER}\ninf,2,x\n1,2,y\n", "column 'height' has 1 infinite value."),
        (f"{HEADER},width\n1,2,x,3\n", "more than one column called 'width'"),
        (f"{HEADER}\n", "a header and no rows"),
        ("", "is empty"),
    ],
)
def test_a_table_unlike_the_one_that_was_learned_is_refused_in_words(
    run: Run, model: Path, tmp_path: Path, content: str, words: str
) -> None:
    given, out = tmp_path / "given.csv", tmp_path / "codes.csv"
    given.write_text(content)
    out.write_text("kept")
    told = run("embed", model, given, "--out", out)
    assert told.exit_code == 1, told.output
    assert words in told.stderr
    assert told.stderr.startswith("error: ")
    assert told.stderr.count("\n") == 1
    assert out.read_text() == "kept"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n", "found 1 row, but a fit needs at least 2"),
        ("a,b\n,\n,\n,\n", "every cell of the table is missing"),
        ("a,b\n1,inf\n2,3\n", "column 'b' has 1 infinite value"),
        ("a,a\n1,2\n3,4\n", "more than one column called 'a'"),
    ],
)
def test_a_table_that_teaches_nothing_is_refused_in_words(
    run: Run, tmp_path: Path, content: str, words: str
) -> None:
    given = tmp_path / "given.csv"
    given.write_text(content)
    told = run("fit", given, "--out", tmp_path / "a.model")
    assert told.exit_code == 1, told.output
    assert words in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["given.csv"]


TEN = np.random.default_rng(0).normal(size=10).round(4)


@pytest.mark.parametrize(
    "content",
    [
        "a\n" + lines(TEN),
        "a,b\n" + lines(TEN, [""] * 10),
        "a,b\n" + lines(TEN, [7] * 10),
        "a,b\n" + lines(TEN, TEN),
        "a,b\n" + lines(TEN, ["nan", *TEN[1:]]),
        ",".join(f"c{j}" for j in range(5000)) + "\n" + lines(*[TEN] * 5000),
    ],
    ids=["one column", "empty column", "constant", "twice", "a gap", "5,000 columns"],
)
def test_odd_tables_go_in_and_come_back(run: Run, tmp_path: Path, content: str) -> None:
    given, model, out = tmp_path / "given.csv", tmp_path / "a.model", tmp_path / "back.csv"
    given.write_text(content + "\n")
    assert run("fit", given, "--out", model, "--epochs", 1).exit_code == 0
    assert run("reconstruct", model, given, "--out", out).exit_code == 0
    before, after = read(given).X, read(out).X
    assert after.column_names == before.column_names
    assert after.num_rows == before.num_rows


def test_images_of_another_size_and_a_folder_without_images_are_refused(
    run: Run, picture_model: Path, tmp_path: Path
) -> None:
    larger, empty, out = tmp_path / "larger", tmp_path / "empty", tmp_path / "codes.csv"
    write(larger, np.zeros((2, 9, 8), dtype=np.uint8))
    empty.mkdir()
    told = run("embed", picture_model, larger, "--out", out)
    assert (told.exit_code, told.stderr.count("\n")) == (1, 1)
    assert "9" in told.stderr
    assert "8" in told.stderr
    told = run("embed", picture_model, empty, "--out", out)
    assert told.exit_code == 1
    assert f"there are no images in {empty}" in told.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n", "has none among a, b"),
        ("a,b\nx.png,y.png\n", "has several, a, b; set the others apart with --labels"),
        ("a,b\nx.png,2\n", "x.png"),
    ],
)
def test_a_table_that_names_no_images_or_two_is_refused_as_images(
    run: Run, tmp_path: Path, content: str, words: str
) -> None:
    given = tmp_path / "given.csv"
    given.write_text(content)
    told = run("fit", given, "-o", tmp_path / "m.model", "--kind", "images")
    assert told.exit_code == 1
    assert words in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_small_file_that_claims_to_be_enormous_is_refused_before_it_is_unpacked(
    run: Run, picture_model: Path, tmp_path: Path
) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("L", (8, 8)).save(bomb)
    content = bytearray(bomb.read_bytes())
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    bomb.write_bytes(content)
    told = run("embed", picture_model, bomb, "--out", tmp_path / "codes.csv")
    assert told.exit_code == 1, told.output
    assert "bomb.png has more than" in told.stderr
    assert told.stderr.count("\n") == 1


on_posix = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")


SMALL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
"""


def command(*words: object, before: str = "") -> list[str]:
    """The command line in a process of its own."""
    main = f"{before}\nfrom isthmus.apps.cli.main import main; main()"
    return [sys.executable, "-c", main, *(str(word) for word in words)]


@on_posix
def test_a_disk_that_is_full_is_said_and_what_was_there_is_kept(
    model: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "codes.csv"
    out.write_text("kept")
    small = (
        "import resource as r, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    )
    small += (
        "; r.setrlimit(r.RLIMIT_FSIZE, (64, 64)); runpy.run_module('isthmus', run_name='__main__')"
    )
    words = [sys.executable, "-c", small, "embed", str(model), str(table), "--out", str(out)]
    told = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 1, told.stderr
    assert told.stderr.startswith("error: ")
    assert told.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["codes.csv"]
    assert out.read_text() == "kept"


@on_posix
def test_a_fit_that_is_killed_leaves_the_old_model_and_can_be_resumed(
    run: Run, table: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.model"
    assert run("fit", table, "--out", path, "--epochs", 1).exit_code == 0
    before = load(path).transform(read(table).X)
    words = ("fit", table, "--out", path, "--epochs", 1000, "--patience", 1000)
    partial = path.with_name("a.model.partial")
    with subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        last = time.monotonic() + 120
        while not partial.exists() and time.monotonic() < last:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert partial.exists()
    np.testing.assert_array_equal(load(path).transform(read(table).X), before)
    told = run(*words, "--resume")
    assert told.exit_code == 0, told.output
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.model"]
