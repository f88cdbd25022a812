"""Augmentation: seen and target change alike, what is missing moves along, and runs resume."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from isthmus.core.errors import AbilityError, ShapeError, SpecError
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.parts import CORRUPTIONS

try:
    importlib.import_module("kornia.geometry.transform")
except ImportError:
    KORNIA = False
else:
    KORNIA = True

needs_kornia = pytest.mark.skipif(not KORNIA, reason="kornia is not installed")
EVERYTHING: dict[str, Any] = {
    "flip": "both",
    "rotate": 20,
    "shift": 0.2,
    "zoom": 0.2,
    "brightness": 0.3,
}
WAYS: list[dict[str, Any]] = [{"flip": "both"}, {"brightness": 0.5}]
WAYS += [{"rotate": 30}, {"shift": 0.3}, {"zoom": 0.3}, EVERYTHING] if KORNIA else []
over_ways = pytest.mark.parametrize("options", WAYS, ids=lambda options: "-".join(options))


def images(n: int = 6, channels: int = 2, height: int = 8, width: int = 7) -> Tensor:
    return torch.randn(n, channels, height, width)


def augmented(batch: Batch, seed: int = 0, **options: Any) -> tuple[Batch, Batch]:
    made = CORRUPTIONS.build(Spec("augment", options))
    torch.manual_seed(seed)
    seen, target = made(batch)
    return seen, target


@over_ways
def test_seen_and_target_are_changed_alike(options: dict[str, Any]) -> None:
    batch = Batch(images(64))
    seen, target = augmented(batch, **options)
    assert torch.equal(seen.x, target.x)
    assert seen.x.shape == batch.x.shape
    assert seen.x.isfinite().all()
    changed = (seen.x != batch.x).flatten(1).any(1)
    assert float(changed.float().mean()) > 0.4


@over_ways
def test_the_same_seed_augments_the_same_way(options: dict[str, Any]) -> None:
    batch = Batch(images(), clean=images())
    first, again, other = (augmented(batch, seed, **options)[0] for seed in (1, 1, 2))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.clean, again.clean)  # type: ignore[arg-type]
    assert not torch.equal(first.x, other.x)


@over_ways
def test_what_is_clean_is_changed_like_what_is_not(options: dict[str, Any]) -> None:
    x = images()
    seen, _ = augmented(Batch(x, clean=x.clone()), **options)
    assert seen.clean is not None
    assert torch.equal(seen.clean, seen.x)


@over_ways
def test_in_use_nothing_is_changed(options: dict[str, Any]) -> None:
    batch = Batch(images())
    made = CORRUPTIONS.build(Spec("augment", options)).eval()
    assert made(batch) == (batch, batch)


@over_ways
@pytest.mark.parametrize("value", [0.0, 1e6])
def test_what_stands_where_something_is_missing_changes_nothing(
    options: dict[str, Any], value: float
) -> None:
    x, weight = images(), torch.ones(6, 1, 8, 7)
    weight[:3, :, 5:], weight[2:5, :, :, 4:] = 0, 0
    weight[5, :, 2, 3] = 0
    options = {name: option for name, option in options.items() if name != "brightness"}
    seen, target = augmented(Batch(torch.where(weight > 0, x, value), weight), **options)
    expected, _ = augmented(Batch(x * weight, weight), **options)
    assert seen.weight is not None
    assert torch.equal(seen.weight, expected.weight)  # type: ignore[arg-type]
    assert torch.equal(seen.weight, target.weight)  # type: ignore[arg-type]
    known = seen.weight > 0
    assert known.any()
    assert torch.equal(seen.x.where(known, 0.0), expected.x.where(known, 0.0))


@given(st.integers(1, 8), st.integers(1, 7), st.sampled_from(["horizontal", "vertical", "both"]))
def test_a_small_image_is_mirrored_within_its_own_size(height: int, width: int, flip: str) -> None:
    x, weight = images(16), torch.zeros(16, 1, 8, 7)
    weight[:, :, :height, :width] = 1
    seen, _ = augmented(Batch(x * weight, weight), flip=flip)
    own, _ = augmented(Batch(x[:, :, :height, :width]), flip=flip)
    assert torch.equal(seen.weight, weight)  # type: ignore[arg-type]
    assert torch.equal(seen.x[:, :, :height, :width], own.x)
    assert not seen.x[:, :, height:].any()


def test_about_half_of_the_images_are_mirrored_and_the_others_stay() -> None:
    x = images(400)
    seen, _ = augmented(Batch(x), flip="horizontal")
    mirrored = (seen.x == x.flip(-1)).flatten(1).all(1)
    same = (seen.x == x).flatten(1).all(1)
    assert bool((mirrored | same).all())
    assert 0.4 < float(mirrored.float().mean()) < 0.6


@needs_kornia
@given(st.integers(1, 6), st.integers(1, 6))
def test_images_of_any_size_stay_finite_and_constant_ones_constant(height: int, width: int) -> None:
    x = torch.full((5, 1, height, width), 3.0)
    seen, _ = augmented(Batch(x), rotate=45, shift=0.4, zoom=0.5)
    torch.testing.assert_close(seen.x, x)


@needs_kornia
def test_a_shift_moves_by_the_share_asked_for_at_most() -> None:
    x = torch.zeros(200, 1, 21, 21)
    x[:, :, 10, 10] = 1
    seen, _ = augmented(Batch(x), flip="none", shift=0.2)
    middle = seen.x[:, 0].flatten(1).argmax(1)
    rows, columns = middle // 21 - 10, middle % 21 - 10
    for moved in (rows, columns):
        assert int(moved.abs().max()) == 4
        assert len(moved.unique()) == 9
    assert float((rows.float() * columns.float()).mean().abs()) < 1


@needs_kornia
def test_the_middle_of_a_turned_image_stays() -> None:
    x = torch.zeros(50, 1, 9, 9)
    x[:, :, 4, 4] = 1
    x[:, :, 0, 4] = 1
    seen, _ = augmented(Batch(x), flip="none", rotate=90)
    torch.testing.assert_close(seen.x[:, 0, 4, 4], torch.ones(50), rtol=0, atol=1e-4)
    assert float(seen.x[:, 0, 0, 4].min()) < 0.1


@given(st.floats(0.01, 2))
def test_brightness_stays_within_the_range_of_the_batch(most: float) -> None:
    x = torch.rand(30, 1, 4, 4)
    seen, _ = augmented(Batch(x), flip="none", brightness=most)
    assert float(seen.x.min()) >= float(x.min())
    assert float(seen.x.max()) <= float(x.max())
    assert float((seen.x - x).abs().max()) <= most + 1e-6
    assert len((seen.x - x).flatten(1).abs().amax(1).unique()) > 20


def test_another_corruption_follows_on_what_is_seen_alone() -> None:
    batch = Batch(images())
    seen, target = augmented(batch, then=spec("mask", share=0.5))
    assert seen.weight is not None
    assert torch.equal(seen.x, target.x * seen.weight)
    assert target.weight is None
    assert CORRUPTIONS.build(spec("augment", then=spec("mask"))).hides
    assert not CORRUPTIONS.build(spec("augment", then=spec("noise"))).hides


def test_its_spec_survives_json() -> None:
    asked = spec("augment", flip="both", then=spec("noise", scale=0.5))
    again = Spec.from_json(json.loads(json.dumps(asked.to_json())))
    batch = Batch(images())
    results = []
    for made in (CORRUPTIONS.build(asked), CORRUPTIONS.build(again)):
        torch.manual_seed(0)
        results.append(made(batch)[0].x)
    assert torch.equal(*results)


def test_labels_weights_of_rows_and_conditions_go_along() -> None:
    batch = Batch(images(), torch.rand(6), torch.arange(6), torch.randn(6, 2), torch.arange(6))
    for side in augmented(batch, **WAYS[-1]):
        for name in ("weight", "y", "given", "index"):
            assert torch.equal(getattr(side, name), getattr(batch, name))


def test_rows_of_a_table_are_refused_in_words() -> None:
    with pytest.raises(ShapeError, match=r"needs images .* rows of shape \(5,\)"):
        augmented(Batch(torch.randn(3, 5)))


@pytest.mark.parametrize(
    ("option", "value"),
    [("flip", "sideways"), ("rotate", -1), ("shift", 1.0), ("zoom", 2), ("brightness", -0.1)],
)
def test_what_makes_no_sense_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(SpecError, match=option):
        CORRUPTIONS.build(Spec("augment", {option: value}))


def test_without_kornia_only_its_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "kornia"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(AbilityError, match=r"pip install isthmus\[augment\]"):
        CORRUPTIONS.build(spec("augment", rotate=10))
    CORRUPTIONS.build(spec("augment", flip="both", brightness=0.1))
