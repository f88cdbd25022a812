"""How images are cut for coding: what is coded side by side, in how many chunks.

A file holds only the size of an image, so this is part of the format. How many chunks there are is
reckoned, and a chunk is made when it is asked for: sizes that a file made up cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

WHOLE = 1 << 16
"""Pixels up to which an image is not cut, unless it is very wide or high."""
ROWS, COLUMNS = 256, 1024
"""Of a tile of a larger one, at most."""
IN_A_CHUNK = 1 << 20
"""Pixels that are coded side by side."""


@dataclass(frozen=True)
class Chunk:
    """Tiles of one size: whole images one after the other, or parts of one image.

    Parameters
    ----------
    first, count : int
        The images.
    rows, columns : int
        Of a tile.
    corners : list of tuple of int
        Top and left of the tiles of an image.
    """

    first: int
    count: int
    rows: int
    columns: int
    corners: list[tuple[int, int]]

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many tiles, and their size."""
        return self.count * len(self.corners), self.rows, self.columns

    def cut(self, images: Array) -> Array:
        """The tiles of images of shape (images, height, width, channels)."""
        return np.concatenate([images[place] for place in self._places()])

    def put(self, images: Array, tiles: Array) -> None:
        """Put the tiles back where they belong."""
        for k, place in enumerate(self._places()):
            images[place] = tiles[k * self.count : (k + 1) * self.count]

    def _places(self) -> Iterator[tuple[slice, slice, slice]]:
        images = slice(self.first, self.first + self.count)
        for top, left in self.corners:
            yield images, slice(top, top + self.rows), slice(left, left + self.columns)


class Grid(NamedTuple):
    """Tiles of one size in an image, row by row."""

    top: int
    left: int
    rows: int
    columns: int
    down: int
    across: int

    @property
    def most(self) -> int:
        """Tiles in a chunk."""
        return max(1, IN_A_CHUNK // (self.rows * self.columns))

    @property
    def chunks(self) -> int:
        """How many they make."""
        return -(-self.down * self.across // self.most)

    def chunk(self, image: int, at: int) -> Chunk:
        """One of them."""
        first = at * self.most
        tiles = range(first, min(first + self.most, self.down * self.across))
        corners = [
            (self.top + k // self.across * self.rows, self.left + k % self.across * self.columns)
            for k in tiles
        ]
        return Chunk(image, 1, self.rows, self.columns, corners)


class Chunks:
    """The chunks of images of one size, by their number.

    Parameters
    ----------
    count, height, width : int
        At least 1.
    whole : bool
        Whether larger images stay whole: what has a border loses something there.
    """

    def __init__(self, count: int, height: int, width: int, *, whole: bool = False) -> None:
        self._size = count, height, width
        self.at_once = 0
        """Images that share a chunk; 0 where each has chunks of its own."""
        self._grids: list[Grid] = []
        if height * width <= WHOLE and max(height, width) <= COLUMNS:
            self.at_once = max(1, IN_A_CHUNK // (height * width))
        else:
            uncut = [Grid(0, 0, height, width, 1, 1)]
            self._grids = uncut if whole else _grids(height, width)
        self.of_one = sum(grid.chunks for grid in self._grids)
        """Chunks of an image that has its own."""

    def __len__(self) -> int:
        count = self._size[0]
        return -(-count // self.at_once) if self.at_once else count * self.of_one

    def __iter__(self) -> Iterator[Chunk]:
        return (self[at] for at in range(len(self)))

    def __getitem__(self, at: int) -> Chunk:
        if not 0 <= at < len(self):
            raise IndexError(at)
        count, height, width = self._size
        if self.at_once:
            first = at * self.at_once
            return Chunk(first, min(self.at_once, count - first), height, width, [(0, 0)])
        image, at = divmod(at, self.of_one)
        for grid in self._grids:
            if at < grid.chunks:
                return grid.chunk(image, at)
            at -= grid.chunks
        raise AssertionError("unreachable")


def _grids(height: int, width: int) -> list[Grid]:
    """One larger image: the tiles of each size."""
    rows, columns = min(height, ROWS), -(-width // -(-width // COLUMNS))
    return [
        Grid(top, left, tall, wide, down, across)
        for top, tall, down in _sizes(height, rows)
        for left, wide, across in _sizes(width, columns)
    ]


def _sizes(whole: int, part: int) -> list[tuple[int, int, int]]:
    """Where the parts begin, their size and how many there are; then the same of what remains."""
    many, rest = divmod(whole, part)
    return [(0, part, many)] + [(many * part, rest, 1)] * (rest > 0)
