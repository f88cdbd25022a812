"""What computes the steps of training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn

from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts.networks import Convolution
from isthmus.training.checkpoint import joined, parted, rng_state, set_rng_state
from isthmus.training.judge import Judge
from isthmus.training.optimisers import optimisers, restore_state, set_rate, state_tensors
from isthmus.training.plan import Plan

Weights = dict[str, Tensor]
"""All that training changes in a model, in the form of its engine."""


class Engine(ABC):
    """Trains models of one composition in lockstep, each as it would be alone."""

    name: ClassVar[str]
    trains: bool = True
    """Whether there is anything to train."""

    @abstractmethod
    def open(self, orders: Sequence[Tensor]) -> None:
        """An epoch begins: of each model, the numbers of its rows in their order."""

    @abstractmethod
    def step(self, number: int, rate: float, shares: Sequence[float]) -> None:
        """One step on the next rows, at a share of the learning rate for each model; a share of
        0 leaves a model alone.
        """

    @abstractmethod
    def losses(self) -> list[dict[str, float]]:
        """Of each model, the mean of every term of the loss since the last time."""

    @abstractmethod
    def means(self) -> list[list[float]]:
        """Of each model, the loss and the squared error of the rows that are judged."""

    @abstractmethod
    def weights(self, member: int) -> Weights:
        """A copy of the weights of a model."""

    @abstractmethod
    def restore(self, member: int, weights: Weights, diverged: bool = False) -> None:
        """Put weights back, and forget what the optimiser remembers of the way since."""

    @abstractmethod
    def publish(self, member: int) -> None:
        """Write the weights into the model itself."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that decides how training goes on."""

    @abstractmethod
    def put_back(self, state: dict[str, Tensor]) -> None:
        """Go on from what ``state`` gave."""


class TorchEngine(Engine):
    """Any composition, on any device, one model; gradients by automatic differentiation.

    Parameters
    ----------
    model : Model
    phase : int
        Which of the judge's phases.
    data : Batch
        On the device of the model.
    judge : Judge
    plan : Plan
    """

    name = "torch"

    def __init__(self, model: Model, phase: int, data: Batch, judge: Judge, plan: Plan) -> None:
        self.model, self.phase, self.data, self.judge, self.plan = model, phase, data, judge, plan
        _lay_out(model, channels_last=True)
        self.objective = Objective(model, judge.phases[phase]).to(plan.device)
        if len(self.objective.penalties) or phase:
            latents = model.encode(data.x, data.weight)
            model.code.prior.start(latents, data.row_weight)
            self.objective.start(latents)
        self.found: dict[str, list[Tensor]] = {}
        self._renew()
        self.trains = bool(self.parameters)

    def _renew(self) -> None:
        plan = self.plan
        self.optimisers = optimisers(
            self.objective, plan.optimizer, plan.learning_rate, plan.weight_decay
        )
        self.parameters = [p for o in self.optimisers for g in o.param_groups for p in g["params"]]

    def open(self, orders: Sequence[Tensor]) -> None:
        (order,) = orders
        self.batches = order.to(self.plan.device).tensor_split(self.plan.steps_per_epoch)
        self.objective.train()

    def step(self, number: int, rate: float, shares: Sequence[float]) -> None:
        set_rate(self.optimisers, rate * shares[0])
        half = self.plan.bfloat16
        kind = self.plan.device.type
        with torch.autocast(kind, torch.bfloat16) if half else nullcontext():
            loss = self.objective(self.data.rows(self.batches[number]))
        for p in self.parameters:
            p.grad = None
        loss.total.backward()
        if self.plan.gradient_clip:
            nn.utils.clip_grad_norm_(self.parameters, self.plan.gradient_clip)
        for optimizer in self.optimisers:
            optimizer.step()
        self.found.setdefault("train", []).append(loss.total.detach())
        for name, value in loss.parts.items():
            self.found.setdefault(name, []).append(value)

    def losses(self) -> list[dict[str, float]]:
        found = {k: float(torch.stack(values).double().mean()) for k, values in self.found.items()}
        self.found = {}
        return [found]

    def means(self) -> list[list[float]]:
        return [self.judge.means(self.phase)]

    def weights(self, member: int) -> Weights:
        return copied(self.model)

    def restore(self, member: int, weights: Weights, diverged: bool = False) -> None:
        self.model.load_state_dict(weights)
        if diverged and len(self.objective.penalties):
            self.objective.start(self.model.encode(self.data.x, self.data.weight))
        self._renew()

    def publish(self, member: int) -> None:
        """They are in the model, and lie there as they always do."""
        _lay_out(self.model, channels_last=False)

    def state(self) -> dict[str, Tensor]:
        return joined({
            "model": dict(self.model.state_dict()),
            "penalties": dict(self.objective.penalties.state_dict()),
            "optimiser": state_tensors(self.optimisers),
            "random": rng_state(self.plan.device),
            "losses": {name: torch.stack(values) for name, values in self.found.items()},
        })  # fmt: skip

    def put_back(self, state: dict[str, Tensor]) -> None:
        groups = parted(state)
        self.model.load_state_dict(groups["model"])
        self.objective.penalties.load_state_dict(groups.get("penalties", {}))
        restore_state(self.optimisers, groups.get("optimiser", {}))
        losses = groups.get("losses", {})
        self.found = {name: list(found.to(self.plan.device)) for name, found in losses.items()}
        set_rng_state(groups["random"], self.plan.device)


def _lay_out(model: Model, channels_last: bool) -> None:
    """How convolutions lie in memory: channels last is a tenth to a fifth faster to train with."""
    network = model.network
    if not isinstance(network, Convolution):
        return
    network.channels_last = channels_last
    form = torch.channels_last if channels_last else torch.contiguous_format
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=form)


def copied(model: nn.Module) -> Weights:
    """The state of a module, apart from it."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
