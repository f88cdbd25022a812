"""The methods that find anomalies, each as its own readers would call it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from benchmarks.data import Array

MOST_AWAY = 30.0
"""Standard deviations at which standardised columns are clipped."""
FLATTEST = 1e-6
"""Of the total variance: components with less are left out of whitened rows."""
KEPT = 0.9
"""Of the variance, that principal components hold."""


class Fitted(NamedTuple):
    """A method that has seen its rows; higher scores are more anomalous."""

    score: Callable[[Array], Array]
    """Of rows it has not seen."""
    seen: Callable[[], Array]
    """Of the rows it was fitted on."""
    model: Any


Method = Callable[..., Fitted]
"""From rows to train on, without gaps unless it takes them, and a seed."""
View = Callable[[Array], Array]


def in_deviations(train: Array) -> View:
    """In standard deviations of the rows to train on; constant columns keep their unit."""
    mean, spread = train.mean(0), train.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    return lambda x: np.asarray((x - mean) / spread)


def standardised(train: Array, seed: int) -> View:
    """The same, clipped."""
    view = in_deviations(train)
    return lambda x: np.clip(view(x), -MOST_AWAY, MOST_AWAY)


def whitened(train: Array, seed: int) -> View:
    """Principal components of standardised rows, each in its own standard deviation."""
    from sklearn.decomposition import PCA

    view = standardised(train, seed)
    pca = PCA(svd_solver="full").fit(view(train))
    kept = pca.explained_variance_ratio_ > FLATTEST
    directions = pca.components_[kept] / np.sqrt(pca.explained_variance_[kept])[:, None]
    return lambda x: np.asarray((view(x) - pca.mean_) @ directions.T)


def normal_scores(train: Array, seed: int) -> View:
    """Each column's ranks among the rows to train on, as quantiles of the normal distribution."""
    from sklearn.preprocessing import QuantileTransformer

    ranks = QuantileTransformer(
        n_quantiles=min(1000, len(train)),
        output_distribution="normal",
        subsample=None,
        random_state=seed,
    ).fit(train)
    return lambda x: np.asarray(ranks.transform(x))


def neighbours(count: int, viewed: Callable[[Array, int], View]) -> Method:
    """The mean distance to so many nearest rows of those to train on, less the row itself."""

    def fit(train: Array, seed: int) -> Fitted:
        from sklearn.neighbors import NearestNeighbors

        view = viewed(train, seed)
        model = NearestNeighbors(n_neighbors=count).fit(view(train))

        def distance(x: Array | None) -> Array:
            return np.asarray(model.kneighbors(x)[0].mean(1))

        return Fitted(lambda x: distance(view(x)), lambda: distance(None), model)

    return fit


def pca(train: Array, seed: int) -> Fitted:
    """The squared error of standardised rows after the components that hold 90 % of the variance.

    At least one component is left out, or nothing would be in error.
    """
    from sklearn.decomposition import PCA

    view = standardised(train, seed)
    model = PCA(svd_solver="full").fit(view(train))
    enough = int(np.searchsorted(np.cumsum(model.explained_variance_ratio_), KEPT)) + 1
    left_out = model.components_[min(enough, len(model.components_) - 1) :]

    def score(x: Array) -> Array:
        return np.asarray(np.square((view(x) - model.mean_) @ left_out.T).sum(1))

    return Fitted(score, lambda: score(train), model)


def iforest(train: Array, seed: int) -> Fitted:
    """scikit-learn's, with its defaults."""
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(random_state=seed).fit(train)
    return Fitted(lambda x: -model.score_samples(x), lambda: -model.score_samples(train), model)


def ours(train: Array, seed: int, contamination: str | None = None) -> Fitted:
    """Defaults; where there are anomalies among the rows to train on, it is told so."""
    from isthmus import AnomalyDetector

    model = AnomalyDetector(contamination=contamination, random_state=seed).fit(train)

    def score(x: Array) -> Array:
        return -np.asarray(model.score_samples(x), np.float64)

    return Fitted(score, lambda: score(train), model)


def scales_alone(train: Array, seed: int) -> Fitted:
    """Ours without its members: distances in four scales, weighed without labels."""
    from isthmus.tasks.strangeness import Strangeness

    view = in_deviations(train)
    model = Strangeness(view(train), np.zeros(train.shape[1], bool), seed=seed)
    return Fitted(lambda x: model.score(view(x), None), lambda: model.of_references, model)


def pyod(module: str, name: str, seeded: bool = False, network: bool = False) -> Method:
    """One of PyOD's, with its defaults, on rows in standard deviations, as its pages advise."""

    def fit(train: Array, seed: int) -> Fitted:
        options: dict[str, Any] = {"random_state": seed} if seeded else {}
        if network:
            options |= {"device": "cpu", "verbose": 0}
        view = in_deviations(train)
        model = getattr(import_module(f"pyod.models.{module}"), name)(**options)
        model.fit(view(train))

        def score(x: Array) -> Array:
            return np.asarray(model.decision_function(view(x)))

        return Fitted(score, lambda: np.asarray(model.decision_scores_), model)

    return fit


METHODS: dict[str, Method] = {
    "ours": ours,
    "ours-scales": scales_alone,
    "knn": neighbours(5, standardised),
    "knn-1": neighbours(1, standardised),
    "knn-white": neighbours(5, whitened),
    "knn-normal-scores": neighbours(5, normal_scores),
    "pca": pca,
    "iforest": iforest,
    "pyod-autoencoder": pyod("auto_encoder", "AutoEncoder", seeded=True, network=True),
    "pyod-vae": pyod("vae", "VAE", seeded=True, network=True),
    "pyod-knn": pyod("knn", "KNN"),
    "pyod-iforest": pyod("iforest", "IForest", seeded=True),
    "pyod-ecod": pyod("ecod", "ECOD"),
}
