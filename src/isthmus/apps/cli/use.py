"""Verbs that move data through a model: ``embed``, ``reconstruct``, ``sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.speech import give
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder


def embed(
    model: options.Model,
    data: options.Data,
    out: options.Out,
    dims: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Keep the first so many dimensions.", show_default=False
        ),
    ] = None,
    labels: options.Labels = None,
    as_json: options.Json = False,
) -> None:
    """Write the codes of DATA.

    Of images in files, a table of codes begins with the name of each, in a column called file.
    """
    from isthmus.apps.cli.rows import check_out, read_rows, write_codes
    from isthmus.tasks.saving import load_autoencoder as load

    check_out(out)
    estimator = load(model)
    rows = read_rows(data, labels, of=estimator)
    codes = estimator.transform(rows.X, dims=dims)
    write_codes(out, estimator, codes, rows.files)
    words = f"{out}: {counted(len(codes), 'row')} of {counted(codes.shape[1], 'dimension')}"
    give({"out": str(out), "rows": len(codes), "dimensions": codes.shape[1]}, words, as_json)


def reconstruct(
    model: options.Model,
    data: options.Data,
    out: options.Out,
    labels: options.Labels = None,
    as_json: options.Json = False,
) -> None:
    """Write DATA as it comes back through the code."""
    from isthmus.apps.cli.rows import check_out, read_rows, write_like
    from isthmus.tasks.saving import load_autoencoder as load

    estimator = load(model)
    check_out(out, estimator.kind_.kind)
    rows = read_rows(data, labels, of=estimator)
    rebuilt = estimator.reconstruct(rows.X)
    write_like(out, estimator, rebuilt, rows.files)
    _give_rows(out, len(rows), estimator, as_json)


def sample(
    model: options.Model,
    n: Annotated[
        int, typer.Option("-n", min=1, metavar="N", help="How many rows.", show_default=False)
    ],
    out: options.Out,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="By default the model's own: the same rows each time.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write new rows that MODEL makes.

    Each is what the model expects of a code drawn from its prior: counts come as their means.
    """
    from isthmus.apps.cli.rows import check_out, write_like
    from isthmus.tasks.saving import load_autoencoder as load

    estimator = load(model)
    check_out(out, estimator.kind_.kind)
    drawn = estimator.sample(n, random_state=seed)
    write_like(out, estimator, drawn)
    _give_rows(out, n, estimator, as_json)


def _give_rows(out: Path, n: int, model: Autoencoder, as_json: bool) -> None:
    result = {"out": str(out), "rows": n, "shape": list(model.model_.shape)}
    give(result, f"{out}: {counted(n, 'row')}", as_json)
