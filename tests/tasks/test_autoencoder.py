"""``Autoencoder`` in use: what it answers, in whose units, and among scikit-learn's tools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from isthmus import Autoencoder, Recipe, load, spec
from isthmus.core.errors import NotFittedError, ShapeError, SpecError

X, Y = (part[:300] for part in load_digits(return_X_y=True))
SMALL = spec("mlp", widths=(16,))
FRAMES: dict[str, Any] = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
over_frames = pytest.mark.parametrize("library", list(FRAMES))
over_recipes = pytest.mark.parametrize("recipe", ["autoencoder", "linear", "denoising", "vae"])


def small(**changes: Any) -> Autoencoder:
    return Autoencoder(**{"latent_dim": 4, "epochs": 2, "network": SMALL, **changes})


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return small(epochs=10).fit(X)


# ---------------------------------------------------------------------------- scikit-learn


def test_it_stands_in_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler(), small(latent_dim=16), LogisticRegression())
    assert pipeline.fit(X, Y).score(X, Y) > 0.8
    codes = pipeline[:-1].transform(X)
    assert codes.shape == (300, 16)
    assert_allclose(pipeline[:-1].inverse_transform(codes), pipeline[:2].inverse_transform(codes))


def test_a_grid_search_sees_into_its_parts() -> None:
    grid = {
        "latent_dim": [1, 6],
        "network__widths": [(8,), (12,)],
        "network__activation": ["relu", "tanh"],
    }
    rows = load_breast_cancer().data
    search = GridSearchCV(Autoencoder(epochs=2), grid, cv=2, error_score="raise").fit(rows)
    assert search.best_params_["latent_dim"] == 6
    best = search.best_estimator_
    assert best.network.kind == "auto"
    assert dict(best.network.options) == {
        "widths": search.best_params_["network__widths"],
        "activation": search.best_params_["network__activation"],
    }
    assert best.model_.network.encoder[0].out_features == best.network.options["widths"][0]
    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh}
    assert isinstance(best.model_.network.encoder[1], kinds[best.network.options["activation"]])


def test_a_grid_search_varies_the_options_of_a_part_that_is_named() -> None:
    grid = {"corruption__scale": [0.1, 0.5], "likelihood__scale": ["shared", "column"]}
    ae = small(recipe="denoising", corruption="noise", likelihood="gaussian")
    search = GridSearchCV(ae, grid, cv=2, error_score="raise").fit(X)
    assert {s.kind for s in (search.best_estimator_.corruption, search.best_estimator_.likelihood)}
    assert search.best_estimator_.corruption.kind == "noise"


def test_nested_parameters_come_in_any_order_and_leave_the_old_spec_alone() -> None:
    old = spec("mlp", widths=(9,), dropout=0.5)
    ae = Autoencoder(network=old).set_params(network__widths=(5,), latent_dim=3)
    assert ae.network == spec("mlp", widths=(5,), dropout=0.5)
    assert old == spec("mlp", widths=(9,), dropout=0.5)
    ae.set_params(network__tied=True, network="mlp")
    assert ae.network == spec("mlp", tied=True)
    ae.set_params(network=None, network__widths=(3,))
    assert ae.network == spec("auto", widths=(3,))


def test_a_clone_has_the_same_parameters_and_gives_the_same_bits() -> None:
    ae = small(
        recipe=Recipe(), code=spec("gaussian", prior="normal"), penalties=[spec("l1", weight=0.1)]
    )
    copied = clone(ae)
    assert copied is not ae
    assert copied.get_params() == ae.get_params()
    assert_array_equal(copied.fit(X).transform(X), ae.fit(X).transform(X))


def test_a_clone_of_a_fitted_estimator_is_not_fitted(fitted: Autoencoder) -> None:
    with pytest.raises(NotFittedError, match=r"Call 'fit' .* or load a saved model"):
        clone(fitted).transform(X)


def test_fitting_changes_no_parameter_and_no_module_of_the_users() -> None:
    encoder, decoder = nn.Linear(64, 3), nn.Linear(3, 64)
    before = encoder.weight.detach().clone()
    ae = Autoencoder(encoder=encoder, decoder=decoder, epochs=2)
    parameters = ae.get_params()
    ae.fit(X)
    assert ae.get_params() == parameters
    assert torch.equal(encoder.weight, before)
    assert ae.latent_dim_ == 3


@over_frames
def test_codes_come_in_the_frame_that_is_asked_for(library: str) -> None:
    frame = FRAMES[library]
    ae = small().set_output(transform=library)
    codes = ae.fit(X).transform(X)
    assert isinstance(codes, frame)
    assert list(codes.columns) == [f"autoencoder{i}" for i in range(4)]
    assert list(ae.get_feature_names_out()) == list(codes.columns)
    assert_allclose(ae.inverse_transform(codes), ae.reconstruct(X), rtol=1e-5, atol=1e-5)


@over_frames
def test_fewer_dimensions_come_in_a_frame_too(library: str) -> None:
    ae = small().set_output(transform=library).fit(X)
    assert list(ae.transform(X, dims=2).columns) == ["autoencoder0", "autoencoder1"]


def test_the_index_of_a_frame_stays_with_its_rows() -> None:
    frame = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)], index=np.arange(300) + 1000)
    codes = small().set_output(transform="pandas").fit(frame).transform(frame)
    assert_array_equal(codes.index, frame.index)


@pytest.mark.parametrize("state", ["unfitted", "fitted"])
def test_it_is_shown_as_html(state: str, fitted: Autoencoder) -> None:
    ae = fitted if state == "fitted" else small(code=spec("gaussian", prior=spec("normal")))
    for shown in (ae, make_pipeline(StandardScaler(), ae)):
        html = shown._repr_html_()
        assert "Autoencoder" in html
        assert "widths" in html
    assert "widths" in repr(ae)


# ---------------------------------------------------------------------------- answers


@over_recipes
def test_shapes_units_and_types_are_those_of_the_data(recipe: str) -> None:
    ae = small(recipe=recipe, latent_dim=30, epochs=20).fit(X)
    assert ae.transform(X).shape == (300, 30)
    assert abs(ae.reconstruct(X) - X).mean() < 1.5, "of 16 shades"
    assert_allclose(ae.inverse_transform(ae.transform(X)), ae.reconstruct(X), atol=1e-4)
    assert ae.score_samples(X).shape == (300,)
    assert ae.score(X) == pytest.approx(ae.score_samples(X).mean())
    assert ae.sample(5).shape == (5, 64)
    assert_array_equal(ae.sample(5), ae.sample(5))
    assert not np.array_equal(ae.sample(5), ae.sample(5, random_state=1))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_floats_come_back_in_their_precision(dtype: Any) -> None:
    ae = small().fit(X.astype(dtype))
    for answer in (ae.transform, ae.reconstruct, ae.score_samples):
        assert answer(X.astype(dtype)).dtype == dtype


def test_rows_unlike_the_training_data_score_lower(fitted: Autoencoder) -> None:
    shuffled = np.random.default_rng(0).permuted(X, axis=1)
    assert fitted.score(X) > fitted.score(shuffled) + 10


def test_the_first_dimensions_can_be_had_alone(fitted: Autoencoder) -> None:
    assert_array_equal(fitted.transform(X, dims=2), fitted.transform(X)[:, :2])
    with pytest.raises(SpecError, match="dims must be at most 4, got 5"):
        fitted.transform(X, dims=5)
    with pytest.raises(SpecError, match="dims must be a whole number of at least 1"):
        fitted.transform(X, dims=0)


def test_codes_with_fewer_columns_are_taken_as_zero_in_the_others(fitted: Autoencoder) -> None:
    codes = fitted.transform(X)
    padded = np.concatenate([codes[:, :2], np.zeros((300, 2))], 1)
    assert_array_equal(fitted.inverse_transform(codes[:, :2]), fitted.inverse_transform(padded))
    with pytest.raises(ShapeError, match="codes have 4 columns in this model, got 5"):
        fitted.inverse_transform(np.zeros((1, 5)))


def test_encoder_and_decoder_work_alone(fitted: Autoencoder) -> None:
    x = fitted.kind_.batch(X).x
    with torch.no_grad():
        z = fitted.encoder_(x)
        assert_allclose(z, fitted.transform(X), atol=1e-5)
        assert_allclose(fitted.kind_.restore(fitted.decoder_(z)), fitted.reconstruct(X), atol=1e-3)


@pytest.mark.parametrize("data", ["digits", "wine"])
def test_the_linear_recipe_is_pca(data: str) -> None:
    rows = load_digits().data if data == "digits" else load_wine().data
    scaled = StandardScaler().fit_transform(rows)
    pca = PCA(5, whiten=True).fit(scaled)
    ae = Autoencoder(5, recipe="linear").fit(rows)
    assert_allclose(abs(ae.transform(rows)), abs(pca.transform(scaled)), rtol=0.01, atol=0.01)
    rebuilt = pca.inverse_transform(pca.transform(scaled))
    rebuilt = StandardScaler().fit(rows).inverse_transform(rebuilt)
    assert_allclose(ae.reconstruct(rows), rebuilt, atol=1e-3 * rows.std())


def test_an_estimator_that_is_not_fitted_says_so(tmp_path: Any) -> None:
    ae = small()
    for use in (ae.transform, ae.reconstruct, ae.inverse_transform, ae.score_samples, ae.score):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            use(X)
    with pytest.raises(NotFittedError):
        ae.sample()
    with pytest.raises(NotFittedError):
        ae.save(tmp_path / "model")


# ---------------------------------------------------------------------------- to the bit


def assert_each_row_stands_alone(ae: Autoencoder, rows: Any) -> None:
    order = np.random.default_rng(0).permutation(len(rows))
    for answer in (ae.transform, ae.reconstruct, ae.score_samples):
        whole = answer(rows)
        assert_array_equal(answer(rows[order]), whole[order])
        assert_array_equal(answer(rows[7:8])[0], whole[7])
        assert_array_equal(answer(rows[3:170]), whole[3:170])


@given(
    columns=st.integers(1, 70),
    dim=st.integers(1, 9),
    widths=st.lists(st.integers(1, 40), max_size=2),
    activation=st.sampled_from(["gelu", "tanh", "silu", "sigmoid"]),
    recipe=st.sampled_from(["autoencoder", "linear", "vae"]),
)
def test_the_answer_for_a_row_does_not_depend_on_its_batch(
    columns: int, dim: int, widths: list[int], activation: str, recipe: str
) -> None:
    rng = np.random.default_rng(columns)
    rows = rng.normal(size=(200, columns)) @ rng.normal(size=(columns, columns))
    network = spec("mlp", widths=tuple(widths), activation=activation)
    ae = Autoencoder(dim, recipe=recipe, epochs=1, network=None if recipe == "linear" else network)
    assert_each_row_stands_alone(ae.fit(rows), rows)


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_the_answer_for_an_image_does_not_depend_on_its_batch(normalization: str) -> None:
    images = np.random.default_rng(0).normal(size=(200, 7, 9))
    network = spec("conv", widths=(4, 6), normalization=normalization)
    assert_each_row_stands_alone(Autoencoder(3, network=network, epochs=1).fit(images), images)


def test_the_answer_is_the_same_after_saving_in_any_batch(tmp_path: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 13))
    ae = small(latent_dim=3).fit(rows)
    ae.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert_array_equal(loaded.transform(rows[40:41])[0], ae.transform(rows)[40])
    assert_each_row_stands_alone(loaded, rows)
