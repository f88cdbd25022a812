"""DataFrames of any library, column by column: in, and out again.

No library of DataFrames is imported here: narwhals speaks to the one that the user has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import NarwhalsError

from isthmus.core.errors import ColumnsError, DataError, NumbersError
from isthmus.core.wording import counted, listed
from isthmus.data.arrays import as_array
from isthmus.data.contracts import Array

OBJECTS = "objects"
"""Stands for the library where an array of objects came."""


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


@dataclass(frozen=True)
class Sheet:
    """A table of the user's, whatever it came as."""

    n_rows: int
    n_columns: int
    names: list[str] | None
    """None where columns have no names, or are numbered."""
    labels: list[int] | None = None
    """What numbered columns are called."""
    library: str = ""
    """That of the DataFrame; ``OBJECTS`` for an array of objects; else empty."""
    values: Array | None = None
    """All of it, where it is an array of numbers."""
    source: Any = None
    """Its columns, or the array of objects."""

    def cells(self, j: int) -> Any:
        """A column, as a NumPy array of numbers or an Arrow array."""
        if self.values is not None:
            return self.values[:, j]
        if self.library == OBJECTS:
            return _from_objects(self.source[:, j], self.called(j))
        return _from_series(self.source[j], self.called(j))

    def typed_cells(self, j: int) -> Any:
        """A column of its own type, as a NumPy or an Arrow array."""
        if self.library in ("", OBJECTS):
            return self.cells(j)
        return _to_arrow(self.source[j], self.called(j))

    def type(self, j: int) -> tuple[str, str]:
        """What Arrow calls the type of an array of numbers, and what its library calls it."""
        if self.library in ("", OBJECTS):
            return "double", ""
        own = self.source[j].to_native()
        native = str(own.type if self.library == "pyarrow" else own.dtype)
        dtype = str(_dtype(self.source[j]))
        name = {"Int128": "int64", "UInt128": "uint64"}.get(dtype, dtype.lower())
        return name, native.partition("(")[0] if self.library == "polars" else native

    def called(self, j: int) -> str:
        """What to call a column in an error."""
        return called(j, self.names)

    @property
    def is_single(self) -> bool:
        """Whether all of it is in single precision."""
        if self.values is not None:
            return self.values.dtype in (np.float16, np.float32)
        if self.library in ("", OBJECTS):
            return False
        return all(_dtype(column) == nw.Float32 for column in self.source)


def as_sheet(X: Any, as_objects: bool = False) -> Sheet:
    """The user's table, its columns to be read one by one.

    Parameters
    ----------
    X : array-like or DataFrame
    as_objects : bool
        Take an array of objects column by column, even if all of it could be numbers.

    Raises
    ------
    DataError
        If X has not two dimensions, its columns cannot be told apart, or it is no table.
    """
    frame = as_frame(X)
    if frame is not None:
        names, labels = _names(frame.columns)
        library = str(frame.implementation.value)
        return Sheet(
            len(frame),
            len(frame.columns),
            names,
            labels,
            library,
            source=list(frame.iter_columns()),
        )
    if is_objects(X):
        n, p = _two_dimensions(X).shape
        objects = Sheet(n, p, None, library=OBJECTS, source=X)
        if as_objects:
            return objects
        try:
            values = as_array(X)
        except NumbersError:
            return objects
    else:
        values = _two_dimensions(as_array(X))
    n, p = values.shape
    return Sheet(n, p, None, values=values)


def is_objects(X: Any) -> bool:
    """Whether X is an array of Python objects."""
    return isinstance(X, np.ndarray) and X.dtype.kind == "O"


def called(j: int, names: Sequence[str] | None) -> str:
    """What to call a column in an error."""
    return f"column {j}" if names is None else f"column '{names[j]}'"


def _two_dimensions(array: Array) -> Array:
    if array.ndim == 2:
        return array
    hint = {
        0: "",
        1: " Reshape your data: one column is X.reshape(-1, 1), one row X.reshape(1, -1).",
    }.get(array.ndim, " Flatten it with X.reshape(len(X), -1), or pass kind='images'.")
    raise DataError(f"a table has two dimensions, got an array of shape {array.shape}.{hint}")


def _names(labels: list[Any]) -> tuple[list[str] | None, list[int] | None]:
    if len(set(labels)) < len(labels):
        twice = sorted(repr(name) for name, n in Counter(labels).items() if n > 1)
        raise DataError(f"more than one column is called {listed(twice)}. Rename them.")
    text = [isinstance(label, str) for label in labels]
    if any(text) and not all(text):
        raise DataError("some column names are text and some are not. Rename the columns.")
    if all(text) and labels:
        return list(labels), None
    numbered = all(isinstance(label, int | np.integer) for label in labels)
    return None, [int(label) for label in labels] if numbered else None


def _dtype(series: nw.Series[Any]) -> Any:
    try:
        return series.dtype
    except (NarwhalsError, ValueError, TypeError):  # a decimal in steps of 100, for example
        return nw.Unknown()


def _from_series(series: nw.Series[Any], name: str) -> Any:
    dtype = _dtype(series)
    if dtype.is_numeric() and dtype != nw.Decimal:
        # A null has no place in an integer array: as a float it becomes NaN.
        if series.implementation.is_pyarrow():  # narwhals refuses integers beyond 2^53 here
            from isthmus.data.arrow import floats_of

            return floats_of(series.to_arrow()) if dtype != nw.Float32 else series.to_numpy()
        return (series if dtype.is_float() else series.cast(nw.Float64)).to_numpy()
    return _to_arrow(series, name)


