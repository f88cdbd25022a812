"""Results go to standard output, words about the work to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from isthmus.core.strict_json import strict

# Names of files and columns may hold what would move the cursor, or pass for another line.
CONTROL = {n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160))}
KEPT = {ord("\n"): "\n", ord("\t"): "\t"}


def say(words: str) -> None:
    """Words about the work."""
    _print(words, sys.stderr)


def say_failed(error: object) -> None:
    """What went wrong, on one line."""
    say(f"error: {error}".strip().replace("\n", "\\n"))


def give(result: Mapping[str, Any], words: str, as_json: bool) -> None:
    """The result: one JSON object, or words."""
    text = json.dumps(strict(result), allow_nan=False, default=str) if as_json else words
    _print(text, sys.stdout)


def _print(words: str, stream: TextIO | None) -> None:
    """Print what this stream can show; the rest as its number."""
    shown = words.translate(CONTROL | KEPT)
    if stream is not None and stream.errors == "strict":
        encoding = stream.encoding or "utf-8"
        shown = shown.encode(encoding, "backslashreplace").decode(encoding)
    print(shown, file=stream, flush=True)
