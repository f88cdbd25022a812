"""Measures with their standard errors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """A mean over rows and how far it may be off."""

    value: float
    error: float
    """Standard error of the mean."""


def mean_and_error(rows: Tensor) -> Estimate:
    """The mean of (n,) values and its standard error (0 for a single row)."""
    rows = rows.double()
    error = float(rows.std() / len(rows) ** 0.5) if len(rows) > 1 else 0.0
    return Estimate(float(rows.mean()), error)
