"""A saved detector: the same to the bit when loaded, or refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from torch import Tensor

from isthmus import AnomalyDetector, Autoencoder, load
from isthmus.core.errors import ModelFileError, TamperedError, TruncatedError
from isthmus.tasks.saving import load_autoencoder
from isthmus.training import directory

CONFIG, WEIGHTS = "config.json", "model.safetensors"
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 2)) @ DRAW.normal(size=(2, 4)) + 0.3 * DRAW.normal(size=(60, 4))
NEW = np.vstack([DRAW.normal(size=(20, 4)), X[:10]])
GAPPY = np.where(DRAW.random(X.shape) < 0.2, np.nan, X)
FRAME = pd.DataFrame(
    {
        "é": X[:, 0],
        "kind": np.where(X[:, 1] > 0, "a", "b"),
        "when": pd.Timestamp("2020-01-01") + pd.to_timedelta((9 * X[:, 2]).round(), unit="D"),
    }
)


def quick(**options: Any) -> AnomalyDetector:
    return AnomalyDetector(**{"epochs": 1, **options})


def wrapping(**options: Any) -> AnomalyDetector:
    return AnomalyDetector(model=Autoencoder(2, epochs=1, **options).fit(X))


SAVED: dict[str, tuple[Callable[[], AnomalyDetector], Any]] = {
    "table": (quick, X),
    "column names and dates": (quick, FRAME),
    "gaps": (quick, GAPPY),
    "sparse": (quick, sp.random_array((60, 4), density=0.4, rng=DRAW, format="csr")),
    "a constant column": (quick, np.c_[X, np.ones(60)]),
    "eight rows": (quick, X[:8]),
    "a value far beyond": (quick, np.where(np.arange(240).reshape(60, 4) == 30, 1e30, X)),
    "anomalies": (lambda: quick(contamination=0.1), X),
    "some anomalies": (lambda: quick(contamination="auto"), X),
    "few rows and many anomalies": (lambda: quick(contamination=0.5), X[:9]),
    "many false alarms": (lambda: quick(false_alarms=0.3), X),
    "options of NumPy's types": (
        lambda: quick(
            contamination=np.float32(0.25), epochs=np.int64(1), random_state=np.int64(3)
        ),
        X,
    ),
    "a random state": (lambda: quick(random_state=np.random.RandomState(0)), X),
    "a model": (wrapping, X),
    "three models": (lambda: wrapping(n_members=3), X),
}  # fmt: skip


@pytest.mark.parametrize("case", list(SAVED))
def test_a_loaded_detector_answers_to_the_bit_as_the_saved_one(case: str, tmp_path: Path) -> None:
    make, data = SAVED[case]
    detector = make().fit(data)
    identity = detector.save(tmp_path / "d")
    loaded = load(tmp_path / "d")
    assert type(loaded) is AnomalyDetector
    new = NEW if data is X else data
    for answer in ("score_samples", "pvalues", "predict", "select", "explain_scores", "reasons"):
        ours, theirs = (getattr(one, answer)(new) for one in (loaded, detector))
        assert_array_equal(np.array(ours, dtype=object), np.array(theirs, dtype=object))
    assert loaded.offset_ == detector.offset_
    assert loaded.weights_ == detector.weights_
    assert loaded.n_features_in_ == detector.n_features_in_
    assert hasattr(loaded, "feature_names_in_") == hasattr(detector, "feature_names_in_")
    assert loaded.save(tmp_path / "again") == identity


@pytest.mark.parametrize("case", ["table", "anomalies"])
def test_a_loaded_detector_is_fitted_and_updated_as_the_saved_one_would_be(
    case: str, tmp_path: Path
) -> None:
    detector = SAVED[case][0]().fit(X)
    detector.save(tmp_path / "d")
    loaded = load(tmp_path / "d")
    ours, theirs = (one.get_params(deep=False) for one in (loaded, detector))
    assert ours == theirs
    assert_array_equal(loaded.update(NEW).pvalues(X), detector.update(NEW).pvalues(X))
    assert_array_equal(loaded.fit(GAPPY).pvalues(NEW), detector.fit(GAPPY).pvalues(NEW))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "d"
    quick().fit(X).save(path)
    return path


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "d"))


def test_whoever_asks_for_an_autoencoder_gets_the_model_of_the_detector(original: Path) -> None:
    expected = load(original).model_
    for found in (load_autoencoder(original), Autoencoder.from_pretrained(original)):
        assert type(found) is Autoencoder
        assert_array_equal(found.transform(NEW), expected.transform(NEW))


def test_a_detector_replaces_a_model_in_its_folder_and_the_other_way_round(saved: Path) -> None:
    plain = Autoencoder(2, epochs=1).fit(X)
    plain.save(saved)
    assert type(load(saved)) is Autoencoder
    quick().fit(X).save(saved)
    assert type(load(saved)) is AnomalyDetector


# ---------------------------------------------------------------------------- attacks


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_truncated_file_is_refused(name: str, saved: Path) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(TruncatedError, match=name.replace(".", r"\.")):
        load(saved)


def test_a_score_that_was_changed_is_refused(saved: Path) -> None:
    content = (saved / WEIGHTS).read_bytes()
    reference = load(saved).known_[7].tobytes()
    assert content.count(reference) == 1
    (saved / WEIGHTS).write_bytes(content.replace(reference, np.float64(1e-3).tobytes()))
    with pytest.raises(TamperedError, match="is not what its identity says"):
        load(saved)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], Any]) -> None:
    """Change config and tensors as someone would who keeps the identity right."""
    _, tensors = directory.load_directory(path)
    config, tensors = json.loads((path / CONFIG).read_text()), dict(tensors)
    change(config, tensors)
    directory.save_directory(path, config, tensors, str)


PARTS = ["rows", "rebuilt", "folds", "kept", "known"]
WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "fewer rows": lambda t: t[:, :-1] if t.ndim == 3 else t[:-1],
    "none": lambda t: t[:0],
    "another dimension": lambda t: t[None],
    "no dimension": lambda t: t.flatten()[0],
    "another type": lambda t: t.to(torch.float16),
    "too large": lambda t: t + 4 if t.dtype == torch.int64 else t * torch.inf,
    "below zero": lambda t: t - 1 if t.dtype == torch.int64 else t * -torch.inf,
    "one NaN": lambda t: t.double().where(t != t.max(), torch.nan).to(t.dtype),
}


CANNOT = {("kept", "one NaN"), ("folds", "one NaN")}


@pytest.mark.parametrize(
    ("part", "wrong"), [pair for pair in product(PARTS, WRONG) if pair not in CANNOT]
)
def test_tensors_that_do_not_fit_are_refused(part: str, wrong: str, saved: Path) -> None:
    name = f"detector.{part}"
    rewrite(saved, lambda _, tensors: tensors.update({name: WRONG[wrong](tensors[name])}))
    sizeless = wrong == "no dimension" and part in ("rows", "rebuilt")
    with pytest.raises(ModelFileError, match="not describe" if sizeless else "do not fit"):
        load(saved)


@pytest.mark.parametrize("part", PARTS)
def test_tensors_that_are_missing_are_refused(part: str, saved: Path) -> None:
    rewrite(saved, lambda _, tensors: tensors.pop(f"detector.{part}"))
    with pytest.raises(ModelFileError):
        load(saved)


@pytest.mark.parametrize(
    "wrong", ["fewer rows", "none", "another dimension", "one NaN", "none left"]
)
def test_bounds_that_are_none_are_refused(wrong: str, saved: Path) -> None:
    def forge(_: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        least = tensors["data.least"]
        tensors["data.least"] = least + torch.inf if wrong == "none left" else WRONG[wrong](least)

    rewrite(saved, forge)
    with pytest.raises(ModelFileError):
        load(saved)


def test_a_detector_that_compares_with_nothing_is_refused(saved: Path) -> None:
    def keep(many: int) -> None:
        kept = torch.arange(60) < many
        rewrite(saved, lambda _, tensors: tensors.update({"detector.kept": kept}))

    for many in (0, 1):
        keep(many)
        with pytest.raises(ModelFileError):
            load(saved)


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no weights": lambda d: d.pop("weights"),
    "a weight left out": lambda d: d["weights"].pop("normal"),
    "a scale that there is not": lambda d: d["weights"].update(log=0.0),
    "weights of nothing": lambda d: d["weights"].update(dict.fromkeys(d["weights"], 0.0)),
    "too much weight": lambda d: d["weights"].update(normal=1.0, range=1.0),
    "weight below zero": lambda d: d["weights"].update(
        normal=-1.0, range=2.0, standard=0.0, spread=0.0
    ),
    "weight in words": lambda d: d["weights"].update(normal="much"),
    "no threshold": lambda d: d.pop("offset"),
    "a threshold in words": lambda d: d.update(offset="low"),
    "a threshold of null": lambda d: d.update(offset=None),
    "no parameters": lambda d: d.pop("parameters"),
    "a rate above one": lambda d: d["parameters"].update(false_alarms=7),
    "neighbours of none": lambda d: d.update(close=[1, 2]),
    "no neighbours": lambda d: d.pop("close"),
    "a share of everything": lambda d: d["parameters"].update(contamination=1.0),
}


@pytest.mark.parametrize("case", list(FORGED))
def test_a_forged_config_is_refused(case: str, saved: Path) -> None:
    rewrite(saved, lambda config, _: FORGED[case](config["detector"]))
    with pytest.raises(ModelFileError):
        load(saved)


def test_a_detector_of_other_members_than_its_model_has_is_refused(saved: Path) -> None:
    def forge(config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        config["estimator"]["parameters"]["n_members"] = 7
        tensors["detector.rebuilt"] = tensors["detector.rebuilt"][[0, 1, 2, 3, 0, 1, 2]]
        tensors["detector.folds"] = torch.arange(len(tensors["detector.folds"])) % 7

    rewrite(saved, forge)
    with pytest.raises(ModelFileError, match="members of the detector"):
        load(saved)


def test_a_detector_of_images_is_refused(saved: Path, tmp_path: Path) -> None:
    images = DRAW.integers(0, 255, (20, 8, 8)).astype(np.uint8)
    Autoencoder(2, epochs=1).fit(images).save(tmp_path / "images")
    described, held = directory.load_directory(saved)

    def forge(config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        config["detector"] = described["detector"]
        tensors |= {name: t for name, t in held.items() if name.startswith("detector.")}
        tensors["detector.rows"] = torch.randn(60, 64)
        tensors["detector.rebuilt"] = torch.randn(2, 60, 64)
        tensors["detector.folds"] = torch.arange(60) % 2

    rewrite(tmp_path / "images", forge)
    with pytest.raises(ModelFileError, match="of a table"):
        load(tmp_path / "images")


JUNK: Any = [None, True, -1, 0, 7, 10**30, 0.5, float("inf"), float("nan"), "", "normal", [], [0]]
JUNK += [{}, {"kind": 3}, "9s"]


@given(data=st.data())
def test_a_config_forged_with_care_gives_a_detector_that_scores_or_one_of_our_errors(
    data: st.DataObject, original: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = Path(shutil.copytree(original, tmp_path_factory.mktemp("forged") / "d"))

    def forge(part: dict[str, Any]) -> None:
        if data.draw(st.booleans()):
            part = part[data.draw(st.sampled_from(["parameters", "weights"]))]
        part[data.draw(st.sampled_from(sorted(part)))] = data.draw(st.sampled_from(JUNK))

    config = json.loads((path / CONFIG).read_text())
    forge(config["detector"])
    config["identity"] = directory.identity(config, (path / WEIGHTS).read_bytes())
    (path / CONFIG).write_text(json.dumps(config))  # where numbers may be infinite
    try:
        loaded = load(path)
    except ModelFileError:
        return
    assert loaded.predict(NEW).shape == loaded.pvalues(NEW).shape
    assert np.isfinite(loaded.decision_function(NEW)).all()
    assert loaded.reasons(NEW)
