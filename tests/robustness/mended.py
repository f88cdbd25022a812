"""Compressed files that were mutated, with their checksums put right again."""

from __future__ import annotations

import zlib

from isthmus.coding.checks import Reader, crc8, long_check, number, short_check
from isthmus.coding.container import (
    ARCHIVE,
    LAYOUTS,
    STORED,
    PictureCoder,
    kind_of,
    start_of,
    values_of,
)
from isthmus.coding.tiles import chunks
from isthmus.core.errors import IsthmusError

LARGEST = 4096
"""Values of a picture that is mended: larger ones would only take long to decode."""


def mended(data: bytes, coder: PictureCoder) -> bytes:
    """The same bytes, believed by all checks that can be met without decoding."""
    try:
        kind = kind_of(data)
        reader = Reader(data)
        reader.take(2)
        if kind == STORED:
            length = min(reader.number(), reader.left)
            content = reader.data[-length:] if length else b""
            head = start_of(STORED) + number(length)
            return head + bytes([crc8(head)]) + long_check(content) + content
        return _archive(reader, coder) if kind == ARCHIVE else _picture(reader, coder)
    except IsthmusError:
        return data


def _picture(reader: Reader, coder: PictureCoder) -> bytes:
    flags = reader.byte()
    shape = (reader.number(), reader.number(), LAYOUTS[flags & 3])
    if not 0 < values_of(shape) <= LARGEST:
        return reader.data
    if flags & 4:
        reader.byte()
    notes = reader.number() if flags & 8 else 0
    lengths = [reader.number() for _ in chunks(1, *shape[:2])]
    head = reader.so_far() + coder.identity[:1]
    reader.take(2)
    parts = [head, bytes([crc8(head)])]
    if notes:
        said = reader.take(min(notes, reader.left))
        parts += [said, long_check(said)]
        reader.take(min(4, reader.left))
    for length in lengths:
        part = reader.take(min(length, reader.left))
        parts += [part, short_check(part)]
        reader.take(min(2, reader.left))
    return b"".join([*parts, reader.take(reader.left)])


def _archive(reader: Reader, coder: PictureCoder) -> bytes:
    reader.take(4)
    length = min(reader.number(), reader.left)
    text = reader.take(length)
    try:
        zlib.decompress(text)
    except zlib.error:
        text = zlib.compress(text)
    head = start_of(ARCHIVE) + coder.identity[:4] + number(len(text)) + text
    reader.take(min(4, reader.left))
    return head + long_check(head) + reader.take(reader.left)
