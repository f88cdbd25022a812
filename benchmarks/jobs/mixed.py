"""How well tables of mixed columns are rebuilt: ours, and PCA on one-hot columns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.data import Array, MixedSplit
from benchmarks.jobs.fits import Budget, Fit, mean_and_error, warm


def pca(split: MixedSplit, dim: int, budget: Budget, seed: int) -> Fit:
    """scikit-learn: columns standardised or one-hot, gaps filled by mean or mode, then PCA.

    A category comes back as the level with the largest value.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    train, test = (objects(table) for table in split)
    numbers = [name for name in train if data.is_number(split.train[name])]
    others = [name for name in train if name not in numbers]
    wall, cpu = time.perf_counter(), time.process_time()
    scaler = StandardScaler()
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    parts = []
    if numbers:
        parts.append(("numbers", make_pipeline(SimpleImputer(), scaler), numbers))
    if others:
        mode = SimpleImputer(strategy="most_frequent")
        parts.append(("others", make_pipeline(mode, encoder), others))
    prepared = ColumnTransformer(parts)
    seen = prepared.fit_transform(train)
    model = PCA(dim, random_state=seed).fit(seen)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall

    def reconstruct() -> Any:
        back = model.inverse_transform(model.transform(prepared.transform(test)))
        found = {}
        if numbers:
            scaled = prepared.named_transformers_["numbers"][-1]
            values = scaled.inverse_transform(back[:, : len(numbers)])
            found |= dict(zip(numbers, values.T, strict=True))
        place = len(numbers)
        for name, levels in zip(others, levels_of(prepared) if others else [], strict=True):
            chosen = back[:, place : place + len(levels)].argmax(1)
            found[name] = levels[chosen]
            place += len(levels)
        return found

    return Fit(reconstruct, cpu, wall, {})


def levels_of(prepared: Any) -> list[Array]:
    """The levels of each column that is no number."""
    return list(prepared.named_transformers_["others"][-1].categories_)


def objects(table: Any) -> Any:
    """What scikit-learn takes: text, booleans and categories as objects."""
    found = table.copy()
    for name in table:
        if not data.is_number(table[name]):
            column = table[name].astype(object)
            found[name] = column.where(table[name].notna(), np.nan)
    return found


def ours(split: MixedSplit, dim: int, budget: Budget, seed: int) -> Fit:
    """Defaults, within the time: seconds on the wall that give the CPU-seconds at full use."""
    from isthmus import Autoencoder

    warm()
    wall, cpu = time.perf_counter(), time.process_time()
    model = Autoencoder(dim, max_time=budget.cpu / budget.threads, random_state=seed)
    model.fit(split.train)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    notes = {"epochs": int(model.n_iter_), "kept": str(model.kept_)}
    return Fit(lambda: model.reconstruct(split.test), cpu, wall, notes)


METHODS: dict[str, Callable[[MixedSplit, int, Budget, int], Fit]] = {"pca": pca, "ours": ours}


def row_errors(cells: Array, known: Array) -> Array:
    """(n,) errors whose mean is that over all cells that are there."""
    return np.asarray(cells.sum(1) / known.sum(1).mean())


def answer(
    name: str, method: str, dim: int, seed: int, train_rows: int, cpu_seconds: float, threads: int
) -> dict[str, Any]:
    """Test error with its standard error, alone and in pairs against PCA, and columns worse."""
    if method not in METHODS:
        return {"missing": f"a mixed table for {method}"}
    split = data.load_mixed(name, seed, train_rows)
    budget = Budget(cpu_seconds, threads)
    fit = METHODS[method](split, dim, budget, seed)
    cells, known = split.errors(fit.reconstruct())
    plain = cells
    if method != "pca":
        plain, _ = split.errors(pca(split, dim, budget, seed).reconstruct())
    rows, reference = row_errors(cells, known), row_errors(plain, known)
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
        "columns": cells.shape[1],
        "columns_worse": columns_worse(cells, plain, known),
        "cpu_seconds": fit.cpu,
        "wall_seconds": fit.wall,
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        **fit.notes,
    }


def columns_worse(ours: Array, plain: Array, known: Array) -> int:
    """Columns whose error is above PCA's by more than one standard error of PCA's."""
    worse = 0
    for a, b, there in zip(ours.T, plain.T, known.T > 0, strict=True):
        mean, error = mean_and_error(b[there])
        worse += bool(a[there].mean() > mean + error)
    return worse
