"""What does a training step cost, beside peers and the machine's matrix products?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks.jobs.steps import NETWORKS
from benchmarks.process import Worker, cores
from benchmarks.runner import (
    Answer,
    Cell,
    Results,
    heading,
    markdown,
    one_of,
    parser,
    peers_option,
)

METHODS = {
    "matrix-product": "own",
    "torch": "own",
    "ours": "own",
    "ours-linear-path": "own",
    "ours-default": "own",
    "torch-default-adam": "own",
    "keras-jax": "own",
    "keras-jax-epoch": "own",
    "keras-torch": "own",
    "sklearn": "own",
    "pythae": "peers",
    "pyod": "peers",
    "pyod-default": "peers",
}
REFERENCE = "torch"
WORDS = {
    "torch": "bare torch loop, fused Adam",
    "torch-default-adam": "bare torch loop, default Adam",
    "ours": "ours, the same layers",
    "ours-linear-path": "ours, the same layers and the linear path",
    "ours-default": "ours, defaults (a larger network)",
    "keras-jax": "Keras on JAX",
    "keras-jax-epoch": "Keras on JAX, an epoch per execution",
    "keras-torch": "Keras on torch",
    "sklearn": "scikit-learn MLPRegressor",
    "pythae": "pythae AE",
    "pyod": "PyOD AutoEncoder, the same layers",
    "pyod-default": "PyOD AutoEncoder, defaults",
}


def options() -> argparse.ArgumentParser:
    found = parser("train", __doc__ or "")
    peers_option(found)
    found.add_argument("--rounds", type=int, default=5, help="runs of each method, in turns")
    found.add_argument(
        "--seconds", type=float, default=2.0, help="by which a long run exceeds a short one"
    )
    found.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, cores()}), help="each is measured"
    )
    found.add_argument("--rows", type=int, default=0, help="of data; 0: 10,240 and 2,048")
    found.add_argument("--methods", type=one_of([*METHODS]), default=[*METHODS])
    found.add_argument("--networks", type=one_of([*NETWORKS]), default=[*NETWORKS])
    return found


def key(network: str, threads: int, method: str, round_: int) -> str:
    return f"{network} | {threads} | {method} | {round_}"


def cells(chosen: argparse.Namespace, pythons: dict[str, str]) -> Iterator[Cell]:
    """Every method once, then every method again: what disturbs the machine disturbs all."""
    for network in chosen.networks:
        for threads in chosen.threads:
            for round_ in range(chosen.rounds):
                for method in chosen.methods:

                    def run(
                        network: str = network, threads: int = threads, method: str = method
                    ) -> Answer:
                        with Worker(pythons[METHODS[method]], threads) as worker:
                            return worker.ask(
                                "steps",
                                network=network,
                                method=method,
                                seed=chosen.seed,
                                seconds=chosen.seconds,
                                rows=chosen.rows,
                            )

                    yield Cell(key(network, threads, method, round_), run)


Runs = dict[str, dict[int, Answer]]
"""By method and round."""


def grouped(results: Results) -> dict[tuple[str, int], Runs]:
    """By network and threads."""
    found: dict[tuple[str, int], Runs] = {}
    for name, cell in results.finished.items():
        network, threads, method, round_ = name.split(" | ")
        runs = found.setdefault((network, int(threads)), {})
        runs.setdefault(method, {})[int(round_)] = cell
    return found


def ratio(runs: Runs, method: str, measure: str) -> float | None:
    """The median over rounds of a method's cost in the bare loop's of the same round."""
    pairs = [
        cell[measure] / runs[REFERENCE][round_][measure]
        for round_, cell in runs[method].items()
        if round_ in runs.get(REFERENCE, {})
    ]
    return median(pairs) if pairs else None


def share(runs: Runs, method: str) -> float | None:
    """Of the rate of matrix products in the same round, by wall time."""
    found = [
        cell["mflop"] / cell["wall_us"] / 1e-3 / runs["matrix-product"][round_]["gflops"]
        for round_, cell in runs[method].items()
        if round_ in runs.get("matrix-product", {})
    ]
    return median(found) if found else None


def middle(runs: dict[int, Answer], measure: str) -> float:
    return float(median(cell[measure] for cell in runs.values()))


def shown(value: float | None, form: str = ".2f") -> str:
    return "" if value is None else format(value, form)


def absent(results: Results, network: str, threads: int, method: str) -> str:
    """Why a method has no figures; "" where it was not asked for."""
    failed = {
        "not installed" if "missing" in cell else cell["error"]
        for name, cell in results.cells.items()
        if name.startswith(f"{network} | {threads} | {method} | ")
        and ("missing" in cell or "error" in cell)
    }
    return "; ".join(sorted(failed))


def step_table(results: Results, network: str, threads: int, runs: Runs) -> str:
    """One network on so many threads."""
    rows = []
    for method, words in WORDS.items():
        if method in runs:
            rows.append([
                words,
                f"{middle(runs[method], 'cpu_us'):,.0f}",
                f"{middle(runs[method], 'wall_us'):,.0f}",
                shown(ratio(runs, method, "cpu_us")),
                shown(ratio(runs, method, "wall_us")),
                shown(share(runs, method), ".0%"),
                str(len(runs[method])),
            ])  # fmt: skip
        elif reason := absent(results, network, threads, method):
            rows.append([words, reason, "", "", "", "", "0"])
    head = [
        "method", "CPU us a step", "wall us a step", "CPU, times bare", "wall, times bare",
        "of the matrix rate", "rounds",
    ]  # fmt: skip
    text = f"\n### {network}, batch {NETWORKS[network].batch}, threads: {threads}\n\n"
    if "matrix-product" in runs:
        rate = middle(runs["matrix-product"], "gflops")
        text += f"Matrix products, float32: {rate:,.0f} GFLOP/s.\n\n"
    return text + markdown(head, rows)


def best_table(network: str, by_threads: dict[int, Runs]) -> str:
    """Each method on the number of threads at which its step takes the least CPU time."""
    best: dict[str, tuple[float, int]] = {}
    for method in WORDS:
        found = [
            (middle(runs[method], "cpu_us"), threads)
            for threads, runs in by_threads.items()
            if method in runs
        ]
        if found:
            best[method] = min(found)
    reference = best.get(REFERENCE, (0.0, 0))[0]
    rows = [
        [WORDS[method], str(threads), f"{cpu:,.0f}", shown(cpu / reference if reference else None)]
        for method, (cpu, threads) in best.items()
    ]
    text = f"\n### {network}, each method's own best number of threads\n\n"
    return text + markdown(
        ["method", "threads", "CPU us a step", "times the bare loop's best"], rows
    )


def table(results: Results) -> str:
    found = grouped(results)
    # A library that is absent everywhere still has its line.
    for name in results.cells:
        network, threads, _, _ = name.split(" | ")
        found.setdefault((network, int(threads)), {})
    text = heading(results.data)
    for network in NETWORKS:
        by_threads = {number: runs for (name, number), runs in found.items() if name == network}
        for number, runs in sorted(by_threads.items()):
            text += step_table(results, network, number, runs)
        if len(by_threads) > 1:
            text += best_table(network, by_threads)
    return text


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    pythons = {"own": sys.executable, "peers": chosen.python_peers}
    settings = {"seconds": chosen.seconds, "rows": chosen.rows}
    results = Results.opened("train", chosen, settings, pythons)
    status = results.fill(cells(chosen, pythons))
    print(table(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
