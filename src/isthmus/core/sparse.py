"""Rows that are mostly zeros, kept without the zeros."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeGuard

import torch
from torch import Tensor

BLOCK_VALUES = 1 << 22
"""Products that are held at a time, so that memory stays far below that of the dense rows."""


class SparseRows:
    """(n, p) float32 in compressed rows (CSR), with what is used of a tensor.

    A slice and ``index_select`` give dense tensors of the rows asked for: a batch. The whole is
    never dense.

    Parameters
    ----------
    crow : Tensor of shape (n + 1,), int64
        Where each row begins among the values.
    col : Tensor of shape (nnz,), int64
        The column of each value.
    values : Tensor of shape (nnz,), float32
    n_columns : int
    """

    ndim = 2
    dtype = torch.float32

    def __init__(self, crow: Tensor, col: Tensor, values: Tensor, n_columns: int) -> None:
        self.crow, self.col, self.values = crow, col, values
        self.shape = torch.Size((len(crow) - 1, n_columns))

    @property
    def device(self) -> torch.device:
        """Where its values are."""
        return self.values.device

    @property
    def is_cuda(self) -> bool:
        """Whether they are on a GPU of CUDA's."""
        return self.values.is_cuda

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Tensor:
        first, last, step = rows.indices(len(self))
        if step != 1:
            return self.index_select(0, torch.arange(first, last, step, device=self.device))
        last = max(first, last)
        begin, end = int(self.crow[first]), int(self.crow[last])
        lengths = self.crow[first + 1 : last + 1] - self.crow[first:last]
        row = torch.repeat_interleave(lengths, output_size=end - begin)
        return self._dense(last - first, row, self.col[begin:end], self.values[begin:end])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """(b, p) dense, the rows with these numbers."""
        assert dim == 0
        row, place = self._places(index)
        return self._dense(len(index), row, self.col[place], self.values[place])

    def rows(self, index: Tensor) -> SparseRows:
        """The rows with these numbers, still sparse."""
        row, place = self._places(index)
        lengths = torch.bincount(row, minlength=len(index))
        crow = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        return SparseRows(crow, self.col[place], self.values[place], self.shape[1])

    def to(self, device: torch.device | str) -> SparseRows:
        """The same rows on another device."""
        crow, col, values = (part.to(device) for part in (self.crow, self.col, self.values))
        return SparseRows(crow, col, values, self.shape[1])

    def tobytes(self) -> bytes:
        """All of it, for hashing."""
        parts = (self.crow, self.col, self.values)
        return repr(tuple(self.shape)).encode() + b"".join(
            part.cpu().numpy().tobytes() for part in parts
        )

    def flatten(self, start_dim: int) -> SparseRows:
        """Itself: its rows have one axis only."""
        assert start_dim == 1
        return self

    def log1p(self) -> SparseRows:
        """The logarithm of 1 + x, which leaves zeros zeros."""
        return SparseRows(self.crow, self.col, self.values.log1p(), self.shape[1])

    def keys(self) -> list[bytes]:
        """The bytes of each row, by which equal ones are found."""
        bounds, col, values = self.crow.tolist(), self.col.numpy(), self.values.numpy()
        return [
            col[first:last].tobytes() + values[first:last].tobytes()
            for first, last in pairwise(bounds)
        ]

    def square(self) -> SparseRows:
        """Each value squared."""
        return SparseRows(self.crow, self.col, self.values.square(), self.shape[1])

    def mean(self, weight: Tensor | None = None) -> Tensor:
        """(p,) the mean of each column, zeros included; ``weight`` is (n,)."""
        if weight is None:
            weight = torch.ones(len(self), dtype=torch.float64, device=self.device)
        total = self.t_matmul(weight.double().unsqueeze(1)).squeeze(1) / weight.double().sum()
        return total.to(self.dtype)

    def matmul(self, dense: Tensor) -> Tensor:
        """(n, p) times (p, k): (n, k), in the precision of ``dense``."""
        out = dense.new_zeros(len(self), dense.shape[1])
        for row, part in self._parts(dense.shape[1]):
            out.index_add_(0, row, self._products(dense[self.col[part]], part))
        return out

    def t_matmul(self, dense: Tensor) -> Tensor:
        """(p, n) times (n, k): (p, k), in the precision of ``dense``."""
        out = dense.new_zeros(self.shape[1], dense.shape[1])
        for row, part in self._parts(dense.shape[1]):
            out.index_add_(0, self.col[part], self._products(dense[row], part))
        return out

    def _products(self, dense: Tensor, part: slice) -> Tensor:
        return dense * self.values[part].to(dense.dtype).unsqueeze(1)

    def _parts(self, k: int) -> Any:
        """Row numbers of some of the values at a time, and where those values are."""
        row = torch.repeat_interleave(self.crow.diff(), output_size=len(self.values))
        step = max(1, BLOCK_VALUES // max(1, k))
        for first in range(0, len(row), step):
            yield row[first : first + step], slice(first, first + step)

    def _places(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Of the values of these rows: the position of their row in ``index``, and their own."""
        index = index.to(self.device)
        begin = self.crow[index]
        lengths = self.crow[index + 1] - begin
        row = torch.repeat_interleave(lengths)
        before = lengths.cumsum(0) - lengths
        steps = torch.arange(len(row), device=self.device)
        return row, begin[row] + steps - before[row]

    def _dense(self, n: int, row: Tensor, col: Tensor, values: Tensor) -> Tensor:
        out = torch.zeros(n, self.shape[1], dtype=self.dtype, device=self.device)
        # Cells that are stored twice count as their sum, as in SciPy.
        return out.index_put_((row, col), values, accumulate=True)


def is_sparse(x: Any) -> TypeGuard[SparseRows]:
    """Whether these are rows kept without their zeros."""
    return isinstance(x, SparseRows)
