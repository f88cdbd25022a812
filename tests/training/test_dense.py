"""The dense engine: the gradients of autograd, and many models as each would be alone."""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from isthmus import Autoencoder, Phase, Recipe, Spec, spec
from isthmus.core.types import Batch, Step
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts.networks.layers import ACTIVATIONS
from isthmus.training.checkpoint import read_checkpoint
from isthmus.training.dense.composition import Composition
from isthmus.training.dense.layout import Flat
from isthmus.training.dense.passes import Draws, Pass
from isthmus.training.surroundings import own_randomness

ROWS, VALUES, DIM = 17, 6, 3
POINT, VAE = Phase(beta=0.0), Phase(beta=0.7, fit=1.3)
LIKELIHOODS = [
    spec("gaussian"),
    spec("gaussian", scale="column"),
    spec("gaussian", scale=0.4),
    spec("bernoulli"),
]


def batch(weights: str, n: int = 60) -> Batch:
    """Rows from 0 to 1; weighed not at all, by row, or by value with some missing."""
    random = torch.Generator().manual_seed(1)
    x, row = torch.rand(n, VALUES, generator=random), torch.rand(n, generator=random) + 0.5
    if weights == "none":
        return Batch(x)
    if weights == "rows":
        return Batch(x, row)
    there = torch.rand(n, VALUES, generator=random) > 0.3
    return Batch(x, there * row[:, None])


def model_of(
    network: Spec, code: str, likelihood: Spec, phase: Phase, data: Batch, seed: int = 0
) -> Model:
    """Started, and moved away from the start, in double precision."""
    recipe = Recipe(network, spec(code), likelihood, (phase,))
    with own_randomness(seed), torch.no_grad():
        gaps = data.weight is not None and data.weight.ndim > 1
        model = Model(recipe, (VALUES,), DIM, gaps=gaps or phase.corruption.kind == "mask")
        model.start(data)
        model.double()
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def double(data: Batch) -> Batch:
    weight = None if data.weight is None else data.weight[:ROWS].double()
    return Batch(data.x[:ROWS].double(), weight)


class ByHand:
    """What the dense engine says of a batch: the loss and its gradients."""

    def __init__(self, model: Model, phase: Phase, data: Batch, draws: Draws) -> None:
        rows, weight = double(data), data.weight
        n_weights = 0 if weight is None else weight[0].numel()
        self.model = model
        self.of = Composition([model], phase, n_weights, False, np.float64)
        self.flat, self.gradient = (Flat(self.of.layout, 1, False, np.float64) for _ in range(2))
        self.flat.read([model])
        self.at_work = Pass(self.of, self.flat, self.gradient, ROWS, draws)
        self.at_work.x[...] = rows.x.numpy()
        if rows.weight is not None and self.at_work.weight is not None:
            self.at_work.weight[...] = rows.weight.reshape(ROWS, -1).numpy()
            self.at_work.x[...] *= self.at_work.weight > 0

    def loss(self) -> float:
        self.at_work.forward.run()
        nats = self.of.fit * self.at_work.nll + self.of.beta * self.at_work.rate
        return float(nats.item() / (ROWS * VALUES))

    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        """Of each parameter, with what autograd found."""
        self.at_work.backward.run()
        found = self.of.layout.parameters(self.model, self.gradient, 0)
        return [
            (torch.from_numpy(place.copy()), p.grad) for p, place in found if p.grad is not None
        ]


FROM_TORCH = Draws(lambda into: partial(into.normal_), lambda into: partial(into.uniform_))


def check(model: Model, phase: Phase, data: Batch) -> None:
    """The same loss and the same gradients, from the same random numbers."""
    objective = Objective(model, phase).train()
    with own_randomness(5):
        expected = objective(double(data)).total
    expected.backward()
    by_hand = ByHand(model, phase, data, FROM_TORCH)
    with own_randomness(5):
        assert by_hand.loss() == pytest.approx(float(expected.detach()), rel=1e-12)
    found = by_hand.gradients()
    assert len(found) == sum(p.requires_grad for p in model.parameters())
    for ours, theirs in found:
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_the_gradients_of_every_activation_are_those_of_autograd(activation: str) -> None:
    network = spec("mlp", widths=(8, 5), activation=activation)
    check(model_of(network, "point", spec("gaussian"), POINT, batch("none")), POINT, batch("none"))


