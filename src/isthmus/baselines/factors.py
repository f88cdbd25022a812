"""A Gaussian of wide rows, by a few factors: a full covariance would take too long to invert."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from isthmus.baselines.gaussian import MOST_ROWS, SHRINKAGES, SMALLEST
from isthmus.core.linear import principal_components

FACTORS, STEPS = 32, 5
BLOCK = 64
LEAST_NOISE = 1e-3
"""Of the variance of a place: what factors leave over of it at least."""


class FactorGaussian:
    """What is expected of missing values, given those that are there, by factors that rows share.

    The covariance is that of 32 factors and of noise in each place (Tipping & Bishop 1999,
    https://doi.org/10.1111/1467-9868.00196), fitted by completing rows and finding their
    components in turns.

    Parameters
    ----------
    mean : Tensor of shape (p,)
    loadings : Tensor of shape (p, k)
    noise : Tensor of shape (p,)
        Variances, above 0.
    """

    def __init__(self, mean: Tensor, loadings: Tensor, noise: Tensor) -> None:
        # As they lie when they were saved and loaded.
        self.mean, self.loadings, self.noise = mean, loadings.contiguous(), noise
        k = loadings.shape[1]
        products = self.loadings[:, :, None] * self.loadings[:, None, :]
        self.products = products.reshape(-1, k * k)

    @classmethod
    def fit(cls, x: Tensor, there: Tensor) -> FactorGaussian:
        """Fit to rows (n, p), of which those values count that are ``there``, (n, p) of bool."""
        few = torch.arange(0, len(x), -(-len(x) // MOST_ROWS))
        x, there = x[few], there[few]
        mean = torch.where(there, x, 0.0).sum(0) / there.sum(0).clamp(min=1)
        filled = torch.where(there, x, mean)
        k = max(1, min(FACTORS, len(x) // 4, x.shape[1] - 1))
        made = cls(mean, torch.zeros(x.shape[1], k), torch.ones(x.shape[1]))
        for _ in range(STEPS):
            found = principal_components(filled, k)
            variance = filled.var(0, correction=0) + SMALLEST
            spread = (found.total_variance - found.variance.sum()).clamp(min=0) / x.shape[1]
            loadings = (found.axes * (found.variance - spread).clamp(min=0).sqrt()[:, None]).T
            noise = variance - loadings.square().sum(1)
            made = cls(found.mean, loadings, noise.maximum(LEAST_NOISE * variance))
            filled = made.complete(x, there)
        return made

    def shrunk_to(self, loss: Callable[[FactorGaussian], float]) -> FactorGaussian:
        """With as much more noise as suits best, by the loss that a function finds."""
        variance = self.noise + self.loadings.square().sum(1)
        tried = [
            FactorGaussian(self.mean, self.loadings, self.noise + by * variance)
            for by in SHRINKAGES
        ]
        return min(tried, key=loss)

    def complete(self, x: Tensor, there: Tensor) -> Tensor:
        """(n, p) rows with what is expected where values are not ``there``."""
        return self._by_blocks(x, there)[0]

    def expect(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """As ``ConditionalGaussian.expect``."""
        return self._by_blocks(x, there)

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return {"mean": self.mean, "loadings": self.loadings, "noise": self.noise}

    def _by_blocks(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        filled, variance = torch.empty_like(x), torch.empty_like(x)
        k = self.loadings.shape[1]
        for first in range(0, len(x), BLOCK):
            n = min(BLOCK, len(x) - first)
            part, seen = x.new_zeros(BLOCK, x.shape[1]), there.new_zeros(BLOCK, x.shape[1])
            part[:n], seen[:n] = x[first : first + n], there[first : first + n]
            weight = torch.where(seen, 1 / self.noise, 0.0)
            told = (weight @ self.products).view(BLOCK, k, k)
            told.diagonal(dim1=1, dim2=2).add_(1.0)
            factor = torch.linalg.cholesky_ex(told)[0]
            pull = (weight * torch.where(seen, part - self.mean, 0.0)) @ self.loadings
            z = torch.cholesky_solve(pull[:, :, None], factor)[:, :, 0]
            unsure = torch.cholesky_inverse(factor).reshape(BLOCK, k * k) @ self.products.T
            expected = torch.where(seen, part, self.mean + z @ self.loadings.T)
            filled[first : first + n] = expected[:n]
            variance[first : first + n] = torch.where(seen, 0.0, unsure + self.noise)[:n]
        return filled, variance
