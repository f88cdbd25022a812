"""`python -m benchmarks NAME` runs one of them."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "train",
    "recipes",
    "quality",
    "nested",
    "compress",
    "lossy",
    "train_bundled",
    "denoise",
    "restore",
    "detect",
    "detect_images",
    "impute",
    "scaling",
    "until",
    "startup",
)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in NAMES:
        print(f"usage: python -m benchmarks {{{','.join(NAMES)}}} [--help]", file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    status: int = importlib.import_module(f"benchmarks.{arguments[0]}").main(arguments[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
