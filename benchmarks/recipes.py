"""What does each recipe cost a step, and what is it good for?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks import recipe_quality
from benchmarks.jobs.recipe_steps import SIZES, TRAINED
from benchmarks.process import Worker
from benchmarks.runner import RESULTS, Answer, Cell, Results, heading, markdown, one_of, parser

TARGET = 1.10
STEPS, QUALITY = RESULTS / "recipes.json", RESULTS / "recipes-quality.json"


def options() -> argparse.ArgumentParser:
    found = parser("recipes", __doc__ or "")
    found.set_defaults(out=None)
    found.add_argument("--quality", action="store_true", help="what each is good for, not its cost")
    found.add_argument("--recipes", type=one_of(recipe_quality.ALL), default=[*recipe_quality.ALL])
    found.add_argument("--rounds", type=int, default=3, help="of steps: each recipe so many times")
    found.add_argument("--seconds", type=float, default=2.0, help="of CPU, a cell of steps")
    found.add_argument("--epochs", type=int, default=0, help="of a fit; 0: as suits the set")
    found.add_argument("--sizes", type=lambda text: text.split(";"), default=[*SIZES])
    found.add_argument("--sets", type=one_of(recipe_quality.SETS), default=None)
    found.add_argument(
        "--docs", action="store_true", help="run nothing, write the table into the guide"
    )
    return found


def key(size: str, recipe: str, round_: int) -> str:
    return f"{size} | {recipe} | {round_}"


def cells(chosen: argparse.Namespace, worker: Worker) -> Iterator[Cell]:
    """Every recipe once, then every recipe again: what disturbs the machine disturbs all."""
    for size in chosen.sizes:
        for round_ in range(chosen.rounds):
            for recipe in [recipe for recipe in chosen.recipes if recipe in TRAINED]:

                def run(size: str = size, recipe: str = recipe, seed: int = round_) -> Answer:
                    return worker.ask(
                        "recipe_steps",
                        recipe=recipe,
                        size=size,
                        seed=chosen.seed + seed,
                        seconds=chosen.seconds,
                    )

                yield Cell(key(size, recipe, round_), run)


Runs = dict[tuple[str, str], list[Answer]]
"""By size and recipe."""


def grouped(results: Results) -> Runs:
    found: Runs = {}
    for name, cell in results.finished.items():
        size, recipe, _ = name.split(" | ")
        found.setdefault((size, recipe), []).append(cell)
    return found


def middle(runs: list[Answer], measure: str) -> float:
    return float(median(run[measure] for run in runs))


def table(results: Results) -> str:
    found = grouped(results)
    sizes = [size for size in SIZES if any(at[0] == size for at in found)]
    rows = []
    for recipe in TRAINED:
        row = [f"`{recipe}`"]
        for size in sizes:
            if runs := found.get((size, recipe)):
                ratio = middle(runs, "ratio")
                row += [
                    f"{middle(runs, 'ours_us'):,.0f}",
                    f"{ratio:.2f}" if ratio <= TARGET else f"**{ratio:.2f}**",
                    f"{middle(runs, 'loss_ratio'):.2f}",
                ]
            else:
                row += ["", "", ""]
        if any(row[1:]):
            rows.append(row)
    head = ["recipe"]
    for size in sizes:
        head += [f"{size}: CPU us", "times bare", "without the optimiser"]
    ratios = {at: middle(runs, "ratio") for at, runs in found.items()}
    above = [f"{recipe} ({size})" for (size, recipe), ratio in ratios.items() if ratio > TARGET]
    text = f"{heading(results.data)}\n{markdown(head, rows)}"
    text += f"\nAbove {TARGET:.2f} times the bare loop: {'; '.join(above) or 'none'}.\n"
    for at, cell in results.cells.items():
        if "error" in cell:
            text += f"\nNot measured, {at}: {cell['error']}.\n"
    return text


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    for size in chosen.sizes:
        if size not in SIZES:
            raise SystemExit(f"there is no size '{size}'; there are {'; '.join(SIZES)}.")
    if chosen.quality or chosen.docs:
        chosen.out = chosen.out or QUALITY
        return recipe_quality.main(chosen, STEPS)
    chosen.out = chosen.out or STEPS
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    settings = {"seconds": chosen.seconds, "threads": 1}
    results = Results.opened("recipes", chosen, settings, {"own": sys.executable})
    with Worker(sys.executable, 1) as worker:
        status = results.fill(cells(chosen, worker))
    print(table(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
