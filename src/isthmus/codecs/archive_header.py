"""What an archive says of itself: the sizes of its images, their order, names and notes.

The header of a file is made up by whoever made the file. So all numbers are held against the bytes
that are there before anything is reckoned from them, and nothing is kept for each entry but what
the header says of it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from isthmus.codecs.files import read_start
from isthmus.coding.checks import LONGEST_NUMBER, Reader, long_check, number
from isthmus.coding.container import (
    ARCHIVE,
    LONG_FROM,
    MOST_NOTES,
    MOST_VALUES,
    VALUES_A_BYTE,
    kind_of,
    start_of,
)
from isthmus.coding.tiles import Chunks
from isthmus.core.errors import CompressedError, DataError
from isthmus.data.contracts import Array

MOST_HEADER, FREE_HEADER, HEADER_A_BYTE = 1 << 26, 1 << 20, 32
"""Bytes of a header's text: at most, always possible, and for each byte of it in zlib."""
FREE_ENTRIES, ENTRIES_A_BYTE = 1 << 14, 4
"""Entries that are always possible, and those for each byte that follows the header."""
CHECK = 4
"""Bytes of a checksum."""
START = 2 + 4 + LONGEST_NUMBER
"""Bytes from which the size of a header is known."""
UNREADABLE = (
    zlib.error,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)
"""What a header that nobody wrote can raise."""
DAMAGED = "its header says what nobody writes: it is damaged"


@dataclass(frozen=True)
class Group:
    """Images of one size and depth, or files that are stored as they are.

    Parameters
    ----------
    shape : list of int
        Height, width and channels; empty for stored files.
    deep : bool
    depth : int
    count : int
    lengths : list of int
        Bytes of each chunk, or of each stored file.
    """

    shape: list[int]
    deep: bool
    depth: int
    count: int
    lengths: list[int]

    def chunks(self, lossless: bool) -> Chunks:
        """Of images: how they are cut."""
        return Chunks(self.count, *self.shape[:2], whole=not lossless)


class Header:
    """What an archive says of itself.

    Parameters
    ----------
    groups : list of Group
    order : array of shape (entries,) or None
        The group of each entry; None where there is one group.
    names : list of str or None
    extras : dict
        By the number of an entry, its form and notes, where there are any.
    identity : bytes
        The first bytes of that of its model.
    size : int
        Bytes of the header itself.
    lossless : bool
        Whether its images are as they were.
    """

    def __init__(
        self,
        groups: list[Group],
        order: Array | None,
        names: list[str] | None = None,
        extras: dict[int, tuple[int, bytes]] | None = None,
        identity: bytes = b"",
        size: int = 0,
        lossless: bool = True,
    ) -> None:
        self.groups, self.order, self.names, self.extras = groups, order, names, extras or {}
        self.identity, self.size, self.lossless = identity, size, lossless
        self.count = sum(group.count for group in groups)
        self._number: Array | None = None
        if order is not None:
            self._grouped = np.argsort(order, kind="stable")
            firsts = np.cumsum([0, *(group.count for group in groups)])[:-1]
            self._number = np.empty(len(order), np.int64)
            self._number[self._grouped] = np.arange(len(order)) - np.repeat(
                firsts, [group.count for group in groups]
            )
        lengths = [length + CHECK for group in groups for length in group.lengths]
        self._starts = np.cumsum([0, *lengths])
        self._first_part = np.cumsum([0, *(len(group.lengths) for group in groups)])

    def place(self, index: int) -> tuple[int, int]:
        """The group of an entry, and its number there."""
        if self.order is None or self._number is None:
            return 0, index
        return int(self.order[index]), int(self._number[index])

    def grouped(self) -> Iterable[int]:
        """The numbers of all entries, group by group."""
        return range(self.count) if self.order is None else map(int, self._grouped)

    def part(self, group: int, at: int) -> tuple[int, int]:
        """Where a chunk or a stored file begins behind the header, and its bytes."""
        start = int(self._starts[self._first_part[group] + at])
        return start, self.groups[group].lengths[at]


