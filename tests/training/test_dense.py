"""The dense engine: the gradients of autograd, and many models as each would be alone."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from isthmus import Autoencoder, Phase, Recipe, Spec, load, spec
from isthmus.core.types import Batch, Step
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts.networks.layers import ACTIVATIONS
from isthmus.training.checkpoint import read_checkpoint
from isthmus.training.dense.composition import Composition
from isthmus.training.dense.layout import Flat
from isthmus.training.dense.passes import Draws, Pass
from isthmus.training.loop import Run, train
from isthmus.training.plan import Settings
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


# ---------------------------------------------------------------------------- many models

MANY: dict[str, dict[str, Any]] = {
    "point": {},
    "variational": {"code": spec("gaussian"), "phases": (Phase(),)},
    "noise and dropout": {
        "phases": (Phase(beta=0.0, corruption=spec("noise")),),
        "network": spec("mlp", widths=(24, 16), dropout=0.1, activation="relu"),
    },
    "masked, two phases": {
        "phases": (Phase(beta=0.0, corruption=spec("mask")), Phase(beta=0.0)),
    },
    "by column, clipped": {"likelihood": spec("gaussian", scale="column")},
    "wide": {"network": spec("mlp", widths=(128, 64))},
}


def members(name: str, seeds: list[int], gaps: bool = False) -> tuple[list[Model], Recipe]:
    parts = {
        "network": spec("mlp", widths=(24, 16)),
        "likelihood": spec("gaussian"),
        "phases": (POINT,),
        **MANY[name],
    }
    recipe, models = Recipe(**parts), []
    for seed in seeds:
        with own_randomness(seed):
            models.append(Model(recipe, (12,), 3, gaps=True))
    return models, recipe


def sheet(n: int = 400) -> Batch:
    x = torch.randn(n, 12, generator=torch.Generator().manual_seed(0)).cumsum(1)
    return Batch(x / x.std(0))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", list(MANY))
def test_each_of_many_models_is_to_the_bit_the_one_trained_alone(name: str, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        data = sheet()
        split = data.rows(torch.arange(40, 400)), data.rows(torch.arange(40))
        seeds = [7, 8, 9]
        clip = 0.5 if "clipped" in name else None
        settings = Settings(epochs=40, patience=2, seed=7, gradient_clip=clip)
        together, recipe = members(name, seeds)
        outcomes = train(together, recipe, *split, settings)
        for seed, model, outcome in zip(seeds, together, outcomes, strict=True):
            (alone,), _ = members(name, [seed])
            own = replace(settings, seed=seed)
            (expected,) = train([alone], recipe, *split, own)
            for key, value in alone.state_dict().items():
                assert torch.equal(model.state_dict()[key], value), (seed, key)
            assert outcome.found.events == expected.found.events
            assert [e["nll"] for e in outcome.found.history] == [
                e["nll"] for e in expected.found.history
            ]
    finally:
        torch.set_num_threads(before)


def test_many_models_of_other_kinds_are_trained_one_after_the_other() -> None:
    data = sheet(200)
    recipe = Recipe(spec("mlp", widths=(8,)), spec("point"), spec("laplace"), (POINT,))
    with own_randomness(0):
        models = [Model(recipe, (12,), 3) for _ in range(2)]
    outcomes = train(models, recipe, data, None, Settings(epochs=3))
    assert [len(outcome.found.history) for outcome in outcomes] == [3, 3]


@pytest.mark.parametrize("steps", [1, 7, 20])
@pytest.mark.parametrize("name", list(MANY))
def test_models_that_were_stopped_end_as_if_they_had_not_been(
    name: str, steps: int, tmp_path: Path
) -> None:
    def run(checkpoint: Path | None, stop_after: int = -1) -> list[Model]:
        models, recipe = members(name, [5, 6])
        settings, data = Settings(epochs=4, batch_size=32, seed=5), sheet(200)
        asked = iter(range(10**6))
        with own_randomness(5):
            training = Run(models, recipe, data, None, settings, None, checkpoint)
            training.to_the_end(lambda: next(asked) == stop_after)
        return models

    undisturbed = run(None)
    run(tmp_path / "state", steps)
    resumed = run(tmp_path / "state")
    for ours, theirs in zip(undisturbed, resumed, strict=True):
        for key, value in ours.state_dict().items():
            assert torch.equal(theirs.state_dict()[key], value), key


def test_a_model_that_diverges_leaves_the_others_alone() -> None:
    data = sheet()
    models, recipe = members("point", [1, 2])
    run = Run(models, recipe, data, data.rows(torch.arange(50)), Settings(epochs=4), None, None)
    with own_randomness(0), np.errstate(all="ignore"):
        for course in run.courses:
            course.model.start(run.data)
            course.start()
        run._enter(0)
        run.engine.restore(0, {"flat": torch.full_like(run.engine.weights(0)["flat"], math.nan)})
        with pytest.warns(match="diverged"):
            run._run_phase(lambda: False)
    assert run.courses[0].events
    assert not run.courses[1].events
    assert np.isfinite(run.courses[1].best_loss)


# ---------------------------------------------------------------------------- the estimator

X = load_digits().data[:300]


@pytest.fixture(scope="module")
def several() -> Autoencoder:
    return Autoencoder(4, n_members=3, epochs=5, network=spec("mlp", widths=(32,))).fit(X)


def test_several_answer_with_the_mean_of_each(several: Autoencoder) -> None:
    each = several.members_
    assert len(each) == 3
    np.testing.assert_allclose(
        several.reconstruct(X), np.mean([m.reconstruct(X) for m in each], 0), atol=1e-4
    )
    np.testing.assert_allclose(
        several.score_samples(X), np.mean([m.score_samples(X) for m in each], 0), rtol=1e-5
    )
    np.testing.assert_allclose(
        several.transform(X), np.mean([m.transform(X) for m in each], 0), atol=1e-5
    )


def test_codes_of_several_lead_back_to_the_rows(several: Autoencoder) -> None:
    there_and_back = several.inverse_transform(several.transform(X))
    pca = several.plain_
    assert np.mean((there_and_back - X) ** 2) < 1.05 * np.mean(
        (several.kind_.restore(pca.reconstruct(several.kind_.batch(X).x)) - X) ** 2
    )


def test_members_differ_and_can_be_used_alone(several: Autoencoder, tmp_path: Path) -> None:
    first, second, _ = several.members_
    assert not np.array_equal(first.transform(X), second.transform(X))
    first.save(tmp_path / "first")
    assert np.array_equal(load(tmp_path / "first").transform(X), first.transform(X))
    assert first.history_ != second.history_
    assert first.members_ == [first]


def test_several_are_saved_and_loaded(several: Autoencoder, tmp_path: Path) -> None:
    several.save(tmp_path / "several")
    loaded = load(tmp_path / "several")
    assert np.array_equal(loaded.reconstruct(X), several.reconstruct(X))
    assert np.array_equal(loaded.sample(5), several.sample(5))
    assert [m.history_ for m in loaded.members_] == [m.history_ for m in several.members_]
    assert loaded.history_ == several.history_


def test_several_vote_on_categories() -> None:
    rows = np.array([["a", "x"], ["b", "y"], ["c", "x"]] * 40, dtype=object)
    rebuilt = Autoencoder(2, n_members=3, epochs=2).fit(rows).reconstruct(rows)
    assert set(rebuilt[:, 0]) <= {"a", "b", "c"}


def test_several_halves_are_modules_of_their_own(several: Autoencoder) -> None:
    x = several.kind_.batch(X).x
    codes = several.encoder_(x)
    np.testing.assert_allclose(codes.detach(), several.transform(X), atol=1e-4)
    np.testing.assert_allclose(
        several.kind_.restore(several.decoder_(codes).detach()),
        several.inverse_transform(several.transform(X)),
        atol=1e-2,
    )


@pytest.mark.parametrize("change", ["data", "numpy", "layer", "hook"])
def test_a_model_that_was_changed_answers_as_it_is_now(change: str) -> None:
    ae = Autoencoder(3, epochs=2, network=spec("mlp", widths=(16,))).fit(X)
    before = ae.transform(X)
    first = ae.model_.network.encoder
    assert isinstance(first, nn.Sequential)
    if change == "data":
        next(first.parameters()).data.mul_(2)
    elif change == "numpy":
        next(first.parameters()).detach().numpy()[...] *= 2
    elif change == "layer":
        first[1] = nn.Tanh()
    else:
        first[0].register_forward_hook(lambda module, given, out: 2 * out)
    x = ae.kind_.batch(X).x
    assert not np.array_equal(ae.transform(X), before)
    np.testing.assert_allclose(ae.transform(X), ae.encoder_(x).detach(), atol=1e-4)


def test_a_model_made_for_inference_only_answers(tmp_path: Path) -> None:
    ae = Autoencoder(3, epochs=1, network=spec("mlp", widths=(16,))).fit(X)
    ae.save(tmp_path / "model")
    with torch.inference_mode():
        loaded = load(tmp_path / "model")
        assert np.array_equal(loaded.transform(X), ae.transform(X))
    assert np.array_equal(loaded.score_samples(X), ae.score_samples(X))


OWN: dict[str, Any] = {"encoder": nn.Linear(64, 3), "decoder": nn.Linear(3, 64), "n_members": 3}


def test_time_that_is_over_is_over_for_each_of_several_models() -> None:
    ae = Autoencoder(max_time=0.001, epochs=4000, **OWN).fit(X)
    assert sum(len(member.history_) for member in ae.members_) < 100


def test_several_models_trained_in_turn_can_be_resumed(tmp_path: Path) -> None:
    options = {"max_time": 60, "epochs": 3, "resume": tmp_path / "state", **OWN}
    first = Autoencoder(**options).fit(X)
    assert len(list(tmp_path.iterdir())) == 3
    assert np.array_equal(Autoencoder(**options).fit(X).transform(X), first.transform(X))


def test_fits_at_once_give_back_the_threads_of_products() -> None:
    from threadpoolctl import threadpool_info

    def threads() -> list[int]:
        return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]

    before = threads()
    with ThreadPoolExecutor(3) as pool:
        fits = [
            pool.submit(Autoencoder(3, epochs=n, network=spec("mlp", widths=(16,))).fit, X)
            for n in (2, 20, 6)
        ]
        for fit in fits:
            fit.result()
    assert threads() == before


def test_members_keep_the_seeds_they_were_trained_from() -> None:
    ae = Autoencoder(2, epochs=1, n_members=2, random_state=np.int64(7)).fit(X)  # type: ignore[arg-type]
    assert [member.random_state for member in ae.members_] == [7, 8]
