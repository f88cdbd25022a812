"""Chunks side by side: two threads, each with matrix products of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from isthmus.training.surroundings import single_products

MOST = 8


@contextmanager
def side_by_side() -> Iterator[Executor | None]:
    """As many threads as there are processors for; None where there is one."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    n = min(MOST, usable or 1)
    with single_products():
        if n < 2:
            yield None
            return
        with ThreadPoolExecutor(n, thread_name_prefix="isthmus-codec") as pool:
            yield pool
