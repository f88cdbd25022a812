from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.core.errors import DataError, EmptyError, ShapeError
from isthmus.data import read, write


def pictures(n: int = 3, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 2), (5, 4, 3), (5, 4, 4)])
def test_a_folder_of_images_is_read_in_the_order_of_names(tmp_path, shape):
    X = pictures(3, *shape)
    write(tmp_path / "out", X[[2, 0, 1]], names=["in/c.png", "a.jpg", "b"])
    (tmp_path / "out" / "notes.txt").write_text("no image")
    back = read(tmp_path / "out")
    assert [path.name for path in back.paths or []] == ["a.png", "b.png", "c.png"]
    assert np.array_equal(back.X, X)
    assert back.kind == "images"


def test_sixteen_bits_of_grey_survive_and_fractions_become_bytes(tmp_path):
    deep = pictures(2, 5, 4).astype(np.uint16) * 257
    write(tmp_path / "deep", deep)
    assert read(tmp_path / "deep").X.dtype == np.uint16
    assert np.array_equal(read(tmp_path / "deep").X, deep)
    write(tmp_path / "share", pictures(2, 5, 4)[..., None] / 255)
    assert np.array_equal(read(tmp_path / "share").X, pictures(2, 5, 4))
    with pytest.raises(DataError, match="PNG files hold bytes"):
        write(tmp_path / "wild", np.full((2, 5, 4), 1.5))
    assert not (tmp_path / "wild").exists()


@pytest.mark.parametrize(
    ("mode", "shape"), [("1", (4, 6)), ("P", (4, 6, 3)), ("CMYK", (4, 6, 3)), ("L", (4, 6))]
)
def test_unusual_colour_modes_become_grey_or_colour(tmp_path, mode, shape):
    Image.new(mode, (6, 4)).save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif").X.shape == (1, *shape)


def test_a_turned_photograph_is_read_upright(tmp_path):
    upright = pictures(1, 4, 6)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read(tmp_path).X[0], upright)


def test_two_images_that_differ_are_named_with_their_sizes(tmp_path):
    Image.new("L", (6, 4)).save(tmp_path / "a.png")
    Image.new("L", (7, 4)).save(tmp_path / "b.png")
    with pytest.raises(ShapeError, match=r"a.png is 4 x 6 .*, b.png is 4 x 7"):
        read(tmp_path)
    Image.new("RGB", (6, 4)).save(tmp_path / "b.png")
    with pytest.raises(ShapeError, match=r"a.png is 4 x 6 \(grey.*3 channels"):
        read(tmp_path)
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(ShapeError, match=r"grey, uint8.*grey, uint16"):
        read(tmp_path)


def test_an_image_above_the_pixel_limit_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    for limit in (1000, 100):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=f"more than {limit:,} pixels"):
            read(tmp_path)


def test_a_folder_without_images_says_what_was_looked_for(tmp_path):
    with pytest.raises(EmptyError, match=r"no images in .*\.png, \.jpg"):
        read(tmp_path)


def test_images_of_one_stem_keep_apart(tmp_path):
    write(tmp_path / "out", pictures(2, 4, 4), names=["a.jpg", "a.png"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg.png", "a.png.png"]
    with pytest.raises(DataError, match="more than one image is called"):
        write(tmp_path / "twice", pictures(2, 4, 4), names=["x/a.png", "y/a.png"])
    with pytest.raises(DataError, match="1 names for 2 images"):
        write(tmp_path / "twice", pictures(2, 4, 4), names=["a"])
