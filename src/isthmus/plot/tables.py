"""Column by column, what a model loses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from isthmus.plot import style

MOST_COLUMNS, LONGEST_NAME = 24, 28


def columns(names: Sequence[str], ours: ArrayLike, plain: ArrayLike) -> Figure:
    """The error of each column, a model's beside PCA's; those that PCA finds hardest come first.

    Parameters
    ----------
    names : sequence of str
    ours, plain : array-like of shape (n_columns,)
        Mean squared error, in variances of the column. The 24 largest of ``plain`` are drawn.

    Returns
    -------
    Figure
    """
    model, pca = np.asarray(ours, dtype=float), np.asarray(plain, dtype=float)
    order = np.argsort(-pca, kind="stable")[:MOST_COLUMNS][::-1]
    places = np.arange(len(order))
    drawing = style.figure(7.2, 0.8 + 0.21 * len(order))
    ax = style.axes(drawing, "squared error, in variances of the column")
    ax.hlines(places, model[order], pca[order], color=style.RULE, linewidth=2)
    ax.plot(pca[order], places, "o", color=style.PLAIN, markersize=5, label="PCA")
    ax.plot(model[order], places, "o", color=style.ACCENT, markersize=5, label="this model")
    ax.set_yticks(places, [shortened(names[i]) for i in order], parse_math=False)
    ax.tick_params(axis="y", length=0, labelcolor=style.INK)
    ax.spines["left"].set_visible(False)
    ax.set_xlim(left=0)
    ax.set_ylim(-0.7, len(order) - 0.3)
    ax.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=style.TEXT_SIZE,
        labelcolor=style.MUTED,
    )
    return drawing


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """A name on one line; unless told otherwise, one that fits beside an axis."""
    line = " ".join(str(name).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
