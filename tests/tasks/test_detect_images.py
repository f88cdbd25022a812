"""Anomalies among images: found, at a rate that is kept, with the places to blame."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from isthmus import AnomalyDetector, Autoencoder, load
from isthmus.core.errors import (
    AbilityError,
    DataError,
    EmptyError,
    ModelFileError,
    ShapeError,
    SpecError,
)
from isthmus.tasks.image_rows import from_state
from isthmus.tasks.reasons import Region, regions
from isthmus.training import directory
from isthmus.training.directory import understood
from tests.tasks.textures import Array, Backbone, blotched, textured

CONFIG, WEIGHTS = "config.json", "model.safetensors"
ANSWERS = ("score_samples", "pvalues", "predict", "select", "explain_scores", "reasons")
SMALL = (6, 6)
"""Of one patch, so that a fit takes little time."""


def through(backbone: nn.Module | None = None, **options: Any) -> AnomalyDetector:
    """One that looks through a backbone, which takes little time."""
    return AnomalyDetector(encoder=Backbone() if backbone is None else backbone, **options)


def dark(n: int, seed: int) -> Array:
    """Images with a third of the light."""
    return textured(n, seed) // 3


def chess(n: int, seed: int) -> Array:
    """Small images of which every second pixel is black."""
    return textured(n, seed, SMALL) * (np.indices(SMALL).sum(0) % 2).astype(np.uint8)


def listed(size: tuple[int, ...], *sizes: tuple[int, ...], times: int = 6) -> list[Array]:
    """Images of several sizes in turn."""
    return [textured(1, i, size)[0] for i, size in enumerate([size, *sizes] * times)]


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    return AnomalyDetector().fit(textured(120))


@pytest.fixture(scope="module")
def looking() -> AnomalyDetector:
    return through().fit(textured(60))


# ------------------------------------------------------------------ what is found


def test_blotches_are_found_among_textured_images(detector: AnomalyDetector) -> None:
    images = np.concatenate([textured(100, 1), blotched(40, 2)[0]])
    scores = detector.score_samples(images)
    assert roc_auc_score(np.arange(140) < 100, scores) > 0.98
    assert (detector.predict(images[100:]) == -1).mean() > 0.9
    assert detector.select(images)[100:].mean() > 0.9


def test_of_ordinary_images_a_share_as_asked_for_are_alarms(detector: AnomalyDetector) -> None:
    new = detector.pvalues(textured(300, 3))
    assert 0.03 < (new <= 0.1).mean() < 0.19
    assert new.min() > 0
    assert new.max() <= 1
    assert 0.05 < (detector.pvalues(textured(120)) <= 0.1).mean() < 0.15
    assert (detector.predict(textured(300, 3)) == -1).mean() < 0.06


def test_the_place_to_blame_is_where_the_blotch_is(detector: AnomalyDetector) -> None:
    images, middles = blotched(20, 2)
    for found, (x, y) in zip(detector.reasons(images), middles, strict=True):
        worst = found[0]
        assert isinstance(worst, Region)
        assert worst.left <= x < worst.right
        assert worst.top <= y < worst.bottom
        assert (worst.right - worst.left) * (worst.bottom - worst.top) < 250
        assert str(worst) == (
            f"x {worst.left} to {worst.right}, y {worst.top} to {worst.bottom}, "
            f"{worst.unlike:.3g} times as unlike others as usual"
        )


def test_maps_are_as_large_as_their_images_and_about_1_where_all_is_as_usual(
    detector: AnomalyDetector,
) -> None:
    maps = detector.explain_scores(np.concatenate([textured(80, 1), blotched(20, 2)[0]]))
    assert maps.shape == (100, 20, 20)
    assert 0.5 < maps[:80].mean() < 2
    assert (maps[80:].max((1, 2)) > maps[:80].max()).mean() > 0.9


def test_drift_is_told_from_images_as_they_should_be() -> None:
    detector = through(false_alarms=0.05).fit(textured(100))
    ordinary, darker = textured(120, 1), (0.85 * textured(80, 2)).astype(np.uint8)
    assert not detector.drift(ordinary).told
    found = detector.drift(np.concatenate([ordinary, darker]))
    assert found.since is not None
    assert 100 <= found.since < 140


# ------------------------------------------------------------------ regions


def test_regions_come_the_most_unlike_first_and_as_many_as_asked_for() -> None:
    unlike = np.ones((10, 12), np.float32)
    unlike[1:3, 2:5], unlike[6:9, 8:10], unlike[5, 0] = 6, 9, 7
    found = regions(unlike, 5)
    assert found == [Region(8, 10, 6, 9, 9), Region(0, 1, 5, 6, 7), Region(2, 5, 1, 3, 6)]
    assert regions(unlike, 2) == found[:2]


def test_what_is_less_than_half_as_unlike_as_the_worst_or_usual_is_no_region() -> None:
    unlike = np.ones((10, 12), np.float32)
    assert regions(unlike, 3) == regions(1.9 * unlike, 3) == regions(0 * unlike, 3) == []
    unlike[2, 2], unlike[7, 7] = 20, 9
    assert regions(unlike, 3) == [Region(2, 3, 2, 3, 20)]


# ------------------------------------------------------------------ the same


@pytest.mark.parametrize("of", ["patches", "one patch", "a backbone"])
def test_an_image_is_scored_to_the_bit_whatever_else_is_passed(
    of: str, detector: AnomalyDetector, looking: AnomalyDetector
) -> None:
    """Also one fitted on, that is known again only if its row is the same to the bit."""
    size = SMALL if of == "one patch" else (20, 20)
    if of == "one patch":
        detector = AnomalyDetector().fit(textured(20, 0, size))
    elif of == "a backbone":
        detector = looking
    images = np.concatenate([textured(20, 0, size), textured(20, 1, size)])
    scores, maps = detector.score_samples(images), detector.explain_scores(images)
    order = np.random.default_rng(0).permutation(len(images))
    assert_array_equal(detector.score_samples(images[order]), scores[order])
    assert_array_equal([detector.score_samples(one[None])[0] for one in images[::9]], scores[::9])
    assert_array_equal([detector.explain_scores(one[None])[0] for one in images[::9]], maps[::9])


def test_the_same_seed_gives_the_same_detector_to_the_bit(tmp_path: Path) -> None:
    found = []
    for seed in (3, 3, 4):
        AnomalyDetector(random_state=seed).fit(textured(20, 0, SMALL)).save(tmp_path / "d")
        found.append((tmp_path / "d" / WEIGHTS).read_bytes())
    assert found[0] == found[1] != found[2]


def test_images_are_taken_in_whatever_form_people_keep_them(tmp_path: Path) -> None:
    images = textured(12, 0, SMALL)
    paths = [tmp_path / f"{i}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    texts = [str(path) for path in paths]
    detector = AnomalyDetector().fit(images)
    scores, maps = detector.score_samples(images), detector.explain_scores(images)
    forms: list[Any] = [
        list(images),
        [Image.fromarray(image) for image in images],
        paths,
        pd.DataFrame({"path": texts}),
        pl.DataFrame({"path": texts}),
        pd.Series(texts),
        torch.from_numpy(images),
    ]
    for form in forms:
        assert_array_equal(detector.score_samples(form), scores)
        assert_array_equal(detector.explain_scores(form), maps)
    for form in (paths, pl.LazyFrame({"path": texts})):
        assert_array_equal(AnomalyDetector().fit(form).score_samples(images), scores)


# ------------------------------------------------------------------ images of all kinds


DEPTHS: dict[str, Callable[[Array], Array]] = {
    "uint16": lambda x: x.astype(np.uint16) * 257,
    "0 to 1": lambda x: x / 255,
    "0 to 1, single": lambda x: (x / 255).astype(np.float32),
    "with a channel axis": lambda x: x[..., None],
}


@pytest.fixture(scope="module")
def scores_of_bytes() -> Array:
    known, new = depth_images()
    return AnomalyDetector().fit(known).score_samples(new)


def depth_images() -> tuple[Array, Array]:
    """Images to fit on, and some to score of which two are too light."""
    return textured(16, 0, SMALL), np.concatenate(
        [textured(4, 1, SMALL), 255 - textured(2, 2, SMALL) // 4]
    )


@pytest.mark.parametrize("depth", list(DEPTHS))
def test_images_of_any_depth_have_the_scores_of_the_same_in_bytes(
    depth: str, scores_of_bytes: Array
) -> None:
    known, new = (DEPTHS[depth](images) for images in depth_images())
    found = AnomalyDetector().fit(known).score_samples(new)
    assert_allclose(found, scores_of_bytes, rtol=0.02, atol=0.1)


def test_few_patches_are_not_learned_by_heart() -> None:
    """Or new images, which they do not fit as well, would all be alarms."""
    detector = AnomalyDetector().fit(textured(30, 0, SMALL))
    assert (detector.predict(textured(200, 1, SMALL)) == -1).mean() < 0.15


def test_colour_and_unequal_sizes_go_together() -> None:
    sizes = ((16, 20, 3), (20, 16, 3), (18, 18, 3), (4, 20, 3))
    detector = AnomalyDetector().fit(listed(*sizes))
    new = [textured(1, 100 + i, size)[0] for i, size in enumerate(sizes)]
    strange = [image.copy() for image in new]
    for image in strange:
        image[:6, -6:] = (255, 0, 0)
    assert (detector.score_samples(strange) < detector.score_samples(new)).all()
    maps = detector.explain_scores(new)
    assert [one.shape for one in maps] == [image.shape[:2] for image in new]
    for one, image in zip(detector.reasons(strange[:3]), strange[:3], strict=True):
        assert one[0].right == image.shape[1]
    assert_array_equal(
        detector.score_samples(new), [detector.score_samples([image])[0] for image in new]
    )


def test_sizes_never_seen_are_taken_where_sizes_differ_tiny_ones_too() -> None:
    detector = through(Backbone(pooled=True)).fit(listed((9, 12), (12, 9)))
    new = listed((3, 3), (7, 40), (12, 12), times=1)
    assert np.isfinite(detector.score_samples(new)).all()
    assert [one.shape for one in detector.explain_scores(new)] == [one.shape for one in new]


def test_eight_pixels_high_and_wide_are_enough() -> None:
    size = (8, 8)
    detector = AnomalyDetector().fit(textured(24, 0, size))
    strange = textured(10, 2, size)
    strange[:, 2:6, 2:6] = 235
    scores = detector.score_samples(np.concatenate([textured(10, 1, size), strange]))
    assert roc_auc_score(np.arange(20) < 10, scores) > 0.98
    assert detector.explain_scores(strange).shape == (10, 8, 8)


def test_pixels_that_are_missing_are_no_reason_for_an_alarm() -> None:
    known = textured(60, 0, (6, 12)) / 255
    known[::7, 2:4, 3:5] = np.nan
    detector = through().fit(known)
    new = textured(20, 1, (6, 12)) / 255
    gappy = new.copy()
    gappy[:, 1, 2] = np.nan
    assert np.isfinite(detector.explain_scores(gappy)).all()
    assert (detector.predict(gappy) == 1).mean() > 0.8
    assert np.isfinite(detector.score_samples(np.full((1, 6, 12), np.nan))).all()


def test_eight_images_are_enough_and_seven_too_few() -> None:
    images = textured(8, 0, SMALL)
    detector = AnomalyDetector().fit(images)
    assert np.isfinite(detector.score_samples(textured(5, 1, SMALL))).all()
    for few in (7, 1):
        with pytest.raises(DataError, match=f"found {few} rows?, but a detector needs at least 8"):
            AnomalyDetector().fit(images[:few])
    with pytest.raises(EmptyError, match="there are no images"):
        AnomalyDetector().fit(images[:0])


@pytest.mark.parametrize("value", [0.0, 7.5, np.nan])
def test_images_of_one_colour_are_ordinary_and_any_other_is_not(value: float) -> None:
    images = np.full((12, *SMALL), value)
    if np.isnan(value):
        with pytest.raises(DataError):
            AnomalyDetector().fit(images)
        return
    detector = AnomalyDetector().fit(images)
    other = np.where(np.eye(6, dtype=bool), value + 0.5, value)[None]
    assert (detector.predict(images) == 1).all()
    assert_array_equal(detector.predict(other), [-1])
    assert detector.score_samples(other) < detector.score_samples(images[:1])


# ------------------------------------------------------------------ options


def test_anomalies_among_the_images_fitted_on_are_found_where_their_share_is_said() -> None:
    images = np.concatenate([textured(36, 0, SMALL), chess(4, 2)])
    detector = AnomalyDetector(contamination=0.1).fit(images)
    assert_array_equal(np.flatnonzero(detector.predict(images) == -1), np.arange(36, 40))
    assert not detector.kept_[36:].any()


def test_anomalies_among_the_images_fitted_on_do_no_harm_where_their_share_is_not_known() -> None:
    images = np.concatenate([textured(36, 0, SMALL), chess(4, 2)])
    new = np.concatenate([textured(40, 3, SMALL), chess(20, 4)])
    scores = AnomalyDetector(contamination="auto").fit(images).score_samples(new)
    assert roc_auc_score(np.arange(60) < 40, scores) > 0.95


def test_further_images_are_taken_into_account() -> None:
    detector = through().fit(textured(40))
    darker = dark(40, 1)
    before = detector.score_samples(darker[20:])
    assert (detector.predict(darker[20:]) == -1).mean() > 0.9
    assert detector.update(darker[:20]) is detector
    assert len(detector.known_) == 60
    assert (detector.score_samples(darker[20:]) > before).all()
    assert (detector.predict(darker[20:]) == 1).mean() > 0.8


def test_a_backbone_may_answer_by_place_or_of_the_whole_image() -> None:
    for backbone, width in ((Backbone(), 3 * 4 * 16), (Backbone(pooled=True), 3 * 4)):
        detector = through(backbone).fit(textured(30))
        assert detector.n_features_in_ == width
        assert detector.explain_scores(textured(2, 1)).shape == (2, 20, 20)


def test_a_clone_has_a_backbone_of_its_own_that_looks_alike(looking: AnomalyDetector) -> None:
    copied = clone(looking)
    assert isinstance(copied.encoder, Backbone)
    assert copied.encoder is not looking.encoder
    copied.fit(textured(60))
    new = textured(10, 1)
    assert_array_equal(copied.score_samples(new), looking.score_samples(new))


# ------------------------------------------------------------------ what is refused


WRONG_IMAGES: dict[str, tuple[Any, type[Exception], str]] = {
    "another size": (
        textured(3, 0, (20, 24)),
        ShapeError,
        "fitted on 20 x 20 grey images, got 20 x 24 grey images",
    ),
    "colour": (
        textured(3, 0, (20, 20, 3)),
        ShapeError,
        "fitted on 20 x 20 grey images, got 20 x 20 colour images",
    ),
    "several sizes": (
        listed((20, 20), (9, 9), times=1),
        ShapeError,
        "fitted on 20 x 20 grey images, got 9 x 9",
    ),
    "another range": (textured(3) / 255, DataError, "Bring them to the same range"),
    "a table": (np.zeros((3, 400)), DataError, r"images come as an array of shape \(n, height"),
    "a DataFrame": (pd.DataFrame({"a": [1.0], "b": [2.0]}), DataError, "one column, of paths"),
    "one image": (textured(1)[0], DataError, "images come as an array of shape"),
    "no image": (textured(0), EmptyError, "there are no images"),
    "a path to nowhere": (["nowhere.png"], DataError, "there is no image nowhere.png"),
    "infinite": (np.full((1, 20, 20), np.inf), DataError, "infinite"),
}


@pytest.mark.parametrize("answer", ["score_samples", "explain_scores", "reasons", "update"])
@pytest.mark.parametrize("case", list(WRONG_IMAGES))
def test_what_a_detector_of_images_cannot_look_at_is_refused_in_the_users_words(
    case: str, answer: str, looking: AnomalyDetector
) -> None:
    X, error, words = WRONG_IMAGES[case]
    with pytest.raises(error, match=words):
        getattr(looking, answer)(X)


@pytest.mark.parametrize(
    "images", [textured(9), textured(9, 0, (20, 20, 3)), listed((20, 20), (9, 9)), ["a.png"]]
)
def test_images_are_refused_by_a_detector_of_tables(images: Any, tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(20, 5))
    model = Autoencoder(2, epochs=1).fit(table)
    detector = AnomalyDetector(model=model).fit(table)
    for answer in ("score_samples", "explain_scores", "reasons", "drift", "update"):
        with pytest.raises(DataError, match="rows of a table, got images"):
            getattr(detector, answer)(images)
    with pytest.raises(DataError, match="rows of a table, got images"):
        AnomalyDetector(model=model).fit(images)


def test_a_model_of_images_is_refused_whether_passed_or_saved(tmp_path: Path) -> None:
    images = textured(20, 0, SMALL)
    model = Autoencoder(2, epochs=1).fit(images)
    model.save(tmp_path / "m")
    AnomalyDetector().fit(images).save(tmp_path / "d")
    for given_one in (model, tmp_path / "m", str(tmp_path / "m")):
        with pytest.raises(AbilityError, match="Leave model out, or pass a backbone as encoder"):
            AnomalyDetector(model=given_one).fit(images)
    with pytest.raises(AbilityError, match="finds anomalies among images"):
        AnomalyDetector(model=tmp_path / "d").fit(images)


class Wordy(nn.Module):
    """Answers with no tensor."""

    def forward(self, x: Tensor) -> Any:
        return "waves"


class Unsteady(nn.Module):
    """Answers with as many codes as an image is high."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 3))


