"""What every page says of a model, in words: its rows, its parts, its training, its measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.apps.report.pieces import paragraph, table, text
from isthmus.baselines.comparison import Row
from isthmus.data import Modality
from isthmus.tasks.autoencoder import Autoencoder

MOST_COLUMNS_NAMED = 200


def rows_of(kind: Modality) -> str:
    """What the rows are, after their number."""
    shape = kind.shape
    if len(shape) == 3:
        channels, height, width = shape
        depth = f", {channels} channels" if channels > 1 else ""
        return f"images of {height} × {width} pixels{depth}"
    return f"rows of {shape[0]:,} column{'s' * (shape[0] != 1)}"


def data(kind: Modality, n: int, source: str) -> str:
    """Where rows are from, how many, and of what."""
    rows = f"{n:,} {rows_of(kind)}"
    return f"{source}, {rows}" if source else rows


def composition(model: Autoencoder) -> str:
    """The parts that the model is made of."""
    recipe = model.recipe_
    parts = {"network": recipe.network, "code": recipe.code, "likelihood": recipe.likelihood}
    return ", ".join(f"{part.kind} {what}" for what, part in parts.items())


def training(model: Autoencoder) -> str:
    """How long it was trained, and what was kept."""
    if not model.history_:
        return "none: it is the plain method"
    seconds = float(model.history_[-1]["seconds"])
    epochs = len(model.history_)
    start = "PCA" if model.model_.starts_plain else "the start"
    kept = "" if model.kept_ == "trained" else f"; {start} was kept, since training did not beat it"
    return f"{epochs:,} epoch{'s' * (epochs != 1)} in {seconds:.1f} s{kept}"


def column_names(model: Autoencoder) -> str:
    """The names of the columns, folded."""
    names = model.kind_.names
    if not names:
        return ""
    listed = ", ".join(names[:MOST_COLUMNS_NAMED])
    more = f" and {len(names) - MOST_COLUMNS_NAMED} more" if len(names) > MOST_COLUMNS_NAMED else ""
    word = f"{len(names)} column{'s' * (len(names) != 1)}"
    return f"<details><summary>{text(word)}</summary>{paragraph(listed + more)}</details>"


def measured(found: Sequence[Row]) -> str:
    """A table of methods under measures, the first method emphasised."""
    measures = list(dict.fromkeys(row.measure for row in found))
    methods = list(dict.fromkeys(row.method for row in found))
    cells = {(row.method, row.measure): _with_error(row.value, row.error) for row in found}
    lines = ([method, *(cells.get((method, m), "–") for m in measures)] for method in methods)
    return table(["method", *measures], lines, emphasised=0)


def _with_error(value: float, error: float) -> str:
    """A value to the last digit that its error leaves, and the error."""
    digits = 4
    if error > 0:
        digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 8))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
