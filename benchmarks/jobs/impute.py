"""How far what a method fills in is from cells that were hidden, and how often intervals hold."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.data import Array, is_number
from benchmarks.jobs.fillers import METHODS

COVERAGE, DRAWS = 0.9, 8


class Gappy(NamedTuple):
    """Rows to fit on and rows to fill, with cells hidden in both, completely at random."""

    train: Any
    test: Any
    """With gaps."""
    whole_train: Any
    whole: Any
    """The test rows as they were."""
    hidden: Array
    """(n, columns) which cells of the test rows were hidden, and hold something."""


@lru_cache(maxsize=1)
def gappy(name: str, seed: int, share: float, most: int, most_test: int) -> Gappy:
    """A table split 80 to 20, at most so many rows of each, the same whatever the method."""
    if name in data.frames():
        split = data.load_mixed(name, seed, most)
        train, test = split.train, split.test
    else:
        import pandas

        numbers = data.load(name, seed, most)
        train, test = (pandas.DataFrame(x).add_prefix("x") for x in (numbers.train, numbers.test))
    train, test = (
        table.iloc[:n].reset_index(drop=True) for table, n in ((train, most), (test, most_test))
    )
    draws = np.random.default_rng([seed, 7])
    hidden = [draws.random(table.shape) < share for table in (train, test)]
    known = test.notna().to_numpy()
    return Gappy(
        without(train, hidden[0]), without(test, hidden[1]), train, test, hidden[1] & known
    )


def without(table: Any, hidden: Array) -> Any:
    """A table with some of its cells missing."""
    found = table.copy()
    for j, name in enumerate(table):
        column = table[name]
        found[name] = (
            column.astype(np.float64).mask(hidden[:, j])
            if is_number(column)
            else column.astype(object).where(~hidden[:, j], None)
        )
    return found


def errors(rows: Gappy, filled: Any) -> dict[str, float]:
    """By column: of a number the root mean square of errors over the standard deviation of all
    train rows; of anything else the share that is wrong, over that of the mode of all train rows.
    A column that the mode is always right of is left out.
    """
    found = {}
    for j, name in enumerate(rows.whole):
        at, true = rows.hidden[:, j], rows.whole[name]
        if not at.any():
            continue
        if is_number(true):
            missed = np.asarray(filled[name], np.float64)[at] - true.to_numpy(np.float64)[at]
            spread = float(rows.whole_train[name].std(ddof=0))
            found[name] = float(np.sqrt(np.square(missed).mean()) / spread)
        else:
            values = true.astype(object).to_numpy()[at]
            usual = float((values != rows.whole_train[name].mode().iloc[0]).mean())
            if usual:
                wrong = np.asarray(filled[name], dtype=object)[at] != values
                found[name] = float(wrong.mean()) / usual
    return found


def trust(model: Any, rows: Gappy) -> dict[str, Any]:
    """How often intervals and sets hold what was hidden, and how far draws spread."""
    intervals = model.intervals(rows.test, COVERAGE)
    draws = model.sample(rows.test, DRAWS)
    held, cells, spread = {"number": 0, "category": 0}, {"number": 0, "category": 0}, []
    for j, name in enumerate(rows.whole):
        at, true = np.flatnonzero(rows.hidden[:, j]), rows.whole[name]
        if not len(at):
            continue
        if is_number(true):
            values = true.to_numpy(np.float64)[at]
            low, high = (
                end[name].to_numpy(np.float64)[at] for end in (intervals.low, intervals.high)
            )
            near = 1e-6 * np.abs(values)
            inside = (values >= low - near) & (values <= high + near)
            drawn = np.stack([draw[name].to_numpy(np.float64)[at] for draw in draws])
            missed = np.square(values - drawn.mean(0)).sum()
            if missed:
                spread.append(float(drawn.var(0, ddof=1).sum() * (1 + 1 / DRAWS) / missed))
        else:
            among = intervals.levels.get(name)
            levels = true.astype(object).to_numpy()
            inside = np.array([among is not None and levels[i] in among[i] for i in at])
        kind = "number" if is_number(true) else "category"
        held[kind] += int(inside.sum())
        cells[kind] += len(at)
    return {"held": held, "cells": cells, "draws_variance": float(np.median(spread))}


def answer(
    name: str, seed: int, share: float, method: str, most: int, most_test: int
) -> dict[str, Any]:
    rows = gappy(name, seed, share, most, most_test)
    start = time.process_time()
    fill = METHODS[method](rows.train, seed)
    middle = time.process_time()
    filled = fill.transform(rows.test) if method == "ours" else fill(rows.test)
    end = time.process_time()
    by_column = errors(rows, filled)
    found = {
        "normalised_error": float(np.mean(list(by_column.values()))),
        "columns": by_column,
        "fit_s": middle - start,
        "fill_s": end - middle,
        "n_train": len(rows.train),
        "n_test": len(rows.test),
    }
    return found | trust(fill, rows) if method == "ours" else found
