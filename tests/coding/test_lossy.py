"""Coding with loss: numbers come back as they were, pixels as the encoder said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from isthmus.coding.container import LOSSY, Picture, Stored, kind_of, pack, unpack
from isthmus.coding.fixed import QUALITIES, FixedLayer, FixedNetwork
from isthmus.coding.latents import Groups
from isthmus.coding.lossy import LossyCoder
from isthmus.coding.transform import Transform
from isthmus.core.errors import (
    AbilityError,
    CompressedError,
    ModelFileError,
    NewerError,
    OtherModelError,
)
from isthmus.training.transform import before, columns_shown
from tests.coding.exactness import images
from tests.coding.networks import coder, fixed, lossy_coder
from tests.robustness.compressed import seeds
from tests.robustness.mended import mended

GREY = lossy_coder()


def reference(network: FixedNetwork, shown: np.ndarray, quality: int) -> np.ndarray:
    """What a network in fixed point answers, in Python's own whole numbers."""
    inputs = [[128 * int(v) for v in row] for row in shown]
    found = inputs
    for number, layer in enumerate(network.layers):
        last = number == len(network.layers) - 1
        rows = [x + i for x, i in zip(found, inputs, strict=True)] if last and number else found
        found = [
            [
                (sum(int(w) * v for w, v in zip(weight, row, strict=True)) + int(bias))
                >> int(shift)
                for weight, bias, shift in zip(
                    layer.weight, layer.bias[quality], layer.shift, strict=True
                )
            ]
            for row in rows
        ]
        if not last:
            found = [[min(max(v, 0), 65535) for v in row] for row in found]
    return np.array(found)


@pytest.mark.parametrize("widths", [(), (7,), (9, 4)])
def test_a_network_in_fixed_point_computes_whole_numbers(widths: tuple[int, ...]) -> None:
    network = fixed(11, widths, 5, seed=1)
    shown = np.random.default_rng(0).integers(-255, 256, (40, 11)).astype(np.float64)
    for quality in (0, 7):
        assert_array_equal(network(shown, quality), reference(network, shown, quality))
    again = FixedNetwork.from_tensors(network.tensors())
    assert_array_equal(again(shown, 3), network(shown, 3))


def test_a_network_whose_sums_are_not_exact_is_refused() -> None:
    layer = FixedLayer(
        np.full((1, 2), 3, np.int16), np.full((QUALITIES, 1), 2**53), np.zeros(1, np.uint8)
    )
    with pytest.raises(ModelFileError, match=r"2\*\*53"):
        FixedNetwork([layer])
    steps = replace(GREY.transform, steps=np.full_like(GREY.transform.steps, 1 << 16))
    assert steps.channels == 16
    with pytest.raises(ModelFileError, match=r"2\*\*53"):
        replace(GREY.transform, back=np.full_like(GREY.transform.back, 2**30))


def test_layers_that_do_not_fit_are_refused() -> None:
    one, other = fixed(4, (3,), 2, 0).layers, fixed(5, (3,), 2, 0).layers
    with pytest.raises(ModelFileError, match="do not fit"):
        FixedNetwork([one[0], other[1]])
    with pytest.raises(ModelFileError, match="lacks"):
        FixedNetwork.from_tensors({"0.weight": one[0].weight})
    with pytest.raises(ModelFileError, match="do not fit"):
        replace(GREY.transform, mean=GREY.transform.mean[:-1])


@given(st.integers(0, 7), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.data())
@settings(max_examples=25)
def test_any_numbers_come_back(
    quality: int, count: int, rows: int, columns: int, data: st.DataObject
) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    spread = 10.0 ** rng.uniform(-1, 3)
    drawn = rng.normal(0, spread, (count, rows, columns, 16))
    numbers = GREY.latents.fit(np.rint(drawn), quality)
    assert abs(numbers).max() <= 256
    above = GREY.latents.fit(np.rint(drawn[:, -1] * 2), quality)
    for known in (None, above):
        coded = GREY.latents.encode(numbers, quality, known)
        found = GREY.latents.decode(coded, (count, rows, columns), quality, known)
        assert_array_equal(found, numbers)


def test_groups_without_anything_cost_a_byte_together() -> None:
    numbers = np.zeros((1, 9, 9, 16), np.int16)
    assert GREY.latents.encode(numbers, 0) == b"\0"
    assert_array_equal(GREY.latents.decode(b"\0", (1, 9, 9), 0), numbers)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_back_as_the_encoder_said(colours: int, channels: int) -> None:
    model = lossy_coder(colours=colours, places=True)
    pixels = images(3, channels)
    for quality in (1, 8):
        data, shown = model.at(quality).coded(pixels, 8)
        assert_array_equal(model.decode(data, pixels.shape, 8), shown, strict=True)


def test_an_image_of_several_strips_is_as_if_it_were_one() -> None:
    """Its numbers are coded strip by strip, but no border is seen."""
    rng = np.random.default_rng(1)
    waves = np.add.outer(np.sin(np.arange(270) / 9), np.cos(np.arange(4100) / 13)) * 50 + 120
    tall = (waves + rng.normal(0, 2, waves.shape)).clip(0, 255).astype(np.uint8)[None, ..., None]
    model = lossy_coder(patch=8).at(3)
    assert len(model._strips(tall.shape[:3])) == 2
    data, shown = model.coded(tall, 8)
    assert_array_equal(model.decode(data, tall.shape, 8), shown)
    transform = model.transform
    whole = model.latents.fit(
        np.rint(transform.numbers(transform.blocks(tall).astype(np.float32), 2)), 2
    )
    assert_array_equal(transform.pixels(whole, 2)[:, :270, :4100], shown)


