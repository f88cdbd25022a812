"""Numbers and lists as messages say them."""

from __future__ import annotations

NO_PLACE = "too many different texts to learn from"
"""Why a column is left out of a model."""


def counted(n: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``1,797 rows``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: list[str], most: int = 5, joint: str = ", ") -> str:
    """The first few, and how many more there are."""
    rest = len(names) - most
    return joint.join(names[:most]) + (f"{joint}and {rest:,} more" if rest > 0 else "")
