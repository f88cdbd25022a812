"""How long until `from isthmus import Autoencoder` and `isthmus --help` are there?"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.process import surroundings
from benchmarks.runner import Answer, Cell, Results, heading, markdown, parser

LIBRARIES = "import torch, sklearn.base, sklearn.decomposition"
COMMANDS = {
    "import": ["-c", f"{LIBRARIES}; from isthmus import Autoencoder; Autoencoder"],
    "help": ["-m", "isthmus", "--help"],
}
BESIDE = {"import": ["-c", LIBRARIES], "help": ["-c", "pass"]}
WORDS = {
    "import": "`from isthmus import Autoencoder`, beyond torch and scikit-learn",
    "help": "`isthmus --help`, the whole process",
}


def options() -> argparse.ArgumentParser:
    found = parser("startup", __doc__ or "")
    found.add_argument("--runs", type=int, default=15, help="of each command, in turns")
    return found


def duration(command: list[str]) -> tuple[float, float]:
    """Seconds on the wall and of the processor that a Python process takes.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, *command],
        env=surroundings(own=True),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    wall, after = time.perf_counter() - start, os.times()
    used = after.children_user - before.children_user
    return wall, used + after.children_system - before.children_system


def measured(name: str) -> Answer:
    """A command right after the one it is compared with."""
    try:
        beside_wall, beside_cpu = duration(BESIDE[name])
        wall, cpu = duration(COMMANDS[name])
    except subprocess.CalledProcessError as failed:
        return {"error": (failed.stderr.strip().splitlines() or ["no words"])[-1]}
    return {
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "beside_wall_seconds": beside_wall,
        "beside_cpu_seconds": beside_cpu,
    }


def cells(chosen: argparse.Namespace) -> Iterator[Cell]:
    """One untimed run of each, which writes the compiled files, then all in turns."""
    for round_ in range(-1, chosen.runs):
        for name in COMMANDS:
            key = f"{name} | {round_ if round_ >= 0 else 'first, not counted'}"
            yield Cell(key, lambda name=name: measured(name))  # type: ignore[misc]


def table(results: Results) -> str:
    rows = []
    for name, words in WORDS.items():
        runs = [
            cell
            for key, cell in results.finished.items()
            if key.startswith(f"{name} | ") and not key.endswith("counted")
        ]
        failed = [
            cell["error"]
            for key, cell in results.cells.items()
            if key.startswith(f"{name} | ") and "error" in cell
        ]
        if not runs:
            rows += [[words, failed[0], "", "", "0"]] if failed else []
            continue
        whole = name == "help"

        def middle(kind: str, runs: list[Answer] = runs, whole: bool = whole) -> str:
            less = [0.0 if whole else run[f"beside_{kind}_seconds"] for run in runs]
            taken = [run[f"{kind}_seconds"] for run in runs]
            return f"{median(a - b for a, b in zip(taken, less, strict=True)):.3f}"

        beside = median(run["beside_wall_seconds"] for run in runs)
        rows.append([words, middle("wall"), middle("cpu"), f"{beside:.3f}", str(len(runs))])
    head = ["what", "wall s", "CPU s", "wall s of what it is compared with", "runs"]
    return f"{heading(results.data)}\n{markdown(head, rows)}"


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    results = Results.opened("startup", chosen, {}, {"own": sys.executable})
    status = results.fill(cells(chosen))
    print(table(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
