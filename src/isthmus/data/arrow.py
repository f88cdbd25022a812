"""Types of Arrow: by name, in words, and their cells as floats and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.contracts import Array, Floats

DAY = 86_400
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
YEARS_1_TO_9999 = (-62_135_596_800.0, 253_402_300_799.0)
MOST_TICKS = 9.2e18


def arrow_type(text: str) -> Any:
    """The type of Arrow that is written like this; ``ValueError`` if there is none."""
    if zoned := re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=(.+)\]", text):
        return pa.timestamp(zoned[1], zoned[2])
    if decimal := re.fullmatch(r"(decimal\d+)\((\d+), (-?\d+)\)", text):
        make = {"decimal128": pa.decimal128, "decimal256": pa.decimal256}.get(decimal[1])
        return (make or pa.decimal128)(int(decimal[2]), int(decimal[3]))
    return pa.type_for_alias(text)


def typed(texts: Sequence[str], type_: Any) -> Any:
    """An Arrow array of a type, from how its values are written."""
    values = pa.array(texts, pa.string())
    return values if pa.types.is_string(type_) else values.cast(type_)


def said(type_: Any) -> str:
    """What a type of Arrow is called in plain words."""
    if pa.types.is_dictionary(type_):
        return "categories"
    words = {
        "text": is_text,
        "numbers": is_number,
        "true and false": pa.types.is_boolean,
        "times of day": pa.types.is_time,
        "lengths of time": pa.types.is_duration,
        "dates": is_date,
        "lists": lambda t: pa.types.is_nested(t) and "list" in str(t),
        "records": pa.types.is_nested,
        "bytes": lambda t: "binary" in str(t),
    }
    return next((word for word, is_one in words.items() if is_one(type_)), f"{type_} values")


def is_number(type_: Any) -> bool:
    """Whether it is of numbers: whole, floating or decimal."""
    return bool(
        pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    )


def is_date(type_: Any) -> bool:
    """Whether it is of dates, instants, times of day or lengths of time."""
    return bool(
        pa.types.is_timestamp(type_)
        or pa.types.is_date(type_)
        or pa.types.is_time(type_)
        or pa.types.is_duration(type_)
    )


def is_text(type_: Any) -> bool:
    """Whether it is of text."""
    return bool(
        pa.types.is_string(type_) or pa.types.is_large_string(type_) or str(type_) == "string_view"
    )


def has_text(type_: Any) -> bool:
    """Whether it is of text, or of categories that are."""
    return is_text(type_.value_type if pa.types.is_dictionary(type_) else type_)


def floats_of(cells: Any) -> Floats:
    """Numbers as floats, and what is of dates and times as seconds; NaN where null."""
    if is_date(cells.type):
        narrow = pa.types.is_date32(cells.type) or pa.types.is_time32(cells.type)
        ticks = cells.cast(pa.int32()).cast(pa.int64()) if narrow else cells.cast(pa.int64())
        return floats_of(ticks) / _per_second(cells.type)
    if pa.types.is_boolean(cells.type):
        cells = cells.cast(pa.uint8())
    floats = cells.cast(pa.float64(), safe=False)
    found: Floats = np.array(pc.fill_null(floats, np.nan).to_numpy(), dtype=np.float64)
    return found


def of_floats(values: Floats, type_: Any) -> Any:
    """Back from ``floats_of``: rounded and within the range of the type; null where NaN."""
    missing = np.isnan(values)
    if missing.all():
        return pa.nulls(len(values), type_)
    mask = missing if missing.any() else None
    values = values if mask is None else np.where(mask, 0.0, values)
    if is_date(type_):
        return pa.array(_ticks(values, type_), mask=mask).cast(type_)
    if pa.types.is_decimal(type_):
        beyond = 10.0 ** (type_.precision - type_.scale)
        most = min(beyond - 10.0**-type_.scale, float(np.nextafter(beyond, 0)))
        return pa.array(np.clip(values, -most, most), mask=mask).cast(type_, safe=False)
    dtype = np.dtype(type_.to_pandas_dtype())
    if dtype.kind != "f":
        return pa.array(_whole(values, dtype), type_, mask=mask)
    with np.errstate(over="ignore"):
        return pa.array(values.astype(dtype), type_, mask=mask)


def _ticks(seconds: Floats, type_: Any) -> Array:
    """Seconds as the whole numbers by which a type counts time."""
    per_second = _per_second(type_)
    narrow = pa.types.is_date32(type_) or pa.types.is_time32(type_)
    if pa.types.is_time(type_):
        ticks = np.clip(np.rint(seconds * per_second), 0, DAY * per_second - 1)
    elif pa.types.is_duration(type_):
        ticks = seconds * per_second
    else:
        ticks = np.clip(seconds, *YEARS_1_TO_9999) * per_second
    if pa.types.is_date64(type_):
        ticks = np.rint(ticks / (DAY * 1000)) * (DAY * 1000)
    # The least int64 stands for no date at all.
    return _whole(
        np.clip(ticks, -MOST_TICKS, MOST_TICKS), np.dtype(np.int32 if narrow else np.int64)
    )


def _per_second(type_: Any) -> float:
    """How many of its units a type of dates and times has in a second."""
    if pa.types.is_date32(type_):
        return 1 / DAY
    return float(UNITS["ms" if pa.types.is_date64(type_) else type_.unit])


def _whole(values: Floats, dtype: np.dtype[Any]) -> Array:
    """Rounded, and within the range of an integer type."""
    info = np.iinfo(dtype)
    # The largest float that the type can hold: 2^63 is a float, 2^63 - 1 is none.
    high = float(info.max)
    high = high if int(high) <= info.max else float(np.nextafter(high, 0))
    whole: Array = np.clip(np.rint(values), float(info.min), high).astype(dtype)
    return whole
