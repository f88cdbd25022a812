"""Ctrl-C, pressed in the middle of the work."""

from __future__ import annotations

import os
import signal
import threading
import time


def interrupt_when_training() -> threading.Thread:
    """Press Ctrl-C as soon as training listens for it."""
    idle = signal.getsignal(signal.SIGINT)

    def press() -> None:
        deadline = time.monotonic() + 60
        while signal.getsignal(signal.SIGINT) is idle and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread
