"""Every recipe does better at its own job than one that is not made for it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from isthmus.core.recipe import AUTO, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts.codes import Symbolic
from isthmus.recipes import RECIPES
from isthmus.training.plan import Settings
from isthmus.training.run import Run
from isthmus.training.surroundings import own_randomness

DIM, TRAINED_ON = 8, 900


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Rows to train on and others, 64 values of unit variance over all."""
    x = torch.from_numpy(load_digits().data).float()
    x = (x - x.mean(0)) / x.std()
    return x[:TRAINED_ON], x[TRAINED_ON:]


def fit(recipe: Recipe, x: Tensor, dim: int = DIM, epochs: int = 25, gaps: bool = False) -> Model:
    recipe = recipe.with_parts(network=spec("mlp", widths=(64,)))
    if recipe.likelihood == AUTO:
        recipe = recipe.with_parts(likelihood=spec("gaussian"))
    settings = Settings(epochs=epochs, batch_size=64, learning_rate=5e-3, seed=1)
    with own_randomness(1):
        model = Model(recipe, tuple(x.shape[1:]), dim, gaps=gaps)
        Run([model], recipe, Batch(x), None, settings, None, None).to_the_end(lambda: False)
    return model.eval()


@cache
def fitted(name: str, gaps: bool = False) -> Model:
    return fit(RECIPES[name], digits()[0], gaps=gaps)


def error(model: Model, x: Tensor | None = None) -> float:
    """Mean squared, on rows that were not trained on."""
    x = digits()[1] if x is None else x
    return float((model.decode(model.encode(x)) - x).square().mean())


def codes(model: Model) -> Tensor:
    """As the decoder sees them while training."""
    with torch.no_grad():
        model.code.train()
        z = model.coded(digits()[1]).z
        model.code.eval()
    return z


def distance_from_normal(z: Tensor) -> float:
    """The energy distance (Székely & Rizzo 2013): 0 if they are draws of it."""
    z = z.double()
    with own_randomness(2):
        drawn = torch.randn(2000, z.shape[1], dtype=torch.float64)
    among = torch.cdist(z, z).mean() + torch.cdist(drawn, drawn).mean()
    return float(2 * torch.cdist(z, drawn).mean() - among)


@pytest.mark.parametrize("name", ["vq-vae", "fsq"])
def test_codes_of_symbols_rebuild_better_than_pca_whose_codes_are_numbers(name: str) -> None:
    assert error(fitted(name)) < 0.9 * error(fitted("linear"))


@pytest.mark.parametrize("name", ["vq-vae", "fsq"])
def test_most_symbols_are_in_use(name: str) -> None:
    model = fitted(name)
    assert isinstance(model.code, Symbolic)
    x = digits()[0]
    symbols = model.code.symbols(model.network.encode(x).detach())
    for group in symbols.unbind(1):
        shares = group.bincount(minlength=model.code.size) / len(x)
        perplexity = (-(shares * shares.clamp(min=1e-9).log()).sum()).exp()
        assert perplexity > 0.5 * model.code.size


@pytest.mark.parametrize("name", ["wae", "adversarial", "info-vae"])
def test_codes_come_near_the_prior(name: str) -> None:
    far, near = codes(fitted("autoencoder")), codes(fitted(name))
    assert distance_from_normal(near) < 0.1 * distance_from_normal(far)
    assert error(fitted(name)) < 0.9 * error(fitted("linear"))


def test_info_vae_is_nearer_to_the_prior_than_vae() -> None:
    near, far = (distance_from_normal(codes(fitted(name))) for name in ("info-vae", "vae"))
    assert near < 0.5 * far


def slope(model: Model) -> float:
    """Squared norm of the derivative of the code, in units of its spread."""
    x = digits()[1][:100]
    derivative = torch.func.vmap(torch.func.jacrev(lambda x: model.coded(x[None]).mean[0]))
    spread = model.encode(x).square().mean(0).sqrt()
    return float((derivative(x).detach() / spread.unsqueeze(1)).square().sum((1, 2)).mean())


def test_contractive_codes_move_less_and_cost_no_more() -> None:
    contractive, plain = fitted("contractive"), fitted("autoencoder")
    assert slope(contractive) < 0.75 * slope(plain)
    assert error(contractive) < 1.05 * error(plain)


def test_beta_vae_spends_less_on_the_code() -> None:
    x = digits()[1]
    rates = [float(fitted(name).coded(x).rate.mean().detach()) for name in ("beta-vae", "vae")]
    assert rates[0] < 0.5 * rates[1]


def test_the_bound_of_iwae_is_tighter_than_that_of_vae() -> None:
    bounds = []
    for name in ("iwae", "vae"):
        objective = Objective(fitted(name), RECIPES[name].phases[0])
        with own_randomness(3):
            bounds.append(objective.rows(Batch(digits()[1]))[:, 0].mean())
    assert bounds[0] < bounds[1] - 0.005


def test_l1_gathers_a_code_in_few_values() -> None:
    def gathered(model: Model) -> float:
        z = model.encode(digits()[1])
        return float((z / z.square().mean(0).sqrt()).abs().mean())

    assert gathered(fitted("sparse-l1")) < 0.85 * gathered(fitted("autoencoder"))
    assert error(fitted("sparse-l1")) < 0.9 * error(fitted("linear"))


def test_the_best_2_of_8_dimensions_say_more_than_2_for_all() -> None:
    model = fitted("sparse-topk")
    assert ((model.encode(digits()[1]) != 0).sum(1) == 2).all()
    assert error(model) < 0.95 * error(fit(RECIPES["autoencoder"], digits()[0], dim=2))


def test_masked_fills_what_is_hidden() -> None:
    x = digits()[1]
    with own_randomness(4):
        there = (torch.rand_like(x) > 0.25).float()
    missed = []
    for name in ("masked", "autoencoder"):
        model = fitted(name, gaps=True)
        rebuilt = model.decode(model.encode(x, there))
        missed.append(float(((rebuilt - x).square() * (1 - there)).sum() / (1 - there).sum()))
    assert missed[0] < 0.95 * missed[1]


def test_robust_is_disturbed_less_by_a_tenth_of_wild_rows() -> None:
    x = digits()[0].clone()
    with own_randomness(5):
        x[::10] = 3 * torch.randn_like(x[::10])
    robust, plain = (error(fit(RECIPES[name], x)) for name in ("robust", "autoencoder"))
    assert robust < 0.8 * plain


def test_laplace_is_disturbed_less_by_wild_values() -> None:
    x, new = digits()
    with own_randomness(6):
        wild = torch.where(torch.rand_like(x) < 0.03, 10 * torch.randn_like(x), x)
    away = []
    for name in ("laplace", "autoencoder"):
        model = fit(RECIPES[name], wild)
        away.append(float((model.decode(model.encode(new)) - new).abs().mean()))
    assert away[0] < 0.9 * away[1]


def counts(n: int) -> Tensor:
    """Of thirty things, driven by three hidden numbers, with more scatter than their mean."""
    with own_randomness(7):
        w, b = 0.7 * torch.randn(3, 30), torch.randn(30)
        z = torch.randn(n, 3)
        mean = (z @ w + b + 0.5 * (2 * z[:, :1]).sin()).exp()
        return torch.poisson(torch.distributions.Gamma(3.0, 3.0 / mean).sample())


def test_counts_cost_fewer_nats_as_counts() -> None:
    x = counts(800)
    x, new = x[:600], x[600:]
    middle, scale = x.mean(0), x.std(0)
    options: dict[str, Any] = {"likelihood": spec("gaussian", scale="column")}
    gaussian = fit(RECIPES["autoencoder"].with_parts(**options), (x - middle) / scale, dim=3)
    ours = fit(RECIPES["negative-binomial"], x, dim=3)
    # A density in standard deviations, per count: each count is a unit wide.
    as_numbers = -gaussian.score(Batch((new - middle) / scale)).mean() + scale.log().sum()
    assert -ours.score(Batch(new)).mean() < as_numbers - 0.5 * 30


def test_training_on_counts_beats_the_start() -> None:
    x = counts(800)
    untrained = Recipe(likelihood=spec("negative-binomial"), phases=())
    plain, ours = (fit(r, x[:600], dim=3) for r in (untrained, RECIPES["negative-binomial"]))
    new = Batch(x[600:])
    assert -ours.score(new).mean() < -plain.score(new).mean() - 0.1 * 30
