"""A compressed picture, or a stored file, as bytes. docs/formats/compressed-images.md specifies it.

Before a checksum was found right, nothing is done but to hold the sizes that a header says against
the bytes that are there. Small pictures have short checksums: every byte of them counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from isthmus.coding.checks import Reader, crc8, long_check, number, short_check
from isthmus.coding.tiles import Chunks
from isthmus.core.errors import CompressedError, NewerError, OtherModelError

Array = npt.NDArray[Any]

MAGIC, VERSION = 0x9B, 0
PICTURE, STORED, ARCHIVE, LOSSY = 0, 1, 2, 3
LAYOUTS = (1, 2, 3, 4)
"""Channels: grey, grey and alpha, colour, colour and alpha."""
DEEP, NOTED = 0x04, 0x08
LONG_FROM = 1 << 16
"""Values of a picture from which its checksums are long."""
MOST_VALUES = 1 << 30
MOST_NOTES = 1 << 24
VALUES_A_BYTE = 1 << 13
"""Values that a byte can stand for at most, beyond the first ``LONG_FROM``. To decode takes as long
as there are values: a kilobyte can ask for 2^23 of them, which are seconds, and no more."""
LARGEST_OVERHEAD = 16
"""Bytes that a stored file can be larger than the file itself."""


class PictureCoder(Protocol):
    """What makes bytes of pixels, and pixels of bytes."""

    @property
    def lossless(self) -> bool:
        """Whether pixels come back as they were."""

    @property
    def identity(self) -> bytes:
        """A SHA-256 of all that decides what is read."""

    def coded(self, images: Array, depth: int) -> tuple[bytes, Array]:
        """Images of shape (count, height, width, channels) as bytes, and as they will come back."""

    def decode(self, data: bytes, shape: tuple[int, int, int, int], depth: int) -> Array:
        """Images as they were said to come back."""


@dataclass(frozen=True)
class Picture:
    """Pixels, and what else a file said.

    Parameters
    ----------
    pixels : array of shape (height, width) or (height, width, 2 to 4), uint8 or uint16
    form : int
        What kind of file it came from, 0 to 15; what that means is its owner's business.
    notes : bytes
        Whatever shall come back with it.
    """

    pixels: Array
    form: int = 0
    notes: bytes = b""


@dataclass(frozen=True)
class Stored:
    """A file as it was."""

    content: bytes


@dataclass(frozen=True)
class Head:
    """What a picture's header says.

    Parameters
    ----------
    shape : tuple of int
        Height, width and channels.
    depth : int
        Bits of a value, 8 to 16; of 8 if its type is.
    form : int
    notes : int
        Bytes.
    lengths : tuple of int
        Bytes of each chunk.
    """

    shape: tuple[int, int, int]
    depth: int
    deep: bool
    form: int
    notes: int
    lengths: tuple[int, ...]

    @property
    def long(self) -> bool:
        """Whether its checksums are."""
        return values_of(self.shape) >= LONG_FROM


def values_of(shape: tuple[int, int, int]) -> int:
    """How many values a picture has."""
    return shape[0] * shape[1] * shape[2]


def pack(picture: Picture, coder: PictureCoder) -> bytes:
    """A picture as bytes, checked by decoding them: to the pixels that it had, or to those that a
    coder with loss made of them.

    Raises
    ------
    CompressedError
        If what was written cannot be read back to the bit.
    """
    picture = replace(picture, pixels=without_single_channel(picture.pixels))
    pixels = picture.pixels if picture.pixels.ndim == 3 else picture.pixels[..., np.newaxis]
    height, width, channels = pixels.shape
    depth, cut = depth_of(pixels), Chunks(1, height, width, whole=not coder.lossless)
    kept = pixels if coder.lossless else np.empty_like(pixels)
    payloads = []
    for chunk in cut:
        payload, shown = coder.coded(chunk.cut(pixels[np.newaxis]), depth)
        payloads.append(payload)
        if not coder.lossless:
            chunk.put(kept[np.newaxis], shown)
    least = -(-values_of(pixels.shape) // VALUES_A_BYTE) if pixels.size >= LONG_FROM else 0
    payloads[-1] += bytes(max(0, least - sum(map(len, payloads))))
    head = Head(
        (height, width, channels),
        depth,
        pixels.dtype == np.uint16,
        picture.form,
        len(picture.notes),
        tuple(map(len, payloads)),
    )
    check = long_check if head.long else short_check
    parts = [_write_head(head, coder)]
    if picture.notes:
        parts += [picture.notes, long_check(picture.notes)]
    for payload in payloads:
        parts += [payload, check(payload)]
    parts.append(check(content(kept)))
    data = b"".join(parts)
    again = unpack(data, lambda _: coder)
    if not same(again, replace(picture, pixels=without_single_channel(kept))):
        raise CompressedError("what was written could not be read back; nothing is kept of it")
    return data


def same(one: Picture | Stored, other: Picture | Stored) -> bool:
    """Whether two pictures agree to the bit, and in all else; or two files."""
    if isinstance(one, Stored) or isinstance(other, Stored):
        return one == other
    a, b = one.pixels, other.pixels
    alike = a.dtype == b.dtype and np.array_equal(a, b)
    return alike and one.notes == other.notes and one.form == other.form


def without_single_channel(pixels: Array) -> Array:
    """Grey pixels as (height, width), as they come back."""
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def depth_of(pixels: Array) -> int:
    """Bits in which values are coded: 8, or as many as the largest of deeper ones needs."""
    if pixels.dtype == np.uint8:
        return 8
    return max(8, int(pixels.max(initial=0)).bit_length())


def content(pixels: Array) -> bytes:
    """The values as bytes, which the last checksum is of."""
    return np.ascontiguousarray(pixels, "<u2" if pixels.dtype == np.uint16 else "u1").tobytes()


def _write_head(head: Head, coder: PictureCoder) -> bytes:
    flags = LAYOUTS.index(head.shape[2]) | DEEP * head.deep | NOTED * (head.notes > 0)
    parts = [start_of(PICTURE if coder.lossless else LOSSY), bytes([flags | head.form << 4])]
    parts += [number(head.shape[0]), number(head.shape[1])]
    if head.deep:
        parts.append(bytes([head.depth]))
    if head.notes:
        parts.append(number(head.notes))
    parts += [number(length) for length in head.lengths]
    parts.append(coder.identity[: 4 if head.long else 1])
    whole = b"".join(parts)
    return whole + (long_check(whole) if head.long else bytes([crc8(whole)]))


def start_of(kind: int) -> bytes:
    """The first two bytes of a file."""
    return bytes([MAGIC, 0xC0 | VERSION << 2 | kind])


def store(data: bytes) -> bytes:
    """A file as it is, in the same container."""
    whole = start_of(STORED) + number(len(data))
    return whole + bytes([crc8(whole)]) + long_check(data) + data


def kind_of(data: bytes) -> int:
    """What a file holds: ``PICTURE``, ``STORED``, ``ARCHIVE``, or ``LOSSY``, a picture with loss.

    Raises
    ------
    CompressedError, NewerError
    """
    if len(data) < 2 or data[0] != MAGIC or data[1] & 0xC0 != 0xC0:
        raise CompressedError("it was not written by isthmus compress, or its beginning is damaged")
    if data[1] >> 2 & 0x0F > VERSION:
        raise NewerError(
            "it was written by a newer version, or is damaged. Update: pip install -U isthmus"
        )
    return data[1] & 3


def unpack(data: bytes, find: Callable[[bytes], PictureCoder]) -> Picture | Stored:
    """What ``pack`` or ``store`` wrote.

    Parameters
    ----------
    data : bytes
    find : callable
        Gives the coder for the first bytes of an identity; raises ``OtherModelError`` if it has
        none.

    Raises
    ------
    CompressedError
        If anything is not as it was written.
    """
    kind = kind_of(data)
    reader = Reader(data)
    reader.take(2)
    if kind == STORED:
        return _read_stored(reader)
    if kind == ARCHIVE:
        raise CompressedError("it is an archive of several images, not one image")
    head, identity = _read_head(reader, kind == LOSSY)
    notes = b""
    if head.notes:
        notes = reader.take(head.notes)
        if reader.take(4) != long_check(notes):
            raise CompressedError("what it says beside its pixels is damaged")
    check = long_check if head.long else short_check
    size = 4 if head.long else 2
    payloads = []
    for i, length in enumerate(head.lengths):
        payloads.append(reader.take(length))
        if reader.take(size) != check(payloads[-1]):
            raise CompressedError(f"part {i + 1} of {len(head.lengths)} of its pixels is damaged")
    expected = reader.take(size)
    if reader.left:
        raise CompressedError(f"{reader.left:,} bytes follow its end")
    coder = find(identity)
    if coder.lossless != (kind == PICTURE):
        raise OtherModelError("it was written with a model of another kind, or is damaged")
    pixels = _decoded(head, payloads, coder)
    if check(content(pixels)) != expected:
        raise OtherModelError(
            "its pixels are not those that were written: it needs another model, or is damaged"
        )
    return Picture(without_single_channel(pixels), head.form, notes)


def _decoded(head: Head, payloads: list[bytes], coder: PictureCoder) -> Array:
    height, width, channels = head.shape
    pixels = np.empty((1, *head.shape), np.uint16 if head.deep else np.uint8)
    cut = Chunks(1, height, width, whole=not coder.lossless)
    for chunk, payload in zip(cut, payloads, strict=True):
        chunk.put(pixels, coder.decode(payload, (*chunk.shape, channels), head.depth))
    found: Array = pixels[0]
    return found


def _read_stored(reader: Reader) -> Stored:
    length = reader.number()
    if crc8(reader.so_far()) != reader.byte():
        raise CompressedError("its header is damaged")
    expected = reader.take(4)
    content = reader.take(length)
    if reader.left:
        raise CompressedError(f"{reader.left:,} bytes follow its end")
    if long_check(content) != expected:
        raise CompressedError("the file in it is damaged")
    return Stored(content)


def _read_head(reader: Reader, uncut: bool) -> tuple[Head, bytes]:
    flags = reader.byte()
    shape = (reader.number(), reader.number(), LAYOUTS[flags & 3])
    values = values_of(shape)
    if not 0 < values <= MOST_VALUES:
        raise CompressedError(
            f"it says that it has {values:,} values; from 1 to {MOST_VALUES:,} are possible"
        )
    deep = bool(flags & DEEP)
    depth = reader.byte() if deep else 8
    notes = reader.number() if flags & NOTED else 0
    if not 8 <= depth <= 16 or notes > MOST_NOTES:
        raise CompressedError("its header says what nobody writes: it is damaged")
    parts = len(Chunks(1, *shape[:2], whole=uncut))
    if (values > LONG_FROM and values > VALUES_A_BYTE * reader.left) or parts > reader.left:
        raise CompressedError(
            f"it says that it has {values:,} values, in {reader.left:,} bytes: it is damaged"
        )
    lengths = tuple(reader.number() for _ in range(parts))
    head = Head(shape, depth, deep, flags >> 4, notes, lengths)
    identity = reader.take(4 if head.long else 1)
    whole = reader.so_far()
    if reader.take(4 if head.long else 1) != (
        long_check(whole) if head.long else bytes([crc8(whole)])
    ):
        raise CompressedError("its header is damaged")
    return head, identity
