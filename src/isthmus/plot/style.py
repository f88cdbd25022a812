"""The house style: a quiet figure with one accent colour, made without any global state."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, RULE = "#1d1f21", "#6d7175", "#dcdfe1"
ACCENT, PLAIN = "#0b7285", "#9a8f85"
"""Ours, and the plain method beside it."""
TINT = "#1a9cb5"
"""The accent where it cannot follow the page: legible on white and on black."""

CATEGORIES = (
    "#0b7285",
    "#e07a3f",
    "#5c7cfa",
    "#c2528b",
    "#74a12e",
    "#d9a21b",
    "#7d5ba6",
    "#e05252",
    "#2fa89a",
    "#8d6e54",
)
"""Colours of labels, legible on white and on black."""

SCALE = "viridis"
TEXT_SIZE = 8.0


def figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, which belongs to nobody but its caller."""
    return Figure(figsize=(width, height), layout="constrained")


def axes(drawing: Figure, x: str = "", y: str = "") -> Axes:
    """Axes with two thin lines, small ticks, and words for x and y.

    Parameters
    ----------
    drawing : Figure
    x, y : str
        What the axes show; y stands above its axis, where it is read without turning the head.
    """
    ax = drawing.add_subplot()
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(RULE)
    ax.tick_params(colors=MUTED, labelsize=TEXT_SIZE, color=RULE, length=3, width=0.8)
    ax.set_xlabel(x, color=MUTED, fontsize=TEXT_SIZE, parse_math=False)
    ax.set_title(y, color=MUTED, fontsize=TEXT_SIZE, loc="left", parse_math=False)
    ax.set_facecolor("none")
    return ax


def note(ax: Axes, x: float, y: float, words: str, colour: str, *, above: bool = True) -> None:
    """Words at a point of the data, in place of a legend."""
    ax.annotate(
        words,
        (x, y),
        xytext=(-2, 3 if above else -3),
        textcoords="offset points",
        ha="right",
        va="bottom" if above else "top",
        color=colour,
        fontsize=TEXT_SIZE,
        parse_math=False,
    )
