"""Many images in one file: each comes back by itself, and damage of any byte is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from isthmus import Archive, ImageCodec
from isthmus.coding.container import Picture, Stored
from isthmus.core.errors import CompressedError, DataError, EmptyError, NewerError, OtherModelError
from tests.codecs.samples import Array, codec, digits, smooth

FAST = ImageCodec(speed="fast")


def same(found: Array, expected: Array) -> None:
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected, strict=True)


MIXED = [
    smooth(9, 13),
    smooth(9, 13, seed=1),
    smooth(9, 13, 3),
    smooth(20, 5, deep=True),
    smooth(9, 13, deep=True),
    smooth(1, 1),
    smooth(4, 4, 2),
    smooth(4, 4, 4, deep=True),
    smooth(9, 13, seed=2),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ista"


# ------------------------------------------------------------------ there and back


def test_images_of_one_size_come_back_as_an_array(path: Path) -> None:
    for images in (digits()[:30], np.stack([smooth(8, 9, 3, seed=i) for i in range(5)])):
        assert Archive.write(path, images, FAST) == path.stat().st_size
        same(Archive(path, FAST).read(), images)


def test_images_of_all_sizes_and_depths_come_back_in_their_order(path: Path) -> None:
    Archive.write(path, MIXED, FAST)
    archive = Archive(path, FAST)
    assert len(archive) == len(MIXED)
    for found, expected in zip(archive, MIXED, strict=True):
        same(found, expected)
    whole = archive.read()
    assert whole.dtype == object
    for found, expected in zip(whole, MIXED, strict=True):
        same(found, expected)


def test_images_of_one_size_and_two_depths_keep_their_depths(path: Path) -> None:
    images = [smooth(9, 13), smooth(9, 13, deep=True)]
    Archive.write(path, images, FAST)
    for found, expected in zip(Archive(path, FAST).read(), images, strict=True):
        same(np.asarray(found), expected)


def test_any_image_is_read_by_itself_from_either_end(path: Path) -> None:
    Archive.write(path, MIXED, FAST)
    archive = Archive(path, FAST)
    for i in (8, 3, -1, 0, -9, 2):
        same(archive[i], MIXED[i])
    for i in (9, -10):
        with pytest.raises(IndexError):
            archive[i]


def test_large_images_come_back(path: Path) -> None:
    images = [smooth(300, 260), smooth(300, 260, seed=1), smooth(30, 26)]
    Archive.write(path, images, FAST)
    archive = Archive(path, FAST)
    for i in (1, 0, 2):
        same(archive[i], images[i])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([np.uint8, np.uint16]),
            st.sampled_from([(1, 1), (3, 5), (5, 3), (3, 5, 3), (2, 2, 2), (3, 5, 4)]),
        ).flatmap(lambda told: arrays(*told)),
        min_size=1,
        max_size=6,
    )
)
def test_any_pixels_come_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, images: list[Array]
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.ista"
    Archive.write(path, images, FAST)
    for found, expected in zip(Archive(path, FAST), images, strict=True):
        same(found, expected)


def test_names_are_kept(path: Path) -> None:
    names = ["zwei.png", "eins", "Größe 3.tif"]
    Archive.write(path, digits()[:3], FAST, names)
    assert Archive(path, FAST).names == names
    Archive.write(path, digits()[:3], FAST)
    assert Archive(path, FAST).names is None


def test_files_that_are_stored_and_notes_of_pictures_are_kept(path: Path) -> None:
    entries = [
        Stored(b"some text"),
        Picture(smooth(5, 5), 1, b"said"),
        Stored(b""),
        Picture(smooth(5, 5, seed=1)),
        Picture(smooth(6, 5), 3),
    ]
    Archive.write(path, entries, FAST, list("abcde"))
    archive = Archive(path, FAST)
    for i, expected in enumerate(entries):
        found = archive.entry(i)
        assert type(found) is type(expected)
        if isinstance(found, Picture) and isinstance(expected, Picture):
            same(found.pixels, expected.pixels)
            assert (found.form, found.notes) == (expected.form, expected.notes)
        else:
            assert found == expected


def test_small_images_take_far_fewer_bytes_together(path: Path) -> None:
    images = digits()[:200]
    alone = sum(len(FAST.compress(image)) for image in images)
    assert Archive.write(path, images, FAST) < 0.85 * alone


def test_the_same_images_make_the_same_bytes(path: Path) -> None:
    Archive.write(path, MIXED, FAST)
    before = path.read_bytes()
    Archive.write(path, MIXED, FAST)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


# ------------------------------------------------------------------ damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small archive with images of two sizes, a stored file, notes and names."""
    path = tmp_path_factory.mktemp("whole") / "a.ista"
    entries = [
        Picture(smooth(5, 7), 1, b"said"),
        Stored(b"some text"),
        Picture(smooth(5, 7, seed=1)),
        Picture(smooth(4, 3, 3, deep=True)),
    ]
    Archive.write(path, entries, FAST, list("abcd"))
    return path.read_bytes()