def _to_arrow(series: nw.Series[Any], name: str) -> Any:
    import pyarrow as pa

    try:
        cells = series.to_arrow()
    except (pa.ArrowException, TypeError, OverflowError, ValueError) as error:
        raise DataError(_mixture(series.to_list(), name)) from error
    if pa.types.is_dictionary(cells.type) and isinstance(
        cells.type.value_type, pa.BaseExtensionType
    ):  # pandas' intervals, for example
        choices = [str(choice) for choice in series.cat.get_categories().to_list()]
        return pa.DictionaryArray.from_arrays(cells.indices, choices, ordered=cells.type.ordered)
    return cells


def _from_objects(values: Array, name: str) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError, ValueError) as error:
        raise DataError(_mixture(list(values), name)) from error


def _mixture(values: list[Any], name: str) -> str:
    """What a column of objects holds that does not go together."""
    examples: dict[str, Any] = {}
    for value in values:
        not_a_number = isinstance(value, float) and np.isnan(value)
        if not (value is None or not_a_number or type(value).__name__ in ("NAType", "NaTType")):
            examples.setdefault(type(value).__name__, value)
    found = [f"{kind} ({_short(value)})" for kind, value in examples.items()]
    return (
        f"{name} holds values that do not go together or are of no use to a model: "
        f"{listed(found)}. Make them all numbers or all text, and None where one is missing."
    )


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 20 else f"{shown[:17]}..."


def to_frame(
    columns: dict[str, Any],
    library: str,
    natives: dict[str, str],
    labels: Sequence[int] | None = None,
    like: Any = None,
) -> Any:
    """A DataFrame of a library, from Arrow arrays; an Arrow table where it is not installed.

    Parameters
    ----------
    columns : dict of str to Arrow array
    library : str
        As narwhals calls it.
    natives : dict of str to str
        What that library called the types, to be given back.
    labels : sequence of int, optional
        What numbered columns are called.
    like : DataFrame, optional
        One of the same library: as many rows keep its index.
    """
    import pyarrow as pa

    table = pa.table(columns)
    if library in ("", OBJECTS, "pyarrow"):
        return table
    try:
        backend: Any = library
        frame = nw.DataFrame.from_arrow(table, backend=backend)
        enums = [
            nw.col(name).cast(nw.Enum(columns[name].dictionary.to_pylist()))
            for name, native in natives.items()
            if native == "Enum"
        ]
        native: Any = (frame.with_columns(*enums) if enums else frame).to_native()
    except (ImportError, ValueError, TypeError, NarwhalsError):
        return table
    if not hasattr(native, "astype"):
        return native
    native = _retyped(native, natives)
    if labels is not None:
        native.columns = list(labels)
    index = getattr(like, "index", None)
    if index is not None and len(index) == len(native):
        native.index = index
    return native


def _retyped(native: Any, natives: dict[str, str]) -> Any:
    """A DataFrame of pandas' kind with the types that its columns had."""
    other = {
        name: dtype for name, dtype in natives.items() if dtype and dtype != str(native[name].dtype)
    }
    try:
        return native.astype(other) if other else native
    except (TypeError, ValueError):
        for name, dtype in other.items():
            try:
                native = native.astype({name: dtype})
            except (TypeError, ValueError):
                continue  # a type that a name alone does not make: the values are the same
        return native


def library_of(X: Any) -> str | None:
    """The library of a DataFrame, as narwhals calls it; None if X is none."""
    if isinstance(X, np.ndarray):
        return None
    try:
        frame = nw.from_native(X, pass_through=True)
    except NarwhalsError:
        return None
    return (
        str(frame.implementation.value) if isinstance(frame, nw.DataFrame | nw.LazyFrame) else None
    )


def to_objects(columns: Mapping[Any, Any]) -> Array:
    """Columns of Arrow side by side, as an array of Python's own objects."""
    lists = [column.to_pylist() for column in columns.values()]
    found = np.empty((len(lists[0]), len(lists)), dtype=object)
    for j, cells in enumerate(lists):
        found[:, j] = cells
    return found


def found_columns(
    sheet: Sheet, names: list[str] | None, labels: list[int] | None, wanted: list[int]
) -> list[int] | None:
    """Where in a table the wanted of the columns that a model was fitted on are.

    Found by their names, else by their numbers; None where there are neither to go by.

    Raises
    ------
    ColumnsError
        If one of them is missing, or there is one that was not fitted on.
    """
    ours: Sequence[str | int] | None = names
    theirs: Sequence[str | int] | None = sheet.names
    if ours is None and theirs is None:
        ours, theirs = labels, sheet.labels
    if ours is None or theirs is None:
        return None
    place = {name: i for i, name in enumerate(theirs)}
    needed = [ours[j] for j in wanted]
    known = set(ours)
    missing = [name for name in needed if name not in place]
    unknown = [name for name in theirs if name not in known]
    if missing or unknown:
        raise ColumnsError(other_columns(len(ours), sheet.n_columns, missing, unknown))
    return [place[name] for name in needed]


def other_columns(
    fitted: int, got: int, missing: Sequence[str | int] = (), unknown: Sequence[str | int] = ()
) -> str:
    """What to say of a table that has not the columns that a model was fitted on."""
    named = {"missing": missing, "not known": unknown}
    details = [
        f"{what}: {listed([repr(str(name)) for name in names])}"
        for what, names in named.items()
        if names
    ]
    found = f" ({'; '.join(details)})" if details else ""
    return (
        f"the model was fitted on {counted(fitted, 'column')}, got {got}{found}. "
        "Pass a table with the same columns, or fit a new model."
    )
