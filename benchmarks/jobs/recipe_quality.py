"""What a recipe is good for: one fit, and all that can be measured of it on unseen rows."""

from __future__ import annotations

import time
import zipfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.data import Array
from benchmarks.jobs.fits import warm

PIXELS = ("fashion-mnist", "digits")
DIM, FEWER = 8, 2
"""Dimensions of the code, and those of a prefix of it."""
MOST_TRAIN, MOST_TEST, MOST_COUNTS, GENES = 5_000, 2_000, 3_000, 500
NOISE = 0.5
"""Standard deviations added to the rows to be cleaned."""
HIDDEN = 0.25
OUTLIERS, WILD = 0.1, 5.0
"""Share of the training rows made wild, and by how many standard deviations."""
NEAR_ZERO = 0.1
"""Of a dimension's root mean square: values below count as zero."""
NEIGHBOURS, TREES, PLACES = 5, 100, 8


class Rows(NamedTuple):
    """Rows to train on and to measure on, with labels where there are any."""

    train: Array
    test: Array
    y_train: Array | None
    y_test: Array | None
    shared: bool
    """One standard deviation for all values, as for pixels, or one for each column."""

    def units(self, x: Array) -> Array:
        """(n, values) in which errors are measured: standard deviations of the training rows."""
        train = self.train.reshape(len(self.train), -1).astype(np.float64)
        x = np.asarray(x, np.float64).reshape(len(x), -1)
        return np.asarray((x - train.mean(self.over)) / train.std(self.over))

    def back(self, units: Array) -> Array:
        """What ``units`` came from."""
        train = self.train.reshape(len(self.train), -1).astype(np.float64)
        x = units * train.std(self.over) + train.mean(self.over)
        return np.asarray(x.reshape(len(units), *self.train.shape[1:]))

    @property
    def over(self) -> int | None:
        """The axis over which rows are standardised."""
        return None if self.shared else 0


def labelled_pendigits(path: Path) -> tuple[Array, Array]:
    with zipfile.ZipFile(path) as archive:
        files = sorted(name for name in archive.namelist() if name.endswith((".tra", ".tes")))
        parts = [np.loadtxt(archive.open(name), delimiter=",") for name in files]
    table = np.concatenate(parts)
    return table[:, :-1], table[:, -1]


