"""Files cut short, files with flipped bytes, and disks that fill up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.core.errors import DataError, IsthmusError
from isthmus.data import Loaded, modality, read, write

NAMED = ["weight", "height, cm", "größe"]
ROWS = np.random.default_rng(0).normal(size=(40, 3))
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def values(X: Any) -> np.ndarray[Any, Any]:
    return X if isinstance(X, np.ndarray) else np.column_stack([c.to_numpy() for c in X.columns])


def damaged_file(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    for ending in (".csv", ".parquet", ".npy", ".npz"):
        write(folder / f"t{ending}", ROWS, names=NAMED)
    write(folder / "pictures", (np.abs(ROWS.reshape(1, 10, 12)) * 80).astype(np.uint8), ["t"])
    contents = {path.suffix: path.read_bytes() for path in folder.glob("t.*")}
    return {**contents, ".png": (folder / "pictures" / "t.png").read_bytes()}


def outcome(path: Path) -> Loaded | IsthmusError:
    try:
        return read(path)
    except IsthmusError as error:
        return error


@pytest.mark.parametrize("ending", [".parquet", ".npy", ".npz"])
@SHARED_FOLDER
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(tmp_path, whole_files, ending, share):
    whole = whole_files[ending]
    path = damaged_file(tmp_path, whole[: int(share * len(whole))], f"t{ending}")
    with pytest.raises(DataError, match=r"t\.\w+ (is empty|cannot be read)"):
        read(path)


@SHARED_FOLDER
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_image_is_refused_unless_all_its_pixels_are_there(tmp_path, whole_files, share):
    whole = whole_files[".png"]
    pixels = read(damaged_file(tmp_path, whole, "t.png")).X
    back = outcome(damaged_file(tmp_path, whole[: int(share * len(whole))], "t.png"))
    if isinstance(back, Loaded):
        assert share > 0.8
        assert np.array_equal(back.X, pixels)


@SHARED_FOLDER
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_csv_is_refused_or_lacks_only_its_end(tmp_path, whole_files, share):
    whole = whole_files[".csv"]
    path = damaged_file(tmp_path, whole[: int(share * len(whole))])
    try:
        X = read(path).X
        kind = modality(X)
        kind.fit(X)
    except DataError:
        return
    kept = values(X)
    assert np.array_equal(kept[:-1], ROWS[: len(kept) - 1])


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npy", ".npz", ".png"])
@SHARED_FOLDER
@given(st.data())
def test_a_damaged_file_is_read_or_refused_by_an_error_of_ours(tmp_path, whole_files, ending, data):
    damaged = bytearray(whole_files[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    back = outcome(damaged_file(tmp_path, bytes(damaged), f"t{ending}"))
    if isinstance(back, Loaded):
        assert back.X.shape[0] > 0
    else:
        assert f"t{ending}" in str(back) or "column" in str(back)


def test_damaged_numbers_are_noticed_where_the_format_has_checksums(tmp_path, whole_files):
    for ending in (".npz", ".parquet", ".png"):
        damaged = bytearray(whole_files[ending])
        damaged[len(damaged) // 3] ^= 0x10
        with pytest.raises(DataError):
            read(damaged_file(tmp_path, bytes(damaged), f"t{ending}"))


@pytest.fixture
def small_disk() -> Iterator[None]:
    """A limit on the size of files, which fails a write half-way, as a full disk does."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npy", ".npz"])
def test_a_disk_that_fills_up_leaves_the_old_file_whole(tmp_path, small_disk, ending):
    path = tmp_path / f"t{ending}"
    write(path, ROWS)
    with pytest.raises(DataError, match="cannot write"):
        write(path, np.random.default_rng(1).normal(size=(5000, 3)))
    assert np.array_equal(values(read(path).X), ROWS)
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_leaves_no_half_folder(tmp_path, small_disk):
    with pytest.raises(DataError, match="cannot write"):
        write(
            tmp_path / "out",
            np.random.default_rng(0).integers(0, 256, (2, 200, 200), dtype=np.uint8),
        )
    assert list(tmp_path.iterdir()) == []
