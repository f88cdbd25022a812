"""Image files of every format and colour mode, whole and damaged."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.core.errors import DataError
from isthmus.data import decoding
from isthmus.data.decoding import read_each, read_image

LOSSLESS = ["png", "tif", "bmp", "webp", "gif"]


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray[Any, Any]:
    top = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, top, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_grey_survives_every_lossless_format(tmp_path, ending):
    image = noise(5, 7)
    Image.fromarray(image).save(tmp_path / f"a.{ending}")
    assert np.array_equal(read_image(tmp_path / f"a.{ending}"), image)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "webp"])
def test_colour_survives_every_lossless_format(tmp_path, ending):
    image = noise(5, 7, 3)
    Image.fromarray(image).save(tmp_path / f"a.{ending}", lossless=True)
    assert np.array_equal(read_image(tmp_path / f"a.{ending}"), image)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_photograph_is_read_nearly_as_it_was(tmp_path, mode):
    smooth = np.add.outer(np.arange(40), np.arange(30)).astype(np.uint8) * 3
    Image.fromarray(smooth).convert(mode).save(tmp_path / "a.jpg", quality=95)
    found = read_image(tmp_path / "a.jpg").astype(int)
    assert np.abs(found.reshape(40, 30, -1)[..., 0] - smooth).max() < 12


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_of_grey_are_kept(tmp_path, ending):
    image = noise(5, 7, dtype="uint16")
    Image.fromarray(image).save(tmp_path / f"a.{ending}")
    found = read_image(tmp_path / f"a.{ending}")
    assert found.dtype == np.uint16
    assert np.array_equal(found, image)


def test_fractions_in_a_tiff_are_kept(tmp_path):
    image = np.random.default_rng(0).random((5, 7), dtype=np.float32)
    Image.fromarray(image).save(tmp_path / "a.tif")
    assert np.array_equal(read_image(tmp_path / "a.tif"), image)


@pytest.mark.parametrize(
    ("mode", "name", "shape"),
    [
        ("1", "a.png", (4, 6)),
        ("LA", "a.png", (4, 6, 2)),
        ("RGBA", "a.webp", (4, 6, 4)),
        ("P", "a.png", (4, 6, 3)),
        ("P", "a.gif", (4, 6, 3)),
        ("CMYK", "a.jpg", (4, 6, 3)),
        ("LAB", "a.tif", (4, 6, 3)),
    ],
)
def test_every_colour_mode_becomes_grey_or_colour(tmp_path, mode, name, shape):
    picture = Image.fromarray(noise(4, 6, 4)).convert("RGB" if mode != "RGBA" else "RGBA")
    source = picture.convert("L") if mode in ("1", "LA") else picture
    (source if mode == "LAB" else source.convert(mode)).save(tmp_path / name)
    found = read_image(tmp_path / name)
    assert found.shape == shape
    assert found.dtype == np.uint8


@pytest.mark.parametrize(("mode", "channels"), [("P", 4), ("L", 2), ("RGB", 4)])
def test_a_transparent_colour_becomes_alpha(tmp_path, mode, channels):
    picture = Image.new(mode, (6, 4), 1 if mode != "RGB" else (1, 2, 3))
    if mode == "P":
        picture.putpalette(bytes(range(30)))
    picture.save(tmp_path / "a.png", transparency=1 if mode != "RGB" else (1, 2, 3))
    found = read_image(tmp_path / "a.png")
    assert found.shape == (4, 6, channels)
    assert not found[..., -1].any()


@pytest.mark.parametrize("ending", ["tif", "gif", "webp", "png"])
def test_of_several_pages_or_frames_the_first_is_read(tmp_path, ending):
    pages = [Image.new("RGB", (6, 4), (shade, shade, shade)) for shade in (50, 100, 150)]
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    pages[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=pages[1:], **options)
    assert np.array_equal(read_image(tmp_path / f"a.{ending}"), np.full((4, 6, 3), 50))


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.7])
def test_a_file_cut_short_is_refused_by_name(tmp_path, ending, kept):
    Image.fromarray(noise(40, 50, 3)).save(tmp_path / f"a.{ending}")
    whole = (tmp_path / f"a.{ending}").read_bytes()
    (tmp_path / f"a.{ending}").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(DataError, match=rf"a\.{ending} (cannot be read|is no image)"):
        read_image(tmp_path / f"a.{ending}")


def test_what_only_has_the_ending_of_an_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DataError, match=r"a\.png is no image of a known format"):
        read_image(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"there is no image .*b\.png"):
        read_image(tmp_path / "b.png")
    (tmp_path / "c.png").mkdir()
    with pytest.raises(DataError, match=r"c\.png cannot be read"):
        read_image(tmp_path / "c.png")


@pytest.fixture
def by_threads(monkeypatch):
    monkeypatch.setattr(decoding, "_processors", lambda: 4)
    monkeypatch.setattr(decoding, "SMALLEST_FILE", 0)
    monkeypatch.setattr(decoding, "AHEAD", 16)


@pytest.fixture
def files(tmp_path):
    for i in range(40):
        Image.fromarray(np.full((6, 6 + i % 3), i, np.uint8)).save(tmp_path / f"{i:02}.png")
    return sorted(tmp_path.iterdir())


@pytest.mark.usefixtures("by_threads")
def test_files_decoded_side_by_side_keep_their_order(files):
    images = read_each(files)
    assert [int(image[0, 0]) for image in images] == list(range(40))
    assert all(image.shape == (6, 6 + i % 3) for i, image in enumerate(images))


@pytest.mark.usefixtures("by_threads")
def test_the_first_damaged_file_is_named_and_no_thread_is_left(files):
    for i in (35, 21, 38):
        files[i].write_bytes(files[i].read_bytes()[:50])
    before = list(warnings.filters)
    with pytest.raises(DataError, match=r"21\.png"):
        read_each(files)
    assert not [t for t in threading.enumerate() if t.name.startswith("isthmus-images")]
    assert warnings.filters == before


def test_few_or_small_files_start_no_thread(files, monkeypatch):
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a pool of threads was made")

    monkeypatch.setattr(decoding, "_processors", lambda: 4)
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", refuse)
    assert len(read_each(files)) == 40
    monkeypatch.setattr(decoding, "SMALLEST_FILE", 0)
    assert len(read_each(files[:20])) == 20
    with pytest.raises(AssertionError, match="a pool"):
        read_each(files)
