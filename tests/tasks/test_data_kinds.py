"""Data of every kind and shape: images, few rows, constant columns, gaps, huge values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from isthmus import Autoencoder, spec
from isthmus.core.errors import ColumnsError, DataError, ShapeError

X = load_digits().data[:300]
IMAGES = X.reshape(-1, 8, 8)
SMALL = spec("mlp", widths=(16,))
over_recipes = pytest.mark.parametrize("recipe", ["autoencoder", "linear", "denoising", "vae"])


def small(**changes: Any) -> Autoencoder:
    return Autoencoder(**{"latent_dim": 4, "epochs": 2, "network": SMALL, **changes})


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return small(epochs=10).fit(X)


# ---------------------------------------------------------------------------- images


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize(
    ("images", "unit"),
    [
        ((IMAGES * 15).astype(np.uint8), 255),
        (IMAGES / 16, 1),
        ((IMAGES / 16).astype(np.float32), 1),
        ((IMAGES[..., None] * [15, 10, 5]).astype(np.uint8), 255),
    ],
    ids=["uint8", "float64", "float32", "colour"],
)
def test_images_come_back_as_they_were(images: Any, unit: float, network: str) -> None:
    options = {"widths": (32,)} if network == "mlp" else {"widths": (4, 8)}
    ae = Autoencoder(16, epochs=10, network=spec(network, **options)).fit(images)
    assert ae.transform(images).shape == (300, 16)
    rebuilt = ae.reconstruct(images)
    assert rebuilt.shape == images.shape
    assert rebuilt.dtype == images.dtype
    assert rebuilt.min() >= 0
    assert rebuilt.max() <= unit
    assert abs(rebuilt.astype(float) - images).mean() < 0.1 * unit
    assert ae.sample(3).shape == (3, *images.shape[1:])
    assert ae.n_features_in_ == np.prod(images.shape[1:])


def test_codes_on_a_grid_are_flattened_and_go_back() -> None:
    network = spec("conv", widths=(4, 4), grid_code=True)
    ae = Autoencoder(3, network=network, epochs=1).fit(IMAGES)
    codes = ae.transform(IMAGES)
    assert codes.shape == (300, 3 * 2 * 2)
    assert len(ae.get_feature_names_out()) == 12
    assert_allclose(ae.inverse_transform(codes), ae.reconstruct(IMAGES), atol=1e-5)


def test_images_of_another_size_or_unit_are_refused() -> None:
    ae = small().fit((IMAGES * 15).astype(np.uint8))
    with pytest.raises(ShapeError, match="fitted on 8 x 8 grey images, got 7 x 8 grey"):
        ae.transform(np.zeros((2, 7, 8), np.uint8))
    with pytest.raises(DataError, match="Bring them to the same range"):
        ae.transform(IMAGES / 16)


def test_bernoulli_takes_values_from_zero_to_one_as_probabilities() -> None:
    pixels = X / 16
    ae = small(likelihood="bernoulli", latent_dim=10, epochs=20).fit(pixels)
    rebuilt = ae.reconstruct(pixels)
    assert rebuilt.min() > 0
    assert rebuilt.max() < 1
    entropy = -(pixels * np.log(rebuilt) + (1 - pixels) * np.log(1 - rebuilt))
    assert_allclose(-ae.score_samples(pixels), entropy.sum(1), rtol=1e-3)


# ---------------------------------------------------------------------------- odd data


def test_the_automatic_dimension_is_what_pca_needs_for_95_per_cent() -> None:
    shares = PCA().fit(StandardScaler().fit_transform(X)).explained_variance_ratio_.cumsum()
    assert Autoencoder(epochs=1, network=SMALL).fit(X).latent_dim_ == 1 + (shares < 0.95).sum()
    noise = np.random.default_rng(0).normal(size=(300, 100))
    assert Autoencoder(epochs=1, network=SMALL).fit(noise).latent_dim_ == 64
    assert Autoencoder(epochs=1, network=SMALL).fit(np.ones((30, 5))).latent_dim_ == 1


@over_recipes
def test_more_dimensions_than_columns_lose_nothing(recipe: str) -> None:
    rows = X[:, 20:23]
    ae = small(recipe=recipe, latent_dim=7).fit(rows)
    assert ae.transform(rows).shape == (300, 7)
    assert np.isfinite(ae.sample(3)).all()
    if recipe == "linear":
        assert_allclose(ae.reconstruct(rows), rows, atol=1e-4)


@over_recipes
@pytest.mark.parametrize("rows", [2, 3, 9])
def test_a_handful_of_rows_is_enough(rows: int, recipe: str) -> None:
    ae = small(recipe=recipe).fit(X[:rows])
    assert np.isfinite(ae.reconstruct(X)).all()
    assert np.isfinite(ae.score(X))


@pytest.mark.parametrize("kind", ["array", "frame", "images"])
def test_one_row_is_too_few(kind: str) -> None:
    one = {"array": X[:1], "frame": pd.DataFrame(X[:1]).add_prefix("p"), "images": IMAGES[:1]}
    with pytest.raises(DataError, match=r"minimum of 2|at least 2"):
        small().fit(one[kind])


@over_recipes
def test_constant_columns_come_back_as_they_are(recipe: str) -> None:
    rows = np.concatenate([X[:, 18:30], np.full((300, 2), [5.0, -1e6])], 1)
    ae = small(recipe=recipe).fit(rows)
    assert_allclose(ae.reconstruct(rows)[:, -2:], rows[:, -2:], rtol=0.01)
    assert np.isfinite(ae.score_samples(rows)).all()
    same = np.full((40, 3), 7.0)
    assert_allclose(small(recipe=recipe).fit(same).reconstruct(same), same, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_the_units_of_the_data_do_not_matter(scale: float) -> None:
    ae, other = small().fit(X), small().fit(X * scale)
    assert_allclose(other.transform(X * scale), ae.transform(X), atol=1e-3)
    assert_allclose(other.reconstruct(X * scale) / scale, ae.reconstruct(X), atol=0.01)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinities_are_refused_at_fit_and_in_use(bad: float, fitted: Autoencoder) -> None:
    rows = X.copy()
    rows[3, 5] = bad
    for use in (small().fit, fitted.transform, fitted.reconstruct, fitted.score_samples):
        with pytest.raises(DataError, match="infinit"):
            use(rows)


def test_values_beyond_all_reason_are_refused_with_their_column(fitted: Autoencoder) -> None:
    rows = X.copy()
    rows[3, 5] = 1e30
    with pytest.raises(DataError, match=r"column 5 has values up to 1e\+30.*Check its units"):
        fitted.transform(rows)


def test_codes_beyond_all_reason_are_refused(fitted: Autoencoder) -> None:
    with pytest.raises(DataError, match="codes"):
        fitted.inverse_transform(np.full((2, 4), 1e300))


def test_numbered_columns_in_another_order_are_found_and_others_refused() -> None:
    frame = pd.DataFrame(X[:, 10:13])
    ae = Autoencoder(2, recipe="linear").fit(frame)
    assert_array_equal(ae.transform(frame[[2, 1, 0]]), ae.transform(frame))
    assert_array_equal(ae.transform(frame.to_numpy()), ae.transform(frame))
    with pytest.raises(ColumnsError, match="missing: '2'; not known: '7'"):
        ae.transform(frame.rename(columns={2: 7}))
    with pytest.warns(UserWarning, match="feature names"):
        ae.transform(frame.rename(columns=str))


def test_categories_in_numbered_columns_are_used_as_they_were_fitted() -> None:
    frame = pd.DataFrame({0: ["a", "b", "a", "c"] * 10, 1: np.arange(40.0)})
    ae = Autoencoder(1, recipe="linear").fit(frame)
    assert ae.transform(frame[[1, 0]]).shape == (40, 1)
