"""Bad parameters and weights: refused before training, by name, with what would do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torch import nn

from isthmus import Autoencoder, Phase, Recipe, Spec, spec
from isthmus.core.errors import IsthmusError, ShapeError, SpecError

X = load_digits().data[:60]


def mlp(**options: Any) -> dict[str, Spec]:
    return {"network": spec("mlp", **options)}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"latent_dim": 0}, "latent_dim must be a whole number of at least 1, got 0"),
    ({"latent_dim": 2.5}, "latent_dim must be a whole number"),
    ({"latent_dim": "many"}, "latent_dim must be a whole number of at least 1, got 'many'"),
    ({"latent_dim": True}, "latent_dim must be"),
    ({"latent_dim": None}, "latent_dim must be"),
    ({"recipe": "autoencodr"}, "no recipe 'autoencodr'. Did you mean 'autoencoder'?"),
    ({"recipe": "zzz"}, "no recipe 'zzz'. Known: adversarial, autoencoder,"),
    ({"recipe": None}, "no recipe 'None'"),
    ({"recipe": ["vae"]}, "recipe"),
    ({"network": "mpl"}, "no network 'mpl'. Did you mean 'mlp'?"),
    ({"network": 5}, "expected the name of a part, or spec(name, option=value), got int"),
    ({"network": "conv"}, "a convolution needs images"),
    (mlp(width=(8,)), "network 'mlp' has no option 'width'. Did you mean 'widths'?"),
    (mlp(shape=(3,)), "network 'mlp' has no option 'shape'"),
    (mlp(activation="rellu"), "no activation 'rellu'. Did you mean 'relu'?"),
    (mlp(normalization="bach"), "no normalization 'bach'. Did you mean 'batch'?"),
    (mlp(dropout=2), "dropout"),
    (mlp(dropout="much"), "dropout"),
    (mlp(widths=8), "widths"),
    (mlp(widths="wide"), "widths"),
    (mlp(widths=(0,)), "widths"),
    (mlp(widths=(-1,)), "widths"),
    (mlp(widths=("a",)), "widths"),
    ({**mlp(tied=True), "recipe": "vae"}, "tied weights need a point code"),
    ({"code": "gausian"}, "no code 'gausian'. Did you mean 'gaussian'?"),
    ({"code": spec("point", beta=2)}, "code 'point' has no option 'beta'"),
    ({"prior": "norml"}, "no prior 'norml'. Did you mean 'normal'?"),
    ({"likelihood": "bernouli"}, "no likelihood 'bernouli'. Did you mean 'bernoulli'?"),
    ({"likelihood": spec("gaussian", scale="mine")}, "scale must be 'shared', 'column'"),
    ({"likelihood": spec("gaussian", scale=-1)}, "scale"),
    ({"corruption": "nois"}, "no corruption 'nois'. Did you mean 'noise'?"),
    ({"corruption": spec("noise", scale=-1)}, "scale must be 0 or more, got -1"),
    ({"corruption": spec("mask", share=1)}, "share must be at least 0 and below 1, got 1"),
    ({"penalties": ["l2"]}, "no penalty 'l2'. Did you mean 'l1'?"),
    ({"penalties": [spec("l1", wait=1)]}, "penalty 'l1' has no option 'wait'. Did you mean 'wei"),
    ({"penalties": [spec("l1", weight="a")]}, "weight"),
    ({"penalties": "l1"}, "penalties"),
    ({"penalties": 5}, "penalties"),
    ({"encoder": nn.Linear(64, 2)}, "decoder must be a torch.nn.Module (pass both"),
    ({"encoder": "mine", "decoder": nn.Linear(2, 64)}, "encoder must be a torch.nn.Module"),
    ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
    ({"epochs": 1.5}, "epochs must be a whole number"),
    ({"max_time": 0}, "max_time must be above 0, got 0"),
    ({"max_time": "soon"}, "max_time must be seconds, or like '90s', '2min', '1h', got 'soon'"),
    ({"max_time": "1.2.3s"}, "max_time must be"),
    ({"max_time": True}, "max_time must be a number"),
    ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    ({"batch_size": "all"}, "batch_size must be a whole number or 'full', got 'all'"),
    ({"learning_rate": 0}, "learning_rate must be above 0"),
    ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
    ({"learning_rate": "fast"}, "learning_rate must be a number, got 'fast'"),
    ({"weight_decay": -1}, "weight_decay must be 0 or more, got -1"),
    ({"gradient_clip": 0}, "gradient_clip must be above 0"),
    ({"optimizer": "adamm"}, "no optimizer 'adamm'. Did you mean 'adam'?"),
    ({"optimizer": "AdamW"}, "Did you mean 'adamw'?"),
    ({"optimizer": None}, "optimizer"),
    ({"optimizer": ["adam"]}, "optimizer"),
    ({"validation": 0.7}, "validation must be a share from 0 to 0.5, got 0.7"),
    ({"validation": -0.1}, "validation must be a share"),
    ({"validation": "some"}, "validation must be a share"),
    ({"patience": 0}, "patience must be a whole number of at least 1"),
    ({"random_state": "lucky"}, "random_state"),
    ({"random_state": 2**70}, "random_state"),
    ({"random_state": 1.5}, "random_state"),
    ({"device": "nonsense"}, "device 'nonsense' is not available here; use 'auto' or 'cpu'"),
    ({"device": "meta"}, "device 'meta'"),
    ({"device": None}, "device"),
    ({"precision": "float8"}, "no precision 'float8'"),
    ({"precision": None}, "precision"),
    ({"kind": "tabel"}, "no kind of data 'tabel'. Did you mean 'table'?"),
    ({"kind": ["table"]}, "kind"),
    ({"resume": 3}, "resume"),
    ({**mlp(normalization="batch"), "batch_size": 1}, "batch"),
    ({"recipe": Recipe(phases=(Phase(corruption=spec("nois")),))}, "no corruption 'nois'"),
]


@pytest.mark.parametrize(
    ("parameters", "words"),
    REFUSED,
    ids=[f"{', '.join(parameters)}, {i}" for i, (parameters, _) in enumerate(REFUSED)],
)
def test_a_bad_parameter_is_refused_in_words(parameters: dict[str, Any], words: str) -> None:
    ae = Autoencoder(**{"latent_dim": 3, "epochs": 1, **parameters})
    with pytest.raises(SpecError) as caught:
        ae.fit(X)
    assert words in str(caught.value)
    assert not hasattr(ae, "model_"), "it passes for fitted"


@pytest.mark.parametrize(
    "parameters",
    [
        {"latent_dim": np.int64(3)},
        {"latent_dim": "auto"},
        {"epochs": np.int32(1), "batch_size": np.int64(7)},
        {"max_time": "1min"},
        {"max_time": " 0.5 h "},
        {"max_time": 90},
        {"batch_size": "full"},
        {"gradient_clip": 1, "learning_rate": 1, "weight_decay": 0},
        {"random_state": -1},
        {"random_state": 2**40},
        {"random_state": np.random.RandomState(0)},
        {"network": spec("mlp", widths=[8, 4])},
        {"network": spec("mlp", widths=np.array([8, 4]))},
        {"network": spec("mlp", widths=())},
        {"network": Spec("linear")},
        {"validation": 0.5},
        {"validation": 0},
        {"penalties": []},
        {"penalties": ("l1",)},
        {"resume": None, "verbose": 1},
    ],
    ids=lambda parameters: "-".join(parameters),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_good_parameter_is_taken(parameters: dict[str, Any]) -> None:
    small = {"latent_dim": 3, "epochs": 1, "network": spec("mlp", widths=(8,))}
    assert Autoencoder(**{**small, **parameters}).fit(X).transform(X).ndim == 2


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (-np.ones(60), "sample_weight"),
        (np.ones(59), "sample_weight"),
        (np.ones((60, 2)), "[Ss]ample weights"),
        (np.full(60, np.nan), "sample_weight"),
        (np.full(60, np.inf), "sample_weight"),
        (np.zeros(60), "[Ss]ample.weight"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weight: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Autoencoder(3, epochs=1).fit(X, sample_weight=weight)


@pytest.mark.parametrize(
    ("encoder", "decoder", "words"),
    [
        (nn.Linear(63, 3), nn.Linear(3, 64), "the encoder failed on rows of shape"),
        (nn.Linear(64, 3), nn.Linear(4, 64), "the decoder failed on codes of 3"),
        (nn.Linear(64, 3), nn.Linear(3, 63), r"the decoder returns \(63,\) for a row"),
        (nn.Flatten(0), nn.Linear(3, 64), "must return a tensor with one row for each"),
    ],
)
def test_modules_that_dont_fit_are_refused_in_words(
    encoder: nn.Module, decoder: nn.Module, words: str
) -> None:
    with pytest.raises(ShapeError, match=words):
        Autoencoder(encoder=encoder, decoder=decoder, epochs=1).fit(X)


def test_modules_that_dont_fit_the_code_are_refused_in_words() -> None:
    modules: dict[str, Any] = {"encoder": nn.Linear(64, 3), "decoder": nn.Linear(3, 64)}
    with pytest.raises(ShapeError, match="latent_dim is 5, but the encoder returns codes of 3"):
        Autoencoder(5, epochs=1, **modules).fit(X)
    with pytest.raises(ShapeError, match="returns 3 values a row, but this code needs 2 for each"):
        Autoencoder(recipe="vae", epochs=1, **modules).fit(X)


def test_a_parameter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid parameter 'latent_dims'"):
        Autoencoder().set_params(latent_dims=3)
    with pytest.raises(SpecError, match="'mlp' has no option 'width'"):
        Autoencoder().set_params(network__width=(3,)).fit(X)


def test_a_refused_refit_leaves_the_fitted_model_as_it_was() -> None:
    ae = Autoencoder(3, epochs=1).fit(X)
    before, history = ae.transform(X), ae.history_
    for bad in ({"optimizer": "nonsense"}, {"device": "nonsense"}, {"validation": 3}):
        with pytest.raises(IsthmusError):
            ae.set_params(**{**bad, "random_state": 1}).fit(X)
        ae.set_params(optimizer="adamw", device="auto", validation=0.1)
        assert np.array_equal(ae.transform(X), before)
        assert ae.history_ is history


def test_options_without_a_name_go_to_the_recipes_own_part() -> None:
    ae = Autoencoder(2, recipe="denoising", epochs=1).set_params(corruption__scale=0.1)
    assert ae.fit(X).recipe_.phases[0].corruption == spec("noise", scale=0.1)


def test_a_recipe_that_is_not_trained_refuses_what_it_would_ignore() -> None:
    with pytest.raises(SpecError, match="not trained"):
        Autoencoder(2, recipe="linear", corruption="noise").fit(X)


def test_a_fitted_model_is_left_ready_for_use() -> None:
    assert not Autoencoder(2, epochs=1).fit(X).model_.training


def test_the_whole_batch_at_every_step_is_not_out_of_patience_before_it_is_judged() -> None:
    ae = Autoencoder(2, batch_size="full", epochs=30).fit(X)
    assert ae.n_iter_ == 30
    assert not ae.events_


@pytest.mark.parametrize("code", ["vector", spec("nested", code=spec("vector"))])
def test_options_of_a_prior_go_to_that_of_the_code(code: Any) -> None:
    model = Autoencoder(2, code=code, prior=spec("auto", decay=0.9), epochs=1).fit(X)
    chosen = model.recipe_.code.options["prior"]
    assert (chosen.kind, chosen.options["decay"]) == ("frequencies", 0.9)
