"""The sets to measure on: scikit-learn's, and those in the folder that ISTHMUS_DATA names.

Only NumPy, scikit-learn and the standard library are needed, so that peers in another
environment see the same rows; tables of mixed columns also need pandas.
"""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

IMAGES = {"fashion-mnist": "fashion_mnist_train.npz", "mnist": "mnist_train.npz"}
HELD_OUT = 10_000
TEST_SHARE = 0.2
MOST_MISSING = 0.25
MISSING = {"", "?", "na", "nan"}


def folder() -> Path:
    """Where the development data are, whether or not they are there."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    return Path(os.environ.get("ISTHMUS_DATA", beside))


class Split(NamedTuple):
    """Rows to train on and rows to measure on.

    ``train`` and ``test`` are what a user would pass: images of shape (n, height, width), or
    tables (n, columns) in the units of their source.
    """

    train: Array
    test: Array
    peak: float | None
    """The largest value of an image; None for a table."""

    def units(self, x: Array) -> Array:
        """(n, values) in which errors are measured: images 0 to 1, columns standardised."""
        if self.peak is not None:
            return np.asarray(x, np.float64).reshape(len(x), -1) / self.peak
        train = self.train.astype(np.float64)
        return np.asarray((np.asarray(x, np.float64) - train.mean(0)) / train.std(0))


def bundled(name: str, field: str = "data") -> Array:
    """One of scikit-learn's own sets."""
    import sklearn.datasets

    return np.asarray(getattr(getattr(sklearn.datasets, f"load_{name}")(), field))


def array(path: Path, key: str) -> Array:
    """One array of an npz file."""
    with np.load(path, allow_pickle=False) as file:
        return np.asarray(file[key])


def pendigits(path: Path) -> Array:
    """The 16 coordinates, less the class."""
    with zipfile.ZipFile(path) as archive:
        parts = [
            np.loadtxt(io.BytesIO(archive.read(name)), delimiter=",")
            for name in sorted(archive.namelist())
            if name.endswith((".tra", ".tes"))
        ]
    return np.concatenate(parts)[:, :-1]


def number(text: str) -> float | None:
    """The number a cell holds, NaN where it holds none, None where it holds words."""
    text = text.strip()
    if text.lower() in MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return None


def numeric_columns(text: str) -> Array:
    """Of a CSV file: the columns of numbers that are mostly there, and the rows without gaps.

    The first line is a header if no cell of it is a number. A class or target that is a number
    is a column as any other.
    """
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if all(number(cell) is None for cell in rows[0]):
        rows = rows[1:]
    columns = []
    for cells in zip(*rows, strict=True):
        values = [number(cell) for cell in cells]
        if None not in values:
            columns.append(np.array(values, np.float64))
    kept = [column for column in columns if np.isnan(column).mean() <= MOST_MISSING]
    table = np.stack(kept, 1)
    return table[~np.isnan(table).any(1)]


def member(path: Path, name: str) -> Array:
    """The numeric columns of one CSV file in an archive."""
    with zipfile.ZipFile(path) as archive:
        return numeric_columns(archive.read(name).decode("utf-8-sig"))


HEADERLESS = {
    "abalone", "adult-train", "german", "glass", "horse-colic", "ionosphere", "mammography",
    "winequality-white",
}  # fmt: skip


class MixedSplit(NamedTuple):
    """Rows of mixed columns, as a user would pass them: DataFrames."""

    train: Any
    test: Any

    def errors(self, rebuilt: Any) -> tuple[Array, Array]:
        """(n, columns) error of each cell of the test rows in its column's own terms, and 1 where
        there was something to be rebuilt.

        Of a number the squared error over the variance of the train rows; of anything else
        whether it differs.
        """
        errors, known = [], []
        for name in self.test.columns:
            true, back = self.test[name], rebuilt[name]
            there = true.notna().to_numpy()
            if is_number(self.train[name]):
                spread = float(self.train[name].std(ddof=0)) or 1.0
                missed = (np.asarray(back, np.float64) - true.to_numpy(np.float64)) / spread
                error = missed**2
            else:
                same = true.astype(object).to_numpy() == np.asarray(back, dtype=object)
                error = 1.0 - same.astype(float)
            errors.append(np.where(there, error, 0.0))
            known.append(there.astype(float))
        return np.stack(errors, 1), np.stack(known, 1)


def is_number(column: Any) -> bool:
    """Whether a column of a DataFrame holds numbers; booleans are categories."""
    return column.dtype.kind in "iuf"


@cache
def frames() -> dict[str, Callable[[], Any]]:
    """By name, what reads each table of mixed columns as a DataFrame."""
    import pandas

    found: dict[str, Callable[[], Any]] = {}
    archive = folder() / "tabular" / "tabular_dev.zip"
    if not archive.exists():
        return found
    with zipfile.ZipFile(archive) as opened:
        members = sorted(name for name in opened.namelist() if name.endswith(".csv"))

    def read(member: str) -> Any:
        with zipfile.ZipFile(archive) as opened:
            text = io.BytesIO(opened.read(member))
        header = None if Path(member).stem in HEADERLESS else 0
        table = pandas.read_csv(text, header=header, na_values=["?"], skipinitialspace=True)
        table.columns = [str(name) for name in table.columns]
        return table

    for member in members:
        found[f"mixed/{Path(member).stem}"] = lambda member=member: read(member)  # type: ignore[misc]
    return found


