"""Any pixels come back as they were, whatever a network expects of them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.coding.integers import EXACT, IntegerNetwork, Layer
from isthmus.coding.mixture import tables
from isthmus.coding.neighbourhood import Neighbourhood
from isthmus.coding.tiles import Chunks
from isthmus.coding.wavefront import Sheared, rows_at
from isthmus.core.errors import CompressedError, ModelFileError
from isthmus.training.pixels import PixelSource
from tests.coding.networks import coder, network

SIDES = st.integers(1, 14)


@given(
    count=st.integers(1, 4),
    height=SIDES,
    width=SIDES,
    channels=st.integers(1, 4),
    depth=st.sampled_from([8, 9, 12, 16]),
    planes=st.sampled_from([1, 3]),
    slope=st.integers(2, 4),
    seed=st.integers(0, 99),
)
def test_any_pixels_come_back(
    count: int,
    height: int,
    width: int,
    channels: int,
    depth: int,
    planes: int,
    slope: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    top = 2 ** rng.integers(1, depth + 1)
    images = rng.integers(0, top, (count, height, width, channels)).astype(np.uint16)
    made = coder(planes, seed, slope, places=bool(seed % 2))
    again = made.decode(made.encode(images, depth), images.shape, depth)
    assert np.array_equal(again, images)


@given(st.binary(max_size=40), st.integers(1, 8), st.integers(1, 8))
def test_any_bytes_are_decoded_or_refused(data: bytes, height: int, width: int) -> None:
    try:
        found = coder(1).decode(data, (1, height, width, 1), 8)
    except CompressedError:
        return
    assert found.shape == (1, height, width, 1)
    assert found.max() < 256


def test_a_network_whose_sums_could_be_rounded_is_refused() -> None:
    n = 300
    wide = Layer(
        np.full((1, n), EXACT // (255 * n) + 1, np.int16),
        np.zeros(1, np.int32),
        np.zeros(1, np.uint8),
    )
    with pytest.raises(ModelFileError, match=r"2\*\*24"):
        IntegerNetwork([wide])


def test_a_network_answers_like_whole_numbers_do() -> None:
    made = network(20, 16, 3, seed=1)
    rng = np.random.default_rng(0)
    shown = rng.integers(-255, 256, (20, 500))
    x = shown.astype(np.int64)
    hidden, last = made.layers
    x = np.clip((hidden.weight.astype(np.int64) @ x + hidden.bias[:, None]) >> 6, 0, 255)
    x = (last.weight.astype(np.int64) @ np.concatenate([x, shown]) + last.bias[:, None]) >> 6
    assert np.array_equal(made(shown.astype(np.float32)), x)


def test_the_tables_are_the_same_everywhere() -> None:
    found = hashlib.sha256(b"".join(table.astype("<i4").tobytes() for table in tables()))
    assert found.hexdigest() == "40336965490faf530742006e4134becf915b841ec13bf1941708f8b151c2fdb9"


@given(st.integers(1, 3), st.integers(1, 700), st.integers(1, 2500))
def test_tiles_cover_every_pixel_once(count: int, height: int, width: int) -> None:
    seen = np.zeros((count, height, width), np.uint8)
    chunks = Chunks(count, height, width)
    assert len(list(chunks)) == len(chunks)
    for chunk in chunks:
        tiles = chunk.cut(seen)
        assert tiles.shape == chunk.shape
        chunk.put(seen, tiles + 1)
    assert (seen == 1).all()


def test_chunks_of_absurd_sizes_are_counted_at_once_and_made_one_by_one() -> None:
    for count, height, width in ((1, 1 << 30, 1), (1, 1, 1 << 30), (1 << 40, 1024, 65536)):
        chunks = Chunks(count, height, width)
        last = chunks[len(chunks) - 1]
        assert len(last.corners) * last.rows * last.columns <= 1 << 20
        top, left = last.corners[-1]
        assert (top + last.rows, left + last.columns) == (height, width)


@given(SIDES, SIDES, st.integers(2, 4), st.integers(0, 99))
def test_training_sees_what_coding_sees(height: int, width: int, slope: int, seed: int) -> None:
    """Beyond the sides of an image too."""
    rng = np.random.default_rng(seed)
    planes = rng.integers(0, 256, (2, height, width)).astype(np.uint8)
    hood = Neighbourhood(20, 13, 1, slope)
    source = PixelSource([tuple(planes)], hood, 8)
    shown = source.pixels(np.arange(source.n)).shown.numpy()
    lines = [Sheared(1, height, width, hood.margins, slope) for _ in planes]
    for line, plane in zip(lines, planes, strict=True):
        line.fill(plane[None])
    for step in range(lines[0].steps):
        low, high = rows_at(step, height, width, slope)
        if low >= high:
            continue
        own = lines[1].neighbours(hood.own_offsets, step, 1, low, high)
        other = lines[0].neighbours(hood.other_offsets, step, 1, low, high)
        found = hood.features(own, [other], None, 8)[0]
        rows = np.arange(low, high)
        assert np.array_equal(found, shown[:, rows * width + step - slope * rows])


@given(SIDES, SIDES, st.integers(2, 4))
def test_a_plane_filled_step_by_step_is_as_one_filled_at_once(
    height: int, width: int, slope: int
) -> None:
    plane = np.random.default_rng(height).integers(0, 256, (2, height, width))
    hood = Neighbourhood(20, 13, 1, slope)
    whole, steps = (Sheared(2, height, width, hood.margins, slope) for _ in range(2))
    whole.fill(plane)
    for step in range(steps.steps):
        low, high = rows_at(step, height, width, slope)
        if low < high:
            rows = np.arange(low, high)
            steps.put(step, low, high, plane[:, rows, step - slope * rows].T)
    assert np.array_equal(steps.lines, whole.lines)
    assert np.array_equal(steps.planes(), plane)
