"""Which rows are strange, and whether the rate of false alarms is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from isthmus.plot import style
from isthmus.plot.maps import MOST_POINTS

WIDTH, HEIGHT = 3.6, 2.7
"""Inches; two figures stand side by side."""
FRAME, LEAST_FRAME = 5.0, 25.0
"""Up to where scores are shown in their place, in thresholds and in nats."""
ROOM = 0.06
"""Of the height of the frame, above the highest point and below the lowest."""
STEPS = 200
FINEST = 1e-4
"""Rate of false alarms that is shown, however many rows there are."""
BELOW = 5
"""Times a smaller rate is shown than the one that is marked, so that there is room for words."""
ERRORS = 2.0
"""Standard errors on either side, which chance leaves in 19 of 20 cases."""
NARROW, FLAT = 0.25, 0.1
"""Shares of the figure that words need beside a point, and above or below it."""


def alarms(scores: ArrayLike, threshold: float) -> Figure:
    """Scores in the order of the rows; those above the threshold are alarms, in colour.

    Parameters
    ----------
    scores : array-like of shape (n,)
        How strange each row is, in nats. Of more than 4,000 rows below the threshold so many are
        drawn, evenly spaced; of more than 4,000 alarms so many, evenly from the strangest to the
        least. What is far above the threshold is a triangle at the upper edge.
    threshold : float

    Returns
    -------
    Figure
    """
    values = np.asarray(scores, dtype=float)
    calm, loud = np.flatnonzero(values <= threshold), np.flatnonzero(values > threshold)
    by_strangeness = loud[np.argsort(-values[loud], kind="stable")]
    drawing = style.figure(WIDTH, HEIGHT)
    ax = style.axes(
        drawing, "row, in the order they came", "strangeness, nats; the line is the threshold"
    )
    low, high = _frame(values, threshold)
    _points(ax, _evenly(calm), values, style.PLAIN, high)
    _points(ax, _evenly(by_strangeness), values, style.TINT, high, largest=20)
    ax.axhline(threshold, color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    ax.set_xlim(-0.5 - 0.02 * len(values), 1.02 * len(values) - 0.5)
    ax.set_ylim(low, high + ROOM * (high - low))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4, min_n_ticks=1))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda row, _: f"{row:,.0f}"))
    return drawing


def _frame(values: NDArray[Any], threshold: float) -> tuple[float, float]:
    """Scores between which points stand where they belong."""
    most = max(float(values.max(initial=threshold)), 1.25 * threshold, threshold + 1)
    high = min(most, max(FRAME * threshold, LEAST_FRAME))
    low = min(float(values.min(initial=threshold)), 0.0)
    return low - ROOM * (high - low), high


def _evenly(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    places = np.linspace(0, len(rows) - 1, min(len(rows), MOST_POINTS)).astype(int)
    found: NDArray[np.int64] = rows[places]
    return found


def _points(
    ax: Axes,
    rows: NDArray[np.int64],
    values: NDArray[Any],
    colour: str,
    high: float,
    largest: float = 12,
) -> None:
    size = float(np.clip(9000 / max(len(rows), 1), 3, largest))
    beyond = values[rows] > high
    for chosen, marker in ((rows[~beyond], "o"), (rows[beyond], "^")):
        ax.scatter(
            chosen,
            np.minimum(values[chosen], high),
            s=size * (1.5 if marker == "^" else 1),
            c=colour,
            alpha=0.85,
            linewidths=0,
            marker=marker,
            rasterized=True,
        )


def promise(pvalues: ArrayLike, rate: float, known: int) -> Figure:
    """The share of rows that are alarms, over the rate of false alarms that is asked for.

    Where all rows are ordinary, both are the same, but for chance; anomalies lift the line.

    Parameters
    ----------
    pvalues : array-like of shape (n,)
    rate : float
        The rate of false alarms that is marked, above 0 and below 1.
    known : int
        How many ordinary rows p-values are shares of; they too are only a sample.

    Returns
    -------
    Figure
    """
    ordered = np.sort(np.asarray(pvalues, dtype=float))
    n = max(len(ordered), 1)
    low = min(rate, max(1 / n, FINEST)) / BELOW
    rates = np.geomspace(low, 1, STEPS)
    reached = np.searchsorted(ordered, np.array([*rates, rate]), "right") / n
    chance = ERRORS * np.sqrt(rates * (1 - rates) * (1 / n + 1 / max(known, 1)))
    drawing = style.figure(WIDTH, HEIGHT)
    ax = style.axes(drawing, "rate of false alarms", "share of rows that are alarms")
    _shares(ax, low)
    inside = np.clip([rates - chance, rates + chance], low, 1)
    ax.fill_between(rates, *inside, color=style.RULE, alpha=0.7, linewidth=0)
    ax.plot([low, 1], [low, 1], color=style.MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    ax.plot(rates, np.maximum(reached[:-1], low), color=style.ACCENT, linewidth=1.6)
    share = float(reached[-1])
    ax.plot(rate, max(share, low), "o", color=style.ACCENT, markersize=4.5, clip_on=False)
    _mark(ax, rate, max(share, low), f"{_percent(share)} at {_percent(rate)}")
    return drawing


def _shares(ax: Axes, low: float) -> None:
    """Both axes are shares, in powers of ten."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(low, 1)
    ax.set_ylim(low, 1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(10, numticks=9))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda share, _: _percent(share)))


def _mark(ax: Axes, x: float, y: float, words: str) -> None:
    """Words beside a point of a line that never falls: to the left above it, or to the right below
    it, or on the other side of it where that would be outside.
    """
    low = np.log(ax.get_xlim()[0])
    across, up = 1 - np.log(x) / low, 1 - np.log(y) / low
    left = across > NARROW
    above = up < (1 - FLAT if left else FLAT)
    ax.annotate(
        words,
        (x, y),
        xytext=(-4 if left else 4, 4 if above else -4),
        textcoords="offset points",
        ha="right" if left else "left",
        va="bottom" if above else "top",
        color=style.ACCENT,
        fontsize=style.TEXT_SIZE,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"
