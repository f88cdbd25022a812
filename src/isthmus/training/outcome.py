"""Where a run stands, and what it gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
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
class Found:
    """What the training of a model gave, as plain data."""

    history: list[dict[str, Any]]
    kept: str
    """"trained", or "start" where training did not beat the plain method."""
    events: list[str]
    validation: dict[str, Any] = field(default_factory=dict)
    """Per value, on the rows held out: the "measure", what it was "trained" and at the "start",
    and the "margin" by which training had to win (a standard error of the difference)."""


@dataclass
class Outcome:
    """How a run ended; the model holds the weights that were kept."""

    found: Found
    plan: Plan
    interrupted: bool

    @property
    def kept(self) -> str:
        """As in what was found."""
        return self.found.kept


def together(
    found: Sequence[Found],
) -> tuple[list[dict[str, Any]], list[str], str, dict[str, Any]]:
    """History, events, what was kept and validation of models that answer with their mean.

    Numbers are the mean over the models, in each epoch over those that had it.
    """
    if len(found) == 1:
        one = found[0]
        return one.history, one.events, one.kept, one.validation
    epochs: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for one in found:
        for entry in one.history:
            epochs.setdefault((entry["phase"], entry["epoch"]), []).append(entry)
    history = [_mean(entries) for _, entries in sorted(epochs.items())]
    events = [f"member {i}: {event}" for i, one in enumerate(found) for event in one.events]
    plain = sum(one.kept == "start" for one in found)
    kept = "start" if plain == len(found) else "trained"
    if plain and plain < len(found):
        events.append(f"{plain} of {len(found)} stay as they began: training made them no better")
    return history, events, kept, _mean([one.validation for one in found if one.validation])


def _mean(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of what all of them have: numbers averaged, all else as in the first."""
    if not entries:
        return {}
    shared = [name for name in entries[0] if all(name in entry for entry in entries)]
    return {
        name: fmean(entry[name] for entry in entries)
        if isinstance(entries[0][name], float)
        else entries[0][name]
        for name in shared
    }
