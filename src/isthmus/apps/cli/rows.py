"""Data in and out of the verbs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from numpy.typing import NDArray

from isthmus import data as files
from isthmus.apps.cli.speech import counted
from isthmus.core.errors import DataError

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder

Array = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """What was read: rows, and the labels that were set apart."""

    loaded: files.Loaded

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
    def files(self) -> list[str] | None:
        """The names of the files of a folder of images."""
        paths = self.loaded.paths
        return None if paths is None else [path.name for path in paths]

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


def read_rows(data: Path, labels: str | None, kind: str | None = None) -> Rows:
    """Read DATA, with one column set apart if asked."""
    with _silent_libraries():
        return Rows(files.read(data, kind=kind, labels=labels))


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


def check_out(out: Path, kind: str = "table") -> None:
    """Refuse before the work a place that could not be written to after it."""
    try:
        files.check_output(out, kind)
    except DataError as error:
        raise typer.BadParameter(str(error), param_hint="-o") from error


def write_codes(out: Path, model: Autoencoder, codes: Array) -> None:
    """Write codes as a table."""
    names = [str(name) for name in model.get_feature_names_out()]
    files.write(out, codes, names[: codes.shape[1]])


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
    files.write(out, rows, names if model.kind_.kind == "images" else model.kind_.names)
