"""What a column of a table holds: numbers, categories, dates or names; as floats and back.

Whatever the library, cells come as a NumPy array of numbers or as an Arrow array. A missing cell
is NaN among the floats, and a category is the number of its level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from isthmus.core.errors import ColumnsError, DataError
from isthmus.core.wording import listed
from isthmus.data.arrays import as_number
from isthmus.data.arrow import (
    arrow_type,
    floats_of,
    has_text,
    is_date,
    is_number,
    is_text,
    of_floats,
    said,
    typed,
)
from isthmus.data.contracts import Array, Floats

Cells = Array | Any
"""A NumPy array of numbers, or an Arrow array."""

KINDS = ("number", "category", "date", "text")
MANY_LEVELS = 64
"""Of more levels than this, the rare ones are one level together."""
RARE_ROWS, RARE_SHARE = 2, 0.005
"""A level that is to stand alone among so many has at least so many rows, and this share."""
NAMES_ROWS, NAMES_SHARE = 20, 0.9
"""From so many different values on, a column in which this share of values differs is names."""
LEAST_COVERED = 0.5
"""Levels that cover a smaller share of the rows than this say too little: the column is text."""
UNKNOWN = -1.0
"""In place of the number of a level that was never seen."""


@dataclass(frozen=True)
class Column:
    """What one column holds, as it was when the table was fitted.

    Parameters
    ----------
    kind : "number", "category", "date" or "text"
        Text has no place in the model.
    type : str
        Arrow's name for the type of its values; of its levels, if it is a category.
    native : str
        What its own library calls the type.
    levels : tuple of str
        Of a category, by their numbers.
    others : bool
        Whether one more level stands for all others.
    choices : tuple of str, optional
        All levels that the type allows, where it is a type of categories.
    ordered : bool
        Whether that type is ordered.
    """

    kind: str
    type: str = "double"
    native: str = ""
    levels: tuple[str, ...] = ()
    others: bool = False
    choices: tuple[str, ...] | None = None
    ordered: bool = False

    @property
    def n_levels(self) -> int:
        """How many levels a category has, at least 1; 0 for what is none."""
        return max(1, len(self.levels) + self.others) if self.kind == "category" else 0

    @property
    def described(self) -> str:
        """What it holds, in words."""
        return "categories" if self.choices is not None else said(arrow_type(self.type))

    def to_json(self) -> dict[str, Any]:
        """Plain data, without what is as usual."""
        usual = asdict(Column("", ""))
        return {name: value for name, value in asdict(self).items() if value != usual[name]}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Column:
        """Read what ``to_json`` wrote; ``TypeError`` or ``ValueError`` if it is no column."""
        choices = data.get("choices")
        column = Column(
            str(data["kind"]),
            str(data["type"]),
            str(data.get("native", "")),
            tuple(str(level) for level in data.get("levels", ())),
            bool(data.get("others", False)),
            None if choices is None else tuple(str(choice) for choice in choices),
            bool(data.get("ordered", False)),
        )
        if column.kind not in KINDS or not set(column.levels) <= set(choices or column.levels):
            raise ValueError(f"no column: {data}")
        try:
            of_type = arrow_type(column.type)
            if column.kind == "category" or choices is not None:
                typed(column.choices or column.levels, of_type)
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
        return column


def learn(cells: Cells, name: str, type_: str, native: str, weight: Floats | None) -> Column:
    """What a column holds.

    Parameters
    ----------
    cells : NumPy array of numbers or Arrow array of shape (n,)
    name : str
        What to call it in an error.
    type_, native : str
        Of an array of numbers, what Arrow calls its type; and what its library does.
    weight : array of shape (n,), optional
        How often each row counts.

    Raises
    ------
    DataError
        If it holds what no model can learn.
    """
    if isinstance(cells, np.ndarray):
        return Column("number", type_, native)
    found = cells.type
    if is_number(found) or pa.types.is_null(found):
        return Column("number", str(found), native)
    if is_date(found):
        return Column("date", str(found), native)
    if pa.types.is_boolean(found):
        return Column("category", "bool", native, ("false", "true"))
    if not (pa.types.is_dictionary(found) or is_text(found)):
        raise DataError(
            f"{name} holds {said(found)}, which is neither numbers, categories, dates nor text. "
            "Drop it, or make columns of what is in it."
        )
    return _learn_levels(cells, native, weight)


def _learn_levels(cells: Any, native: str, weight: Floats | None) -> Column:
    codes, levels, type_ = _levels(cells)
    there = codes >= 0
    weight = np.ones(len(codes)) if weight is None else weight
    rows = np.bincount(codes[there], weights=weight[there], minlength=len(levels))
    choices, ordered = None, False
    in_order = pa.types.is_dictionary(cells.type) and native != "Categorical"
    if in_order:
        choices, ordered = tuple(levels), cells.type.ordered
    found = np.flatnonzero(rows)
    by_rows = sorted(found, key=lambda i: (-rows[i], levels[i]))
    many = len(found) > MANY_LEVELS
    if many:
        frequent = max(RARE_ROWS, RARE_SHARE * rows.sum())
        by_rows = [i for i in by_rows if rows[i] >= frequent]
    all_differ = len(found) > NAMES_SHARE * rows.sum() and len(found) >= NAMES_ROWS
    scattered = many and rows[by_rows].sum() < LEAST_COVERED * rows.sum()
    if (all_differ and (many or choices is None)) or scattered:
        return Column("text", type_, native, choices=choices, ordered=ordered)
    kept = tuple(levels[i] for i in (sorted(by_rows) if in_order else by_rows))
    if native == "Categorical":
        choices = kept
    others = len(kept) < len(found)
    return Column("category", type_, native, kept, others, choices, ordered)


def encode(column: Column, cells: Cells, name: str) -> Floats:
    """The cells of a column as floats, NaN where missing; ``UNKNOWN`` for levels never seen.

    Raises
    ------
    ColumnsError
        If it holds something else than it did.
    """
    if not isinstance(cells, np.ndarray) and pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan)
    if column.kind == "number" and column.type == "null":
        return np.full(len(cells), np.nan)  # nothing was known of it
    read = {"number": _as_numbers, "date": _as_seconds, "category": _as_levels}[column.kind]
    values = read(column, cells)
    if values is None:
        now: str = "numbers" if isinstance(cells, np.ndarray) else said(cells.type)
        if column.kind == "category" and column.type == "bool" and now == "numbers":
            now = "other numbers than 0 and 1"
        raise ColumnsError(
            f"{name} held {column.described}, now it holds {now} ({_examples(column, cells)}). "
            "Pass a table with columns of the same types, or fit a new model."
        )
    return values


def _as_numbers(column: Column, cells: Cells) -> Floats | None:
    if isinstance(cells, np.ndarray):
        return np.asarray(cells, dtype=np.float64)
    if is_number(cells.type) or pa.types.is_boolean(cells.type):
        return floats_of(cells)
    if not has_text(cells.type):
        return None
    codes, texts, _ = _levels(cells)
    values = [as_number(text) for text in texts]
    if None in values:
        return None
    return _looked_up(codes, np.array(values, dtype=np.float64))


def _as_seconds(column: Column, cells: Cells) -> Floats | None:
    own = arrow_type(column.type)
    if isinstance(cells, np.ndarray) or is_number(cells.type):
        # Lengths of time are written to text files as seconds.
        return _as_numbers(column, cells) if pa.types.is_duration(own) else None
    if has_text(cells.type):
        codes, texts, _ = _levels(cells)
        if pa.types.is_time(own):
            texts = [f"1970-01-01 {text}" for text in texts]
        for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                return _looked_up(codes, floats_of(pa.array(texts, pa.string()).cast(kind)))
            except pa.ArrowException:
                continue
        return None
    same = is_date(cells.type) and all(
        is_one(cells.type) == is_one(own) for is_one in (pa.types.is_time, pa.types.is_duration)
    )
    return floats_of(cells) if same else None


def _as_levels(column: Column, cells: Cells) -> Floats | None:
    number = {level: float(i) for i, level in enumerate(column.levels)}
    unseen = float(len(number)) if column.others else UNKNOWN
    if not (isinstance(cells, np.ndarray) or is_number(cells.type)):
        if is_date(cells.type) and not is_date(arrow_type(column.type)):
            return None
        codes, texts, _ = _levels(cells)
        if column.type == "bool":
            texts = [{"0": "false", "1": "true"}.get(t, t.lower()) for t in texts]
            if not {texts[code] for code in np.unique(codes[codes >= 0])} <= set(number):
                return None
        return _looked_up(codes, np.array([number.get(text, unseen) for text in texts]))
    given = cells if isinstance(cells, np.ndarray) else floats_of(cells)
    values, codes = np.unique(np.asarray(given, dtype=np.float64), return_inverse=True)
    known = {0.0: 0.0, 1.0: 1.0} if column.type == "bool" else {}
    if not known:
        by_value = {as_number(level): i for level, i in number.items()}
        if None in by_value:
            return None
        known = {value: i for value, i in by_value.items() if value is not None}
    elif not all(value in known or np.isnan(value) for value in values):
        return None
    found = [np.nan if np.isnan(value) else known.get(value, unseen) for value in values]
    return np.array(found)[codes.ravel()]


def decode(column: Column, values: Floats) -> Any:
    """An Arrow array of the column's type, from floats; missing where they are NaN."""
    if column.kind == "category" or column.choices is not None:
        return _of_levels(column, values)
    return of_floats(values, arrow_type(column.type))


