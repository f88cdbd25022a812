"""The group of all verbs: what goes wrong becomes one line and an exit status."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from isthmus.apps.cli.speech import say, say_failed

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
DEBUG = "--debug"


class Verb(TyperCommand):
    """A verb whose usage is written as in the documents: ``embed [OPTIONS] MODEL DATA``."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the line of usage."""
        pieces = (re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx))
        return [piece.replace("......", "...") for piece in pieces]


class Verbs(TyperGroup):
    """Runs a verb. ``--debug`` may stand anywhere, since it is thought of afterwards."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and exit with 0, 1 (the work failed), 2 (wrong use) or 130 (interrupted)."""
        given = list(sys.argv[1:] if args is None else args)
        debug = DEBUG in given
        given = [word for word in given if word != DEBUG]

        def run() -> Any:
            # The words are kept, so that an interrupted verb can say which command goes on.
            kept = {"obj": given, **extra}
            return super(Verbs, self).main(
                given, prog_name or "isthmus", complete_var, False, windows_expand_args, **kept
            )

        if not standalone_mode:
            return run()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            sys.exit(_status(run, debug))


def _status(run: Any, debug: bool) -> int:
    try:
        result = run()
    except Exception as error:
        if debug and not hasattr(error, "exit_code"):
            raise
        return _explained(error)
    return result if isinstance(result, int) else DONE


def _explained(error: Exception) -> int:
    """Say what went wrong; the exit status that it means."""
    if hasattr(error, "exit_code") and hasattr(error, "format_message"):
        return _misused(error)
    # Looked up, not imported: an error of ours cannot be there before its module is.
    ours = sys.modules.get("isthmus.core.errors")
    if ours is not None and isinstance(error, ours.IsthmusError):
        say_failed(error)
        return WRONG_USE if isinstance(error, ours.SpecError) else FAILED
    if isinstance(error, OSError):
        at = f": '{error.filename}'" if error.filename else ""
        say_failed(f"{error.strerror or error}{at}")
        return FAILED
    if isinstance(error, MemoryError):
        say("error: there is not enough memory. Use fewer rows, or a smaller --batch-size.")
        return FAILED
    first = str(error).strip().partition("\n")[0]
    say_failed(f"{type(error).__name__}: {first}")
    say(f"This is a fault of the program. Add {DEBUG} to see where it happened.")
    return FAILED


def _misused(error: Any) -> int:
    """What the parser of the command line has to say."""
    context: Any = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        say(context.get_help())
        return WRONG_USE
    say_failed(error.format_message())
    files = [word for word in getattr(context, "obj", None) or [] if _is_file(word)]
    if files and getattr(error, "option_name", None):
        say(f"If '{files[0]}' is a file, write './{files[0]}'.")
    elif context is not None:
        say(f"Try '{context.command_path} --help'.")
    return int(error.exit_code)


def _is_file(word: str) -> bool:
    """Whether a word that looks like an option names a file."""
    return word.startswith("-") and Path(word).exists()


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    say(f"warning: {message}")
