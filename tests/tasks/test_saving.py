"""A saved estimator: the same to the bit when loaded, or refused by name."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from isthmus import Autoencoder, Phase, Recipe, load, spec
from isthmus.core.errors import (
    AbilityError,
    ModelFileError,
    NewerError,
    SpecError,
    TamperedError,
    TruncatedError,
)
from isthmus.training import directory
from isthmus.training.directory import identity

X = load_digits().data[:300]
IMAGES = (X * 15).reshape(-1, 8, 8).astype(np.uint8)
FRAME = pd.DataFrame(X[:, 10:20], columns=[f"é{i}" for i in range(10)])
SMALL = spec("mlp", widths=(16,))
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


def small(**changes: Any) -> Autoencoder:
    return Autoencoder(**{"latent_dim": 4, "epochs": 2, "network": SMALL, **changes})


def modules() -> dict[str, Any]:
    return {
        "encoder": nn.Sequential(nn.Linear(64, 9), nn.BatchNorm1d(9), nn.Linear(9, 3)),
        "decoder": nn.Linear(3, 64),
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "model"
    small().fit(X).save(path)
    return path


@pytest.fixture
def model(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "model"))


# ---------------------------------------------------------------------------- round trips

SAVED: dict[str, tuple[dict[str, Any], Any]] = {
    "table": ({}, X),
    "column names": ({}, FRAME),
    "linear": ({"recipe": "linear", "network": None}, X),
    "denoising": ({"recipe": "denoising"}, X),
    "variational": ({"recipe": "vae", "prior": spec("normal")}, X),
    "bernoulli": ({"likelihood": "bernoulli", "penalties": [spec("l1", weight=0.1)]}, X),
    "tied, with moving averages": (
        {"network": spec("mlp", widths=(8,), tied=True, normalization="batch", dropout=0.1)},
        X,
    ),
    "own recipe": (
        {"recipe": Recipe(phases=(Phase(beta=0.0, corruption=spec("mask")), Phase(fit=0.5)))},
        X,
    ),
    "images": ({}, IMAGES),
    "convolution": ({"network": spec("conv", widths=(4, 6))}, IMAGES),
    "grid of codes": ({"network": spec("conv", widths=(4,), grid_code=True)}, IMAGES),
    "options of NumPy's types": (
        {
            "network": spec("mlp", widths=np.array([8, 4]), dropout=np.float32(0.25)),
            "latent_dim": np.int64(3),
        },
        X,
    ),
    "a random state": ({"random_state": np.random.RandomState(0)}, X),
    "without validation": ({"validation": 0}, X),
}


@pytest.mark.parametrize("case", list(SAVED))
def test_a_loaded_model_answers_to_the_bit_as_the_saved_one(case: str, tmp_path: Path) -> None:
    parameters, data = SAVED[case]
    ae = small(**parameters).fit(data)
    ae.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert_array_equal(loaded.transform(data), ae.transform(data))
    assert_array_equal(loaded.reconstruct(data), ae.reconstruct(data))
    assert_array_equal(loaded.score_samples(data), ae.score_samples(data))
    if case != "a random state":
        assert_array_equal(loaded.sample(3), ae.sample(3))
    assert list(loaded.get_feature_names_out()) == list(ae.get_feature_names_out())
    same = ("latent_dim_", "history_", "events_", "kept_", "n_iter_", "validation_")
    for name in (*same, "n_features_in_"):
        assert getattr(loaded, name) == getattr(ae, name), name
    assert hasattr(loaded, "feature_names_in_") == hasattr(ae, "feature_names_in_")
    assert loaded.save(tmp_path / "again") == ae.save(tmp_path / "model")


@pytest.mark.parametrize("case", ["table", "variational", "own recipe", "convolution"])
def test_a_loaded_model_is_fitted_again_as_the_saved_one_would_be(
    case: str, tmp_path: Path
) -> None:
    parameters, data = SAVED[case]
    ae = small(**parameters).fit(data)
    ae.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    left_out = ("resume", "verbose")
    ours, theirs = ({k: v for k, v in e.get_params().items() if k not in left_out}
                    for e in (loaded, ae))  # fmt: skip
    assert ours == theirs
    assert_array_equal(loaded.fit(data).transform(data), ae.transform(data))


def test_the_layout_is_that_of_hugging_face(original: Path) -> None:
    assert {file.name for file in original.iterdir()} == {CONFIG, WEIGHTS, CARD}
    assert (original / CARD).read_text().startswith("---\nlibrary_name: isthmus\n")


def test_the_config_is_strict_json(original: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads((original / CONFIG).read_text(), parse_constant=refuse)


def test_the_same_model_has_the_same_identity_and_another_seed_another(tmp_path: Path) -> None:
    ae = small().fit(X)
    name = ae.save(tmp_path / "a")
    assert re.fullmatch("[0-9a-f]{64}", name)
    assert ae.save(tmp_path / "b") == name
    assert small(random_state=1).fit(X).save(tmp_path / "c") != name
    assert name in (tmp_path / "a" / CARD).read_text()


def test_saving_over_a_model_replaces_it(tmp_path: Path) -> None:
    small().fit(IMAGES).save(tmp_path / "model")
    ae = small(recipe="vae", latent_dim=2).fit(X)
    ae.save(tmp_path / "model")
    assert_array_equal(load(tmp_path / "model").transform(X), ae.transform(X))


def test_a_folder_of_the_users_is_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ModelFileError, match="is not a saved model"):
        small().fit(X).save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_path_can_be_a_string_with_a_slash_at_its_end(tmp_path: Path) -> None:
    ae = small().fit(X)
    ae.save(f"{tmp_path}/model/")
    assert_array_equal(load(f"{tmp_path}/model/").transform(X), ae.transform(X))


def test_a_device_that_does_not_exist_is_refused(original: Path) -> None:
    with pytest.raises(SpecError, match="device 'nonsense' is not available"):
        load(original, device="nonsense")


# ---------------------------------------------------------------------------- the card


def card_of(ae: Autoencoder, tmp_path: Path) -> str:
    ae.save(tmp_path / "model")
    return (tmp_path / "model" / CARD).read_text()


def test_the_card_says_how_the_model_compares(tmp_path: Path) -> None:
    ae = small(epochs=20).fit(X)
    assert ae.kept_ == "trained"
    card = card_of(ae, tmp_path)
    plain, ours = ae.validation_["start"], ae.validation_["trained"]
    assert "squared error per value" in card
    assert f"| PCA, the plain method | {plain:.5g} |" in card
    assert f"| after training | {ours:.5g} |" in card
    assert f"lowered the squared error of PCA by {1 - ours / plain:.0%}" in card


def test_the_card_says_when_pca_is_what_was_kept(tmp_path: Path) -> None:
    ae = small(learning_rate=1e-9).fit(X)
    assert ae.kept_ == "start"
    assert "Training did not beat PCA, so PCA is what this model is." in card_of(ae, tmp_path)


def test_the_card_of_a_variational_model_speaks_of_nats(tmp_path: Path) -> None:
    card = card_of(small(recipe="vae", epochs=20).fit(X), tmp_path)
    assert "nats per value" in card
    assert "squared error" not in card


@pytest.mark.parametrize("rate", [1e-9, 1e-2])
def test_the_card_never_calls_a_random_start_pca(rate: float, tmp_path: Path) -> None:
    ae = small(network=None, latent_dim=3, learning_rate=rate, epochs=5, **modules()).fit(X)
    assert "PCA" not in card_of(ae, tmp_path)


def test_the_card_claims_nothing_without_validation(tmp_path: Path) -> None:
    card = card_of(small(validation=0).fit(X), tmp_path)
    assert "No rows were held out" in card
    assert "lowered" not in card


# ---------------------------------------------------------------------------- attacks


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("tenth", range(10))
def test_a_truncated_file_is_refused(name: str, tenth: int, model: Path) -> None:
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: len(content) * tenth // 10])
    with pytest.raises(TruncatedError, match=re.escape(name)):
        load(model)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file_is_refused(name: str, model: Path) -> None:
    (model / name).unlink()
    with pytest.raises(TruncatedError, match=re.escape(name)):
        load(model)


@given(data=st.data())
@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_one_bit_flipped_anywhere_is_refused_or_means_the_same(
    name: str, data: st.DataObject, original: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two spellings of one number, 1e-05 and 1E-05, are one number."""
    path = Path(shutil.copytree(original, tmp_path_factory.mktemp("flipped") / "model"))
    content = bytearray((path / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    (path / name).write_bytes(content)
    try:
        loaded = load(path)
    except ModelFileError:
        return
    assert name == CONFIG
    assert json.loads(content) == json.loads((original / CONFIG).read_text())
    assert_array_equal(loaded.transform(X), load(original).transform(X))


def test_the_config_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    small(random_state=1).fit(X).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / CONFIG, model / CONFIG)
    with pytest.raises(TamperedError, match="is not what its identity says"):
        load(model)


def rewrite(path: Path, change: Any) -> None:
    """Change the config as someone would who keeps its identity right."""
    config = json.loads((path / CONFIG).read_text())
    change(config)
    config["identity"] = identity(config, (path / WEIGHTS).read_bytes())
    (path / CONFIG).write_text(json.dumps(config))


def test_a_newer_model_is_refused(model: Path) -> None:
    rewrite(model, lambda config: config.update(schema=99))
    with pytest.raises(NewerError, match="format version 99, this library reads up to"):
        load(model)


def test_an_older_model_is_upgraded(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(model).transform(X)

    def older(config: dict[str, Any]) -> None:
        config["settings"] = config.pop("recipe")

    def upgrade(config: dict[str, Any]) -> dict[str, Any]:
        config = copy.deepcopy(config)
        config["recipe"] = config.pop("settings")
        return config

    rewrite(model, older)
    with pytest.raises(TamperedError):
        load(model)
    monkeypatch.setattr(directory, "SCHEMA", directory.SCHEMA + 1)
    monkeypatch.setitem(directory.UPGRADES, directory.SCHEMA - 1, upgrade)
    assert_array_equal(load(model).transform(X), expected)


INFINITE, NAN = float("inf"), float("nan")
JUNK: Any = [None, True, -1, 0, 7, 2**31, 10**30, 1.5, INFINITE, NAN, "", "mlp", [], [0], [[-1]]]
JUNK += [{}, {"kind": 3}, {"kind": "zzz"}, {"kind": "mlp", "widths": "wide"}]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = value.items() if isinstance(value, dict) else ()
    items = enumerate(value[:2]) if isinstance(value, list) else items
    return [p for key, inner in items for p in ((*path, key), *places(inner, (*path, key)))]


@given(data=st.data())
def test_a_config_forged_with_care_gives_a_model_or_one_of_our_errors(
    data: st.DataObject, original: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = Path(shutil.copytree(original, tmp_path_factory.mktemp("forged") / "model"))
    config = json.loads((path / CONFIG).read_text())
    for _ in range(3):
        place = data.draw(st.sampled_from([p for p in places(config) if p != ("format",)]))

        def forge(config: Any, place: tuple[Any, ...] = place) -> None:
            for key in place[:-1]:
                config = config[key]
            if data.draw(st.booleans()):
                config[place[-1]] = data.draw(st.sampled_from(JUNK))
            else:
                del config[place[-1]]

        rewrite(path, forge)
        config = json.loads((path / CONFIG).read_text())
        try:
            load(path)
        except (ModelFileError, AbilityError):
            return


def test_a_forged_model_cannot_choose_where_a_later_fit_writes(model: Path, tmp_path: Path) -> None:
    there = tmp_path / "forgers"
    own = {"resume": str(there), "verbose": True, "encoder": "mlp"}
    rewrite(model, lambda config: config["estimator"]["parameters"].update(own))
    loaded = load(model)
    assert (loaded.resume, loaded.verbose, loaded.encoder) == (None, False, None)
    loaded.fit(X)
    assert not there.exists()


class Largest(TorchDispatchMode):
    """Remembers how many values the largest tensor had that was made."""

    values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
        self.values = max([self.values, *sizes])
        return made


LARGE = 3_000_000
CLAIMS: dict[str, dict[str, Any]] = {
    "levels": {
        "likelihood": {
            "kind": "mixed",
            "columns": ["number"] * 63 + ["category"],
            "levels": [0] * 63 + [LARGE],
        }
    },
    "codebook": {"code": {"kind": "vector", "size": LARGE}},
    "rounding": {"code": {"kind": "scalar", "levels": LARGE}},
    "layers": {"network": {"kind": "mlp", "widths": [LARGE, 1]}},
    "many layers": {"network": {"kind": "mlp", "widths": [1] * 10_000}},
}


@pytest.mark.parametrize("claim", list(CLAIMS))
def test_a_config_cannot_claim_more_memory_than_its_weights_fill(claim: str, model: Path) -> None:
    rewrite(model, lambda config: config["recipe"].update(CLAIMS[claim]))
    with Largest() as largest, pytest.raises(ModelFileError, match="more than there are"):
        load(model)
    assert largest.values < LARGE


@pytest.mark.parametrize("data", [X, IMAGES], ids=["table", "images"])
@pytest.mark.parametrize("dtype", ["U2000000", "object", "V9", "datetime64[s]", None, ["f4"]])
def test_a_config_cannot_name_a_type_that_is_not_of_numbers(
    data: Any, dtype: Any, tmp_path: Path
) -> None:
    small().fit(data).save(tmp_path / "model")
    rewrite(tmp_path / "model", lambda config: config["data"]["state"].update(dtype=dtype))
    with pytest.raises(ModelFileError, match="schema cannot be read"):
        load(tmp_path / "model")


def test_rows_of_other_shapes_than_the_data_have_are_refused(tmp_path: Path) -> None:
    small(network=spec("conv", widths=(4,), grid_code=True)).fit(IMAGES).save(tmp_path / "model")
    rewrite(tmp_path / "model", lambda config: config["model"].update(shape=[1, 4000, 4000]))
    with pytest.raises(ModelFileError, match="not those of its data"):
        load(tmp_path / "model")


def test_tensors_that_are_missing_or_of_other_shapes_are_refused(model: Path) -> None:
    _, tensors = directory.load_directory(model)
    config = json.loads((model / CONFIG).read_text())
    for name in tensors:
        forged = [{n: t for n, t in tensors.items() if n != name}]
        if not name.startswith("plain."):
            forged.append({**tensors, name: torch.zeros(3, 2)})
        for held in forged:
            directory.save_directory(model, config, held, str)
            with pytest.raises(ModelFileError):
                load(model)


def test_what_is_no_model_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no model at"):
        load(tmp_path / "nothing")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelFileError, match="is a file; a saved model is a folder"):
        load(tmp_path / "file")
    with pytest.raises(TruncatedError, match=r"has no config\.json"):
        load(tmp_path)


def test_nothing_that_is_saved_is_pickled(original: Path) -> None:
    for file in original.iterdir():
        content = file.read_bytes()
        assert not content.startswith((b"\x80", b"PK\x03\x04")), "a pickle, or a zip of some"
        assert b"torch._utils" not in content
        assert b"ctypes" not in content
