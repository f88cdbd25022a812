"""``Autoencoder`` behaves as scikit-learn's own estimators do."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import AnomalyDetector, Autoencoder, Imputer


@parametrize_with_checks([Autoencoder(latent_dim=2, epochs=4)])
def test_autoencoder_keeps_the_conventions_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks([AnomalyDetector(epochs=2), AnomalyDetector(epochs=2, contamination=0.1)])
def test_detector_keeps_the_conventions_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks([Imputer(epochs=2, n_members=2)])
def test_imputer_keeps_the_conventions_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