@pytest.mark.parametrize("weights", ["none", "rows", "values"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=str)
@pytest.mark.parametrize(("code", "path"), [*product(["point", "gaussian"], [True, False])])
def test_the_gradients_of_every_composition_are_those_of_autograd(
    code: str, path: bool, likelihood: Spec, weights: str
) -> None:
    phase, data = VAE if code == "gaussian" else POINT, batch(weights)
    network = spec("mlp", widths=(8,), activation="tanh", linear_path=path)
    check(model_of(network, code, likelihood, phase, data), phase, data)


@pytest.mark.parametrize("weights", ["none", "values"])
def test_the_gradients_under_noise_are_those_of_autograd(weights: str) -> None:
    phase, data = Phase(beta=0.7, corruption=spec("noise", scale=0.2)), batch(weights)
    network = spec("mlp", widths=(8, 4))
    check(model_of(network, "gaussian", spec("gaussian"), phase, data), phase, data)


@pytest.mark.parametrize("weights", ["none", "rows", "values"])
def test_the_gradients_of_hidden_values_are_those_of_autograd(weights: str) -> None:
    phase, data = Phase(beta=0.0, corruption=spec("mask", share=0.4)), batch(weights)
    model = model_of(spec("mlp", widths=(8,)), "point", spec("gaussian"), phase, data)
    drawn = torch.rand(ROWS, VALUES, dtype=torch.float64)
    rows = double(data)
    kept = (drawn < 0.6).double()
    weight = kept if rows.weight is None else kept * rows.weight.view(ROWS, -1)
    step: Step = model.train()(rows, rows._replace(x=rows.x * kept, weight=weight))
    expected, _ = Objective(model, phase)._by_terms(step)
    expected.backward()
    by_hand = ByHand(model, phase, data, Draws(FROM_TORCH.normal, lambda a: lambda: a.copy_(drawn)))
    assert by_hand.loss() == pytest.approx(float(expected.detach()), rel=1e-12)
    for ours, theirs in by_hand.gradients():
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_gradients_under_dropout_are_those_of_finite_differences() -> None:
    data, network = batch("none"), spec("mlp", widths=(8, 5), activation="tanh", dropout=0.3)
    model = model_of(network, "point", spec("gaussian"), POINT, data)
    fixed = iter([torch.rand(ROWS, w, dtype=torch.float64) for w in (8, 5, 5, 8)])

    def same(into: Tensor) -> Any:
        drawn = next(fixed)
        return lambda: into.copy_(drawn)

    by_hand = ByHand(model, POINT, data, Draws(FROM_TORCH.normal, same))
    by_hand.loss()
    by_hand.at_work.backward.run()
    direction = np.random.default_rng(0).normal(size=by_hand.flat.values.shape)
    slope = by_hand.gradient.values @ direction
    by_hand.flat.values += 1e-6 * direction
    above = by_hand.loss()
    by_hand.flat.values -= 2e-6 * direction
    assert (above - by_hand.loss()) / 2e-6 == pytest.approx(slope, rel=1e-6)


# ---------------------------------------------------------------------------- which engine


def chosen(model: dict[str, Any], tmp_path: Path, X: Any = None) -> str:
    state = tmp_path / "state"
    X = load_digits().data[:200] if X is None else X
    settings = {"latent_dim": 2, "epochs": 1, **model}
    Autoencoder(resume=state, **settings).fit(X)
    return str(read_checkpoint(state)[0]["engine"])


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"recipe": "denoising"},
        {"recipe": "masked"},
        {"recipe": "vae"},
        {"recipe": "beta-vae"},
        {"likelihood": "bernoulli"},
        {"network": spec("mlp", widths=(16,), dropout=0.1, activation="relu")},
        {"optimizer": "adam", "gradient_clip": 1.0},
    ],
    ids=str,
)
def test_what_the_dense_engine_can_express_is_trained_by_it(
    model: dict[str, Any], tmp_path: Path
) -> None:
    assert chosen(model, tmp_path) == "dense"


@pytest.mark.parametrize(
    "model",
    [
        {"recipe": "robust"},
        {"recipe": "iwae"},
        {"recipe": "vq-vae"},
        {"recipe": "laplace"},
        {"recipe": "sparse-l1"},
        {"network": spec("mlp", widths=(16,), tied=True)},
        {"network": spec("mlp", widths=(16,), normalization="batch")},
        {"optimizer": "sgd"},
        {"precision": "bfloat16"},
        {"encoder": nn.Linear(64, 2), "decoder": nn.Linear(2, 64)},
    ],
    ids=str,
)
def test_all_else_is_trained_by_torch(model: dict[str, Any], tmp_path: Path) -> None:
    assert chosen(model, tmp_path) == "torch"


def test_gaps_are_for_the_dense_engine_and_categories_for_torch(tmp_path: Path) -> None:
    X = np.array(load_digits().data[:200])
    X[::7, ::5] = np.nan
    assert chosen({}, tmp_path, X) == "dense"
    words = np.array([["a", "b"], ["b", "a"], ["a", "a"]] * 60, dtype=object)
    assert chosen({}, tmp_path / "words", words) == "torch"


def test_both_engines_take_the_same_way() -> None:
    """One full batch a step: nothing is drawn, so only rounding can differ."""
    X = load_digits().data[:300]
    options: dict[str, Any] = {"latent_dim": 4, "epochs": 12, "batch_size": "full"}
    by_hand = Autoencoder(network=spec("mlp", widths=(32,)), **options).fit(X)
    # A penalty that weighs nothing is one that the dense engine does not know.
    by_torch = Autoencoder(
        network=spec("mlp", widths=(32,)), penalties=[spec("l1", weight=1e-12)], **options
    ).fit(X)
    ours, theirs = ([e["nll"] for e in ae.history_] for ae in (by_hand, by_torch))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
