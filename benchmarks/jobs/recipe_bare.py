"""Every recipe as one would write it by hand in torch: the layers, and the loss of a batch.

The layers are copies of ours, so that a test can hold both losses against each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
SMALLEST_SCALE = math.log(1e-2)
GOLDEN = (math.sqrt(5) - 1) / 2
KERNELS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Layers(nn.Module):
    """Plain layers with the weights of one of our objectives, and the numbers of its recipe.

    What ours subtracts from x is folded into the first weights.
    """

    log_scale: Tensor
    log_r: Tensor
    critic: Any
    book: Tensor
    usage: Tensor
    prior_of_counts: Tensor
    before: Tensor

    def __init__(self, objective: Any) -> None:
        super().__init__()
        model = objective.model
        network, code, path = model.network, model.code, model.network.path
        self.dim: int = model.dim
        self.values: int = objective.values
        self.encoder, self.decoder = alike(network.encoder), alike(network.decoder)
        self.down = linear(path.down * path.gain)
        self.up = linear(path.up)
        with torch.no_grad():
            first, last = self.encoder[0], self.encoder[-1]
            first.bias += first.weight[:, : len(path.shift)] @ path.shift
            first.weight[:, : len(path.shift)] *= path.gain
            last.bias[: self.dim] += path.down @ path.shift
            if hasattr(code, "start_log_scale"):
                last.bias[self.dim :] += code.start_log_scale
        for name, parameter in model.likelihood.named_parameters():
            self.register_parameter(name, nn.Parameter(parameter.detach().clone()))
        self.beta: float = objective.beta
        self.samples: int = objective.samples
        self.trim: float = objective.trim
        self.corruption: Any = objective.corruption
        self.code: Any = code
        self.commitment: float = getattr(code, "commitment", 0.0)
        [penalty] = objective.penalties.values() or [None]
        self.weight: float = penalty.weight if penalty else 0.0
        if hasattr(penalty, "critic"):
            self.critic = alike(penalty.critic)
        if hasattr(code, "shares"):
            upto = code.shares().cumsum(0)
            self.register_buffer("before", (upto - code.shares()) / upto[-1])
        for name, buffer in [*code.named_buffers(), *code.prior.named_buffers(prefix="prior")]:
            self.register_buffer(name.replace(".", "_"), buffer.clone())

    def z(self, x: Tensor) -> Tensor:
        return self.encoder(x) + self.down(x)  # type: ignore[no-any-return]

    def out(self, z: Tensor) -> Tensor:
        return self.decoder(z) + self.up(z)  # type: ignore[no-any-return]


def linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight.detach().clone())
    return layer


def alike(layers: nn.Sequential) -> Any:
    """The same with torch's own linear layers."""
    made: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.Linear):
            made.append(nn.Linear(layer.in_features, layer.out_features))
            made[-1].load_state_dict(layer.state_dict())
        else:
            made.append(type(layer)())
    return nn.Sequential(*made)


def nats(m: Layers, squared: Tensor) -> Tensor:
    """Of a squared error under a Gaussian of learned scale."""
    log_scale = m.log_scale.clamp(min=SMALLEST_SCALE)
    return 0.5 * (-2 * log_scale).exp() * squared + log_scale + HALF_LOG_2PI


def autoencoder(m: Layers, x: Tensor) -> Tensor:
    return nats(m, F.mse_loss(m.out(m.z(x)), x))


def denoising(m: Layers, x: Tensor) -> Tensor:
    noisy = x + m.corruption.scale * torch.randn_like(x)
    return nats(m, F.mse_loss(m.out(m.z(noisy)), x))


def masked(m: Layers, x: Tensor) -> Tensor:
    kept = torch.bernoulli(torch.full_like(x, 1 - m.corruption.share))
    shown = x * kept
    z = m.encoder(torch.cat([shown, 1 - kept], 1)) + m.down(shown)
    return nats(m, F.mse_loss(m.out(z), x))


def spread(z: Tensor) -> Tensor:
    return (z.square().mean(0) + 1e-12).sqrt()


def sparse_l1(m: Layers, x: Tensor) -> Tensor:
    z = m.z(x)
    return nats(m, F.mse_loss(m.out(z), x)) + m.weight * (z / spread(z)).abs().mean()