WRONG_BACKBONES: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "of a table": (Backbone(), np.zeros((20, 3)), SpecError, "but X is a table. Leave encoder out"),
    "no module": (len, textured(9), SpecError, "a torch.nn.Module, got builtin_function"),
    "a class": (Backbone, textured(9), SpecError, "a torch.nn.Module, got type"),
    "of colour": (Backbone(3), textured(9), ShapeError, r"failed on images of shape \(1, 1, 20"),
    "wordy": (Wordy(), textured(9), ShapeError, "it gave str"),
    "of one number": (nn.Flatten(0), textured(9), ShapeError, r"\(n, k\); for .* gave \(400,\)"),
    "not finite": (nn.Threshold(9, torch.nan), textured(9), ShapeError, "are not finite"),
    "unsteady": (Unsteady(), listed((9, 9), (8, 9)), ShapeError, "as many codes for each"),
}


@pytest.mark.parametrize("case", list(WRONG_BACKBONES))
def test_a_backbone_that_cannot_be_looked_through_is_refused(case: str) -> None:
    backbone, X, error, words = WRONG_BACKBONES[case]
    with pytest.raises(error, match=words):
        AnomalyDetector(encoder=backbone).fit(X)


def test_a_model_and_a_backbone_are_refused_together() -> None:
    model = Autoencoder(2, epochs=1).fit(np.random.default_rng(0).normal(size=(20, 5)))
    with pytest.raises(SpecError, match="Pass one of the two"):
        AnomalyDetector(model=model, encoder=Backbone()).fit(textured(9))


