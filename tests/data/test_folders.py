from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.core.errors import DataError, EmptyError
from isthmus.data import read, write
from isthmus.data.folders import images_from_paths, read_folder, write_folder


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


def test_images_of_unequal_sizes_are_read_as_they_are(tmp_path):
    small, wide = pictures(1, 4, 6)[0], pictures(1, 4, 7)[0]
    Image.fromarray(small).save(tmp_path / "a.png")
    Image.fromarray(wide).save(tmp_path / "b.png")
    images, paths = read_folder(tmp_path)
    assert [path.name for path in paths] == ["a.png", "b.png"]
    assert images.shape == (2,)
    assert np.array_equal(images[0], small)
    assert np.array_equal(images[1], wide)
    write_folder(tmp_path / "out", list(images), None)
    for read_again, image in zip(read_folder(tmp_path / "out")[0], images, strict=True):
        assert np.array_equal(read_again, image)


@pytest.mark.parametrize(
    ("modes", "channels"),
    [(("L", "RGB"), 3), (("LA", "RGB"), 4), (("L", "LA"), 2), (("RGB", "RGBA", "L", "P"), 4)],
)
def test_a_folder_of_mixed_colour_modes_takes_the_richest(tmp_path, modes, channels):
    for i, mode in enumerate(modes):
        Image.fromarray(pictures(1, 4, 6)[0]).convert(mode).save(tmp_path / f"{i}.png")
    images, _ = read_folder(tmp_path)
    assert images.shape == (len(modes), 4, 6, channels)
    first = pictures(1, 4, 6)[0]
    assert np.array_equal(images[0, ..., 0], first)
    if channels in (2, 4):
        assert (images[0, ..., -1] == 255).all()
    if channels > 2:
        assert np.array_equal(images[0, ..., 2], first)


def test_eight_and_sixteen_bits_are_not_mixed(tmp_path):
    Image.new("L", (6, 4)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"a.png holds uint8 values, b.png uint16. Bring them"):
        read_folder(tmp_path)


def test_a_folder_of_folders_says_where_the_images_are(tmp_path):
    for name in ("cats", "dogs", "notes"):
        (tmp_path / name).mkdir()
    for name in ("cats", "dogs"):
        Image.new("L", (6, 4)).save(tmp_path / name / "a.png")
    (tmp_path / "broken.png").mkdir()
    with pytest.raises(EmptyError, match=r"There are in its folders cats, dogs: give one"):
        read_folder(tmp_path)


def test_paths_of_a_table_are_looked_for_beside_it(tmp_path):
    Image.fromarray(pictures(1, 4, 6)[0]).save(tmp_path / "a.png")
    found = images_from_paths(["a.png", str(tmp_path / "a.png")], base=tmp_path)
    assert np.array_equal(found, np.repeat(pictures(1, 4, 6), 2, axis=0))
    with pytest.raises(DataError, match=r"there is no image .*c\.png"):
        images_from_paths(["a.png", "c.png"], base=tmp_path)


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
    write(tmp_path / "twice", pictures(2, 4, 4), names=["x/a.png", "y/a.png"])
    found = sorted(path.name for path in (tmp_path / "twice").iterdir())
    assert found == ["00000-a.png", "00001-a.png"]
    with pytest.raises(DataError, match="1 names for 2 images"):
        write(tmp_path / "other", pictures(2, 4, 4), names=["a"])
