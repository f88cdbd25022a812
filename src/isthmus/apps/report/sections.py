"""The sections of a report: functions of a context, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isthmus import plot
from isthmus.apps.report import described
from isthmus.apps.report.context import Context
from isthmus.apps.report.pieces import Section, bars, facts, paragraph, picture
from isthmus.model import n_parameters
from isthmus.tasks.plain import errors, mean_name, mean_rebuilt

MOST_PICTURES = 12


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
    values = int(np.prod(model.model_.shape))
    numbers = model.latent_dim_ * int(np.prod(model.model_.grid, dtype=int))
    pairs = [
        ("Data", described.data(model.kind_, len(context), context.source)),
        ("Code", f"{numbers:,} numbers for {values:,} values, {values / numbers:.3g} to 1"),
        ("Composition", described.composition(model)),
        ("Parameters", f"{n_parameters(model.model_):,}"),
        ("Training", described.training(model)),
    ]
    if context.identity:
        pairs.append(("Identity", context.identity[:16]))
    return Section("The model", facts(pairs) + described.column_names(model))


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
    words = (
        f"On {len(context):,} rows; ± is one standard error. "
        "The number after PCA is how many components it keeps, as many as the code has."
    )
    return Section("In numbers", described.measured(rows) + paragraph(words, "caption"))


SECTIONS: tuple[Callable[[Context], Section | None], ...] = (
    verdict,
    summary,
    training,
    reconstructions,
    map_of_codes,
    comparison,
)
"""All sections, in order; one that has nothing to say of a model returns None."""
