"""Calls on arrays that stay, recorded once and run through at every step.

The launch of an operation costs as much as its arithmetic in small networks. So nothing is
allocated, dispatched or differentiated at a step. All arrays may have a first axis over models:
each of them then gets the bits that it would get alone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
Call = Callable[[], object]

LINE = 16
"""Values in 64 bytes."""
SMALL, LARGE = 1 << 15, 1 << 19
"""Multiplications in a product. Between the two, PyTorch's products of many pairs share them among
threads, and give the bits of its single product; below and beyond they do not, and NumPy's are
faster. A single model with several threads leaves the large ones to PyTorch too: the threads of
two libraries would wait for each other."""


class Tape:
    """What is done with so many rows of so many models, in order.

    Parameters
    ----------
    lead : tuple of int
        ``()`` for one model, ``(n_models,)`` for many.
    rows : int
    dtype : dtype
    helper : Executor, optional
        Takes half of the models in a large product.
    by_row : bool
        The parameters don't change, and totals are those of each row. Rows then begin at
        multiples of 64 bytes, and all products are PyTorch's, so that what is found for a row
        does not depend on its place.
    """

    def __init__(
        self,
        lead: tuple[int, ...],
        rows: int,
        dtype: np.dtype[Any],
        helper: Executor | None = None,
        by_row: bool = False,
    ) -> None:
        self.lead, self.rows, self.number, self.helper = lead, rows, dtype.type, helper
        self.by_row = by_row
        self.calls: list[Call] = []

    def run(self, first: int = 0, end: int | None = None) -> None:
        """What was recorded, all of it or some."""
        for call in self.calls[first:end]:
            call()

    def room(self, columns: int, rows: int | None = None) -> Array:
        """(..., rows, columns) zeros, at the start."""
        aligned = columns + -columns % LINE if self.by_row else columns
        room = np.zeros((*self.lead, self.rows if rows is None else rows, aligned), self.number)
        return room[..., :columns]

    def room_with_ones(self, columns: int) -> Array:
        """(..., rows, columns + 1), the last column ones, for the biases."""
        room = self.room(columns + 1)
        room[..., -1] = 1
        return room

    def do(self, operation: Callable[..., Any], *operands: Any, out: Array) -> Array:
        """Record an operation of NumPy's; returns where it writes to."""
        self.calls.append(partial(operation, *operands, out=out))
        return out

    def product(self, left: Array, right: Array, out: Array) -> Array:
        """Record the matrix product of (..., rows, k) and (..., k, columns)."""
        if self.by_row:
            self.torch(torch.mm, left, _whole_lines(right), out=_with_its_line(out))
            return out
        size = left.shape[-2] * left.shape[-1] * right.shape[-1]
        threaded = not self.lead and torch.get_num_threads() > 1
        if size >= SMALL and (size < LARGE or threaded):
            return self.torch(torch.bmm if self.lead else torch.mm, left, right, out=out)
        if self.lead and self.helper is not None and size >= LARGE:
            half = self.lead[0] // 2
            self.calls.append(partial(_shared, self.helper, half, left, right, out))
            return out
        return self.do(np.matmul, left, right, out=out)

    def torch(self, operation: Callable[..., Any], *operands: Any, out: Array) -> Array:
        """Record an operation of PyTorch's; returns where it writes to."""
        given = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in operands]
        self.calls.append(partial(operation, *given, out=torch.from_numpy(out)))
        return out

    def copy(self, to: Array, source: Array) -> Array:
        """Record a copy, or a broadcast, or a change of type."""
        self.calls.append(partial(np.copyto, to, source))
        return to

    def total(self, values: Array, out: Array) -> Array:
        """Record the sum over rows and columns, to (..., 1, 1), or by row, to (..., rows, 1).

        The former as a product, which takes the values of each model in the same order as those
        of one.
        """
        if self.by_row:
            self.calls.append(partial(np.add.reduce, values, axis=-1, keepdims=True, out=out))
            return out
        n = values.shape[-1] * values.shape[-2]
        ones = np.ones((1, n), self.number)
        return self.do(np.matmul, ones, values.reshape(*self.lead, n, 1), out=out)

    def total_by_column(self, values: Array) -> Array:
        """Record the sum over rows, to (..., 1, columns); of each row they are what they are."""
        if self.by_row:
            return values
        ones = np.ones((1, values.shape[-2]), self.number)
        return self.do(np.matmul, ones, values, out=self.room(values.shape[-1], rows=1))


def _whole_lines(matrix: Array) -> Array:
    """A copy with columns of zeros up to a whole line: products are a third faster."""
    columns = matrix.shape[1]
    return np.pad(matrix, ((0, 0), (0, -columns % LINE)))


def _with_its_line(room: Array) -> Array:
    """A room with what fills its last line."""
    assert isinstance(room.base, np.ndarray)
    return room.base


def _shared(helper: Executor, half: int, left: Array, right: Array, out: Array) -> None:
    others = helper.submit(np.matmul, left[half:], right[half:], out=out[half:])
    np.matmul(left[:half], right[:half], out=out[:half])
    others.result()


def turned(a: Array) -> Array:
    """(..., m, n) to (..., n, m)."""
    return np.swapaxes(a, -1, -2)
