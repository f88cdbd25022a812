"""Files that data is read from and written to: tables, arrays and folders of images.

Arrow and Pillow are imported where they are used: they take time that other uses don't pay.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.core.errors import ColumnsError, DataError, EmptyError, nearest
from isthmus.core.wording import listed
from isthmus.data.contracts import Array
from isthmus.data.frames import to_objects
from isthmus.data.memory import check_memory
from isthmus.data.scipy_sparse import check_sides, is_sparse

TABLE_ENDINGS = (".csv", ".tsv", ".parquet", ".arrow", ".feather")
ARRAY_ENDINGS = (".npy", ".npz")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm")
SPARSE_PARTS = {"format", "shape", "data"}
READABLE = f"{', '.join(TABLE_ENDINGS + ARRAY_ENDINGS)}, or a folder of images"


@dataclass(frozen=True)
class Loaded:
    """What a file held."""

    X: Any
    """A NumPy array, of objects where columns without names hold text; an Arrow table where
    columns have names; a sparse matrix of SciPy's."""
    kind: str
    """"table" or "images"."""
    names: list[str] | None = None
    """Column names of a table."""
    labels: Array | None = None
    """(n,) the column that was set apart."""
    paths: list[Path] | None = None
    """The files of a folder of images, in the order of the rows."""


def read(path: str | Path, kind: str | None = None, labels: str | None = None) -> Loaded:
    """Read a table, an array, a folder of images, or a table of their paths.

    Parameters
    ----------
    path : str or Path
        A .csv, .tsv, .parquet, .arrow, .feather, .npy or .npz file, an image, or a folder of
        images. An .npz file holds one array, or one that is called X or x, or a sparse matrix as
        ``scipy.sparse.save_npz`` writes it.
    kind : "table" or "images", optional
        Told by the file or the array's dimensions if left out.
    labels : str, optional
        A column, by name (by position from 0, where columns have none), or another array of the
        .npz file, that is no part of X.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of a kind that cannot be read.
    EmptyError
        If there is nothing in it.
    ColumnsError
        If it has no such column of labels.
    """
    path = Path(path)
    _check_there(path)
    ending = path.suffix.lower()
    if path.is_dir() or ending in IMAGE_ENDINGS:
        loaded = _read_images(path)
    elif ending in READERS:
        if not path.stat().st_size:
            raise EmptyError(f"{path} is empty.")
        loaded = READERS[ending](path, labels)
    else:
        what = f"'{ending}' files" if ending else f"{path}, which has no ending"
        raise DataError(f"cannot read {what}. Give {READABLE}.")
    if labels is not None and loaded.labels is None:
        loaded = _set_apart(loaded, labels, path)
    if not loaded.X.shape[0]:
        raise EmptyError(f"{path} has no rows.")
    if loaded.kind == "table" and kind in (None, "images"):
        loaded = _followed(loaded, path)
    return loaded if kind is None else replace(loaded, kind=kind)


