"""``isthmus demo``: two small models on bundled data, and a report on both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.speech import give, say
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.apps.cli.bundled import Example
    from isthmus.apps.report.context import Context

REPORT = "report.html"
OPENING = (
    "Two models, trained just now on data that come with scikit-learn, and judged on rows that "
    "they have not seen. Each began as PCA; what follows is what training added."
)


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to leave the models and the report.")
    ] = Path("isthmus-demo"),
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Passes over the data, of each training.", show_default=False
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No words about the work.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train on bundled data, and leave a report.

    The data are digits and photographs that come with scikit-learn. It takes less than a minute
    and needs no network.
    """
    from isthmus.apps.cli.bundled import digits, photographs
    from isthmus.apps.report.page import page, write_page

    _check_folder(folder)
    examples = [digits(), photographs()]
    contexts = [_trained(example, folder, epochs, quiet) for example in examples]
    path = folder / REPORT
    write_page(path, page("Isthmus demo", contexts, OPENING))
    result = {
        "report": str(path),
        "models": [
            {
                "model": str(folder / example.file),
                "data": context.name,
                "verdict": context.comparison.verdict,
                "plain_wins": context.comparison.plain_wins,
            }
            for example, context in zip(examples, contexts, strict=True)
        ],
    }
    verdicts = [f"{context.name}: {context.comparison.verdict}" for context in contexts]
    give(result, "\n".join([*verdicts, f"The report: {path.resolve()}"]), as_json)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"'{folder}' is a file. Name a folder.", param_hint="DIR")


def _trained(example: Example, folder: Path, epochs: int | None, quiet: bool) -> Context:
    from isthmus.apps.report.context import Context
    from isthmus.tasks.autoencoder import Autoencoder

    if not quiet:
        say(f"{example.name}: training on {counted(len(example.fit), 'image')}")
    options_: dict[str, Any] = {**example.options}
    if epochs is not None:
        options_["epochs"] = epochs
    model = Autoencoder(example.latent_dim, verbose=not quiet, **options_).fit(example.fit)
    identity = model.save(folder / example.file)
    return Context(example.name, model, example.held, example.labels, identity, example.source)
