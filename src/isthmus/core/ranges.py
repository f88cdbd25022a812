"""Numbers within their range, or an error that names the parameter and what it takes."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from isthmus.core.errors import SpecError

UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def positive_int(value: Any, name: str, most: int | None = None) -> int:
    """The value, if it is a whole number of at least 1 (and at most ``most``)."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or int(value) < 1:
        raise SpecError(f"{name} must be a whole number of at least 1, got {value!r}.")
    if most is not None and value > most:
        raise SpecError(f"{name} must be at most {most}, got {value}.")
    return int(value)


def positive_ints(values: Any, name: str) -> tuple[int, ...]:
    """The values, if they are a sequence of whole numbers of at least 1."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SpecError(f"{name} must be a sequence of whole numbers, got {values!r}.")
    return tuple(positive_int(value, f"each of {name}") for value in values)


def number(value: Any, name: str) -> float:
    """The value, if it is a number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SpecError(f"{name} must be a number, got {value!r}.")
    return float(value)


def positive(value: Any, name: str, or_zero: bool = False) -> float:
    """The value, if it is a finite number above 0 (or 0, if that is allowed)."""
    found = number(value, name)
    if not math.isfinite(found) or found < 0 or (found == 0 and not or_zero):
        raise SpecError(f"{name} must be {'0 or more' if or_zero else 'above 0'}, got {value!r}.")
    return found


def share(value: Any, name: str) -> float:
    """The value, if it is a number of at least 0 and below 1."""
    found = number(value, name)
    if not 0 <= found < 1:
        raise SpecError(f"{name} must be at least 0 and below 1, got {value!r}.")
    return found


def seconds(value: Any) -> float | None:
    """Seconds from a number or from "90s", "2min", "1h"."""
    if value is None:
        return None
    if not isinstance(value, str):
        return positive(value, "max_time")
    match = re.fullmatch(r"\s*([\d.]+)\s*([a-z]*)\s*", value)
    try:
        return positive(float(match[1]) * UNITS[match[2]], "max_time") if match else float("x")
    except (ValueError, KeyError):
        raise SpecError(
            f"max_time must be seconds, or like '90s', '2min', '1h', got {value!r}."
        ) from None


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn accepts as ``random_state``; None draws a new one."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    whole = isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool)
    if not whole or abs(int(random_state)) >= 2**63:
        raise SpecError(
            "random_state must be a whole number of at most 63 bits, a RandomState or None, "
            f"got {random_state!r}."
        )
    return int(random_state)
