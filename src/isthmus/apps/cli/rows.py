"""Data in and out of the verbs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from numpy.typing import NDArray

from isthmus import data as files
from isthmus.apps.cli.speech import say
from isthmus.core.errors import DataError
from isthmus.core.wording import counted, listed
from isthmus.data.files import ARRAY_ENDINGS, IMAGE_ENDINGS

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder
    from isthmus.tasks.detect import AnomalyDetector

Array = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """What was read: rows, and the labels that were set apart."""

    loaded: files.Loaded
    files: list[str] | None = None
    """What the files of images are called, in their folder or in the table of their paths."""
    unread: tuple[str, ...] = ()
    """The columns that stand beside paths of images."""

    def __len__(self) -> int:
        return int(self.loaded.X.shape[0])

    @property
    def X(self) -> Any:
        """The rows, as the estimators take them."""
        return self.loaded.X

    @property
    def labels(self) -> Any:
        """(n,) or None."""
        return self.loaded.labels

    @property
    def described(self) -> str:
        """How many rows of what."""
        X = self.loaded.X
        if self.loaded.kind != "images":
            return f"{counted(len(self), 'row')} of {counted(X.shape[1], 'column')}"
        shapes = {X.shape[1:]} if X.ndim > 1 else {image.shape for image in X}
        if len(shapes) > 1:
            return f"{counted(len(self), 'image')} of {len(shapes):,} sizes"
        return f"{counted(len(self), 'image')} of {' x '.join(map(str, *shapes))}"


def read_rows(
    data: Path,
    labels: list[str] | None,
    kind: str | None = None,
    of: Autoencoder | AnomalyDetector | None = None,
) -> Rows:
    """Read DATA, with one column set apart if asked.

    Parameters
    ----------
    data : Path
    labels : list of str, optional
    kind : str, optional
        "table" or "images".
    of : Autoencoder or AnomalyDetector, optional
        What the rows are for: one that was fitted on images takes those whose paths a table holds.
    """
    if labels and len(labels) > 1:
        raise typer.BadParameter(
            f"one column can be set apart, got {listed(labels)}. Remove the others from {data}.",
            param_hint="--labels",
        )
    if of is not None and of.kind_.kind == "images":
        kind = "images"
    with _silent_libraries():
        loaded = files.read(data, kind=kind, labels=labels[0] if labels else None)
        loaded = _without(loaded, getattr(of, "set_apart_", None))
        unread: list[str] = []
        if loaded.names is not None and kind == "images":
            loaded, unread = _pictured(loaded, data)
    in_table = not (data.is_dir() or data.suffix.lower() in IMAGE_ENDINGS)
    names = [str(path) if in_table else path.name for path in loaded.paths or ()]
    return Rows(loaded, names or None, tuple(unread))


def _without(loaded: files.Loaded, column: str | None) -> files.Loaded:
    """A table without a column that the model does not look at, if it is there."""
    if column is None or column not in (getattr(loaded.X, "column_names", None) or ()):
        return loaded
    X = loaded.X.drop_columns([column])
    return replace(loaded, X=X, names=None if loaded.names is None else X.column_names)


def _pictured(loaded: files.Loaded, data: Path) -> tuple[files.Loaded, list[str]]:
    """The images whose paths stand in one column of a table, and the other columns."""
    from isthmus.data.folders import images_from_paths
    from isthmus.data.gathering import paths_of

    found, names = _columns_of_paths(loaded.X), loaded.X.column_names
    if len(found) != 1:
        what = f"several, {listed(found)}; set the others apart with --labels"
        none = f"none among {listed(names)}"
        raise DataError(f"images need one column of paths; {data} has {what if found else none}.")
    paths = paths_of(loaded.X.column(found[0]).to_pylist()) or []
    images = images_from_paths(paths, base=data.parent)
    others = [name for name in names if name != found[0]]
    return replace(loaded, X=images, names=None, paths=paths), others


def _columns_of_paths(table: Any) -> list[str]:
    """The columns of an Arrow table that name image files, going by the first name."""
    from isthmus.data.arrow import has_text

    found = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        few = column.drop_null()[:1].to_pylist() if has_text(column.type) else []
        first = str(next(iter(few), ""))
        if Path(first).suffix.lower() in IMAGE_ENDINGS:
            found.append(name)
    return found


def say_read(data: Path, rows: Rows) -> None:
    """How much was read, and what of it may have been meant in another way."""
    say(f"{data}: {rows.described}")
    if data.is_dir():
        _say_left_below(data)
    loaded = rows.loaded
    if rows.unread:
        say(f"left out: {listed([*rows.unread])} (only the images are read)")
    if loaded.kind == "table" and loaded.names is not None:
        for name in _columns_of_paths(loaded.X):
            say(f"column '{name}' is read as text; for the images that it names: --kind images")


def _say_left_below(folder: Path) -> None:
    from isthmus.data.folders import folders_of_images

    below = folders_of_images(folder)
    if below:
        within = f"{counted(len(below), 'folder')} within it"
        say(f"warning: only the images in {folder} are read, not those in {within}")


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """No words on standard error but ours: libtiff writes there what it thinks of a file."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def check_out(out: Path, kind: str = "table", option: str = "-o") -> None:
    """Refuse before the work a place that could not be written to after it."""
    try:
        files.check_output(out, kind)
    except DataError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def write_codes(
    out: Path, model: Autoencoder, codes: Array, of_files: list[str] | None = None
) -> None:
    """Write codes as a table, each beside the file that it is of."""
    names = [str(name) for name in model.get_feature_names_out()][: codes.shape[1]]
    if of_files is None or out.suffix.lower() in ARRAY_ENDINGS:
        files.write(out, codes, names)
    else:
        columns = dict(zip(names, codes.T, strict=True))
        files.write(out, {"file": np.array(of_files), **columns})


def write_like(out: Path, model: Autoencoder, rows: Any, names: list[str] | None = None) -> None:
    """Write rows as the model's data came.

    Parameters
    ----------
    out : Path
    model : Autoencoder
    rows : array, DataFrame or list of images
        In the user's units.
    names : list of str, optional
        File names of images.
    """
    files.write(out, rows, names if model.kind_.kind == "images" else None)
