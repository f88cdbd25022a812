"""What an imputer learns of a table: its members, how they are weighed, and how sure they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.types import Batch
from isthmus.data import Modality
from isthmus.tasks.completion import (
    RECIPE,
    Hidden,
    Member,
    batch_of,
    fitted_gaussian,
    fresh,
    versions_for,
    weights_of,
)
from isthmus.tasks.places import Places, there_of
from isthmus.tasks.scatter import Doubt, Scatter, probabilities_of
from isthmus.tasks.stacking import MOST_KNOWN, Known, Moments, Stack, Ways, stacked
from isthmus.training.loop import train
from isthmus.training.outcome import Found, Progress
from isthmus.training.plan import Settings
from isthmus.training.surroundings import own_randomness
from isthmus.training.views import NOBODY, cut

MOST_ROWS = 20_000
"""Of those fitted on, that members learn from."""
HELD_ROWS = 8_000
"""Rows with cells hidden, from which weights and errors are learned; some more than once."""
Cells = Scatter | Doubt | None
"""How sure is what is said of a column: nothing is, where no value was ever seen."""


class Learned(NamedTuple):
    """All that a fit leaves."""

    stack: Stack
    cells: list[Cells]
    """One for each column."""
    found: list[Found]
    """What training gave, of each member."""


def learn(
    kind: Modality,
    batch: Batch,
    n_members: int,
    settings: Settings,
    checkpoint: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Learned:
    """Fit members, each of which has not seen a part of the rows, and judge them by that part.

    Raises
    ------
    KeyboardInterrupt
        If it was interrupted; what was trained so far is in the checkpoints.
    """
    places = Places.fit(kind, batch)
    x, there = places.of(batch.x), there_of(batch)
    seed = settings.seed % 2**63
    draws = np.random.default_rng(seed)
    folds = cut(len(x), n_members, MOST_ROWS, draws)
    if settings.max_time is not None:
        settings = replace(settings, max_time=settings.max_time / n_members)
    members, helds, found = [], [], []
    for k in range(n_members):
        rows = np.flatnonzero((folds != k) & (folds != NOBODY))
        own = np.flatnonzero(folds == k)
        versions = max(1, min(versions_for(len(own), places), HELD_ROWS // n_members // len(own)))
        held = Hidden.of(x, there, own, versions, (seed, k, 1))
        gaussian = fitted_gaussian(places, x, there, rows, held)
        shown = Hidden.of(x, there, rows, versions_for(len(rows), places), (seed, k, 0))
        weights = weights_of(places, gaussian, held)
        with own_randomness(settings.seed + k):
            model = fresh(places)
        (outcome,) = train(
            [model],
            RECIPE,
            batch_of(places, gaussian, weights, shown),
            batch_of(places, gaussian, weights, held),
            replace(settings, seed=settings.seed + k),
            on_progress=on_progress and _as_part(on_progress, k, n_members),
            checkpoint=checkpoint and checkpoint.with_name(f"{checkpoint.name}.{k}"),
            began=time.monotonic(),
        )
        if outcome.interrupted:
            raise KeyboardInterrupt
        members.append(Member(places, gaussian, model.eval()))
        helds.append(held)
        found.append(outcome.found)
    known = _known(places, members, x, there, folds)
    stack = Stack(places, members, known, _mean(places, x, there), torch.zeros(0))
    ways = [stack.ways(held.x, held.there, by=k) for k, held in enumerate(helds)]
    moments = [Moments.of(places, *pair) for pair in zip(ways, helds, strict=True)]
    stack.weights = stacked(moments)
    return Learned(stack, _judged(stack, ways, helds), found)


def _as_part(show: Callable[[Progress], None], k: int, of: int) -> Callable[[Progress], None]:
    """Progress of one of several as that of all."""

    def shown(progress: Progress) -> None:
        each = progress.seconds + progress.remaining
        left = progress.remaining + (of - k - 1) * each
        show(progress._replace(done=(k + progress.done) / of, remaining=left))

    return shown


def _mean(places: Places, x: Tensor, there: Tensor) -> Tensor:
    """(p,) of what is there: of levels, how often each is."""
    seen = places.spread(there)
    return torch.where(seen, x, 0.0).sum(0) / seen.sum(0).clamp(min=1)


def _known(
    places: Places,
    members: list[Member],
    x: Tensor,
    there: Tensor,
    folds: NDArray[np.int64],
) -> Known:
    """Rows completed by the member that has not seen them, as new rows will be."""
    rows, cells, of = [], [], []
    each = MOST_KNOWN // len(members)
    for k, member in enumerate(members):
        own = torch.from_numpy(np.flatnonzero(folds == k)[:each])
        rows.append(member.expect(x[own], there[own]).network)
        cells.append(there[own])
        of.append(torch.full((len(own),), k))
    return Known(places, torch.cat(rows), torch.cat(cells), torch.cat(of))


def _judged(stack: Stack, ways: list[Ways], helds: list[Hidden]) -> list[Cells]:
    """What held out cells say of each column."""
    places = stack.places
    mixed = torch.cat([stack.mixed(way) for way in ways])
    scatter = torch.cat([way.scatter for way in ways], 1)
    true = torch.cat([held.x for held in helds])
    asked = torch.cat([held.asked for held in helds])
    cells: list[Cells] = []
    for j in range(places.n_columns):
        at, which = places.of_column(j), asked[:, j]
        said = mixed[which][:, at].double().numpy()
        if not len(said):
            cells.append(None)
        elif places.is_number[j]:
            variances = scatter[:, which][:, :, at[0]].double().numpy()
            cells.append(Scatter.fit(said[:, 0], variances, true[which, at[0]].double().numpy()))
        else:
            level = true[which][:, at].argmax(1).numpy()
            cells.append(Doubt.fit(probabilities_of(said)[np.arange(len(level)), level]))
    return cells
