"""The order in which the pixels of planes are coded, many at a time.

A pixel needs its neighbours to the left and above, so the next row can follow when this one is a
few pixels ahead. All pixels at column ``step - slope * row`` are coded at once. A plane is kept
sheared, one line for each step: what stands there together lies together in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Sheared:
    """Planes of one size, side by side, as a line for each step.

    What lies beyond the sides takes the value of the nearest pixel that is known by then: on the
    left that above the row's first, on the right the row's last, below the last row. Above it is 0.

    Parameters
    ----------
    count, height, width : int
        How many planes, and their size.
    margins : tuple of int
        Pixels needed above, below, left and right.
    slope : int
    """

    def __init__(
        self, count: int, height: int, width: int, margins: tuple[int, int, int, int], slope: int
    ) -> None:
        self.count, self.height, self.width, self.slope = count, height, width, slope
        self.above, self.under, self.left, self.right = margins
        self.rows = self.above + height + self.under
        self.first = self.left + slope * self.above
        self.steps = width + slope * (height - 1)
        lines = self.first + self.steps + self.right + slope * self.under
        self._known: dict[int, tuple[Array, Any]] = {}
        self.lines = np.zeros((lines, self.rows, count), np.float32)

    def row(self, i: int, start: int, stop: int) -> Array:
        """The pixels of a row between two columns, which may lie beyond it: (columns, count)."""
        at = self.first + self.slope * i
        return self.lines[at + start : at + stop, self.above + i]

    def fill(self, planes: Array) -> None:
        """Take planes that are known, of shape (count, height, width)."""
        for i in range(self.height):
            self.row(i, 0, self.width)[:] = planes[:, i].T
            self._beyond(i)
        self._below()

    def put(self, step: int, low: int, high: int, values: Array) -> None:
        """Take the pixels of one step, of rows ``low`` to ``high``: shape (high - low, count)."""
        self.lines[self.first + step, self.above + low : self.above + high] = values
        if step % self.slope == 0 and step // self.slope < self.height:
            self._left_of(step // self.slope + 1)
        row, rest = divmod(step - self.width + 1, self.slope)
        if rest == 0 and 0 <= row < self.height:
            self._right_of(row)
            if row == self.height - 1:
                self._below()

    def _beyond(self, i: int) -> None:
        self._left_of(i + 1)
        self._right_of(i)

    def _left_of(self, i: int) -> None:
        if self.left and i < self.height:
            self.row(i, -self.left, 0)[:] = self.row(i - 1, 0, 1)

    def _right_of(self, i: int) -> None:
        if self.right:
            self.row(i, self.width, self.width + self.right)[:] = self.row(
                i, self.width - 1, self.width
            )

    def _below(self) -> None:
        last = self.row(self.height - 1, -self.left, self.width + self.right)
        for i in range(self.height, self.height + self.under):
            self.row(i, -self.left, self.width + self.right)[:] = last

    def planes(self) -> Array:
        """The planes themselves, of shape (count, height, width)."""
        found = np.empty((self.count, self.height, self.width), np.float32)
        for i in range(self.height):
            found[:, i] = self.row(i, 0, self.width).T
        return found

    def at(self, step: int, steps: int, low: int, high: int) -> Array:
        """The values at the places of some steps and rows, one after the other, as integers."""
        there = slice(self.first + step, self.first + step + steps)
        rows = slice(self.above + low, self.above + high)
        return self.lines[there, rows].ravel().astype(np.int32)

    def neighbours(
        self, offsets: Sequence[tuple[int, int]], step: int, steps: int, low: int, high: int
    ) -> Array:
        """The pixels around those of some steps: shape (offsets, steps * (high - low) * count)."""
        line, size = self.rows * self.count, self.lines.itemsize
        n = (high - low) * self.count
        starts = self._away(offsets) + (
            (self.first + step) * line + (self.above + low) * self.count
        )
        windows: Array = np.ndarray(
            (self.lines.size - (steps - 1) * line - n + 1, steps, n),
            np.float32,
            self.lines,
            strides=(size, size * line, size),
        )
        found: Array = windows[starts].reshape(len(offsets), -1)
        return found

    def _away(self, offsets: Sequence[tuple[int, int]]) -> Array:
        """How far neighbours lie from a pixel in memory."""
        key = id(offsets)
        if key not in self._known:
            line = self.rows * self.count
            away = [(dx + self.slope * dy) * line + dy * self.count for dy, dx in offsets]
            self._known[key] = np.array(away), offsets
        return self._known[key][0]


def rows_at(step: int, height: int, width: int, slope: int) -> tuple[int, int]:
    """The rows that have a pixel at a step: the first, and the one after the last."""
    low = max(0, -((width - 1 - step) // slope))
    return low, min(height, step // slope + 1)


def places_of(step: int, steps: int, low: int, high: int, slope: int) -> tuple[Array, Array]:
    """Row and column of all places of some steps and rows; some lie beyond the plane."""
    rows = np.broadcast_to(np.arange(low, high)[None], (steps, high - low))
    columns = np.arange(step, step + steps)[:, None] - slope * rows
    return rows, columns
