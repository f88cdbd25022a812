"""Tables that cannot be used, and what to say of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from isthmus.core.errors import DataError, EmptyError
from isthmus.core.wording import counted, listed
from isthmus.data.arrays import LARGEST
from isthmus.data.contracts import OF_LEVELS, SUPPORTS, Array, Floats

Called = Callable[[int], str]
"""What to call a column, by its number."""


def check_size(n_rows: int, n_columns: int) -> None:
    """Refuse a table without rows or columns."""
    if not (n_rows and n_columns):
        what = "columns" if n_rows else "rows"
        raise EmptyError(f"the table has no {what}. Pass at least one row and one column.")


def check_support(each: Sequence[str], levels: NDArray[np.int64], called: Called) -> None:
    """Refuse a likelihood that asks of columns, by their levels, what they are not."""
    for j, (found, n) in enumerate(zip(each, levels, strict=False)):
        if found == OF_LEVELS and not n:
            raise DataError(
                f"{called(j)} holds numbers, which a likelihood of categories cannot explain. Pass "
                "them as text, or leave the likelihood to the data."
            )
        if found not in SUPPORTS and not n:
            raise ValueError(f"support must be one of {', '.join(SUPPORTS)}, got {found!r}.")
    if len(each) != len(levels):
        raise DataError(
            f"the likelihood is one of {counted(len(each), 'column')}, the table has "
            f"{len(levels)} that can be learned."
        )


def check_levels(levels: NDArray[np.int64], called: Called) -> None:
    """Refuse categories where a likelihood is of numbers; two levels are as good as numbers."""
    names = [called(int(j)) for j in np.flatnonzero(levels > 2)]
    if names:
        are = "is a category" if len(names) == 1 else "are categories"
        raise DataError(
            f"{listed(names)} {are}, which a likelihood of numbers cannot explain. Leave the "
            "likelihood to the data, or take one for mixed columns."
        )


def too_far(values: Array, offset: Floats, scale: Floats, called: Called) -> str:
    """Which column holds the value that is the furthest from what was fitted on."""
    with np.errstate(over="ignore"):
        far = abs((values - offset) / scale).max(0)
    j = int(far.argmax())
    return (
        f"{called(j)} has values up to {abs(values[:, j]).max():.3g}, more than "
        f"{LARGEST:.0e} times as far from its mean as those it was fitted on. Check its units."
    )


def infinite(values: Array, called: Called) -> str:
    """Which columns hold infinite values, and how many of them."""
    each = np.isinf(values).sum(0)
    found = [
        f"{called(int(j))} has {counted(int(each[j]), 'infinite value')}"
        for j in np.flatnonzero(each)
    ]
    return (
        f"{listed(found, joint='; ')}. Leave them empty, as missing, or drop those rows or columns."
    )
