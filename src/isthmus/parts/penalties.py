"""Penalties: what else should hold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.ranges import number, positive_ints
from isthmus.core.types import Step
from isthmus.parts.contracts import PENALTIES, Penalty
from isthmus.parts.networks.dense import stack
from isthmus.parts.networks.layers import AlignedLinear

SMALLEST_SPREAD = 1e-6
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Of the kernels, in squared distances that are usual under the prior."""
MOST_CODES = 1024
"""At most, whose distances from each other are looked at."""


def spread(z: Tensor, weight: Tensor | None) -> Tensor:
    """(dim, 1, ...) the root mean square of each dimension of (B, dim, *grid), by row weight."""
    over = (0, *range(2, z.ndim))
    if weight is None:
        square = z.square().mean(over, keepdim=True)
    else:
        weight = (weight / weight.mean().clamp(min=1e-12)).view(-1, *[1] * (z.ndim - 1))
        square = (weight * z.square()).mean(over, keepdim=True)
    return (square + SMALLEST_SPREAD**2).sqrt()


@PENALTIES.register("l1")
class L1(Penalty):
    """The mean absolute value of the code, in units of its spread, which makes it sparse.

    Sparse coding as in Ng 2011, https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf, with
    one change: each dimension is divided by its root mean square over the batch, or else it would
    be enough to make all codes small.

    Parameters
    ----------
    weight : float
        Nats per value of x.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = number(weight, "weight")

    def forward(self, model: nn.Module, step: Step) -> Tensor:
        z = step.code.z
        return (z / spread(z, step.target.row_weight)).abs().flatten(1).mean(1)


@PENALTIES.register("contractive")
class Contractive(Penalty):
    """How much the code moves with x: the squared Frobenius norm of its derivative.

    Rifai, Vincent, Muller, Glorot & Bengio 2011, https://icml.cc/2011/papers/455_icmlpaper.pdf,
    estimated by one random projection in a step (Hutchinson 1990,
    https://doi.org/10.1080/03610919008812866). The code is measured in units of its spread, or
    else it would be enough to make all codes small. The derivative is that of the code in use,
    without noise, by what the encoder sees of x.

    Parameters
    ----------
    weight : float
        Nats per value of x and squared unit of the norm, averaged over the values of the code.
    """

    pulls = True

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = number(weight, "weight")

    def forward(self, model: nn.Module, step: Step) -> Tensor:
        assert step.pull is not None
        n = len(step.seen.x)  # one of several draws of the code is enough
        mean, weight = step.code.mean[:n], step.target.row_weight
        sign = 2 * torch.bernoulli(torch.full_like(mean, 0.5)) - 1
        (moved,) = step.pull(sign / spread(mean, None if weight is None else weight[:n]))
        norm: Tensor = moved.square().flatten(1).sum(1) / mean[0].numel()
        return norm


@PENALTIES.register("mmd")
class Discrepancy(Penalty):
    """How far codes are from draws of their prior: the maximum mean discrepancy.

    Tolstikhin, Bousquet, Gelly & Schölkopf 2017, https://arxiv.org/abs/1711.01558, with inverse
    multiquadratic kernels of several scales. On a grid, the codes of all positions are one
    distribution.

    Parameters
    ----------
    weight : float
        Nats per value of x.
    """

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__()
        self.weight = number(weight, "weight")

    def forward(self, model: nn.Module, step: Step) -> Tensor:
        z, drawn, weight = beside_draws(model, step)
        every = -(-len(z) // MOST_CODES)
        z, drawn = z[::every], drawn[::every]
        apart = squared_distances(drawn, drawn)
        usual = apart.mean().clamp(min=1e-12)
        alike = kernel(squared_distances(z, z) / usual)
        across = kernel(squared_distances(z, drawn) / usual)
        among_draws = among(kernel(apart / usual))
        if weight is None:
            return among(alike) + among_draws - 2 * across.mean()
        weight = weight[::every] / weight[::every].sum().clamp(min=1e-12)
        pairs = weight.unsqueeze(1) * weight
        pairs = pairs - pairs.diag().diag()
        among_codes = (alike * pairs).sum() / pairs.sum().clamp(min=1e-12)
        return among_codes + among_draws - 2 * (across.mean(1) * weight).sum()


def among(alike: Tensor) -> Tensor:
    """() the mean of (n, n) likenesses, each of which is 1 with itself, over all other pairs."""
    n = len(alike)
    return (alike.sum() - n) / max(1, n * (n - 1))


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(n, m) between (n, dim) and (m, dim)."""
    sizes = a.square().sum(1, keepdim=True) + b.square().sum(1)
    return (sizes - 2 * a @ b.T).clamp(min=0)


def kernel(distances: Tensor) -> Tensor:
    """How alike what lies so far apart is, 0 to 1, over all scales."""
    return torch.stack([scale / (scale + distances) for scale in SCALES]).mean(0)


def beside_draws(model: nn.Module, step: Step) -> tuple[Tensor, Tensor, Tensor | None]:
    """Codes and as many draws of their prior, (B * positions, dim) each, and (B * positions,)
    weights of the codes, if they have any.
    """
    parts: Any = model
    z = step.code.z
    with torch.no_grad():
        drawn = parts.code.sample(len(z), tuple(z.shape[2:])).to(z.dtype)
    weight = step.target.row_weight
    if weight is not None:
        weight = weight.to(z.dtype).repeat_interleave(z[0, 0].numel())
    return positions(z), positions(drawn), weight


def positions(z: Tensor) -> Tensor:
    """(B, dim, *grid) to (B * positions, dim)."""
    return z if z.ndim == 2 else z.flatten(2).transpose(1, 2).flatten(0, 1)


@PENALTIES.register("adversary")
class Adversary(Penalty):
    """A critic that tells codes from draws of their prior, which the encoder learns to deceive.

    Makhzani, Shlens, Jaitly, Goodfellow & Frey 2015, https://arxiv.org/abs/1511.05644. Both learn
    in the same step: the encoder from a critic that stands still, the critic from codes that do.

    Parameters
    ----------
    weight : float
        Nats per value of x and nat of the critic's.
    widths : sequence of int
        Hidden layers of the critic.
    """

    def __init__(self, weight: float = 0.1, widths: tuple[int, ...] = (64, 64)) -> None:
        super().__init__()
        self.weight = number(weight, "weight")
        self.widths = positive_ints(widths, "widths")
        self.critic = nn.Sequential()

    def start(self, latents: Tensor) -> None:
        sizes = [latents.shape[1], *self.widths, 1]
        layers = [AlignedLinear(a, b) for a, b in pairwise(sizes)]
        self.critic = stack([*layers], sizes[1:], "leaky_relu", "none", 0.0).to(latents)

    def forward(self, model: nn.Module, step: Step) -> Tensor:
        z, drawn, _ = beside_draws(model, step)
        deceived = F.softplus(-self.still(z))
        told = F.softplus(self.critic(z.detach())) + F.softplus(-self.critic(drawn))
        return (deceived + told).view(len(step.code.z), -1).mean(1)

    def still(self, z: Tensor) -> Tensor:
        """(n, 1) what the critic says, without learning from it."""
        for layer in self.critic:
            if isinstance(layer, nn.Linear):
                z = F.linear(z, layer.weight.detach(), layer.bias.detach())
            else:
                z = layer(z)
        return z
