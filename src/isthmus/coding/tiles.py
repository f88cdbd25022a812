"""How images are cut for coding: what is coded side by side, in how many chunks.

A file holds only the size of an image, so this is part of the format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

WHOLE = 1 << 16
"""Pixels up to which an image is not cut, unless it is very wide or high."""
ROWS, COLUMNS = 256, 1024
"""Of a tile of a larger one, at most."""
IN_A_CHUNK = 1 << 20
"""Pixels that are coded side by side."""


class Tile(NamedTuple):
    """A part of an image."""

    image: int
    top: int
    left: int
    rows: int
    columns: int

    @property
    def place(self) -> tuple[int, slice, slice]:
        """Where it is in an array of images."""
        rows = slice(self.top, self.top + self.rows)
        return self.image, rows, slice(self.left, self.left + self.columns)


def chunks(count: int, height: int, width: int) -> Iterator[list[Tile]]:
    """The tiles of images of one size; those of a chunk are of one size too.

    Parameters
    ----------
    count, height, width : int
        At least 1.
    """
    if height * width <= WHOLE and max(height, width) <= COLUMNS:
        at_once = max(1, IN_A_CHUNK // (height * width))
        for first in range(0, count, at_once):
            there = range(first, min(count, first + at_once))
            yield [Tile(i, 0, 0, height, width) for i in there]
        return
    for image in range(count):
        yield from _cut(image, height, width)


def wholes(count: int, height: int, width: int) -> Iterator[list[Tile]]:
    """As ``chunks``, but larger images stay whole: what has a border loses something there."""
    if height * width <= WHOLE and max(height, width) <= COLUMNS:
        yield from chunks(count, height, width)
        return
    for image in range(count):
        yield [Tile(image, 0, 0, height, width)]


def _cut(image: int, height: int, width: int) -> Iterator[list[Tile]]:
    """One larger image: tiles of each size together."""
    rows, columns = min(height, ROWS), -(-width // -(-width // COLUMNS))
    for tall in _sizes(height, rows):
        for wide in _sizes(width, columns):
            tiles = [
                Tile(image, top, left, tall, wide)
                for top in range(0 if tall == rows else height - tall, height - tall + 1, rows)
                for left in range(0 if wide == columns else width - wide, width - wide + 1, columns)
            ]
            most = max(1, IN_A_CHUNK // (tall * wide))
            for first in range(0, len(tiles), most):
                yield tiles[first : first + most]


def _sizes(whole: int, part: int) -> list[int]:
    """The part, and what remains."""
    return [part] + [whole % part] * (whole % part > 0)