def test_a_picture_with_loss_says_so_and_is_checked() -> None:
    picture = Picture(images(1, 3)[0], 1, b"notes")
    model = lossy_coder(colours=3).at(8)
    data = pack(picture, model)
    assert kind_of(data) == LOSSY
    found = unpack(data, lambda _: model)
    assert isinstance(found, Picture)
    assert (found.form, found.notes) == (1, b"notes")
    assert found.pixels.shape == picture.pixels.shape
    assert_array_equal(found.pixels, model.coded(picture.pixels[None], 8)[1][0])


def test_what_cannot_be_coded_with_loss_is_refused_in_words() -> None:
    for pixels in (images(1, 4)[0], images(1, 2)[0], np.zeros((4, 4), np.uint16)):
        with pytest.raises(AbilityError, match="8 bits"):
            pack(Picture(pixels), GREY)


def test_a_model_of_another_kind_is_refused() -> None:
    lossless, picture = coder(1), Picture(images(1, 1)[0, ..., 0])
    with pytest.raises(OtherModelError):
        unpack(pack(picture, GREY), lambda _: lossless)
    with pytest.raises(OtherModelError):
        unpack(pack(picture, lossless), lambda _: GREY)
    other = lossy_coder(seed=9)
    with pytest.raises((OtherModelError, CompressedError)):
        unpack(pack(picture, GREY), lambda _: other)


def test_every_cut_and_every_damaged_byte_is_refused() -> None:
    data = pack(Picture(images(1, 1)[0, :9, :9, 0]), GREY)
    for end in range(len(data)):
        with pytest.raises(CompressedError):
            unpack(data[:end], lambda _: GREY)
    for at in range(2, len(data)):
        for flip in (1, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[at] ^= flip
            with pytest.raises(CompressedError):
                unpack(bytes(damaged), lambda _: GREY)


@given(st.binary(max_size=60), st.integers(1, 20), st.integers(1, 20))
@settings(max_examples=60)
def test_bytes_that_nobody_wrote_are_decoded_to_something_or_refused(
    data: bytes, height: int, width: int
) -> None:
    try:
        found = GREY.decode(data, (1, height, width, 1), 8)
    except CompressedError:
        return
    assert found.shape == (1, height, width, 1)


@given(
    st.integers(0, len(seeds(GREY)) - 1),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
@settings(deadline=None)
def test_changed_files_are_read_right_or_refused(
    which: int, changes: list[tuple[int, int]], mend: bool
) -> None:
    whole = seeds(GREY)[which]
    data = bytearray(whole)
    for place, value in changes:
        data[place % len(data)] = value
    given_ = mended(bytes(data), GREY) if mend else bytes(data)
    try:
        found = unpack(given_, lambda _: GREY)
    except (CompressedError, NewerError):
        return
    if not mend:
        assert given_ == whole
    assert isinstance(found, (Picture, Stored))


def test_absurd_sizes_are_refused_before_there_is_memory_for_them() -> None:
    huge = bytes([0x9B, 0xC3, 2]) + b"\xff\xff\xff\xff\x07" * 2 + bytes(40)
    with pytest.raises(CompressedError, match="values"):
        unpack(huge, lambda _: GREY)
    many = bytes([0x9B, 0xC3, 0]) + b"\x80\x80\x01" * 2 + bytes(40)
    with pytest.raises(CompressedError, match=r"in \d+ bytes"):
        unpack(many, lambda _: GREY)


def test_the_identity_is_of_all_numbers_but_not_of_the_quality() -> None:
    assert GREY.at(2).identity == GREY.identity
    assert lossy_coder(seed=5).identity != GREY.identity
    moved = replace(GREY.transform, level=GREY.transform.level + 1)
    assert LossyCoder(moved, GREY.latents).identity != GREY.identity
    tensors = GREY.transform.tensors()
    assert Transform.from_tensors(4, 1, 5, tensors).tensors().keys() == tensors.keys()


@pytest.mark.parametrize("places", [False, True])
@pytest.mark.parametrize("seen", [2, 24])
def test_what_is_seen_in_training_is_what_is_seen_in_coding(seen: int, places: bool) -> None:
    groups = Groups((1, 2, 3), places, seen)
    numbers = torch.from_numpy(np.random.default_rng(0).integers(-300, 300, (2, 4, 5, 6)))
    cells = np.pad(numbers.numpy().clip(-255, 255), ((0, 0), (1, 1), (1, 1), (0, 0)))
    shown = before(numbers.float(), seen)
    rows, columns = (axis.ravel() for axis in np.mgrid[:4, :5])
    where = torch.from_numpy(np.stack([np.tile(rows, 2), np.tile(columns, 2)], axis=1))
    whole = torch.cat([shown, where.float()], 1).numpy()

    def at(down: int, right: int) -> np.ndarray:
        return cells[:, 1 + down : 5 + down, 1 + right : 6 + right].reshape(40, 6)

    for group, columns_seen in enumerate(columns_shown(groups)):
        there = groups.shown(group, at, [np.tile(rows, 2), np.tile(columns, 2)])
        assert there.shape[1] == groups.n_inputs(group)
        assert_array_equal(whole[:, columns_seen], there)
