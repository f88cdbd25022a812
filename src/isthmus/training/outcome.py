"""Where a run stands, and what it gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from isthmus.training.plan import Plan


class Progress(NamedTuple):
    """Where a run stands."""

    done: float
    """Share of the run, 0 to 1."""
    epoch: int
    epochs: int
    seconds: float
    remaining: float
    """Seconds, estimated."""
    loss: float
    """Nats per value, of the last epoch."""
    validation_error: float | None
    """Squared error per standardised value."""


@dataclass
class Outcome:
    """What a run gave; the model holds the weights that were kept."""

    history: list[dict[str, Any]]
    kept: str
    """"trained", or "start" where training did not beat the plain method."""
    epochs: int
    plan: Plan
    events: list[str]
    interrupted: bool
    validation: dict[str, Any] = field(default_factory=dict)
    """Per value, on the rows held out: the "measure", what it was "trained" and at the "start",
    and the "margin" by which training had to win (a standard error of the difference)."""
