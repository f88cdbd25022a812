"""How well do prefixes of one nested code reconstruct, beside PCA and a model for each length?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from benchmarks import data
from benchmarks.process import Worker
from benchmarks.runner import Answer, Cell, Results, heading, markdown, names, parser

SETS = ("mnist", "fashion-mnist", "tabular/pendigits")
DIMS = (1, 2, 4, 8, 16, 32)
LONGEST = 32


def options() -> argparse.ArgumentParser:
    found = parser("nested", __doc__ or "")
    found.add_argument("--sets", type=names, default=[*SETS])
    found.add_argument(
        "--dims",
        type=lambda t: [*map(int, names(t))],
        default=[*DIMS],
        help="for which there is a model of its own; the nested one is measured at every k",
    )
    found.add_argument("--latent-dim", type=int, default=LONGEST, help="of the nested model")
    found.add_argument("--train-rows", type=int, default=10_000, help="of large image sets")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--no-dedicated", action="store_true", help="leave out a model for each k")
    return found


def key(name: str, recipe: str, dim: int) -> str:
    return f"{name} | {recipe} | {dim}"


def cells(chosen: argparse.Namespace, worker: Worker) -> Iterator[Cell]:
    """One nested model for each set, then one of the default recipe for each number."""
    for name in chosen.sets:
        if name not in data.names():
            raise SystemExit(f"there is no set '{name}' in {data.folder()} or scikit-learn.")
        most = data.values(name, chosen.seed, chosen.train_rows)
        longest = min(chosen.latent_dim, most)
        dims = [k for k in chosen.dims if k <= longest]
        asked = [("nested", longest, [*range(1, longest + 1)])]
        if not chosen.no_dedicated:
            asked += [("autoencoder", k, [k]) for k in dims]
        for recipe, dim, prefixes in asked:

            def run(
                name: str = name, recipe: str = recipe, dim: int = dim, dims: list[int] = prefixes
            ) -> Answer:
                return worker.ask(
                    "prefixes",
                    name=name,
                    recipe=recipe,
                    latent_dim=dim,
                    dims=dims,
                    seed=chosen.seed,
                    train_rows=chosen.train_rows,
                )

            yield Cell(key(name, recipe, dim), run)


def row(name: str, k: str, cell: Answer, alone: float | None) -> list[str]:
    worse = cell["difference"] > cell["pca_mse_error"]
    return [
        name,
        k,
        f"{cell['pca_mse']:.4g} ± {cell['pca_mse_error']:.1g}",
        f"{cell['mse']:.4g} ± {cell['mse_error']:.1g}",
        "" if alone is None else f"{alone:.4g}",
        f"{cell['mse'] / cell['pca_mse']:.3f}",
        "" if alone is None else f"{cell['mse'] / alone:.3f}",
        "worse" if worse else "",
    ]


def table(results: Results) -> str:
    """A line for each set and k that has a model of its own, or for every k where none has."""
    found = results.finished
    rows: list[list[str]] = []
    sums: list[str] = []
    for at, cell in found.items():
        name, recipe, dim = at.split(" | ")
        if recipe != "nested":
            continue
        alone = {
            k: found[key(name, "autoencoder", int(k))]["prefixes"][k]["mse"]
            for k in cell["prefixes"]
            if key(name, "autoencoder", int(k)) in found
        }
        every = {k: row(name, k, part, alone.get(k)) for k, part in cell["prefixes"].items()}
        rows += [every[k] for k in alone or every]
        worse = [k for k, line in every.items() if line[-1]]
        near = [k for k, mse in alone.items() if cell["prefixes"][k]["mse"] <= 1.05 * mse]
        sums.append(
            f"- {name}: one nested model of {dim} in {cell['cpu_seconds']:.1f} CPU-seconds; worse "
            f"than PCA by more than one standard error at {len(worse)} of {dim} k"
            f"{''.join(f', {k}' for k in worse)}; within 5 % of a model for that k alone at "
            f"{len(near)} of {len(alone)}"
        )
    head = [
        "set", "k", "PCA, test MSE", "nested, test MSE", "dedicated, test MSE",
        "times PCA", "times dedicated", "",
    ]  # fmt: skip
    return f"{heading(results.data)}\n{markdown(head, rows)}\n" + "\n".join(sums) + "\n"


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    settings = {
        "latent_dim": chosen.latent_dim,
        "train_rows": chosen.train_rows,
        "threads": chosen.threads,
    }
    results = Results.opened("nested", chosen, settings, {"own": sys.executable})
    with Worker(sys.executable, chosen.threads) as worker:
        status = results.fill(cells(chosen, worker))
    print(table(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
