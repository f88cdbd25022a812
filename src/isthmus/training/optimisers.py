"""Optimisers by name, and the learning rate over a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import SGD, RMSprop

from isthmus.core.errors import SpecError

Groups = list[dict[str, Any]]
WARM_UP, FIRST_RATE = 0.25, 0.04


class Optimiser(Protocol):
    """What the loop asks of an optimiser; torch's own have it."""

    param_groups: list[dict[str, Any]]
    state: Any

    def step(self) -> Any:
        """One step on the gradients at hand."""


class Lion:
    """Sign of an interpolated momentum (Chen et al. 2023, https://arxiv.org/abs/2302.06675)."""

    def __init__(self, groups: Groups, lr: float) -> None:
        self.param_groups = [{"lr": lr, **group} for group in groups]
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """One step on the gradients at hand."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state.setdefault(p, {"momentum": torch.zeros_like(p)})
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(state["momentum"].lerp(p.grad, 0.1).sign(), alpha=-group["lr"])
                state["momentum"].lerp_(p.grad, 0.01)


class FusedAdam:
    """Adam and AdamW in one kernel a step, without the bookkeeping around torch's own classes.

    That bookkeeping takes as long at every step as a whole step of a small network, and a second
    or two to import. The kernel is torch's; it counts the steps of a group once.

    Parameters
    ----------
    groups : list of dict
        Each with ``params`` and ``weight_decay``.
    lr : float
    decoupled : bool
        AdamW (Loshchilov & Hutter 2017, https://arxiv.org/abs/1711.05101) rather than Adam
        (Kingma & Ba 2014, https://arxiv.org/abs/1412.6980).
    """

    def __init__(self, groups: Groups, lr: float, decoupled: bool = False) -> None:
        self.param_groups = [{"lr": lr, "weight_decay": 0.0, **group} for group in groups]
        self.kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        for group in self.param_groups:
            for p in group["params"]:
                mean, square = torch.zeros_like(p), torch.zeros_like(p)
                self.state[p] = {"exp_avg": mean, "exp_avg_sq": square}
            first = group["params"][0]
            self.state[first]["step"] = torch.zeros((), device=first.device)

    @torch.no_grad()
    def step(self) -> None:
        """One step on the gradients at hand."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            states = [self.state[p] for p in params]
            step = self.state[group["params"][0]]["step"].add_(1)
            self.kernel(
                params,
                [p.grad for p in params],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [step] * len(params),
                lr=group["lr"],
                beta1=0.9,
                beta2=0.999,
                weight_decay=group["weight_decay"],
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )


@dataclass(frozen=True)
class Kind:
    """How an optimiser is made, and the learning rate that suits it."""

    make: Callable[[Groups, float], list[Optimiser]]
    learning_rate: float
    decoupled: bool = False
    """Whether its weight decay is apart from the gradient, so that a strong one helps."""


def _muon(groups: Groups, rate: float) -> list[Optimiser]:
    if not hasattr(torch.optim, "Muon"):
        raise SpecError("optimizer 'muon' needs a newer PyTorch (2.9); take 'adamw'.")
    made: list[Optimiser] = []
    others: Groups = []
    for group in groups:
        matrices = [p for p in group["params"] if p.ndim == 2]
        rest = [p for p in group["params"] if p.ndim != 2]
        decay = group["weight_decay"]
        if matrices:
            made.append(
                torch.optim.Muon(
                    matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
                )
            )
        if rest:
            others.append({"params": rest, "weight_decay": decay})
    return [*made, FusedAdam(others, lr=rate, decoupled=True)] if others else made


OPTIMIZERS: dict[str, Kind] = {
    "adamw": Kind(
        lambda groups, rate: [FusedAdam(groups, lr=rate, decoupled=True)], 3e-3, decoupled=True
    ),
    "adam": Kind(lambda groups, rate: [FusedAdam(groups, lr=rate)], 1e-3),
    "sgd": Kind(
        lambda groups, rate: [SGD(groups, lr=rate, momentum=0.9, nesterov=True, fused=True)], 0.1
    ),
    "rmsprop": Kind(lambda groups, rate: [RMSprop(groups, lr=rate)], 1e-3),
    "lion": Kind(lambda groups, rate: [Lion(groups, lr=rate)], 3e-4, decoupled=True),
    "muon": Kind(_muon, 1e-2),
}
"""Besides those above: Sutskever et al. 2013,
https://proceedings.mlr.press/v28/sutskever13.html; Tieleman & Hinton 2012; Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/."""


def optimisers(module: nn.Module, name: str, rate: float, weight_decay: float) -> list[Optimiser]:
    """The optimisers of a module's parameters; biases, scales and gains don't decay."""
    trained = [p for p in module.parameters() if p.requires_grad]
    if not weight_decay:
        groups: Groups = [{"params": trained, "weight_decay": 0.0}]
        return OPTIMIZERS[name].make(groups, rate) if trained else []
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return OPTIMIZERS[name].make(groups, rate) if groups else []


def one_cycle(progress: float) -> float:
    """The share of the peak learning rate, up over a quarter of the run and down to zero.

    Smith & Topin 2017, https://arxiv.org/abs/1708.07120.

    Parameters
    ----------
    progress : float
        Share of the run that is done, 0 to 1.
    """
    if progress < WARM_UP:
        rise = 0.5 - 0.5 * math.cos(math.pi * progress / WARM_UP)
        return FIRST_RATE + (1 - FIRST_RATE) * rise
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP)))


def set_rate(optimizers: Iterable[Optimiser], rate: float) -> None:
    """Let the next steps take this learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def state_tensors(optimizers: list[Optimiser]) -> dict[str, Tensor]:
    """All that the optimisers remember, by name."""
    return {
        f"{i}/{j}/{name}": value
        for i, optimizer in enumerate(optimizers)
        for j, p in enumerate(_params(optimizer))
        for name, value in optimizer.state.get(p, {}).items()
        if isinstance(value, Tensor)
    }


def restore_state(optimizers: list[Optimiser], tensors: dict[str, Tensor]) -> None:
    """Put back what ``state_tensors`` gave."""
    for key, value in tensors.items():
        i, j, name = key.split("/")
        optimizer = optimizers[int(i)]
        p = _params(optimizer)[int(j)]
        optimizer.state.setdefault(p, {})[name] = value.to(p.device)


def _params(optimizer: Optimiser) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
