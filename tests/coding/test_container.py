"""Whatever happens to compressed bytes, nothing wrong comes out of them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.codecs.images import ImageCodec
from isthmus.coding.checks import number
from isthmus.coding.coder import Coder
from isthmus.coding.container import (
    LARGEST_OVERHEAD,
    PICTURE,
    Picture,
    Stored,
    pack,
    same,
    start_of,
    store,
    unpack,
)
from isthmus.core.errors import CompressedError, NewerError, OtherModelError
from tests.coding.networks import coder
from tests.robustness.compressed import read, seeds
from tests.robustness.mended import mended

MADE = coder(3)
SMALL = Picture(np.arange(63, dtype=np.uint8).reshape(7, 9), 1, b"said")


def find(identity: bytes) -> Coder:
    if MADE.identity.startswith(identity):
        return MADE
    raise OtherModelError("another model")


def test_any_flipped_bit_is_refused() -> None:
    whole = pack(SMALL, MADE)
    for position in range(len(whole) * 8):
        data = bytearray(whole)
        data[position // 8] ^= 1 << position % 8
        with pytest.raises((CompressedError, NewerError)):
            unpack(bytes(data), find)


def test_bytes_cut_short_or_added_are_refused() -> None:
    data = pack(SMALL, MADE)
    for end in range(len(data)):
        with pytest.raises(CompressedError):
            unpack(data[:end], find)
    with pytest.raises(CompressedError, match="1 bytes follow its end"):
        unpack(data + b"\0", find)


def test_absurd_sizes_are_refused_before_there_is_memory_for_them() -> None:
    huge = bytes([0x9B, 0xC0, 2]) + b"\xff\xff\xff\xff\x07" * 2 + bytes(40)
    with pytest.raises(CompressedError, match="values"):
        unpack(huge, find)
    many = bytes([0x9B, 0xC0, 0]) + b"\x80\x80\x01" * 2 + bytes(40)
    with pytest.raises(CompressedError, match=r"in \d+ bytes"):
        unpack(many, find)


def test_a_damaged_header_is_refused_before_anything_is_made_of_its_sizes() -> None:
    """Of 2^30 pixels there are as many as such a file could just hold."""
    began = time.process_time()
    head = start_of(PICTURE) + bytes([0]) + number(1 << 30) + number(1)
    for size, words in ((17_009, "values"), (140_000, "header is damaged")):
        with pytest.raises(CompressedError, match=words):
            unpack(head + bytes(size), find)
    assert time.process_time() - began < 1


def test_pixels_of_another_model_are_refused_even_if_its_name_is_forged() -> None:
    other = coder(3, seed=5)
    with pytest.raises(OtherModelError):
        unpack(pack(SMALL, MADE), lambda _: other)


def test_what_a_newer_version_wrote_is_refused_with_what_to_do() -> None:
    data = bytearray(pack(SMALL, MADE))
    data[1] |= 1 << 2
    with pytest.raises(NewerError, match="Update"):
        unpack(bytes(data), find)


@given(st.binary(max_size=300))
def test_a_stored_file_comes_back_and_is_hardly_larger(content: bytes) -> None:
    data = store(content)
    assert len(data) <= len(content) + LARGEST_OVERHEAD
    assert unpack(data, find) == Stored(content)


def test_a_small_picture_does_not_pay_for_a_header() -> None:
    empty = Picture(np.zeros((28, 28), np.uint8))
    payload = MADE.encode(empty.pixels[None, ..., None], 8)
    assert len(pack(empty, MADE)) - len(payload) <= 13


@given(
    st.integers(0, len(seeds(MADE)) - 1),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
def test_changed_bytes_are_read_right_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    changes: list[tuple[int, int]],
    mend: bool,
) -> None:
    whole = seeds(MADE)[which]
    data = bytearray(whole)
    for place, value in changes:
        data[place % len(data)] = value
    given_ = mended(bytes(data), MADE) if mend else bytes(data)
    codec = ImageCodec()
    codec.coder_ = MADE
    if read(codec, given_, tmp_path_factory.getbasetemp() / "changed.ista") and not mend:
        assert given_ == whole


def test_pictures_are_the_same_only_to_the_bit() -> None:
    assert same(SMALL, Picture(SMALL.pixels.copy(), 1, b"said"))
    assert not same(SMALL, Picture(SMALL.pixels + np.uint8(1), 1, b"said"))
    assert not same(SMALL, Picture(SMALL.pixels.astype(np.uint16), 1, b"said"))
    assert not same(SMALL, Picture(SMALL.pixels.reshape(9, 7), 1, b"said"))
    assert not same(SMALL, Picture(SMALL.pixels, 2, b"said"))
    assert not same(SMALL, Picture(SMALL.pixels, 1, b"else"))
    assert not same(SMALL, Stored(b"said"))
