"""``isthmus restore``: data without their damage."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.apps.cli import options


def restore(
    model: options.Model,
    data: options.Data,
    out: options.Out,
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Of a table: write so many draws of what is missing, numbered in a first column.",
            show_default=False,
        ),
    ] = None,
    intervals: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help=(
                "Of a table: add bounds within which so many of the missing cells lie, as 90%, and "
                "the likely levels of categories."
            ),
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of --draws; by default the model's own: the same each time.",
            show_default=False,
        ),
    ] = None,
    labels: options.Labels = None,
    as_json: options.Json = False,
) -> None:
    """Write DATA with what is missing filled in: the empty cells of a table.

    MODEL is one that was fitted with --for restore.
    """
    from isthmus.apps.cli.impute import restore_table
    from isthmus.core.errors import AbilityError
    from isthmus.loading import load

    found = load(model)
    if not hasattr(found, "stack_"):
        raise AbilityError(
            f"'{model}' was not fitted to fill gaps. Fit a model that is with: "
            "isthmus fit DATA --for restore"
        )
    restore_table(
        found, model, data, out, labels=labels, draws=draws, intervals=intervals, seed=seed,
        as_json=as_json,
    )  # fmt: skip
