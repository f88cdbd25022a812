"""Cells put into a table of the user's, all others staying as they are."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from torch import Tensor

from isthmus.data.arrays import unscaled
from isthmus.data.columns import Column, decode
from isthmus.data.contracts import Array, Floats
from isthmus.data.frames import OBJECTS, Sheet, as_frame, as_sheet, library_of, to_frame
from isthmus.data.tables import Table

NUMBER = Column("number")
SINGLE = 1e-6
"""Of the largest value of a column: what rounding in single precision moves it by."""
Mask = NDArray[np.bool_]


def mended(table: Table, X: Any, x: Tensor, where: Mask) -> Any:
    """The user's table with other values in some of its cells.

    Parameters
    ----------
    table : Table
        Fitted.
    X : array or DataFrame
    x : Tensor of shape (n, places)
        Rows as the table gives them.
    where : array of bool of shape (n, places)
        Which cells to take from them.

    Returns
    -------
    array or DataFrame
        As X came, with its columns, types and index; what it cannot hold as it is, a fraction in a
        column of whole numbers for example, is rounded.
    """
    sheet = as_sheet(X, as_objects=table.columns is not None)
    values, places = _settled(table, unscaled(x, table.offset, table.scale)), table._found(sheet)
    if sheet.values is not None:
        return _in_array(sheet.values, values, where, places)
    if sheet.library == OBJECTS:
        return _in_objects(table, X, values, where, places)
    return _in_frame(table, X, sheet, values, where, places)


def _settled(table: Table, values: Floats) -> Floats:
    """Values without what single precision added: within the range of those fitted on, and whole
    numbers where they are all but that.
    """
    low, high = table.spread.low, table.spread.high
    values = np.clip(values, low, high)
    near = np.rint(values)
    rounding = SINGLE * np.maximum(np.maximum(abs(low), abs(high)), table.scale)
    same = table.spread.whole & (abs(values - near) <= rounding)
    return np.where(same, near, values)


def levels_of(table: Table, place: int) -> list[Any]:
    """What the levels of a category are to the user, by their numbers."""
    column = _columns(table)[place]
    found: list[Any] = decode(column, np.arange(column.n_levels, dtype=np.float64)).to_pylist()
    return found


def _columns(table: Table) -> list[Column]:
    """What each place of the table holds."""
    if table.columns is None:
        return [NUMBER] * len(table.places)
    return [table.columns[j] for j in table.places]


def _in_array(array: Array, values: Floats, where: Mask, places: list[int]) -> Array:
    out = np.array(array if array.dtype.kind == "f" else array.astype(np.float64))
    for i, j in enumerate(places):
        out[where[:, i], j] = values[where[:, i], i]
    return out


def _in_objects(table: Table, X: Array, values: Floats, where: Mask, places: list[int]) -> Array:
    out = np.array(X, dtype=object)
    for i, (column, j) in enumerate(zip(_columns(table), places, strict=True)):
        at = np.flatnonzero(where[:, i])
        out[at, j] = np.array([*decode(column, values[at, i]).to_pylist(), None], object)[:-1]
    return out


def _in_frame(
    table: Table, X: Any, sheet: Sheet, values: Floats, where: Mask, places: list[int]
) -> Any:
    frame = as_frame(X)
    assert frame is not None
    mended_columns: dict[str, Any] = {}
    natives: dict[str, str] = {}
    for i, (column, j) in enumerate(zip(_columns(table), places, strict=True)):
        if where[:, i].any():
            name = frame.columns[j]
            key = str(name)
            mended_columns[key] = _merged(
                sheet.typed_cells(j), decode(column, values[:, i]), where[:, i]
            )
            natives[key] = sheet.type(j)[1]
    if not mended_columns:
        return frame.clone().to_native()
    library = library_of(X) or "pyarrow"
    made = nw.from_native(to_frame(mended_columns, library, natives, like=X))
    if made.implementation != frame.implementation:
        raise AssertionError("a DataFrame of a library that is not there")
    by_name = {str(name): name for name in frame.columns}
    return frame.with_columns(
        *(made[key].alias(by_name[key]) for key in mended_columns)
    ).to_native()


def _merged(cells: Any, filled: Any, where: Mask) -> Any:
    """An Arrow array of the type of ``cells``, with what is filled ``where`` it shall be."""
    if isinstance(cells, np.ndarray):
        cells = pa.array(cells, from_pandas=True)
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.unify_dictionaries().combine_chunks()
    if pa.types.is_null(cells.type):
        return filled
    if not pa.types.is_dictionary(cells.type):
        return pc.if_else(pa.array(where), _cast(filled, cells.type), cells)
    values, own = cells.dictionary, cells.type
    levels = _cast(filled, own.value_type)
    known = pc.index_in(levels, values)
    new = (
        levels.filter(pa.array(where))
        .filter(pc.is_null(known.filter(pa.array(where))))
        .drop_null()
        .unique()
    )
    choices = pa.concat_arrays([values, new.cast(values.type)])
    index = pc.if_else(
        pa.array(where), pc.index_in(levels, choices), cells.indices.cast(pa.int32())
    )
    return pa.DictionaryArray.from_arrays(index, choices, ordered=own.ordered)


def _cast(filled: Any, type_: Any) -> Any:
    """Filled cells in another type; rounded, where it holds whole numbers only."""
    if pa.types.is_dictionary(filled.type):
        filled = filled.dictionary_decode()
    if filled.type == type_:
        return filled
    if pa.types.is_integer(type_) and pa.types.is_floating(filled.type):
        filled = pc.round(filled)
    if pa.types.is_boolean(filled.type) and pa.types.is_floating(type_):
        filled = filled.cast(pa.uint8())
    return filled.cast(type_, safe=False)
