"""The child's side: reads questions as JSON lines, answers each on a line.

It runs in any environment that has NumPy, so nothing of Isthmus is imported here.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

LIBRARIES = ("isthmus", "torch", "sklearn", "keras", "jax", "pythae", "pyod")


def confine(threads: int) -> None:
    """Keep this process on so many cores, since not every library reads OMP_NUM_THREADS."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def reply_to(question: dict[str, Any]) -> dict[str, Any]:
    job = importlib.import_module(f"benchmarks.jobs.{question.pop('job')}")
    try:
        reply: dict[str, Any] = job.answer(**question)
    except ModuleNotFoundError as absent:
        if absent.name not in LIBRARIES:
            raise
        return {"missing": absent.name}
    return reply


def main() -> None:
    confine(int(sys.argv[1]))
    # Libraries print as they like; the answers keep a channel of their own.
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)
        for line in sys.stdin:
            print(json.dumps(reply_to(json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