# ------------------------------------------------------------------ saved


SAVED: dict[str, Callable[[], tuple[AnomalyDetector, Any]]] = {
    "grey": lambda: (AnomalyDetector(), textured(12, 0, SMALL)),
    "colour, of several sizes": lambda: (
        AnomalyDetector(contamination=0.2),
        listed((5, 6, 3), (6, 4, 3)),
    ),
    "words of 16 bits, through a backbone": lambda: (
        through(Backbone(pooled=True)),
        textured(12, 0, (30, 30)).astype(np.uint16) * 200,
    ),
}


@pytest.mark.parametrize("case", list(SAVED))
def test_a_loaded_detector_of_images_answers_to_the_bit_as_the_saved_one(
    case: str, tmp_path: Path
) -> None:
    detector, images = SAVED[case]()
    identity = detector.fit(images).save(tmp_path / "d")
    loaded = load(tmp_path / "d", encoder=detector.encoder)
    assert loaded.get_params(deep=False) == detector.get_params(deep=False)
    for answer in ANSWERS:
        ours, theirs = (getattr(one, answer)(images) for one in (loaded, detector))
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_array_equal(one, other)
    assert loaded.save(tmp_path / "again") == identity


def test_a_loaded_detector_of_images_is_updated_and_fitted_as_the_saved_one_would_be(
    original: Path,
) -> None:
    known, more, new = (textured(n, seed, SMALL) for seed, n in enumerate((20, 5, 5)))
    loaded, detector = load(original), AnomalyDetector().fit(known)
    for one in (loaded, detector):
        one.update(more)
    assert_array_equal(loaded.score_samples(new), detector.score_samples(new))
    assert_array_equal(loaded.fit(more.repeat(2, 0)).known_, detector.fit(more.repeat(2, 0)).known_)


