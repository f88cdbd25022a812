"""The sections of a report: functions of a context, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isthmus import plot
from isthmus.apps.report.context import Context
from isthmus.apps.report.pieces import (
    Section,
    bars,
    facts,
    paragraph,
    picture,
    table,
    text,
)
from isthmus.model import n_parameters
from isthmus.tasks.plain import errors, mean_name, mean_rebuilt

MOST_PICTURES = 12
MOST_COLUMNS_NAMED = 200


def verdict(context: Context) -> Section:
    """Whether the model beats the plain method, and by how much, in a sentence."""
    found = context.comparison
    whole = [row for row in found.rows if row.column is None]
    first = [row for row in whole if row.measure == whole[0].measure][:2]
    drawn = bars(
        (row.method, row.value, f"{row.value:.4g}", "ours" if i == 0 else "plain")
        for i, row in enumerate(first)
    )
    return Section("", f"{paragraph(found.verdict, 'verdict')}{drawn}{_bars_caption(context)}")


def _bars_caption(context: Context) -> str:
    unit = "on a scale of 0 to 1" if context.model.kind_.support == "unit" else "standardised"
    measure = context.comparison.rows[0].measure
    words = f"{measure.capitalize()} per value, {unit}. Shorter is better."
    if measure == "error":
        words = "Error per value: of a number squared and standardised, of a category the share "
        words += "that is wrong. Shorter is better."
    return paragraph(words, "caption")


def summary(context: Context) -> Section:
    """What the model is, and what it was shown."""
    model = context.model
    rows = f"{len(context):,} {_rows(context)}"
    values = int(np.prod(model.model_.shape))
    numbers = model.latent_dim_ * int(np.prod(model.model_.grid, dtype=int))
    pairs = [
        ("Data", f"{context.source}, {rows}" if context.source else rows),
        ("Code", f"{numbers:,} numbers for {values:,} values, {values / numbers:.3g} to 1"),
        ("Composition", _composition(context)),
        ("Parameters", f"{n_parameters(model.model_):,}"),
        ("Training", _training(context)),
    ]
    if context.identity:
        pairs.append(("Identity", context.identity[:16]))
    return Section("The model", facts(pairs) + _column_names(context))


def _rows(context: Context) -> str:
    """What the rows are, after their number."""
    shape = context.model.model_.shape
    if len(shape) == 3:
        channels, height, width = shape
        depth = f", {channels} channels" if channels > 1 else ""
        return f"images of {height} × {width} pixels{depth}"
    return f"rows of {shape[0]:,} column{'s' * (shape[0] != 1)}"


def _composition(context: Context) -> str:
    recipe = context.model.recipe_
    parts = {"network": recipe.network, "code": recipe.code, "likelihood": recipe.likelihood}
    return ", ".join(f"{part.kind} {what}" for what, part in parts.items())


def _training(context: Context) -> str:
    model = context.model
    if not model.history_:
        return "none: it is the plain method"
    seconds = float(model.history_[-1]["seconds"])
    epochs = len(model.history_)
    start = "PCA" if model.model_.starts_plain else "the start"
    kept = "" if model.kept_ == "trained" else f"; {start} was kept, since training did not beat it"
    return f"{epochs:,} epoch{'s' * (epochs != 1)} in {seconds:.1f} s{kept}"


def _column_names(context: Context) -> str:
    names = context.model.kind_.names
    if not names:
        return ""
    listed = ", ".join(names[:MOST_COLUMNS_NAMED])
    more = f" and {len(names) - MOST_COLUMNS_NAMED} more" if len(names) > MOST_COLUMNS_NAMED else ""
    word = f"{len(names)} column{'s' * (len(names) != 1)}"
    return f"<details><summary>{text(word)}</summary>{paragraph(listed + more)}</details>"


def training(context: Context) -> Section | None:
    """Error and loss over the epochs, against PCA's level."""
    model = context.model
    if not model.history_:
        return None
    found = model.validation_ or {}
    start = found.get("start") if model.model_.starts_plain else None
    by_error = found.get("measure") == "squared error"
    drawn = []
    if any("validation_error" in epoch for epoch in model.history_):
        level = start if by_error else None
        described = "Squared error on the validation rows, over the epochs of the training"
        error = plot.curves(model.history_, level, "error")
        drawn.append(picture(error, described, f"{context.name}-error"))
    loss = plot.curves(model.history_, None if by_error else start, "loss")
    drawn.append(picture(loss, "Loss over the epochs of the training", f"{context.name}-loss"))
    events = "".join(paragraph(event, "caption") for event in model.events_)
    return Section("Training", f'<div class="pair">{"".join(drawn)}</div>{events}')


