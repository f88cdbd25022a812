"""Priors: what is believed of z, to score and to sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.parts.contracts import PRIORS, Prior, Shape

LOG_2PI = math.log(2 * math.pi)


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
