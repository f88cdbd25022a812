"""The loss of a model in one phase of a recipe."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from isthmus.core.recipe import Phase
from isthmus.core.types import Batch, Loss
from isthmus.model import Model, like
from isthmus.parts import CORRUPTIONS, PENALTIES, Penalty


class Objective(nn.Module):
    """Owns the model while training: one module, one forward, so that replicas stay equal.

    loss(x) = fit * nll(x | decode(z)) + beta * rate(z) + aux(z) + sum of weight * penalty,
    per value of x, averaged over rows.

    Parameters
    ----------
    model : Model
    phase : Phase
    """

    def __init__(self, model: Model, phase: Phase) -> None:
        super().__init__()
        self.model = model
        self.fit, self.beta = phase.fit, phase.beta
        self.corruption = CORRUPTIONS.build(phase.corruption)
        self.penalties = nn.ModuleDict(
            {penalty.kind: PENALTIES.build(penalty) for penalty in phase.penalties}
        )
        self.values = math.prod(model.shape)

    def start(self, latents: Tensor) -> None:
        """Let the penalties look at the codes with which the phase begins."""
        for penalty in self.penalties.values():
            assert isinstance(penalty, Penalty)
            penalty.start(latents)

    def forward(self, batch: Batch) -> Loss:
        """The loss of one batch, per value, and its terms."""
        seen, target = self.corruption(batch)
        step = self.model(target, seen)
        n_values = self.values * len(target.x)
        whole = step.costs.numel() == n_values
        nll = step.costs.mean() if whole else step.costs.sum() / n_values
        parts = {"nll": nll.detach()}
        total = nll if self.fit == 1 else self.fit * nll
        if self.beta:
            rate = weighed(step.code.rate, batch).mean() / self.values
            parts["rate"] = rate.detach()
            total = total + self.beta * rate
        if self.model.code.has_aux:
            total = total + weighed(step.code.aux, batch).mean() / self.values
        for name, penalty in self.penalties.items():
            assert isinstance(penalty, Penalty)
            value = penalty(self.model, step)
            value = weighed(value, batch).mean() if value.ndim else value
            parts[name] = value.detach()
            total = total + penalty.weight * value
        return Loss(total, parts)

    def rows(self, batch: Batch) -> Tensor:
        """(n, 2) the loss and the squared error of each row, per value.

        A code draws as in training, so that its rate and what it buys are of one draw. Penalties
        are left out: they need not be sums over rows.
        """

        def run(*parts: Tensor | None) -> Tensor:
            self.model.code.train()
            seen, target = self.corruption(Batch(*parts))  # type: ignore[arg-type]
            step = self.model(target, seen)
            rate = weighed(step.code.rate, target)
            loss = self.fit * step.nll + self.beta * rate
            error = (self.model.likelihood.mean(step.params) - target.x).square()
            if target.weight is not None:
                error = error * like(target.weight, error)
            return torch.stack([loss, error.flatten(1).sum(1)], 1) / self.values

        with torch.inference_mode():
            return self.model.by_blocks(run, *batch)


def weighed(rows: Tensor, batch: Batch) -> Tensor:
    """(B,) rows times their weight; a row is as heavy as its heaviest value."""
    if batch.weight is None:
        return rows
    return rows * (batch.weight if batch.weight.ndim == 1 else batch.weight.flatten(1).amax(1))