def test_codes_of_patches_are_saved_to_the_bit(detector: AnomalyDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "d")
    loaded, new = load(tmp_path / "d"), blotched(5, 3)[0]
    assert_array_equal(loaded.score_samples(new), detector.score_samples(new))
    assert loaded.reasons(new) == detector.reasons(new)


def test_a_detector_with_a_backbone_needs_it_to_be_loaded(
    looking: AnomalyDetector, tmp_path: Path
) -> None:
    looking.save(tmp_path / "d")
    for passed in ({}, {"encoder": Backbone(), "decoder": Backbone()}):
        with pytest.raises(AbilityError, match=r"Pass them: load\(path, encoder=\.\.\.\)"):
            load(tmp_path / "d", **passed)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"a torch\.nn\.Module, got str"):
        load(tmp_path / "d", encoder="resnet18")  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match="other weights than the one"):
        load(tmp_path / "d", encoder=Backbone(codes=4))


def test_modules_that_a_detector_does_not_look_through_are_refused(original: Path) -> None:
    with pytest.raises(AbilityError, match="Leave encoder and decoder out"):
        load(original, encoder=Backbone())


def test_the_modules_of_a_wrapped_model_are_no_backbone(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(30, 5))
    own = {"encoder": nn.Linear(5, 2), "decoder": nn.Linear(2, 5)}
    AnomalyDetector(model=Autoencoder(epochs=1, **own).fit(table)).fit(table).save(tmp_path / "d")  # type: ignore[arg-type]
    loaded = load(tmp_path / "d", encoder=own["encoder"], decoder=own["decoder"])
    assert loaded.encoder is None
    loaded.fit(table)


