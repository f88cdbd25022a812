"""How well are anomalies found, beside neighbours, forests and PyOD's models?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from benchmarks import data
from benchmarks.detect_tables import CORRUPTED, PROTOCOLS, WORDS, measured
from benchmarks.process import Worker
from benchmarks.runner import Answer, Cell, Results, names, one_of, parser, peers_option

PARTS = ("detection", "corrupted")


def options() -> argparse.ArgumentParser:
    found = parser("detect", __doc__ or "")
    peers_option(found)
    found.add_argument("--what", type=one_of(PARTS), default=[*PARTS])
    found.add_argument("--protocol", type=one_of(PROTOCOLS), default=[*PROTOCOLS])
    found.add_argument("--sets", type=names, help="some of them (default: all of ADBench's)")
    found.add_argument("--methods", type=one_of([*WORDS]), default=[*WORDS])
    found.add_argument("--most", type=int, default=5000, help="rows to train on in one-class")
    found.add_argument("--rounds", type=int, default=3, help="seeds, from --seed on")
    found.add_argument("--threads", type=int, default=1)
    return found


def chosen_sets(wanted: list[str] | None) -> list[str]:
    """Those asked for; without ADBench, the one that comes with scikit-learn."""
    known = data.labelled_names()
    for name in wanted or []:
        if name not in known:
            raise SystemExit(
                f"there are no known anomalies of '{name}' in {data.folder()} or scikit-learn."
            )
    return wanted or known[:-1] or known


def asked(chosen: argparse.Namespace) -> dict[str, list[str]]:
    """The methods of each protocol."""
    found: dict[str, list[str]] = {}
    if "detection" in chosen.what:
        found |= dict.fromkeys(chosen.protocol, chosen.methods)
    if "corrupted" in chosen.what and "ours" in chosen.methods:
        found[CORRUPTED] = ["ours"]
    return found


def cells(chosen: argparse.Namespace, workers: dict[str, Worker]) -> Iterator[Cell]:
    """Everything with one seed, then everything with the next; methods take turns on a set."""
    seeds = range(chosen.seed, chosen.seed + chosen.rounds)
    sets = chosen_sets(chosen.sets)
    every = [
        (seed, protocol, name, method)
        for seed in seeds
        for protocol, methods in asked(chosen).items()
        for name in sets
        for method in methods
    ]
    for seed, protocol, name, method in every:
        question = {"protocol": protocol, "name": name, "seed": seed, "method": method}

        def run(method: str = method, question: Answer = question) -> Answer:
            worker = workers["peers" if method.startswith("pyod") else "own"]
            return worker.ask("detect", most=chosen.most, **question)

        yield Cell(f"{protocol} | {name} | {method} | {seed}", run)


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(measured(Results.read(chosen.out)))
        return 0
    pythons = {"own": sys.executable, "peers": chosen.python_peers}
    settings = {"most": chosen.most, "threads": chosen.threads}
    results = Results.opened("detect", chosen, settings, pythons)
    own, peers = (Worker(pythons[name], chosen.threads) for name in ("own", "peers"))
    with own, peers:
        status = results.fill(cells(chosen, {"own": own, "peers": peers}))
    print(measured(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
