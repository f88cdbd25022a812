"""A model beside the plain method that its user would pick instead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from isthmus.baselines.comparison import Comparison, Row
from isthmus.baselines.measures import mean_and_error
from isthmus.core.types import Batch
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.plain import (
    errors,
    has_places,
    mean_name,
    mean_rebuilt,
    plain_name,
    plain_rebuilt,
    there,
)

OURS = "this model"
PART_VALUES = 1 << 24
"""Values that are compared at a time."""
ROUNDING_SHARE, ROUNDING = 1e-9, 1e-12
"""Of the variance, and of one unit: errors below are those of single precision."""


def compare(model: Autoencoder, X: Any) -> Comparison:
    """Hold a model against PCA with as many components, and against the mean, on new rows.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    X : array-like, DataFrame or images
        Rows that were not used in the fit. What is missing is not measured.

    Returns
    -------
    Comparison
        Squared error per value, in the units in which the model sees the data (standard
        deviations, or 0 to 1 under a Bernoulli likelihood), and the share of variance explained.
        Of a table with categories also every column in its own terms: the accuracy of a
        category, the squared error of a number; PCA then sees categories one-hot, and the error
        of a category is 1 where it is wrong.
    """
    if hasattr(model, "compare"):
        found: Comparison = model.compare(X)
        return found
    batch, _ = model._batch(X)
    mixed = has_places(model)
    cells, known = _measured(model, batch, by_column=mixed)
    usual = known.sum(1).mean().clamp(min=1e-12)
    losses = {name: found.sum(1) / usual for name, found in cells.items()}
    measure = "error" if mixed else "squared error"
    rows = list(_whole(losses, measure, explained=not mixed))
    if mixed:
        rows += _columns(model, cells, known)
    verdict, plain_wins = _verdict(model, measure, *losses.values())
    return Comparison(rows, verdict, plain_wins)


def _measured(
    model: Autoencoder, batch: Batch, by_column: bool
) -> tuple[dict[str, Tensor], Tensor]:
    """(n, columns) errors by method, or (n, 1) their sums, and how many values they are of."""
    cells: dict[str, list[Tensor]] = {}
    known = []

    def gathered(values: Tensor) -> Tensor:
        return values if by_column else values.flatten(1).sum(1, keepdim=True)

    for part in _parts(batch):
        rebuilt = {
            OURS: model._rebuilt(part),
            plain_name(model): plain_rebuilt(model, part),
            mean_name(model): mean_rebuilt(model, part),
        }
        for name, found in rebuilt.items():
            cells.setdefault(name, []).append(gathered(errors(model, found, part)))
        known.append(gathered(there(part)))
    return {name: torch.cat(found) for name, found in cells.items()}, torch.cat(known)


def _parts(batch: Batch) -> Iterator[Batch]:
    """Some rows at a time, dense."""
    n, *shape = batch.x.shape
    some = max(1, PART_VALUES // math.prod(shape))
    for first in range(0, n, some):
        yield batch.rows(torch.arange(first, min(n, first + some)))


def _whole(losses: dict[str, Tensor], measure: str, explained: bool) -> Iterator[Row]:
    """All values together."""
    *_, mean = losses
    variance = float(losses[mean].mean())
    for name, loss in losses.items():
        found = mean_and_error(loss)
        yield Row(name, measure, *found)
        if explained and variance > 0 and name != mean:
            share = 1 - found.value / variance
            yield Row(name, "variance explained", share, found.error / variance)


def _columns(model: Autoencoder, cells: dict[str, Tensor], known: Tensor) -> Iterable[Row]:
    """Every column in its own terms."""
    described = model.kind_.columns_described() or []
    kinds = list(model.recipe_.likelihood.options.get("columns", ()))
    names = [name for name, kind in described if kind != "text"]
    for j, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        seen = known[:, j] > 0
        if not bool(seen.any()):
            continue
        category = kind == "category"
        for method, found in cells.items():
            values = found[seen, j]
            at = mean_and_error(1 - values if category else values)
            yield Row(method, "accuracy" if category else "squared error", *at, column=name)


def _verdict(
    model: Autoencoder, measure: str, ours: Tensor, plain: Tensor, mean: Tensor
) -> tuple[str, bool]:
    gain = mean_and_error(plain - ours)
    a, b, name = float(ours.mean()), float(plain.mean()), plain_name(model)
    n = f"{len(ours)} rows" if len(ours) > 1 else "one row, too few to tell"
    if len(ours) < 2:
        gain = gain._replace(error=abs(gain.value))
    rounding = max(ROUNDING_SHARE * float(mean.mean()), ROUNDING)
    exact = max(a, b) <= rounding
    is_plain = model.kept_ == "start" and model.model_.starts_plain
    if is_plain and (exact or abs(gain.value) <= max(2 * gain.error, 1e-3 * b)):
        why = "training did not beat it" if model.recipe_.phases else "it was not trained"
        return f"No better than {name}: this model is the plain method, since {why}.", True
    if exact:
        return (
            f"{name} does as well: both rebuild the rows exactly, but for rounding. Use PCA.",
            True,
        )
    if gain.value > 2 * gain.error and b > 0:
        return f"Better than {name}: {1 - a / b:.0%} less {measure} on {n}.", False
    if gain.value < -2 * gain.error:
        found = f"{a / b:.2f} times its {measure}" if b > rounding else f"{measure} {a:.2g} to none"
        return f"{name} wins: this model has {found} on {n}. Use PCA.", True
    return f"No clear difference from {name} on {n}. PCA is simpler: use it.", True
