"""Text files of separated values: their delimiter, header and decimal mark found by looking."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pacsv

from isthmus.core.errors import DataError, EmptyError
from isthmus.data.arrays import listed

DELIMITERS = (",", ";", "\t")
MISSING = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "#N/A")
SAMPLE_BYTES, SAMPLE_LINES = 1 << 20, 200


class Layout(NamedTuple):
    """How a file of separated values is written."""

    delimiter: str
    decimal: str
    names: list[str] | None
    """None where the first line is a row already."""
    n_columns: int
    n_skipped: int
    """Lines before the first row."""


def read_delimited(path: Path) -> tuple[Any, list[str] | None]:
    """The file as an Arrow table, and its column names if it has a header.

    A first column without a name, which is how pandas writes its index, is left out.

    Raises
    ------
    DataError
        If rows differ in length, or the file is no text.
    EmptyError
        If it has no rows.
    """
    layout = _layout(path)
    names = layout.names or [str(j) for j in range(layout.n_columns)]
    quotes = _count_quotes(path)
    if quotes % 2:
        raise DataError(f"{path} ends within quotation marks. Is it cut short or damaged?")
    try:
        table = pacsv.read_csv(
            path,
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=layout.n_skipped),
            parse_options=pacsv.ParseOptions(
                delimiter=layout.delimiter, newlines_in_values=quotes > 0
            ),
            convert_options=pacsv.ConvertOptions(
                null_values=MISSING, strings_can_be_null=True, decimal_point=layout.decimal
            ),
        )
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path} cannot be read as separated values: {reason}. Is it cut short or damaged?"
        ) from error
    if layout.names is None:
        return table, None
    if names[0] == "":
        table = table.remove_column(0)
    return table, list(table.column_names)


def _layout(path: Path) -> Layout:
    lines = _first_lines(path)
    try:
        rated = [(_rate(lines, delimiter), -i) for i, delimiter in enumerate(DELIMITERS)]
        delimiter = DELIMITERS[-max(rated)[1]]
        reader = csv.reader(lines, delimiter=delimiter)
        first = next(row for row in reader if row)
        n_skipped = reader.line_num
        rest = [row for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as separated values: {error}.") from error
    later = [row for row in rest if len(row) == len(first)]
    names = [cell.strip() for cell in first] if _is_header(first, later[:1]) else None
    if names is None:
        n_skipped = 0
    elif not rest:
        raise EmptyError(f"{path} has a header and no rows.")
    else:
        twice = sorted({f"'{name}'" for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"{path} has more than one column called {listed(twice)}. Rename them.")
    cells = [cell for row in (first, *later) for cell in row]
    decimal = "," if delimiter != "," and any(map(_has_comma, cells)) else "."
    return Layout(delimiter, decimal, names, len(first), n_skipped)


def _first_lines(path: Path) -> list[str]:
    """Up to some hundred whole lines from the start of the file."""
    with path.open("rb") as file:
        data = file.read(SAMPLE_BYTES)
        more = bool(file.read(1))
    if b"\0" in data:
        raise DataError(f"{path} is not a text file. Save it as comma-separated values in UTF-8.")
    whole = data[: data.rfind(b"\n") + 1] if more and b"\n" in data else data
    try:
        text = whole.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8 ({error.reason}). Save it in UTF-8.") from error
    if not text.strip():
        raise EmptyError(f"{path} is empty.")
    return io.StringIO(text, newline=None).readlines()[:SAMPLE_LINES]


def _rate(lines: list[str], delimiter: str) -> tuple[bool, bool, float, int]:
    """How well a delimiter explains the first lines: it splits them, equally, into numbers."""
    rows = [row for row in csv.reader(lines[:20], delimiter=delimiter) if row]
    cells = [cell for row in rows for cell in row]
    splits = len(rows[0]) > 1
    equal = splits and {len(row) for row in rows} == {len(rows[0])}
    return equal, splits, sum(map(_is_number, cells)) / len(cells), len(rows[0])


def _count_quotes(path: Path) -> int:
    with path.open("rb") as file:
        return sum(part.count(b'"') for part in iter(lambda: file.read(1 << 22), b""))


def _is_header(first: list[str], second: list[list[str]]) -> bool:
    """Whether the first line names the columns.

    It does where it has a word above a number, or no number at all, or counts 0, 1, 2 ..., which
    is what pandas writes for columns without names.
    """
    if second and any(_is_word(a) and _is_number(b) for a, b in zip(first, *second, strict=True)):
        return True
    numbers = [cell for cell in first if _is_number(cell)]
    counting = [str(j) for j in range(len(first))]
    unnamed = ["", *counting[:-1]]
    return not numbers or (len(first) > 1 and first in (counting, unnamed))


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().replace(",", "."))
    except ValueError:
        return False
    return cell.strip() not in MISSING


def _is_word(cell: str) -> bool:
    return cell.strip() not in MISSING and not _is_number(cell)


def _has_comma(cell: str) -> bool:
    whole, comma, part = cell.strip().lstrip("+-").partition(",")
    return bool(comma) and whole.isdigit() and part.isdigit()
