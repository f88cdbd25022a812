"""Likelihoods: how well the decoder's output explains x."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.ranges import positive
from isthmus.core.types import Batch
from isthmus.parts.contracts import LIKELIHOODS, Likelihood, Shape

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
MIN_SCALE = 1e-2
"""Of a standard deviation: what is explained better than this counts as explained."""
MAX_LOG_MEAN, MAX_LOG_R = 25.0, 9.0
SMOOTHING = 0.2
"""Added to counts before their logarithm is taken."""


@LIKELIHOODS.register("gaussian")
class Gaussian(Likelihood):
    """Squared error with a learned scale, which keeps a variational code from collapsing.

    nll = (x - mean)^2 / (2 scale^2) + log(scale) + log(2 pi) / 2, see Rybkin, Daniilidis &
    Levine 2021, https://arxiv.org/abs/2006.13202. Data reach it standardised, so the scale is in
    standard deviations of x.

    Parameters
    ----------
    scale : "shared", "column" or float
        One learned scale for all values; one for each; or a fixed one.
    """

    starts_plain = True

    def __init__(self, shape: Shape, scale: str | float = "shared") -> None:
        super().__init__()
        self.log_scale = scale_of(scale, shape)

    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        log_scale = self.log_scale.clamp(min=math.log(MIN_SCALE))
        squared = F.mse_loss(params, x, reduction="none")
        precision = (-2 * log_scale).exp()
        return torch.addcmul(log_scale + HALF_LOG_2PI, squared, precision, value=0.5)

    def mean(self, params: Tensor) -> Tensor:
        return params

    def draw(self, params: Tensor) -> Tensor:
        return params + torch.randn_like(params) * self.log_scale.exp().clamp(min=MIN_SCALE)

    def guess(self, x: Tensor) -> Tensor:
        return x

    @torch.no_grad()
    def start(self, batch: Batch, params: Tensor) -> None:
        if self.log_scale.requires_grad:
            squared = (params - batch.x).square()
            variance = weighted_mean(squared, batch.weight, self.log_scale)
            self.log_scale.copy_(0.5 * variance.clamp(min=MIN_SCALE**2).log())


@LIKELIHOODS.register("laplace")
class Laplace(Likelihood):
    """Absolute error with a learned scale, which a few wild values disturb less than squared.

    nll = |x - median| / scale + log(2 scale): the least absolute deviations of Laplace 1774 (see
    Bloomfield & Steiger 1983, https://doi.org/10.1007/978-1-4684-8574-5), with a scale learned as
    in Rybkin, Daniilidis & Levine 2021, https://arxiv.org/abs/2006.13202.

    Parameters
    ----------
    scale : "shared", "column" or float
        One learned scale for all values; one for each; or a fixed one. In standard deviations
        of x.
    """

    starts_plain = True
    judged = "nats"

    def __init__(self, shape: Shape, scale: str | float = "shared") -> None:
        super().__init__()
        self.log_scale = scale_of(scale, shape)

    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        log_scale = self.log_scale.clamp(min=math.log(MIN_SCALE))
        return (params - x).abs() * (-log_scale).exp() + (log_scale + math.log(2))

    def mean(self, params: Tensor) -> Tensor:
        return params

    def draw(self, params: Tensor) -> Tensor:
        noise = torch.empty_like(params).exponential_() - torch.empty_like(params).exponential_()
        return params + noise * self.log_scale.exp().clamp(min=MIN_SCALE)

    def guess(self, x: Tensor) -> Tensor:
        return x

    @torch.no_grad()
    def start(self, batch: Batch, params: Tensor) -> None:
        if self.log_scale.requires_grad:
            away = weighted_mean((params - batch.x).abs(), batch.weight, self.log_scale)
            self.log_scale.copy_(away.clamp(min=MIN_SCALE).log())


@LIKELIHOODS.register("negative-binomial")
class NegativeBinomial(Likelihood):
    """Counts that scatter more than their mean (Lopez et al. 2018,
    https://doi.org/10.1038/s41592-018-0229-2).

    The decoder says the logarithm of the mean m; the variance is m + m^2 / r with a learned r.
    The encoder sees log(1 + x).

    Parameters
    ----------
    dispersion : "column" or "shared"
        One r for each value, or one for all.
    """

    support = "count"
    judged = "nats"

    def __init__(self, shape: Shape, dispersion: str = "column") -> None:
        super().__init__()
        if dispersion not in ("column", "shared"):
            raise ValueError(f"dispersion must be 'column' or 'shared', got {dispersion!r}.")
        self.log_r = nn.Parameter(torch.zeros(shape if dispersion == "column" else ()))

    def embed(self, x: Tensor) -> Tensor:
        return x.log1p()

    def noisy(self, x: Tensor, noise: Tensor) -> Tensor:
        return (x.log1p() + noise).clamp(min=0).expm1()

    def unembed(self, embedded: Tensor) -> Tensor:
        return embedded.clamp(max=MAX_LOG_MEAN).expm1().clamp(min=0)

    def error(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        """(B, *shape) squared, of log(1 + x)."""
        return (rebuilt.log1p() - x.log1p()).square()

    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        log_mean, log_r = clamped(params), self._log_r()
        # In double precision, since large numbers nearly cancel.
        r, seen = log_r.double().exp(), x.double()
        ways = torch.lgamma(seen + r) - torch.lgamma(r) - torch.lgamma(seen + 1)
        counted = x * F.softplus(log_r - log_mean) + log_r.exp() * F.softplus(log_mean - log_r)
        return counted - ways.to(params.dtype)

    def mean(self, params: Tensor) -> Tensor:
        return clamped(params).exp()

    def draw(self, params: Tensor) -> Tensor:
        r = self._log_r().exp().expand_as(params)
        return torch.poisson(torch._standard_gamma(r) * (self.mean(params) / r))

    def guess(self, x: Tensor) -> Tensor:
        return (x + SMOOTHING).log()

    @torch.no_grad()
    def start(self, batch: Batch, params: Tensor) -> None:
        mean = self.mean(params)
        more = weighted_mean((batch.x - mean).square() - mean, batch.weight, self.log_r)
        square = weighted_mean(mean.square(), batch.weight, self.log_r)
        self.log_r.copy_((square / more.clamp(min=1e-12)).log().clamp(-MAX_LOG_R, MAX_LOG_R))

    def _log_r(self) -> Tensor:
        return self.log_r.clamp(-MAX_LOG_R, MAX_LOG_R)


def clamped(log_mean: Tensor) -> Tensor:
    """Within what can be counted."""
    return log_mean.clamp(-MAX_LOG_MEAN, MAX_LOG_MEAN)


@LIKELIHOODS.register("bernoulli")
class Bernoulli(Likelihood):
    """Binary cross-entropy of values in 0 to 1; the decoder says logits.

    For values between 0 and 1 this is the cross-entropy that Keras calls ``binary_crossentropy``
    on a sigmoid output, in nats.
    """

    support = "unit"

    def __init__(self) -> None:
        super().__init__()

    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(params, x, reduction="none")

    def mean(self, params: Tensor) -> Tensor:
        return params.sigmoid()

    def draw(self, params: Tensor) -> Tensor:
        return torch.bernoulli(params.sigmoid())

    def guess(self, x: Tensor) -> Tensor:
        return x.clamp(0.02, 0.98).logit()


def scale_of(scale: str | float, shape: Shape) -> nn.Parameter:
    """The logarithm of a scale that is learned ("shared", "column") or fixed."""
    if isinstance(scale, str) and scale not in ("shared", "column"):
        raise ValueError(f"scale must be 'shared', 'column' or a number, got {scale!r}.")
    if isinstance(scale, str):
        return nn.Parameter(torch.zeros(shape if scale == "column" else ()))
    fixed = math.log(max(positive(scale, "scale"), MIN_SCALE))
    return nn.Parameter(torch.tensor(fixed), requires_grad=False)


def weighted_mean(values: Tensor, weight: Tensor | None, like: Tensor) -> Tensor:
    """The mean of (B, *shape) by weight: over all, or over rows where ``like`` has a shape."""
    weight = torch.ones_like(values) if weight is None else weight
    weight = weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim)).expand_as(values)
    over = 0 if like.ndim else tuple(range(values.ndim))
    return (values * weight).sum(over) / weight.sum(over).clamp(min=1e-12)
