"""Results go to standard output, words about the work to standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, TextIO

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
    _print(json.dumps(_strict(result), allow_nan=False) if as_json else words, sys.stdout)


def _print(words: str, stream: TextIO | None) -> None:
    """Print what this stream can show; the rest as its number."""
    shown = words.translate(CONTROL | KEPT)
    if stream is not None and stream.errors == "strict":
        encoding = stream.encoding or "utf-8"
        shown = shown.encode(encoding, "backslashreplace").decode(encoding)
    print(shown, file=stream, flush=True)


def _strict(value: Any) -> Any:
    """What strict JSON can hold: a number that is none becomes null."""
    if isinstance(value, Mapping):
        return {str(name): _strict(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float)):
        return value
    if hasattr(value, "item"):
        return _strict(value.item())
    return str(value)


def counted(n: int, what: str) -> str:
    """``1 row``, ``1,797 rows``."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
