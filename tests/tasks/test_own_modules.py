"""Models whose encoder and decoder are the user's own modules."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from torch import nn

from isthmus import Autoencoder, load
from isthmus.core.errors import AbilityError, ModelFileError, ShapeError

X = load_digits().data[:300]


def modules() -> dict[str, Any]:
    return {
        "encoder": nn.Sequential(nn.Linear(64, 9), nn.BatchNorm1d(9), nn.Linear(9, 3)),
        "decoder": nn.Linear(3, 64),
    }


def fitted(**changes: Any) -> Autoencoder:
    return Autoencoder(**{"epochs": 2, **modules(), **changes}).fit(X)


def test_modules_train_like_a_network_and_have_no_plain_start_to_keep() -> None:
    ae = fitted(epochs=30, learning_rate=0.01)
    assert ae.history_[-1]["train"] < ae.history_[0]["train"] - 0.1
    assert ae.validation_["trained"] < ae.validation_["start"]
    assert ae.kept_ == fitted(learning_rate=1e-9).kept_ == "trained"


def test_modules_work_with_other_parts() -> None:
    encoder, decoder = nn.Linear(64, 6), nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (8, 8)))
    ae = Autoencoder(
        encoder=encoder, decoder=decoder, epochs=2, recipe="vae", likelihood="bernoulli"
    ).fit(X)
    assert ae.latent_dim_ == 3
    assert ae.transform(X).shape == (300, 3)
    assert ae.sample(2).shape == (2, 64)


def test_modules_take_images_with_channels_first() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Flatten(), nn.Linear(18, 3))
    decoder = nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)))
    images = X.reshape(-1, 8, 8)
    ae = Autoencoder(encoder=encoder, decoder=decoder, epochs=2).fit(images)
    assert ae.reconstruct(images).shape == images.shape
    assert ae.transform(images).shape == (300, 3)


def test_a_model_with_own_modules_needs_them_to_be_loaded(tmp_path: Path) -> None:
    ae = fitted()
    ae.save(tmp_path / "model")
    fresh = modules()
    loaded = load(tmp_path / "model", **fresh)
    assert_array_equal(loaded.transform(X), ae.transform(X))
    assert_array_equal(loaded.reconstruct(X), ae.reconstruct(X))
    weight = fresh["encoder"][0].weight
    assert not torch.equal(weight, loaded.model_.state_dict()["network.encoder.0.weight"]), (
        "it was not copied"
    )
    some: list[dict[str, Any]] = [{}, {"encoder": fresh["encoder"]}, {"decoder": fresh["decoder"]}]
    for given_ones in some:
        with pytest.raises(AbilityError, match=r"load\(path, encoder=\.\.\., decoder=\.\.\.\)"):
            load(tmp_path / "model", **given_ones)


def test_modules_of_another_shape_are_refused(tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="the weights do not fit the model"):
        load(tmp_path / "model", encoder=nn.Linear(64, 3), decoder=nn.Linear(3, 64))
    with pytest.raises(ShapeError, match="the decoder failed on codes of 5"):
        load(tmp_path / "model", encoder=nn.Linear(64, 5), decoder=nn.Linear(3, 64))


def test_modules_that_a_model_was_not_fitted_with_are_refused(tmp_path: Path) -> None:
    Autoencoder(3, recipe="linear").fit(X).save(tmp_path / "model")
    with pytest.raises(AbilityError, match="modules"):
        load(tmp_path / "model", **modules())


KERAS = """
import os, sys, warnings
os.environ["KERAS_BACKEND"] = "torch"
import torch
torch.set_num_threads(1)
import keras
import numpy as np
from sklearn.datasets import load_digits
from isthmus import Autoencoder, load

warnings.simplefilter("error")
warnings.filterwarnings("ignore", message="__array__ implementation")  # Keras's own, NumPy 2
X = load_digits().data[:300]
L = keras.layers
encoder = keras.Sequential(
    [keras.Input((64,)), L.Dense(16, "relu"), L.BatchNormalization(), L.Dropout(0.5), L.Dense(4)]
)
decoder = keras.Sequential([keras.Input((4,)), L.Dense(16, "relu"), L.Dense(64)])
ae = Autoencoder(encoder=encoder, decoder=decoder, epochs=15, learning_rate=0.01).fit(X)
assert ae.kept_ == "trained", ae.validation_
assert ae.history_[-1]["train"] < ae.history_[0]["train"] - 0.1, ae.history_
ae.save(sys.argv[1])
loaded = load(sys.argv[1], encoder=encoder, decoder=decoder)
assert np.array_equal(loaded.transform(X), ae.transform(X))
assert np.array_equal(ae.transform(X[:1]), ae.transform(X)[:1]), "dropout in use"
moving = [w for w in ae.model_.network.encoder.non_trainable_variables if "mean" in w.path]
assert float(abs(moving[0].value).max()) > 0, "batch normalisation did not learn"
"""


@pytest.mark.long
@pytest.mark.skipif(find_spec("keras") is None, reason="keras is not installed")
def test_keras_models_on_the_torch_backend_are_modules_too(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", KERAS, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
