"""How well are holes filled and images made larger, beside interpolation?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from benchmarks.process import Worker, cores
from benchmarks.runner import (
    RESULTS,
    Answer,
    Cell,
    Results,
    heading,
    markdown,
    names,
    parser,
    peers_option,
)

PEERS = {"scale2": ("bicubic",), "holes": ("biharmonic", "telea")}


def options() -> argparse.ArgumentParser:
    found = parser("restore", __doc__ or "")
    peers_option(found)
    found.add_argument("--damages", type=names, default=[*PEERS])
    found.add_argument("--max-time", default="30min", help="of a fit, by the clock")
    found.add_argument("--test", default="kodak", help="kodak, or held: those to choose by")
    found.add_argument("--threads", type=int, default=cores())
    return found


def cells(chosen: argparse.Namespace, own: Worker, peers: Worker) -> Iterator[Cell]:
    """Of each damage: ours fitted, ours measured, then the others."""
    for damage in chosen.damages:
        model = str(RESULTS / "restorers" / f"{damage}-{chosen.seed}.model")

        def fit(model: str = model, damage: str = damage) -> Answer:
            asked = {"model": model, "damage": damage, "seed": chosen.seed}
            return own.ask("restore", do="fit", max_time=chosen.max_time, **asked)

        def measure(model: str = model, damage: str = damage) -> Answer:
            return own.ask("restore", do="measure", model=model, damage=damage, test=chosen.test)

        yield Cell(f"{damage} | ours | fit", fit)
        yield Cell(f"{damage} | ours", measure)
        for method in PEERS[damage]:

            def other(method: str = method, damage: str = damage) -> Answer:
                return peers.ask(
                    "restore", do="peer", method=method, damage=damage, test=chosen.test
                )

            yield Cell(f"{damage} | {method}", other)


def table(results: Results) -> str:
    """A line for each damage and method."""
    found = results.finished
    rows = []
    for at, cell in found.items():
        damage, method, *rest = at.split(" | ")
        if rest:
            continue
        spent = found.get(f"{at} | fit")
        minutes = "" if spent is None else f"{spent['cpu_seconds'] / 60:.0f}"
        rows.append([damage, method, f"{cell['psnr']:.2f}", f"{cell['mse']:.3g}", minutes])
    head = ["damage", "method", "PSNR, dB", "mean squared error", "fit, CPU-minutes"]
    return f"{heading(results.data)}\n\n{markdown(head, rows)}\n"


def main(arguments: list[str]) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    settings = {"max_time": chosen.max_time, "test": chosen.test, "threads": chosen.threads}
    pythons = {"own": sys.executable, "peers": chosen.python_peers}
    results = Results.opened("restore", chosen, settings, pythons)
    with (
        Worker(sys.executable, chosen.threads) as own,
        Worker(chosen.python_peers, chosen.threads) as peers,
    ):
        status = results.fill(cells(chosen, own, peers))
    print(table(results))
    return status
