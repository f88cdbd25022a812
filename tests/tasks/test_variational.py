"""Variational models don't collapse: their code is alive, whatever the units of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from isthmus import Autoencoder, compare, spec

LIVE = 0.05
"""Nats: a dimension that costs less on average tells the decoder nothing."""

TABLES = {"digits": load_digits, "breast cancer": load_breast_cancer, "wine": load_wine}
over_scales = pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])


def rates(ae: Autoencoder, X: Any) -> Any:
    """(latent_dim,) mean Kullback-Leibler divergence of each dimension's posterior, in nats."""
    model, offset = ae.model_, ae.model_.code.get_buffer("start_log_scale")
    with torch.no_grad():
        h = model.network.encode(ae.kind_.batch(X).x)
        mean, log_scale = h[:, 0], h[:, 1] + offset
        kl = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale)
    return kl.mean(0).numpy()


def assert_alive(ae: Autoencoder, X: Any, at_least: int) -> None:
    found = rates(ae, X)
    assert (found > LIVE).sum() >= at_least, found
    x = ae.kind_.batch(X).x
    with torch.no_grad():
        total = ae.model_.code(ae.model_.network.encode(x)).rate.mean().item()
    assert total == pytest.approx(found.sum(), rel=1e-3), "the rate is that divergence"
    explained = {r.method: r.value for r in compare(ae, X).rows if r.measure != "squared error"}
    assert explained["this model"] > 0.3, "the decoder ignores the code"
    if ae.history_:
        assert all(entry["rate"] > 0 for entry in ae.history_)


@over_scales
@pytest.mark.parametrize("data", list(TABLES))
def test_a_variational_code_is_alive_at_any_scale_of_the_data(data: str, scale: float) -> None:
    X = TABLES[data]().data * scale
    ae = Autoencoder(8, recipe="vae", network=spec("mlp", widths=(32,)), epochs=20).fit(X)
    assert_alive(ae, X, at_least={"digits": 6, "breast cancer": 3, "wine": 3}[data])


@over_scales
def test_a_variational_code_of_clothes_is_alive_at_any_scale(
    scale: float, data_folder: Path
) -> None:
    file = data_folder / "images_small" / "fashion_mnist_train.npz"
    if not file.exists():
        pytest.skip(f"no {file.name} in the development data")
    X = np.load(file, allow_pickle=False)["x"][:2000] * scale
    ae = Autoencoder(8, recipe="vae", network=spec("mlp", widths=(32,)), epochs=5).fit(X)
    assert_alive(ae, X, at_least=6)


@pytest.mark.parametrize(
    "parameters",
    [
        {"likelihood": spec("gaussian", scale="column")},
        {"likelihood": "bernoulli"},
        {"network": spec("mlp", widths=(64,), linear_path=False)},
        {"network": "linear"},
    ],
    ids=["a scale for each column", "bernoulli", "a random start", "linear"],
)
def test_a_variational_code_is_alive_in_other_compositions(parameters: dict[str, Any]) -> None:
    X = load_digits().data
    settings = {"network": spec("mlp", widths=(32,)), "epochs": 30, **parameters}
    assert_alive(Autoencoder(8, recipe="vae", **settings).fit(X), X, at_least=3)


def test_a_variational_code_is_alive_before_the_first_step() -> None:
    X = load_digits().data
    ae = Autoencoder(8, recipe="vae", epochs=1, learning_rate=1e-9).fit(X)
    assert ae.kept_ == "start"
    assert_alive(ae, X, at_least=6)


def test_samples_look_like_the_data() -> None:
    X = load_digits().data
    ae = Autoencoder(8, recipe="vae", network=spec("mlp", widths=(64,)), epochs=30).fit(X)
    drawn = ae.sample(1000)
    assert np.corrcoef(drawn.mean(0), X.mean(0))[0, 1] > 0.95
    assert np.corrcoef(drawn.std(0), X.std(0))[0, 1] > 0.9
    assert ae.score(drawn) > ae.score(np.random.default_rng(0).permuted(X, axis=1))


def test_a_heavier_rate_buys_a_cheaper_code() -> None:
    from dataclasses import replace

    from isthmus.recipes import recipe

    X, vae = load_digits().data, recipe("vae")
    found = []
    for beta in (0.5, 4.0):
        heavy = replace(vae, phases=(replace(vae.phases[0], beta=beta),))
        ae = Autoencoder(8, recipe=heavy, network=spec("mlp", widths=(32,)), epochs=20).fit(X)
        found.append(rates(ae, X).sum())
    assert found[0] > found[1] > 0
