"""Files that results are written to: beside their place first, then moved there in one step."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from isthmus.core.errors import DataError
from isthmus.data.contracts import Array
from isthmus.data.files import ARRAY_ENDINGS, TABLE_ENDINGS, arrow_table


def check_output(path: str | Path, kind: str = "table") -> None:
    """Raise unless ``write`` could write there: to be asked before the work begins.

    Parameters
    ----------
    path : str or Path
    kind : "table" or "images"
        What will be written; images go into a new folder, a name without an ending.

    Raises
    ------
    DataError
        If the ending is unknown, the folder is not there, or the path is taken by a folder.
    """
    path = Path(path)
    ending = path.suffix.lower()
    images = kind == "images"
    known = ARRAY_ENDINGS if images else TABLE_ENDINGS + ARRAY_ENDINGS
    to_folder = images and (not ending or path.is_dir())
    if not to_folder and ending not in known:
        what = "images" if images else "a table"
        where = f"'{ending}' files" if ending else f"{path}, which has no ending"
        folder = ", or a folder (a name without an ending)" if images else ""
        raise DataError(
            f"cannot write {what} to {where}. Known endings: {', '.join(known)}{folder}."
        )
    if not path.parent.is_dir():
        raise DataError(f"there is no folder {path.parent}. Make it first.")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"the folder {path.parent} may not be written to.")
    if not to_folder and path.is_dir():
        raise DataError(f"{path} is a folder. Give another name.")
    if to_folder and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path} holds files already. Give the name of a new or empty folder.")


def write(
    path: str | Path, X: Array | Mapping[str, Array], names: Sequence[str] | None = None
) -> None:
    """Write a table, an array or images; what is there is replaced only by a whole file.

    Parameters
    ----------
    path : str or Path
        .csv, .tsv, .parquet, .npy or .npz; or, for images, a folder that is new or empty.
    X : array of shape (n, ...) or mapping of str to array of shape (n,)
        Rows, or columns by name.
    names : sequence of str, optional
        Column names of a table (``x0``, ``x1`` ... if left out), or file names of images.

    Raises
    ------
    DataError
        If it cannot be written there, or not in that form.
    """
    path = Path(path)
    if isinstance(X, Mapping):
        named: dict[str, Array] | None = {name: np.asarray(X[name]) for name in X}
        array = None
    else:
        array = np.asarray(X)
        named = _named(array, names) if array.ndim == 2 else None
    images = array is not None and array.ndim > 2
    check_output(path, "images" if images else "table")
    try:
        if images and path.suffix.lower() not in ARRAY_ENDINGS:
            from isthmus.data.folders import write_folder

            assert array is not None
            write_folder(path, array, names)
        else:
            _write_file(path, array, named)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}.") from error


def _named(array: Array, names: Sequence[str] | None) -> dict[str, Array]:
    names = [f"x{j}" for j in range(array.shape[1])] if names is None else list(names)
    if len(names) != array.shape[1] or len(set(names)) != len(names):
        raise DataError(f"{array.shape[1]} columns need as many different names, got {len(names)}.")
    return dict(zip(names, array.T, strict=True))


def _write_file(path: Path, array: Array | None, named: dict[str, Array] | None) -> None:
    ending = path.suffix.lower()
    if ending in ARRAY_ENDINGS:
        array = _stacked(named or {}) if array is None else array
        arrays = {"X": array}
        if named is not None:
            arrays["names"] = np.array(list(named), dtype=np.str_)
        _replace(path, lambda file: _save(file, arrays, archive=ending == ".npz"))
        return
    if named is None:
        raise DataError(f"a {ending} file holds columns, got an array of one dimension.")
    table = arrow_table(named)
    if ending == ".parquet":
        import pyarrow.parquet as pq

        _replace(path, lambda file: pq.write_table(table, file, write_page_checksum=True))
        return
    import pyarrow.csv as pacsv

    options = pacsv.WriteOptions(delimiter="\t" if ending == ".tsv" else ",")
    _replace(path, lambda file: pacsv.write_csv(table, file, options))


def _stacked(named: dict[str, Array]) -> Array:
    words = [f"'{name}'" for name, column in named.items() if column.dtype.kind not in "biuf"]
    if words or not named:
        raise DataError(
            f"NumPy files hold numbers, not {', '.join(words) or 'nothing'}. Write a .csv file."
        )
    return np.column_stack(list(named.values()))


def _save(file: BinaryIO, arrays: dict[str, Array], archive: bool) -> None:
    if archive:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    else:
        np.save(file, arrays["X"], allow_pickle=False)


def _replace(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    """Fill a file beside ``path``, then put it in its place."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
