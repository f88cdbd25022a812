"""A saved imputer: the same to the bit when loaded, or refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from torch import Tensor, nn

from isthmus import Imputer, load
from isthmus.core.errors import (
    AbilityError,
    IsthmusError,
    ModelFileError,
    TamperedError,
    TruncatedError,
)
from isthmus.tasks.saving import load_autoencoder
from isthmus.training import directory

CONFIG, WEIGHTS = "config.json", "model.safetensors"
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 2)) @ DRAW.normal(size=(2, 4)) + 0.3 * DRAW.normal(size=(60, 4))
GAPPY = np.where(DRAW.random(X.shape) < 0.2, np.nan, X)
FRAME = pd.DataFrame(
    {
        "é": GAPPY[:, 0],
        "kind": np.where(X[:, 1] > 0, "a", "b"),
        "one": pd.Series(["x"] * 59 + [None]),
        "when": pd.Timestamp("2020-01-01") + pd.to_timedelta((9 * X[:, 2]).round(), unit="D"),
        "count": np.rint(3 + X[:, 3]),
    }
)
FRAME.loc[::7, ["kind", "when"]] = None


def quick(**options: Any) -> Imputer:
    return Imputer(**{"epochs": 1, "n_members": 2, **options})


SAVED: dict[str, tuple[Callable[[], Imputer], Any]] = {
    "table": (quick, GAPPY),
    "names, categories and dates": (quick, FRAME),
    "a constant column": (quick, np.c_[GAPPY, np.ones(60)]),
    "eight rows": (quick, GAPPY[:8]),
    "very many columns": (quick, np.tile(GAPPY, 25)),
    "a value far beyond": (quick, np.where(np.arange(240).reshape(60, 4) == 30, 1e30, GAPPY)),
    "options of NumPy's types": (
        lambda: quick(epochs=np.int64(1), n_members=np.int64(3), random_state=np.int64(3)),
        GAPPY,
    ),
    "a random state": (lambda: quick(random_state=np.random.RandomState(0)), GAPPY),
}


@pytest.mark.parametrize("case", list(SAVED))
def test_a_loaded_imputer_fills_to_the_bit_as_the_saved_one(case: str, tmp_path: Path) -> None:
    make, rows = SAVED[case]
    imputer = make().fit(rows)
    identity = imputer.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert type(loaded) is Imputer
    assert_array_equal(loaded.transform(rows), imputer.transform(rows))
    ours, theirs = (one.intervals(rows) for one in (loaded, imputer))
    assert_array_equal(ours.low, theirs.low)
    assert_array_equal(ours.high, theirs.high)
    assert ours.levels == theirs.levels
    if not isinstance(imputer.random_state, np.random.RandomState):
        assert_array_equal(loaded.sample(rows)[0], imputer.sample(rows)[0])
    assert loaded.weights_ == imputer.weights_
    assert hasattr(loaded, "feature_names_in_") == hasattr(imputer, "feature_names_in_")
    assert loaded.save(tmp_path / "again") == identity


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "m"
    quick().fit(FRAME).save(path)
    return path


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "m"))


def test_an_imputer_that_was_loaded_can_be_fitted_again(original: Path) -> None:
    loaded = load(original)
    assert loaded.get_params() == quick().get_params()
    assert_array_equal(loaded.fit(FRAME).transform(FRAME), load(original).transform(FRAME))


def test_whoever_asks_for_codes_is_told_that_there_are_none(original: Path) -> None:
    with pytest.raises(AbilityError, match="no codes of rows"):
        load_autoencoder(original)
    with pytest.raises(AbilityError, match="Leave encoder and decoder out"):
        load(original, encoder=nn.Identity())


# ---------------------------------------------------------------------------- attacks


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_truncated_file_is_refused(name: str, saved: Path) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(TruncatedError, match=name.replace(".", r"\.")):
        load(saved)


def test_a_number_that_was_changed_is_refused(saved: Path) -> None:
    content = bytearray((saved / WEIGHTS).read_bytes())
    content[-5] ^= 1
    (saved / WEIGHTS).write_bytes(bytes(content))
    with pytest.raises(TamperedError, match="is not what its identity says"):
        load(saved)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], Any]) -> None:
    """Change config and tensors as someone would who keeps the identity right."""
    _, tensors = directory.load_directory(path)
    config, tensors = json.loads((path / CONFIG).read_text()), dict(tensors)
    change(config, tensors)
    directory.save_directory(path, config, tensors, str)


PARTS = [
    "members.0.mean", "members.1.covariance", "members.0.model.network.layers.0.weight",
    "known.rows", "known.there", "known.folds", "mean", "weights", "places.ranked",
    "places.values", "places.scores", "cells.count", "cells.parts", "cells.numbers", "cells.doubts",
]  # fmt: skip
WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "fewer rows": lambda t: t[:-1],
    "another dimension": lambda t: t[None],
    "another type": lambda t: t.to(torch.float16),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("wrong", list(WRONG))
def test_tensors_that_do_not_fit_are_refused(part: str, wrong: str, saved: Path) -> None:
    if part.startswith("members.0.model") and wrong == "another type":
        pytest.skip("PyTorch takes weights of any type of float")
    rewrite(saved, lambda _, tensors: tensors.update({part: WRONG[wrong](tensors[part])}))
    with pytest.raises(ModelFileError):
        load(saved)


@pytest.mark.parametrize("part", [part for part in PARTS if "model" not in part])
def test_numbers_that_are_none_are_refused(part: str, saved: Path) -> None:
    def forge(_: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        tensor = tensors[part]
        wild = tensor * torch.nan if tensor.is_floating_point() else tensor.long() - 10**6
        tensors[part] = wild

    rewrite(saved, forge)
    with pytest.raises(ModelFileError):
        load(saved)


@pytest.mark.parametrize("part", PARTS)
def test_tensors_that_are_missing_are_refused(part: str, saved: Path) -> None:
    rewrite(saved, lambda _, tensors: tensors.pop(part))
    with pytest.raises(ModelFileError):
        load(saved)


JUNK: Any = [None, True, -1, 0, 7, 10**30, 0.5, "", "normal", [], [0], {}, {"kind": 3}, "9s"]


@pytest.mark.filterwarnings("ignore:X has feature names")
@given(data=st.data())
def test_a_forged_config_gives_an_imputer_that_fills_or_one_of_our_errors(
    data: st.DataObject, original: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = Path(shutil.copytree(original, tmp_path_factory.mktemp("forged") / "m"))

    def forge(config: dict[str, Any], _: dict[str, Tensor]) -> None:
        at: Any = config["imputer"]
        key = data.draw(st.sampled_from(sorted(at)))
        if isinstance(at[key], dict) and data.draw(st.booleans()):
            at, key = at[key], data.draw(st.sampled_from(sorted(at[key])))
        at[key] = data.draw(st.sampled_from(JUNK))

    rewrite(path, forge)
    try:
        loaded = load(path)
        filled = loaded.transform(FRAME)
    except IsthmusError:
        return
    assert len(filled) == len(FRAME)
