from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus.core.errors import DataError, EmptyError, ModelFileError, ShapeError
from isthmus.data import Images, modality_from_state


@st.composite
def images(draw: st.DrawFn) -> Any:
    dtype = draw(st.sampled_from(["uint8", "uint16", "bool", "int64", "float32", "float64"]))
    n, height, width = (draw(st.integers(1, 5)) for _ in range(3))
    channels = draw(st.sampled_from([(), (1,), (2,), (3,), (4,)]))
    elements = None
    if dtype.startswith("float"):
        reach = draw(st.sampled_from([1.0, 1e6]))
        elements = st.floats(-reach, reach, width=32, allow_subnormal=False)
    if dtype == "int64":
        elements = st.integers(0, 300)
    return draw(arrays(dtype, (n, height, width, *channels), elements=elements))


def fitted(X: Any, support: str = "real") -> Images:
    kind = Images()
    kind.fit(X, support)
    return kind


def grey(n: int = 20, height: int = 6, width: int = 5) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (n, height, width), dtype=np.uint8)


@given(images(), st.sampled_from(["real", "unit"]))
def test_images_come_back_as_they_were_given(X, support):
    kind = fitted(X, support)
    x = kind.tensor(X)
    restored = kind.restore(x)
    assert x.shape == (len(X), *kind.shape)
    assert x.dtype == torch.float32
    assert restored.shape == X.shape
    assert restored.dtype == X.dtype
    if X.dtype.kind == "f":
        assert np.abs(restored - X).max() <= np.ptp(kind.range) * 1e-5
    else:
        assert np.array_equal(restored, X)
    if support == "unit":
        assert x.min() >= 0
        assert x.max() <= 1


@given(images(), st.sampled_from(["real", "unit"]))
def test_a_schema_survives_json_exactly(X, support):
    kind = fitted(X, support)
    words, numbers = kind.state()
    again = modality_from_state(json.loads(json.dumps(words)), numbers)
    assert again.state() == kind.state()
    assert torch.equal(again.tensor(X), kind.tensor(X))
    assert np.array_equal(again.restore(kind.tensor(X)), kind.restore(kind.tensor(X)))


def test_pixels_are_standardised_by_one_mean_and_one_scale():
    X = grey()
    x = fitted(X).tensor(X)
    assert float(x.mean()) == pytest.approx(0, abs=1e-6)
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert torch.equal(x.argsort(stable=True), torch.from_numpy(X)[:, None].argsort(stable=True))


def test_bytes_are_divided_by_255_for_a_unit_likelihood_even_where_no_pixel_is_white():
    X = grey() // 2
    assert torch.allclose(fitted(X, "unit").tensor(X)[:, 0], torch.from_numpy(X) / 255)


@pytest.mark.parametrize(
    ("X", "range_"),
    [
        (grey(), (0, 255)),
        (grey().astype("uint16"), (0, 65535)),
        (grey().astype("int64"), (0, 255)),
        (grey() / 510, (0, 1)),
        (np.linspace(-2, 3, 12).reshape(3, 2, 2), (-2, 3)),
        (np.full((2, 3, 3), 7.0), (7, 8)),
    ],
)
def test_the_range_is_that_of_the_type_or_of_the_values(X, range_):
    assert fitted(X).range == range_


def test_what_a_model_says_beyond_black_and_white_is_clipped():
    kind = fitted(grey())
    extremes = torch.tensor([-1e6, 1e6]).reshape(2, 1, 1, 1).expand(2, *kind.shape)
    assert np.unique(kind.restore(extremes)).tolist() == [0, 255]


def test_channels_go_first_inside_and_come_back_last():
    X = np.stack([grey(), grey() // 2, grey() // 4], -1)
    kind = fitted(X, "unit")
    assert kind.shape == (3, 6, 5)
    assert torch.allclose(kind.tensor(X)[:, 1] * 255, torch.from_numpy(grey() // 2).float())
    assert np.array_equal(kind.restore(kind.tensor(X)), X)


def test_another_size_or_depth_is_refused_by_name():
    kind = fitted(np.zeros((2, 28, 28), np.uint8))
    words = "fitted on 28 x 28 grey images, got 32 x 32 grey images"
    with pytest.raises(ShapeError, match=words):
        kind.tensor(np.zeros((2, 32, 32), np.uint8))
    with pytest.raises(ShapeError, match="got 28 x 28 colour images"):
        kind.tensor(np.zeros((2, 28, 28, 3), np.uint8))


def test_grey_images_with_and_without_a_channel_axis_are_the_same():
    kind = fitted(grey())
    assert torch.equal(kind.tensor(grey()[..., None]), kind.tensor(grey()))


def test_bytes_and_fractions_are_not_confused():
    with pytest.raises(DataError, match=r"uint8 images .* 0 to 255, got float64 .* up to 1"):
        fitted(grey()).tensor(np.round(grey() / 255, 2))
    with pytest.raises(DataError, match=r"float64 images .* 0 to 1, got uint8 .* up to 255"):
        fitted(grey() / 255).tensor(np.maximum(grey(), 255))
    same = grey().astype(float)
    assert torch.equal(fitted(grey()).tensor(same), fitted(grey()).tensor(grey()))


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (np.zeros((3, 4)), DataError, r"\(n, height, width\)"),
        (np.zeros((2, 3, 28, 28)), DataError, "Move the channels last"),
        (np.zeros((2, 28, 28, 9)), DataError, "1 to 4 channels"),
        (np.zeros((0, 4, 4)), EmptyError, "no pixel"),
        (np.zeros((2, 0, 4)), EmptyError, "no pixel"),
        (np.full((2, 4, 4), np.nan), DataError, r"32 values .* the first in image 0"),
        ([np.zeros((3, 3)), np.zeros((4, 4))], DataError, "different sizes"),
        (np.array([1e308, -1e308]).reshape(2, 1, 1), DataError, "too far"),
    ],
)
def test_what_is_no_image_is_refused_in_plain_words(X, error, words):
    with pytest.raises(error, match=words):
        fitted(X)


def test_a_gap_or_an_absurd_value_met_later_is_refused():
    X = grey() / 255
    kind = fitted(X)
    with pytest.raises(EmptyError, match="no images"):
        kind.tensor(X[:0])
    X[3, 2, 2] = np.inf
    with pytest.raises(DataError, match=r"1 value .* the first in image 3"):
        kind.tensor(X)
    X[3, 2, 2] = 1e200
    with pytest.raises(DataError, match="Check their units"):
        kind.tensor(X)


def test_a_weight_counts_like_repeated_images():
    weight = np.arange(20) % 3
    weighted = Images()
    weighted.fit(grey(), "real", weight)
    repeated = fitted(np.repeat(grey(), weight, axis=0))
    assert weighted.mean == pytest.approx(repeated.mean)
    assert weighted.deviation == pytest.approx(repeated.deviation)


def test_small_images_suit_a_dense_network_and_large_ones_a_convolution():
    assert fitted(np.zeros((1, 64, 64))).network().kind == "mlp"
    assert fitted(np.zeros((1, 64, 65))).network().kind == "conv"
    assert fitted(grey()).likelihood().kind == "gaussian"


@pytest.mark.parametrize(
    ("name", "value"),
    [("shape", [28, 28]), ("range", [0]), ("dtype", "float999"), ("mean", None), ("shape", None)],
)
def test_a_damaged_schema_is_refused(name, value):
    words, numbers = fitted(grey()).state()
    with pytest.raises(ModelFileError, match="image schema"):
        modality_from_state({**words, name: value}, numbers)
