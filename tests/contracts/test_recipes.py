"""Every recipe, from rows to a saved model and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus import Autoencoder, load
from isthmus.core.recipe import AUTO, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import BLOCK_ROWS, Model
from isthmus.objective import Objective
from isthmus.parts import LIKELIHOODS
from isthmus.recipes import RECIPES
from isthmus.training.plan import Settings
from isthmus.training.run import Run
from isthmus.training.surroundings import own_randomness
from tests.contracts.examples import domain_of

Array = NDArray[Any]
KINDS = ("table", "images")
TRAINED = [name for name, recipe in RECIPES.items() if recipe.phases]
over_recipes = pytest.mark.parametrize(
    "fitted",
    [(r, k) for r in RECIPES for k in KINDS],
    indirect=True,
    ids=[f"{r}-{k}" for r in RECIPES for k in KINDS],
)
over_trained = pytest.mark.parametrize("name", TRAINED)


def rows(name: str, kind: str = "table", n: int = 150) -> Array:
    """A bent sheet in twelve columns, or spots on images of 9 x 7; counts where a recipe asks."""
    random = np.random.default_rng(0)
    if kind == "table":
        a, b = random.uniform(-2, 2, (2, n, 1))
        sheet = np.concatenate([a, b, np.sin(2 * a), a * b, np.cos(b), b**2], 1)
        table = sheet @ random.normal(size=(6, 12)) + 0.05 * random.normal(size=(n, 12))
        return random.poisson(np.exp(0.5 * table)) if of_counts(name) else table
    down, across = np.mgrid[:9, :7]
    y, x = random.uniform(2, 5, (2, n, 1, 1))
    spots = np.exp(-((down - y) ** 2 + (across - x) ** 2) / 3)
    return np.round(255 * spots).astype(np.uint8)


def of_counts(name: str) -> bool:
    kind = RECIPES[name].likelihood.kind
    return kind in LIKELIHOODS and domain_of(kind) == "count"


FITTED: dict[tuple[str, str], Autoencoder] = {}


@pytest.fixture
def fitted(request: pytest.FixtureRequest) -> tuple[Autoencoder, Array]:
    """A model of the recipe, trained once for all tests, and its rows."""
    recipe, kind = request.param
    if request.param not in FITTED:
        network = None if recipe == "linear" else small_network(kind)
        made = Autoencoder(3, recipe=recipe, network=network, epochs=3, batch_size=32)
        FITTED[request.param] = made.fit(rows(recipe, kind))
    return FITTED[request.param], rows(recipe, kind)


def small_network(kind: str) -> Any:
    return spec("mlp" if kind == "table" else "conv", widths=(16, 8))


def answers(model: Autoencoder, X: Array) -> dict[str, Array]:
    """All that a model says of rows, one answer a row."""
    return {
        "transform": model.transform(X),
        "reconstruct": model.reconstruct(X),
        "score_samples": model.score_samples(X),
    }


@over_recipes
def test_a_recipe_trains(fitted: tuple[Autoencoder, Array]) -> None:
    model, X = fitted
    assert len(model.history_) == (3 if model.recipe_.phases else 0)
    for entry in model.history_:
        assert {"epoch", "seconds", "learning_rate", "train", "nll"} <= set(entry)
        assert np.isfinite([value for value in entry.values() if value is not None]).all()
    for answer in answers(model, X).values():
        assert len(answer) == len(X)
        assert np.isfinite(answer).all()


@over_trained
def test_training_lowers_the_loss(name: str) -> None:
    network = spec("mlp", widths=(32, 16))
    made = Autoencoder(2, recipe=name, network=network, epochs=20, batch_size=32)
    history = made.fit(rows(name, n=600)).history_
    assert history[-1]["train"] < history[0]["train"] - 0.05
    assert made.kept_ == "trained"


@over_recipes
def test_the_same_seed_gives_the_same_model(fitted: tuple[Autoencoder, Array]) -> None:
    model, X = fitted
    again = Autoencoder(**model.get_params(deep=False)).fit(X)
    for name, answer in answers(model, X).items():
        np.testing.assert_array_equal(answers(again, X)[name], answer)


@over_recipes
def test_a_saved_model_answers_to_the_bit(
    fitted: tuple[Autoencoder, Array], tmp_path: Path
) -> None:
    model, X = fitted
    model.save(tmp_path / "m.model")
    again = load(tmp_path / "m.model")
    for name, answer in answers(model, X).items():
        np.testing.assert_array_equal(answers(again, X)[name], answer)
    np.testing.assert_array_equal(again.sample(5), model.sample(5))
    assert again.recipe_ == model.recipe_


@over_recipes
def test_the_answer_for_a_row_is_its_own_to_the_bit(fitted: tuple[Autoencoder, Array]) -> None:
    model, X = fitted
    assert len(X) > BLOCK_ROWS  # so that more than one block is needed
    whole = answers(model, X)
    some = np.random.default_rng(1).permutation(len(X))[: BLOCK_ROWS + 5]
    for chosen in (some, some[:3], some[-1:]):
        for name, answer in answers(model, X[chosen]).items():
            np.testing.assert_array_equal(answer, whole[name][chosen], err_msg=name)


@over_recipes
def test_samples_look_like_rows(fitted: tuple[Autoencoder, Array]) -> None:
    model, X = fitted
    drawn = model.sample(7)
    assert drawn.shape == (7, *X.shape[1:])
    assert np.isfinite(drawn).all()
    np.testing.assert_array_equal(model.sample(7), drawn)
    assert not np.array_equal(model.sample(7, random_state=1), drawn)


@over_recipes
def test_codes_lead_back_to_what_was_rebuilt(fitted: tuple[Autoencoder, Array]) -> None:
    model, X = fitted
    rebuilt = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(rebuilt, model.reconstruct(X), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_is_data(name: str) -> None:
    assert Recipe.from_json(RECIPES[name].to_json()) == RECIPES[name]
    assert RECIPES[name].paper.startswith("https://")


def on_tables(name: str, **options: Any) -> Recipe:
    """The recipe with the parts that a table would choose."""
    recipe = RECIPES[name].with_parts(network=spec("mlp", widths=(16,), **options))
    if recipe.likelihood == AUTO:
        return recipe.with_parts(likelihood=spec("gaussian"))
    return recipe


def standardised(name: str, n: int) -> Tensor:
    x = torch.from_numpy(rows(name, n=n)).float()
    return x if of_counts(name) else (x - x.mean(0)) / x.std(0)


def run(name: str, checkpoint: Path | None, steps: int | None = None) -> dict[str, Tensor]:
    """The weights after a run, which is interrupted after so many steps."""
    x = standardised(name, 100)
    recipe = on_tables(name, dropout=0.1, normalization="batch")
    with own_randomness(5):
        model = Model(recipe, (12,), 4)
    settings = Settings(epochs=4, batch_size=16, seed=5)
    done = -1

    def interrupted() -> bool:
        nonlocal done
        done += 1
        return done == steps

    with own_randomness(5):
        # No rows are held out, so that the last weights are kept, whether they are better or not.
        training = Run([model], recipe, Batch(x), None, settings, None, checkpoint)
        (outcome,) = training.to_the_end(interrupted)
    assert outcome.interrupted == (steps is not None)
    return {name: value.clone() for name, value in model.state_dict().items()}


@over_trained
@pytest.mark.parametrize("steps", [1, 5, 13])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    name: str, steps: int, tmp_path: Path
) -> None:
    undisturbed = run(name, None)
    run(name, tmp_path / "state", steps)
    resumed = run(name, tmp_path / "state")
    for key, value in undisturbed.items():
        assert torch.equal(resumed[key], value), key


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_fit_that_ended_is_not_done_again(name: str, tmp_path: Path) -> None:
    X = rows(name)
    settings: dict[str, Any] = {"recipe": name, "epochs": 2, "resume": tmp_path / "state"}
    first, second = (Autoencoder(2, **settings).fit(X) for _ in range(2))
    np.testing.assert_array_equal(second.transform(X), first.transform(X))
    assert second.history_ == first.history_


@over_recipes
def test_both_halves_are_exported_and_answer_alone(fitted: tuple[Autoencoder, Array]) -> None:
    model, X = fitted
    x = model.kind_.batch(X[:5]).x
    down = torch.export.export(model.encoder_, (x,)).module()
    up = torch.export.export(model.decoder_, (down(x).detach(),)).module()
    with torch.no_grad():
        codes, rebuilt = down(x), up(down(x))
    np.testing.assert_allclose(codes.flatten(1), model.transform(X[:5]), rtol=1e-4, atol=1e-5)
    there = model.kind_.restore(rebuilt)
    np.testing.assert_allclose(there, model.reconstruct(X[:5]), rtol=1e-4, atol=1e-3)


def step(name: str, batch: Batch, gaps: bool = False) -> list[Tensor]:
    """All that comes of a start and a step of training."""
    with own_randomness(1):
        model = Model(on_tables(name), (12,), 4, gaps=gaps)
        model.start(batch)
        found = [t.clone() for t in model.state_dict().values()]
        objective = Objective(model, RECIPES[name].phases[0])
        objective.start(model.encode(batch.x, batch.weight))
        loss = objective(batch).total
        loss.backward()
    gradients = [p.grad for p in objective.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    return [*found, loss.detach(), *gradients]


@over_trained
def test_what_stands_in_a_gap_changes_nothing(name: str) -> None:
    x = standardised(name, 60)
    weight = torch.bernoulli(torch.full_like(x, 0.7))
    filled = x.where(weight > 0, torch.tensor(50.0))
    for one, other in zip(*(step(name, Batch(v, weight), True) for v in (x, filled)), strict=True):
        assert torch.equal(one, other)


@over_trained
def test_rows_without_weight_change_nothing(name: str) -> None:
    x = standardised(name, 60)
    weight = (torch.arange(60) % 3 > 0).float()
    filled = x.where(weight.unsqueeze(1) > 0, x.flip(0))
    for one, other in zip(*(step(name, Batch(v, weight)) for v in (x, filled)), strict=True):
        torch.testing.assert_close(one, other)


@over_trained
def test_a_table_with_missing_cells_is_fitted_and_filled(name: str) -> None:
    X = rows(name).astype(float)
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    made = Autoencoder(4, recipe=name, network=small_network("table"), epochs=2).fit(X)
    for answer in answers(made, X).values():
        assert len(answer) == len(X)
        assert np.isfinite(answer).all()
