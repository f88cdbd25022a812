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
        """Whether the loss is more than a sum over rows and draws."""
        self.corruption = CORRUPTIONS.build(phase.corruption)
        self.corruption.suit(model.likelihood)
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
        total, parts = self._by_rows(step) if self.by_rows else self._by_terms(step)
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
        step: Step = self.model(target.whole, seen, self.samples, pulled)
        return step

    def _by_terms(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """Distortion and rate, each averaged over rows."""
        n_values = self.values * len(step.target.x)
        whole = step.costs.numel() == n_values
        nll = step.costs.mean() if whole else step.costs.sum() / n_values
        parts = {"nll": nll.detach()}
        total = nll if self.fit == 1 else self.fit * nll
        if self.beta:
            rate = weighed(step.code.rate, step.target).mean() / self.values
            parts["rate"] = rate.detach()
            total = total + self.beta * rate
        return total, parts

    def _by_rows(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each row as a whole, averaged over the rows that are kept."""
        rows, weight = self._rows(step), step.target.row_weight
        shares = shares_of(rows, self.trim, None if weight is None else weight[: len(rows)])
        shares = shares / self.values
        nll, rate = alone(step.nll, step.target), step.code.rate
        found = {"nll": nll, "rate": rate} if self.beta else {"nll": nll}
        parts = {
            name: (term.detach().view(self.samples, -1).mean(0) * shares).sum()
            for name, term in found.items()
        }
        return (rows * shares).sum(), parts

    def _rows(self, step: Step) -> Tensor:
        """(B,) nats of distortion and rate, of a row that weighs 1; of several draws, less the
        log of their mean weight.
        """
        losses = self.fit * alone(step.nll, step.target) + self.beta * step.code.rate
        if self.samples == 1:
            return losses
        by_draw = losses.view(self.samples, -1)
        return math.log(self.samples) - (-by_draw).logsumexp(0)

    def rows(self, batch: Batch) -> Tensor:
        """(n, 2) the loss and the error of each row, per value, whatever its weight.

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
            errors = alone(error.flatten(1).sum(1), target).view(self.samples, -1).mean(0)
            return torch.stack([self._rows(step), errors], 1) / self.values

        self.corruption.eval()
        try:
            with torch.inference_mode():
                return self.model.by_blocks(run, *batch)
        finally:
            self.corruption.train(self.training)


def lowest(rows: Tensor, trim: float, weight: Tensor | None = None) -> Tensor:
    """The numbers of the rows with the smallest losses: all but ``trim`` of the whole weight."""
    if weight is None:
        return rows.topk(max(1, len(rows) - int(trim * len(rows))), largest=False).indices
    order = rows.argsort()
    before = weight[order].cumsum(0) - weight[order]
    return order[before < (1 - trim) * weight.sum()]


def shares_of(rows: Tensor, trim: float, weight: Tensor | None = None) -> Tensor:
    """(n,) what each row counts in the mean of those that ``lowest`` keeps; they sum to the mean
    weight of all rows, as they do where none is left out.
    """
    kept = torch.ones_like(rows) if weight is None else weight
    whole = kept.mean()
    if trim:
        index = lowest(rows.detach(), trim, weight)
        kept = torch.zeros_like(kept).index_copy(0, index, kept[index])
    return kept * (whole / kept.sum().clamp(min=1e-12))


def alone(rows: Tensor, batch: Batch) -> Tensor:
    """(B,) sums over weighed values, less the weight of their row."""
    weight = batch.row_weight
    return rows if weight is None else rows / weight.clamp(min=1e-12)


def weighed(rows: Tensor, batch: Batch) -> Tensor:
    """(B,) rows times their weight; a row is as heavy as its heaviest value."""
    weight = batch.row_weight
    if weight is None:
        return rows
    return rows * weight[: len(rows)]
