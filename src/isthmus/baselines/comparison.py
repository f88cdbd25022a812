"""A table of methods and measures, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One method under one measure."""

    method: str
    measure: str
    value: float
    error: float
    """Standard error of ``value``."""
    column: str | None = None
    """The column that is measured, or None for all."""


@dataclass(frozen=True)
class Comparison:
    """A table of methods and measures, and what it says in a sentence."""

    rows: list[Row]
    verdict: str
    plain_wins: bool
    """Whether the plain method is as good or better."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        whole = [row for row in self.rows if row.column is None]
        head = ("method", "measure", "value", "standard error")
        body = [(r.method, r.measure, f"{r.value:.5g}", f"{r.error:.2g}") for r in whole]
        parts = [_aligned([head, *body])]
        if len(whole) < len(self.rows):
            parts.append(_aligned(self._by_column()))
        return "\n\n".join([*parts, self.verdict])

    def _by_column(self) -> list[tuple[str, ...]]:
        """A line for each column, with a cell for each method."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        methods: dict[str, None] = {}
        for row in self.rows:
            if row.column is not None:
                methods[row.method] = None
                cells = found.setdefault((row.column, row.measure), {})
                cells[row.method] = f"{row.value:.4g} ± {row.error:.1g}"
        lines = [
            (*key, *(cells.get(method, "") for method in methods)) for key, cells in found.items()
        ]
        return [("column", "measure", *methods), *lines]


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    wide = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, wide, strict=True)).rstrip()
        for line in lines
    )