def test_whoever_asks_for_codes_of_images_is_told_that_a_detector_has_none(original: Path) -> None:
    with pytest.raises(AbilityError, match=r"has no codes of them\. Fit a model"):
        Autoencoder.from_pretrained(original)


# ------------------------------------------------------------------ attacks


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "d"
    AnomalyDetector().fit(textured(20, 0, SMALL)).save(path)
    return path


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "d"))


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], Any]) -> None:
    """Change config and tensors as someone would who keeps the identity right."""
    _, tensors = directory.load_directory(path)
    config, tensors = json.loads((path / CONFIG).read_text()), dict(tensors)
    change(config, tensors)
    directory.save_directory(path, config, tensors, str)


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "shorter": lambda t: t[:-1],
    "longer": lambda t: torch.cat([t, t]),
    "none": lambda t: t[:0],
    "another dimension": lambda t: t[None],
    "no dimension": lambda t: t.flatten()[0],
    "narrower": lambda t: t[..., :-1],
    "another type": lambda t: t.double(),
    "NaN": lambda t: t * torch.nan,
    "infinite": lambda t: t * torch.inf,
}
LOOKS = [f"{name}.{part}" for name in ("brightness", "contrast") for part in ("mean", "axes")]
SPREADS = ["brightness.spread", "contrast.spread", "spread"]


