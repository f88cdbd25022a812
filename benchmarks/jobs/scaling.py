"""What fit, transform and score cost as one thing grows, and their share of what is possible."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.data import Array

EPOCHS = 2
AXES: dict[str, tuple[int, ...]] = {
    "rows": (2_048, 8_192, 32_768, 131_072),
    "columns": (30, 100, 300, 1_000, 3_000),
    "code": (2, 8, 32, 128),
    "width": (64, 256, 1_024),
    "members": (1, 2, 4, 8, 16, 32),
    "image side": (16, 32, 64),
}
ROWS, COLUMNS, CODE, WIDTHS = 4_096, 30, 8, (64, 32)
MANY, FITTED = 1_000_000, 4_096
"""Rows that are scored for alarms, and rows to compare them with."""
IMAGES = 256
LONGEST = 64
"""Times as many epochs, at most, by which the cost of one is found."""


def sheet(n: int, columns: int, seed: int) -> Array:
    """(n, columns) rows on a bent sheet of eight dimensions, with noise."""
    random = np.random.default_rng(seed)
    along = random.standard_normal((n, 8)).astype(np.float32)
    ways = random.standard_normal((8, columns)).astype(np.float32)
    noise = random.standard_normal((n, columns)).astype(np.float32)
    return np.asarray(np.tanh(along @ ways) + 0.1 * noise, dtype=np.float32)


def pictures(n: int, side: int, seed: int) -> Array:
    """(n, side, side) grey images of soft spots."""
    random = np.random.default_rng(seed)
    at = np.linspace(0, 1, side, dtype=np.float32)
    x, y, size = random.uniform(0.2, 0.8, (3, n, 1, 1)).astype(np.float32)
    spots = np.exp(-((at - x) ** 2 + (at[:, None] - y) ** 2) / (0.05 * size))
    return np.asarray(255 * spots, dtype=np.uint8)


def made(axis: str, value: int, seed: int) -> tuple[Any, Array, dict[str, Any]]:
    """An estimator, its rows, and the shape of the plain method beside it."""
    from isthmus import Autoencoder, spec

    size = {"rows": ROWS, "columns": COLUMNS, "code": CODE, axis: value}
    widths: tuple[int, ...] = (value, value // 2) if axis == "width" else WIDTHS
    options: dict[str, Any] = {"epochs": EPOCHS, "patience": 10**6, "random_state": seed}
    if axis == "image side":
        return Autoencoder(CODE, **options), pictures(IMAGES, value, seed), {}
    if axis in ("code", "width"):
        size["columns"] = 300
    if axis == "members":
        options |= {"n_members": value, "batch_size": 32}
        widths = (64,)
    x = sheet(size["rows"], size["columns"], seed)
    network = spec("mlp", widths=widths, activation="relu" if axis == "members" else "gelu")
    return Autoencoder(size["code"], network=network, **options), x, size


def timed(run: Callable[[], Any], seconds: float) -> float:
    """The median wall time of a run, of at least three."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < 3 or (time.perf_counter() < end and len(found) < 50):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return median(found)


def an_epoch(ae: Any, x: Array, short: float, seconds: float) -> float:
    """Seconds of an epoch alone, from a fit that takes longer by them; 0 if that is too long."""
    more = EPOCHS
    while more < LONGEST * EPOCHS:
        more *= 4
        ae.set_params(epochs=more)
        longer = timed(lambda: ae.fit(x), seconds)
        if longer > 1.5 * short:
            return (longer - short) / (more - EPOCHS)
    return 0.0


def products(model: Any) -> float:
    """Multiplications that one row takes on its way through, of all members."""
    return float(sum(p.numel() for p in model.parameters() if p.ndim == 2))


def grown(axis: str, value: int, seed: int, seconds: float) -> dict[str, Any]:
    """Seconds of ours and of PCA, at one size."""
    from sklearn.decomposition import PCA

    from benchmarks.jobs.trainers import matrix_product

    ae, x, size = made(axis, value, seed)
    rate = matrix_product(0.3)["gflops"]
    found: dict[str, Any] = {"gflops": rate, "fit_s": timed(lambda: ae.fit(x), seconds)}
    found["epoch_s"] = an_epoch(ae, x, found["fit_s"], seconds)
    ae.set_params(epochs=EPOCHS).fit(x)
    found["transform_s"] = timed(lambda: ae.transform(x), seconds)
    found["score_s"] = timed(lambda: ae.score_samples(x), seconds)
    if size:
        work = products(ae.model_) * len(x) * 2e-9
        if found["epoch_s"]:
            found["epoch_share"] = 3 * work / found["epoch_s"] / rate
        found["score_share"] = work / found["score_s"] / rate
        plain = PCA(min(size["code"], *x.shape), random_state=seed)
        found["pca_fit_s"] = timed(lambda: plain.fit(x), seconds)
        found["pca_transform_s"] = timed(lambda: plain.transform(x), seconds)
    return found


