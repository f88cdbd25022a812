"""How a training went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from isthmus.plot import style

MEASURES: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "error": (
        "squared error per value, validation",
        (("validation_error", "validation", style.ACCENT),),
    ),
    "loss": (
        "loss, nats per value",
        (("train", "training", style.MUTED), ("validation", "validation", style.ACCENT)),
    ),
}
"""What each measure is called, and its lines: entry of the history, word, colour."""


def curves(
    history: Sequence[Mapping[str, Any]], plain: float | None = None, measure: str = "error"
) -> Figure:
    """One measure over the epochs of a training, against the plain method.

    Parameters
    ----------
    history : sequence of dict
        ``history_`` of an estimator.
    plain : float, optional
        What the plain method reaches on the rows held out. Training starts there.
    measure : "error" or "loss"
        Squared error on the rows held out, or the loss in nats.

    Returns
    -------
    Figure
    """
    title, lines = MEASURES[measure]
    drawing = style.figure(3.6, 2.5)
    ax = style.axes(drawing, "epoch", title)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ends: list[tuple[float, str, str]] = []
    values = [] if plain is None else [plain]
    for entry, word, colour in lines:
        points = _points(history, plain, entry)
        if points:
            ax.plot(*zip(*points, strict=True), color=colour, linewidth=1.6)
            ax.plot(*points[-1], marker="o", markersize=3.5, color=colour, clip_on=False)
            ends.append((points[-1][1], word, colour))
            values += [value for _, value in points]
    if plain is not None:
        ax.axhline(plain, color=style.PLAIN, linewidth=1.2, linestyle=(0, (4, 3)))
        ends.append((plain, "PCA", style.PLAIN))
    last = max(1, len(history))
    ax.set_xlim(0, last)
    _limits(ax, values)
    for rank, (value, word, colour) in enumerate(sorted(ends)):
        style.note(ax, last, value, word, colour, above=rank > 0 or len(ends) == 1)
    return drawing


def _points(
    history: Sequence[Mapping[str, Any]], plain: float | None, entry: str
) -> list[tuple[float, float]]:
    """Epochs and values of one entry of the history; what is held out begins as PCA."""
    points = [
        (float(i), float(epoch[entry]))
        for i, epoch in enumerate(history, start=1)
        if entry in epoch and math.isfinite(epoch[entry])
    ]
    if points and plain is not None and entry != "train":
        points = [(0.0, plain), *points]
    return points


def _limits(ax: Axes, values: Sequence[float]) -> None:
    """Show where a training ends: a wild first epoch must not flatten all that follows."""
    if not values:
        return
    low, ordered = min(values), sorted(values)
    high = ordered[min(len(ordered) - 1, int(0.98 * len(ordered)))]
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    ax.set_ylim(low - room, high + room)