def _check_there(path: Path) -> None:
    try:
        if path.exists():
            return
        if not path.parent.is_dir():
            raise DataError(f"there is no folder {path.parent}.")
        beside = [found.name for found in path.parent.iterdir()]
    except OSError as error:
        raise DataError(f"cannot look at {path}: {error.strerror}.") from error
    close = difflib.get_close_matches(path.name, beside, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise DataError(f"there is no file {path}.{hint}")


def _read_images(path: Path) -> Loaded:
    from isthmus.data.folders import read_folder, read_images

    try:
        images, paths = read_folder(path) if path.is_dir() else (read_images([path]), [path])
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    return Loaded(images, "images", paths=paths)


def _followed(loaded: Loaded, path: Path) -> Loaded:
    """The images whose paths a table of one column holds; any other table as it is."""
    from isthmus.data.folders import images_from_paths
    from isthmus.data.gathering import are_images, paths_of

    paths = paths_of(loaded.X) if are_images(loaded.X) else None
    if paths is None:
        return loaded
    images = images_from_paths(paths, base=path.parent)
    return replace(loaded, X=images, kind="images", names=None, paths=paths)


def _read_delimited(path: Path, labels: str | None) -> Loaded:
    from isthmus.data.delimited import read_delimited

    try:
        table, names = read_delimited(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    if names is not None:
        return Loaded(table, "table", names)
    loaded = Loaded(table, "table")
    if labels is not None:
        loaded = _set_apart(loaded, labels, path)
    return replace(loaded, X=_without_names(loaded.X))


def _without_names(table: Any) -> Array:
    """The columns side by side: numbers where all are, else Python's objects."""
    from isthmus.data.arrow import floats_of, is_number

    if all(is_number(kind) or str(kind) == "null" for kind in table.schema.types):
        return np.column_stack([floats_of(column) for column in table.columns])
    return to_objects(dict(enumerate(table.columns)))


def _read_parquet(path: Path, labels: str | None) -> Loaded:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def load() -> Any:
        with pa.OSFile(os.fsencode(path)) as source:
            file = pq.ParquetFile(source, page_checksum_verification=True)
            rows = file.metadata.num_rows
            check_memory(rows * sum(map(_least_bits, file.schema_arrow.types)) // 8, path)
            table = file.read()
        if table.num_columns and table.num_rows != rows:
            raise ValueError(f"it says that it has {rows:,} rows, and has {table.num_rows:,}")
        return table

    return _named(_guarded(path, load, "a Parquet file"), path)


def _least_bits(type_: Any) -> int:
    """What a value of an Arrow type takes at least."""
    try:
        return int(type_.bit_width)
    except ValueError:
        return 32  # where a text or a list ends


def _read_arrow(path: Path, labels: str | None) -> Loaded:
    import pyarrow as pa
    from pyarrow import feather

    def load() -> Any:
        with pa.OSFile(os.fsencode(path)) as file:
            start = file.read(6)
            file.seek(0)
            if start == b"ARROW1":
                table = pa.ipc.open_file(file).read_all()
            elif start[:4] == b"FEA1":
                table = feather.read_table(file, memory_map=False)
            else:
                table = pa.ipc.open_stream(file).read_all()
        # Offsets and numbers of levels that point beyond their ends would be followed blindly.
        table.validate(full=True)
        return table

    return _named(_guarded(path, load, "an Arrow file"), path)


def _named(table: Any, path: Path) -> Loaded:
    """A table without the index that pandas stored in it."""
    names = table.column_names
    twice = sorted(f"'{name}'" for name, n in Counter(names).items() if n > 1)
    if twice:
        raise DataError(f"{path} has more than one column called {listed(twice)}. Rename them.")
    kept = [name for name in names if not name.startswith("__index_level_")]
    table = table.select(kept)
    return Loaded(table, "table", list(table.column_names))


def _read_npy(path: Path, labels: str | None) -> Loaded:
    def load() -> Any:
        with path.open("rb") as file:
            return np.load(file, allow_pickle=False)

    array = _guarded(path, load, "a NumPy file")
    return _from_array(array, path)


def _read_npz(path: Path, labels: str | None) -> Loaded:
    def load() -> Any:
        # Opened here, since NumPy leaves the file open where the archive is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if SPARSE_PARTS.issubset(archive.files):
                check_memory(sum(_unpacked(archive, name) for name in archive.files), path)
                return _sparse(archive)
            wanted = _main_array(list(archive.files), labels, path)
            check_memory(sum(_unpacked(archive, name) for name in wanted), path)
            return {name: archive[name] for name in wanted}

    arrays = _guarded(path, load, "a NumPy archive")
    if not isinstance(arrays, dict):
        return Loaded(arrays, "table")
    main, *others = arrays
    loaded = _from_array(arrays[main], path, arrays.get("names"))
    if labels in others:
        found = arrays[labels]
        if found.shape[:1] != arrays[main].shape[:1]:
            raise DataError(
                f"{path}: '{labels}' has {len(found):,} values for {len(arrays[main]):,} rows."
            )
        loaded = replace(loaded, labels=found)
    return loaded


def _unpacked(archive: Any, name: str) -> int:
    """Bytes that an array of an archive takes."""
    members = archive.zip.infolist()
    return sum(m.file_size for m in members if m.filename in (name, f"{name}.npy"))


def _sparse(archive: Any) -> Any:
    """A sparse matrix, checked: what points outside it would be followed blindly."""
    from scipy import sparse

    if any(archive[part].dtype.kind not in "biufS" for part in archive.files):
        raise ValueError("a sparse matrix of something else than numbers")
    form = bytes(archive["format"].item()).decode()
    rows, columns = (int(side) for side in archive["shape"])
    check_sides(rows, columns, archive["data"].size)
    if form == "coo":
        place = (archive["row"], archive["col"])
        return sparse.coo_array((archive["data"], place), shape=(rows, columns)).tocsr()
    if form not in ("csr", "csc"):
        raise ValueError(f"a sparse matrix in the form '{form:.20}'; save X.tocsr()")
    make = sparse.csr_array if form == "csr" else sparse.csc_array
    parts = (archive["data"], archive["indices"], archive["indptr"])
    matrix = make(parts, shape=(rows, columns))
    matrix.check_format(full_check=True)
    return matrix.tocsr()


def _main_array(keys: list[str], labels: str | None, path: Path) -> list[str]:
    """The array that X is, then the others that are wanted."""
    beside = [key for key in keys if key in ("names", labels)]
    mains = [key for key in keys if key not in beside]
    chosen = mains if len(mains) == 1 else [key for key in ("X", "x") if key in mains]
    if not keys:
        raise EmptyError(f"{path} holds no array.")
    if not chosen:
        raise DataError(f"{path} holds {', '.join(keys)}. Call the one to be read X.")
    return [chosen[0], *beside]


def _from_array(array: Any, path: Path, names: Array | None = None) -> Loaded:
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path} is not what its ending says.")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of type {array.dtype}, not numbers.")
    if array.ndim < 2:
        raise DataError(f"{path} holds an array of shape {array.shape}. Rows come first: (n, ...).")
    if names is not None and array.ndim == 2 and names.shape == array.shape[1:]:
        called = [str(name) for name in names]
        return Loaded(arrow_table(dict(zip(called, array.T, strict=True))), "table", called)
    return Loaded(array, "table" if array.ndim == 2 else "images")


def _guarded(path: Path, load: Callable[[], Any], what: str) -> Any:
    try:
        return load()
    except DataError:
        raise
    except Exception as error:
        # Damaged files make these libraries raise nearly anything, from zlib.error to MemoryError.
        if isinstance(error, MemoryError):
            raise DataError(
                f"{path} says that it holds more than there is memory for. Is it damaged? If not, "
                "split it into smaller files."
            ) from error
        if "Object arrays" in str(error):
            raise DataError(
                f"{path} holds Python objects, which could run code when they are read. Save "
                "numbers only."
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        if "pickle" in reason:
            reason = "it does not begin like one"
        raise DataError(
            f"{path} cannot be read as {what} ({reason}). Is it cut short or damaged?"
        ) from error


def _set_apart(loaded: Loaded, labels: str, path: Path) -> Loaded:
    """X without the column of labels, and that column."""
    if loaded.kind == "images":
        raise DataError(f"images have no columns, so '{labels}' cannot be set apart.")
    if loaded.names is not None:
        if labels not in loaded.names:
            raise ColumnsError(f"{path} has no column '{labels}'. {nearest(labels, loaded.names)}")
        column = loaded.X.column(labels).to_numpy()
        names = [name for name in loaded.names if name != labels]
        return replace(loaded, X=loaded.X.select(names), names=names, labels=column)
    width = loaded.X.shape[1]
    if not (labels.isdigit() and int(labels) < width):
        raise ColumnsError(
            f"{path} has no column names. Give the labels' position: 0 to {width - 1}."
        )
    j = int(labels)
    if isinstance(loaded.X, np.ndarray):
        return replace(loaded, X=np.delete(loaded.X, j, axis=1), labels=loaded.X[:, j])
    if is_sparse(loaded.X):
        others = [i for i in range(width) if i != j]
        labels_found = loaded.X[:, [j]].toarray().ravel()
        return replace(loaded, X=loaded.X.tocsc()[:, others].tocsr(), labels=labels_found)
    return replace(loaded, X=loaded.X.remove_column(j), labels=loaded.X.column(j).to_numpy())


def arrow_table(named: Mapping[str, Any]) -> Any:
    """An Arrow table of columns by name, NumPy's or Arrow's."""
    import pyarrow as pa

    return pa.table(
        {
            name: np.ascontiguousarray(column) if isinstance(column, np.ndarray) else column
            for name, column in named.items()
        }
    )


READERS: dict[str, Callable[[Path, str | None], Loaded]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
    ".npy": _read_npy,
    ".npz": _read_npz,
}
