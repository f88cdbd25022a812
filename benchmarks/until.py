"""How long until a peer's final error on rows unseen is reached?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks import data
from benchmarks.process import Worker
from benchmarks.runner import (
    Answer,
    Cell,
    Results,
    heading,
    markdown,
    names,
    one_of,
    parser,
    peers_option,
)

SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1.0)
"""Of the peer's time, that ours is given, each time anew, until it is as good."""
TARGET = 0.2
CASES: dict[str, tuple[str, ...]] = {
    "keras-basic": ("mnist", "fashion-mnist"),
    "keras-deep": ("mnist", "fashion-mnist"),
    "pyod": ("breast-cancer", "digits", "tabular/pendigits", "adbench/20_letter"),
}
WORDS = {
    "keras-basic": "Keras, 784-32-784, 50 epochs",
    "keras-deep": "Keras, 784-128-64-32-64-128-784, 100 epochs",
    "pyod": "PyOD AutoEncoder, defaults",
}
PYTHONS = {"keras-basic": "own", "keras-deep": "own", "pyod": "peers"}


def options() -> argparse.ArgumentParser:
    found = parser("until", __doc__ or "")
    peers_option(found)
    found.add_argument("--rounds", type=int, default=3, help="seeds")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--peers", type=one_of([*CASES]), default=[*CASES])
    found.add_argument("--sets", type=names, default=None, help="in place of those of each peer")
    return found


def cells(chosen: argparse.Namespace, pythons: dict[str, str]) -> Iterator[Cell]:
    for peer in chosen.peers:
        for name in [name for name in chosen.sets or CASES[peer] if name in data.names()]:
            for round_ in range(chosen.rounds):

                def run(peer: str = peer, name: str = name, round_: int = round_) -> Answer:
                    seed = chosen.seed + round_
                    with Worker(pythons[PYTHONS[peer]], chosen.threads) as worker:
                        theirs = worker.ask("until", method=peer, name=name, seed=seed)
                    if "seconds" not in theirs:
                        return theirs
                    return raced(theirs, name, seed, chosen.threads)

                yield Cell(f"{peer} | {name} | {round_}", run)


def raced(theirs: Answer, name: str, seed: int, threads: int) -> Answer:
    """Ours in growing shares of the peer's time, until it is as good or has had as much."""
    tried = []
    with Worker(sys.executable, threads) as worker:
        for share in SHARES:
            limit = share * theirs["seconds"]
            ours = worker.ask(
                "until", method="ours", name=name, seed=seed, dim=theirs["dim"], seconds=limit
            )
            if "seconds" not in ours:
                return ours
            tried.append(ours)
            if ours["error"] <= theirs["error"]:
                break
    last = tried[-1]
    reached = last["error"] <= theirs["error"]
    return {
        "peer_s": theirs["seconds"],
        "peer_error": theirs["error"],
        "dim": theirs["dim"],
        "ours_s": last["seconds"],
        "ours_error": last["error"],
        "share": last["seconds"] / theirs["seconds"] if reached else float("inf"),
    }


def table(results: Results) -> str:
    found: dict[tuple[str, str], list[Answer]] = {}
    for key, cell in results.finished.items():
        peer, name, _ = key.split(" | ")
        found.setdefault((peer, name), []).append(cell)
    rows = []
    for (peer, name), runs in found.items():

        def middle(measure: str, runs: list[Answer] = runs) -> float:
            return float(median(cell[measure] for cell in runs))

        share = middle("share")
        shown = f"{share:.3f}" if share <= TARGET else f"**{share:.3f}**"
        rows.append([
            f"{WORDS[peer]}: {name}",
            str(runs[0]["dim"]),
            f"{middle('peer_error'):.4g}",
            f"{middle('ours_error'):.4g}",
            f"{middle('peer_s'):.2f}",
            f"{middle('ours_s'):.3f}",
            shown,
        ])  # fmt: skip
    head = [
        "peer and rows", "code", "its error on rows unseen", "ours when as good", "its seconds",
        "ours", "share of its time",
    ]  # fmt: skip
    text = heading(results.data) + "\n" + markdown(head, rows)
    return text + f"\nAt most {TARGET} is meant; what is above is bold.\n"


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    pythons = {"own": sys.executable, "peers": chosen.python_peers}
    results = Results.opened("until", chosen, {"threads": chosen.threads}, pythons)
    status = results.fill(cells(chosen, pythons))
    print(table(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
