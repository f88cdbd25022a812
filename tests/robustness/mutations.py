"""Files that are damaged in every way that bytes can be, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable

Mutation = Callable[[random.Random, bytearray, bytes], None]
HEADER_BYTES = 64
TOKENS: tuple[bytes, ...] = (
    *(b'"', b",", b";", b"\t", b"\n", b"\r", b"\n\n", b"-", b" ", b"\xe9", b"\xef\xbb\xbf"),
    *(b"0", b"-1", b"1e9", b"1e400", b"nan", b"9" * 400, b"2026-13-40"),
    *(b"[", b"[[", b"}", b"null", b"true"),
)
EXTREMES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\x7f", b"\xff" * 8, b"\0" * 8)


def mutated(content: bytes, other: bytes, seed: int) -> bytes:
    """A file with one to four injuries.

    Parameters
    ----------
    content : bytes
    other : bytes
        Another file of the same kind, to take pieces from.
    seed : int
    """
    draw = random.Random(seed)
    damaged = bytearray(content)
    stays_text = _is_text(content) and seed % 2
    for _ in range(draw.choice((1, 1, 2, 4))):
        if damaged:
            draw.choice(OF_TEXT if stays_text else MUTATIONS)(draw, damaged, other)
    return bytes(damaged)


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def _flip_bits(draw: random.Random, content: bytearray, other: bytes) -> None:
    for _ in range(draw.choice((1, 3, 20))):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def _change_bytes(draw: random.Random, content: bytearray, other: bytes) -> None:
    for _ in range(draw.choice((1, 3, 20))):
        content[draw.randrange(len(content))] = draw.randrange(256)


def _cut_short(draw: random.Random, content: bytearray, other: bytes) -> None:
    del content[draw.randrange(len(content)) :]


def _cut_out(draw: random.Random, content: bytearray, other: bytes) -> None:
    first, last = _span(draw, len(content))
    del content[first:last]


def _repeat_a_block(draw: random.Random, content: bytearray, other: bytes) -> None:
    first, last = _span(draw, len(content))
    content[last:last] = content[first:last] * draw.choice((1, 2, 30))


def _splice(draw: random.Random, content: bytearray, other: bytes) -> None:
    first, last = _span(draw, len(content))
    start, end = _span(draw, len(other))
    content[first:last] = other[start:end]


def _change_the_header(draw: random.Random, content: bytearray, other: bytes) -> None:
    at = draw.randrange(min(len(content), HEADER_BYTES))
    value = draw.choice(EXTREMES)
    content[at : at + len(value)] = value


def _change_the_end(draw: random.Random, content: bytearray, other: bytes) -> None:
    at = max(0, len(content) - 1 - draw.randrange(HEADER_BYTES))
    value = draw.choice(EXTREMES)
    content[at : at + len(value)] = value


def _set_an_extreme(draw: random.Random, content: bytearray, other: bytes) -> None:
    at = draw.randrange(len(content))
    value = draw.choice(EXTREMES)
    content[at : at + len(value)] = value


def _change_words(draw: random.Random, content: bytearray, other: bytes) -> None:
    for _ in range(draw.choice((1, 1, 3))):
        at = draw.randrange(len(content) + 1)
        content[at : at + draw.choice((0, 1, 1, 5))] = draw.choice(TOKENS)


def _span(draw: random.Random, length: int) -> tuple[int, int]:
    first = draw.randrange(length)
    return first, min(length, first + draw.choice((1, 8, 64, 512)))


MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits,
    _change_bytes,
    _cut_short,
    _cut_out,
    _repeat_a_block,
    _splice,
    _change_the_header,
    _change_the_end,
    _set_an_extreme,
)
OF_TEXT: tuple[Mutation, ...] = (
    _change_words,
    _change_words,
    _cut_short,
    _cut_out,
    _repeat_a_block,
    _splice,
)
