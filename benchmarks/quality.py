"""How well are unseen rows reconstructed, beside PCA and a plain autoencoder of the same time?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks import data
from benchmarks.process import Worker, cores
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

METHODS = ("pca", "ours", "plain", "pythae")
DIMS = (2, 8, 32)
BUDGETS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0)
RACE = ("fashion-mnist", 32)


def options() -> argparse.ArgumentParser:
    found = parser("quality", __doc__ or "")
    peers_option(found)
    found.add_argument(
        "--sets", type=names, help="some of them; 'images', 'tables', 'mixed' (default: all)"
    )
    found.add_argument("--dims", type=lambda t: [*map(int, names(t))], default=[*DIMS])
    found.add_argument("--methods", type=one_of(METHODS), default=[*METHODS])
    found.add_argument("--seconds", type=float, default=15.0, help="CPU-seconds, for images")
    found.add_argument("--table-seconds", type=float, default=15.0, help="the same, for tables")
    found.add_argument("--threads", type=int, default=cores())
    found.add_argument("--repeats", type=int, default=1, help="seeds, from --seed on")
    found.add_argument("--full", action="store_true", help="50,000 images to train, not 10,000")
    found.add_argument("--no-race", action="store_true", help="leave out the time to plain's error")
    return found


def chosen_sets(wanted: list[str] | None) -> list[str]:
    """Names of sets, with "images" and "tables" for all of a kind."""
    known = data.names()
    images = [name for name in known if name in data.IMAGES or name == "digits-images"]
    mixed = [*data.frames()]
    tables = [name for name in known if name not in {*images, *mixed}]
    kinds = {"images": images, "tables": tables, "mixed": mixed}
    found: list[str] = []
    for name in known if wanted is None else wanted:
        if name not in kinds and name not in known:
            raise SystemExit(f"there is no set '{name}' in {data.folder()} or scikit-learn.")
        found += kinds.get(name, [name])
    return found


class Fits:
    """Asks for fits, from one process for each environment that is kept between cells."""

    def __init__(self, chosen: argparse.Namespace, workers: dict[str, Worker]) -> None:
        self.chosen, self.workers = chosen, workers
        self.train_rows = 50_000 if chosen.full else 10_000

    def seconds(self, name: str) -> float:
        """CPU-seconds that a fit on this set may take."""
        large = name in data.IMAGES
        return float(self.chosen.seconds if large else self.chosen.table_seconds)

    def ask(self, name: str, method: str, dim: int, seed: int, cpu_seconds: float) -> Answer:
        return self.workers["peers" if method == "pythae" else "own"].ask(
            "mixed" if name in data.frames() else "fits",
            name=name,
            method=method,
            dim=dim,
            seed=seed,
            train_rows=self.train_rows,
            cpu_seconds=cpu_seconds,
            threads=self.chosen.threads,
        )


def key(name: str, dim: int, method: str, seed: int) -> str:
    return f"{name} | {dim} | {method} | {seed}"


def cells(chosen: argparse.Namespace, results: Results, fits: Fits) -> Iterator[Cell]:
    """PCA and ours first: the plain methods get the CPU time that ours really took."""
    seeds = range(chosen.seed, chosen.seed + chosen.repeats)
    for name in chosen_sets(chosen.sets):
        for seed in seeds:
            most = data.values(name, seed, fits.train_rows)
            for dim in [dim for dim in chosen.dims if dim < most]:
                methods = METHODS[:2] if name in data.frames() else METHODS
                for method in [method for method in methods if method in chosen.methods]:

                    def run(
                        name: str = name, dim: int = dim, method: str = method, seed: int = seed
                    ) -> Answer:
                        took = results.cells.get(key(name, dim, "ours", seed), {})
                        seconds = fits.seconds(name)
                        if method in ("plain", "pythae"):
                            seconds = took.get("cpu_seconds", seconds)
                        return fits.ask(name, method, dim, seed, seconds)

                    yield Cell(key(name, dim, method, seed), run)
                if (name, dim) == RACE and not chosen.no_race:
                    yield from race(chosen, results, fits, seed)


def race(chosen: argparse.Namespace, results: Results, fits: Fits, seed: int) -> Iterator[Cell]:
    """Ours with more and more time, until it is below what the plain one ends with."""
    name, dim = RACE
    if not {"ours", "plain"} <= {*chosen.methods}:
        return
    for budget in BUDGETS:
        plain = results.cells.get(key(name, dim, "plain", seed), {})
        if "mse" not in plain or budget > fits.seconds(name):
            return
        at = key(name, dim, f"race {budget}", seed)
        yield Cell(at, lambda budget=budget: fits.ask(name, "ours", dim, seed, budget))  # type: ignore[misc]
        if results.cells.get(at, {}).get("mse", plain["mse"] + 1) <= plain["mse"]:
            return


Runs = dict[str, dict[int, Answer]]
"""By method and seed."""


def grouped(results: Results) -> dict[tuple[str, int], Runs]:
    """By set and dimensions of the code."""
    found: dict[tuple[str, int], Runs] = {}
    for at, cell in results.finished.items():
        name, dim, method, seed = at.split(" | ")
        found.setdefault((name, int(dim)), {}).setdefault(method, {})[int(seed)] = cell
    return found


def worse(cell: Answer) -> bool:
    """Worse than PCA by more than one standard error of PCA's test mean."""
    return bool(cell["difference"] > cell["pca_mse_error"])