def read_all(path: Path, data: bytes) -> list[Any]:
    path.write_bytes(data)
    archive = Archive(path, FAST)
    return [archive.entry(i) for i in range(len(archive))]


@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_a_damaged_byte_anywhere_is_refused(whole: bytes, path: Path, flip: int) -> None:
    assert len(read_all(path, whole)) == 4
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= flip
        with pytest.raises((CompressedError, NewerError)):
            read_all(path, bytes(data))


def test_a_file_cut_short_anywhere_or_with_more_behind_it_is_refused(
    whole: bytes, path: Path
) -> None:
    for length in range(len(whole)):
        with pytest.raises(CompressedError):
            read_all(path, whole[:length])
    with pytest.raises(CompressedError):
        read_all(path, whole + b"\0")


def test_what_damage_did_not_reach_is_still_read(whole: bytes, path: Path) -> None:
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    archive = Archive(path, FAST)
    same(archive[0], smooth(5, 7))
    with pytest.raises(CompressedError):
        archive.entry(1)
    assert archive.entry(3)


def test_an_archive_of_another_model_is_refused_in_words(whole: bytes, path: Path) -> None:
    own = codec(epochs=1).fit(digits()[:60])
    path.write_bytes(whole)
    with pytest.raises(OtherModelError, match="bundled model"):
        Archive(path, own)
    Archive.write(path, digits()[:3], own)
    with pytest.raises(OtherModelError, match="another model"):
        Archive(path, FAST)
    same(Archive(path, own).read(), digits()[:3])


def test_one_image_is_no_archive_and_an_archive_no_image(whole: bytes, path: Path) -> None:
    path.write_bytes(FAST.compress(smooth(5, 5)))
    with pytest.raises(CompressedError, match="not an archive"):
        Archive(path, FAST)
    with pytest.raises(CompressedError, match="archive"):
        FAST.decompress(whole)


def test_a_missing_file_is_told_in_words(path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        Archive(path, FAST)


# ------------------------------------------------------------------ what is not written


@pytest.mark.parametrize(
    "image",
    [
        np.ones((4, 4)),
        np.ones((4, 4), bool),
        np.full((4, 4), -1),
        np.full((4, 4), -1, np.int8),
        np.full((4, 4), 2**16),
        np.ones(4, np.uint8),
        np.ones((4, 4, 5), np.uint8),
        np.ones((0, 4), np.uint8),
        None,
    ],
    ids=["floats", "bools", "negative", "int8", "large", "line", "channels", "empty", "none"],
)
def test_what_is_no_image_of_whole_numbers_is_refused_in_words(path: Path, image: Any) -> None:
    with pytest.raises(DataError, match="image 1"):
        Archive.write(path, [smooth(4, 4), image], FAST)
    assert not path.exists()


def test_whole_numbers_of_another_type_are_taken_where_they_fit(path: Path) -> None:
    Archive.write(path, digits()[:3].astype(np.int64), FAST)
    assert_array_equal(Archive(path, FAST).read(), digits()[:3])


def test_one_channel_is_grey(path: Path) -> None:
    Archive.write(path, digits()[:3, ..., np.newaxis], FAST)
    same(Archive(path, FAST).read(), digits()[:3])


def test_no_images_and_names_of_others_are_refused_in_words(path: Path) -> None:
    with pytest.raises(EmptyError, match="no images"):
        Archive.write(path, [], FAST)
    with pytest.raises(DataError, match="2 names for 3 images"):
        Archive.write(path, digits()[:3], FAST, ["a", "b"])
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(CompressedError, match="cannot write"):
        Archive.write(tmp_path / "no" / "a.ista", digits()[:2], FAST)
