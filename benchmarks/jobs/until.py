"""How well a peer's autoencoder ends, in what time, and ours in a fifth of that time."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.data import Array

TRAIN_ROWS = 10_000


class Rows(NamedTuple):
    """Rows to train on and rows unseen, and the units in which errors are measured."""

    train: Array
    test: Array
    unit: Array

    def error(self, rebuilt: Array) -> float:
        """The mean squared error per value."""
        return float(np.mean(np.square((rebuilt - self.test) / self.unit), dtype=np.float64))


def rows_of(name: str, seed: int) -> Rows:
    """Images as rows in 0 to 1, tables in standard deviations of the rows to train on."""
    split = data.load(name, seed, TRAIN_ROWS)
    train, test = (np.asarray(x, np.float32).reshape(len(x), -1) for x in split[:2])
    if split[2] is not None:
        return Rows(train / split[2], test / split[2], np.ones(1, np.float32))
    return Rows(train, test, np.asarray(train.std(0), np.float32))


class Ended(NamedTuple):
    """What a fit took, and how well it rebuilds rows unseen."""

    seconds: float
    error: float
    dim: int


Peer = Callable[[Rows, int], Ended]


def keras(hidden: tuple[int, ...], epochs: int) -> Peer:
    """The classic on images: relu layers, sigmoid output, binary cross-entropy, Adam's default
    rate, batches of 256, on JAX, the fastest of its backends.
    """

    def run(rows: Rows, seed: int) -> Ended:
        os.environ["KERAS_BACKEND"] = "jax"
        import keras as k

        k.utils.set_random_seed(seed)
        start = time.perf_counter()
        inner = [k.layers.Dense(size, activation="relu") for size in (*hidden, *hidden[-2::-1])]
        values = rows.train.shape[1]
        last = k.layers.Dense(values, activation="sigmoid")
        model = k.Sequential([k.Input((values,)), *inner, last])
        model.compile("adam", loss="binary_crossentropy")
        model.fit(rows.train, rows.train, epochs=epochs, batch_size=256, verbose=0)
        seconds = time.perf_counter() - start
        return Ended(seconds, rows.error(model.predict(rows.test, verbose=0)), hidden[-1])

    return run


def pyod(rows: Rows, seed: int) -> Ended:
    """Its AutoEncoder as it comes; its score is the distance to the rebuilt row, standardised."""
    from pyod.models.auto_encoder import AutoEncoder

    AutoEncoder(epoch_num=1, verbose=0).fit(rows.train[:64])  # what is imported once
    start = time.perf_counter()
    model = AutoEncoder(random_state=seed, device="cpu", verbose=0).fit(rows.train)
    seconds = time.perf_counter() - start
    distance = np.asarray(model.decision_function(rows.test), dtype=np.float64)
    return Ended(seconds, float(np.mean(distance**2) / rows.train.shape[1]), 32)


PEERS: dict[str, Peer] = {
    "keras-basic": keras((32,), 50),
    "keras-deep": keras((128, 64, 32), 100),
    "pyod": pyod,
}


def ours(rows: Rows, dim: int, seconds: float, seed: int) -> Ended:
    """Defaults, in so much time."""
    from isthmus import Autoencoder

    Autoencoder(2, epochs=1, random_state=0).fit(rows.train[:64])  # what is imported once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        model = Autoencoder(dim, max_time=seconds, random_state=seed).fit(rows.train)
        took = time.perf_counter() - start
    return Ended(took, rows.error(np.asarray(model.reconstruct(rows.test))), dim)


def answer(method: str, name: str, seed: int, dim: int = 0, seconds: float = 0.0) -> dict[str, Any]:
    """Seconds, squared error on rows unseen, and the dimensions of the code."""
    rows = rows_of(name, seed)
    most = min(rows.train.shape) - 1
    ended = (
        ours(rows, min(dim, most), seconds, seed) if method == "ours" else PEERS[method](rows, seed)
    )
    return {"seconds": ended.seconds, "error": ended.error, "dim": min(ended.dim, most)}
