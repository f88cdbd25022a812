"""What the examples measure: errors, seconds, and the table at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

Array = NDArray[np.float32]
Figures = dict[str, float]


class Outcome(NamedTuple):
    """What a method made of the data."""

    rebuilt: Array
    """The test rows after their way through the code, (n_test, p)."""
    train_code: Array
    test_code: Array


def errors(truth: Array, rebuilt: Array) -> Figures:
    """Binary cross-entropy (nats) and mean squared error, both per value in 0 to 1.

    Values beyond 0 and 1 are clipped first, which can only help. The cross-entropy keeps 1e-7
    away from both ends, as Keras does.
    """
    rebuilt = np.clip(np.asarray(rebuilt, np.float64).reshape(truth.shape), 0, 1)
    squared = float(np.mean((truth - rebuilt) ** 2))
    p = np.clip(rebuilt, 1e-7, 1 - 1e-7)
    crossed = float(-np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p)))
    return {"cross-entropy": crossed, "squared error": squared}


def measure(
    method: Callable[[int], Outcome],
    truth: Array,
    seeds: Iterable[int] = (0,),
    further: Callable[[Outcome], Figures] | None = None,
) -> tuple[Figures, Outcome]:
    """Run ``method`` once per seed: the mean figures, and what the first run made.

    "worst seed" is the largest squared error of a run, all others are means over runs.
    ``further`` adds figures of its own to those of each run.
    """
    runs: list[Figures] = []
    outcomes: list[Outcome] = []
    for seed in seeds:
        began = time.perf_counter()
        outcome = method(seed)
        seconds = time.perf_counter() - began
        more = further(outcome) if further else {}
        runs.append({**errors(truth, outcome.rebuilt), "seconds": seconds, **more})
        outcomes.append(outcome)
    figures = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    return {**figures, "worst seed": max(run["squared error"] for run in runs)}, outcomes[0]


def pca(train: Array, test: Array, n_components: int) -> Outcome:
    """The plain method: principal components."""
    fitted = PCA(n_components, random_state=0).fit(train)
    codes = fitted.transform(train), fitted.transform(test)
    return Outcome(fitted.inverse_transform(codes[1]), *codes)


def worse_by_chance(spread: float, runs: int) -> float:
    """How much worse the mean of ``runs`` runs may be (as a factor) when nothing differs.

    ``spread`` is the standard deviation of one run over seeds, relative to its mean. The
    difference of two means of n runs has a standard deviation of spread * sqrt(2 / n); three of
    those are exceeded by chance about once in 700 times.
    """
    return 1 + 3 * spread * math.sqrt(2 / runs)


def table(rows: Mapping[str, Mapping[str, float]], digits: Mapping[str, int]) -> str:
    """Rows by name and figures by name, as text; a figure that a row lacks is left blank."""
    width = max(len(name) for name in rows)
    wide = {name: max(10, len(name) + 2) for name in digits}
    lines = [" " * width + "".join(name.rjust(wide[name]) for name in digits)]
    for name, row in rows.items():
        cells = (f"{row[c]:.{d}f}" if c in row else "" for c, d in digits.items())
        lines.append(name.ljust(width) + "".join(map(str.rjust, cells, wide.values())))
    return "\n".join(lines)


def say(claims: Mapping[str, bool]) -> None:
    """Print each claim with whether it holds."""
    for claim, holds in claims.items():
        print(f"{'  holds' if holds else '  FAILS'}: {claim}")


def say_winner(rows: Mapping[str, Figures], by: str = "squared error") -> None:
    """Print which method has the least error, and say so plainly where it is PCA."""
    best = min(rows, key=lambda name: rows[name][by])
    print(f"Least {by}: {best}.")
    for name, row in rows.items():
        if name != "PCA" and row[by] > rows["PCA"][by]:
            print(f"PCA beats {name}: {rows['PCA'][by]:.2g} against {row[by]:.2g}.")
