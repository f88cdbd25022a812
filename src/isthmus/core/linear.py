"""Principal components, exact where that is cheap and randomised where it is not."""

from __future__ import annotations

from typing import NamedTuple

import scipy.linalg
import torch
from torch import Tensor

from isthmus.core.sparse import SparseRows

EXACT_LIMIT = 2048
MUCH_WIDER = 1.5
"""Columns for each row, from which the Gram matrix is the quicker way."""
CHUNK, FEW = 2048, 256
GRAM_CHUNK = 64
POWER_ITERATIONS, MORE_AXES = 4, 10


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


def principal_components(
    x: Tensor | SparseRows, k: int, weight: Tensor | None = None
) -> Components:
    """The first ``k`` principal components of the rows of ``x``.

    Exact, through the smaller of the covariance and the Gram matrix, where that has at most
    2,048 rows; else randomised with power iterations (Halko, Martinsson & Tropp 2011,
    https://arxiv.org/abs/0909.4061) under a fixed seed. Sparse rows are centred without becoming
    dense.

    Parameters
    ----------
    x : Tensor or SparseRows of shape (n, n_features)
    k : int
        At most min(n, n_features) are returned.
    weight : Tensor of shape (n,), optional
        Row weights.
    """
    n, p = x.shape
    w = torch.ones(n, dtype=x.dtype, device=x.device) if weight is None else weight.to(x.dtype)
    share = w / w.sum()
    mean = _mean(x, share)
    k = max(1, min(k, n, p))
    root = share.sqrt().unsqueeze(1)
    if p <= EXACT_LIMIT and not (n < p / MUCH_WIDER and k < n):
        variance, axes, total = _from_covariance(x, root, mean, k)
    elif n <= EXACT_LIMIT:
        variance, axes, total = _from_gram(x, root, mean, k)
    elif isinstance(x, SparseRows):
        variance, axes, total = _randomised(x, root.double(), mean, k)
    else:
        rows = (x - mean.to(x.dtype)) * root
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.default_generator.manual_seed(0)
            if x.is_cuda:
                torch.cuda.manual_seed(0)
            q = min(k + MORE_AXES, n, p)
            _, scale, right = torch.svd_lowrank(rows, q=q, niter=POWER_ITERATIONS)
        axes, variance, total = right.T[:k], scale[:k].square(), rows.square().sum()
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = axes * torch.where(largest < 0, -1.0, 1.0).to(axes.dtype)
    axes = axes.contiguous()  # as they are when they were saved and loaded
    kind = x.dtype
    return Components(mean.to(kind), axes.to(kind), variance.clamp(min=0).to(kind), total.to(kind))


def column_mean(
    x: Tensor | SparseRows, weight: Tensor | None = None, over: tuple[int, ...] = (0,)
) -> Tensor:
    """The mean of (n, *shape) over rows, or other axes too, by the weight of rows or of values.

    A column of no weight has the mean 0.
    """
    if isinstance(x, SparseRows):
        return x.mean(weight)
    if weight is None:
        return x.mean(over)
    weight = weight.reshape(weight.shape + (1,) * (x.ndim - weight.ndim)).expand_as(x)
    return (x * weight).sum(over) / weight.sum(over).clamp(min=1e-12)


def _mean(x: Tensor | SparseRows, share: Tensor) -> Tensor:
    """(p,) the weighted mean of the columns, in float64."""
    if isinstance(x, SparseRows):
        return x.t_matmul(share.double().unsqueeze(1)).squeeze(1)
    mean = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    # Few rows at a time, whose copies in double precision stay in the cache.
    for rows, part in zip(torch.split(x, FEW), torch.split(share, FEW), strict=True):
        mean += part.double() @ rows.double()
    return mean


def _from_covariance(
    x: Tensor | SparseRows, root: Tensor, mean: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    precise = x.shape[0] * x.shape[1] ** 2 <= 2**28
    kind = torch.float64 if precise else x.dtype
    covariance = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
    for first in range(0, x.shape[0], CHUNK):
        some = slice(first, first + CHUNK)
        centred = (x[some].to(kind) - mean.to(kind)).mul_(root[some].to(kind))
        covariance += _gram(centred).double()
    values, vectors = leading(covariance, k)
    return values, vectors.T, covariance.trace()


def _gram(rows: Tensor) -> Tensor:
    """(p, p) the products of the columns of (n, p)."""
    if rows.is_cuda:
        return rows.T @ rows
    # NumPy sees that the two are one, and computes half of it.
    values = rows.numpy()
    return torch.from_numpy(values.T @ values)


def leading(symmetric: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The largest (k,) eigenvalues of a (p, p) matrix in float64, and their (p, k) vectors."""
    if symmetric.is_cuda:
        values, vectors = torch.linalg.eigh(symmetric)
        return values.flip(0)[:k], vectors.flip(1)[:, :k]
    # LAPACK's way to some of them takes a third of the time of all.
    p = len(symmetric)
    few = [p - k, p - 1]
    found, along = scipy.linalg.eigh(symmetric.numpy(), subset_by_index=few, check_finite=False)
    return torch.from_numpy(found[::-1].copy()), torch.from_numpy(along[:, ::-1].copy())


def _from_gram(
    x: Tensor | SparseRows, root: Tensor, mean: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    root = root.double()
    if isinstance(x, SparseRows):
        gram = _centred_gram(x, mean) * root * root.T
        values, vectors = leading(gram, k)
        along = _turned(x, root, mean, vectors)
    else:
        rows = (x.double() - mean) * root
        gram = rows @ rows.T
        values, vectors = leading(gram, k)
        along = (vectors.T @ rows).T
    return values, torch.linalg.qr(along).Q.T, gram.trace()


def _centred_gram(x: SparseRows, mean: Tensor) -> Tensor:
    """(n, n) products of the rows less their mean."""
    blocks = [
        x.matmul(x[first : first + GRAM_CHUNK].double().T) for first in range(0, len(x), GRAM_CHUNK)
    ]
    with_mean = x.matmul(mean.unsqueeze(1))
    return torch.cat(blocks, 1) - with_mean - with_mean.T + mean @ mean


def _turned(x: SparseRows, root: Tensor, mean: Tensor, left: Tensor) -> Tensor:
    """(p, k) the transpose of the centred and weighed rows, times ``left``."""
    weighed = root * left
    return x.t_matmul(weighed) - mean.unsqueeze(1) * weighed.sum(0)


def _randomised(x: SparseRows, root: Tensor, mean: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Halko, Martinsson & Tropp's subspace iteration on rows that are centred as they are used."""
    q = min(k + MORE_AXES, *x.shape)
    axes = torch.randn(x.shape[1], q, generator=torch.Generator().manual_seed(0))
    axes = axes.to(x.device, torch.float64)
    for _ in range(POWER_ITERATIONS + 1):
        along = root * (x.matmul(axes) - mean @ axes)
        axes = torch.linalg.qr(_turned(x, root, mean, torch.linalg.qr(along).Q)).Q
    along = root * (x.matmul(axes) - mean @ axes)
    _, scale, right = torch.linalg.svd(along, full_matrices=False)
    second = _mean(x.square(), root.squeeze(1).square())
    return scale[:k].square(), right[:k] @ axes.T, (second - mean.square()).sum()
