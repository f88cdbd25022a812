"""What the user of a Restorer is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus import Restorer, load, spec
from isthmus.core.errors import AbilityError, DataError, ShapeError, SpecError
from tests.tasks.scenes import error, scenes

QUICK: dict[str, Any] = {"epochs": 20, "random_state": 0, "network": spec("unet", widths=(8, 12))}


def lost_half(n: int, size: int = 48) -> Any:
    return np.random.default_rng(2).random((n, size, size)) < 0.5


def faded(images: Any) -> Any:
    return (images // 2 + 90).astype(np.uint8)


@pytest.fixture(scope="module")
def mender() -> Restorer:
    return Restorer("holes", **QUICK).fit(scenes())


def test_holes_are_filled_and_all_else_stays_as_it_is(mender: Restorer):
    clean, lost = scenes(3, seed=9), lost_half(3)
    found = mender.transform(np.where(lost, 77, clean).astype(np.uint8), mask=lost)
    assert np.array_equal(found[~lost], clean[~lost])
    mean = np.where(lost, clean.mean(), clean)
    assert error(found, clean) < 0.1 * error(mean, clean)


def test_what_stands_in_a_hole_changes_nothing(mender: Restorer):
    clean, lost = scenes(2, seed=9), lost_half(2)
    one = mender.transform(np.where(lost, 0, clean).astype(np.uint8), mask=lost)
    other = mender.transform(np.where(lost, 255, clean).astype(np.uint8), mask=lost)
    assert np.array_equal(one, other)


def test_missing_pixels_are_holes(mender: Restorer):
    clean, lost = scenes(2, seed=9).astype(float), lost_half(2)
    found = mender.transform(np.where(lost, np.nan, clean))
    assert np.isfinite(found).all()
    assert np.allclose(found, mender.transform(clean, mask=lost))


def test_an_image_without_holes_comes_back_as_it_is(mender: Restorer):
    clean = scenes(2, seed=9)
    assert np.array_equal(mender.transform(clean), clean)


def test_an_image_that_is_all_hole_is_filled_with_something(mender: Restorer):
    found = mender.transform(np.full((1, 20, 20), np.nan))
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("damage", "factor"), [("scale2", 2), ("scale4", 4)])
def test_images_become_larger_and_better_than_by_interpolation(damage: str, factor: int):
    clean = scenes(12, 64)
    restorer = Restorer(damage, **QUICK).fit(clean)
    assert restorer.factor == factor
    found = restorer.compare(scenes(3, 64, seed=9))
    assert not found.plain_wins, str(found)
    small = scenes(2, 21)
    assert restorer.transform(small).shape == (2, 21 * factor, 21 * factor)


def test_alpha_grows_with_the_image():
    restorer = Restorer("scale2", **{**QUICK, "epochs": 1}).fit(scenes(4, 64))
    image = np.stack([scenes(1, 16)[0], np.arange(256).reshape(16, 16) % 256], axis=-1)
    found = restorer.transform([image.astype(np.uint8)])[0]
    assert found.shape == (32, 32, 2)
    assert np.array_equal(found[::2, ::2, 1], image[..., 1])


def test_blur_is_made_sharper():
    restorer = Restorer(spec("blur", radius=1.5), **QUICK).fit(scenes())
    assert not restorer.compare(scenes(3, seed=9)).plain_wins


def test_pairs_of_damaged_and_clean_images_are_learned_from():
    clean, fresh = scenes(), scenes(2, seed=9)
    restorer = Restorer(None, **QUICK).fit(faded(clean), clean=clean)
    assert error(restorer.transform(faded(fresh)), fresh) < 0.1 * error(faded(fresh), fresh)


def test_a_saved_restorer_answers_to_the_bit(mender: Restorer, tmp_path: Path):
    mender.save(tmp_path / "m")
    found = load(tmp_path / "m")
    clean, lost = scenes(2), lost_half(2)
    again = found.transform(clean, mask=lost)
    assert np.array_equal(again, mender.transform(clean, mask=lost))
    assert found.damage_ == spec("holes")
    with pytest.raises(AbilityError, match="Leave encoder"):
        load(tmp_path / "m", encoder=mender.model_)


def test_what_fits_no_image_is_refused(mender: Restorer):
    clean = scenes(2)
    with pytest.raises(DataError, match="there are 2 images and 1 masks"):
        mender.transform(clean, mask=lost_half(1))
    with pytest.raises(ShapeError, match="the mask of image 0 has the shape"):
        mender.transform(clean, mask=lost_half(2, 40))
    with pytest.raises(SpecError, match="say what shall be undone"):
        Restorer(None).fit(clean)
    with pytest.raises(SpecError, match="must be at most 8"):
        Restorer(spec("downsample", factor=99)).fit(clean)
    enlarger = Restorer("scale2", **{**QUICK, "epochs": 1}).fit(scenes(4, 64))
    with pytest.raises(DataError, match=r"Restorer\(damage='holes'\)"):
        enlarger.transform(clean, mask=lost_half(2))
