"""Principal components, exact where that is cheap and randomised where it is not."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EXACT_LIMIT = 2048
CHUNK = 8192


class Components(NamedTuple):
    """The leading principal components of some rows."""

    mean: Tensor
    """(n_features,)"""
    axes: Tensor
    """(k, n_features), orthonormal, in order of variance; the largest loading is positive."""
    variance: Tensor
    """(k,) along each axis."""
    total_variance: Tensor
    """() summed over all features."""


def principal_components(x: Tensor, k: int, weight: Tensor | None = None) -> Components:
    """The first ``k`` principal components of the rows of ``x``.

    Exact, through the smaller of the covariance and the Gram matrix, where that has at most
    2,048 rows; else randomised with power iterations (Halko, Martinsson & Tropp 2011,
    https://arxiv.org/abs/0909.4061) under a fixed seed.

    Parameters
    ----------
    x : Tensor of shape (n, n_features)
    k : int
        At most min(n, n_features) are returned.
    weight : Tensor of shape (n,), optional
        Row weights.
    """
    n, p = x.shape
    w = torch.ones(n, dtype=x.dtype, device=x.device) if weight is None else weight.to(x.dtype)
    share = w / w.sum()
    mean = (share.double() @ x.double()) if n * p <= 2**24 else _weighted_mean(x, share)
    k = max(1, min(k, n, p))
    root = share.sqrt().unsqueeze(1)
    if p <= EXACT_LIMIT:
        variance, axes, total = _from_covariance(x, root, mean, k)
    elif n <= EXACT_LIMIT:
        rows = (x.double() - mean) * root.double()
        values, vectors = torch.linalg.eigh(rows @ rows.T)
        variance, left = values.flip(0)[:k], vectors.flip(1)[:, :k]
        axes = torch.linalg.qr((left.T @ rows).T).Q.T
        total = values.sum()
    else:
        rows = (x - mean.to(x.dtype)) * root
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.default_generator.manual_seed(0)
            if x.is_cuda:
                torch.cuda.manual_seed(0)
            _, scale, right = torch.svd_lowrank(rows, q=min(k + 10, n, p), niter=4)
        axes, variance, total = right.T[:k], scale[:k].square(), rows.square().sum()
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = axes * torch.where(largest < 0, -1.0, 1.0).to(axes.dtype)
    kind = x.dtype
    return Components(mean.to(kind), axes.to(kind), variance.clamp(min=0).to(kind), total.to(kind))


def _weighted_mean(x: Tensor, share: Tensor) -> Tensor:
    mean = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    for rows, part in zip(torch.split(x, CHUNK), torch.split(share, CHUNK), strict=True):
        mean += (part @ rows).double()
    return mean


def _from_covariance(
    x: Tensor, root: Tensor, mean: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    precise = x.shape[0] * x.shape[1] ** 2 <= 2**28
    kind = torch.float64 if precise else x.dtype
    covariance = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
    for rows, part in zip(torch.split(x, CHUNK), torch.split(root, CHUNK), strict=True):
        centred = (rows.to(kind) - mean.to(kind)) * part.to(kind)
        covariance += (centred.T @ centred).double()
    values, vectors = torch.linalg.eigh(covariance)
    return values.flip(0)[:k], vectors.flip(1)[:, :k].T, covariance.trace()
