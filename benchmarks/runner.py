"""What all benchmarks share: cells that are run once, kept in a JSON file, and shown as a table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT, Worker, cores

SCHEMA = 1
RESULTS = ROOT / "benchmarks" / "results"

Answer = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """The smallest piece of a benchmark that is run and kept by itself."""

    key: str
    run: Callable[[], Answer]


def parser(name: str, purpose: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    options = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=purpose)
    options.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="the JSON file")
    options.add_argument("--table", action="store_true", help="run nothing, print the table")
    options.add_argument("--fresh", action="store_true", help="forget what was measured before")
    options.add_argument("--seed", type=int, default=0)
    return options


def peers_option(options: argparse.ArgumentParser) -> None:
    """Where the libraries are that don't fit into this environment."""
    options.add_argument(
        "--python-peers",
        default=sys.executable,
        metavar="PYTHON",
        help="interpreter of the environment that has pyod and pythae (default: this one)",
    )


def names(text: str) -> list[str]:
    """Of a comma-separated option."""
    return [name for name in text.split(",") if name]


def one_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """An option that takes some of the known names, separated by commas."""

    def chosen(text: str) -> list[str]:
        for name in names(text):
            if name not in known:
                raise argparse.ArgumentTypeError(f"no '{name}' here; there are {', '.join(known)}")
        return names(text)

    return chosen


def processor() -> str:
    """The processor's model, as the system calls it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """What the times depend on."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def commit() -> str:
    """The state of the source: the last commit, "+" where files differ from it, "" if unknown."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip()


def versions(pythons: dict[str, str]) -> dict[str, dict[str, str]]:
    """Of Python and the libraries that matter, in each environment."""
    found: dict[str, dict[str, str]] = {}
    for name, python in pythons.items():
        if python == sys.executable and "own" in found:
            found[name] = found["own"]
            continue
        with Worker(python, cores()) as worker:
            found[name] = worker.ask("versions")
        if "error" in found[name]:
            raise SystemExit(f"{python} does not answer: {found[name]['error']}")
    return found


class Results:
    """The JSON file of a benchmark.

    Parameters
    ----------
    path : Path
    data : dict
        benchmark, schema, seed, machine, versions, settings and cells.
    """

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self.path, self.data = path, data

    @property
    def cells(self) -> dict[str, Answer]:
        """By key, those that failed too."""
        cells: dict[str, Answer] = self.data["cells"]
        return cells

    @property
    def finished(self) -> dict[str, Answer]:
        """By key, those that were measured."""
        return {key: cell for key, cell in self.cells.items() if done(cell)}

    @classmethod
    def read(cls, path: Path) -> Results:
        """What was measured before.

        Raises
        ------
        SystemExit
            If there is no such file, or it is none of a benchmark.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SystemExit(f"{path} does not exist. Run the benchmark without --table.") from None
        except ValueError:
            raise SystemExit(f"{path} is not JSON. Start over with --fresh.") from None
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise SystemExit(f"{path} has another layout. Start over with --fresh.")
        return cls(path, data)

    @classmethod
    def opened(
        cls, name: str, options: argparse.Namespace, settings: Answer, pythons: dict[str, str]
    ) -> Results:
        """The file to go on with, or a new one.

        Raises
        ------
        SystemExit
            If what is there was measured under other conditions: medians must not mix them.
        """
        conditions = {
            "benchmark": name,
            "schema": SCHEMA,
            "seed": options.seed,
            "settings": settings,
            "machine": machine(),
            "versions": versions(pythons),
        }
        if options.fresh or not options.out.exists():
            return cls(options.out, {**conditions, "cells": {}})
        found = cls.read(options.out)
        for key, value in conditions.items():
            if found.data.get(key) != value:
                raise SystemExit(
                    f"{options.out} was measured under other conditions: {key} was "
                    f"{json.dumps(found.data.get(key))} and is {json.dumps(value)}. "
                    "Go on with the same, name another --out, or start over with --fresh."
                )
        return found

    def fill(self, cells: Iterable[Cell]) -> int:
        """Run what is not finished; the file is whole after each.

        Returns
        -------
        int
            The exit status: 1 if a cell failed.
        """
        failed = 0
        state = commit()
        for cell in cells:
            if done(self.cells.get(cell.key, {})):
                continue
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
            answer = cell.run()
            failed += "error" in answer
            when = datetime.now(UTC).isoformat(timespec="microseconds")
            self.cells[cell.key] = {**answer, "when": when, "commit": state, "load": load}
            self.write()
            print(f"{cell.key}: {in_short(answer)}", file=sys.stderr)
        return int(failed > 0)

    def write(self) -> None:
        """Replace the file in one step, so that a kill leaves the old or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        os.replace(new, self.path)


def done(cell: Answer) -> bool:
    """Whether it was measured; a library that was absent may be there the next time."""
    return bool(cell) and "error" not in cell and "missing" not in cell


def in_short(answer: Answer) -> str:
    """One line for the one who waits."""
    if "missing" in answer:
        return f"{answer['missing']} is not installed"
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in answer.items()
        if isinstance(value, float | int | str)
    )


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is words, the others figures."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, marks, *rows]) + "\n"


def heading(data: Answer) -> str:
    """Where, with what and how a table was measured."""
    own = data["versions"]["own"]
    peers = {key: v for key, v in data["versions"].get("peers", {}).items() if own.get(key) != v}
    lines = [f"Measured on {data['machine']['processor']}, {data['machine']['cores']} cores"]
    lines.append("with " + ", ".join(f"{key} {version}" for key, version in own.items()))
    if peers:
        lines.append(
            "and, beside, " + ", ".join(f"{key} {version}" for key, version in peers.items())
        )
    settings = {"seed": data["seed"], **data["settings"]}
    lines.append(", ".join(f"{key} {json.dumps(value)}" for key, value in settings.items()))
    return "; ".join(lines) + ".\n"
