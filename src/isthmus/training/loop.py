"""The training loop: models that go together in one pass over the data, others in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from isthmus.core.recipe import Recipe
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.training.outcome import Outcome, Progress
from isthmus.training.plan import Settings, plan
from isthmus.training.run import Run, dense
from isthmus.training.surroundings import (
    interruptible,
    own_helper,
    own_randomness,
    own_threads,
    single_products,
)
from isthmus.training.views import ALL, View

SHORTEST = 1e-6
"""Seconds that are left to a model where the others took all."""


def train(
    models: Sequence[Model],
    recipe: Recipe,
    data: Batch,
    held: Batch | None,
    settings: Settings,
    *,
    views: Sequence[View] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
    began: float | None = None,
) -> list[Outcome]:
    """Start models as the plain method, train them, and keep the better of the two for each.

    Small models that the dense engine can express are trained together with those of their shape,
    in one pass over the data; all others one after the other. Each gets what it would get alone.

    Parameters
    ----------
    models : sequence of Model
        Just built by one recipe, their networks of any size; trained in place. The first has the
        seed of the settings, the next ones those that follow it.
    recipe : Recipe
    data : Batch
        Rows to train on, weights of mean 1.
    held : Batch, optional
        Rows for validation. Without them the last weights are kept.
    settings : Settings
    views : sequence of View, optional
        What each model is shown of the data; all of it, if left out.
    on_progress : callable, optional
        Called about ten times a second.
    checkpoint : Path, optional
        Where the state is kept; if the file is there and of the same run, it goes on from it.
        Where models do not all go together, one file beside it for each run.
    began : float, optional
        When the clock of ``max_time`` started, by ``time.monotonic``; now, if left out.

    Returns
    -------
    list of Outcome
        One for each model.

    Raises
    ------
    TrainingError
        If training diverges for good, or the checkpoint belongs to another run.
    """
    began = time.monotonic() if began is None else began
    views = [ALL] * len(models) if views is None else views
    outcomes: dict[int, Outcome] = {}
    with interruptible() as interrupted:
        groups = together(models, recipe, data, settings, views)
        for group in groups:
            own, place, show, limit = settings, checkpoint, on_progress, None
            start = began
            if len(groups) > 1:
                start = time.monotonic()
                own = replace(settings, seed=settings.seed + group[0])
                place = checkpoint and checkpoint.with_name(f"{checkpoint.name}.{group[0]}")
                sizes = len(outcomes), len(group), len(models)
                show = on_progress and partial(_show_share, on_progress, *sizes)
                limit = _limit(settings.max_time, began, *sizes)
            run = Run(
                [models[i] for i in group],
                recipe,
                data,
                held,
                own,
                show,
                place,
                start,
                views=[views[i] for i in group],
                seeds=[settings.seed + i for i in group],
                limit=limit,
            )
            found = in_its_surroundings(run, interrupted)
            outcomes |= dict(zip(group, found, strict=True))
    return [outcomes[i] for i in range(len(models))]


def together(
    models: Sequence[Model],
    recipe: Recipe,
    data: Batch,
    settings: Settings,
    views: Sequence[View],
) -> list[list[int]]:
    """The numbers of the models that go through the data together."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, (model, view) in enumerate(zip(models, views, strict=True)):
        rows = view.size(len(data.x))
        alike: tuple[object, ...] = (i,)
        if len(models) > 1:
            chosen = plan(settings, model, rows)
            if chosen.threads == 1 and dense(chosen, model, recipe, data):
                alike = repr(model), rows, view.columns is None
        groups.setdefault(alike, []).append(i)
    return list(groups.values())


def in_its_surroundings(run: Run, interrupted: Callable[[], bool]) -> list[Outcome]:
    """The run to its end, with random numbers and threads of its own."""
    with ExitStack() as stack:
        stack.enter_context(own_randomness(run.plan.seed, run.plan.device))
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(own_threads(run.plan.threads))
        stack.enter_context(single_products())
        if len(run.courses) > 1 and run.plan.threads > 1:
            run.helper = stack.enter_context(own_helper())
        return run.to_the_end(interrupted)


def _limit(max_time: float | None, began: float, before: int, here: int, n: int) -> float | None:
    """Seconds for so many of the models that are left."""
    if max_time is None:
        return None
    left = max_time - (time.monotonic() - began)
    return max(SHORTEST, left) * here / (n - before)


def _show_share(
    show: Callable[[Progress], None], before: int, here: int, n: int, progress: Progress
) -> None:
    """The progress of a run of some models as that of all."""
    done = (before + here * progress.done) / n
    each = (progress.seconds + progress.remaining) / here
    show(progress._replace(done=done, remaining=progress.remaining + (n - before - here) * each))
