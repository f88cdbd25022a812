"""Where a run stands, as facts and tensors, and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from isthmus.training.checkpoint import joined, parted, rng_state, set_rng_state
from isthmus.training.optimisers import restore_state, state_tensors

if TYPE_CHECKING:
    from isthmus.training.loop import Run

COUNTED = (
    "epoch",
    "step",
    "rate",
    "rate_factor",
    "rollbacks",
    "best_loss",
    "patient_since",
    "history",
    "events",
    "first_loss",
    "phase_began",
)


def state_of(run: Run, finished: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """All that decides how a run goes on: what JSON can hold, and tensors."""
    facts = {name: getattr(run, name) for name in ("phase", *COUNTED)}
    facts |= {"identity": run.identity, "seconds": run.seconds(), "finished": finished}
    groups = {
        "model": dict(run.model.state_dict()),
        "best": run.best,
        "phase_start": run.phase_start,
        "penalties": dict(run.objective.penalties.state_dict()),
        "optimiser": state_tensors(run.optimisers),
        "random": rng_state(run.plan.device),
        "losses": {name: torch.stack(values) for name, values in run.losses.items()},
    }
    return facts, joined(groups)


def put_back(run: Run, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Bring a run, which has just entered its phase, to where it stood."""
    groups, device = parted(tensors), run.plan.device
    run.model.load_state_dict(groups["model"])
    run.objective.penalties.load_state_dict(groups.get("penalties", {}))
    restore_state(run.optimisers, groups.get("optimiser", {}))
    run.best, run.phase_start = groups.get("best", {}), groups["phase_start"]
    losses = groups.get("losses", {})
    run.losses = {name: list(values.to(device)) for name, values in losses.items()}
    set_rng_state(groups["random"], device)
    for name in COUNTED:
        setattr(run, name, facts[name])
    run.seconds_before, run.began = facts["seconds"], time.monotonic()
    if facts["finished"]:
        run.epoch = run.epochs
