"""Tables: arrays of two dimensions, DataFrames of any library, sparse matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.errors import ColumnsError, DataError, EmptyError, ModelFileError
from isthmus.core.sparse import SparseRows
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.core.wording import listed
from isthmus.data.arrays import row_weights, scaled, unscaled, used_rows
from isthmus.data.contracts import OF_LEVELS, Array, Floats, Modality, Support
from isthmus.data.frames import (
    OBJECTS,
    Sheet,
    as_sheet,
    called,
    found_columns,
    library_of,
    other_columns,
    to_frame,
    to_objects,
)
from isthmus.data.scipy_sparse import compressed, from_rows, is_sparse, spread_of, to_rows
from isthmus.data.spread import Mask, Spread, bounds_of, held, measure, within
from isthmus.data.unusable import check_levels, check_size, check_support, infinite, too_far

if TYPE_CHECKING:
    from isthmus.data.columns import Column

DTYPES = ("float64", "float32")
PLAIN = "array"
"""Stands for the library where an array of numbers came."""


class Table(Modality):
    """Rows under columns: numbers, counts, categories, dates, names.

    For support "real" every column is standardised by its own mean and standard deviation. But
    where 256 columns or more share one range, as pixels do, one scale serves all, so that they stay
    in proportion. For support "unit" the same holds with minimum and range, except that values
    which are within 0 to 1 already are left as they are. Counts stay as they are.

    A category is the number of its level; dates and times are numbers of seconds. Text that
    differs in nearly every row, as names do, has no place in x: it comes back as missing. A
    missing cell is 0 with weight 0, and so is a level that was not seen in ``fit``, of which the
    batch knows.
    """

    kind = "table"

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.support: Support = "real"
        self.names: list[str] | None = None
        """Of the columns that have a place in x."""
        self.every_name: list[str] | None = None
        """Of all columns."""
        self.labels: list[int] | None = None
        self.library = PLAIN
        self.is_sparse = False
        self.dtype = "float64"
        self.columns: list[Column] | None = None
        """None where all are numbers of an array."""
        self.places: list[int] = []
        """Which columns have a place in x."""
        self.spread: Spread
        self.bounds: tuple[Floats, Floats] | None = None
        """At which values are held that lie beyond."""
        self._unit: Mask = np.zeros(0, dtype=bool)
        self._count: Mask = np.zeros(0, dtype=bool)
        self.offset: Floats = np.zeros(0)
        self.scale: Floats = np.ones(0)

    def fit(self, X: Any, weight: Array | None = None) -> None:
        self.is_sparse = is_sparse(X)
        if self.is_sparse:
            self._fit_sparse(compressed(X), weight)
        else:
            self._fit_sheet(as_sheet(X), weight)
        self.suit(self._own_support())

    def _fit_sparse(self, rows: Any, weight: Array | None) -> None:
        check_size(*rows.shape)
        self.spread = spread_of(*used_rows(rows, weight))
        self.shape, self.places = (rows.shape[1],), list(range(rows.shape[1]))
        self.names = self.every_name = self.labels = self.columns = None
        self.library = PLAIN
        self.dtype = "float32" if rows.dtype in (np.float16, np.float32) else "float64"

    def _fit_sheet(self, sheet: Sheet, weight: Array | None) -> None:
        check_size(sheet.n_rows, sheet.n_columns)
        self.every_name, self.labels = sheet.names, sheet.labels
        self.library = sheet.library or PLAIN
        self.dtype = "float32" if sheet.is_single else "float64"
        self.columns, self.places = None, list(range(sheet.n_columns))
        values = self._learn_columns(sheet, weight) if sheet.values is None else sheet.values
        self.shape = (len(self.places),)
        self.names = None if sheet.names is None else [sheet.names[j] for j in self.places]
        values, weight = used_rows(values, weight)
        numbers = self._levels == 0
        self.spread = measure(values, weight, numbers)
        if not (np.isfinite(self.spread.low).all() and np.isfinite(self.spread.high).all()):
            raise DataError(infinite(values, self._called))
        if self.holds:
            self.bounds = within(values, numbers)
            self.spread = held(self.spread, values, weight, numbers, self.bounds)
        if not self.spread.known.any():
            raise EmptyError("every cell of the table is missing: there is nothing to learn from.")

    def _learn_columns(self, sheet: Sheet, weight: Array | None) -> Array:
        """The schema of every column, and the values of those that have a place in x."""
        from isthmus.data.columns import encode, learn

        weights = row_weights(sheet.n_rows, weight)
        dtype = np.float32 if sheet.is_single else np.float64
        values = np.empty((sheet.n_rows, sheet.n_columns), dtype=dtype, order="F")
        self.columns, self.places = [], []
        for j in range(sheet.n_columns):
            cells = sheet.cells(j)
            column = learn(cells, sheet.called(j), *sheet.type(j), weights)
            self.columns.append(column)
            if column.kind != "text":
                values[:, len(self.places)] = encode(column, cells, sheet.called(j))
                self.places.append(j)
        self._set_apart(values[:, : len(self.places)])
        if not self.places:
            names = listed([sheet.called(j) for j in range(sheet.n_columns)])
            raise EmptyError(
                f"there is nothing to learn from in {names}: too many different texts. "
                "Pass columns of numbers, dates or categories too."
            )
        return values[:, : len(self.places)]

    def _own_support(self) -> Support:
        return ("real",) * self.shape[0] if self._levels.any() else "real"

    def suit(self, support: Support) -> None:
        each = (support,) * self.shape[0] if isinstance(support, str) else tuple(support)
        levels = self._levels
        support = each if support == OF_LEVELS else support
        check_support(each, levels, self._called)
        if isinstance(support, str):
            check_levels(levels, self._called)
        numbers = (levels == 0) | isinstance(support, str)
        wanted = np.array(each)
        self._unit, self._count = numbers & (wanted == "unit"), numbers & (wanted == "count")
        self._check_suits()
        self.support = support
        self.offset, self.scale = self.spread.to(each, numbers)

    def _check_suits(self) -> None:
        for j in np.flatnonzero(self._count & self.spread.known & ~self.spread.whole):
            low = self.spread.low[j]
            found = f"values down to {low:g}" if low < 0 else "fractions"
            raise DataError(
                f"{self._called(int(j))} has {found}, but counts are whole numbers from 0 on. "
                "Leave the likelihood to the data, or drop the column."
            )
        if self.is_sparse and self._unit.any() and self.spread.low.min() < 0:
            raise DataError(
                "a sparse matrix can be brought to 0 to 1 only where no number is below 0. Take a "
                "likelihood of any number, or pass X.toarray()."
            )

    @property
    def _levels(self) -> NDArray[np.int64]:
        """How many levels each column of x has, 0 for numbers."""
        if self.columns is None:
            return np.zeros(len(self.places), dtype=np.int64)
        return np.array([self.columns[j].n_levels for j in self.places], dtype=np.int64)

    def batch(self, X: Any) -> Batch:
        if is_sparse(X):
            return Batch(self._sparse_rows(X))  # type: ignore[arg-type]
        sheet = as_sheet(X, as_objects=self.columns is not None)
        values = self._values(sheet)
        if not len(values):
            raise EmptyError("the table has no rows. Pass at least one.")
        unknown = self._set_apart(values)
        if self.bounds is not None:
            values = self._held(values, *self.bounds)
        all_unit = bool(self._unit.all())
        x = scaled(values, self.offset, self.scale, unit=all_unit)
        seen = None
        if x is None or not self.spread.known.all():
            seen = self._seen(values)
            filled = np.where(seen, values, self.offset)
            x = scaled(filled, self.offset, self.scale, unit=all_unit)
            if x is None:
                raise DataError(too_far(filled, self.offset, self.scale, self._called))
        if self._unit.any() and not all_unit:
            x[:, self._unit] = np.clip(x[:, self._unit], 0, 1)
        if self._count.any():
            self._check_counts(x)
        weight = None if seen is None or seen.all() else torch.from_numpy(seen.astype(np.float32))
        apart = None if unknown is None else torch.from_numpy(unknown)
        return Batch(torch.from_numpy(x), weight, unknown=apart)

    def _held(self, values: Array, least: Floats, most: Floats) -> Array:
        if np.isinf(values).any():
            raise DataError(infinite(values, self._called))
        return np.clip(values, least, most)

    def _set_apart(self, values: Array) -> Mask | None:
        """Where levels are that were never seen, if there are any: in ``values`` they are missing
        from then on.
        """
        levels = self._levels
        if not levels.any():
            return None
        from isthmus.data.columns import UNKNOWN

        unknown: Mask = np.ascontiguousarray((values == UNKNOWN) & (levels > 0))
        values[unknown] = np.nan
        return unknown if unknown.any() else None

    def _values(self, sheet: Sheet) -> Array:
        """The values with their columns as they were when the table was fitted."""
        places = self._found(sheet)
        if sheet.values is not None and self.columns is None:
            in_order = places == list(range(sheet.n_columns))
            return sheet.values if in_order else sheet.values[:, places]
        from isthmus.data.columns import Column, encode

        single = sheet.is_single and not self._levels.any()
        dtype = np.float32 if single else np.float64
        values = np.empty((sheet.n_rows, len(places)), dtype=dtype, order="F")
        number = Column("number")
        for i, (j, place) in enumerate(zip(self.places, places, strict=True)):
            column = number if self.columns is None else self.columns[j]
            values[:, i] = encode(column, sheet.cells(place), sheet.called(place))
        return values

    def _found(self, sheet: Sheet) -> list[int]:
        """Where in the table each column that has a place in x is."""
        found = found_columns(sheet, self.every_name, self.labels, self.places)
        if found is not None:
            return found
        if sheet.n_columns == self._n_columns:
            return self.places
        if sheet.n_columns == self.shape[0]:
            return list(range(sheet.n_columns))
        raise ColumnsError(other_columns(self._n_columns, sheet.n_columns))

    @property
    def _n_columns(self) -> int:
        return self.shape[0] if self.columns is None else len(self.columns)

    def _seen(self, values: Array) -> Mask:
        """Which values are there; all that are must be finite."""
        finite = np.isfinite(values)
        if np.isinf(values).any():
            raise DataError(infinite(values, self._called))
        seen: Mask = finite & self.spread.known
        return seen

    def _sparse_rows(self, X: Any) -> SparseRows:
        rows = compressed(X)
        if rows.shape[1] != self.shape[0]:
            raise ColumnsError(other_columns(self._n_columns, rows.shape[1]))
        if not self.is_sparse:
            raise DataError(
                "X is a sparse matrix, but the model was fitted on a dense table. Pass X.toarray()."
            )
        if not rows.shape[0]:
            raise EmptyError("the table has no rows. Pass at least one.")
        x = to_rows(rows, self.scale)
        if x is None:
            largest = abs(rows).tocsc().max(axis=0).toarray()
            raise DataError(too_far(largest, self.offset, self.scale, self._called))
        if self._count.any():
            self._check_counts(x.values.numpy(), x.col.numpy())
        if self._unit.any():
            x.values.clamp_(0, 1)
        return x

    def _check_counts(self, x: Array, column: Array | None = None) -> None:
        """Refuse what is no count; ``column`` says where the values of sparse rows are."""
        bad = (x < 0) | (x != np.floor(x))
        bad = bad & self._count if column is None else bad & self._count[column]
        if bad.any():
            first = np.argwhere(bad)[0]
            j = int(first[1] if column is None else column[first[0]])
            raise DataError(
                f"{self._called(j)} holds {x[tuple(first)]:g}, but the model was fitted on counts, "
                "whole numbers from 0 on."
            )

    def restore(self, x: Tensor | SparseRows, like: Any = None) -> Any:
        if isinstance(x, SparseRows):
            return from_rows(x, self.scale)
        values = unscaled(x, self.offset, self.scale)
        if not self.spread.known.all():
            values[:, ~self.spread.known] = np.nan
        if self.columns is None:
            return values.astype(self.dtype, copy=False)
        from isthmus.data.columns import decode

        named = self.every_name or [str(j) for j in range(len(self.columns))]
        restored: dict[str, Any] = {}
        found = iter(values.T)
        for name, column in zip(named, self.columns, strict=True):
            cells = np.full(len(values), np.nan) if column.kind == "text" else next(found)
            restored[name] = decode(column, cells)
        if self.library == OBJECTS:
            return to_objects(restored)
        asked = library_of(like)
        library = asked or self.library
        same = library == self.library
        natives = {n: c.native for n, c in zip(named, self.columns, strict=True) if same}
        return to_frame(restored, library, natives, self.labels, like)

    def columns_described(self) -> list[tuple[str, str]]:
        names = self.every_name or [f"column {j}" for j in range(self._n_columns)]
        kinds = ["number"] * len(names) if self.columns is None else [c.kind for c in self.columns]
        for j, skewed in zip(self.places, self.spread.skewed, strict=True):
            kinds[j] = "count" if skewed and kinds[j] == "number" else kinds[j]
        return list(zip(names, kinds, strict=True))

    def likelihood(self) -> Spec:
        levels = self._levels
        if not levels.any():
            return spec("gaussian")
        kinds = [
            "category" if n else "count" if counts else "number"
            for n, counts in zip(levels, self.spread.skewed & self.spread.whole, strict=True)
        ]
        return spec("mixed", columns=tuple(kinds), levels=tuple(levels.tolist()))

    def network(self) -> Spec:
        return spec("mlp")

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        json = {
            "kind": self.kind,
            "support": self.support if isinstance(self.support, str) else list(self.support),
            "scaling": "shared" if self.spread.shared else "columns",
            "names": self.every_name,
            "labels": self.labels,
            "library": self.library,
            "sparse": self.is_sparse,
            "dtype": self.dtype,
            "columns": self._n_columns,
            "schema": None if self.columns is None else [c.to_json() for c in self.columns],
        }
        arrays = self.spread.arrays()
        if self.bounds is not None:
            arrays["least"], arrays["most"] = self.bounds
        return json, arrays

    @classmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, Array]) -> Table:
        table = cls()
        try:
            table._read_schema(json, len(arrays["low"]))
            n = len(table.places)
            table.shape = (n,)
            shared = {"shared": True, "columns": False}[json["scaling"]]
            table.spread = Spread.from_arrays(arrays, shared, n)
            table.bounds = bounds_of(arrays, n)
            support = json["support"]
            table.suit(support if isinstance(support, str) else tuple(support))
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise ModelFileError(f"the saved table schema cannot be read: {error!r}.") from error
        return table

    def _read_schema(self, json: Mapping[str, Any], n_places: int) -> None:
        n, schema, names, labels = (json[k] for k in ("columns", "schema", "names", "labels"))
        self.library, self.dtype = str(json["library"]), json["dtype"]
        self.is_sparse = bool(json["sparse"])
        self.places = list(range(n_places))
        self.every_name = None if names is None else [str(name) for name in names]
        self.labels = None if labels is None else [int(label) for label in labels]
        if schema is not None:
            from isthmus.data.columns import Column

            self.columns = [Column.from_json(column) for column in schema]
            self.places = [j for j, c in enumerate(self.columns) if c.kind != "text"]
        for part in (self.columns or self.places, self.every_name, self.labels):
            if part is not None and len(part) != n:
                raise ValueError("parts of different lengths")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype {self.dtype!r}")
        if self.every_name is not None:
            self.names = [self.every_name[j] for j in self.places]

    def _called(self, j: int) -> str:
        """What to call a column of x."""
        return called(self.places[j], self.every_name)
