"""Several models at once: each as it would be alone, and what they answer together."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from isthmus import Autoencoder, Phase, Recipe, load, spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.training.dense.engine import DenseEngine
from isthmus.training.loop import together, train
from isthmus.training.outcome import Found, Progress
from isthmus.training.outcome import together as as_one
from isthmus.training.plan import Settings
from isthmus.training.run import Run
from isthmus.training.surroundings import own_randomness
from isthmus.training.views import ALL, View, cut, leaving_out

POINT = Phase(beta=0.0)

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
        ours, recipe = members(name, seeds)
        outcomes = train(ours, recipe, *split, settings)
        for seed, model, outcome in zip(seeds, ours, outcomes, strict=True):
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


SEEN: dict[str, Any] = {
    "rows of their own": lambda i: View(torch.randperm(360, generator=seeded(i))[:200]),
    "rows drawn twice": lambda i: View(torch.randint(360, (360,), generator=seeded(i))),
    "columns of their own": lambda i: View(columns=torch.rand(12, generator=seeded(i)) < 0.6),
    "both": lambda i: View(torch.arange(i, 300 + i), torch.arange(12) != i),
    "some all columns": lambda i: View(columns=None if i else torch.arange(12) > 1),
}


def seeded(i: int) -> torch.Generator:
    return torch.Generator().manual_seed(i)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("seen", list(SEEN))
@pytest.mark.parametrize("weights", ["none", "rows", "cells"])
def test_each_of_many_models_with_a_view_of_its_own_is_the_one_trained_alone(
    weights: str, seen: str, held: bool
) -> None:
    data = sheet()
    if weights == "rows":
        data = data._replace(weight=torch.linspace(0.5, 1.5, 400))
    elif weights == "cells":
        data = data._replace(weight=(torch.rand(400, 12, generator=seeded(9)) < 0.9).float())
    split = data.rows(torch.arange(40, 400)), data.rows(torch.arange(40)) if held else None
    settings = Settings(epochs=4, batch_size=32, seed=7)
    views = [SEEN[seen](i) for i in range(3)]
    ours, recipe = members("masked, two phases", [7, 8, 9])
    train(ours, recipe, *split, settings, views=views)
    for seed, model, view in zip([7, 8, 9], ours, views, strict=True):
        (alone,), _ = members("masked, two phases", [seed])
        own = replace(settings, seed=seed)
        train([alone], recipe, *split, own, views=[view])
        for key, value in alone.state_dict().items():
            assert torch.equal(model.state_dict()[key], value), (seed, key)


def test_a_column_that_a_model_does_not_see_changes_nothing_in_it() -> None:
    data = sheet()
    other = data._replace(x=data.x.clone())
    other.x[:, 3] = 100.0
    found = []
    for batch in (data, other):
        models, recipe = members("point", [1, 2])
        views = [View(columns=torch.arange(12) != 3)] * 2
        train(models, recipe, batch, None, Settings(epochs=2), views=views)
        found.append(models)
    for ours, theirs in zip(*found, strict=True):
        for key, value in ours.state_dict().items():
            assert torch.equal(theirs.state_dict()[key], value), key


def test_rows_that_a_model_does_not_see_change_nothing_in_it() -> None:
    data = sheet()
    other = data._replace(x=data.x.clone())
    other.x[300:] += 100.0
    views = [View(torch.arange(i, 200 + i)) for i in (0, 50)]
    found = []
    for batch in (data, other):
        models, recipe = members("point", [1, 2])
        train(models, recipe, batch, data.rows(torch.arange(40)), Settings(epochs=2), views=views)
        found.append(models)
    for ours, theirs in zip(*found, strict=True):
        for key, value in ours.state_dict().items():
            assert torch.equal(theirs.state_dict()[key], value), key


def test_every_row_is_left_out_by_one_view_and_seen_by_all_others() -> None:
    folds = cut(103, 4, 100, np.random.default_rng(0))
    assert np.bincount(folds + 1).tolist() == [3, 25, 25, 25, 25]
    for k, view in enumerate(leaving_out(folds, 4)):
        assert view.rows is not None
        assert set(view.rows.tolist()) == set(np.flatnonzero((folds != k) & (folds >= 0)).tolist())


@pytest.mark.parametrize("steps", [3, 30, 60])
def test_models_of_unlike_shapes_go_through_the_data_in_groups(steps: int, tmp_path: Path) -> None:
    def built() -> tuple[list[Model], Recipe]:
        recipe = Recipe(spec("mlp"), spec("point"), spec("gaussian"), (POINT,))
        models = []
        for i, width in enumerate([8, 16, 8, 16, 24]):
            with own_randomness(i):
                own = replace(recipe, network=spec("mlp", widths=(width,)))
                models.append(Model(own, (12,), 3))
        return models, recipe

    settings, data = Settings(epochs=3, batch_size=32), sheet(300)
    models, recipe = built()
    assert together(models, recipe, data, settings, [ALL] * 5) == [[0, 2], [1, 3], [4]]
    train(models, recipe, data, None, settings)
    for i, model in enumerate(models):
        alone = built()[0][i]
        train([alone], recipe, data, None, replace(settings, seed=i))
        for key, value in alone.state_dict().items():
            assert torch.equal(model.state_dict()[key], value), (i, key)
    again, _ = built()
    with stopped_after(steps):
        train(again, recipe, data, None, settings, checkpoint=tmp_path / "state")
    again, _ = built()
    train(again, recipe, data, None, settings, checkpoint=tmp_path / "state")
    for ours, theirs in zip(models, again, strict=True):
        for key, value in ours.state_dict().items():
            assert torch.equal(theirs.state_dict()[key], value), key


@contextmanager
def stopped_after(steps: int) -> Iterator[None]:
    """Ctrl-C at a step of the dense engine."""
    left = iter(range(steps))
    usual = DenseEngine.step

    def step(self: DenseEngine, *arguments: Any) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGINT)
        usual(self, *arguments)

    DenseEngine.step = step  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        DenseEngine.step = usual  # type: ignore[method-assign]


def test_progress_of_groups_is_that_of_all() -> None:
    shown: list[Progress] = []
    data = sheet(200)
    recipe = Recipe(spec("mlp", widths=(8,)), spec("point"), spec("laplace"), (POINT,))
    with own_randomness(0):
        models = [Model(recipe, (12,), 3) for _ in range(3)]
    train(models, recipe, data, None, Settings(max_time=1.2), on_progress=shown.append)
    done = [progress.done for progress in shown]
    assert done == sorted(done)
    assert done[-1] > 0.8


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


LANGUAGES: dict[str, dict[str, Any]] = {
    "beginning as one PCA": {},
    "beginning anywhere": {"network": spec("mlp", widths=(32,), linear_path=False)},
    "sparse": {"recipe": "sparse-topk"},
}


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_codes_of_several_are_those_of_the_first_and_lead_back_to_its_rows(language: str) -> None:
    several = Autoencoder(4, n_members=2, epochs=3, **LANGUAGES[language]).fit(X)
    first = several.members_[0]
    assert np.array_equal(several.transform(X), first.transform(X))
    there_and_back = several.inverse_transform(several.transform(X))
    np.testing.assert_allclose(there_and_back, first.reconstruct(X), atol=1e-4)


def test_it_is_said_how_many_members_training_made_no_better() -> None:
    def found(kept: str) -> Found:
        return Found([], kept, [])

    _, events, kept, _ = as_one([found("start"), found("trained"), found("start")])
    assert events == ["2 of 3 stay as they began: training made them no better"]
    assert kept == "trained"
    assert as_one([found("start")] * 2)[2] == "start"


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
