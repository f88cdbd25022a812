"""Pieces of a page. Words of the user's pass through ``text``, always."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from isthmus.plot import style

ROLES = {
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.RULE: "var(--rule)",
    style.ACCENT: "var(--accent)",
    style.PLAIN: "var(--plain)",
}
"""Colours of the house style that follow the light or dark of the page."""
PIXELS_PER_INCH = 100
"""At most, so that letters are of one size in all pictures."""


class Section(NamedTuple):
    """A titled piece of a chapter."""

    title: str
    body: str
    """HTML."""


def text(words: Any) -> str:
    """Any words as HTML that shows just them."""
    return html.escape(str(words), quote=True)


def paragraph(words: str, kind: str = "") -> str:
    """A paragraph of plain words."""
    return f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>"


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values, one beside the other."""
    items = "".join(f"<div><dt>{text(a)}</dt><dd>{text(b)}</dd></div>" for a, b in pairs)
    return f'<dl class="facts">{items}</dl>'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    emphasised: int = -1,
    wordy: Sequence[int] = (),
) -> str:
    """A table; the first column holds names, the others numbers.

    Parameters
    ----------
    head : sequence of str
    rows : iterable of sequence of str
    emphasised : int
        The row that the others are beside.
    wordy : sequence of int
        The columns that hold sentences in place of numbers; each line of them stays one.
    """
    kinds = [' class="words"' if j in wordy else "" for j in range(len(head))]
    cells = "".join(
        f'<th scope="col"{kind}>{text(cell)}</th>' for cell, kind in zip(head, kinds, strict=True)
    )
    lines = []
    for i, (first, *others) in enumerate(rows):
        mark = ' class="ours"' if i == emphasised else ""
        rest = "".join(
            f"<td{kind}>{text(cell)}</td>" for cell, kind in zip(others, kinds[1:], strict=True)
        )
        lines.append(f'<tr{mark}><th scope="row">{text(first)}</th>{rest}</tr>')
    inside = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="wide"><table>{inside}</table></div>'


def bars(rows: Iterable[tuple[str, float, str, str]]) -> str:
    """Horizontal bars: what, how much, the number in words, and "ours" or "plain"."""
    rows = list(rows)
    longest = max((value for _, value, _, _ in rows), default=0.0) or 1.0
    lines = "".join(
        f'<div class="bar {kind}" style="--share:{max(0.0, value / longest):.4f}">'
        f"<span>{text(what)}</span><i></i><b>{text(number)}</b></div>"
        for what, value, number, kind in rows
    )
    return f'<div class="bars">{lines}</div>'


def picture(drawing: Figure, described: str, name: str, kind: str = "") -> str:
    """A figure as inline SVG whose colours and letters are those of the page.

    Parameters
    ----------
    drawing : Figure
    described : str
        What it shows, for those who do not see it.
    name : str
        Unique on the page.
    kind : str
        "wide" for one that may not shrink below a legible size.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        drawing.savefig(buffer, format="svg", transparent=True, metadata=nothing, dpi=200)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    head, _, body = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    view = box.group(0) if box else ""
    for colour, role in ROLES.items():
        body = body.replace(colour, role)
    body = re.sub(r'\sid="(?![pm][0-9a-f]{8,})[^"]*"', "", body)
    body = re.sub(r"\sxmlns(:\w+)?=\"[^\"]*\"", "", body)
    label = text(described)
    size = f"max-width:{drawing.get_figwidth() * PIXELS_PER_INCH:.0f}px"
    inner = f'<svg {view} style="{size}" role="img" aria-label="{label}">{body}'
    return f'<div class="picture {kind}">{inner}</div>'
