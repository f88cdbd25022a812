"""Rows with gaps: before training a model is PCA on them too, whatever they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from isthmus import Autoencoder, compare, spec
from isthmus.core.errors import DataError

DRAW = np.random.default_rng(0)


def with_gaps(X: Any, share: float = 0.4) -> Any:
    X = X.astype(float)
    X[DRAW.random(X.shape) < share] = np.nan
    return X


def tables() -> dict[str, tuple[Any, str | None]]:
    hidden = DRAW.normal(size=(600, 1))
    word = np.where(hidden[:, 0] > 0, "yes", "no").astype(object)
    word[DRAW.random(600) < 0.6] = None
    return {
        "numbers": (with_gaps(hidden + DRAW.normal(size=(600, 5)) + 50), None),
        "shares": (with_gaps(DRAW.random((600, 5)) < 0.8), "bernoulli"),
        "counts": (with_gaps(DRAW.poisson(20, (600, 5))), "negative-binomial"),
        "words": (pd.DataFrame({"a": hidden[:, 0], "b": word}), None),
    }


def errors(model: Autoencoder, X: Any) -> list[float]:
    """Of the model and of PCA."""
    rows = [row for row in compare(model, X).rows if row.column is None and "error" in row.measure]
    return [row.value for row in rows[:2]]


@pytest.mark.parametrize("name", ["numbers", "words"])
def test_before_training_a_model_is_pca_on_rows_with_gaps(name: str) -> None:
    X, _ = tables()[name]
    ours, plain = errors(Autoencoder(2, recipe="linear", validation=0).fit(X), X)
    assert ours == pytest.approx(plain, rel=1e-3, abs=1e-8)


@pytest.mark.parametrize("name", ["numbers", "shares", "counts"])
def test_gaps_do_not_move_the_mean_of_what_is_rebuilt(name: str) -> None:
    X, likelihood = tables()[name]
    model = Autoencoder(2, recipe="linear", likelihood=likelihood, validation=0).fit(X)
    assert np.mean(model.reconstruct(X)) == pytest.approx(np.nanmean(X), rel=0.1)


@pytest.mark.parametrize("network", ["linear", "mlp", "conv"])
def test_before_training_a_model_is_pca_on_images_of_unequal_sizes(network: str) -> None:
    slope = np.add.outer(9 * np.arange(13), 5 * np.arange(10))
    images = [
        (slope[:height] + DRAW.integers(0, 40, (height, 10)) + 60 * DRAW.random()).astype(np.uint8)
        for height in DRAW.integers(8, 14, 60)
    ]
    tiny = Autoencoder(4, network=network, epochs=1, learning_rate=1e-12, validation=0).fit(images)
    ours, plain = errors(tiny, images)
    assert ours == pytest.approx(plain, rel=1e-3)


def test_the_encoder_alone_can_be_told_what_is_missing() -> None:
    X = with_gaps(DRAW.normal(size=(80, 4)) + 3)
    model = Autoencoder(2, epochs=3).fit(X)
    batch = model.kind_.batch(X)
    alone = model.encoder_(batch.x, batch.weight).detach().numpy()
    np.testing.assert_allclose(alone, model.transform(X), atol=1e-6)


def test_one_gap_does_not_make_the_commonest_row_an_outlier() -> None:
    common = np.tile([[3.0, -3, 3, -3, 3, -3]], (300, 1))
    X = np.vstack([common, DRAW.normal(size=(600, 6))])
    X[-1, 0] = np.nan
    model = Autoencoder(2, recipe="robust", validation=0, epochs=60).fit(X)
    assert np.square(model.reconstruct(common[:1]) - common[:1]).mean() < 0.05


def test_the_commonest_row_is_the_commonest_sample_of_symbols() -> None:
    common = np.tile([[1.0, 2, 3, 4]], (9000, 1))
    X = np.vstack([common, DRAW.normal(size=(1000, 4)) - 5])
    drawn = Autoencoder(2, recipe="vq-vae", epochs=3, validation=0).fit(X).sample(500)
    assert (np.abs(drawn - common[:1]).max(1) < 1).mean() > 0.5


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, sparse.csr_matrix])
def test_a_row_of_no_weight_is_not_looked_at(kind: Any) -> None:
    X = DRAW.normal(size=(60, 4))
    weight = np.ones(60)
    X[7], weight[7] = 1e30, 0
    found = Autoencoder(2, epochs=1).fit(kind(X), sample_weight=weight)
    without = Autoencoder(2, epochs=1).fit(kind(np.delete(X, 7, 0)))
    np.testing.assert_array_equal(found.transform(kind(X[:5])), without.transform(kind(X[:5])))


def test_a_likelihood_of_categories_is_refused_by_columns_of_numbers() -> None:
    X = DRAW.integers(0, 3, (50, 2))
    with pytest.raises(DataError, match="column 0 holds numbers"):
        Autoencoder(2, likelihood=spec("categorical", levels=(3, 3))).fit(X)
