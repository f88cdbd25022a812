"""A Gaussian of whole rows, the plain method for what is missing of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 64
"""Rows that are completed together, the last ones padded: no row depends on its company."""
STEPS, FEW_STEPS, MANY_PLACES = 10, 6, 48
"""Of expectation maximisation; fewer where rows are long."""
MOST_ROWS = 2048
RIDGE, SMALLEST = 1e-3, 1e-6
"""Added to variances, as a share of them and of one unit."""
SHRINKAGES = (0.0, 0.01, 0.05, 0.15, 0.4)


class ConditionalGaussian:
    """What is expected of missing values, given those of the row that are there.

    A Gaussian with a full covariance, fitted to rows with gaps by expectation maximisation
    (Dempster, Laird & Rubin 1977, https://doi.org/10.1111/j.2517-6161.1977.tb01600.x): for each
    pattern of gaps, the linear regression of what is missing on what is there.

    Parameters
    ----------
    mean : Tensor of shape (p,)
    covariance : Tensor of shape (p, p)
    """

    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        self.mean, self.covariance = mean, covariance

    @classmethod
    def fit(cls, x: Tensor, there: Tensor) -> ConditionalGaussian:
        """Fit to rows (n, p), of which those values count that are ``there``, (n, p) of bool.

        Of many rows, 2,048 spread over all of them are looked at.
        """
        few = torch.arange(0, len(x), -(-len(x) // MOST_ROWS))
        x, there = x[few], there[few]
        count = there.sum(0).clamp(min=1)
        mean = torch.where(there, x, 0.0).sum(0) / count
        apart = torch.where(there, x - mean, 0.0)
        variance = apart.square().sum(0) / count + SMALLEST
        found = cls(mean, variance.diag())
        for _ in range(STEPS if x.shape[1] <= MANY_PLACES else FEW_STEPS):
            filled, precision = found._expected(x, there)
            mean = filled.mean(0)
            apart = filled - mean
            left = found.covariance @ precision @ found.covariance
            covariance = (apart.T @ apart) / len(x) + found.covariance - left
            covariance = (covariance + covariance.T) / 2 + (RIDGE * variance).diag()
            found = cls(mean, covariance)
        return found

    def shrunk(self, by: float) -> ConditionalGaussian:
        """With its variances raised by such a share, so that values say less of each other."""
        return ConditionalGaussian(
            self.mean, self.covariance + (by * self.covariance.diagonal()).diag()
        )

    def shrunk_to(self, loss: Callable[[ConditionalGaussian], float]) -> ConditionalGaussian:
        """Shrunk as suits best, by the loss that a function finds."""
        tried = [self.shrunk(by) for by in SHRINKAGES]
        return min(tried, key=loss)

    def complete(self, x: Tensor, there: Tensor) -> Tensor:
        """(n, p) rows with what is expected where values are not ``there``."""
        return self._by_blocks(x, there, lambda x, there: self._solved(x, there)[:1])[0]

    def expect(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """(n, p) each: completed rows, and how far values may lie from what is expected of them, as
        a variance, which is 0 where they are there.
        """

        def run(x: Tensor, there: Tensor) -> tuple[Tensor, ...]:
            filled, factor, seen = self._solved(x, there)
            inverse = torch.cholesky_inverse(factor) * seen[:, :, None] * seen[:, None, :]
            known = ((inverse @ self.covariance) * self.covariance).sum(1)
            variance = (self.covariance.diagonal() - known).clamp(min=0)
            return filled, torch.where(there, 0.0, variance)

        filled, variance = self._by_blocks(x, there, run)
        return filled, variance

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return {"mean": self.mean, "covariance": self.covariance}

    def _by_blocks(
        self, x: Tensor, there: Tensor, run: Callable[[Tensor, Tensor], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        found = []
        for first in range(0, max(len(x), 1), BLOCK):
            rows = min(BLOCK, len(x) - first)
            part, seen = x.new_zeros(BLOCK, x.shape[1]), there.new_zeros(BLOCK, x.shape[1])
            part[:rows], seen[:rows] = x[first : first + rows], there[first : first + rows]
            found.append([one[:rows] for one in run(part, seen)])
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))

    def _factor(self, there: Tensor) -> tuple[Tensor, Tensor]:
        """The Cholesky factors of what is there of the covariance, and that as numbers."""
        seen = there.to(self.covariance.dtype)
        part = self.covariance * seen[:, :, None] * seen[:, None, :]
        part.diagonal(dim1=1, dim2=2).add_(1 - seen)
        return torch.linalg.cholesky_ex(part)[0], seen

    def _solved(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        factor, seen = self._factor(there)
        apart = torch.where(there, x - self.mean, 0.0)
        told = torch.cholesky_solve(apart[:, :, None], factor)[:, :, 0] * seen
        return torch.where(there, x, self.mean + told @ self.covariance), factor, seen

    def _expected(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Completed rows, and the mean over rows of the precision of what is there."""
        filled, total = [], torch.zeros_like(self.covariance)
        for first in range(0, len(x), BLOCK):
            block = slice(first, first + BLOCK)
            rows, factor, seen = self._solved(x[block], there[block])
            filled.append(rows)
            inverse = torch.cholesky_inverse(factor)
            total += (inverse * seen[:, :, None] * seen[:, None, :]).sum(0)
        return torch.cat(filled), total / len(x)
