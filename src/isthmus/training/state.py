"""Where a run stands, as facts and tensors, and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from torch import Tensor

from isthmus.core.errors import TrainingError
from isthmus.training.checkpoint import joined, parted

if TYPE_CHECKING:
    from isthmus.training.run import Run

COUNTED = ("epoch", "step", "rate", "phase_began")


def state_of(run: Run, finished: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """All that decides how a run goes on: what JSON can hold, and tensors."""
    facts = {name: getattr(run, name) for name in ("phase", *COUNTED)}
    facts |= {"identity": run.identity, "seconds": run.seconds(), "finished": finished}
    facts |= {"engine": run.engine.name, "courses": [course.facts() for course in run.courses]}
    groups = {"engine": run.engine.state()}
    for i, course in enumerate(run.courses):
        groups |= {f"{i}.{name}": weights for name, weights in course.groups().items()}
    return facts, joined(groups)


def put_back(run: Run, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Bring a run, which has just entered its phase, to where it stood.

    Raises
    ------
    TrainingError
        If another engine wrote the state, since it would go on to other bits.
    """
    if facts["engine"] != run.engine.name:
        raise TrainingError(
            f"'{run.checkpoint}' was trained on another number of threads or another device, by "
            "another engine. Take the same ones to go on with it, or delete it to start anew."
        )
    groups = parted(tensors)
    run.engine.put_back(groups["engine"])
    for i, (course, known) in enumerate(zip(run.courses, facts["courses"], strict=True)):
        names = ("best", "phase_start")
        course.put_back(known, {n: groups[f"{i}.{n}"] for n in names if f"{i}.{n}" in groups})
    for name in COUNTED:
        setattr(run, name, facts[name])
    run.seconds_before, run.began = facts["seconds"], time.monotonic()
    if facts["finished"]:
        run.epoch = run.epochs
