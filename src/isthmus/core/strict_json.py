"""What strict JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def strict(value: Any) -> Any:
    """The same in plain data, with null for a number that is none."""
    if isinstance(value, Mapping):
        return {str(name): strict(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(v) for v in value]
    if hasattr(value, "tolist"):
        plain = value.tolist()
        return strict(float(value) if type(plain) is type(value) else plain)
    return None if isinstance(value, float) and not math.isfinite(value) else value