def reconstructions(context: Context) -> Section:
    """What comes back through the code, beside what PCA gives back."""
    if context.model.kind_.kind == "images":
        return _images(context)
    batch = context.rows(context.some)
    wrong = [
        errors(context.model, rebuilt, batch).sum(0)
        for rebuilt in (*context.rebuilt(batch), mean_rebuilt(context.model, batch))
    ]
    lost = [(found / wrong[2].clamp(min=1e-12)).cpu().numpy() for found in wrong[:2]]
    drawing = plot.columns(context.columns, *lost)
    words = "What is lost of each column: 0 is a perfect copy, 1 is no better than "
    words += f"{mean_name(context.model)}."
    if len(context.columns) > plot.MOST_COLUMNS:
        words += f" The {plot.MOST_COLUMNS} columns that PCA finds hardest are drawn."
    drawn = picture(drawing, "Error of each column, ours beside PCA's", context.name, "wide")
    return Section("Column by column", drawn + paragraph(words, "caption"))


def _images(context: Context) -> Section:
    rows = context.spread(MOST_PICTURES)
    restore = context.model.kind_.restore
    batch = context.rows(rows)
    ours, plain = (restore(rebuilt) for rebuilt in context.rebuilt(batch))
    drawing = plot.reconstructions(restore(batch.x), ours, plain)
    words = "Evenly chosen, from those that PCA finds easiest to those that it finds hardest. "
    words += "The differences share one scale: the deeper, the worse."
    drawn = picture(drawing, "Images and their reconstructions", context.name, "wide")
    return Section("Reconstructions", drawn + paragraph(words, "caption"))


def map_of_codes(context: Context) -> Section:
    """Where rows lie in the first two dimensions of the code."""
    labels = None if context.labels is None else np.asarray(context.labels)[context.some]
    drawing = plot.map(context.codes, labels)
    coloured = "" if labels is None else " The labels were not shown to the model."
    words = f"Each point is a row, where the first two dimensions of its code put it.{coloured}"
    drawn = picture(
        drawing, "Rows by the first two dimensions of their codes", f"{context.name}-map"
    )
    return Section("A map of the code", drawn + paragraph(words, "caption"))


def comparison(context: Context) -> Section:
    """Every method under every measure."""
    rows = [row for row in context.comparison.rows if row.column is None]
    measures = list(dict.fromkeys(row.measure for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    cells = {(row.method, row.measure): _with_error(row.value, row.error) for row in rows}
    lines = ([method, *(cells.get((method, m), "–") for m in measures)] for method in methods)
    drawn = table(["method", *measures], lines, emphasised=0)
    words = (
        f"On {len(context):,} rows; ± is one standard error. "
        "The number after PCA is how many components it keeps, as many as the code has."
    )
    return Section("In numbers", drawn + paragraph(words, "caption"))


def _with_error(value: float, error: float) -> str:
    """A value to the last digit that its error leaves, and the error."""
    digits = 4
    if error > 0:
        digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 8))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


SECTIONS: tuple[Callable[[Context], Section | None], ...] = (
    verdict,
    summary,
    training,
    reconstructions,
    map_of_codes,
    comparison,
)
"""All sections, in order; one that has nothing to say of a model returns None."""
