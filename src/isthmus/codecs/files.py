"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from isthmus.core.errors import CompressedError, DataError
from isthmus.training.checkpoint import write_whole

LARGEST_FILE = 1 << 32


def read_bytes(path: Path) -> bytes:
    """All of a file.

    Raises
    ------
    DataError
        If it is not there, or larger than any that is compressed.
    """
    return read_start(path, LARGEST_FILE)[0]


def read_start(path: Path, n: int) -> tuple[bytes, int]:
    """The first bytes of a file, at most n, and how many it has.

    Raises
    ------
    DataError
        If it is not there, or larger than any that is compressed.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                raise DataError(f"{path} is larger than {LARGEST_FILE >> 30} GiB.")
            return file.read(min(n, size)), size
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error


def write_bytes(path: Path, data: bytes, check: Callable[[Path], None] | None = None) -> None:
    """Write beside, look at what was written, then rename.

    Parameters
    ----------
    path : Path
    data : bytes
    check : callable, optional
        Raises if the file beside is not right; then nothing is left of it.

    Raises
    ------
    CompressedError
        If the file cannot be written.
    """
    try:
        write_whole(path, data, check)
    except OSError as error:
        raise CompressedError(f"cannot write {path}: {error.strerror or error}.") from error
