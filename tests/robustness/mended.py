"""Compressed files that were mutated, with their checksums put right again."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from isthmus.coding.checks import Reader, crc8, long_check, number, short_check
from isthmus.coding.container import (
    ARCHIVE,
    LAYOUTS,
    LONG_FROM,
    STORED,
    PictureCoder,
    content,
    kind_of,
    start_of,
    values_of,
)
from isthmus.coding.tiles import Chunks
from isthmus.core.errors import IsthmusError

LARGEST = 2 * LONG_FROM
"""Values of a picture that is mended: larger ones would only take long to decode."""
LARGEST_BODY = 1 << 16
MADE_UP = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def mended(data: bytes, coder: PictureCoder) -> bytes:
    """The same bytes, with all checksums put right."""
    try:
        kind = kind_of(data)
        reader = Reader(data)
        reader.take(2)
        if kind == STORED:
            length = min(reader.number(), reader.left)
            whole = reader.data[-length:] if length else b""
            head = start_of(STORED) + number(length)
            return head + bytes([crc8(head)]) + long_check(whole) + whole
        return _archive(reader, coder) if kind == ARCHIVE else _picture(reader, coder)
    except IsthmusError:
        return data


def opened(data: bytes) -> bytes:
    """An archive whose header is plain JSON, so that what is mutated stays JSON; for ``mended``."""
    reader = Reader(data)
    start = reader.take(6)
    text = zlib.decompress(reader.take(reader.number()))
    return start + number(len(text)) + text + reader.take(reader.left)


def taken(reader: Reader, n: int) -> bytes:
    """The next n bytes, or as many as there are."""
    return reader.take(min(n, reader.left))


def _picture(reader: Reader, coder: PictureCoder) -> bytes:
    flags = reader.byte()
    shape = (reader.number(), reader.number(), LAYOUTS[flags & 3])
    if not 0 < values_of(shape) <= LARGEST:
        return reader.data
    long = values_of(shape) >= LONG_FROM
    depth = reader.byte() if flags & 4 else 8
    notes = reader.number() if flags & 8 else 0
    chunks = Chunks(1, *shape[:2], whole=not coder.lossless)
    lengths = [reader.number() for _ in chunks]
    check, size = (long_check, 4) if long else (short_check, 2)
    head = reader.so_far() + coder.identity[: 4 if long else 1]
    reader.take(8 if long else 2)
    parts = [head, long_check(head) if long else bytes([crc8(head)])]
    if notes:
        said = taken(reader, notes)
        parts += [said, long_check(said)]
        taken(reader, 4)
    pixels = np.zeros((1, *shape), np.uint16 if flags & 4 else np.uint8)
    for chunk, length in zip(chunks, lengths, strict=True):
        part = taken(reader, length)
        taken(reader, size)
        parts += [part, check(part)]
        if 8 <= depth <= 16:
            chunk.put(pixels, coder.decode(part, (*chunk.shape, shape[2]), depth))
    taken(reader, size)
    return b"".join([*parts, check(content(pixels)), reader.take(reader.left)])


def _archive(reader: Reader, coder: PictureCoder) -> bytes:
    reader.take(4)
    text = taken(reader, reader.number())
    with contextlib.suppress(zlib.error):  # else it is as it was opened
        text = zlib.decompress(text)
    taken(reader, 4)
    try:
        body = b"".join(_parts(json.loads(text)["groups"], reader, coder))
    except MADE_UP:
        body = reader.take(reader.left)
    text = zlib.compress(text)
    head = start_of(ARCHIVE) + coder.identity[:4] + number(len(text)) + text
    return head + long_check(head) + body


def _parts(groups: Any, reader: Reader, coder: PictureCoder) -> Iterator[bytes]:
    """What follows a header, as long as that says, with the checksums right."""
    if sum(length + 4 for group in groups for length in group[4]) > LARGEST_BODY:
        yield reader.take(reader.left)
        return
    for shape, deep, depth, count, lengths in groups:
        whole = not coder.lossless
        chunks = Chunks(count, *shape[:2], whole=whole) if shape else None
        for at, length in enumerate(lengths):
            part = taken(reader, length).ljust(length, b"\0")
            taken(reader, 4)
            if chunks is not None and 8 <= depth <= 16 and at < len(chunks):
                full = (*chunks[at].shape, shape[2])
                if 0 < np.prod(full, dtype=float) <= LARGEST and 0 < shape[2] <= 4:
                    part = part[:-4] + _content_check(part[:-4], full, depth, deep, coder)
            yield part + long_check(part)


def _content_check(
    payload: bytes, shape: tuple[int, int, int, int], depth: int, deep: bool, coder: PictureCoder
) -> bytes:
    try:
        values = coder.decode(payload, shape, depth)
    except IsthmusError:
        return bytes(4)
    return long_check(content(values if deep else values.astype(np.uint8)))
