"""Priors: what is believed of z, to score and to sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.core.ranges import share
from isthmus.parts.contracts import PRIORS, Prior, Shape

LOG_2PI = math.log(2 * math.pi)
UNSEEN = 0.5
"""Times that every symbol is taken to have been seen before any was."""


@PRIORS.register("normal")
class Normal(Prior):
    """The standard normal, independent in every dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square() + LOG_2PI).flatten(1).sum(1)

    def expected_log_prob(self, z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        variance = (2 * log_scale).exp()
        return -0.5 * (mean.square() + variance + LOG_2PI).flatten(1).sum(1)

    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        anchor = self.get_buffer("anchor")
        return torch.randn(n, self.dim, *grid, device=anchor.device, dtype=anchor.dtype)


@PRIORS.register("frequencies")
class Frequencies(Prior):
    """How often each symbol occurs, counted while training, alike at all positions of a grid.

    It scores and samples symbols, whole numbers from 0 on: the prior of codes that are made
    of them. Every symbol counts half a time more than it was seen, so that none is impossible
    (Krichevsky & Trofimov 1981, https://doi.org/10.1109/TIT.1981.1056331).

    Parameters
    ----------
    decay : float
        How much of the counts is kept in a step of training, 0 to 1.
    """

    counts: Tensor

    def __init__(self, dim: int, n_symbols: int = 0, decay: float = 0.99) -> None:
        super().__init__()
        if not n_symbols:
            raise ValueError(
                "it counts symbols, which this code has none of. Take prior='normal', or "
                "code='vector' or 'scalar'."
            )
        self.dim, self.size, self.decay = dim, n_symbols, share(decay, "decay")
        self.register_buffer("counts", torch.zeros(dim, n_symbols))

    def log_probs(self) -> Tensor:
        """(dim, size) nats of each symbol."""
        smooth = self.counts + UNSEEN
        return (smooth / smooth.sum(1, keepdim=True)).log()

    def log_prob(self, z: Tensor) -> Tensor:
        """(B, dim, *grid) int64 symbols to (B,) nats."""
        return self.log_probs().flatten()[self._places(z)].flatten(1).sum(1)

    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        until = self.log_probs().exp().cumsum(1)
        u = torch.rand(self.dim, n * math.prod(grid), device=until.device, dtype=until.dtype)
        drawn = torch.searchsorted(until, u * until[:, -1:], right=True).clamp(max=self.size - 1)
        return drawn.view(self.dim, n, *grid).transpose(0, 1)

    @torch.no_grad()
    def start(self, latents: Tensor, weight: Tensor | None = None) -> None:
        self.counts.copy_(self._count(latents, weight))

    @torch.no_grad()
    def learn(self, z: Tensor, weight: Tensor | None = None) -> None:
        self.counts.copy_(self.decay * self.counts + self._count(z, weight))

    def _places(self, symbols: Tensor) -> Tensor:
        """(B, dim, positions) of symbols among the flattened counts."""
        first = self.size * torch.arange(self.dim, device=symbols.device)
        return symbols.reshape(*symbols.shape[:2], -1) + first.unsqueeze(-1)

    def _count(self, symbols: Tensor, weight: Tensor | None) -> Tensor:
        """(dim, size) how often each symbol occurs, by the weight of rows."""
        where = self._places(symbols)
        times = self.counts.new_ones(where.shape)
        if weight is not None:
            times = times * weight.view(-1, 1, 1)
        none = torch.zeros_like(self.counts).flatten()
        return none.index_add(0, where.flatten(), times.flatten()).view_as(self.counts)
