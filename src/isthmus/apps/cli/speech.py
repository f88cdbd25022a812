"""Results go to standard output, words about the work to standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any


def say(words: str) -> None:
    """Words about the work."""
    print(words, file=sys.stderr, flush=True)


def give(result: Mapping[str, Any], words: str, as_json: bool) -> None:
    """The result: one JSON object, or words."""
    print(json.dumps(_strict(result), allow_nan=False) if as_json else words, flush=True)


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
