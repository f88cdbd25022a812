"""Tables of numbers: arrays of two dimensions, and DataFrames of any library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import torch
from narwhals.exceptions import NarwhalsError
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.errors import ColumnsError, DataError, EmptyError, ModelFileError
from isthmus.core.specs import Spec, spec
from isthmus.data.arrays import (
    LARGEST,
    as_array,
    check_support,
    counted,
    listed,
    moments,
    scaled,
    unscaled,
    used_rows,
)
from isthmus.data.contracts import Array, Modality

MIN_SHARED = 8
"""From so many columns on, a range that half of them share is taken for one and the same unit."""

NOISE = 1e-10
"""A column that varies less than this, relative to its magnitude, varies by rounding only."""


class Columns(NamedTuple):
    """A table as an array, and what its columns are called."""

    values: Array
    names: list[str] | None
    dtypes: dict[str, str]


class Table(Modality):
    """Rows of numbers under columns.

    For support "real" every column is standardised by its own mean and standard deviation. But
    where the columns share one range, as pixels do, one scale serves them all, so that they stay
    in proportion. For support "unit" the same holds with minimum and range, except that values
    which are within 0 to 1 already are left as they are.
    """

    kind = "table"

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.support = "real"
        self.names: list[str] | None = None
        self.scaling = "columns"
        self.dtypes: dict[str, str] = {}
        self.dtype = "float64"
        self.offset: NDArray[np.float64] = np.zeros(0)
        self.scale: NDArray[np.float64] = np.ones(0)

    def fit(self, X: Any, support: str = "real", weight: Array | None = None) -> None:
        check_support(support)
        table = columns(X)
        values, weight = used_rows(table.values, weight)
        if not all(values.shape):
            what = "rows" if not len(values) else "columns"
            raise EmptyError(f"the table has no {what}. Pass at least one row and one column.")
        low, high = values.min(0).astype(np.float64), values.max(0).astype(np.float64)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise DataError(_gaps(values, table.names))
        self.shape, self.support = (values.shape[1],), support
        self.names, self.dtypes = table.names, table.dtypes
        self.dtype = "float32" if values.dtype in (np.float16, np.float32) else "float64"
        self.scaling = "shared" if _one_range(low, high) else "columns"
        if support == "unit":
            self._fit_range(low, high)
        else:
            self._fit_moments(values, low, high, weight)

    def _fit_range(self, low: Array, high: Array) -> None:
        if low.min() >= 0 and high.max() <= 1:
            low, high = np.zeros_like(low), np.ones_like(high)
        elif self.scaling == "shared":
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        self.offset, self.scale = low, np.where(high > low, _difference(high, low), 1.0)

    def _fit_moments(self, values: Array, low: Array, high: Array, weight: Array | None) -> None:
        first, second = moments(values, low, high, weight)
        half = high / 2 - low / 2
        constant = half == 0
        deviation = half * np.sqrt(np.maximum(second - first * first, 0))
        self.offset = np.where(constant, low, low / 2 + high / 2 + first * half)
        if self.scaling == "shared":
            largest = deviation.max()
            shared = largest * np.sqrt(np.mean((deviation / largest) ** 2))
            self.scale = np.full_like(deviation, shared)
            return
        noise = NOISE
        if values.dtype.kind == "f":
            noise = max(noise, 8 * float(np.finfo(values.dtype).eps))
        floor = np.maximum(np.maximum(abs(low), abs(high)) * noise, np.finfo(np.float64).tiny)
        self.scale = np.where(constant, 1.0, np.maximum(deviation, floor))

    def tensor(self, X: Any) -> Tensor:
        table = columns(X)
        values = self._in_order(table)
        if not len(values):
            raise EmptyError("the table has no rows. Pass at least one.")
        x = scaled(values, self.offset, self.scale, unit=self.support == "unit")
        if x is None:
            finite = np.isfinite(values).all()
            raise DataError(self._too_far(values) if finite else _gaps(values, self.names))
        return torch.from_numpy(x)

    def _in_order(self, table: Columns) -> Array:
        """The values with their columns as they were when the table was fitted."""
        if self.names is None or table.names is None or self.names == table.names:
            if table.values.shape[1] != self.shape[0]:
                raise ColumnsError(self._other_columns(table))
            return table.values
        if set(self.names) != set(table.names):
            raise ColumnsError(self._other_columns(table))
        place = {name: i for i, name in enumerate(table.names)}
        return table.values[:, [place[name] for name in self.names]]

    def _other_columns(self, table: Columns) -> str:
        details = []
        if self.names is not None and table.names is not None:
            theirs, ours = set(table.names), set(self.names)
            missing = [f"'{name}'" for name in self.names if name not in theirs]
            unknown = [f"'{name}'" for name in table.names if name not in ours]
            details = [f"missing: {listed(missing)}"] if missing else []
            details += [f"not known: {listed(unknown)}"] if unknown else []
        found = f" ({'; '.join(details)})" if details else ""
        return (
            f"the model was fitted on {counted(self.shape[0], 'column')}, "
            f"got {table.values.shape[1]}{found}. "
            "Pass a table with the same columns, or fit a new model."
        )

    def _too_far(self, values: Array) -> str:
        with np.errstate(over="ignore"):
            far = abs((values - self.offset) / self.scale).max(0)
        j = int(far.argmax())
        return (
            f"{_called(j, self.names)} has values up to {abs(values[:, j]).max():.3g}, more than "
            f"{LARGEST:.0e} times as far from its mean as those it was fitted on. Check its units."
        )

    def restore(self, x: Tensor) -> Array:
        return unscaled(x, self.offset, self.scale).astype(self.dtype, copy=False)

    def frame(self, x: Tensor) -> dict[str, Array] | None:
        if self.names is None:
            return None
        return dict(zip(self.names, self.restore(x).T, strict=True))

    def likelihood(self) -> Spec:
        return spec("gaussian")

    def network(self) -> Spec:
        return spec("mlp")

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        json = {
            "kind": self.kind,
            "support": self.support,
            "scaling": self.scaling,
            "columns": self.shape[0],
            "names": None if self.names is None else list(self.names),
            "dtypes": dict(self.dtypes),
            "dtype": self.dtype,
        }
        return json, {"offset": self.offset, "scale": self.scale}

    @classmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, Array]) -> Table:
        table = cls()
        try:
            table.shape = (int(json["columns"]),)
            table.support, table.scaling = str(json["support"]), str(json["scaling"])
            names = json["names"]
            table.names = None if names is None else [str(name) for name in names]
            table.dtypes = {str(name): str(dtype) for name, dtype in json["dtypes"].items()}
            table.dtype = str(json["dtype"])
            table.offset = np.array(arrays["offset"], dtype=np.float64)
            table.scale = np.array(arrays["scale"], dtype=np.float64)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"the saved table schema cannot be read: {error!r}.") from error
        named = table.names is None or len(table.names) == table.shape[0]
        if not (named and table.offset.shape == table.scale.shape == table.shape):
            raise ModelFileError("the saved table schema has parts of different lengths.")
        return table


def columns(X: Any) -> Columns:
    """A table as an array, whatever it comes as.

    Raises
    ------
    DataError
        If a column is no number, or X has not two dimensions.
    """
    frame = as_frame(X)
    if frame is None:
        return Columns(_two_dimensions(as_array(X)), None, {})
    return _from_frame(frame)


def as_frame(X: Any) -> nw.DataFrame[Any] | None:
    """X, if it is a DataFrame of any library; else None.

    Raises
    ------
    DataError
        If its columns cannot be told apart.
    """
    if isinstance(X, np.ndarray):
        return None
    try:
        frame = nw.from_native(X, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect()
    except NarwhalsError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"the DataFrame cannot be read: {reason}. Rename the columns.") from error
    return frame if isinstance(frame, nw.DataFrame) else None


def _two_dimensions(array: Array) -> Array:
    if array.ndim == 2:
        return array
    hint = {
        0: "",
        1: " Reshape your data: one column is X.reshape(-1, 1), one row X.reshape(1, -1).",
    }.get(array.ndim, " Flatten it with X.reshape(len(X), -1), or pass kind='images'.")
    raise DataError(f"a table has two dimensions, got an array of shape {array.shape}.{hint}")


def _from_frame(frame: nw.DataFrame[Any]) -> Columns:
    labels = frame.columns
    if len(set(labels)) < len(labels):
        twice = sorted({repr(name) for name in labels if labels.count(name) > 1})
        raise DataError(f"more than one column is called {listed(twice)}. Rename them.")
    text = [isinstance(label, str) for label in labels]
    if any(text) and not all(text):
        raise DataError("some column names are text and some are not. Rename the columns.")
    _refuse_words(frame)
    numbers = list(frame.iter_columns())
    single = bool(labels) and all(c.dtype == nw.Float32 for c in numbers)
    dtype = np.float32 if single else np.float64
    values = np.empty((len(frame), len(labels)), dtype=dtype, order="F")
    for j, column in enumerate(numbers):
        # A null has no place in an integer or boolean array: as a float it becomes NaN.
        values[:, j] = column.cast(nw.Float32 if single else nw.Float64).to_numpy()
    if not all(text) or not labels:
        return Columns(values, None, {})
    dtypes = {label: str(c.dtype) for label, c in zip(labels, numbers, strict=True)}
    return Columns(values, list(labels), dtypes)


def _refuse_words(frame: nw.DataFrame[Any]) -> None:
    words = {
        column.name: str(column.dtype)
        for column in frame.iter_columns()
        if not (column.dtype.is_numeric() or column.dtype == nw.Boolean)
        and not column.is_null().all()
    }
    if words:
        found = [f"column '{name}' holds {_held(dtype)}" for name, dtype in words.items()]
        raise DataError(
            f"{listed(found, joint='; ')}, not numbers. Drop such columns, or encode them as "
            "numbers, for example with scikit-learn's OneHotEncoder."
        )


def _held(dtype: str) -> str:
    kinds = {"String": "text", "Object": "text or mixed objects", "Categorical": "categories"}
    return kinds.get(dtype, "categories" if dtype.startswith("Enum") else f"{dtype} values")


def _called(j: int, names: list[str] | None) -> str:
    return f"column {j}" if names is None else f"column '{names[j]}'"


def _gaps(values: Array, names: list[str] | None) -> str:
    """Which columns hold NaN or infinity, and how many of them."""
    missing = np.isnan(values).sum(0)
    infinite = np.isinf(values).sum(0)
    found = []
    for j in np.flatnonzero(missing + infinite):
        parts = [counted(int(missing[j]), "missing value") + " (NaN)"] if missing[j] else []
        parts += [counted(int(infinite[j]), "infinite value")] if infinite[j] else []
        found.append(f"{_called(int(j), names)} has {' and '.join(parts)}")
    return f"{listed(found, joint='; ')}. Fill them in, or drop those rows or columns."


def _difference(high: Array, low: Array) -> Array:
    """How far apart they are, at most the largest float."""
    with np.errstate(over="ignore"):
        distance: Array = np.minimum(high - low, np.finfo(np.float64).max)
    return distance


def _one_range(low: Array, high: Array) -> bool:
    """Whether the columns share one unit, as pixels do."""
    varying = high > low
    if varying.sum() < MIN_SHARED:
        return False
    low, high = low[varying], high[varying]
    return float(np.mean((low == low.min()) & (high == high.max()))) >= 0.5
