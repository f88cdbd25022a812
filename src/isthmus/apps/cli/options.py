"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help=(
            "A table (csv, tsv, parquet, arrow, feather), an array (npy, npz; npz also sparse), a "
            "folder of images, or a table of their paths."
        ),
        show_default=False,
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A saved model.", show_default=False)]
Out = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help=(
            "Where to write; the ending chooses the format (csv, tsv, parquet, arrow, feather, "
            "npy, npz)."
        ),
        show_default=False,
    ),
]
# A list, so that a second one is noticed.
Labels = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="A column that is set apart: the model does not see it.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def check_no_more(ctx: typer.Context, job: str, taken: Container[str]) -> None:
    """Refuse the options of ``fit`` that are not for this job."""
    for parameter in ctx.command.params:
        name = str(parameter.name)
        source = ctx.get_parameter_source(name)
        if name not in taken and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"with --for {job} it is decided by the data. Leave it out.",
                param_hint=parameter.opts[0],
            )