@pytest.mark.parametrize("part", [*LOOKS, *SPREADS, "middle"])
def test_tensors_of_how_images_are_looked_at_that_do_not_fit_are_refused(
    part: str, saved: Path
) -> None:
    state, arrays = load(saved).images_.state()

    def refuse(changed: dict[str, Array]) -> None:
        with pytest.raises(ModelFileError), understood(saved):
            from_state(state, changed)

    for change in WRONG.values():
        refuse(arrays | {part: change(torch.from_numpy(arrays[part])).numpy()})
    refuse({name: array for name, array in arrays.items() if name != part})
    name = f"detector.images.{part}"
    rewrite(saved, lambda _, tensors: tensors.update({name: tensors[name][..., :-1]}))
    with pytest.raises(ModelFileError):
        load(saved)


@pytest.mark.parametrize("part", SPREADS)
def test_spreads_of_nothing_are_refused(part: str, original: Path) -> None:
    state, arrays = load(original).images_.state()
    for factor in (0, -1):
        with pytest.raises(ModelFileError, match="spreads of nothing"):
            from_state(state, arrays | {part: factor * arrays[part]})


def test_parts_that_fit_each_other_but_not_the_images_are_refused(saved: Path) -> None:
    def two_channels(config: dict[str, Any], _: dict[str, Tensor]) -> None:
        config["detector"]["images"]["kind"]["shape"] = [2, *SMALL]

    def one_code_less(_: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        for part in ("axes", "spread"):
            name = f"detector.images.contrast.{part}"
            tensors[name] = tensors[name][:-1]

    def finer(_: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        for part in ("middle", "spread"):
            name = f"detector.images.{part}"
            tensors[name] = tensors[name].expand(-1, 4, 4)

    for change in (two_channels, one_code_less, finer):
        path = Path(shutil.copytree(saved, saved.parent / change.__name__))
        rewrite(path, change)
        with pytest.raises(ModelFileError):
            load(path)


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no images": lambda d: d.update(images=None),
    "a list": lambda d: d.update(images=[1]),
    "words": lambda d: d.update(images="all"),
    "nothing said": lambda d: d.update(images={}),
    "no shrink": lambda d: d["images"].pop("shrink"),
    "a huge shrink": lambda d: d["images"].update(shrink=10**30),
    "a shrink of 0": lambda d: d["images"].update(shrink=0),
    "a shrink in words": lambda d: d["images"].update(shrink="3"),
    "a fraction": lambda d: d["images"].update(shrink=1.5),
    "true": lambda d: d["images"].update(shrink=True),
    "a backbone in words": lambda d: d["images"].update(encoder="resnet18"),
    "a backbone of 1": lambda d: d["images"].update(encoder=1),
    "no word of a backbone": lambda d: d["images"].pop("encoder"),
    "a table": lambda d: d["images"]["kind"].update(kind="table"),
    "no kind": lambda d: d["images"].update(kind=None),
    "counts": lambda d: d["images"]["kind"].update(support="count"),
    "no pixels": lambda d: d["images"]["kind"].update(shape=[1, 0, 6]),
    "less than no pixels": lambda d: d["images"]["kind"].update(shape=[1, -6, 6]),
    "nine channels": lambda d: d["images"]["kind"].update(shape=[9, 6, 6]),
    "two sides": lambda d: d["images"]["kind"].update(shape=[6, 6]),
    "no range": lambda d: d["images"]["kind"].update(range=[3, 3]),
    "texts for pixels": lambda d: d["images"]["kind"].update(dtype="U9"),
}


@pytest.mark.parametrize("case", list(FORGED))
def test_a_config_forged_of_how_images_are_looked_at_is_refused(case: str, saved: Path) -> None:
    rewrite(saved, lambda config, _: FORGED[case](config["detector"]))
    with pytest.raises(ModelFileError):
        load(saved)


def test_a_backbone_that_a_file_claims_must_be_passed(saved: Path) -> None:
    rewrite(saved, lambda config, _: config["detector"]["images"].update(encoder=True))
    with pytest.raises(AbilityError, match=r"load\(path, encoder=\.\.\.\)"):
        load(saved)


JUNK: Any = [None, True, -1, 0, 7, 10**30, 0.5, float("inf"), float("nan"), "", "unit", [], [0]]
JUNK += [{}, {"kind": 3}, [10**9, 10**9, 10**9], [1, 10**6, 10**6], "float16", ">u2"]


@given(data=st.data())
def test_a_config_forged_with_care_gives_a_detector_that_looks_or_one_of_our_errors(
    data: st.DataObject, original: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = Path(shutil.copytree(original, tmp_path_factory.mktemp("forged") / "d"))
    config = json.loads((path / CONFIG).read_text())
    part = config["detector"]["images"]
    part = part if data.draw(st.booleans()) else part["kind"]
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(st.sampled_from(JUNK))
    config["identity"] = directory.identity(config, (path / WEIGHTS).read_bytes())
    (path / CONFIG).write_text(json.dumps(config))  # where numbers may be infinite
    try:
        loaded = load(path)
        scores = loaded.score_samples(textured(3, 1, SMALL))
    except (ModelFileError, AbilityError, DataError):
        return
    assert np.isfinite(scores).all()
    assert loaded.explain_scores(textured(3, 1, SMALL)).shape == (3, *SMALL)