def middle(runs: dict[int, Answer], measure: str) -> float:
    return float(median(cell[measure] for cell in runs.values()))


def in_pca(runs: Runs, method: str) -> str:
    """The error as a multiple of PCA's, and the CPU-seconds, medians over seeds."""
    if method not in runs:
        return ""
    times = median(cell["mse"] / cell["pca_mse"] for cell in runs[method].values())
    return f"{times:.3f} ({middle(runs[method], 'cpu_seconds'):.1f} s)"


def row(name: str, dim: int, runs: Runs) -> list[str]:
    cell = runs["ours"]
    bad = sum(worse(run) for run in cell.values())
    mse, error = middle(cell, "mse"), middle(cell, "mse_error")
    pca, pca_error = middle(cell, "pca_mse"), middle(cell, "pca_mse_error")
    difference, its = middle(cell, "difference"), middle(cell, "difference_error")
    return [
        name,
        str(dim),
        f"{pca:.4g} ± {pca_error:.1g}",
        f"{mse:.4g} ± {error:.1g}",
        f"{difference:+.2g} ± {its:.1g}",
        in_pca(runs, "ours"),
        in_pca(runs, "plain"),
        in_pca(runs, "pythae"),
        f"worse ({bad} of {len(cell)})" if bad else "",
    ]


def race_table(results: Results) -> str:
    """CPU-seconds until the plain one's final error."""
    runs = grouped(results).get(RACE, {})
    raced = {method: cells for method, cells in runs.items() if method.startswith("race ")}
    rows = []
    for seed, plain in runs.get("plain", {}).items():
        tried = sorted(
            (cells[seed] for cells in raced.values() if seed in cells),
            key=lambda cell: float(cell["cpu_seconds"]),
        )
        reached = next((cell for cell in tried if cell["mse"] <= plain["mse"]), None)
        if tried:
            rows.append([
                f"seed {seed}",
                f"{plain['mse']:.4f}",
                f"{plain['cpu_seconds']:.1f}",
                f"{reached['mse']:.4f}" if reached else "not reached",
                f"{reached['cpu_seconds']:.2f}" if reached else "",
                f"{reached['cpu_seconds'] / plain['cpu_seconds']:.2f}" if reached else "",
            ])  # fmt: skip
    if not rows:
        return ""
    head = ["", "plain's final error", "its CPU s", "ours", "its CPU s", "share of plain's time"]
    return f"\n### Time until the plain one's final error, {RACE[0]}, {RACE[1]} dimensions\n\n" + (
        markdown(head, rows)
    )


def summary(found: dict[tuple[str, int], Runs]) -> str:
    """By kind of data and dimensions of the code."""
    groups: dict[tuple[str, int], list[Answer]] = {}
    for (name, dim), runs in found.items():
        kind = next((k for k in ("images", "mixed") if name in chosen_sets([k])), "tables")
        groups.setdefault((kind, dim), []).extend(runs["ours"].values())
    rows = []
    for (kind, dim), cells in sorted(groups.items()):
        ratios = [cell["mse"] / cell["pca_mse"] for cell in cells if cell["pca_mse"]]
        mean = sum(cell["mse"] for cell in cells) / sum(cell["pca_mse"] for cell in cells)
        columns = sum(cell.get("columns", 0) for cell in cells)
        bad = sum(cell.get("columns_worse", 0) for cell in cells)
        rows.append([
            kind, str(dim), str(len(cells)), f"{median(ratios):.3f}", f"{mean:.3f}",
            str(sum(map(worse, cells))), f"{bad} of {columns}" if columns else "",
        ])  # fmt: skip
    head = [
        "kind", "dims", "fits", "median of ratios to PCA", "mean error over PCA's mean error",
        "worse than PCA by more than one standard error", "columns worse by as much",
    ]  # fmt: skip
    return markdown(head, rows)


def table(results: Results) -> str:
    found = {at: runs for at, runs in grouped(results).items() if "ours" in runs}
    head = [
        "set", "dims", "PCA, test MSE", "ours, test MSE", "ours - PCA, in pairs",
        "ours, times PCA (CPU)", "plain, times PCA (CPU)", "pythae, times PCA (CPU)", "",
    ]  # fmt: skip
    text = f"{heading(results.data)}\n"
    text += markdown(head, [row(name, dim, runs) for (name, dim), runs in found.items()])
    text += f"\n{summary(found)}"
    failed: dict[str, Any] = {
        at: cell.get("error", f"{cell.get('missing')} is not installed")
        for at, cell in results.cells.items()
        if at not in results.finished
    }
    for reason in sorted(set(failed.values())):
        at = [key for key, why in failed.items() if why == reason]
        text += f"\nNot measured in {len(at)} cells, the first {at[0]}: {reason}.\n"
    return text + race_table(results)


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    pythons = {"own": sys.executable, "peers": chosen.python_peers}
    settings = {
        "seconds": chosen.seconds,
        "table_seconds": chosen.table_seconds,
        "threads": chosen.threads,
        "full": chosen.full,
    }
    results = Results.opened("quality", chosen, settings, pythons)
    own, peers = (Worker(pythons[name], chosen.threads) for name in ("own", "peers"))
    with own, peers:
        status = results.fill(cells(chosen, results, Fits(chosen, {"own": own, "peers": peers})))
    print(table(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
