"""The loss of a model in one phase of a recipe."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from isthmus.core.recipe import Phase
from isthmus.core.types import Batch, Loss, Step
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
        self.samples, self.trim = phase.samples, phase.trim
        self.by_rows = self.samples > 1 or self.trim > 0
        """Whether rows are more than the sum of their values, so that they are looked at one by
        one: their weights then come last."""
        self.corruption = CORRUPTIONS.build(phase.corruption)
        self.penalties = nn.ModuleDict(
            {penalty.kind: PENALTIES.build(penalty) for penalty in phase.penalties}
        )
        self.pulled = any(PENALTIES[penalty.kind].pulls for penalty in phase.penalties)  # type: ignore[attr-defined]
        self.values = math.prod(model.shape)

    def start(self, latents: Tensor) -> None:
        """Let the penalties look at the codes with which the phase begins."""
        for penalty in self.penalties.values():
            assert isinstance(penalty, Penalty)
            penalty.start(latents)

    def forward(self, batch: Batch) -> Loss:
        """The loss of one batch, per value, and its terms."""
        step = self._step(batch, self.pulled)
        n_values = self.values * len(step.target.x)
        whole = step.costs.numel() == n_values
        nll = step.costs.mean() if whole else step.costs.sum() / n_values
        parts = {"nll": nll.detach()}
        total = nll if self.fit == 1 else self.fit * nll
        if self.beta:
            rate = weighed(step.code.rate, step.target).mean() / self.values
            parts["rate"] = rate.detach()
            total = total + self.beta * rate
        if self.by_rows:
            total = lowest(self._rows(step), self.trim, of_rows(batch)).mean() / self.values
        if self.model.code.has_aux:
            total = total + weighed(step.code.aux, step.target).mean() / self.values
        for name, penalty in self.penalties.items():
            assert isinstance(penalty, Penalty)
            value = penalty(self.model, step)
            value = weighed(value, step.target).mean() if value.ndim else value
            parts[name] = value.detach()
            total = total + penalty.weight * value
        return Loss(total, parts)

    def _step(self, batch: Batch, pulled: bool = False) -> Step:
        """One pass, with as many draws of the code for each row as the phase asks for."""
        seen, target = self.corruption(batch)
        if self.by_rows and of_rows(batch) is not None:
            seen, target = seen._replace(weight=None), target._replace(weight=None)
        step: Step = self.model(target, seen, self.samples, pulled)
        return step

    def _rows(self, step: Step) -> Tensor:
        """(B,) nats of distortion and rate; of several draws, less the log of their mean weight."""
        losses = self.fit * step.nll + self.beta * weighed(step.code.rate, step.target)
        if self.samples == 1:
            return losses
        by_draw = losses.view(self.samples, -1)
        return math.log(self.samples) - (-by_draw).logsumexp(0)

    def rows(self, batch: Batch) -> Tensor:
        """(n, 2) the loss and the error of each row, per value.

        A code draws as in training, so that its rate and what it buys are of one draw. Penalties
        are left out: they need not be sums over rows.
        """

        def run(*parts: Tensor | None) -> Tensor:
            self.model.code.train()
            batch = Batch(*parts)  # type: ignore[arg-type]
            step = self._step(batch)
            likelihood, target = self.model.likelihood, step.target
            error = likelihood.error(likelihood.mean(step.params), target.x)
            if target.weight is not None:
                error = error * like(target.weight, error)
            errors = error.flatten(1).sum(1).view(self.samples, -1).mean(0)
            found = torch.stack([self._rows(step), errors], 1) / self.values
            weight = of_rows(batch) if self.by_rows else None
            return found if weight is None else found * weight.unsqueeze(1)

        self.corruption.eval()
        try:
            with torch.inference_mode():
                return self.model.by_blocks(run, *batch)
        finally:
            self.corruption.train(self.training)


def lowest(rows: Tensor, trim: float, weight: Tensor | None = None) -> Tensor:
    """The rows with the smallest losses, times their weight: all but the share ``trim``."""
    if weight is None:
        most = max(1, len(rows) - int(trim * len(rows)))
        return rows.topk(most, largest=False).values if trim else rows
    if not trim:
        return rows * weight
    order = rows.argsort()
    rows, weight = rows[order], weight[order]
    total = weight.sum()
    kept = (weight.cumsum(0) - weight < (1 - trim) * total) & (weight > 0)
    return rows[kept] * weight[kept]


def of_rows(batch: Batch) -> Tensor | None:
    """(B,) weights of rows, where a batch has these and none of values."""
    return batch.weight if batch.weight is not None and batch.weight.ndim == 1 else None


def weighed(rows: Tensor, batch: Batch) -> Tensor:
    """(B,) rows times their weight; a row is as heavy as its heaviest value."""
    weight = batch.row_weight
    return rows if weight is None else rows * weight
