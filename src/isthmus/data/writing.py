"""Files that results are written to: beside their place first, then moved there in one step."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from isthmus.core.errors import DataError
from isthmus.core.wording import listed
from isthmus.data.contracts import Array
from isthmus.data.files import ARRAY_ENDINGS, TABLE_ENDINGS, arrow_table
from isthmus.data.frames import as_sheet, is_objects


def check_output(path: str | Path, kind: str = "table") -> None:
    """Raise unless ``write`` could write there: to be asked before the work begins.

    Parameters
    ----------
    path : str or Path
    kind : "table", "words" or "images"
        What will be written: tables with words are not for NumPy's files; images go into a new
        folder, a name without an ending.

    Raises
    ------
    DataError
        If the ending is unknown, the folder is not there, or the path is taken by a folder.
    """
    path = Path(path)
    try:
        _check_output(path, kind == "images", kind == "words")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}.") from error


def _check_output(path: Path, images: bool, has_words: bool) -> None:
    ending = path.suffix.lower()
    known = ARRAY_ENDINGS if images else TABLE_ENDINGS + (() if has_words else ARRAY_ENDINGS)
    to_folder = images and (not ending or path.is_dir())
    if not to_folder and ending not in known:
        what = "images" if images else "a table with words" if has_words else "a table"
        where = f"'{ending}' files" if ending else f"{path}, which has no ending"
        folder = ", or a folder (a name without an ending)" if images else ""
        raise DataError(
            f"cannot write {what} to {where}. Known endings: {', '.join(known)}{folder}."
        )
    if "\0" in str(path):
        raise DataError(f"{path} is no name that a file can have.")
    if not path.parent.is_dir():
        raise DataError(f"there is no folder {path.parent}. Make it first.")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"the folder {path.parent} may not be written to.")
    if not to_folder and path.is_dir():
        raise DataError(f"{path} is a folder. Give another name.")
    if to_folder and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path} holds files already. Give the name of a new or empty folder.")


def write(path: str | Path, X: Any, names: Sequence[str] | None = None) -> None:
    """Write a table, an array or images; what is there is replaced only by a whole file.

    Parameters
    ----------
    path : str or Path
        .csv, .tsv, .parquet, .arrow, .feather, .npy or .npz; or, for images, a folder that is
        new or empty. NumPy files hold numbers only.
    X : array of shape (n, ...), DataFrame, or mapping of str to array of shape (n,)
        Rows, or columns by name, which keep their types.
    names : sequence of str, optional
        Column names of a table (``x0``, ``x1`` ... if left out), or file names of images.

    Raises
    ------
    DataError
        If it cannot be written there, or not in that form.
    """
    path = Path(path)
    images = isinstance(X, np.ndarray) and (X.ndim > 2 or (is_objects(X) and X.ndim == 1))
    check_output(path, "images" if images else "table")
    try:
        if images and path.suffix.lower() not in ARRAY_ENDINGS:
            from isthmus.data.folders import write_folder

            write_folder(path, X, names)
        elif path.suffix.lower() in ARRAY_ENDINGS:
            _write_numpy(path, X, names)
        else:
            _write_table(path, _columns(path, X, names))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}.") from error


def _columns(path: Path, X: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """Columns by name, NumPy's or Arrow's."""
    if isinstance(X, Mapping):
        return {name: np.asarray(X[name]) for name in X}
    if getattr(X, "ndim", 2) == 1:
        raise DataError(f"a {path.suffix} file holds columns, got an array of one dimension.")
    sheet = as_sheet(X)
    if names is None:
        numbered = [f"x{j}" for j in range(sheet.n_columns)]
        names = sheet.names or (numbered if sheet.labels is None else [*map(str, sheet.labels)])
    if len(names) != sheet.n_columns or len(set(names)) != len(names):
        raise DataError(
            f"{sheet.n_columns} columns need as many different names, got {len(names)}."
        )
    return {name: sheet.typed_cells(j) for j, name in enumerate(names)}


def _write_numpy(path: Path, X: Any, names: Sequence[str] | None) -> None:
    arrays: dict[str, Array] = {}
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf":
        arrays["X"] = X
    if X.__class__ is not np.ndarray or X.ndim == 2:
        columns = _columns(path, X, names)
        arrays.setdefault("X", _stacked(columns))
        arrays["names"] = np.array(list(columns), dtype=np.str_)
    if "X" not in arrays:
        raise DataError("NumPy files hold arrays of one size. Write images to a folder.")
    archive = path.suffix.lower() == ".npz"

    def fill(file: BinaryIO) -> None:
        if archive:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        else:
            np.save(file, arrays["X"], allow_pickle=False)

    _replace(path, fill)


def _stacked(columns: dict[str, Any]) -> Array:
    arrays = {
        name: column if isinstance(column, np.ndarray) else column.to_numpy(zero_copy_only=False)
        for name, column in columns.items()
    }
    words = [f"'{name}'" for name, column in arrays.items() if column.dtype.kind not in "biuf"]
    if words or not arrays:
        raise DataError(
            f"NumPy files hold numbers, not {listed(words) or 'nothing'}. Write a .csv, .parquet "
            "or .arrow file."
        )
    return np.column_stack(list(arrays.values()))


def _write_table(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    table = arrow_table(columns)
    ending = path.suffix.lower()

    def fill(file: BinaryIO) -> None:
        if ending == ".parquet":
            pq.write_table(table, file, write_page_checksum=True)
        elif ending in (".arrow", ".feather"):
            feather.write_feather(table, file)
        else:
            options = pacsv.WriteOptions(delimiter="\t" if ending == ".tsv" else ",")
            pacsv.write_csv(_plain(table), file, options)

    try:
        _replace(path, fill)
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise DataError(f"cannot write {path} in that form: {reason}.") from error


def _plain(table: Any) -> Any:
    """What a text file can say: lengths of time as seconds."""
    import pyarrow as pa

    from isthmus.data.arrow import floats_of

    for j, kind in enumerate(table.schema.types):
        if pa.types.is_duration(kind):
            seconds = pa.array(floats_of(table.column(j)), from_pandas=True)
            table = table.set_column(j, table.column_names[j], seconds)
        elif str(kind) == "string_view":
            table = table.set_column(
                j, table.column_names[j], table.column(j).cast(pa.large_string())
            )
    return table


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