@cache
def rows_of(name: str, seed: int) -> Rows:
    """A labelled set, or counts, split at random."""
    y: Array | None = None
    if name == "fashion-mnist":
        path = data.folder() / "images_small" / data.IMAGES[name]
        x, y = data.array(path, "x").astype(np.float32), data.array(path, "y")
    elif name == "digits":
        x, y = data.bundled("digits"), data.bundled("digits", "target")
    elif name == "pendigits":
        x, y = labelled_pendigits(data.folder() / "tabular" / "pendigits.zip")
    elif name.startswith("adbench/"):
        path = data.folder() / f"{name}.npz"
        x, y = data.array(path, "X"), data.array(path, "y")
    else:
        x = data.array(data.folder() / "science" / "neurons10k.npz", "counts")
        x = x[:, :GENES].astype(np.float64)
    most = MOST_COUNTS if y is None else MOST_TRAIN
    order = np.random.default_rng(seed).permutation(len(x))
    held_out = min(MOST_TEST, len(x) // 4)
    test, train = order[:held_out], order[held_out : held_out + most]
    if x.ndim == 2:
        x = x[:, (x[train] != x[train][0]).any(0)]
    y_train, y_test = (None, None) if y is None else (y[train], y[test])
    return Rows(x[train], x[test], y_train, y_test, name in PIXELS)


def fitted(recipe: str, x: Any, seed: int, epochs: int) -> tuple[Any, dict[str, Any]]:
    from isthmus import Autoencoder

    warm()
    start = time.process_time()
    model = Autoencoder(DIM, recipe=recipe, epochs=epochs, random_state=seed).fit(x)
    notes = {
        "cpu_seconds": time.process_time() - start,
        "epochs": int(model.n_iter_),
        "kept": str(model.kept_),
    }
    return model, notes


def squared(a: Array, b: Array) -> float:
    return float(np.square(a - b).mean())


def rate_in_bits(model: Any, x: Array) -> float:
    """What a row's code costs under its prior."""
    import torch

    batch = model.kind_.batch(x)
    with torch.inference_mode():
        rate = model.model_.by_blocks(lambda x, w: model.model_.coded(x, w).rate, *batch[:2])
    return float(rate.double().mean() / np.log(2))


def of_the_code(model: Any, rows: Rows, noisy: Array) -> dict[str, float]:
    from sklearn.neighbors import KNeighborsClassifier

    train, test = model.transform(rows.train), model.transform(rows.test)
    size = np.sqrt(np.square(train).mean(0)) + 1e-12
    moved = (model.transform(noisy) - test) / size
    nearest = KNeighborsClassifier(NEIGHBOURS).fit(train / size, rows.y_train)
    return {
        "zeros": float((np.abs(test / size) < NEAR_ZERO).mean()),
        "moved": float(np.sqrt(np.square(moved).mean())),
        "neighbours": float(nearest.score(test / size, rows.y_test)),
    }


def told_apart(model: Any, rows: Rows, seed: int) -> float:
    """Accuracy with which a forest tells samples from unseen rows, 0.5 where it cannot.

    In the first principal components (Lopez-Paz & Oquab 2016, https://arxiv.org/abs/1610.06545).
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    real = rows.units(rows.test)[:1000]
    drawn = rows.units(model.sample(len(real), random_state=seed))
    pca = PCA(PLACES, random_state=seed).fit(rows.units(rows.train))
    x = pca.transform(np.concatenate([real, drawn]))
    y = np.repeat([0, 1], len(real))
    order = np.random.default_rng(seed).permutation(len(y))
    forest = RandomForestClassifier(TREES, min_samples_leaf=3, random_state=seed)
    return float(cross_val_score(forest, x[order], y[order], cv=4).mean())


def everything(recipe: str, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Of a labelled set: error, code, noise, gaps, samples."""
    rows = rows_of(name, seed)
    random = np.random.default_rng(seed)
    model, notes = fitted(recipe, rows.train, seed, epochs)
    true = rows.units(rows.test)
    back = rows.units(model.reconstruct(rows.test))
    noisy = rows.back(true + NOISE * random.normal(size=true.shape)).astype(rows.train.dtype)
    prefix = rows.units(model.inverse_transform(model.transform(rows.test, dims=FEWER)))
    found = {
        "mse": squared(back, true),
        "mae": float(np.abs(back - true).mean()),
        "prefix": squared(prefix, true),
        "noisy": squared(rows.units(model.reconstruct(noisy)), true),
        "bits": rate_in_bits(model, rows.test),
        "samples": told_apart(model, rows, seed),
        **of_the_code(model, rows, noisy),
        **notes,
    }
    if rows.train.ndim == 2:
        hidden = random.random(true.shape) < HIDDEN
        holes = np.where(hidden, np.nan, rows.test)
        filled = rows.units(model.reconstruct(holes))
        found["hidden"] = squared(filled[hidden], true[hidden])
    return found


def with_outliers(recipe: str, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trained on rows of which some are wild, measured on clean ones."""
    rows = rows_of(name, seed)
    random = np.random.default_rng(seed)
    wild = random.random(len(rows.train)) < OUTLIERS
    train = rows.train.astype(np.float64)
    values = WILD * random.normal(size=(int(wild.sum()), train[0].size))
    train[wild] = rows.back(values)
    model, notes = fitted(recipe, train, seed, epochs)
    back = rows.units(model.reconstruct(rows.test))
    return {"spoilt": squared(back, rows.units(rows.test)), **notes}


def with_anomalies(recipe: str, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Trained on rows of which some are anomalies: the error of the others, and the ranking."""
    from sklearn.metrics import roc_auc_score

    rows = rows_of(name, seed)
    model, notes = fitted(recipe, rows.train, seed, epochs)
    errors = np.square(rows.units(model.reconstruct(rows.test)) - rows.units(rows.test)).mean(1)
    assert rows.y_test is not None
    return {
        "inliers": float(errors[rows.y_test == 0].mean()),
        "auroc": float(roc_auc_score(rows.y_test, -model.score_samples(rows.test))),
        **notes,
    }


def of_counts(recipe: str, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """The Poisson deviance of unseen counts under the mean that comes back.

    ``recipe`` may begin with "log1p ": the counts are then passed as log(1 + x).
    """
    rows = rows_of(name, seed)
    logs = recipe.startswith("log1p ")
    into, out = (np.log1p, np.expm1) if logs else (np.asarray, np.asarray)
    model, notes = fitted(recipe.removeprefix("log1p "), into(rows.train), seed, epochs)
    mean = np.clip(out(np.asarray(model.reconstruct(into(rows.test)), np.float64)), 1e-2, None)
    ratio = np.where(rows.test > 0, rows.test / mean, 1.0)
    deviance = 2 * (rows.test * np.log(ratio) - rows.test + mean)
    logged = np.square(np.log1p(mean) - np.log1p(rows.test)).mean()
    return {"deviance": float(deviance.mean()), "log_error": float(logged), **notes}


def of_mixed(recipe: str, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Cells of unseen rows in their columns' own terms, those shown and those hidden."""
    split = data.load_mixed(name, seed, MOST_TRAIN)
    model, notes = fitted(recipe, split.train, seed, epochs)
    errors, known = split.errors(model.reconstruct(split.test))
    random = np.random.default_rng(seed)
    hidden = random.random(known.shape) < HIDDEN
    holes = split.test.mask(hidden)
    guessed, _ = split.errors(model.reconstruct(holes))
    at = hidden & (known > 0)
    return {
        "cells": float(errors.sum() / known.sum()),
        "hidden_cells": float(guessed[at].mean()),
        **notes,
    }


TRIALS = {
    "everything": everything,
    "outliers": with_outliers,
    "anomalies": with_anomalies,
    "counts": of_counts,
    "mixed": of_mixed,
}


def answer(trial: str, recipe: str, name: str, seed: int, epochs: int) -> dict[str, Any]:
    found = TRIALS[trial](recipe, name, seed, epochs)
    if not all(np.isfinite(value) for value in found.values() if isinstance(value, float)):
        return {"error": "figures that are not finite"}
    return found
