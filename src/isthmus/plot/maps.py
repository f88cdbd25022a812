"""Codes as points on a plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from isthmus.plot import style
from isthmus.plot.tables import shortened

MOST_POINTS = 4000
MOST_CATEGORIES = len(style.CATEGORIES)
OTHER, UNLABELLED = "others", "unlabelled"


def map(codes: ArrayLike, labels: ArrayLike | None = None) -> Figure:
    """The first two dimensions of codes, coloured by labels.

    Parameters
    ----------
    codes : array-like of shape (n, dims)
        Of more than 4,000 rows, so many are drawn, evenly spaced. A single dimension becomes a
        histogram.
    labels : array-like of shape (n,), optional
        Names, or numbers; numbers of more than ten values become a colour scale.

    Returns
    -------
    Figure
    """
    points = np.asarray(codes, dtype=float)
    some = np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(int)
    points = points[some]
    drawing = style.figure(5.4, 4.2)
    ax = style.axes(drawing, "first dimension of the code", _vertical(points))
    if points.shape[1] == 1:
        ax.hist(points[:, 0], bins=40, color=style.ACCENT)
    elif labels is None:
        _scatter(ax, points, style.ACCENT)
    else:
        _coloured(drawing, ax, points, np.asarray(labels)[some])
    return drawing


def _vertical(points: NDArray[Any]) -> str:
    return "rows" if points.shape[1] == 1 else "second dimension of the code"


def _scatter(ax: Axes, points: NDArray[Any], colour: Any, **more: Any) -> Any:
    size = float(np.clip(9000 / max(len(points), 1), 3, 14))
    more = {"label": None, **more}
    return ax.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        c=colour,
        alpha=0.75,
        linewidths=0,
        rasterized=True,
        **more,
    )


def _coloured(drawing: Figure, ax: Axes, points: NDArray[Any], labels: NDArray[Any]) -> None:
    if labels.dtype.kind in "fiu" and len(np.unique(labels)) > MOST_CATEGORIES:
        drawn = _scatter(ax, points, labels.astype(float), cmap=style.SCALE)
        bar = drawing.colorbar(drawn, ax=ax, shrink=0.6, aspect=30)
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors=style.MUTED, labelsize=style.TEXT_SIZE, length=0)
        return
    names = named(labels)
    kinds = _kinds(names)
    names = np.where(np.isin(names, kinds), names, OTHER)
    for i, kind in enumerate(kinds):
        _scatter(ax, points[names == kind], style.CATEGORIES[i], label=str(i))
    legend = ax.legend(
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        fontsize=style.TEXT_SIZE,
        labelcolor=style.MUTED,
        markerscale=1.6,
        handletextpad=0.2,
    )
    # Set afterwards, since Matplotlib reads a meaning into "_" and "$".
    for text, kind in zip(legend.get_texts(), kinds, strict=True):
        text.set_parse_math(False)
        text.set_text(shortened(kind))


def _kinds(names: NDArray[Any]) -> list[str]:
    """The names that get a colour of their own, in order; the rare ones become ``OTHER``."""
    found, counts = np.unique(names, return_counts=True)
    if len(found) <= MOST_CATEGORIES:
        return sorted(found.tolist(), key=_in_order)
    common = found[np.argsort(-counts, kind="stable")][: MOST_CATEGORIES - 1]
    return [*sorted(common.tolist(), key=_in_order), OTHER]


def _in_order(name: str) -> tuple[float, str]:
    """Numbers by their size, before words."""
    try:
        return float(name), name
    except ValueError:
        return math.inf, name


def named(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels as words: whole numbers without a point, gaps by name."""

    def word(label: Any) -> str:
        if label is None or label != label:
            return UNLABELLED
        if isinstance(label, (float, np.floating)) and float(label).is_integer():
            return str(int(label))
        return str(label)

    return np.array([word(label) for label in labels.tolist()], dtype=object).astype(str)
