"""How well one nested model reconstructs unseen rows from its first k numbers, for many k."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.data import Array, Split
from benchmarks.jobs.fits import mean_and_error, warm


def errors(split: Split, rebuilt: Array) -> Array:
    """(n,) mean squared error of each test row."""
    return np.asarray(((rebuilt - split.units(split.test)) ** 2).mean(1))


def by_pca(split: Split, dims: list[int]) -> dict[int, Array]:
    from sklearn.decomposition import PCA

    model = PCA(max(dims)).fit(split.units(split.train))
    codes = model.transform(split.units(split.test))
    return {k: errors(split, model.mean_ + codes[:, :k] @ model.components_[:k]) for k in dims}


def figures(rows: dict[int, Array], before: dict[int, Array]) -> dict[str, dict[str, float]]:
    """By number of dimensions: the error, PCA's, and their difference in pairs."""
    found = {}
    for k, errors in rows.items():
        mse, error = mean_and_error(errors)
        pca, pca_error = mean_and_error(before[k])
        found[str(k)] = {
            "mse": mse,
            "mse_error": error,
            "pca_mse": pca,
            "pca_mse_error": pca_error,
            "difference": mse - pca,
        }
    return found


def answer(
    name: str, recipe: str, latent_dim: int, dims: list[int], seed: int, train_rows: int
) -> dict[str, Any]:
    """One model with its defaults, and its test error from each of the prefixes ``dims``."""
    from isthmus import Autoencoder

    split = data.load(name, seed, train_rows)
    warm()
    wall, cpu = time.perf_counter(), time.process_time()
    model = Autoencoder(latent_dim, recipe=recipe, random_state=seed).fit(split.train)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    codes = model.transform(split.test)
    rows = {
        k: errors(split, split.units(model.inverse_transform(codes[:, :k]))) for k in sorted(dims)
    }
    return {
        "prefixes": figures(rows, by_pca(split, dims)),
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "epochs": int(model.n_iter_),
        "kept": str(model.kept_),
        "train_rows": len(split.train),
        "test_rows": len(split.test),
    }
