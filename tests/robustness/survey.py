"""What comes of damaged files: each is read, or refused by an error of ours, and soon.

``python -m tests.robustness.survey KIND FIRST LAST`` says so on standard output, a line for
each input, in a process of its own: an input that kills or stops it has no line.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import torch

from isthmus.core.errors import IsthmusError
from tests.robustness.mutations import mutated
from tests.robustness.subjects import Subject, subject

READ, REFUSED = "read", "refused"
MOST_MEMORY = 12 << 30


def outcome(of: Subject, seed: int, folder: Path) -> str:
    """``read``, ``refused``, or else what went wrong."""
    path = folder / f"damaged{of.suffix}"
    path.write_bytes(mutated(of.content, of.other, seed))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            of.use(path)
    except IsthmusError as error:
        return REFUSED if str(error).strip() else f"{type(error).__name__} without a word"
    except Exception:  # noqa: BLE001  what else there is, is what is looked for
        return traceback.format_exc()
    return READ


def main(kind: str, first: int, last: int) -> None:
    """Print a line for each seed: its seconds and what came of it."""
    torch.set_num_threads(1)
    limit = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, limit))
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(sys.stdout):
        folder = Path(name)
        of = subject(kind, folder)
        for seed in range(first, last):
            began = time.monotonic()
            found = outcome(of, seed, folder)
            sys.stdout.write(f"{seed} {time.monotonic() - began:.3f} {found!r}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
