"""Recipes are held against what one would write by hand, and the guide says what was measured."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import recipe_quality, recipes
from benchmarks.jobs.recipe_bare import LOSSES, Layers
from benchmarks.jobs.recipe_steps import SIZES, TRAINED, both, in_turns, objective_of
from benchmarks.runner import Results
from isthmus.core.types import Batch
from isthmus.recipes import RECIPES

SMALL = SIZES["table, batch 32"]


def rows(recipe: str, n: int = 256) -> Any:
    counts = recipe == "negative-binomial"
    x = torch.from_numpy(SMALL.rows_of_data(counts, 0))[:n]
    return x if counts else x - x.mean(0)


def run(arguments: list[str], out: Path) -> tuple[int, dict[str, Any]]:
    """The exit status and the JSON."""
    status = importlib.import_module("benchmarks.recipes").main([*arguments, "--out", str(out)])
    return status, json.loads(out.read_text())


def test_every_recipe_that_is_trained_is_measured() -> None:
    assert {name for name, recipe in RECIPES.items() if recipe.phases} == set(TRAINED)
    assert set(TRAINED) == set(LOSSES)
    assert set(RECIPES) == set(recipe_quality.ALL)


@pytest.mark.parametrize("recipe", TRAINED)
def test_the_loop_written_by_hand_minimises_the_same_loss(recipe: str) -> None:
    x = rows(recipe)
    objective = objective_of(recipe, x, SMALL.dim)
    with torch.no_grad():
        for parameter in objective.parameters():  # the last layers begin as zeros
            parameter += 0.05 * torch.randn_like(parameter)
    layers = Layers(objective)
    torch.manual_seed(0)
    ours = objective(Batch(x)).total
    torch.manual_seed(0)
    bare = LOSSES[recipe](layers, x.clone())
    torch.testing.assert_close(ours, bare, rtol=1e-5, atol=1e-5)
    ours.backward()
    torch.autograd.backward(bare)
    for half in ("encoder", "decoder"):
        a, b = (getattr(side, half)[-1].weight for side in (objective.model.network, layers))
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-6)


def test_steps_of_both_move_the_weights_and_take_turns() -> None:
    x = rows("vae")
    found = both("vae", x, SMALL.dim, 32)
    order: list[str] = []

    def named(name: str) -> Any:
        return lambda index: order.append(name)

    turns = in_turns(named("ours"), named("bare"), lambda n: [None] * 1, 0.0)
    assert len(turns) == 2
    assert order[-4:] == ["ours", "bare", "bare", "ours"]
    # Neither fails on real rows, however often.
    for step in found:
        step(torch.arange(32))
        step(torch.arange(32))


@pytest.mark.long
def test_the_cost_of_a_step_is_measured_beside_the_bare_loop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--rounds", "1", "--seconds", "0.05", "--recipes", "vae,fsq"]
    out = tmp_path / "out.json"
    status, found = run([*quick, "--sizes", "table, batch 32"], out)
    assert status == 0
    printed = capsys.readouterr().out
    assert "| `vae` |" in printed
    assert "| `fsq` |" in printed
    assert len(found["cells"]) == 2
    for cell in found["cells"].values():
        assert 0.2 < cell["ratio"] < 5
    recipes.main(["--table", "--out", str(out)])
    assert capsys.readouterr().out == printed


@pytest.mark.long
def test_what_a_recipe_is_good_for_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--quality", "--epochs", "1", "--sets", "digits", "--recipes"]
    status, found = run([*quick, "linear,autoencoder,fsq,robust"], tmp_path / "out.json")
    assert status == 0
    assert len(found["cells"]) == 8
    printed = capsys.readouterr().out
    assert "| a short code, in bits | `fsq` |" in printed
    assert "outliers in training" in printed


def cell(**measures: float) -> dict[str, Any]:
    return {**measures, "when": "", "commit": "", "load": 0.0}


def test_the_decision_table_is_made_of_medians_over_sets() -> None:
    cells = {
        recipe_quality.key(name, "everything", recipe): cell(mse=mse, zeros=0.5)
        for recipe, errors in {"autoencoder": (1, 2, 4), "sparse-topk": (2, 4, 4)}.items()
        for name, mse in zip(("digits", "pendigits", "fashion-mnist"), errors, strict=True)
    }
    steps = {
        recipes.key("table", "autoencoder", 0): cell(ours_us=10.0),
        recipes.key("table", "sparse-topk", 0): cell(ours_us=15.0),
    }
    found = recipe_quality.Found(
        Results(Path(), {"cells": cells}), Results(Path(), {"cells": steps})
    )
    assert found.times("sparse-topk") == "2.00"
    assert found.step("sparse-topk") == "1.5"
    assert found.middle("autoencoder", "mse") == 2
    table = recipe_quality.decision_table(found)
    assert "| `sparse-topk` | share near zero | 0.5 | 0.5 |  | 2.00 | 1.5 |" in table
    assert "`vae`" not in table  # what was not measured is not shown


def test_tables_are_written_between_the_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{recipe_quality.BEGIN}\nold\n{recipe_quality.END}\nafter\n")
    recipe_quality.write_docs(page, r"new \1")
    recipe_quality.write_docs(page, r"newer \1")
    begin, end = recipe_quality.BEGIN, recipe_quality.END
    assert page.read_text() == f"before\n{begin}\nnewer \\1\n{end}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="measured: begin"):
        recipe_quality.write_docs(page, "new")


def test_the_guide_shows_what_is_in_the_results() -> None:
    text = recipe_quality.GUIDE.read_text(encoding="utf-8")
    results, steps = recipes.QUALITY, recipes.STEPS
    if not results.exists():
        pytest.skip("not measured; run python -m benchmarks recipes --quality")
    costs = Results.read(steps) if steps.exists() else None
    shown = text.split(recipe_quality.BEGIN)[1].split(recipe_quality.END)[0]
    assert shown == f"\n{recipe_quality.measured(Results.read(results), costs)}\n", (
        "run python -m benchmarks recipes --docs"
    )
