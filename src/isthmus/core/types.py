"""What the parts hand to each other. B rows; ``shape`` is one row of x; z has ``dim, *grid``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor

from isthmus.core.sparse import is_sparse


class Batch(NamedTuple):
    """Rows on their way through a model."""

    x: Tensor
    """(B, *shape), finite. Where a whole data set is meant it may be SparseRows, (n, p)."""
    weight: Tensor | None = None
    """(B,), (B, *shape) or the first axes of it: 0 where missing or padded, sample weights."""
    y: Tensor | None = None
    """(B,) labels, -1 where unknown."""
    given: Tensor | None = None
    """(B, n) conditions."""
    index: Tensor | None = None  # type: ignore[assignment]  # shadows tuple.index
    """(B,) row numbers, for penalties that know neighbours."""
    clean: Tensor | None = None
    """(B, *shape) what x should have been, where that is known."""
    unknown: Tensor | None = None
    """(B, *shape) true where a category has a level that was never seen: missing, to a model."""

    @property
    def whole(self) -> Batch:
        """The batch with ``clean`` in place of x, where there is one."""
        return self if self.clean is None else self._replace(x=self.clean)

    @property
    def row_weight(self) -> Tensor | None:
        """(B,) the weight of rows: that of the heaviest value, where values have their own."""
        if self.weight is None or self.weight.ndim == 1:
            return self.weight
        return self.weight.flatten(1).amax(1)

    def rows(self, index: Tensor) -> Batch:
        """The batch of the rows with these numbers, (b,)."""
        x = self.x.index_select(0, index)
        if all(part is None for part in self[1:]):
            return Batch(x)
        return Batch(x, *(None if part is None else part[index] for part in self[1:]))

    def kept(self, index: Tensor) -> Batch:
        """The rows with these numbers, kept as the batch is: sparse rows stay sparse."""
        if not is_sparse(self.x):
            return self.rows(index)
        parts = (None if part is None else part[index] for part in self[1:])
        return Batch(cast(Tensor, self.x.rows(index)), *parts)

    def repeated(self, times: int) -> Batch:
        """The batch so many times, one after the other."""
        parts = (None if p is None else p.repeat(times, *[1] * (p.ndim - 1)) for p in self)
        return Batch(*parts)  # type: ignore[arg-type]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        parts = (None if part is None else part.to(device) for part in self[1:])
        return Batch(self.x.to(device), *parts)


class Coded(NamedTuple):
    """What a code makes of the encoder's output."""

    z: Tensor
    """(B, dim, *grid): what the decoder reads."""
    mean: Tensor
    """(B, dim, *grid): the same without noise."""
    rate: Tensor
    """(B,) nats under the prior."""
    aux: Tensor
    """(B,) what only training needs, a commitment loss for example."""


class Step(NamedTuple):
    """All that one forward pass knows."""

    target: Batch
    seen: Batch
    code: Coded
    params: Tensor
    """(B, *params) what the decoder said, as the likelihood reads it."""
    costs: Tensor
    """(B, *shape) nats, already weighed."""
    pull: Callable[[Tensor], tuple[Tensor, ...]] | None = None
    """What (B, dim, *grid), times the derivative of the mean of the code by what the network
    sees of x, gives: (B, *inputs). Only where it is asked for."""

    @property
    def nll(self) -> Tensor:
        """(B,) nats: the costs of a row, summed."""
        return self.costs.flatten(1).sum(1)


class Loss(NamedTuple):
    """The loss of one batch."""

    total: Tensor
    """() nats per value, what is minimised."""
    parts: dict[str, Tensor]
    """Its terms by name, () each, detached."""