def _of_levels(column: Column, values: Floats) -> Any:
    n = len(column.levels)
    number = np.where(
        np.isnan(values), n, np.clip(np.rint(values), 0, max(0, n - 1 + column.others))
    )
    mask = number >= n
    type_ = arrow_type(column.type)
    number = np.where(mask, 0, number).astype(np.int32)
    if column.choices is None:
        if mask.all():
            return pa.nulls(len(values), type_)
        return typed(column.levels, type_).take(pa.array(number, mask=mask))
    place = {choice: i for i, choice in enumerate(column.choices)}
    index = np.array([place[level] for level in column.levels] or [0], dtype=np.int32)[number]
    counted_by = re.search(r"indices=(\w+)", column.native)
    index_type = pa.type_for_alias(counted_by[1]) if counted_by else pa.int32()
    return pa.DictionaryArray.from_arrays(
        pa.array(index, mask=mask).cast(index_type),
        typed(column.choices, type_),
        ordered=column.ordered,
    )


def _levels(cells: Any) -> tuple[NDArray[np.int64], list[str], str]:
    """Numbers of levels (-1 where missing), the levels as text, and Arrow's type of them."""
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_encode()
    codes = pc.fill_null(cells.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    values = cells.dictionary
    type_ = values.type
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_nested(type_):
        raise DataError(f"its categories are {said(type_)}. Make them text or numbers.")
    texts = values.cast(pa.string()).to_pylist()
    try:
        again = typed(texts, type_).equals(values)
    except (pa.ArrowException, ValueError):
        again = False
    place = {text: i for i, text in enumerate(dict.fromkeys(t for t in texts if t is not None))}
    if len(place) < len(texts):  # levels that stand there twice, or are missing
        again = again or is_text(type_)
        codes = np.array([*(place.get(text, -1) for text in texts), -1])[codes]
    return codes, list(place), str(type_) if again else "string"


def _looked_up(codes: NDArray[np.int64], values: Floats) -> Floats:
    """``values[codes]``, NaN where the code is -1."""
    found: Floats = np.append(values, np.nan)[codes]
    return found


def _examples(column: Column, cells: Cells) -> str:
    """Some of the values that are in the way."""
    if isinstance(cells, np.ndarray):
        there = cells[~np.isnan(cells)]
        if column.type == "bool":
            there = there[(there != 0) & (there != 1)]
        shown = [f"{value:g}" for value in dict.fromkeys(there[:1000].tolist())]
    else:
        values = dict.fromkeys(v for v in cells.drop_null().unique().to_pylist()[:1000])
        if column.kind == "number" and has_text(cells.type):
            values = dict.fromkeys(v for v in values if as_number(str(v)) is None)
        shown = [repr(v) if isinstance(v, str) else str(v) for v in values]
    more = ", ..." if len(shown) > 1 else ""
    return f"{listed(shown[:1])}{more}"
