"""A model beside the plain method that its user would pick instead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from isthmus.baselines.measures import mean_and_error, squared_error
from isthmus.tasks.autoencoder import Autoencoder


@dataclass(frozen=True)
class Row:
    """One method under one measure."""

    method: str
    measure: str
    value: float
    error: float
    """Standard error of ``value``."""


@dataclass(frozen=True)
class Comparison:
    """A table of methods and measures, and what it says in a sentence."""

    rows: list[Row]
    verdict: str
    plain_wins: bool
    """Whether the plain method is as good or better."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        head = ("method", "measure", "value", "standard error")
        body = [(r.method, r.measure, f"{r.value:.5g}", f"{r.error:.2g}") for r in self.rows]
        wide = [max(len(line[i]) for line in [head, *body]) for i in range(4)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, wide, strict=True)).rstrip()
            for line in [head, *body]
        ]
        return "\n".join([*lines, "", self.verdict])


def compare(model: Autoencoder, X: Any) -> Comparison:
    """Hold a model against PCA with as many components, and against the mean, on new rows.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    X : array-like, DataFrame or images
        Rows that were not used in the fit.

    Returns
    -------
    Comparison
        Squared error per value, in the units in which the model sees the data (standard
        deviations, or 0 to 1 under a Bernoulli likelihood), and the share of variance explained.
    """
    x, _ = model._tensor(X)
    centre = model.plain_.mean
    mean = x - x + (centre.view(x.shape[1:]) if not model.plain_.patch else x.mean(0))
    methods = {
        "this model": model._rebuilt(x),
        plain_name(model): model.plain_.reconstruct(x),
        "the mean": mean,
    }
    errors = {name: squared_error(x, rebuilt) for name, rebuilt in methods.items()}
    variance = float(errors["the mean"].mean())
    rows = []
    for name, error in errors.items():
        found = mean_and_error(error)
        rows.append(Row(name, "squared error", *found))
        if variance > 0 and name != "the mean":
            explained = 1 - found.value / variance
            rows.append(Row(name, "variance explained", explained, found.error / variance))
    ours, plain = errors["this model"], errors[plain_name(model)]
    verdict, plain_wins = _verdict(model, ours, plain)
    return Comparison(rows, verdict, plain_wins)


def plain_name(model: Autoencoder) -> str:
    """The name of the plain method with as large a code."""
    patches = " of patches" if model.plain_.patch else ""
    return f"PCA{patches} ({len(model.plain_.axes)})"


def _verdict(model: Autoencoder, ours: Tensor, plain: Tensor) -> tuple[str, bool]:
    gain = mean_and_error(plain - ours)
    a, b, name = float(ours.mean()), float(plain.mean()), plain_name(model)
    n = f"{len(ours)} rows" if len(ours) > 1 else "one row, too few to tell"
    if len(ours) < 2:
        gain = gain._replace(error=abs(gain.value))
    is_plain = model.kept_ == "start" and model.model_.starts_plain
    if is_plain and abs(gain.value) <= max(2 * gain.error, 1e-3 * b):
        why = "it was not trained" if not model.history_ else "training did not beat it"
        return f"No better than {name}: this model is the plain method, since {why}.", True
    if gain.value > 2 * gain.error and b > 0:
        return f"Better than {name}: {1 - a / b:.0%} less squared error on {n}.", False
    if gain.value < -2 * gain.error:
        times = f"{a / b:.2f} times its" if b > 0 else "more"
        return f"{name} wins: this model has {times} squared error on {n}. Use PCA.", True
    return f"No clear difference from {name} on {n}. PCA is simpler: use it.", True
