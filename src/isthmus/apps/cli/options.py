"""Arguments and options that several verbs share."""

from __future__ import annotations

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
