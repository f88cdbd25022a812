"""What is each recipe good for, by what it does on unseen rows?"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import data
from benchmarks.jobs.recipe_steps import TRAINED
from benchmarks.process import ROOT, Worker
from benchmarks.runner import Answer, Cell, Results, heading, markdown

GUIDE = ROOT / "docs" / "guides" / "choosing-a-recipe.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
ALL = ("linear", *TRAINED)
PLAIN = ("linear", "autoencoder")


class Trial(NamedTuple):
    """What is measured on a set, with which recipes, after how many epochs."""

    kind: str
    recipes: tuple[str, ...]
    epochs: int


LABELLED = {"digits": 60, "pendigits": 30, "fashion-mnist": 5}
ANOMALIES = ("adbench/6_cardio", "adbench/19_landsat", "adbench/38_thyroid")
COUNTS = "neurons10k"
NUMBERS = tuple(recipe for recipe in ALL if recipe != "negative-binomial")
MIXED = {"mixed/german": 60, "mixed/adult-train": 20}
WARY = (*PLAIN, "denoising", "sparse-topk", "vae", "laplace", "robust")

TRIALS: dict[str, list[Trial]] = {
    **{name: [Trial("everything", NUMBERS, epochs)] for name, epochs in LABELLED.items()},
    **{name: [Trial("anomalies", WARY, 30)] for name in ANOMALIES},
    COUNTS: [
        Trial("counts", (*PLAIN, "laplace", "vae", "negative-binomial"), 10),
        Trial("counts", ("log1p linear", "log1p autoencoder"), 10),
    ],
    **{
        name: [Trial("mixed", (*PLAIN, "denoising", "masked", "vae"), epochs)]
        for name, epochs in MIXED.items()
    },
}
for _name in ("digits", "pendigits"):
    TRIALS[_name].append(Trial("outliers", NUMBERS, LABELLED[_name]))
SETS = [*TRIALS]


def there(name: str) -> bool:
    """Whether the development data have the set."""
    files = {
        "digits": "",
        "pendigits": "tabular/pendigits.zip",
        "fashion-mnist": f"images_small/{data.IMAGES['fashion-mnist']}",
        COUNTS: "science/neurons10k.npz",
    }
    mixed = "tabular/tabular_dev.zip"
    default = mixed if name in MIXED else f"{name}.npz"
    file = files.get(name, default)
    return not file or (data.folder() / file).exists()


def key(name: str, kind: str, recipe: str) -> str:
    return f"{name} | {kind} | {recipe}"


def cells(chosen: argparse.Namespace, worker: Worker) -> Iterator[Cell]:
    for name in [name for name in chosen.sets or SETS if there(name)]:
        for trial in TRIALS[name]:
            for recipe in trial.recipes:
                if recipe.removeprefix("log1p ") not in chosen.recipes:
                    continue

                def run(name: str = name, trial: Trial = trial, recipe: str = recipe) -> Answer:
                    return worker.ask(
                        "recipe_quality",
                        trial=trial.kind,
                        recipe=recipe,
                        name=name,
                        seed=chosen.seed,
                        epochs=chosen.epochs or trial.epochs,
                    )

                yield Cell(key(name, trial.kind, recipe), run)


class Found:
    """What was measured, by measure, recipe and set."""

    def __init__(self, results: Results, steps: Results | None) -> None:
        self.cells = {tuple(at.split(" | ")): cell for at, cell in results.finished.items()}
        self.steps: dict[str, list[float]] = {}
        costs = {
            tuple(at.split(" | ")): cell["ours_us"]
            for at, cell in (steps.finished if steps else {}).items()
        }
        for (size, recipe, round_), cost in costs.items():
            if reference := costs.get((size, "autoencoder", round_)):
                self.steps.setdefault(recipe, []).append(cost / reference)

    def values(self, recipe: str, measure: str) -> dict[str, float]:
        """By set."""
        return {
            name: cell[measure]
            for (name, _, other), cell in self.cells.items()
            if other == recipe and measure in cell
        }

    def middle(self, recipe: str, measure: str) -> float | None:
        """The median over sets."""
        values = self.values(recipe, measure)
        return median(values.values()) if values else None

    def times(self, recipe: str, measure: str = "mse", reference: str = "autoencoder") -> str:
        """The median over sets of the ratio to another recipe."""
        own, its = self.values(recipe, measure), self.values(reference, measure)
        ratios = [own[name] / its[name] for name in own if its.get(name)]
        return f"{median(ratios):.2f}" if ratios else ""

    def step(self, recipe: str) -> str:
        """What a step costs, in those of the plain autoencoder."""
        costs = self.steps.get(recipe)
        return f"{median(costs):.1f}" if costs else ""


class Use(NamedTuple):
    """A row of the decision table."""

    want: str
    recipes: tuple[str, ...]
    measure: str
    words: str


USES = [
    Use("the least squared error", ("autoencoder",), "mse", "squared error"),
    Use("the least absolute error", ("laplace",), "mae", "absolute error"),
    Use("the first few numbers of the code to be a code", ("nested",), "prefix",
        "squared error from 2 of the 8 numbers"),
    Use("rows cleaned of noise", ("denoising",), "noisy", "squared error from noisy rows"),
    Use("gaps filled", ("masked",), "hidden", "squared error of hidden values"),
    Use("gaps filled in mixed columns", ("masked",), "hidden_cells", "error of hidden cells"),
    Use("to train on rows of which a tenth are wild", ("robust", "laplace"), "spoilt",
        "squared error of clean rows"),
    Use("counts", ("negative-binomial",), "deviance", "Poisson deviance"),
    Use("few numbers of the code away from zero", ("sparse-topk", "sparse-l1"), "zeros",
        "share near zero"),
    Use("a code that hardly moves with noise", ("contractive",), "moved",
        "its way, in its spread"),
    Use("labels from neighbours in the code", ("autoencoder",), "neighbours",
        "accuracy of 5 neighbours"),
    Use("new rows", ("vae", "iwae", "info-vae", "wae", "adversarial", "vq-vae"), "samples",
        "told from real ones (0.5: not)"),
    Use("a short code, in bits", ("beta-vae", "vq-vae", "fsq"), "bits", "bits a row"),
]  # fmt: skip

MEASURES = {
    "mse": "squared error", "mae": "absolute error", "prefix": "squared error, 2 of 8",
    "noisy": "from noisy rows", "hidden": "of hidden values", "spoilt": "outliers in training",
    "zeros": "code near zero", "moved": "code moved by noise", "neighbours": "5 neighbours",
    "samples": "samples told apart", "bits": "bits a row",
}  # fmt: skip


def shown(value: float | None) -> str:
    return f"{value:.3g}" if value else ""


def decision_table(found: Found) -> str:
    rows = []
    for use in USES:
        for recipe in use.recipes:
            value = found.middle(recipe, use.measure)
            if value is None:
                continue
            plain = (shown(found.middle(other, use.measure)) for other in PLAIN[::-1])
            rows.append([
                use.want, f"`{recipe}`", use.words, shown(value), *plain,
                found.times(recipe), found.step(recipe),
            ])  # fmt: skip
    head = [
        "you want", "recipe", "measure", "the recipe", "`autoencoder`", "`linear` (PCA)",
        "squared error, times `autoencoder`", "a step, times `autoencoder`",
    ]  # fmt: skip
    return markdown(head, rows)


def full_table(found: Found) -> str:
    rows = [
        [f"`{recipe}`", *(shown(found.middle(recipe, measure)) for measure in MEASURES)]
        for recipe in ALL
        if found.values(recipe, "mse")
    ]
    return markdown(["recipe", *MEASURES.values()], rows)


def anomaly_table(found: Found) -> str:
    rows = [
        [
            f"`{recipe}`",
            shown(found.middle(recipe, "inliers")),
            shown(found.middle(recipe, "auroc")),
        ]
        for recipe in WARY
        if found.values(recipe, "auroc")
    ]
    return markdown(["recipe", "squared error of the others", "area under the ROC curve"], rows)


def count_table(found: Found) -> str:
    rows = [
        [f"`{recipe}`", *(shown(found.middle(recipe, m)) for m in ("deviance", "log_error"))]
        for recipe in ("log1p linear", "log1p autoencoder", *ALL)
        if found.values(recipe, "deviance")
    ]
    return markdown(["recipe", "Poisson deviance", "squared error of log(1 + x)"], rows)


def measured(results: Results, steps: Results | None) -> str:
    """All that goes into the guide."""
    found = Found(results, steps)
    text = f"{heading(results.data)}\n{decision_table(found)}"
    sets = [name for name in LABELLED if any(at[0] == name for at in found.cells)]
    text += f"\nAll recipes, medians over {', '.join(sets)}:\n\n{full_table(found)}"
    if any(cell for at, cell in found.cells.items() if at[1] == "anomalies"):
        text += "\nTrained on sets that hold anomalies "
        text += f"({', '.join(ANOMALIES)}), medians:\n\n{anomaly_table(found)}"
    if any(at[1] == "counts" for at in found.cells):
        text += f"\nCounts ({COUNTS}); `log1p` was given log(1 + x):\n\n{count_table(found)}"
    failed = [f"{at}: {cell['error']}" for at, cell in results.cells.items() if "error" in cell]
    return text + "".join(f"\nNot measured, {line}.\n" for line in failed)


def write_docs(page: Path, text: str) -> None:
    """Put the tables between the marks of a page."""
    before = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    if not pattern.search(before):
        raise SystemExit(f"{page} has no '{BEGIN}' and '{END}' to write between.")
    page.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}\n{END}", before), encoding="utf-8")


def main(chosen: argparse.Namespace, steps: Path) -> int:
    costs = Results.read(steps) if steps.exists() else None
    if chosen.docs:
        write_docs(GUIDE, measured(Results.read(chosen.out), costs))
        return 0
    if chosen.table:
        print(measured(Results.read(chosen.out), costs))
        return 0
    settings = {"epochs": chosen.epochs or "by set", "threads": 1}
    results = Results.opened("recipes-quality", chosen, settings, {"own": sys.executable})
    with Worker(sys.executable, 1) as worker:
        status = results.fill(cells(chosen, worker))
    print(measured(results, costs))
    return status