def written(header: Header) -> bytes:
    """A header as bytes.

    Raises
    ------
    DataError
        If it says more than an archive can.
    """
    said: dict[str, Any] = {"groups": [[*vars(group).values()] for group in header.groups]}
    if not header.lossless:
        said["lossy"] = True
    if header.order is not None:
        said["order"] = header.order.tolist()
    if header.names is not None:
        said["names"] = header.names
    if header.extras:
        said["extras"] = [[i, form, notes.hex()] for i, (form, notes) in header.extras.items()]
    plain = json.dumps(said, separators=(",", ":")).encode()
    if len(plain) > MOST_HEADER:
        raise DataError(
            f"the names of {header.count:,} images, and what their files say beside their pixels, "
            f"take {len(plain):,} bytes; an archive holds {MOST_HEADER:,}. Make several archives."
        )
    text = zlib.compress(plain, 9)
    if len(plain) > FREE_HEADER:
        text += bytes(max(0, -(-len(plain) // HEADER_A_BYTE) - len(text)))
    whole = start_of(ARCHIVE) + header.identity + number(len(text)) + text
    return whole + long_check(whole)


def header_of(path: Path) -> Header:
    """The header of an archive, without reading the rest of it.

    Raises
    ------
    CompressedError
        If it is damaged.
    DataError
        If it cannot be read.
    """
    data, size = read_start(path, START)
    data, size = read_start(path, START + _length(data, size))
    return read_header(data, size)


def _length(data: bytes, size: int) -> int:
    """How many bytes of a header follow the first ones, at most."""
    reader = Reader(data)
    if kind_of(data) != ARCHIVE:
        return 0
    reader.take(6)
    return min(reader.number() + CHECK, size)


def read_header(data: bytes, size: int) -> Header:
    """The header of an archive, checked.

    Parameters
    ----------
    data : bytes
        The beginning of a file, with the header at least.
    size : int
        Bytes of the file.

    Raises
    ------
    CompressedError
    """
    if kind_of(data) != ARCHIVE:
        raise CompressedError("it is one image, not an archive")
    reader = Reader(data)
    reader.take(2)
    identity = reader.take(4)
    text = reader.take(reader.number())
    if long_check(reader.so_far()) != reader.take(CHECK):
        raise CompressedError("its header is damaged")
    try:
        said = json.loads(_plain(text), parse_constant=_refuse)
        return _understood(said, identity, reader.at, size - reader.at)
    except UNREADABLE as error:
        raise CompressedError(DAMAGED) from error


def _plain(text: bytes) -> bytes:
    """The text of a header; only zeros may follow it."""
    unpacker = zlib.decompressobj()
    most = min(MOST_HEADER, max(FREE_HEADER, HEADER_A_BYTE * len(text)))
    plain = unpacker.decompress(text, most + 1)
    if not unpacker.eof or unpacker.unused_data.strip(b"\0"):
        raise ValueError("it is longer than possible")
    return plain


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of an archive")


def _understood(said: dict[str, Any], identity: bytes, begin: int, size: int) -> Header:
    """A header, held against the bytes that follow it."""
    groups = [_group(*told) for told in said["groups"]]
    follow = sum(length + CHECK for group in groups for length in group.lengths)
    if follow != size:
        raise CompressedError(
            f"it is cut short or damaged: {follow:,} bytes should follow its header, {size:,} do"
        )
    count = sum(group.count for group in groups)
    if not 0 < count <= max(FREE_ENTRIES, ENTRIES_A_BYTE * size):
        raise ValueError("more entries than such a file can hold")
    lossless = not _exactly(bool, said.get("lossy", False))
    for group in groups:
        if len(group.lengths) != (len(group.chunks(lossless)) if group.shape else group.count):
            raise ValueError("lengths")
    order = _order(said["order"], groups) if len(groups) > 1 else None
    names: Any = said.get("names")
    if names is not None:
        if type(names) is not list or len(names) != count:
            raise ValueError("names")
        for name in names:
            os.fsencode(_exactly(str, name))
    extras = _extras(said.get("extras", []), count)
    return Header(groups, order, names, extras, identity, begin, lossless)


def _exactly(kind: type, value: Any) -> Any:
    """The value, if it is of that type: true is no number here, nor is 1.0."""
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _group(shape: Any, deep: Any, depth: Any, count: Any, lengths: Any) -> Group:
    numbers = [*_exactly(list, shape), depth, count, *_exactly(list, lengths)]
    if any(_exactly(int, n) < 0 for n in numbers) or not count:
        raise ValueError("numbers")
    group = Group(shape, _exactly(bool, deep), depth, count, lengths)
    if not shape:
        return group
    height, width, channels = shape
    one = height * width * channels
    if not 0 < one <= MOST_VALUES or channels > 4 or not 8 <= depth <= (16 if deep else 8):
        raise ValueError("shape")
    if one * count > max(LONG_FROM, VALUES_A_BYTE * (sum(lengths) + len(lengths))):
        raise ValueError("more values than such a file can hold")
    if min(lengths) < CHECK:
        raise ValueError("lengths")
    return group


def _order(order: Any, groups: Sequence[Group]) -> Array:
    """The group of each entry."""
    for which in _exactly(list, order):
        if not 0 <= _exactly(int, which) < len(groups):
            raise ValueError("order")
    found = np.array(order, np.int64)
    if np.bincount(found, minlength=len(groups)).tolist() != [group.count for group in groups]:
        raise ValueError("the order is not that of the groups")
    return found


def _extras(told: Any, count: int) -> dict[int, tuple[int, bytes]]:
    """Form and notes of entries."""
    found: dict[int, tuple[int, bytes]] = {}
    for index, form, notes in _exactly(list, told):
        if not 0 <= _exactly(int, index) < count or not 0 <= _exactly(int, form) < 16:
            raise ValueError("extras")
        found[index] = form, bytes.fromhex(_exactly(str, notes))
        if len(found[index][1]) > MOST_NOTES:
            raise ValueError("notes")
    return found


def is_file_name(name: str) -> bool:
    """Whether a file of that name stays in the folder that it is written to."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return not (name != Path(name).name or name in ("", ".", "..") or "\\" in name or "\0" in name)
