"""What a file claims to hold, against the memory there is: asked before any of it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from isthmus.core.errors import DataError


def check_memory(n_bytes: int, path: Path) -> None:
    """Refuse what this machine could not hold even if it did nothing else.

    Parameters
    ----------
    n_bytes : int
        What the content takes once it is unpacked, by what the file says of itself.
    path : Path

    Raises
    ------
    DataError
    """
    there = _memory()
    if there is not None and n_bytes > there:
        raise DataError(
            f"{path} says that it holds {n_bytes / 2**30:,.0f} GiB, this machine has a memory of "
            f"{there / 2**30:,.0f}. Is it damaged? If not, split it into smaller files."
        )


def _memory() -> int | None:
    """Bytes of the machine's memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
