"""Whether training beats the plain start, on rows it does not see."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus.core.recipe import Recipe
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective, lowest, shares_of
from isthmus.training.plan import Plan
from isthmus.training.surroundings import own_randomness
from isthmus.training.views import ALL, View

JUDGED_ROWS = 2048
"""Rows trained on that are looked at where none are held out."""


class Judge:
    """Measures a model on the same rows under the same noise every time.

    The measure is the error where a code costs nothing and the likelihood is judged by it, else
    the loss. Where a phase leaves out the worst rows, so does the judge.

    Parameters
    ----------
    model : Model
    recipe : Recipe
    data, held : Batch
        On the device of the model.
    plan : Plan
    view : View, optional
        Whose columns the model is shown.
    """

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        data: Batch,
        held: Batch | None,
        plan: Plan,
        view: View = ALL,
    ) -> None:
        self.model, self.phases, self.plan = model, recipe.phases, plan
        self.held_out = held is not None
        by_error = model.likelihood.judged == "error"
        self.column = int(by_error and all(phase.beta == 0 for phase in recipe.phases))
        self.measure = "squared error" if self.column else "nats"
        penalised = any(phase.penalties for phase in recipe.phases)
        self.says_all = not penalised
        """A penalty asks for what the measure does not know."""
        if held is None:
            few = torch.arange(0, len(data.x), -(-len(data.x) // JUDGED_ROWS))
            held = data.rows(few.to(plan.device))
        self.rows_of_all = held
        self.batch = view.without_columns(held)
        weight = self.batch.row_weight
        self.weight = None if weight is None else weight / weight.mean().clamp(min=1e-12)
        """(n,) of the rows that are looked at, 1 on average."""

    @property
    def selects(self) -> bool:
        """Whether the weights are chosen by this measure while training."""
        return self.held_out and self.says_all

    def rows(self, phase: int = -1) -> Tensor:
        """(n, 2) loss and squared error of each row, per value, under the loss of a phase;
        whatever its weight.
        """
        objective = Objective(self.model, self.phases[phase]).to(self.plan.device)
        with own_randomness(self.plan.seed, self.plan.device):
            return objective.rows(self.batch)

    def means(self, phase: int = -1) -> list[float]:
        """The mean loss and squared error, per value."""
        both, trim = self.rows(phase).unbind(1), self.phases[phase].trim
        return [float((rows * shares_of(rows, trim, self.weight)).sum()) for rows in both]

    def compare(self, start: Tensor) -> tuple[bool, dict[str, Any]]:
        """Hold the model as it is now against the ``rows`` of its start.

        Returns
        -------
        beaten : bool
            Whether the start is as good, within a standard error of the difference, and is the
            plain method.
        found : dict
            "measure", "trained", "start" and the "margin"; empty where no rows are held out.
        """
        before, now = start[:, self.column], self.rows()[:, self.column]
        trim = self.phases[-1].trim
        weight = torch.ones_like(now) if self.weight is None else self.weight
        if trim:
            kept = lowest(torch.minimum(before, now), trim, weight)
            before, now, weight = before[kept], now[kept], weight[kept]
        weight = weight / weight.mean()
        before, now = weight * before, weight * now
        gain = before - now
        margin = float(gain.std(correction=0) / len(gain) ** 0.5)
        plain = self.model.network.starts_plain and self.says_all
        beaten = plain and not float(gain.mean()) > margin
        if not self.held_out:
            return beaten, {}
        corrupted = any(phase.corruption.kind != "none" for phase in self.phases)
        found: dict[str, Any] = {
            "corrupted": corrupted,
            "trained": float(now.mean()),
            "start": float(before.mean()),
            "margin": margin,
        }
        return beaten, {"measure": self.measure, **found}
