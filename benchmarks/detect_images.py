"""How well are images found that do not belong, beside neighbours and components of pixels?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from statistics import fmean

from benchmarks import data
from benchmarks.process import Worker
from benchmarks.runner import Answer, Cell, Results, heading, markdown, names, one_of, parser

TILES = "magnetic-tiles"
WORDS = {
    "ours": "ours, defaults",
    "nearest": "the nearest neighbour, pixels",
    "neighbours": "5 neighbours, pixels",
    "pca": "PCA of pixels, error after 90 % of the variance",
    "iforest": "scikit-learn IsolationForest, pixels",
}
SETS = [TILES, *(f"{name} {kind}" for name in ("mnist", "fashion-mnist") for kind in range(10))]
RATES = (0.01, 0.05, 0.1)
TARGET = 0.9
"""AUROC that is meant to be reached on magnetic tiles."""


def options() -> argparse.ArgumentParser:
    found = parser("detect_images", __doc__ or "")
    found.add_argument("--sets", type=names, default=SETS, help="some of them")
    found.add_argument("--methods", type=one_of([*WORDS]), default=[*WORDS])
    found.add_argument("--rounds", type=int, default=3, help="seeds, from --seed on")
    found.add_argument("--threads", type=int, default=1)
    return found


def cells(chosen: argparse.Namespace, worker: Worker) -> Iterator[Cell]:
    for seed in range(chosen.seed, chosen.seed + chosen.rounds):
        for name in chosen.sets:
            for method in chosen.methods:
                question: Answer = {"name": name, "method": method, "seed": seed}

                def run(question: Answer = question) -> Answer:
                    return worker.ask("detect_images", **question)

                yield Cell(f"{name} | {method} | {seed}", run)


def source(name: str) -> str:
    """The name of a set without its class."""
    return name.rsplit(" ", 1)[0]


def tables(results: Results) -> str:
    found: dict[str, dict[str, list[Answer]]] = {}
    for key, cell in results.finished.items():
        name, method, _ = key.split(" | ")
        found.setdefault(source(name), {}).setdefault(method, []).append(cell)
    parts = [heading(results.data)]
    for name, methods in found.items():
        rows = [row(name, method, methods[method]) for method in WORDS if method in methods]
        head = ["", "AUROC", "AUPRC", "fit, s", "fits"]
        parts.append(f"### {name}\n\n{markdown(head, rows)}")
        ours = methods.get("ours", [])
        if ours:
            parts.append(kept(ours))
    return "\n\n".join(parts)


def row(name: str, method: str, runs: list[Answer]) -> list[str]:
    auroc, auprc, seconds = (fmean(run[m] for run in runs) for m in ("auroc", "auprc", "fit_s"))
    shown = f"{auroc:.3f}"
    missed = method == "ours" and name == TILES and auroc < TARGET
    return [
        WORDS[method],
        f"**{shown}**" if missed else shown,
        f"{auprc:.3f}",
        f"{seconds:.2f}",
        str(len(runs)),
    ]


def kept(ours: list[Answer]) -> str:
    """False alarms, and how well maps say where defects are."""
    words = ", ".join(
        f"{fmean(run[f'alarms_{rate}'] for run in ours):.1%} at {rate:.0%}" for rate in RATES
    )
    told = f"Ours, false alarms: {words}."
    drawn = [run["pixel_auroc"] for run in ours if "pixel_auroc" in run]
    return told + (f" Pixel AUROC of its maps: {fmean(drawn):.3f}." if drawn else "")


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(tables(Results.read(chosen.out)))
        return 0
    if not (data.folder() / "image_anomaly").is_dir():
        raise SystemExit(f"the images are not in {data.folder()}; ISTHMUS_DATA names the folder.")
    results = Results.opened(
        "detect_images", chosen, {"threads": chosen.threads}, {"own": sys.executable}
    )
    with Worker(sys.executable, chosen.threads) as worker:
        status = results.fill(cells(chosen, worker))
    print(tables(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
