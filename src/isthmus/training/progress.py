"""A progress bar with an estimate of the time left, silent when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from isthmus.training.outcome import Progress


@contextmanager
def progress_bar(shown: bool) -> Iterator[Callable[[Progress], None] | None]:
    """What to call with the progress of a run; None when hidden or not at a terminal."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("training", total=1.0, words="")

        def show(progress: Progress) -> None:
            words = f"epoch {progress.epoch} of {progress.epochs}"
            if progress.validation_error is not None:
                words += f", validation error {progress.validation_error:.4f}"
            bar.update(task, completed=progress.done, words=words)

        yield show