def sparse_topk(m: Layers, x: Tensor) -> Tensor:
    z = m.z(x)
    size = z.abs()
    smallest = size.topk(m.code.k, dim=1).values[:, -1:]
    return nats(m, F.mse_loss(m.out(z * (size >= smallest)), x))


def nested(m: Layers, x: Tensor) -> Tensor:
    at = (torch.rand(()) + GOLDEN * torch.arange(len(x))) % 1
    kept = (m.before <= at.unsqueeze(1)).to(x.dtype)
    return nats(m, F.mse_loss(m.out(m.z(x) * kept), x))


def contractive(m: Layers, x: Tensor) -> Tensor:
    x.requires_grad_(True)
    z = m.z(x)
    sign = torch.where(torch.rand_like(z) < 0.5, -1.0, 1.0)
    [moved] = torch.autograd.grad(z, x, sign / spread(z), create_graph=True)
    norm = moved.square().sum(1).mean() / m.dim
    return nats(m, F.mse_loss(m.out(z), x.detach())) + m.weight * norm


def posterior(m: Layers, x: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_scale = m.encoder(x).chunk(2, 1)
    return mean + m.down(x), log_scale.clamp(-7, 7)


def vae(m: Layers, x: Tensor) -> Tensor:
    mean, log_scale = posterior(m, x)
    scale = log_scale.exp()
    z = mean + scale * torch.randn_like(mean)
    rate = (0.5 * (mean.square() + scale.square() - 1) - log_scale).sum(1).mean()
    return nats(m, F.mse_loss(m.out(z), x)) + m.beta * rate / m.values


def iwae(m: Layers, x: Tensor) -> Tensor:
    mean, log_scale = (part.repeat(m.samples, 1) for part in posterior(m, x))
    noise = torch.randn_like(mean)
    z = mean + noise * log_scale.exp()
    rate = (0.5 * (z.square() - noise.square()) - log_scale).sum(1)
    out = m.out(z)
    squared = F.mse_loss(out, x.repeat(m.samples, 1), reduction="none").mean(1)
    losses = (nats(m, squared) * m.values + m.beta * rate).view(m.samples, -1)
    return (math.log(m.samples) - (-losses).logsumexp(0)).mean() / m.values


def distances(a: Tensor, b: Tensor) -> Tensor:
    sizes = a.square().sum(1, keepdim=True) + b.square().sum(1)
    return (sizes - 2 * a @ b.T).clamp(min=0)


def kernel(d: Tensor) -> Tensor:
    return torch.stack([scale / (scale + d) for scale in KERNELS]).mean(0)


def discrepancy(z: Tensor) -> Tensor:
    drawn, n = torch.randn_like(z), len(z)
    among_draws = distances(drawn, drawn)
    usual = among_draws.mean()
    pairs = n * (n - 1)
    codes = (kernel(distances(z, z) / usual).sum() - n) / pairs
    draws = (kernel(among_draws / usual).sum() - n) / pairs
    return codes + draws - 2 * kernel(distances(z, drawn) / usual).mean()


def wae(m: Layers, x: Tensor) -> Tensor:
    z = m.z(x)
    return nats(m, F.mse_loss(m.out(z), x)) + m.weight * discrepancy(z)


def info_vae(m: Layers, x: Tensor) -> Tensor:
    mean, log_scale = posterior(m, x)
    scale = log_scale.exp()
    z = mean + scale * torch.randn_like(mean)
    rate = (0.5 * (mean.square() + scale.square() - 1) - log_scale).sum(1).mean()
    fit = nats(m, F.mse_loss(m.out(z), x)) + m.beta * rate / m.values
    return fit + m.weight * discrepancy(z)


def adversarial(m: Layers, x: Tensor) -> Tensor:
    z = m.z(x)
    drawn = torch.randn_like(z)
    critic = m.critic.requires_grad_(False)
    deceived = F.softplus(-critic(z))
    critic.requires_grad_(True)
    told = F.softplus(critic(z.detach())) + F.softplus(-critic(drawn))
    return nats(m, F.mse_loss(m.out(z), x)) + m.weight * (deceived + told).mean()


def vq_vae(m: Layers, x: Tensor) -> Tensor:
    z = m.z(x)
    groups, size, width = m.book.shape
    rows = z.detach().view(-1, groups, width)
    half = 0.5 * m.book.square().sum(-1)
    chosen = (torch.einsum("ngw,gsw->ngs", rows, m.book) - half).argmax(-1)
    where = chosen + size * torch.arange(groups)
    found = m.book.view(-1, width)[where].view_as(z)
    aux = (z - found).square().sum(1).mean() / m.values
    count = torch.bincount(where.flatten(), minlength=groups * size).view(groups, size)
    with torch.no_grad():
        decay, share = m.code.decay, (1 - m.code.decay) / len(x)
        total = torch.zeros(groups * size, width)
        total.index_add_(0, where.flatten(), rows.flatten(0, 1))
        usage = decay * m.usage + share * count
        sums = decay * m.usage.unsqueeze(-1) * m.book + share * total.view_as(m.book)
        book = torch.where(
            usage.unsqueeze(-1) > 0, sums / usage.unsqueeze(-1).clamp(min=1e-12), m.book
        )
        dead = usage < 0.1 / size
        drawn = rows[torch.randint(len(rows), (size,))].transpose(0, 1)
        m.book.copy_(torch.where(dead.unsqueeze(-1), drawn, book))
        m.usage.copy_(torch.where(dead, 1 / size, usage))
        m.prior_of_counts.mul_(0.99).add_(count)
    fit = nats(m, F.mse_loss(m.out(z + (found - z).detach()), x))
    return fit + m.commitment * aux


def fsq(m: Layers, x: Tensor) -> Tensor:
    bounded = torch.tanh(m.z(x) / 2)
    levels = m.code.size
    symbols = (0.5 * levels * (bounded.detach() + 1)).floor().clamp(0, levels - 1)
    middle = (2 * symbols + 1) / levels - 1
    smooth = 2 * bounded / (1 - middle.square())
    z = smooth + (2 * torch.atanh(middle) - smooth).detach()
    where = symbols.long() + levels * torch.arange(m.dim)
    count = torch.bincount(where.flatten(), minlength=m.dim * levels).view(m.dim, levels)
    m.prior_of_counts.mul_(0.99).add_(count)
    return nats(m, F.mse_loss(m.out(z), x))


def laplace(m: Layers, x: Tensor) -> Tensor:
    log_scale = m.log_scale.clamp(min=SMALLEST_SCALE)
    return F.l1_loss(m.out(m.z(x)), x) * (-log_scale).exp() + log_scale + math.log(2)


def negative_binomial(m: Layers, x: Tensor) -> Tensor:
    log_mean = m.out(m.z(x.log1p())).clamp(-25, 25)
    log_r = m.log_r.clamp(-9, 9)
    r, seen = log_r.double().exp(), x.double()  # in single precision large numbers cancel
    ways = torch.lgamma(seen + r) - torch.lgamma(r) - torch.lgamma(seen + 1)
    counted = x * F.softplus(log_r - log_mean) + log_r.exp() * F.softplus(log_mean - log_r)
    return (counted - ways.float()).mean()


def robust(m: Layers, x: Tensor) -> Tensor:
    squared = F.mse_loss(m.out(m.z(x)), x, reduction="none").mean(1)
    kept = len(x) - int(m.trim * len(x))
    return nats(m, squared.topk(kept, largest=False).values.mean())


LOSSES: dict[str, Callable[[Layers, Tensor], Tensor]] = {
    "autoencoder": autoencoder,
    "denoising": denoising,
    "masked": masked,
    "sparse-l1": sparse_l1,
    "sparse-topk": sparse_topk,
    "nested": nested,
    "contractive": contractive,
    "vae": vae,
    "beta-vae": vae,
    "iwae": iwae,
    "info-vae": info_vae,
    "wae": wae,
    "adversarial": adversarial,
    "vq-vae": vq_vae,
    "fsq": fsq,
    "laplace": laplace,
    "negative-binomial": negative_binomial,
    "robust": robust,
}
"""By recipe, what is minimised. ``linear`` is not trained."""
