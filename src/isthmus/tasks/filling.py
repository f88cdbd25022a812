"""What a fitted imputer says of gaps: values, bounds, likely levels, draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.types import Batch
from isthmus.data.tables import Table
from isthmus.tasks.imputer_fit import Cells
from isthmus.tasks.scatter import Doubt, Scatter, drawn_levels, probabilities_of
from isthmus.tasks.stacking import Stack, Ways

Array = NDArray[Any]
Mask = NDArray[np.bool_]
ROWS_AT_ONCE = 4096
ROUNDING = 1e-6
"""How far beyond a bound a whole number may lie."""
TURNS = 3
"""In which the gaps of a row are drawn: those of each turn know what was drawn before."""


class Asked(NamedTuple):
    """Rows, and which of their cells are to be filled."""

    X: Any
    """As the user passed them."""
    batch: Batch
    there: Tensor
    """(n, places) which cells are seen."""
    gaps: Mask
    """(n, places) which are to be filled."""

    def parts(self) -> Iterator[Tensor]:
        """The numbers of rows with gaps, some at a time."""
        gappy = torch.from_numpy(np.flatnonzero(self.gaps.any(1)))
        for first in range(0, len(gappy), ROWS_AT_ONCE):
            yield gappy[first : first + ROWS_AT_ONCE]


class Filler:
    """Fills the gaps of rows.

    Parameters
    ----------
    kind : Table
    stack : Stack
    cells : list of Scatter, Doubt or None
        One for each column that has a place.
    """

    def __init__(self, kind: Table, stack: Stack, cells: list[Cells]) -> None:
        self.kind, self.stack, self.cells = kind, stack, cells
        self.places = stack.places
        ends = [(end - kind.offset) / kind.scale for end in (kind.spread.low, kind.spread.high)]
        number = self.places.is_number
        self.low = torch.from_numpy(np.where(number, ends[0], -np.inf)).float()
        self.high = torch.from_numpy(np.where(number, ends[1], np.inf)).float()

    def values(self, asked: Asked) -> Tensor:
        """(n, places) rows with what is expected where they are not seen."""
        values = asked.batch.x.clone()
        for rows in asked.parts():
            self._fill(values, rows, self._ways(asked, rows), asked.there[rows])
        return values

    def expected(self, ways: Ways) -> Tensor:
        """(n, places) what is expected of all cells, numbers within the range fitted on."""
        return self.within(self.places.back(self.stack.mixed(ways)))

    def within(self, values: Tensor) -> Tensor:
        """Numbers held at the least and the largest of those fitted on."""
        return values.clamp(self.low, self.high)

    def bounds(self, asked: Asked, coverage: float) -> tuple[Tensor, Tensor, dict[int, Mask]]:
        """(n, places) the lower and the upper bounds of numbers, categories as they are filled; and
        by column (n, levels) which levels are likely.
        """
        low, high = asked.batch.x.clone(), asked.batch.x.clone()
        likely: dict[int, Mask] = {}
        for rows in asked.parts():
            ways, there = self._ways(asked, rows), asked.there[rows]
            self._fill(low, rows, ways, there)
            high[rows] = low[rows]
            for j, scatter, expected, scale in self._numbers(ways):
                least, most = scatter.bounds(scale, coverage)
                least, most = expected + scale * least, expected + scale * most
                if self.kind.spread.whole[j]:
                    least, most = self._whole_within(j, least, most, expected)
                low[rows, j] = torch.from_numpy(least).float()
                high[rows, j] = torch.from_numpy(most).float()
            low[rows], high[rows] = self.within(low[rows]), self.within(high[rows])
            for j, doubt, probabilities in self._categories(ways):
                found = likely.setdefault(j, np.zeros((len(low), probabilities.shape[1]), bool))
                found[rows.numpy()] = doubt.likely(probabilities, coverage)
        return low, high, likely

    def drawn(self, asked: Asked, seed: list[int]) -> Tensor:
        """(n, places) rows with every gap drawn, in turns, so that they go together."""
        draws = np.random.default_rng(seed)
        values = asked.batch.x.clone()
        turn = torch.from_numpy(draws.integers(TURNS, size=asked.gaps.shape))
        gaps = torch.from_numpy(asked.gaps)
        for rows in asked.parts():
            there = asked.there[rows].clone()
            for now in range(TURNS):
                new = gaps[rows] & (turn[rows] == now)
                some = new.any(1)
                if not bool(some.any()):
                    continue
                part = rows[some]
                # One member for each turn: how far they differ is a part of how unsure they are.
                one = int(draws.integers(len(self.stack.members)))
                ways = self.stack.ways(self.places.of(values[part]), there[some], by=one)
                values[part] = torch.where(
                    new[some], self._draw(values[part], ways, draws), values[part]
                )
                there |= new
        return values

    def _ways(self, asked: Asked, rows: Tensor) -> Ways:
        return self.stack.ways(self.places.of(asked.batch.x[rows]), asked.there[rows])

    def _fill(self, values: Tensor, rows: Tensor, ways: Ways, there: Tensor) -> None:
        values[rows] = torch.where(there, values[rows], self.expected(ways))

    def _draw(self, values: Tensor, ways: Ways, draws: np.random.Generator) -> Tensor:
        drawn = values.clone()
        for j, scatter, expected, scale in self._numbers(ways):
            found = scatter.draw(expected, scale, draws)
            if self.kind.spread.whole[j]:
                found = self._in_x(j, np.rint(self._in_units(j, found)))
            drawn[:, j] = torch.from_numpy(found).float()
        for j, _, probabilities in self._categories(ways):
            drawn[:, j] = torch.from_numpy(drawn_levels(probabilities, draws)).float()
        return self.within(drawn)

    def _numbers(self, ways: Ways) -> Iterator[tuple[int, Scatter, Array, Array]]:
        """Of each number: its column, what is expected, and the scale of its errors."""
        mixed = self.stack.mixed(ways)
        for j, cells in enumerate(self.cells):
            if isinstance(cells, Scatter):
                at = int(self.places.of_column(j)[0])
                variances, between = ways.scatter[:, :, at], ways.between[:, at]
                scale = cells.scale(variances.double().numpy(), between.double().numpy())
                yield j, cells, mixed[:, at].double().numpy(), scale

    def _categories(self, ways: Ways) -> Iterator[tuple[int, Doubt, Array]]:
        """Of each category: its column, and the probabilities of its levels."""
        mixed = self.stack.mixed(ways)
        for j, cells in enumerate(self.cells):
            if isinstance(cells, Doubt):
                at = self.places.of_column(j)
                yield j, cells, probabilities_of(mixed[:, at].double().numpy())

    def _whole_within(
        self, j: int, low: Array, high: Array, expected: Array
    ) -> tuple[Array, Array]:
        """The whole numbers within bounds, of a column that holds no others: at least the one that
        is nearest to what is expected.
        """
        low, high, expected = (self._in_units(j, values) for values in (low, high, expected))
        near = np.rint(expected)
        low, high = np.ceil(low - ROUNDING), np.floor(high + ROUNDING)
        return self._in_x(j, np.minimum(low, near)), self._in_x(j, np.maximum(high, near))

    def _in_units(self, j: int, x: Array) -> Array:
        """(n,) of a column as the user has them."""
        found: Array = x * self.kind.scale[j] + self.kind.offset[j]
        return found

    def _in_x(self, j: int, values: Array) -> Array:
        """Back from ``_in_units``."""
        found: Array = (values - self.kind.offset[j]) / self.kind.scale[j]
        return found
