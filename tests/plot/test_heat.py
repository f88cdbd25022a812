"""Where images are unlike others, as a tint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from isthmus.plot import heat, heat_maps

DRAWS = np.random.default_rng(0)
GREY = DRAWS.integers(20, 220, (6, 8)).astype(np.uint8)
USUAL = np.ones((6, 8))


def redness(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    return picture[..., 0].astype(np.int64) - picture[..., 2]


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY / 255,
        GREY.astype(np.uint16) * 257,
        GREY.astype(float) - 1000,
        GREY > 99,
        GREY[..., None],
        np.dstack([GREY, GREY, GREY]),
    ],
)
def test_an_image_of_any_range_spans_black_to_light_grey_where_all_is_usual(image: Any) -> None:
    picture = heat(image, USUAL)
    assert picture.dtype == np.uint8
    assert picture.shape == (6, 8, 3)
    assert not redness(picture).any()
    assert picture.min() == 0
    assert 220 <= picture.max() < 255
    order = np.argsort(np.asarray(image, float).reshape(48, -1)[:, 0], kind="stable")
    assert (np.diff(picture.reshape(48, 3)[order, 0].astype(int)) >= 0).all()


def test_the_tint_is_the_deeper_the_more_unlike_up_to_a_limit() -> None:
    unlike = USUAL.copy()
    unlike[2, 1:6] = [1.4, 4, 10, 20, 1000]
    found = redness(heat(np.full((6, 8), 0.5), unlike))[2, 1:6]
    assert found[0] == 0
    assert 0 < found[1] < found[2] < found[3] == found[4]
    assert not np.delete(redness(heat(GREY, unlike)), 2, axis=0).any()


@pytest.mark.parametrize("value", [0, 7, 255, np.nan])
def test_an_image_of_one_colour_is_drawn_without_a_warning(value: float) -> None:
    picture = heat(np.full((6, 8), value), USUAL)
    assert (picture == picture[0, 0]).all()


def test_transparency_and_missing_pixels_are_no_brightness() -> None:
    opaque = np.dstack([GREY, GREY, GREY, np.full((6, 8), 255, np.uint8)])
    clear = np.dstack([GREY, GREY, GREY, np.zeros((6, 8), np.uint8)])
    assert_array_equal(heat(opaque, USUAL), heat(clear, USUAL))
    assert_array_equal(heat(np.dstack([GREY, GREY // 2]), USUAL), heat(GREY, USUAL))
    gappy = GREY.astype(float)
    gappy[0, 0] = np.nan
    assert_array_equal(heat(gappy, USUAL)[0, 0], [0, 0, 0])


def test_each_image_is_drawn_with_its_name_whatever_its_size_and_twelve_at_most() -> None:
    images = [GREY, GREY[:4], np.dstack([GREY] * 3)] * 5
    names = [f"$part_{i}$" for i in range(15)]
    drawing = heat_maps(images, [np.ones(image.shape[:2]) for image in images], names)
    assert [ax.get_title(loc="left") for ax in drawing.axes] == names[:12]
    assert [np.asarray(ax.images[0].get_array()).shape for ax in drawing.axes[:3]] == [
        (6, 8, 3),
        (4, 8, 3),
        (6, 8, 3),
    ]
    drawing.canvas.draw_idle()


def test_no_images_are_drawn_as_nothing() -> None:
    assert heat_maps([], [], []).axes == []


def test_one_image_is_no_larger_than_among_others() -> None:
    one, many = (heat_maps([GREY] * n, [USUAL] * n, ["a"] * n) for n in (1, 4))
    assert one.get_figwidth() == pytest.approx(many.get_figwidth() / 4)
    assert one.get_figheight() == pytest.approx(many.get_figheight())
