"""``isthmus VERB ...``. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus import __version__
from isthmus.apps.cli.cite import cite
from isthmus.apps.cli.compress import compress
from isthmus.apps.cli.decompress import decompress
from isthmus.apps.cli.demo import demo
from isthmus.apps.cli.detect import detect
from isthmus.apps.cli.fit import fit
from isthmus.apps.cli.judge import evaluate, info, report
from isthmus.apps.cli.mend import denoise, restore
from isthmus.apps.cli.use import embed, reconstruct, sample
from isthmus.apps.cli.verbs import Verb, Verbs

app = typer.Typer(
    name="isthmus",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def isthmus(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Where the program fails, show where it happened.")
    ] = False,
) -> None:
    """Autoencoders that start as PCA, and say when they are no better.

    Results go to standard output, words about the work to standard error. The exit status is 0
    when done, 1 when the work failed, 2 for wrong use, 130 when interrupted.
    """


VERBS = (
    fit, embed, reconstruct, sample, detect, compress, decompress, denoise, restore, evaluate,
    report, info, cite, demo,
)  # fmt: skip
for verb in VERBS:
    app.command(verb.__name__, cls=Verb)(verb)


def main() -> None:
    """Run the command line and exit."""
    app()


if __name__ == "__main__":
    main()
