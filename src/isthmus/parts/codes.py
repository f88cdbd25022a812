"""Codes: how the encoder's output becomes z, and what z costs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.core.specs import Spec, spec
from isthmus.core.types import Coded
from isthmus.parts.contracts import CODES, PRIORS, Code

NORMAL = spec("normal")
MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 7.0


@CODES.register("point")
class Point(Code):
    """The plain bottleneck: z is what the encoder says, and costs nothing while training.

    Its prior is used to sample only (Rumelhart, Hinton & Williams 1986,
    https://doi.org/10.1038/323533a0).

    Parameters
    ----------
    prior : Spec
        What is believed of z.
    """

    def __init__(self, dim: int, prior: Spec = NORMAL) -> None:
        super().__init__()
        self.dim = dim
        self.prior = PRIORS.build(prior, dim=dim)

    def forward(self, h: Tensor) -> Coded:
        z = h.squeeze(1)
        nothing = h.new_zeros(h.shape[0])
        return Coded(z, z, rate=nothing, aux=nothing)


@CODES.register("gaussian")
class Gaussian(Code):
    """The variational bottleneck (Kingma & Welling 2013, https://arxiv.org/abs/1312.6114).

    It begins with the posterior of probabilistic PCA, whose scale is the one at which noise in
    the code costs as much as it saves (Lucas et al. 2019, https://arxiv.org/abs/1911.02469).

    Parameters
    ----------
    prior : Spec
        What is believed of z.
    """

    n_params = 2
    start_log_scale: Tensor

    def __init__(self, dim: int, prior: Spec = NORMAL) -> None:
        super().__init__()
        self.dim = dim
        self.prior = PRIORS.build(prior, dim=dim)
        self.register_buffer("start_log_scale", torch.zeros(dim))

    def forward(self, h: Tensor) -> Coded:
        mean, log_scale = h[:, 0], h[:, 1]
        offset = self.start_log_scale.view(-1, *[1] * (mean.ndim - 2))
        log_scale = (log_scale + offset).clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)
        z = mean + torch.randn_like(mean) * log_scale.exp() if self.training else mean
        entropy = (log_scale + 0.5 * math.log(2 * math.pi * math.e)).flatten(1).sum(1)
        rate = -entropy - self.prior.expected_log_prob(z, mean, log_scale)
        return Coded(z, mean, rate=rate, aux=h.new_zeros(h.shape[0]))

    def start(self, curvature: Tensor) -> None:
        self.start_log_scale.copy_(-0.5 * torch.log1p(curvature.clamp(min=0)))
