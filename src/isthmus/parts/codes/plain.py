"""Codes of numbers: as the encoder says them, a few of them, or with noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.core.ranges import positive_int
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Coded
from isthmus.parts.contracts import CODES, PRIORS, Code, Shape

NORMAL = spec("normal")
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
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

    def forward(self, h: Tensor, weight: Tensor | None = None) -> Coded:
        z = h.squeeze(1)
        nothing = h.new_zeros(h.shape[0])
        return Coded(z, z, rate=nothing, aux=nothing)


@CODES.register("topk")
class TopK(Code):
    """The largest few values of each code by magnitude; all others are zero.

    Makhzani & Frey 2013, https://arxiv.org/abs/1312.5663.

    Parameters
    ----------
    k : int or "auto"
        How many are kept, for each position of a grid. "auto" keeps a quarter.
    prior : Spec
        What is believed of the values before the small ones are dropped.
    """

    starts_plain = False

    def __init__(self, dim: int, k: int | str = "auto", prior: Spec = NORMAL) -> None:
        super().__init__()
        self.dim = dim
        self.k = max(1, dim // 4) if k == "auto" else positive_int(k, "k", most=dim)
        self.prior = PRIORS.build(prior, dim=dim)

    def forward(self, h: Tensor, weight: Tensor | None = None) -> Coded:
        z = self.kept(h.squeeze(1))
        nothing = h.new_zeros(h.shape[0])
        return Coded(z, z, rate=nothing, aux=nothing)

    def kept(self, z: Tensor) -> Tensor:
        """(B, dim, *grid) with zeros in place of all but the ``k`` largest."""
        largest = z.abs().topk(self.k, dim=1).indices
        return torch.zeros_like(z).scatter(1, largest, z.gather(1, largest))

    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        return self.kept(self.prior.sample(n, grid))


@CODES.register("gaussian")
class Gaussian(Code):
    """The variational bottleneck (Kingma & Welling 2013, https://arxiv.org/abs/1312.6114).

    It begins with the posterior of probabilistic PCA, whose scale is the one at which noise in
    the code costs as much as it saves (Lucas et al. 2019, https://arxiv.org/abs/1911.02469).

    Parameters
    ----------
    prior : Spec
        What is believed of z.
    rate : "expected" or "sampled"
        What z costs while training: expected over all draws, or of the one drawn,
        log q(z | x) - log p(z), which importance weights need (Burda, Grosse & Salakhutdinov
        2015, https://arxiv.org/abs/1509.00519).
    """

    n_params = 2
    start_log_scale: Tensor

    def __init__(self, dim: int, prior: Spec = NORMAL, rate: str = "expected") -> None:
        super().__init__()
        if rate not in ("expected", "sampled"):
            raise ValueError(f"rate must be 'expected' or 'sampled', got {rate!r}.")
        self.dim = dim
        self.sampled = rate == "sampled"
        self.prior = PRIORS.build(prior, dim=dim)
        self.register_buffer("start_log_scale", torch.zeros(dim))

    def forward(self, h: Tensor, weight: Tensor | None = None) -> Coded:
        mean, log_scale = h[:, 0], h[:, 1]
        offset = self.start_log_scale.view(-1, *[1] * (mean.ndim - 2))
        log_scale = (log_scale + offset).clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)
        noise = torch.randn_like(mean) if self.training else None
        z = mean if noise is None else mean + noise * log_scale.exp()
        if self.sampled and noise is not None:
            density = -(0.5 * noise.square() + log_scale + HALF_LOG_2PI).flatten(1).sum(1)
            rate = density - self.prior.log_prob(z)
        else:
            entropy = (log_scale + HALF_LOG_2PI + 0.5).flatten(1).sum(1)
            rate = -entropy - self.prior.expected_log_prob(z, mean, log_scale)
        return Coded(z, mean, rate=rate, aux=h.new_zeros(h.shape[0]))

    def start(self, curvature: Tensor) -> None:
        self.start_log_scale.copy_(-0.5 * torch.log1p(curvature.clamp(min=0)))
