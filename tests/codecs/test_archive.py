"""Many images in one file: each comes back by itself, and damage of any byte is seen."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from PIL import Image

from isthmus import Archive, ImageCodec
from isthmus.codecs.models import bundled
from isthmus.coding.coder import Coder
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


class Counting(Coder):
    """Counts what it decodes."""

    decoded = 0

    def decode(self, data: bytes, shape: tuple[int, int, int, int], depth: int) -> Array:
        self.decoded += 1
        return super().decode(data, shape, depth)


def test_images_of_mixed_sizes_are_decoded_once_in_any_order(path: Path) -> None:
    own = ImageCodec(speed="fast")
    own.coder_ = coder = Counting(bundled("fast").predictors)
    images = [smooth(*[(6, 8), (8, 6), (7, 7)][i % 3], seed=i) for i in range(30)]
    Archive.write(path, images, own)
    assert coder.decoded == 3, "to see that what was written is right"
    archive = Archive(path, own)
    for found, expected in zip(archive, images, strict=True):
        same(found, expected)
    assert coder.decoded == 6
    assert sorted(archive.numbers()) == list(range(30))


def test_an_image_that_was_read_is_the_reader_s_own(path: Path) -> None:
    Archive.write(path, digits()[:3], FAST)
    archive = Archive(path, FAST)
    archive[0][:] = 0
    same(archive[0], digits()[0])


def test_an_archive_is_held_in_memory_once(path: Path) -> None:
    Archive.write(path, [Stored(bytes(8 << 20))], FAST)
    tracemalloc.start()
    archive = Archive(path, FAST)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(archive) == 1
    assert most < 1.5 * (8 << 20)


# ------------------------------------------------------------------ files


def drawings(folder: Path) -> list[Path]:
    """Pictures that PNG copies from itself, of one size and of others, beside a photograph."""
    rng = np.random.default_rng(0)
    pattern = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    paths = []
    for i, (rows, columns) in enumerate([(6, 6), (6, 6), (9, 5), (1, 1)]):
        paths.append(folder / f"drawing {i}.png")
        Image.fromarray(np.tile(np.roll(pattern, i), (rows, columns, 1))).save(paths[-1])
    paths.append(folder / "photo.png")
    Image.fromarray(smooth(96, 96, 3)).save(paths[-1])
    return paths


def test_files_that_the_model_would_make_larger_are_stored(tmp_path: Path, path: Path) -> None:
    paths = drawings(tmp_path)
    Archive.write(path, paths, FAST)
    archive = Archive(path, FAST)
    assert archive.names == [file.name for file in paths]
    found = [archive.entry(i) for i in range(5)]
    assert [isinstance(entry, Stored) for entry in found] == [True] * 4 + [False]
    for file, entry in zip(paths[:4], found, strict=False):
        assert entry == Stored(file.read_bytes())
    same(archive[4], smooth(96, 96, 3))


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3)), min_size=1))
def test_an_archive_of_files_is_never_much_larger_than_they_are(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int, int]]
) -> None:
    """64 bytes, and of each file its name and 24."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    for i, (rows, columns, kind) in enumerate(told):
        image = [
            np.zeros((rows, columns), np.uint8),
            smooth(rows, columns),
            np.tile(rng.integers(0, 256, (4, 4)), (rows, columns)).astype(np.uint8),
            rng.integers(0, 256, (rows, columns, 3)).astype(np.uint8),
        ][kind]
        Image.fromarray(image).save(folder / f"{i}.png", dpi=(300, 300) if kind == 1 else None)
    files = list(folder.iterdir())
    most = sum(file.stat().st_size + len(file.name) + 24 for file in files) + 64
    assert Archive.write(folder / "a.ista", files, FAST) <= most


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda paths: [str(p) for p in paths]])
def test_paths_are_read_whatever_they_come_in(tmp_path: Path, kind: Any) -> None:
    for i in range(3):
        Image.fromarray(smooth(20, 30, seed=i)).save(tmp_path / f"{i}.png", dpi=(300, 300))
    files = sorted(tmp_path.iterdir())
    Archive.write(tmp_path / "a.ista", kind(files), FAST)
    archive = Archive(tmp_path / "a.ista", FAST)
    assert archive.names == ["0.png", "1.png", "2.png"]
    same(archive[2], smooth(20, 30, seed=2))
    entry = archive.entry(2)
    assert isinstance(entry, Picture)
    assert (entry.form, bool(entry.notes)) == (1, True)


def test_a_folder_and_one_path_are_read(tmp_path: Path, path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(smooth(20, 30)).save(tmp_path / "in" / "x.png")
    for images in (tmp_path / "in", str(tmp_path / "in" / "x.png")):
        Archive.write(path, images, FAST)
        assert Archive(path, FAST).names == ["x.png"]
    with pytest.raises(DataError, match="there is no file"):
        Archive.write(path, ["no.png"], FAST)


def test_a_stack_of_other_whole_numbers_is_of_one_type(path: Path) -> None:
    images = digits()[:3].astype(np.int64)
    images[1] += 700
    Archive.write(path, images, FAST)
    same(Archive(path, FAST).read(), images.astype(np.uint16))


@pytest.mark.parametrize("name", ["a/b.png", "../x", "..", "", "\ud800.png", "a\\b", "x\0", 3])
def test_a_name_that_no_file_can_have_is_refused(path: Path, name: Any) -> None:
    with pytest.raises(DataError, match="no name for a file"):
        Archive.write(path, digits()[:2], FAST, ["good.png", name])
    with pytest.raises(DataError, match="two images are called"):
        Archive.write(path, digits()[:2], FAST, ["good.png", "good.png"])
    assert not path.exists()


def test_the_longest_names_are_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250 + ".ista")
    Archive.write(path, digits()[:2], FAST)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


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
