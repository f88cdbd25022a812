"""``isthmus cite`` and ``isthmus info --recipes``: where models come from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from isthmus import Autoencoder, Phase, Recipe, spec
from isthmus.core.papers import PAPERS
from isthmus.recipes import RECIPES
from isthmus.training.directory import identity

Run = Callable[..., Result]

X = np.random.default_rng(0).normal(size=(60, 4))
DENOISING = "https://doi.org/10.1145/1390156.1390294"


def saved(path: Path, **parameters: Any) -> Path:
    Autoencoder(2, epochs=1, network=spec("mlp", widths=(4,)), **parameters).fit(X).save(path)
    return path


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("models") / "m", recipe="denoising", optimizer="lion")


def cited(run: Run, model: Path) -> dict[str, list[str]]:
    told = run("cite", model, "--json")
    assert told.exit_code == 0
    return {entry["link"]: entry["for"] for entry in json.loads(told.stdout)["references"]}


# ------------------------------------------------------------------ cite


def test_the_papers_of_recipe_parts_and_optimiser_are_listed(run: Run, denoiser: Path) -> None:
    found = cited(run, denoiser)
    assert next(iter(found)) == DENOISING
    assert found[DENOISING] == ["recipe denoising", "corruption noise"]
    assert found["https://doi.org/10.1038/323533a0"] == ["code point"]
    assert found["https://arxiv.org/abs/2006.13202"] == ["likelihood gaussian"]
    assert found["https://arxiv.org/abs/2302.06675"] == ["optimizer lion"]
    assert "https://arxiv.org/abs/1312.6114" not in found


def test_references_are_told_in_words(run: Run, denoiser: Path) -> None:
    told = run("cite", denoiser)
    assert (told.exit_code, told.stderr) == (0, "")
    first, uses = told.stdout.splitlines()[:2]
    assert first.startswith("Vincent, P., Larochelle, H.")
    assert first.endswith(DENOISING)
    assert uses == "  recipe denoising, corruption noise"


def test_a_bibliography_has_an_entry_for_each_paper(run: Run, denoiser: Path) -> None:
    told = run("cite", denoiser, "--bibtex").stdout
    links = cited(run, denoiser)
    assert told.count("\n@") + told.startswith("@") == len(links)
    for link in links:
        assert f"{{{PAPERS[link].key},\n" in told
    entries = json.loads(run("cite", denoiser, "--json").stdout)["references"]
    assert [entry["bibtex"] for entry in entries] == told.strip().split("\n\n")


def test_parts_within_parts_are_cited(run: Run, tmp_path: Path) -> None:
    found = cited(run, saved(tmp_path / "m", recipe="vq-vae"))
    assert found["https://arxiv.org/abs/1711.00937"] == ["recipe vq-vae", "code vector"]
    assert found["https://doi.org/10.1109/TIT.1981.1056331"] == ["prior frequencies"]


def test_an_untrained_model_owes_nothing_to_an_optimiser(run: Run, tmp_path: Path) -> None:
    Autoencoder(2, recipe="linear").fit(X).save(tmp_path / "m")
    found = cited(run, tmp_path / "m")
    assert found["https://doi.org/10.1080/14786440109462720"] == ["recipe linear"]
    assert not [uses for uses in found.values() if uses[0].startswith("optimizer")]


@pytest.mark.parametrize("paper", ["https://example.org/mine", "a talk of mine, 2020"])
def test_a_paper_that_nobody_knows_is_cited_as_it_was_given(
    run: Run, tmp_path: Path, paper: str
) -> None:
    own = Recipe(phases=(Phase(beta=0.0),), paper=paper)
    model = saved(tmp_path / "m", recipe=own)
    assert cited(run, model)[paper] == ["recipe"]
    assert run("cite", model).stdout.startswith(f"{paper}\n  recipe\n")
    assert run("cite", model, "--bibtex").stdout.startswith(f"% {paper}\n")


def test_a_recipe_without_a_paper_owes_to_its_parts_only(run: Run, tmp_path: Path) -> None:
    found = cited(run, saved(tmp_path / "m", recipe=Recipe()))
    assert found
    assert not [uses for uses in found.values() if uses[0].startswith("recipe")]


def test_citing_what_is_no_model_is_told_in_words(run: Run, tmp_path: Path) -> None:
    told = run("cite", tmp_path)
    assert told.exit_code == 1
    assert told.stderr.startswith(f"error: '{tmp_path}' has no config.json")


@pytest.mark.parametrize("verb", ["cite", "info"])
@pytest.mark.parametrize("given", [{}, {"recipe": 3}, {"recipe": {"code": []}}], ids=len)
@pytest.mark.parametrize("lost", ["recipe", "fitted", "estimator", "model", "data"])
def test_a_config_that_lacks_what_is_asked_for_is_told_to_be_damaged(
    run: Run, denoiser: Path, tmp_path: Path, verb: str, given: dict[str, Any], lost: str
) -> None:
    model = Path(shutil.copytree(denoiser, tmp_path / "m"))
    config = {**json.loads((model / "config.json").read_text()), **given}
    config.pop(lost, None)
    config["identity"] = identity(config, (model / "model.safetensors").read_bytes())
    (model / "config.json").write_text(json.dumps(config))
    told = run(verb, model)
    needed = lost in ("recipe", "estimator") or verb == "info" or given.get("recipe") is not None
    assert told.exit_code == needed
    assert ("does not describe a model" in told.stderr) == needed
    assert "fault of the program" not in told.stderr


# ------------------------------------------------------------------ info --recipes


def test_all_recipes_are_listed_with_their_papers(run: Run) -> None:
    told = run("info", "--recipes")
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    for line, recipe in zip(lines, RECIPES.values(), strict=True):
        assert PAPERS[recipe.paper].short in line
        assert line.endswith(recipe.paper)


def test_the_recipes_of_the_list_are_those_that_can_be_fitted(run: Run) -> None:
    told = json.loads(run("info", "--recipes", "--json").stdout)["recipes"]
    assert {name: Recipe.from_json(data) for name, data in told.items()} == RECIPES


@pytest.mark.parametrize("words", [("info",), ("info", "m.model", "--recipes")], ids=len)
def test_info_takes_a_model_or_the_recipes(run: Run, words: tuple[str, ...]) -> None:
    told = run(*words)
    assert told.exit_code == 2
    assert "MODEL" in told.stderr
    assert "--recipes" in told.stderr
