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
from isthmus.core.recipe import Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import BLOCK_ROWS, Model
from isthmus.recipes import RECIPES
from isthmus.training.loop import Run
from isthmus.training.plan import Settings
from isthmus.training.surroundings import own_randomness

Array = NDArray[Any]
KINDS = ("table", "images")
TRAINED = [name for name, recipe in RECIPES.items() if recipe.phases]
over_recipes = pytest.mark.parametrize(
    "fitted", [(r, k) for r in RECIPES for k in KINDS], indirect=True
)


def rows(kind: str, n: int = 150) -> Array:
    """A bent sheet in twelve columns, or spots on images of 9 x 7."""
    random = np.random.default_rng(0)
    if kind == "table":
        a, b = random.uniform(-2, 2, (2, n, 1))
        sheet = np.concatenate([a, b, np.sin(2 * a), a * b, np.cos(b), b**2], 1)
        return sheet @ random.normal(size=(6, 12)) + 0.05 * random.normal(size=(n, 12))
    down, across = np.mgrid[:9, :7]
    y, x = random.uniform(2, 5, (2, n, 1, 1))
    spots = np.exp(-((down - y) ** 2 + (across - x) ** 2) / 3)
    return np.round(255 * spots).astype(np.uint8)


FITTED: dict[tuple[str, str], Autoencoder] = {}


@pytest.fixture
def fitted(request: pytest.FixtureRequest) -> tuple[Autoencoder, Array]:
    """A model of the recipe, trained once for all tests, and its rows."""
    recipe, kind = request.param
    if request.param not in FITTED:
        network = None if recipe == "linear" else small_network(kind)
        made = Autoencoder(3, recipe=recipe, network=network, epochs=3, batch_size=32)
        FITTED[request.param] = made.fit(rows(kind))
    return FITTED[request.param], rows(kind)


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


@pytest.mark.parametrize("name", TRAINED)
def test_training_lowers_the_loss(name: str) -> None:
    network = spec("mlp", widths=(32, 16))
    made = Autoencoder(2, recipe=name, network=network, epochs=20, batch_size=32)
    history = made.fit(rows("table", 600)).history_
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


def run(name: str, checkpoint: Path | None, steps: int | None = None) -> dict[str, Tensor]:
    """The weights after a run, which is interrupted after so many steps."""
    x = torch.from_numpy(rows("table", 100)).float()
    recipe = RECIPES[name].with_parts(
        network=spec("mlp", widths=(16,), dropout=0.1, normalization="batch"),
        likelihood=spec("gaussian"),
    )
    with own_randomness(5):
        model = Model(recipe, (12,), 2)
    settings = Settings(epochs=4, batch_size=16, seed=5)
    done = -1

    def interrupted() -> bool:
        nonlocal done
        done += 1
        return done == steps

    with own_randomness(5):
        # No rows are held out, so that the last weights are kept, whether they are better or not.
        training = Run(model, recipe, Batch(x), None, settings, None, checkpoint)
        outcome = training.to_the_end(interrupted)
    assert outcome.interrupted == (steps is not None)
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("name", TRAINED)
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
    X = rows("table")
    settings: dict[str, Any] = {"recipe": name, "epochs": 2, "resume": tmp_path / "state"}
    first, second = (Autoencoder(2, **settings).fit(X) for _ in range(2))
    np.testing.assert_array_equal(second.transform(X), first.transform(X))
    assert second.history_ == first.history_
