"""Images of unequal sizes, on one canvas and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isthmus.core.errors import DataError, EmptyError, ShapeError
from isthmus.data import Images, modality_from_state
from isthmus.data.gathering import are_images, as_images

DTYPES = ["uint8", "uint16", "float32", "float64"]


def drawn(sizes: list[tuple[int, int]], channels: tuple[int, ...], dtype: str) -> list[Any]:
    rng = np.random.default_rng(len(sizes))
    whole = [rng.integers(1, 256, (*size, *channels)) for size in sizes]
    return [(image / 255 if "float" in dtype else image).astype(dtype) for image in whole]


@st.composite
def unequal(draw: st.DrawFn) -> list[Any]:
    """Images of which none is far smaller than the canvas."""
    sizes = draw(st.lists(st.tuples(st.integers(3, 6), st.integers(3, 6)), min_size=2, max_size=6))
    channels = draw(st.sampled_from([(), (1,), (2,), (3,), (4,)]))
    return drawn(sizes, channels, draw(st.sampled_from(DTYPES)))


def fitted(X: Any, support: str = "real") -> Images:
    kind = Images()
    kind.fit(X)
    kind.suit(support)
    return kind


@given(unequal(), st.sampled_from(["real", "unit"]))
def test_unequal_sizes_go_in_and_the_same_come_out(X, support):
    kind = fitted(X, support)
    batch = kind.batch(X)
    assert batch.x.shape == (len(X), *kind.shape)
    assert kind.shape[1:] == (max(map(len, X)), max(image.shape[1] for image in X))
    restored = kind.restore(batch.x, X)
    assert len(restored) == len(X)
    for image, back in zip(X, restored, strict=True):
        assert back.shape == image.shape
        assert back.dtype == image.dtype
        assert np.allclose(back, image, rtol=0, atol=1e-5)


@given(unequal())
def test_only_what_an_image_covers_counts(X):
    kind = fitted(X)
    x, weight = kind.batch(X)[:2]
    weight = torch.ones(len(X), 1, *kind.shape[1:]) if weight is None else weight
    assert weight.shape == (len(X), 1, *kind.shape[1:])
    for image, values, known in zip(X, x, weight[:, 0], strict=True):
        height, width = image.shape[:2]
        assert bool((known[:height, :width] == 1).all())
        assert int(known.sum()) == height * width
        assert not (values * (1 - known)).any()
    values = x.permute(0, 2, 3, 1)[weight[:, 0] == 1].double()
    assert float(values.mean()) == pytest.approx(0, abs=1e-5)
    assert float(values.std(correction=0)) == pytest.approx(1, abs=1e-4)


@given(unequal(), st.randoms(use_true_random=False))
def test_an_image_is_the_same_to_the_model_whichever_others_come_along(X, random):
    kind = fitted(X)
    whole = kind.batch(X)
    some = random.sample(range(len(X)), random.randint(1, len(X)))
    part = kind.batch([X[i] for i in some])
    assert torch.equal(part.x, whole.x[some])
    for batch, rows in ((part, slice(None)), (whole, some)):
        if batch.weight is None:
            assert all(X[i].shape[:2] == kind.shape[1:] for i in some)
        else:
            assert batch.weight[rows].sum() == sum(X[i].shape[0] * X[i].shape[1] for i in some)


@given(st.sampled_from([(), (3,)]), st.sampled_from(DTYPES))
def test_a_list_of_one_size_is_the_array_of_them(channels, dtype):
    X = drawn([(4, 5)] * 3, channels, dtype)
    kind, other = fitted(X), fitted(np.stack(X))
    assert kind.state() == other.state()
    assert kind.batch(X).weight is None
    assert torch.equal(kind.batch(X).x, other.batch(np.stack(X)).x)
    assert np.allclose(kind.restore(kind.batch(X).x, X), np.stack(X), rtol=0, atol=1e-6)


@given(unequal())
def test_a_schema_of_unequal_sizes_survives_json_exactly(X):
    kind = fitted(X)
    words, numbers = kind.state()
    again = modality_from_state(json.loads(json.dumps(words)), numbers)
    assert again.state() == kind.state()
    assert torch.equal(again.batch(X).x, kind.batch(X).x)


def test_images_of_one_smaller_size_come_back_as_one_array():
    X = drawn([(6, 4), (4, 6)], (), "uint8")
    kind, small = fitted(X), np.stack(drawn([(5, 3)] * 4, (), "uint8"))
    batch = kind.batch(small)
    assert batch.weight is not None
    assert np.array_equal(kind.restore(batch.x, small), small)
    assert kind.restore(batch.x).shape == (4, 6, 6)


def test_an_image_that_exceeds_the_canvas_is_named_with_what_to_do():
    kind = fitted(drawn([(6, 4), (4, 6)], (), "uint8"))
    words = r"grey images of up to 6 x 6, got 3 x 7 grey images \(image 1\). Resize .* or cut"
    with pytest.raises(ShapeError, match=words):
        kind.batch(drawn([(6, 6), (3, 7)], (), "uint8"))
    one_size = fitted(np.stack(drawn([(6, 4)] * 2, (), "uint8")))
    with pytest.raises(ShapeError, match=r"fitted on 6 x 4 grey images, got 5 x 4 grey"):
        one_size.batch(drawn([(5, 4)], (), "uint8"))


def test_grey_images_serve_a_model_of_colour_but_not_the_other_way():
    colour, grey = drawn([(4, 5)] * 3, (3,), "uint8"), drawn([(4, 5)] * 2, (), "uint8")
    x = fitted(colour).batch(grey).x
    assert x.shape == (2, 3, 4, 5)
    assert torch.equal(x[:, 0], x[:, 2])
    with pytest.raises(ShapeError, match="fitted on 4 x 5 grey images, got 4 x 5 colour"):
        fitted(grey).batch(colour)


def test_sizes_that_differ_wildly_are_refused_with_the_largest_named():
    X = drawn([(4, 4), (4, 4), (40, 3)], (), "uint8")
    with pytest.raises(DataError, match=r"canvas of 40 x 4, 10 times .* image 2, 40 x 3. Resize"):
        fitted(X)


def test_more_canvas_than_memory_is_refused_before_it_is_made():
    one, other = np.zeros((2000, 1500), np.uint8), np.zeros((1500, 2000), np.uint8)
    with pytest.raises(DataError, match=r"100 images .* 2000 x 2000 need 1.5 GiB"):
        fitted([one, other] * 50)


def test_a_weight_counts_like_repeated_images_of_unequal_sizes():
    X = drawn([(6, 4), (4, 6), (5, 5)], (3,), "uint8")
    weighted = Images()
    weighted.fit(X, np.array([2, 1, 0]))
    repeated = fitted([X[0], X[0], X[1]])
    assert weighted.mean == pytest.approx(repeated.mean)
    assert weighted.deviation == pytest.approx(repeated.deviation)


def saved(folder, X):
    for i, image in enumerate(X):
        Image.fromarray(image).save(folder / f"{i}.png")
    return [folder / f"{i}.png" for i in range(len(X))]


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        lambda paths: [str(path) for path in paths],
        lambda paths: np.array([str(path) for path in paths]),
        lambda paths: pd.Series([str(path) for path in paths]),
        lambda paths: pd.DataFrame({"file": [str(path) for path in paths]}),
        lambda paths: pl.DataFrame({"file": [str(path) for path in paths]}),
        lambda paths: pa.table({"file": [str(path) for path in paths]}),
        lambda paths: [Image.open(path) for path in paths],
    ],
    ids=["list", "tuple", "texts", "array", "series", "pandas", "polars", "arrow", "pictures"],
)
@pytest.mark.parametrize("sizes", [[(4, 5)] * 3, [(4, 5), (5, 4), (3, 5)]], ids=["one", "unequal"])
def test_paths_and_pictures_are_read_from_whatever_holds_them(tmp_path, form, sizes):
    X = drawn(sizes, (3,), "uint8")
    given_ = form(saved(tmp_path, X))
    assert are_images(given_)
    for image, found in zip(X, as_images(given_), strict=True):
        assert np.array_equal(image, found)
    assert torch.equal(fitted(given_).batch(given_).x, fitted(X).batch(X).x)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((3, 4)),
        [[1.0, 2.0], [3.0, 4.0]],
        [np.zeros(3), np.zeros(3)],
        pd.DataFrame({"a": [1, 2]}),
        pd.DataFrame({"a": ["x", "y"]}),
        pd.DataFrame({"a": ["x.png"], "b": ["y.png"]}),
        np.array([["a", "b"]], dtype=object),
        [],
    ],
    ids=["array", "lists", "rows", "numbers", "words", "two columns", "texts", "nothing"],
)
def test_a_table_is_not_taken_for_images(X):
    assert not are_images(X)


def test_a_table_of_paths_with_a_gap_or_more_columns_is_refused_in_words():
    with pytest.raises(DataError, match="row 1 has no path, but None"):
        as_images(["a.png", None])
    with pytest.raises(DataError, match="one column, of paths"):
        as_images(pd.DataFrame({"a": ["x.png"], "b": [1]}))
    with pytest.raises(EmptyError, match="no images"):
        as_images(np.array([], dtype=object))


def test_a_mixed_list_becomes_the_richest_mode_and_mixed_depths_are_refused():
    grey, colour = drawn([(4, 5)], (), "uint8")[0], drawn([(4, 5)], (3,), "uint8")[0]
    both = as_images([grey, colour])
    assert both.shape == (2, 4, 5, 3)
    assert np.array_equal(both[0, ..., 1], grey)
    with pytest.raises(DataError, match="image 0 holds uint8 values, image 1 float64"):
        as_images([grey, colour / 255])
