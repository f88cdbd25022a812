"""How well a method reconstructs rows it has not seen, and what it took to fit it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.data import Array, Split

HIDDEN = (512, 256)
LEARNING_RATE = 1e-3
MANY_ROWS = 5_000
BLOCK = 4096


class Budget(NamedTuple):
    """What a fit may take."""

    cpu: float
    """CPU-seconds."""
    threads: int


class Fit(NamedTuple):
    """A fitted method."""

    reconstruct: Callable[[], Array]
    """The test rows as the method gives them back, in the units in which errors are measured."""
    cpu: float
    """Seconds of all threads together."""
    wall: float
    notes: dict[str, Any]


def batch_size(n: int) -> int:
    """Of the plain methods: 256, or 32 for small sets."""
    return 256 if n >= MANY_ROWS else 32


def layers(values: int, dim: int) -> tuple[Any, Any]:
    """The plain encoder and decoder: 512-256, relu, linear output."""
    from torch import nn

    def stack(sizes: tuple[int, ...]) -> Any:
        modules: list[Any] = []
        for a, b in pairwise(sizes):
            modules += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*modules[:-1])

    return stack((values, *HIDDEN, dim)), stack((dim, *HIDDEN[::-1], values))


def pca(split: Split, dim: int, budget: Budget, seed: int) -> Fit:
    from sklearn.decomposition import PCA

    x = split.units(split.train)
    wall, cpu = time.perf_counter(), time.process_time()
    model = PCA(dim, svd_solver="full" if x.size < 2**22 else "covariance_eigh").fit(x)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall

    def reconstruct() -> Array:
        return np.asarray(model.inverse_transform(model.transform(split.units(split.test))))

    return Fit(reconstruct, cpu, wall, {})


@cache
def warm() -> None:
    """Let what is imported with the first fit be there, as it is for whoever fits twice."""
    from isthmus import Autoencoder

    x = np.random.default_rng(0).normal(size=(64, 4))
    Autoencoder(2, epochs=1, random_state=0).fit(x).reconstruct(x)


def ours(split: Split, dim: int, budget: Budget, seed: int) -> Fit:
    """Defaults, within the time: seconds on the wall that give the CPU-seconds at full use."""
    from isthmus import Autoencoder

    warm()
    wall, cpu = time.perf_counter(), time.process_time()
    model = Autoencoder(dim, max_time=budget.cpu / budget.threads, random_state=seed)
    model.fit(split.train)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    notes = {"epochs": int(model.n_iter_), "kept": str(model.kept_)}
    return Fit(lambda: split.units(model.reconstruct(split.test)), cpu, wall, notes)


def trained(rows: Any, dim: int, cpu_seconds: float, seed: int) -> tuple[Any, Any, float]:
    """The plain encoder and decoder after so many CPU-seconds, and the epochs that were."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(seed)
    start = time.process_time()
    encoder, decoder = layers(rows.shape[1], dim)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
    seen = 0
    while True:
        for index in torch.split(torch.randperm(len(rows)), batch_size(len(rows))):
            batch = rows[index]
            optimizer.zero_grad()
            torch.autograd.backward(F.mse_loss(decoder(encoder(batch)), batch))
            optimizer.step()
            seen += len(batch)
            if time.process_time() - start >= cpu_seconds:
                return encoder, decoder, seen / len(rows)


@cache
def warm_torch() -> None:
    """The same for the plain one: the first optimiser of a process imports half of torch."""
    import torch

    trained(torch.rand(64, 4), 2, 0.0, 0)


def plain(split: Split, dim: int, budget: Budget, seed: int) -> Fit:
    """A bare loop from a random start, until the CPU time is up."""
    import torch

    warm_torch()
    rows = torch.from_numpy(split.units(split.train).astype(np.float32))
    wall, cpu = time.perf_counter(), time.process_time()
    encoder, decoder, epochs = trained(rows, dim, budget.cpu, seed)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Fit(lambda: through(encoder, decoder, split), cpu, wall, {"epochs": round(epochs, 2)})


def through(encoder: Any, decoder: Any, split: Split) -> Array:
    """The test rows through a pair of torch modules."""
    import torch

    x = torch.from_numpy(split.units(split.test).astype(np.float32))
    with torch.no_grad():
        return torch.cat([decoder(encoder(rows)) for rows in torch.split(x, BLOCK)]).numpy()


def pythae(split: Split, dim: int, budget: Budget, seed: int) -> Fit:
    """The plain layers in its AE and trainer, for as many epochs as the CPU time allows."""
    import torch

    from benchmarks.jobs import pythae_parts

    x = split.units(split.train).astype(np.float32)

    def run(epochs: int) -> tuple[Any, Any]:
        torch.manual_seed(seed)
        pair = layers(x.shape[1], dim)
        with tempfile.TemporaryDirectory() as folder:
            pythae_parts.trained(*pair, x, False, folder, epochs, batch_size(len(x)), seed)
        return pair

    run(1)
    at = [time.process_time()]
    for trial in (1, 2):
        run(trial)
        at.append(time.process_time())
    one, two = at[1] - at[0], at[2] - at[1]
    epochs = 1 + max(0, int((budget.cpu - one) / max(two - one, 0.1 * one)))
    wall, cpu = time.perf_counter(), time.process_time()
    encoder, decoder = run(epochs)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Fit(lambda: through(encoder, decoder, split), cpu, wall, {"epochs": epochs})


METHODS: dict[str, Callable[[Split, int, Budget, int], Fit]] = {
    "pca": pca,
    "ours": ours,
    "plain": plain,
    "pythae": pythae,
}


def row_errors(fit: Fit, split: Split) -> Array:
    """(n,) mean squared error of each test row."""
    return np.asarray(((fit.reconstruct() - split.units(split.test)) ** 2).mean(1))


def mean_and_error(rows: Array) -> tuple[float, float]:
    """The mean and its standard error."""
    return float(rows.mean()), float(rows.std(ddof=1) / np.sqrt(len(rows)))


def answer(
    name: str, method: str, dim: int, seed: int, train_rows: int, cpu_seconds: float, threads: int
) -> dict[str, Any]:
    """Test error with its standard error, alone and in pairs against PCA on the same rows."""
    split = data.load(name, seed, train_rows)
    budget = Budget(cpu_seconds, threads)
    fit = METHODS[method](split, dim, budget, seed)
    rows = row_errors(fit, split)
    if not np.isfinite(rows).all():
        return {"error": "reconstructions that are not finite"}
    reference = rows if method == "pca" else row_errors(pca(split, dim, budget, seed), split)
    mse, error = mean_and_error(rows)
    difference, difference_error = mean_and_error(rows - reference)
    reference_mse, reference_error = mean_and_error(reference)
    return {
        "mse": mse,
        "mse_error": error,
        "pca_mse": reference_mse,
        "pca_mse_error": reference_error,
        "difference": difference,
        "difference_error": difference_error,
        "cpu_seconds": fit.cpu,
        "wall_seconds": fit.wall,
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        **fit.notes,
    }
