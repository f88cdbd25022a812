"""What a run borrows from its process and gives back: random numbers, threads, Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from types import FrameType
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController


@contextmanager
def own_randomness(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Random numbers from ``seed`` inside; the user's global state is as before outside."""
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for place in devices:
            with torch.cuda.device(place):
                torch.cuda.manual_seed(seed)
        yield


@cache
def libraries() -> ThreadpoolController:
    """Those that have threads of their own, beside PyTorch: NumPy's matrix products."""
    return ThreadpoolController()


@contextmanager
def own_threads(n: int) -> Iterator[None]:
    """At most ``n`` threads of PyTorch's inside, as many as before outside."""
    before = torch.get_num_threads()
    if before != n:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        if before != n:
            torch.set_num_threads(before)


class _Single:
    """How many are inside ``single_products``, and what gives the threads back after the last."""

    lock = threading.Lock()
    inside = 0
    back: Any = None


@contextmanager
def single_products() -> Iterator[None]:
    """NumPy's matrix products take one thread inside: they are small, or shared out by hand.

    The number is one of the whole process, so that of several fits at once the first takes the
    threads and the last gives them back.
    """
    with _Single.lock:
        if not _Single.inside:
            _Single.back = libraries().limit(limits=1, user_api="blas")
        _Single.inside += 1
    try:
        yield
    finally:
        with _Single.lock:
            _Single.inside -= 1
            if not _Single.inside:
                _Single.back.restore_original_limits()


@contextmanager
def own_helper() -> Iterator[Executor]:
    """A second thread, which ends with the block."""
    quiet = partial(np.seterr, all="ignore")
    with ThreadPoolExecutor(1, initializer=quiet) as helper:
        yield helper


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; a second time stops at once.

    The first one lets the step in progress end, so that what is kept is whole. Outside the main
    thread, signals cannot be caught and the answer is always no.
    """
    pressed = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.getsignal(signal.SIGINT)
    if before is None or before == signal.SIG_IGN:
        yield lambda: False
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