def bare_forward(model: Any, x: Any, batch: int) -> Callable[[], None]:
    """The layers of a dense model as one writes them, and the squared error of each row."""
    import torch
    from torch import nn

    def plain(half: Any) -> nn.Sequential:
        layers = [
            nn.Linear(m.in_features, m.out_features) if isinstance(m, nn.Linear) else m
            for m in half
        ]
        return nn.Sequential(*layers)

    network = model.network
    encoder, decoder = plain(network.encoder), plain(network.decoder)
    down = nn.Linear(x.shape[1], model.dim, bias=False)
    up = nn.Linear(model.dim, x.shape[1], bias=False)

    def run() -> None:
        with torch.inference_mode():
            for rows in x.split(batch):
                z = encoder(rows) + down(rows)
                (decoder(z) + up(z) - rows).square().sum(1)

    return run


def scoring(seed: int, seconds: float) -> dict[str, Any]:
    """Microseconds a row: of ours, and of the bare forward pass in batches."""
    import torch

    from isthmus import Autoencoder

    x = sheet(65_536, COLUMNS, seed)
    ae = Autoencoder(CODE, epochs=1, random_state=seed).fit(x[:4_096])
    rows = ae.kind_.batch(x).x
    methods: dict[str, Callable[[], Any]] = {"ours": lambda: ae.score_samples(x)}
    for batch in (256, 1_024, 4_096):
        methods[f"bare, {batch}"] = bare_forward(ae.model_, torch.as_tensor(rows), batch)
    turns: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(max(3, round(2 * seconds))):
        for name, run in methods.items():
            turns[name].append(timed(run, 0.0))
    found = {name: 1e6 * median(times) / len(x) for name, times in turns.items()}
    one = {"one row": 1e6 * timed(lambda: ae.score_samples(x[:1]), seconds)}
    return {"us": found | one}


def alarms(seed: int) -> dict[str, Any]:
    """Seconds to score a million rows: ours, and plain methods fitted to as many rows."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import NearestNeighbors

    from isthmus import AnomalyDetector

    x = sheet(MANY + FITTED, COLUMNS, seed)
    known, new = x[:FITTED], x[FITTED:]
    ours = AnomalyDetector(random_state=seed).fit(known)
    near = NearestNeighbors(n_neighbors=5).fit(known)
    forest = IsolationForest(random_state=seed).fit(known)
    methods: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours.score_samples(new),
        "5 neighbours": lambda: near.kneighbors(new),
        "isolation forest": lambda: forest.score_samples(new),
    }
    return {"s": {name: timed(run, 0.0) for name, run in methods.items()}}


def convolution(seed: int, seconds: float) -> dict[str, Any]:
    """Milliseconds of a step of ours, and of the same layers in a bare channels-last loop."""
    from benchmarks.jobs.bare_conv import bare_step, our_step

    return in_turns({"ours": our_step, "bare": bare_step}, seed, seconds)


def compiled(seed: int, seconds: float) -> dict[str, Any]:
    """The same step of ours through ``torch.compile``, and what the first one takes."""
    from benchmarks.jobs.bare_conv import our_step

    made = {"compiled": partial(our_step, compiled=True), "ours": our_step}
    return in_turns(made, seed, seconds)


def in_turns(made: dict[str, Callable[..., Any]], seed: int, seconds: float) -> dict[str, Any]:
    """Milliseconds of two kinds of step on the same images, the first by the second, and the
    seconds before the second step of the first kind.
    """
    import torch

    from isthmus.training.surroundings import own_randomness

    x = torch.as_tensor(pictures(IMAGES, 28, seed)).float().unsqueeze(1) / 255
    x = (x - x.mean()) / x.std()
    with own_randomness(seed):
        steps = {name: make(x, CODE) for name, make in made.items()}
    turns: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(max(5, round(4 * seconds))):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            turns[name].append(time.perf_counter() - start)
    first, second = turns.values()
    ratio = median(a / b for a, b in zip(first[1:], second[1:], strict=True))
    ms = {name: 1e3 * median(times[1:]) for name, times in turns.items()}
    return {"ms": ms, "ratio": ratio, "start_s": first[0]}


def answer(what: str, value: int, seed: int, seconds: float) -> dict[str, Any]:
    """One cell: a size on an axis, or one of the comparisons."""
    if what == "scoring":
        return scoring(seed, seconds)
    if what == "alarms":
        return alarms(seed)
    if what == "convolution":
        return convolution(seed, seconds)
    if what == "compiled":
        return compiled(seed, seconds)
    return grown(what, value, seed, seconds)
