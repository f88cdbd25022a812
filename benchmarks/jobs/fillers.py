"""Methods that fill missing cells of DataFrames, fitted to some rows and used on others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.data import Array, is_number

Filler = Callable[[Any], Any]
"""A DataFrame with gaps to columns without."""


class Encoded:
    """DataFrames as arrays of numbers, and back.

    Numbers are standardised. A category has a place for each of its levels but the rarest, without
    which regressions would find each place in the others of the same category; or it is the number
    of its level, the commonest first.
    """

    def __init__(self, train: Any, one_hot: bool = True) -> None:
        self.one_hot = one_hot
        self.numbers: dict[str, tuple[float, float]] = {}
        self.levels: dict[str, list[Any]] = {}
        self.columns = list(train.columns)
        for name in self.columns:
            column = train[name]
            if is_number(column):
                self.numbers[name] = float(column.mean()), float(column.std(ddof=0)) or 1.0
            else:
                self.levels[name] = column.value_counts().index.tolist()

    def places(self, name: str) -> int:
        """How many columns of the array a column has."""
        return max(1, len(self.levels[name]) - 1) if self.one_hot and name in self.levels else 1

    def array(self, table: Any) -> Array:
        """(n, places), NaN where missing."""
        found = []
        for name in self.columns:
            if name in self.numbers:
                middle, scale = self.numbers[name]
                found.append((table[name].to_numpy(np.float64) - middle)[:, None] / scale)
                continue
            place = {level: float(i) for i, level in enumerate(self.levels[name])}
            codes = np.array([place.get(value, np.nan) for value in table[name]])[:, None]
            if self.one_hot:
                shown = (codes == np.arange(self.places(name))).astype(np.float64)
                codes = np.where(np.isnan(codes), np.nan, shown)
            found.append(codes)
        return np.concatenate(found, 1)

    def frame(self, array: Array) -> dict[str, Array]:
        """By column, what the array says."""
        found, first = {}, 0
        for name in self.columns:
            part = array[:, first : first + self.places(name)]
            first += self.places(name)
            if name in self.numbers:
                middle, scale = self.numbers[name]
                found[name] = part[:, 0] * scale + middle
                continue
            levels = np.array(self.levels[name], dtype=object)
            if self.one_hot:
                last = 1 - part.sum(1, keepdims=True)
                which = np.concatenate([part, last], 1)[:, : len(levels)].argmax(1)
            else:
                which = np.clip(np.rint(part[:, 0]), 0, len(levels) - 1).astype(int)
            found[name] = levels[which]
        return found


def encoded(imputer: Any, train: Any, one_hot: bool = True) -> Filler:
    """One of scikit-learn's, on encoded tables."""
    code = Encoded(train, one_hot)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imputer.fit(code.array(train))

    def fill(table: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return code.frame(imputer.transform(code.array(table)))

    return fill


def mean(train: Any, seed: int) -> Filler:
    """The mean of numbers, the mode of categories."""
    usual = {
        name: train[name].mean() if is_number(train[name]) else train[name].mode().iloc[0]
        for name in train
    }
    return lambda table: {name: np.full(len(table), value) for name, value in usual.items()}


def knn(train: Any, seed: int) -> Filler:
    from sklearn.impute import KNNImputer

    return encoded(KNNImputer(keep_empty_features=True), train)


def knn_weighted(train: Any, seed: int) -> Filler:
    from sklearn.impute import KNNImputer

    neighbours = KNNImputer(n_neighbors=20, weights="distance", keep_empty_features=True)
    return encoded(neighbours, train)


def iterative(train: Any, seed: int, estimator: Any = None, one_hot: bool = True) -> Filler:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    rounds = 10 if estimator is None else 4
    made = IterativeImputer(estimator, max_iter=rounds, random_state=seed, keep_empty_features=True)
    return encoded(made, train, one_hot)


def iterative_levels(train: Any, seed: int) -> Filler:
    return iterative(train, seed, one_hot=False)


def iterative_trees(train: Any, seed: int) -> Filler:
    from sklearn.ensemble import ExtraTreesRegressor

    return iterative(train, seed, ExtraTreesRegressor(30, max_features="sqrt", random_state=seed))


def ours(train: Any, seed: int) -> Any:
    from isthmus import Imputer

    return Imputer(random_state=seed).fit(train)


METHODS: dict[str, Callable[[Any, int], Any]] = {
    "ours": ours,
    "mean": mean,
    "knn": knn,
    "knn-weighted": knn_weighted,
    "iterative": iterative,
    "iterative-levels": iterative_levels,
    "iterative-trees": iterative_trees,
}
