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
from isthmus.data import Images, Modality, modality_from_state


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
    X = draw(arrays(dtype, (n, height, width, *channels), elements=elements))
    if dtype == "uint8" and channels in ((2,), (4,)):
        X[..., -1] |= 1  # opaque: what lies under full transparency is arbitrary
    return X


def fitted(X: Any, support: str = "real") -> Images:
    kind = Images()
    kind.fit(X)
    kind.suit(support)
    return kind


def tensor(kind: Modality, X: Any) -> torch.Tensor:
    """What the model would see, nothing of it missing."""
    batch = kind.batch(X)
    assert batch.weight is None
    return batch.x


def grey(n: int = 20, height: int = 6, width: int = 5) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (n, height, width), dtype=np.uint8)


@given(images(), st.sampled_from(["real", "unit"]))
def test_images_come_back_as_they_were_given(X, support):
    kind = fitted(X, support)
    x = tensor(kind, X)
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
    assert torch.equal(tensor(again, X), tensor(kind, X))
    assert np.array_equal(again.restore(tensor(kind, X)), kind.restore(tensor(kind, X)))


def test_pixels_are_standardised_by_one_mean_and_one_scale():
    X = grey()
    x = tensor(fitted(X), X)
    assert float(x.mean()) == pytest.approx(0, abs=1e-6)
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert torch.equal(x.argsort(stable=True), torch.from_numpy(X)[:, None].argsort(stable=True))


def test_bytes_are_divided_by_255_for_a_unit_likelihood_even_where_no_pixel_is_white():
    X = grey() // 2
    assert torch.allclose(tensor(fitted(X, "unit"), X)[:, 0], torch.from_numpy(X) / 255)


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
    assert torch.allclose(tensor(kind, X)[:, 1] * 255, torch.from_numpy(grey() // 2).float())
    assert np.array_equal(kind.restore(tensor(kind, X)), X)


def test_another_size_or_depth_is_refused_by_name():
    kind = fitted(np.zeros((2, 28, 28), np.uint8))
    words = "fitted on 28 x 28 grey images, got 32 x 32 grey images"
    with pytest.raises(ShapeError, match=words):
        tensor(kind, np.zeros((2, 32, 32), np.uint8))
    with pytest.raises(ShapeError, match="got 28 x 28 colour images"):
        tensor(kind, np.zeros((2, 28, 28, 3), np.uint8))


def test_grey_images_with_and_without_a_channel_axis_are_the_same():
    kind = fitted(grey())
    assert torch.equal(tensor(kind, grey()[..., None]), tensor(kind, grey()))


def test_bytes_and_fractions_are_not_confused():
    with pytest.raises(DataError, match=r"uint8 images .* 0 to 255, got float64 .* up to 1"):
        tensor(fitted(grey()), np.round(grey() / 255, 2))
    with pytest.raises(DataError, match=r"float64 images .* 0 to 1, got uint8 .* up to 255"):
        tensor(fitted(grey() / 255), np.maximum(grey(), 255))
    same = grey().astype(float)
    assert torch.equal(tensor(fitted(grey()), same), tensor(fitted(grey()), grey()))


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (np.zeros((3, 4)), DataError, r"\(n, height, width\)"),
        (np.zeros((2, 3, 28, 28)), DataError, "Move the channels last"),
        (np.zeros((2, 28, 28, 9)), DataError, "1 to 4 channels"),
        (np.zeros((0, 4, 4)), EmptyError, "no images"),
        ([], EmptyError, "no images"),
        (np.zeros((2, 0, 4)), EmptyError, "no pixel"),
        ([np.zeros((3, 3)), np.zeros((0, 4))], EmptyError, r"no pixel in image 1"),
        ([np.zeros((3, 3)), np.zeros((2, 4, 5))], DataError, r"image 1 has the shape \(2, 4, 5\)"),
        ([np.zeros((3, 3)), np.zeros(4)], DataError, r"image 1 has the shape \(4,\)"),
        (np.full((2, 4, 4), np.nan), EmptyError, "no pixel of any image is known"),
        (np.array([1, np.inf, np.nan, 2]).reshape(2, 1, 2), DataError, "1 value .* in image 0"),
        (np.array([1e308, -1e308]).reshape(2, 1, 1), DataError, "too far"),
    ],
)
def test_what_is_no_image_is_refused_in_plain_words(X, error, words):
    with pytest.raises(error, match=words):
        fitted(X)


def test_an_infinite_or_absurd_value_met_later_is_refused():
    X = grey() / 25
    kind = fitted(X)
    with pytest.raises(EmptyError, match="no images"):
        kind.batch(X[:0])
    X[3, 2, 2] = np.inf
    X[4] = np.nan
    with pytest.raises(DataError, match=r"1 value .* is infinite, the first in image 3"):
        kind.batch(X)
    X[3, 2, 2] = 1e200
    with pytest.raises(DataError, match="Check their units"):
        kind.batch(X)


