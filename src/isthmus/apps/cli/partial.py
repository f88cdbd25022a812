"""A training that was interrupted: its state, beside the model that it was to become."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from isthmus.apps.cli.speech import say
from isthmus.apps.cli.verbs import INTERRUPTED


def check_partial(partial: Path, resume: bool | None) -> None:
    """Refuse to begin where it is not said what is to become of what was begun before."""
    if not _states(partial):
        if resume:
            say(f"there is no '{partial}' to go on with; starting anew")
        return
    if resume is None:
        raise typer.BadParameter(
            f"{_named(partial)} holds a training that was interrupted. "
            "Go on with it: --resume. Or drop it: --no-resume.",
            param_hint="-o",
        )


def _states(partial: Path) -> list[Path]:
    """The states of an interrupted training: one, or one for each of several models."""
    each = partial.parent.glob(f"{glob.escape(partial.name)}.*")
    return [path for path in (partial, *each) if path.is_file() and _is_state(path, partial)]


def _is_state(path: Path, partial: Path) -> bool:
    return path == partial or path.name.removeprefix(f"{partial.name}.").isdecimal()


def _named(partial: Path) -> str:
    return " and ".join(f"'{state}'" for state in sorted(_states(partial)))


def drop(partial: Path) -> None:
    """Remove what is left of a training."""
    for state in _states(partial):
        state.unlink(missing_ok=True)


@contextmanager
def kept_in(partial: Path, words: list[str]) -> Iterator[None]:
    """Train: interrupted, it says which command goes on with it; done, its state is removed."""
    try:
        yield
    except KeyboardInterrupt:
        _say_interrupted(partial, words)
        raise typer.Exit(INTERRUPTED) from None
    drop(partial)


def _say_interrupted(partial: Path, words: list[str]) -> None:
    """Where the training so far is, and which command goes on with it."""
    if not _states(partial):
        say("interrupted before training began; nothing is kept")
        return
    again = [word for word in words if word not in ("--resume", "--no-resume")]
    say(f"interrupted; the training so far is kept in {_named(partial)}. Go on with:")
    say(f"  {shlex.join(['isthmus', *again, '--resume'])}")
