"""Files in and files out of a verb: nothing is lost by it, and one that fails stops no other."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.apps.cli.speech import say, say_failed
from isthmus.core.wording import counted

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already.")
]


class Placing:
    """Writes results, but never over what was given, nor over what it wrote itself.

    Parameters
    ----------
    given : sequence of Path
        The files that the user named.
    overwrite : bool
        Whether other files may be replaced.
    """

    def __init__(self, given: Sequence[Path], overwrite: bool) -> None:
        self.overwrite = overwrite
        self.given = {_identity(path) for path in given} - {None}
        self.written: set[tuple[int, int] | None] = set()

    def check(self, targets: Sequence[Path], option: str) -> None:
        """Refuse before the work what would be lost by it."""
        twice = next((path for path, n in Counter(targets).items() if n > 1), None)
        if twice is not None:
            raise typer.BadParameter(
                f"two files are called '{twice.name}'. Give them in two commands, with two "
                "folders.",
                param_hint="FILES",
            )
        for target in targets:
            if _identity(target) in self.given:
                raise typer.BadParameter(
                    f"'{target}' is one of the files that were given, and would be written over. "
                    "Choose another place.",
                    param_hint=option,
                )
            if target.exists() and not self.overwrite:
                raise typer.BadParameter(
                    f"'{target}' exists. Choose another place, or replace it with --overwrite.",
                    param_hint=option,
                )

    def check_free(self, target: Path) -> None:
        """The same before each write: where names differ in case only, two can be one file."""
        from isthmus.core.errors import CompressedError

        there = _identity(target)
        if there is None:
            return
        if there in self.given or there in self.written or not self.overwrite:
            raise CompressedError(f"'{target}' is there by now, and is not written over")

    def write(self, target: Path, data: bytes) -> None:
        """Write a result whole."""
        from isthmus.codecs.files import write_bytes

        self.check_free(target)
        write_bytes(target, data)
        self.written.add(_identity(target))


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from others, whatever it is called; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


class Failures:
    """Files that something went wrong with: each is told as it happens, and the rest goes on."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []

    @contextmanager
    def of(self, path: Path) -> Iterator[None]:
        """What goes wrong inside is that file's."""
        from isthmus.core.errors import IsthmusError

        try:
            yield
        except (IsthmusError, OSError) as error:
            words = str(getattr(error, "strerror", None) or error)
            if str(path) not in words:
                words = f"{path}: {words.removesuffix('.')}."
            say_failed(words)
            self.told.append({"file": str(path), "error": words})

    def words(self, done: str) -> str:
        """How many there were, as the end of a sentence."""
        if not self.told:
            return ""
        return f". {counted(len(self.told), 'file')} could not be {done}"

    def check_some(self, done: Sequence[Any]) -> None:
        """Stop here if nothing was done."""
        if not done:
            self.check_none()

    def check_none(self) -> None:
        """The exit status, at the end."""
        if self.told:
            raise typer.Exit(1)


def say_left_out(folder: Path, taken: Sequence[Path]) -> None:
    """What lies in a folder and was not asked for by its ending is told."""
    names = {path.name for path in taken}
    others = [p for p in folder.iterdir() if p.name not in names and not p.name.startswith(".")]
    left = [
        counted(n, word)
        for word, n in (
            ("file", sum(not path.is_dir() for path in others)),
            ("folder", sum(path.is_dir() for path in others)),
        )
        if n
    ]
    if left:
        verb = "was" if len(others) == 1 else "were"
        say(f"{folder}: {' and '.join(left)} in it {verb} left out, by the ending")


def watched(things: Iterable[Any], total: int, doing: str) -> Iterator[Any]:
    """The things, with a bar and the time left where somebody watches."""
    if total < 2 or not sys.stderr.isatty():
        yield from things
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(things, doing, total, console=Console(stderr=True), transient=True)
