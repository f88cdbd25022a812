"""Images as rows of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from torch import nn

from isthmus.core.errors import ModelFileError, ShapeError
from isthmus.tasks.image_rows import ImageRows, from_state

Array = NDArray[Any]


def textured(n: int = 30, size: tuple[int, ...] = (28, 28), seed: int = 0) -> Array:
    """Grey images of waves, each at a phase of its own."""
    draws = np.random.default_rng(seed)
    along = np.arange(size[1])[None, None] / 4 + draws.uniform(0, 6, size=(n, 1, 1))
    image = 120 + 60 * np.sin(along) + draws.normal(0, 8, size=(n, *size[:2]))
    image = image if len(size) == 2 else np.repeat(image[..., None], size[2], axis=3)
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (1, 1), (3, 40), (200, 150), (28, 28, 3)])
def test_images_of_any_size_become_rows_of_finite_numbers(size: tuple[int, ...]) -> None:
    images = textured(12, size)
    rows = ImageRows.fit(images).rows(images)
    assert rows.dtype == np.float32
    assert len(rows) == 12
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("size", "threads"),
    [((28, 28), 1), ((6, 6), 1), ((5, 9), 1), ((3, 40), 1), ((119, 119, 3), 2)],
)
def test_a_row_is_the_same_to_the_bit_whatever_other_images_were_passed(
    size: tuple[int, ...], threads: int
) -> None:
    """Or an image fitted on would not be known again, and be called more ordinary than it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        images = textured(8, size)
        looks = ImageRows.fit(images)
        whole, maps = looks.rows(images), looks.unlike(images)
        for i in (0, 5):
            assert_array_equal(looks.rows(images[i : i + 1])[0], whole[i])
            assert_array_equal(looks.unlike(images[i : i + 1])[0], maps[i])
        assert_array_equal(looks.rows(images[::-1]), whole[::-1])
    finally:
        torch.set_num_threads(before)


def test_images_of_several_sizes_have_rows_of_one_length() -> None:
    images = [textured(1, size, seed)[0] for seed, size in enumerate([(40, 50), (50, 40)] * 8)]
    looks = ImageRows.fit(images)
    rows = looks.rows(images)
    alone = looks.rows(images[3:4])
    assert_array_equal(rows[3], alone[0])
    assert [one.shape for one in looks.unlike(images)[:2]] == [(40, 50), (50, 40)]


def test_images_smaller_than_a_patch_go_with_others() -> None:
    images = [textured(1, size, seed)[0] for seed, size in enumerate([(4, 20), (12, 9)] * 6)]
    looks = ImageRows.fit(images)
    for new in (textured(1, (1, 1)), textured(1, (2, 30)), textured(1, (6, 6))):
        assert np.isfinite(looks.rows(new)).all()
        assert looks.unlike(new)[0].shape == new.shape[1:]
    mixed = ImageRows.fit([textured(1, size)[0] for size in [(6, 6), (8, 8)] * 4])
    assert mixed.rows(textured(3, (6, 6))).shape == mixed.rows(textured(3, (8, 8))).shape


def test_what_is_usual_is_one() -> None:
    looks = ImageRows.fit(textured(60))
    for seed in (0, 5):
        assert 0.7 < np.mean(looks.unlike(textured(60, seed=seed))) < 1.4


def test_the_place_that_is_unlike_others_stands_out() -> None:
    looks = ImageRows.fit(textured(60))
    image = textured(1, seed=5)
    image[0, 18:24, 4:10] = 250
    shown = looks.unlike(image)[0]
    assert shown.shape == (28, 28)
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert 14 <= row < 28
    assert 0 <= column < 14
    assert shown.max() > 3 * np.median(looks.unlike(textured(1, seed=6))[0])


def test_pixels_that_are_missing_are_taken_as_the_mean_of_their_image() -> None:
    images = textured(20).astype(float)
    looks = ImageRows.fit(images)
    some = images[:1].copy()
    some[0, 5, 5] = np.nan
    filled = images[:1].copy()
    filled[0, 5, 5] = np.nanmean(some[0])
    assert_allclose(looks.rows(some), looks.rows(filled), atol=1e-4)


@pytest.mark.parametrize(
    "images", [np.zeros((10, 12, 12), np.uint8), np.full((10, 30, 30, 4), 7, np.uint16)]
)
def test_images_of_one_colour_are_no_obstacle(images: Array) -> None:
    looks = ImageRows.fit(images)
    assert np.isfinite(looks.rows(images)).all()
    assert np.isfinite(np.stack(looks.unlike(images))).all()


class Features(nn.Module):
    """A small backbone."""

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        self.layer, self.pooled = nn.Conv2d(1, 5, 3, stride=2), pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.layer(x).relu()
        return maps.mean((2, 3)) if self.pooled else maps


@pytest.mark.parametrize(("pooled", "length"), [(False, 5 * 4 * 16), (True, 5 * 4)])
def test_a_backbone_of_the_users_own_is_looked_through(pooled: bool, length: int) -> None:
    backbone = Features(pooled).train()
    images = textured()
    looks = ImageRows.fit(images, backbone)
    assert looks.rows(images).shape == (30, length)
    assert np.stack(looks.unlike(images)).shape == (30, 28, 28)
    state, arrays = looks.state()
    again = from_state(state, arrays, backbone)
    assert_array_equal(again.rows(images), looks.rows(images))
    assert_array_equal(again.rows(images[3:4])[0], looks.rows(images)[3])
    with pytest.raises(ModelFileError, match="module of its user's own"):
        from_state(state, arrays)


@pytest.mark.parametrize(
    "wrong",
    [
        nn.Flatten(0),
        nn.Identity(),
        nn.Sequential(nn.Flatten(), nn.Linear(784, 2), nn.Threshold(9, torch.nan)),
    ],
)
def test_a_backbone_that_answers_otherwise_is_refused(wrong: nn.Module) -> None:
    if isinstance(wrong, nn.Identity):
        assert ImageRows.fit(textured(), wrong).rows(textured()).shape[1] == 64
        return
    with pytest.raises(ShapeError, match="the encoder"):
        ImageRows.fit(textured(), wrong)


def test_what_was_saved_looks_the_same_to_the_bit() -> None:
    images = textured()
    looks = ImageRows.fit(images)
    again = from_state(*looks.state())
    assert_array_equal(again.rows(images), looks.rows(images))
    assert_array_equal(again.unlike(images[:1])[0], looks.unlike(images[:1])[0])


@pytest.mark.parametrize(
    "name", ["brightness.mean", "brightness.axes", "contrast.spread", "middle", "spread"]
)
def test_saved_parts_that_do_not_fit_are_refused(name: str) -> None:
    state, arrays = ImageRows.fit(textured()).state()
    for wrong in (arrays[name][:-1], arrays[name] * np.float32(np.nan)):
        with pytest.raises(ModelFileError):
            from_state(state, arrays | {name: wrong})
