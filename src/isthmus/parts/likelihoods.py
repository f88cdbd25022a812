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
        if isinstance(scale, str) and scale not in ("shared", "column"):
            raise ValueError(f"scale must be 'shared', 'column' or a number, got {scale!r}.")
        learned = isinstance(scale, str)
        log_scale = torch.zeros(shape if scale == "column" else ())
        if not learned:
            log_scale += math.log(max(positive(scale, "scale"), MIN_SCALE))
        self.log_scale = nn.Parameter(log_scale, requires_grad=learned)

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
        if not self.log_scale.requires_grad:
            return
        squared = (params - batch.x).square()
        weight = torch.ones_like(squared) if batch.weight is None else batch.weight
        weight = weight.reshape(weight.shape + (1,) * (squared.ndim - weight.ndim))
        weight = weight.expand_as(squared)
        over = 0 if self.log_scale.ndim else tuple(range(squared.ndim))
        variance = (squared * weight).sum(over) / weight.sum(over).clamp(min=1e-12)
        self.log_scale.copy_(0.5 * variance.clamp(min=MIN_SCALE**2).log())


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
