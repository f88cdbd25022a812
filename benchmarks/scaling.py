"""How do costs grow with rows, columns, code, width, members and image size?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from statistics import median

import numpy as np

from benchmarks.jobs.scaling import AXES
from benchmarks.process import Worker, cores
from benchmarks.runner import Answer, Cell, Results, heading, markdown, one_of, parser

WORDS = {"fit_s": "fit", "transform_s": "transform", "score_s": "score"}
LIMITS = {"rows": 1.05, "columns": 1.15}
"""The largest exponent that is meant to be."""
COMPARED = ("scoring", "alarms", "convolution", "compiled")


def options() -> argparse.ArgumentParser:
    found = parser("scaling", __doc__ or "")
    found.add_argument("--rounds", type=int, default=3, help="runs of each cell, in turns")
    found.add_argument("--seconds", type=float, default=1.0, help="for each time that is taken")
    found.add_argument("--threads", type=int, default=cores())
    found.add_argument("--what", type=one_of([*AXES, *COMPARED]), default=[*AXES, *COMPARED])
    return found


def cells(chosen: argparse.Namespace) -> Iterator[Cell]:
    """Every size once, then every size again: what disturbs the machine disturbs all."""
    for round_ in range(chosen.rounds):
        for what in chosen.what:
            for value in AXES.get(what, (0,)):

                def run(what: str = what, value: int = value, round_: int = round_) -> Answer:
                    with Worker(sys.executable, chosen.threads) as worker:
                        return worker.ask(
                            "scaling",
                            what=what,
                            value=value,
                            seed=chosen.seed + round_,
                            seconds=chosen.seconds,
                        )

                yield Cell(f"{what} | {value} | {round_}", run)


def runs(results: Results, what: str) -> dict[int, list[Answer]]:
    """Of one axis, by size."""
    found: dict[int, list[Answer]] = {}
    for key, cell in results.finished.items():
        name, value, _ = key.split(" | ")
        if name == what:
            found.setdefault(int(value), []).append(cell)
    return dict(sorted(found.items()))


def middle(cells: list[Answer], measure: str) -> float | None:
    found = [cell[measure] for cell in cells if measure in cell]
    return median(found) if found else None


def exponent(by_size: dict[int, list[Answer]], measure: str) -> float:
    """The slope of the logarithm of the cost over that of the size."""
    costs = [middle(cells, measure) or float("nan") for cells in by_size.values()]
    return float(np.polyfit(np.log(list(by_size)), np.log(costs), 1)[0])


def milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:,.1f}"


def axis_table(what: str, by_size: dict[int, list[Answer]]) -> str:
    first = next(iter(by_size.values()))
    rows = []
    for size, found in by_size.items():
        times = [middle(found, name) for name in ("fit_s", "epoch_s", "transform_s", "score_s")]
        row = [f"{size:,}", *(milliseconds(time) for time in times)]
        epoch, once = middle(found, "epoch_s"), middle(first, "epoch_s")
        row.append(f"{epoch / once:.2f}" if epoch and once else "")
        shares = [middle(found, name) for name in ("epoch_share", "score_share")]
        row += ["" if share is None else f"{share:.0%}" for share in shares]
        row += [milliseconds(middle(found, name)) for name in ("pca_fit_s", "pca_transform_s")]
        rows.append(row)
    head = [
        what, "fit, ms", "an epoch more, ms", "transform, ms", "score, ms",
        "epoch, times the first", "epoch, of the matrix rate", "score, of the matrix rate",
        "PCA fit, ms", "PCA transform, ms",
    ]  # fmt: skip
    text = f"\n### {what}\n\n" + markdown(head, rows)
    if len(by_size) > 1:
        grown = [f"{words} {exponent(by_size, key):.2f}" for key, words in WORDS.items()]
        limit = f" (at most {LIMITS[what]} is meant)" if what in LIMITS else ""
        text += f"\nExponents of growth{limit}: {', '.join(grown)}.\n"
    return text


def scoring_table(found: list[Answer]) -> str:
    names = list(found[0]["us"])
    us = {name: median(cell["us"][name] for cell in found) for name in names}
    rows = [
        [name, f"{us[name]:.2f}", f"{median(c['us'][name] / c['us']['ours'] for c in found):.0%}"]
        for name in names
    ]
    head = ["30 columns", "us a row", "ours reaches of its rate"]
    return "\n### scoring\n\n" + markdown(head, rows)


def alarms_table(found: list[Answer]) -> str:
    names = list(found[0]["s"])
    row = [f"{median(cell['s'][name] for cell in found):.1f}" for name in names]
    head = [f"{name}, s" for name in names]
    return "\n### a million rows of 30 columns, scored for alarms\n\n" + markdown(head, [row])


def convolution_table(found: list[Answer]) -> str:
    ms = {name: median(cell["ms"][name] for cell in found) for name in ("ours", "bare")}
    ratio = median(cell["ratio"] for cell in found)
    row = [f"{ms['ours']:.1f}", f"{ms['bare']:.1f}", f"{ratio:.3f}"]
    head = ["ours, ms a step", "bare channels-last loop, ms a step", "times bare"]
    return "\n### a convolutional step\n\n" + markdown(head, [row])


def compiled_table(found: list[Answer]) -> str:
    ms = {name: median(cell["ms"][name] for cell in found) for name in ("ours", "compiled")}
    start = median(cell["start_s"] for cell in found)
    saved = (ms["ours"] - ms["compiled"]) / 1e3
    row = [f"{ms['ours']:.1f}", f"{ms['compiled']:.1f}", f"{start:.1f}"]
    row.append(f"{start / saved:,.0f}" if saved > 0 else "never")
    head = ["ours, ms a step", "compiled", "compiling, s", "steps until it pays"]
    return "\n### a compiled convolutional step\n\n" + markdown(head, [row])


def table(results: Results) -> str:
    text = heading(results.data)
    for what in AXES:
        if by_size := runs(results, what):
            text += axis_table(what, by_size)
    if scored := runs(results, "scoring"):
        text += scoring_table(scored[0])
    if alarming := runs(results, "alarms"):
        text += alarms_table(alarming[0])
    if convolved := runs(results, "convolution"):
        text += convolution_table(convolved[0])
    if compiled := runs(results, "compiled"):
        text += compiled_table(compiled[0])
    return text


def main(arguments: list[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        print(table(Results.read(chosen.out)))
        return 0
    settings = {"seconds": chosen.seconds, "threads": chosen.threads}
    results = Results.opened("scaling", chosen, settings, {"own": sys.executable})
    status = results.fill(cells(chosen))
    print(table(results))
    return status


if __name__ == "__main__":
    sys.exit(main())
