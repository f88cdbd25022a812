"""How much noise is taken out of photographs, beside BM3D and others?"""

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

PEERS = ("bm3d", "non-local means", "wavelets")
OURS = {"ours": "clean", "ours-from-noise": "noisy"}


def options() -> argparse.ArgumentParser:
    found = parser("denoise", __doc__ or "")
    peers_option(found)
    found.add_argument("--sigmas", type=lambda t: [*map(float, names(t))], default=[15, 25, 50])
    found.add_argument("--methods", type=names, default=[*OURS, *PEERS])
    found.add_argument("--max-time", default="90min", help="of a fit, by the clock")
    found.add_argument("--test", default="bsd68", help="bsd68, or held: those to choose by")
    found.add_argument("--threads", type=int, default=cores())
    return found


def cells(chosen: argparse.Namespace, own: Worker, peers: Worker) -> Iterator[Cell]:
    """One model for all strengths; of noise alone, one for each."""
    for method in chosen.methods:
        for sigma in map(float, chosen.sigmas):
            if method in PEERS:

                def other(method: str = method, sigma: float = sigma) -> Answer:
                    return peers.ask(
                        "denoise", do="peer", method=method, sigma=sigma, test=chosen.test
                    )

                yield Cell(f"{method} | {sigma:g}", other)
                continue
            learn = OURS[method]
            which = "all" if learn == "clean" else f"{sigma:g}"
            model = str(RESULTS / "denoisers" / f"{learn}-{which}-{chosen.seed}.model")

            def fit(model: str = model, learn: str = learn, sigma: float = sigma) -> Answer:
                return own.ask(
                    "denoise",
                    do="fit",
                    model=model,
                    learn=learn,
                    sigma=sigma,
                    seed=chosen.seed,
                    max_time=chosen.max_time,
                )

            def measure(model: str = model, sigma: float = sigma) -> Answer:
                return own.ask("denoise", do="measure", model=model, sigma=sigma, test=chosen.test)

            yield Cell(f"{method} | fit {which}", fit)
            yield Cell(f"{method} | {sigma:g}", measure)


def table(results: Results) -> str:
    """A line for each method: decibels at each strength, and seconds for 512 x 512 pixels."""
    found = results.finished
    sigmas = sorted({float(at.split(" | ")[1]) for at in found if "fit" not in at})
    rows = []
    for method in (*OURS, *PEERS):
        measured = [found.get(f"{method} | {sigma:g}") for sigma in sigmas]
        if not any(measured):
            continue
        fits = [cell for at, cell in found.items() if at.startswith(f"{method} | fit")]
        rows.append(
            [
                method,
                *("" if cell is None else f"{cell['psnr']:.2f}" for cell in measured),
                f"{max(cell['seconds_512'] for cell in measured if cell):.2f}",
                ", ".join(f"{cell['cpu_seconds'] / 60:.0f}" for cell in fits),
                ", ".join(f"{cell['parameters']:,}" for cell in fits[:1]),
            ]
        )
    head = ["method", *(f"sigma {sigma:g}, dB" for sigma in sigmas)]
    head += ["s for 512 x 512", "fit, CPU-minutes", "parameters"]
    return f"{heading(results.data)}\n\n{markdown(head, rows)}\n"


def main(arguments: list[str]) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    settings = {"max_time": chosen.max_time, "test": chosen.test, "threads": chosen.threads}
    pythons = {"own": sys.executable, "peers": chosen.python_peers}
    results = Results.opened("denoise", chosen, settings, pythons)
    with (
        Worker(sys.executable, chosen.threads) as own,
        Worker(chosen.python_peers, chosen.threads) as peers,
    ):
        status = results.fill(cells(chosen, own, peers))
    print(table(results))
    return status
