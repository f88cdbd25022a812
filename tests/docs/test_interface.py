"""docs/interface.md and the code say the same, in both directions."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
)

import isthmus
from isthmus import AnomalyDetector, Archive, Autoencoder, Denoiser, ImageCodec, Imputer, Restorer
from isthmus.apps.cli.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "interface.md").read_text(encoding="utf-8")


def words(title: str, state: str) -> dict[str, str]:
    """The first cell of each row in a section whose last cell is ``state``: its name, and all."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    [body] = [text for text in section if text.startswith(f"{title}\n")]
    rows = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("| `")]
    assert rows, f"no table under '{title}'"
    assert all(row[-1] in ("now", "planned") for row in rows), f"a row of '{title}' has no state"
    found = [row[0].strip("`") for row in rows if row[-1] == state]
    return {re.split(r"[( ]", cell.removeprefix("isthmus "))[0]: cell for cell in found}


def own_methods(estimator: type) -> dict[str, inspect.Signature]:
    theirs = {
        name
        for base in (ClassNamePrefixFeaturesOutMixin, TransformerMixin, OutlierMixin, BaseEstimator)
        for name in dir(base)
    }
    return {
        name: inspect.signature(getattr(method, "__func__", method))
        for name, method in inspect.getmembers(estimator, inspect.isroutine)
        if not re.match(r"_|set_\w+_request$", name) and name not in theirs
    }


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return group.commands


def test_every_public_name_is_on_the_page_and_every_name_on_the_page_is_public():
    page = {**words("Classes", "now"), **words("Functions and data", "now")}
    public = {name for name in isthmus.__all__ if not name.startswith("_")}
    assert set(page) == public
    for name in public:
        assert getattr(isthmus, name) is not None


@pytest.mark.parametrize(
    "estimator", [Autoencoder, AnomalyDetector, ImageCodec, Denoiser, Restorer, Imputer, Archive]
)
def test_every_method_is_on_the_page_with_its_parameters(estimator: type):
    page = words(f"Methods of {estimator.__name__}", "now")
    methods = own_methods(estimator)
    assert set(page) == set(methods)
    for name, signature in methods.items():
        taken = [
            str(p.replace(annotation=inspect.Parameter.empty))
            for p in signature.parameters.values()
            if p.name not in ("self", "cls")
        ]
        assert page[name] == f"{name}({', '.join(taken)})"


def test_every_parameter_is_on_the_page_and_every_parameter_on_the_page_exists():
    methods = (AnomalyDetector.select,)
    of_methods = {name for method in methods for name in inspect.signature(method).parameters}
    estimators = (Autoencoder(), AnomalyDetector(), ImageCodec(), Denoiser(), Restorer(), Imputer())
    taken = {name for estimator in estimators for name in estimator.get_params()}
    assert set(words("Parameters", "now")) == taken | (of_methods - {"self", "X"})


def test_every_attribute_on_the_page_is_there_after_fit_and_every_other_is_private():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["a", "b", "c"])
    fitted = Autoencoder(latent_dim=2, epochs=1).fit(X)
    codec = ImageCodec(epochs=1).fit(np.zeros((20, 8, 8), np.uint8))
    noisy = np.random.default_rng(0).normal(0.5, 0.1, (4, 16, 16))
    denoiser = Denoiser(epochs=1).fit(noisy)
    restorer = Restorer("holes", epochs=1).fit(noisy)
    page = set(words("What fit leaves", "now"))
    every = (fitted, codec, denoiser, restorer)
    for name in page:
        assert any(getattr(one, name, None) is not None for one in every)
    left = {name for one in every for name in vars(one)}
    assert {name for name in left if re.fullmatch(r"[a-z]\w*_", name)} <= page


def test_every_command_is_on_the_page_and_every_command_on_the_page_exists():
    assert set(words("Command line", "now")) == set(commands())


def test_every_option_is_on_the_page_and_every_option_on_the_page_exists():
    group: Any = typer.main.get_command(app)
    taken = {
        option
        for command in (group, *group.commands.values())
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    page = set(words("Options of the command line", "now"))
    parameters = {"--" + name.replace("_", "-") for name in words("Parameters", "now")}
    assert page <= taken
    assert taken <= page | parameters
    assert not taken & set(words("Options of the command line", "planned"))


@pytest.mark.parametrize(
    "title",
    ["Classes", "Functions and data", "Methods of Autoencoder", "Parameters", "Command line"],
)
def test_nothing_that_is_planned_is_there_already(title):
    planned = set(words(title, "planned"))
    estimators = (Autoencoder, AnomalyDetector, ImageCodec, Denoiser, Restorer)
    there = {*isthmus.__all__, *commands()}
    for estimator in estimators:
        there |= {*own_methods(estimator), *estimator().get_params()}
    assert not planned & there
