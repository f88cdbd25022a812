"""What a training step costs, by method.

Every method is a function ``run(epochs)`` that trains from the start. The cost is the difference
between a long run and a short one, so that set-up, compilation and what comes after the last
step fall out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from benchmarks import data
from benchmarks.data import Array

Run = Callable[[int], float | None]
"""Trains for so many epochs; may return the products per row, where it chose the layers."""

LONGER = 4
MOST_GROWTH = 16


class Network(NamedTuple):
    """Layers of the encoder, mirrored by the decoder; relu between them."""

    sizes: tuple[int, ...]
    batch: int
    rows: int
    bernoulli: bool
    """Sigmoid output and binary cross-entropy; else linear output and squared error."""

    @property
    def mirrored(self) -> list[int]:
        """Sizes from input to output."""
        return [*self.sizes, *self.sizes[-2::-1]]

    @property
    def products(self) -> float:
        """Multiplications per row: forward, and backward for weights and for inputs but x."""
        sizes = self.mirrored
        weights = sum(a * b for a, b in pairwise(sizes))
        return 3.0 * weights - sizes[0] * sizes[1]

    def rows_of_data(self, rows: int, seed: int) -> Array:
        return (data.pictures if self.bernoulli else data.measurements)(rows, seed)


NETWORKS = {
    "784-128-64-32": Network((784, 128, 64, 32), 256, 10_240, True),
    "784-128-64-32/1024": Network((784, 128, 64, 32), 1_024, 10_240, True),
    "30-64-32-64-30": Network((30, 64, 32), 32, 2_048, False),
}


class Duration(NamedTuple):
    """Seconds of all threads together, seconds on the wall, what the run returned."""

    cpu: float
    wall: float
    returned: float | None


def timed(run: Run, epochs: int) -> Duration:
    wall, cpu = time.perf_counter(), time.process_time()
    returned = run(epochs)
    return Duration(time.process_time() - cpu, time.perf_counter() - wall, returned)


def per_epoch(run: Run, seconds: float) -> tuple[Duration, int]:
    """The cost of an epoch, from runs that differ by at least so many seconds.

    Returns
    -------
    Duration
        Of one epoch.
    int
        Epochs of the short run; the long one had four times as many.
    """
    run(1)
    epochs = 1
    while True:
        short, long = timed(run, epochs), timed(run, LONGER * epochs)
        wall = long.wall - short.wall
        if wall >= seconds:
            more = (LONGER - 1) * epochs
            return Duration((long.cpu - short.cpu) / more, wall / more, long.returned), epochs
        growth = 1.2 * seconds / max(wall, seconds / MOST_GROWTH)
        epochs = max(epochs + 1, round(epochs * growth))


def answer(network: str, method: str, seed: int, seconds: float, rows: int) -> dict[str, Any]:
    """The cost of a step of ``batch`` rows in microseconds, or the rate of matrix products."""
    from benchmarks.jobs import trainers

    if method == "matrix-product":
        return trainers.matrix_product(seconds)
    chosen = NETWORKS[network]
    # A whole number of batches, since not every library keeps the last, smaller one.
    rows = max(1, (rows or chosen.rows) // chosen.batch) * chosen.batch
    run = trainers.METHODS[method](chosen, chosen.rows_of_data(rows, seed), seed)
    cost, epochs = per_epoch(run, seconds)
    steps = rows / chosen.batch
    return {
        "cpu_us": cost.cpu / steps * 1e6,
        "wall_us": cost.wall / steps * 1e6,
        "mflop": 2e-6 * chosen.batch * (cost.returned or chosen.products),
        "epochs": [epochs, LONGER * epochs],
        "rows": rows,
    }