def load_mixed(name: str, seed: int, train_rows: int) -> MixedSplit:
    """The table of that name, split 80 to 20, with at most so many rows to train on.

    Columns whose values are nearly all different, as names are, are left out: no method could
    give them back.
    """
    table = frames()[name]()
    order = np.random.default_rng(seed).permutation(len(table))
    held_out = round(TEST_SHARE * len(table))
    train = table.iloc[order[held_out:][:train_rows]].reset_index(drop=True)
    test = table.iloc[order[:held_out]].reset_index(drop=True)
    kept = [
        column
        for column in table.columns
        if train[column].notna().any()
        and (is_number(train[column]) or train[column].nunique() <= 0.5 * len(train))
        and train[column].nunique() > 1
    ]
    return MixedSplit(train[kept], test[kept])


@cache
def tables() -> dict[str, Callable[[], Array]]:
    """By name, what reads each table."""
    found: dict[str, Callable[[], Array]] = {
        "digits": lambda: bundled("digits"),
        "breast-cancer": lambda: bundled("breast_cancer"),
        "wine": lambda: bundled("wine"),
        "diabetes": lambda: bundled("diabetes"),
    }
    for path in sorted((folder() / "adbench").glob("*.npz")):
        found[f"adbench/{path.stem}"] = lambda path=path: array(path, "X")  # type: ignore[misc]
    tabular = folder() / "tabular"
    if (tabular / "pendigits.zip").exists():
        found["tabular/pendigits"] = lambda: pendigits(tabular / "pendigits.zip")
    archive = tabular / "tabular_dev.zip"
    if archive.exists():
        with zipfile.ZipFile(archive) as opened:
            names = sorted(name for name in opened.namelist() if name.endswith(".csv"))
        for name in names:
            key = f"tabular/{Path(name).stem}"
            found[key] = lambda name=name: member(archive, name)  # type: ignore[misc]
    counts = folder() / "science" / "neurons10k.npz"
    if counts.exists():
        found["science/neurons10k"] = lambda: array(counts, "counts")
    return found


def labelled_names() -> list[str]:
    """Of the tables whose anomalies are known: ADBench's, and one of scikit-learn's."""
    return [*(name for name in tables() if name.startswith("adbench/")), "breast-cancer"]


@lru_cache(maxsize=1)
def labelled(name: str) -> tuple[Array, Array]:
    """(n, columns) rows and (n,) whether each is an anomaly; of breast-cancer, the malignant."""
    if name == "breast-cancer":
        return bundled("breast_cancer"), bundled("breast_cancer", "target") == 0
    path = folder() / f"{name}.npz"
    return array(path, "X").astype(np.float64), array(path, "y") == 1


def names() -> list[str]:
    """Of all sets that are there, images first."""
    images = [name for name, file in IMAGES.items() if (folder() / "images_small" / file).exists()]
    return [*images, "digits-images", *tables(), *frames()]


@lru_cache(maxsize=1)
def load(name: str, seed: int, train_rows: int) -> Split:
    """The set of that name, split.

    Parameters
    ----------
    name : str
    seed : int
        Of the random split 80 to 20; large image files have a fixed one.
    train_rows : int
        Of large image files: the first so many, against the last 10,000.
    """
    if name in IMAGES:
        x = array(folder() / "images_small" / IMAGES[name], "x")
        return Split(x[:-HELD_OUT][:train_rows], x[-HELD_OUT:], 255.0)
    images = name == "digits-images"
    x = bundled("digits", "images") if images else tables()[name]()
    order = np.random.default_rng(seed).permutation(len(x))
    held_out = round(TEST_SHARE * len(x))
    train, test = x[order[held_out:]], x[order[:held_out]]
    if images:
        return Split(train, test, 16.0)
    varied = (train != train[0]).any(0)
    return Split(train[:, varied], test[:, varied], None)


def values(name: str, seed: int, train_rows: int) -> int:
    """min(n, p) of the rows to train on: codes must have fewer dimensions.

    A category of a mixed table counts as its levels less one.
    """
    if name in frames():
        train = load_mixed(name, seed, train_rows).train
        places = (1 if is_number(train[c]) else train[c].nunique() - 1 for c in train)
        return min(len(train), sum(places))
    train = load(name, seed, train_rows).train
    return min(len(train), int(np.prod(train.shape[1:])))


def pictures(rows: int, seed: int) -> Array:
    """(rows, 784) images in 0 to 1: clothing, digits in their place, or noise."""
    for file in IMAGES.values():
        path = folder() / "images_small" / file
        if path.exists():
            x = array(path, "x").reshape(-1, 784) / np.float32(255)
            break
    else:
        small = bundled("digits", "images").astype(np.float32) / 16
        x = np.pad(small.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2))).reshape(-1, 784)
    order = np.random.default_rng(seed).permutation(len(x))
    return np.ascontiguousarray(x[np.resize(order, rows)], np.float32)


def measurements(rows: int, seed: int) -> Array:
    """(rows, 30) standardised columns of rank 10 and noise, as correlated as breast cancer's."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 10)) @ random.normal(size=(10, 30))
    x += 0.5 * random.normal(size=x.shape)
    return np.ascontiguousarray((x - x.mean(0)) / x.std(0), np.float32)
