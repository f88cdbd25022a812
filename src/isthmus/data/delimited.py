"""Text files of separated values: their delimiter, header and decimal mark found by looking."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter, deque
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from isthmus.core.errors import DataError, EmptyError
from isthmus.core.wording import listed
from isthmus.data.arrays import as_number

DELIMITERS = (",", ";", "\t")
MISSING = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "#N/A")
SAMPLE_BYTES, SAMPLE_LINES, FEWEST_LINES = 1 << 20, 200, 2
LONGEST_LINE = 1 << 26
"""Bytes: longer lines are no rows of a table."""
BOM = b"\xef\xbb\xbf"
BOMS_OF_WIDE = (b"\xff\xfe", b"\xfe\xff")


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
    has_quoted, longest = _scan(path, layout.delimiter)
    try:
        with pa.OSFile(os.fsencode(path)) as file:
            table = pacsv.read_csv(
                file,
                read_options=pacsv.ReadOptions(
                    column_names=names,
                    skip_rows=layout.n_skipped,
                    block_size=max(SAMPLE_BYTES, longest + 1),
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=layout.delimiter, newlines_in_values=has_quoted
                ),
                convert_options=pacsv.ConvertOptions(
                    null_values=MISSING, strings_can_be_null=True, decimal_point=layout.decimal
                ),
            )
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        if "straddling" in reason:
            reason = f"a row is longer than {SAMPLE_BYTES:,} bytes, over several lines"
        raise DataError(
            f"{path} cannot be read as separated values: {reason}. Is it cut short or damaged?"
        ) from error
    coded = [n for n, kind in zip(names, table.schema.types, strict=True) if "binary" in str(kind)]
    if coded:
        where = listed([f"'{name}'" for name in coded])
        raise DataError(f"{path} is not in UTF-8, in column {where}. Save it in UTF-8.")
    if layout.names is None:
        return table, None
    if names[0] == "":
        table = table.remove_column(0)
    return table, list(table.column_names)


def _layout(path: Path) -> Layout:
    lines, n_blank = _first_lines(path)
    try:
        rated = [(_rate(lines, delimiter), -i) for i, delimiter in enumerate(DELIMITERS)]
        delimiter = DELIMITERS[-max(rated)[1]]
        reader = csv.reader(lines, delimiter=delimiter)
        first = next(row for row in reader if row)
        n_skipped = n_blank + reader.line_num
        rest = [row for row in reader if row]
    except csv.Error as error:
        reason = str(error)
        if "field limit" in reason:
            reason = f"a cell is longer than {csv.field_size_limit():,} characters"
        raise DataError(f"{path} cannot be read as separated values: {reason}.") from error
    later = [row for row in rest if len(row) == len(first)]
    names = [cell.strip() for cell in first] if _is_header(first, later[:1]) else None
    if names is None:
        n_skipped = n_blank
    elif not rest:
        raise EmptyError(f"{path} has a header and no rows.")
    else:
        twice = sorted(f"'{name}'" for name, n in Counter(names).items() if n > 1)
        if twice:
            raise DataError(f"{path} has more than one column called {listed(twice)}. Rename them.")
    cells = [cell for row in (first, *later) for cell in row]
    decimal = "," if delimiter != "," and any(map(_has_comma, cells)) else "."
    return Layout(delimiter, decimal, names, len(first), n_skipped)


def _first_lines(path: Path) -> tuple[list[str], int]:
    """Up to some hundred whole lines, and how many blank ones stand before them."""
    with path.open("rb") as file:
        data = file.read(SAMPLE_BYTES)
        while data.count(b"\n") < FEWEST_LINES and len(data) < 2 * LONGEST_LINE:
            further = file.read(len(data))
            if not further:
                break
            data += further
        more = bool(file.read(1))
    if data.startswith(BOMS_OF_WIDE):
        raise DataError(f"{path} is in UTF-16 or UTF-32. Save it in UTF-8.")
    if b"\0" in data:
        raise _no_text(path)
    if more and data.count(b"\n") < FEWEST_LINES:
        raise _line_too_long(path)
    try:
        text = (data[: data.rfind(b"\n") + 1] if more else data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8 ({error.reason}). Save it in UTF-8.") from error
    if not text.strip():
        raise EmptyError(f"{path} is empty.")
    lines = io.StringIO(text, newline=None).readlines()
    n_blank = next(i for i, line in enumerate(lines) if line.strip())
    return lines[n_blank : n_blank + SAMPLE_LINES], n_blank


def _no_text(path: Path) -> DataError:
    return DataError(f"{path} is not a text file. Save it as comma-separated values in UTF-8.")


def _line_too_long(path: Path) -> DataError:
    return DataError(
        f"{path} has a line of more than {LONGEST_LINE >> 20} MiB, too long for a row. Is it a "
        "table, or damaged?"
    )


def _rate(lines: list[str], delimiter: str) -> tuple[bool, bool, float, int]:
    """How well a delimiter explains the first lines: it splits them, equally, into numbers."""
    try:
        rows = [row for row in csv.reader(lines[:20], delimiter=delimiter) if row]
    except csv.Error:  # a cell too long to be one
        return False, False, 0.0, 0
    cells = [cell for row in rows for cell in row]
    splits = len(rows[0]) > 1
    equal = splits and {len(row) for row in rows} == {len(rows[0])}
    return equal, splits, sum(map(_is_number, cells)) / len(cells), len(rows[0])


def _scan(path: Path, delimiter: str) -> tuple[bool, int]:
    """Whether there are cells in quotation marks, and the bytes of the longest line."""
    # A mark within a cell, as of inches, opens nothing; and one that is doubled closes nothing.
    quoted = re.compile(rf'(?<![^{delimiter}\r\n])"[^"]*(?:""[^"]*)*("|\Z)'.encode())
    has_quoted, longest, left = False, 0, b""
    with path.open("rb") as file:
        begun = file.seek(len(BOM) if file.read(len(BOM)) == BOM else 0)
        while part := file.read(1 << 22):
            if b"\0" in part:
                raise _no_text(path)
            whole, end, rest = (left + part).rpartition(b"\n")
            last = deque(quoted.finditer(whole + end), maxlen=1)
            has_quoted = has_quoted or bool(last)
            is_open = bool(last) and not last[0][1]
            left = (whole + end)[last[0].start() :] + rest if is_open else rest
            if len(left) > LONGEST_LINE and is_open:
                raise _ends_quoted(path)
            ends = np.flatnonzero(np.frombuffer(part, np.uint8) == ord("\n"))
            if len(ends):
                within = int(np.diff(ends).max(initial=0))
                longest = max(longest, begun + int(ends[0]) + 1, within)
                begun = len(part) - int(ends[-1]) - 1
            else:
                begun += len(part)
            longest = max(longest, begun)
            if longest > LONGEST_LINE:
                raise _line_too_long(path)
    last = deque(quoted.finditer(left), maxlen=1)
    if last and not last[0][1]:
        raise _ends_quoted(path)
    return has_quoted or bool(last), longest


def _ends_quoted(path: Path) -> DataError:
    return DataError(f"{path} ends within quotation marks. Is it cut short or damaged?")


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
    return as_number(cell.replace(",", ".")) is not None and cell.strip() not in MISSING


def _is_word(cell: str) -> bool:
    return cell.strip() not in MISSING and not _is_number(cell)


def _has_comma(cell: str) -> bool:
    whole, comma, part = cell.strip().lstrip("+-").partition(",")
    return bool(comma) and whole.isdigit() and part.isdigit()