@given(
    arrays("float64", (3, 4, 5), elements=st.floats(-5, 5)),
    arrays("bool", (3, 4, 5)).filter(lambda gaps: not gaps.all()),
)
def test_a_pixel_that_is_nan_is_missing_and_the_rest_is_as_it_would_be_alone(X, gaps):
    kind, known = Images(), X[~gaps].reshape(-1, 1, 1)
    kind.fit(np.where(gaps, np.nan, X))
    alone = fitted(known)
    assert kind.range == alone.range
    assert kind.mean == pytest.approx(alone.mean)
    assert kind.deviation == pytest.approx(alone.deviation)
    x, weight = kind.batch(np.where(gaps, np.nan, X))[:2]
    weight = torch.ones_like(x) if weight is None else weight
    assert np.array_equal(weight.numpy()[:, 0] == 0, gaps)
    assert not x[weight == 0].any()
    assert torch.equal(x * weight, kind.batch(X * ~gaps).x * weight)


def test_a_pixel_may_be_missing_in_one_channel_only():
    X = np.random.default_rng(0).random((2, 4, 4, 3))
    X[0, 1, 2, 1] = np.nan
    weight = fitted(X).batch(X).weight
    assert weight is not None
    assert weight.shape == (2, 3, 4, 4)
    assert (weight == 0).nonzero().tolist() == [[0, 1, 1, 2]]
    X[0, 1, 2] = np.nan
    whole = fitted(X).batch(X).weight
    assert whole is not None
    assert whole.shape == (2, 1, 4, 4)


@pytest.mark.parametrize("channels", [2, 4])
def test_the_colour_under_full_transparency_changes_nothing(channels):
    rng = np.random.default_rng(0)
    X = rng.integers(1, 256, (3, 4, 5, channels), dtype=np.uint8)
    clear = rng.random((3, 4, 5)) < 0.3
    X[clear, -1] = 0
    other = X.copy()
    other[clear, :-1] = rng.integers(0, 256, (clear.sum(), channels - 1))
    kind = fitted(X)
    assert kind.state() == fitted(other).state()
    x, weight = kind.batch(X)[:2]
    assert weight is not None
    assert torch.equal(x, kind.batch(other).x)
    assert np.array_equal(weight[:, 0].numpy() == 0, clear)
    assert bool((weight[:, -1] == 1).all())


def test_counts_stay_raw():
    X = grey().astype("uint16") * 7
    kind = fitted(X, "count")
    assert torch.equal(tensor(kind, X)[:, 0], torch.from_numpy(X.astype("float32")))
    assert float(kind.scale) == 1
    assert np.array_equal(kind.restore(tensor(kind, X)), X)
    assert np.array_equal(
        kind.restore(torch.full((1, 1, 6, 5), 65535.0)), np.full((1, 6, 5), 65535)
    )
    whole = fitted(X.astype("float64"), "count")
    with pytest.raises(DataError, match="whole numbers from 0 on"):
        whole.batch(X / 2 + 0.25)


@pytest.mark.parametrize("X", [grey() / 255, grey().astype("int64") - 1 - grey().min()])
def test_what_is_no_count_does_not_suit_a_likelihood_of_counts(X):
    with pytest.raises(DataError, match="counts are whole numbers from 0 on"):
        fitted(X, "count")
    with pytest.raises(ValueError, match="images suit one of real, unit, count"):
        fitted(X, "counts")


def test_a_weight_counts_like_repeated_images():
    weight = np.arange(20) % 3
    weighted = Images()
    weighted.fit(grey(), weight)
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


@pytest.mark.parametrize("fitted_on", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("given_as", ["uint8", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("listed", [False, True])
def test_images_without_alpha_are_opaque_in_the_range_of_the_model(fitted_on, given_as, listed):
    colours = np.random.default_rng(0).integers(0, 2, (5, 4, 3, 3))
    colours[0, 0, 0, 0] = 1
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[fitted_on]
    if given_as.startswith("float") and white > 1:
        colours *= 200
    opaque = np.concatenate([colours, np.full((5, 4, 3, 1), white)], -1).astype(fitted_on)
    kind = fitted(opaque)
    X: Any = colours.astype(given_as)
    if listed:
        X = list(X)
    assert torch.equal(kind.batch(X).x, kind.batch(opaque).x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", ["float32", "float64"])
def test_floats_of_0_to_255_are_refused_where_they_were_0_to_1(model, dtype):
    kind = fitted((grey() / 255).astype(model))
    with pytest.raises(DataError, match=r"values from 0 to 1, .* Bring them to the same range"):
        kind.batch(grey().astype(dtype))
    assert kind.batch((grey() / 255 * 1.2).astype(dtype)).x.isfinite().all()
    assert not kind.batch(np.full((2, 6, 5), np.nan, dtype)).x.any()
