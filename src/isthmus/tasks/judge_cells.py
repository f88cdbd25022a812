"""An imputer beside what else would fill gaps, on cells that are hidden for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isthmus.baselines.comparison import Comparison, Row
from isthmus.baselines.imputers import MEAN, plain_fillers
from isthmus.baselines.measures import mean_and_error
from isthmus.core.errors import DataError, SpecError
from isthmus.core.ranges import share as a_share
from isthmus.core.types import Batch
from isthmus.tasks.compare import OURS
from isthmus.tasks.places import Places, there_of

if TYPE_CHECKING:
    from isthmus.tasks.impute import Imputer

OF_MEAN = "error beside the mean's"
LEAST_SHARE, MOST_SHARE = 0.1, 0.5
MOST_ROWS = 2000
"""Rows that are compared: nearest neighbours take long to find."""


def judge_cells(imputer: Imputer, X: Any, share: float | None = None) -> Comparison:
    """See ``Imputer.compare``."""
    if share is not None and not a_share(share, "share") > 0:
        raise SpecError(f"share must be above 0 and below 1, got {share!r}.")
    batch = imputer._asked(X, None).batch
    few = torch.arange(0, len(batch.x), -(-len(batch.x) // MOST_ROWS))
    batch = batch.rows(few)
    there = there_of(batch) & torch.from_numpy(np.array(imputer.kind_.spread.known))
    if share is None:
        share = min(MOST_SHARE, max(LEAST_SHARE, 1 - float(there.float().mean())))
    asked = there & torch.from_numpy(np.random.default_rng(0).random(there.shape) < share)
    if not bool(asked.any()):
        raise DataError("there are too few cells to hide some and see how they are filled.")
    filled = _filled(imputer, batch, there & ~asked)
    likelihood = imputer.stack_.places.likelihood
    errors = {
        name: torch.where(asked, likelihood.error(found, batch.x), 0.0).double()
        for name, found in filled.items()
    }
    losses = _of_columns(errors, asked)
    rows = [Row(name, OF_MEAN, *mean_and_error(loss)) for name, loss in losses.items()]
    for j, column in enumerate(imputer._names()):
        if bool(asked[:, j].any()):
            rows += [
                Row(name, "error", *mean_and_error(error[asked[:, j], j]), column=column)
                for name, error in errors.items()
            ]
    return Comparison(rows, *_verdict(losses, share))


def _of_columns(errors: dict[str, Tensor], asked: Tensor) -> dict[str, Tensor]:
    """(n,) the errors of rows in units of those of the mean or mode, whose mean is 1: each column
    counts the same, however far its largest values lie.
    """
    usual = errors[MEAN].sum(0)
    judged = usual > 0
    share = torch.where(judged, len(asked) / usual.clamp(min=1e-12), 0.0) / judged.sum().clamp(
        min=1
    )
    return {name: (error * share).sum(1) for name, error in errors.items()}


def _filled(imputer: Imputer, batch: Batch, seen: Tensor) -> dict[str, Tensor]:
    """(n, columns) by each method, the cells that are not seen filled in."""
    stack, places = imputer.stack_, imputer.stack_.places
    x = places.of(batch.x)
    found = {OURS: imputer.filler_.expected(stack.ways(x, seen))}
    kept, last = _without_last(places)

    def gappy(rows: Tensor, cells: Tensor) -> Any:
        return torch.where(places.spread(cells), rows, torch.nan)[:, kept].double().numpy()

    known = stack.known
    for name, fill in plain_fillers(gappy(known.rows, known.there)).items():
        whole = torch.zeros(len(x), places.n_values)
        whole[:, kept] = torch.from_numpy(fill(gappy(x, seen))).float()
        for end, others in last.items():
            whole[:, end] = 1 - whole[:, others].sum(1)
        found[name] = imputer.filler_.within(places.likelihood.unembed(whole))
    return found


def _without_last(places: Places) -> tuple[Tensor, dict[int, Tensor]]:
    """The places of values but for the last of each category, and for those the others of theirs.

    With all of them, a regression would find each place in the others, which are missing too.
    """
    last = {}
    for j in np.flatnonzero(~places.is_number & (places.width > 1)):
        *others, end = places.of_column(int(j)).tolist()
        last[end] = torch.tensor(others)
    return torch.tensor([i for i in range(places.n_values) if i not in last]), last


def _verdict(losses: dict[str, Tensor], share: float) -> tuple[str, bool]:
    ours = losses[OURS]
    best = min(
        (name for name in losses if name != OURS), key=lambda name: float(losses[name].mean())
    )
    gain = mean_and_error(losses[best] - ours)
    a, b, n = float(ours.mean()), float(losses[best].mean()), len(ours)
    where = f"where {share:.0%} of the cells of {n:,} rows are hidden"
    if n > 1 and gain.value > 2 * gain.error and b > 0:
        return f"Better than {best}: {1 - a / b:.0%} less error {where}.", False
    if n > 1 and gain.value < -2 * gain.error:
        return f"{best} wins: this model has {a / b:.2f} times its error {where}. Use it.", True
    return f"No clear difference from {best} {where}. It is simpler: use it.", True
