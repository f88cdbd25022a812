"""How well are missing cells filled, beside the mean, neighbours and regressions in turn?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from statistics import fmean, median

from benchmarks import data
from benchmarks.process import Worker
from benchmarks.runner import Answer, Cell, Results, heading, markdown, names, one_of, parser

WORDS = {
    "ours": "ours, defaults",
    "mean": "mean or mode",
    "knn": "KNNImputer, defaults",
    "knn-weighted": "KNNImputer, 20 neighbours by distance",
    "iterative": "IterativeImputer, defaults",
    "iterative-levels": "IterativeImputer, defaults, categories as numbers",
    "iterative-trees": "IterativeImputer with ExtraTrees",
}
SHARES = (0.1, 0.3, 0.5)
SETS = (
    "mixed/adult-train", "mixed/titanic", "mixed/penguins", "mixed/diamonds", "mixed/horse-colic",
    "mixed/german", "mixed/abalone", "mixed/mammography", "tabular/pendigits",
)  # fmt: skip
WANTED = 0.9
"""The most that the error of ours is meant to be, of the best of scikit-learn's."""
COVERED = 0.88, 0.92
"""Between which shares intervals of 90 % are meant to hold."""


def options() -> argparse.ArgumentParser:
    found = parser("impute", __doc__ or "")
    found.add_argument("--sets", type=names, help="some of them (default: nine)")
    found.add_argument("--methods", type=one_of([*WORDS]), default=[*WORDS])
    found.add_argument("--shares", type=names, default=[str(share) for share in SHARES])
    found.add_argument("--most", type=int, default=5000, help="rows to fit on")
    found.add_argument("--most-test", type=int, default=2000, help="rows to fill")
    found.add_argument("--rounds", type=int, default=2, help="seeds, from --seed on")
    found.add_argument("--threads", type=int, default=1)
    return found


def chosen_sets(wanted: list[str] | None) -> list[str]:
    """Those asked for; without the folder of data, one that comes with scikit-learn."""
    known = [*data.frames(), *data.tables()]
    for name in wanted or []:
        if name not in known:
            raise SystemExit(f"there is no '{name}' in {data.folder()} or scikit-learn.")
    return wanted or [name for name in SETS if name in known] or ["wine"]


def cells(chosen: argparse.Namespace, worker: Worker) -> Iterator[Cell]:
    """Everything with one seed, then everything with the next; methods take turns on a table."""
    every = [
        (seed, name, share, method)
        for seed in range(chosen.seed, chosen.seed + chosen.rounds)
        for name in chosen_sets(chosen.sets)
        for share in chosen.shares
        for method in chosen.methods
    ]
    for seed, name, share, method in every:

        def run(
            seed: int = seed, name: str = name, share: str = share, method: str = method
        ) -> Answer:
            limits = {"most": chosen.most, "most_test": chosen.most_test}
            return worker.ask(
                "impute", name=name, seed=seed, share=float(share), method=method, **limits
            )

        yield Cell(f"{name} | {share} | {method} | {seed}", run)


Runs = dict[str, list[Answer]]
"""By table, one for each seed."""


def grouped(results: Results) -> dict[str, dict[str, Runs]]:
    """By share and method, the tables and seeds that all methods have."""
    finished = {tuple(key.split(" | ")): cell for key, cell in results.finished.items()}
    shares = sorted({key[1] for key in finished}, key=float)
    found: dict[str, dict[str, Runs]] = {}
    for share in shares:
        methods = [m for m in WORDS if any(key[1:3] == (share, m) for key in finished)]
        shared = set.intersection(
            *({(key[0], key[3]) for key in finished if key[1:3] == (share, m)} for m in methods)
        )
        for method in methods:
            runs: Runs = {}
            for name, seed in sorted(shared):
                runs.setdefault(name, []).append(finished[name, share, method, seed])
            found.setdefault(share, {})[method] = runs
    return found


def mean_error(runs: list[Answer]) -> float:
    return fmean(run["normalised_error"] for run in runs)


def bold(text: str, missed: bool) -> str:
    return f"**{text}**" if missed else text


def errors_table(methods: dict[str, Runs]) -> str:
    """The error of each method on each table, and what ours is of the best of scikit-learn's."""
    tables = list(next(iter(methods.values())))
    rows = [
        [name.rpartition("/")[2], *(f"{mean_error(runs[name]):.3f}" for runs in methods.values())]
        for name in tables
    ]
    means = {m: fmean(mean_error(runs[name]) for name in tables) for m, runs in methods.items()}
    rows.append(["mean", *(f"{mean:.3f}" for mean in means.values())])
    seconds = [
        f"{median(run['fit_s'] for each in runs.values() for run in each):.1f}"
        for runs in methods.values()
    ]
    rows.append(["fit, s of CPU, median", *seconds])
    text = markdown(["error", *(WORDS[method] for method in methods)], rows)
    others = [method for method in means if method != "ours"]
    if "ours" in means and others:
        best = min(others, key=lambda method: means[method])
        share = means["ours"] / means[best]
        text += (
            f"\nOurs has {bold(f'{share:.3f}', share > WANTED)} of the error of the best of "
            f"scikit-learn's in the mean ({WORDS[best]}).\n"
        )
    return text


def trust_table(found: dict[str, dict[str, Runs]]) -> str:
    """How often intervals of ours hold, and the variance of draws beside that of errors."""
    rows = []
    for share, methods in found.items():
        runs = [run for each in methods.get("ours", {}).values() for run in each]
        if not runs:
            continue
        row = [f"{float(share):.0%}"]
        for kinds in (("number",), ("category",), ("number", "category")):
            held, n = (
                sum(run[what][k] for run in runs for k in kinds) for what in ("held", "cells")
            )
            covered = held / max(n, 1)
            row.append(bold(f"{covered:.1%}", n > 0 and not COVERED[0] <= covered <= COVERED[1]))
        rows.append([*row, f"{median(run['draws_variance'] for run in runs):.2f}"])
    head = [
        "cells hidden", "intervals of numbers hold", "sets of levels hold", "both",
        "variance of draws over that of errors, median",
    ]  # fmt: skip
    return "\n### intervals of 90 % and draws of ours\n\n" + markdown(head, rows)


def measured(results: Results) -> str:
    found = grouped(results)
    text = heading(results.data)
    text += (
        "\nError: the mean over columns of the root mean square error over the standard deviation, "
        "or of a category of the share of wrong levels over that of the mode; the mean over seeds. "
        f"At most {WANTED} of the best of scikit-learn's in the mean over tables, and intervals of "
        f"90 % that hold {COVERED[0]:.0%} to {COVERED[1]:.0%} of the hidden cells, are meant; what "
        "misses that is bold.\n"
    )
    for share, methods in found.items():
        text += f"\n### {float(share):.0%} of the cells hidden\n\n" + errors_table(methods)
    return text + trust_table(found)


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(measured(Results.read(chosen.out)))
        return 0
    settings = {"most": chosen.most, "most_test": chosen.most_test, "threads": chosen.threads}
    results = Results.opened("impute", chosen, settings, {"own": sys.executable})
    with Worker(sys.executable, chosen.threads) as worker:
        status = results.fill(cells(chosen, worker))
    print(measured(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
