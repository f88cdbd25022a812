"""One model on its way through a run: what it reached, and what it can go back to."""

from __future__ import annotations

import math
import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from isthmus.core.errors import TrainingError
from isthmus.model import Model
from isthmus.training.engine import Engine, Weights, copied
from isthmus.training.judge import Judge
from isthmus.training.outcome import Found, Outcome
from isthmus.training.plan import Plan

ROLLBACK_RATE = 0.3
MOST_DIVERGENCES, DIVERGED_RATE = 8, 0.1
SMALLEST_FACTOR = 0.02
"""Of the planned learning rate: where that gains nothing, training stops."""
DIVERGED, DIVERGED_TIMES = 100.0, 10.0
"""Nats per value above the start, and times the start, from which a run counts as diverged."""
COUNTED = (
    "rate_factor",
    "rollbacks",
    "best_loss",
    "patient_since",
    "history",
    "events",
    "first_loss",
    "finished",
)


class Course:
    """A model in training.

    Parameters
    ----------
    model : Model
    judge : Judge
    plan : Plan
    seed : int
    """

    def __init__(self, model: Model, judge: Judge, plan: Plan, seed: int) -> None:
        self.model, self.judge, self.plan, self.seed = model, judge, plan, seed
        self.history: list[dict[str, Any]] = []
        self.events: list[str] = []
        self.rollbacks = 0
        self.start_weights: Weights = {}
        self._forget()

    def _forget(self) -> None:
        self.rate_factor, self.finished = 1.0, False
        self.best_loss, self.first_loss, self.patient_since = float("inf"), 0.0, 0
        self.best: Weights = {}
        self.phase_start: Weights = {}

    def start(self) -> None:
        """Take the model as it is for what training has to beat."""
        self.start_weights = copied(self.model)
        self.start_rows = self.judge.rows() if self.judge.phases else None

    def enter(self, engine: Engine, member: int, means: list[float]) -> None:
        """A phase begins; its first weights, with these means, are the first to be beaten."""
        self._forget()
        self.phase_start = engine.weights(member)
        self.first_loss = means[0]
        if self.judge.selects and self.model.network.starts_plain:
            self.best_loss = means[self.judge.column]
            self.best = engine.weights(member)

    def diverged(self, losses: dict[str, float], fit: float, beta: float) -> bool:
        """Whether what an epoch gave is beyond all measure."""
        bare = fit * losses["nll"] + beta * losses.get("rate", 0.0)
        limit = self.first_loss + max(DIVERGED, DIVERGED_TIMES * abs(self.first_loss))
        return not (math.isfinite(losses["train"]) and bare < limit)

    def note(
        self, engine: Engine, member: int, entry: dict[str, Any], means: list[float] | None
    ) -> None:
        """What an epoch gave, and how the rows held out are judged after it, if they were."""
        if means is not None:
            entry |= dict(zip(("validation", "validation_error"), means, strict=True))
            judged = means[self.judge.column]
            if self.judge.selects and judged < self.best_loss:
                self.best_loss = judged
                self.patient_since = entry["epoch"]
                self.best = engine.weights(member)
        self.history.append(entry)

    def lose_patience(self, engine: Engine, member: int, epoch: int) -> None:
        """Where nothing got better for long: back to the best weights, slower, or to an end."""
        if not self.best or epoch - self.patient_since < self.plan.patience:
            return
        if self.rate_factor * ROLLBACK_RATE < SMALLEST_FACTOR:
            self.events.append(f"stopped at epoch {epoch}: validation got no better")
            self.finished = True
        else:
            self._go_back(engine, member, epoch, ROLLBACK_RATE)

    def roll_back(self, engine: Engine, member: int, epoch: int, loss: float) -> None:
        """After a divergence: back to the best weights, at a far lower rate.

        Raises
        ------
        TrainingError
            If it was one too many.
        """
        self.rollbacks += 1
        if self.rollbacks > MOST_DIVERGENCES:
            raise TrainingError(
                f"training diverged {self.rollbacks} times (last loss: {loss:.3g}). "
                "Lower learning_rate, or set gradient_clip=1.0."
            )
        self._go_back(engine, member, epoch, DIVERGED_RATE, diverged=True)
        rate = self.plan.learning_rate * self.rate_factor
        event = (
            f"epoch {epoch}: training diverged (loss {loss:.3g}); went back to the best "
            f"weights and on with learning_rate={rate:.3g}"
        )
        self.events.append(event)
        warnings.warn(event, ConvergenceWarning, stacklevel=2)

    def _go_back(
        self, engine: Engine, member: int, epoch: int, rate: float, diverged: bool = False
    ) -> None:
        self.rate_factor *= rate
        self.patient_since = epoch
        engine.restore(member, self.best or self.phase_start, diverged)

    def leave(self, engine: Engine, member: int) -> None:
        """A phase ends with the best weights, in the model itself."""
        if self.best:
            engine.restore(member, self.best)
        engine.publish(member)

    def concluded(self, interrupted: bool) -> Outcome:
        """What the run gave; the model holds what is kept."""
        kept = "trained" if self.history else "start"
        validation: dict[str, Any] = {}
        if self.start_rows is not None:
            beaten, compared = self.judge.compare(self.start_rows)
            validation = compared if self.history else {}
            if beaten:
                self.model.load_state_dict(self.start_weights)
                kept = "start"
        found = Found(self.history, kept, self.events, validation)
        return Outcome(found, self.plan, interrupted)

    def facts(self) -> dict[str, Any]:
        """Where it stands, as JSON can hold it."""
        return {name: getattr(self, name) for name in COUNTED}

    def groups(self) -> dict[str, Weights]:
        """Where it stands, as tensors."""
        return {"best": self.best, "phase_start": self.phase_start}

    def put_back(self, facts: dict[str, Any], groups: dict[str, Weights]) -> None:
        """Go on from what ``facts`` and ``groups`` gave."""
        for name in COUNTED:
            setattr(self, name, facts[name])
        self.best, self.phase_start = groups.get("best", {}), groups["phase_start"]
