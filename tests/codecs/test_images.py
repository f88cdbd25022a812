"""Images to bytes and back: to the bit, or not at all."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from PIL import Image
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from sklearn.base import clone

from isthmus import Autoencoder, ImageCodec, load
from isthmus.coding.integers import IntegerNetwork, Layer
from isthmus.core.errors import (
    AbilityError,
    CompressedError,
    DataError,
    EmptyError,
    IsthmusError,
    ModelFileError,
    NewerError,
    NotFittedError,
    OtherModelError,
    SpecError,
    TamperedError,
    TrainingError,
    TruncatedError,
)
from isthmus.tasks.saving import load_autoencoder
from isthmus.training.directory import CONFIG, WEIGHTS, identity
from tests.codecs.samples import (
    STEPS,
    Array,
    codec,
    colours,
    ctrl_c,
    digits,
    fit_and_save,
    smooth,
)
from tests.training.runs import started, wait_for_states

REFUSED = (CompressedError, NewerError)
"""What damage of a byte leads to; that of the version says to update."""
FAST = ImageCodec(speed="fast")
SHAPES = [(1, 1), (1, 7), (7, 1), (5, 3), (33, 41), (2, 700), (700, 2), (16, 16)]


def same(found: Array, expected: Array) -> None:
    """To the bit, of one type and shape."""
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected, strict=True)


def without_seconds(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in history]


@pytest.fixture(scope="module")
def fitted() -> ImageCodec:
    """A codec of grey digits."""
    return ImageCodec(speed="fast", epochs=6, random_state=0).fit(digits()[:900])


@pytest.fixture(scope="module")
def undisturbed() -> ImageCodec:
    """A codec of colours, fitted in one go."""
    return codec().fit(colours())


@pytest.fixture
def saved(fitted: ImageCodec, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "digits.model")
    return tmp_path / "digits.model"


# ------------------------------------------------------------------ there and back


@pytest.mark.parametrize("speed", ["best", "fast"])
@pytest.mark.parametrize("deep", [False, True], ids=["uint8", "uint16"])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)], ids=["grey", "alpha", "rgb", "rgba"])
def test_every_kind_of_image_comes_back_to_the_bit(
    channels: tuple[int, ...], deep: bool, speed: str
) -> None:
    model = ImageCodec(speed=speed)
    for shape in SHAPES:
        image = smooth(*shape, *channels, deep=deep)
        same(model.decompress(model.compress(image)), image)


@given(
    st.tuples(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 24), st.integers(1, 24)),
        st.sampled_from([(), (2,), (3,), (4,)]),
    ).flatmap(lambda told: arrays(told[0], (*told[1], *told[2])))
)
def test_any_pixels_come_back_to_the_bit(image: Array) -> None:
    same(FAST.decompress(FAST.compress(image)), image)


@pytest.mark.parametrize("value", [0, 1, 255, 256, 2**12, 2**16 - 1])
def test_the_ends_of_each_range_come_back(value: int) -> None:
    for dtype in (np.uint8, np.uint16):
        if value <= np.iinfo(dtype).max:
            image = np.zeros((9, 9), dtype)
            image[::2, 1::3] = value
            same(FAST.decompress(FAST.compress(image)), image)


def test_a_large_image_which_is_cut_into_tiles_comes_back() -> None:
    for shape in ((300, 290), (259, 1030), (70, 1100, 3)):
        image = smooth(*shape)
        same(FAST.decompress(FAST.compress(image)), image)


def test_a_flat_image_takes_next_to_nothing() -> None:
    image = np.full((512, 512), 200, np.uint8)
    data = FAST.compress(image)
    assert len(data) < image.size / 50
    same(FAST.decompress(data), image)


def test_strides_and_byte_orders_do_not_matter() -> None:
    image = smooth(40, 30, deep=True)
    for view in (image[::-1, ::2], image.T, image.astype(">u2"), np.asfortranarray(image)):
        found = FAST.decompress(FAST.compress(view))
        same(found, np.ascontiguousarray(view).astype(np.uint16))
        assert FAST.compress(view) == FAST.compress(found)


def test_an_image_is_not_touched() -> None:
    image = smooth(20, 20, 3)
    before = image.copy()
    image.setflags(write=False)
    FAST.compress(image)
    same(image, before)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint32, ">i2"])
def test_whole_numbers_of_another_type_are_taken_where_they_fit(dtype: Any) -> None:
    image = smooth(12, 9) // 3
    assert_array_equal(FAST.decompress(FAST.compress(image.astype(dtype))), image)


def test_a_list_of_numbers_is_an_image_too() -> None:
    assert FAST.decompress(FAST.compress([[1, 2, 3], [4, 5, 6]])).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_one_channel_is_grey() -> None:
    image = smooth(8, 8)
    same(FAST.decompress(FAST.compress(image[..., np.newaxis])), image)


def test_bytes_of_any_kind_are_taken() -> None:
    image = smooth(8, 8)
    data = FAST.compress(image)
    for kind in (bytes, bytearray, memoryview):
        same(FAST.decompress(kind(data)), image)


def test_the_same_image_makes_the_same_bytes() -> None:
    image = smooth(260, 260)
    for model in (ImageCodec(speed="fast"), clone(FAST), FAST):
        assert model.compress(image) == FAST.compress(image)


def test_a_codec_that_is_not_fitted_reads_both_speeds() -> None:
    image = smooth(30, 30)
    for speed in ("best", "fast"):
        same(ImageCodec().decompress(ImageCodec(speed=speed).compress(image)), image)


# ------------------------------------------------------------------ fit


def test_a_codec_of_own_images_needs_fewer_bytes_than_the_bundled_one(fitted: ImageCodec) -> None:
    assert fitted.kept_ == "trained"
    assert fitted.n_images_ == 900
    assert 0 < fitted.validation_["after"] < fitted.validation_["before"]
    assert [set(entry) for entry in fitted.history_[:1]] == [{"plane", "step", "bits", "seconds"}]
    new = digits()[900:1000]
    ours, bundled = (sum(len(c.compress(x)) for x in new) for c in (fitted, FAST))
    assert ours < 0.9 * bundled
    for image in new:
        same(fitted.decompress(fitted.compress(image)), image)


@pytest.mark.parametrize("shape", [(17, 9), (9, 17, 2), (17, 9, 3), (9, 9, 4), (1, 1)])
def test_a_codec_of_small_grey_images_takes_all_others_too(
    fitted: ImageCodec, shape: tuple[int, ...]
) -> None:
    for deep in (False, True):
        image = smooth(*shape, deep=deep)
        same(fitted.decompress(fitted.compress(image)), image)


@pytest.mark.parametrize("init", ["auto", "bundled", None])
@pytest.mark.parametrize("speed", ["best", "fast"])
def test_images_of_different_sizes_and_kinds_are_fitted_together(
    speed: str, init: str | None
) -> None:
    shapes = [(20, 30), (31, 17, 3), (9, 9, 2), (24, 24, 4), (1, 5), (40, 8, 3)]
    images = [smooth(*shape, seed=i) for i, shape in enumerate(shapes)]
    model = ImageCodec(speed=speed, epochs=1, init=init, random_state=0).fit(images)
    for image in images:
        same(model.decompress(model.compress(image)), image)


def test_deep_images_are_fitted(tmp_path: Path) -> None:
    images = np.stack([smooth(20, 20, seed=i, deep=True) for i in range(12)])
    model = codec().fit(images)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    for image in (images[0], smooth(11, 13, 3, deep=True), smooth(11, 13)):
        same(again.decompress(model.compress(image)), image)


def test_a_codec_is_never_worse_than_what_it_began_with() -> None:
    images = np.stack([smooth(80, 80, seed=i) for i in range(4)])
    model = codec(epochs=1, learning_rate=1e-9, validation=0.25).fit(images)
    assert model.kept_ in ("start", "trained")
    assert model.validation_["after"] <= model.validation_["before"]
    if model.kept_ == "start":
        assert len(model.compress(images[0])) <= 1.01 * len(FAST.compress(images[0]))


@pytest.mark.parametrize("images", [digits()[:1], digits()[:2], np.zeros((3, 1, 1), np.uint8)])
@pytest.mark.parametrize("validation", [0, 0.05, 0.5])
def test_few_images_are_enough(images: Array, validation: float) -> None:
    model = codec(epochs=1, validation=validation).fit(images)
    for image in images:
        same(model.decompress(model.compress(image)), image)


def test_the_same_seed_makes_the_same_networks(tmp_path: Path) -> None:
    one, other = (codec().fit(digits()[:300]) for _ in range(2))
    another = codec(random_state=4).fit(digits()[:300])
    for name, model in (("one", one), ("other", other)):
        model.save(tmp_path / name)
    assert (tmp_path / "one" / WEIGHTS).read_bytes() == (tmp_path / "other" / WEIGHTS).read_bytes()
    assert one.compress(digits()[0]) == other.compress(digits()[0])
    assert another.coder_.identity != one.coder_.identity


def test_training_stops_when_its_time_is_up() -> None:
    began = time.monotonic()
    codec(epochs=100_000, max_time="1s").fit(digits()[:200])
    assert time.monotonic() - began < 20


def test_a_folder_and_files_are_fitted_as_their_pixels(tmp_path: Path) -> None:
    images = digits()[:40]
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    paths = sorted(tmp_path.glob("*.png"))
    expected = codec().fit(images).coder_.identity
    for told in (tmp_path, str(tmp_path), paths, list(images)):
        assert codec().fit(told).coder_.identity == expected


# ------------------------------------------------------------------ ended and gone on


@pytest.mark.parametrize("step", [1, STEPS // 2, STEPS + 1, 3 * STEPS - 1])
def test_a_fit_that_was_interrupted_goes_on_to_the_same_networks(
    step: int, undisturbed: ImageCodec, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt), ctrl_c(step):
        codec(state).fit(colours())
    assert state.is_file()
    resumed = codec(state).fit(colours())
    assert resumed.coder_.identity == undisturbed.coder_.identity
    assert without_seconds(resumed.history_) == without_seconds(undisturbed.history_)
    assert resumed.validation_ == undisturbed.validation_


def test_a_fit_killed_again_and_again_ends_with_the_networks_of_an_undisturbed_one(
    undisturbed: ImageCodec, tmp_path: Path
) -> None:
    moment, state = random.Random(0), tmp_path / "state"
    undisturbed.save(tmp_path / "undisturbed")
    for _ in range(2):
        process = started(fit_and_save, state, tmp_path / "killed")
        wait_for_states(process, state, moment.randint(2, 9))
        assert process.is_alive(), "it came to its end"
        process.kill()
        process.join()
    assert not (tmp_path / "killed").exists()
    fit_and_save(state, tmp_path / "resumed")
    weights = [(tmp_path / name / WEIGHTS).read_bytes() for name in ("resumed", "undisturbed")]
    assert weights[0] == weights[1]


def test_a_state_of_other_images_or_settings_is_refused_and_kept(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt), ctrl_c(3):
        codec(state).fit(colours())
    before = state.read_bytes()
    for model, images in (
        (codec(state), colours()[1:]),
        (codec(state, random_state=9), colours()),
        (codec(state, speed="best"), colours()),
        (codec(state, learning_rate=0.1), colours()),
    ):
        with pytest.raises(TrainingError):
            model.fit(images)
        assert state.read_bytes() == before


def test_a_state_that_is_damaged_is_refused_in_words(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"no state")
    with pytest.raises(TrainingError, match="state"):
        codec(state).fit(digits()[:40])


# ------------------------------------------------------------------ what a user is told


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (np.ones((4, 4)), DataError, "float64.*uint8 or uint16.*Round"),
        (np.ones((4, 4), np.float32), DataError, "float32"),
        (np.ones((4, 4), bool), DataError, "truth values.*uint8"),
        (np.ones((4, 4), complex), DataError, "complex"),
        (np.full((4, 4), -1), DataError, "int64"),
        (np.full((4, 4), -1, np.int8), DataError, "int8"),
        (np.full((4, 4), -1, np.int16), DataError, "int16"),
        (np.full((4, 4), 2**16), DataError, "int64"),
        (np.ones(4, np.uint8), DataError, r"\(height, width\).*got \(4,\)"),
        (np.ones((4, 4, 5), np.uint8), DataError, r"got \(4, 4, 5\)"),
        (np.ones((2, 4, 4, 3), np.uint8), DataError, r"got \(2, 4, 4, 3\)"),
        (np.ones((0, 4), np.uint8), EmptyError, "no pixels"),
        (np.ones((4, 0, 3), np.uint8), EmptyError, "no pixels"),
        ([], DataError, "image"),
        (None, DataError, "image"),
        ([[1, 2], [3]], DataError, "image"),
        (b"bytes", DataError, "image"),
        ("nothing.png", DataError, "nothing.png"),
    ],
)
def test_what_is_no_image_of_whole_numbers_is_refused_in_words(
    image: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        FAST.compress(image)


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (digits()[:3].astype(float), DataError, "image 0 is of float64"),
        ([digits()[0], digits()[1] > 3], DataError, "image 1 is of truth values"),
        ([digits()[0], np.zeros((3, 3, 7), np.uint8)], DataError, "image 1 must have the shape"),
        (digits()[0], DataError, "several images"),
        (np.zeros((2, 2, 2, 2, 2), np.uint8), DataError, "several images"),
        ([], EmptyError, "no images"),
        (digits()[:0], EmptyError, "no images"),
        (["nothing.png"], DataError, "nothing.png"),
        ("nowhere", DataError, "nowhere"),
        (None, DataError, "images"),
        (5, DataError, "images"),
    ],
)
def test_what_are_no_images_are_refused_by_fit_in_words(
    images: Any, error: type[Exception], words: str
) -> None:
    model = codec()
    with pytest.raises(error, match=words):
        model.fit(images)
    assert not hasattr(model, "coder_")


@pytest.mark.parametrize(
    ("setting", "error", "words"),
    [
        ({"lossless": "no"}, SpecError, "True or False, got 'no'"),
        ({"quality": 9}, SpecError, "from 1 to 8"),
        ({"quality": True}, SpecError, "from 1 to 8"),
        ({"qualities": (5, 2)}, SpecError, "the lower first"),
        ({"qualities": 3}, SpecError, "from 1 to 8"),
        ({"speed": "slow"}, SpecError, "'best' or 'fast', got 'slow'"),
        ({"speed": None}, SpecError, "'best' or 'fast'"),
        ({"init": "pca"}, SpecError, "'auto', 'bundled' or None, got 'pca'"),
        ({"epochs": 0}, SpecError, "epochs"),
        ({"epochs": 1.5}, SpecError, "epochs"),
        ({"max_time": "soon"}, SpecError, "'90s', '2min', '1h'"),
        ({"learning_rate": -1}, SpecError, "learning_rate"),
        ({"learning_rate": 0}, SpecError, "learning_rate"),
        ({"learning_rate": "x"}, SpecError, "learning_rate"),
        ({"random_state": "x"}, SpecError, "random_state"),
        ({"validation": 1}, (DataError, SpecError), "validation"),
        ({"validation": -0.1}, (DataError, SpecError), "validation"),
        ({"validation": "x"}, (DataError, SpecError), "validation"),
        ({"validation": None}, (DataError, SpecError), "validation"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(
    setting: dict[str, Any], error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        codec(**setting).fit(digits()[:20])


@pytest.mark.parametrize("setting", [{"lossless": None}, {"speed": "slow"}, {"init": "pca"}])
def test_a_wrong_setting_is_refused_without_a_fit_too(setting: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        ImageCodec(**setting).compress(digits()[0])


@pytest.mark.parametrize("data", [None, "text", 5, [1, 2]])
def test_what_is_no_bytes_is_refused_in_words(data: Any) -> None:
    with pytest.raises(DataError, match="takes bytes"):
        FAST.decompress(data)


# ------------------------------------------------------------------ damage


@pytest.fixture(scope="module")
def small() -> bytes:
    return FAST.compress(smooth(11, 13))


@pytest.fixture(scope="module")
def large() -> bytes:
    """Of checksums of four bytes."""
    flat = np.full((260, 260), 9, np.uint8)
    flat[::7, ::5] = 30
    return FAST.compress(flat)


@pytest.mark.parametrize("which", ["small", "large"])
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_damaged_byte_anywhere_is_refused(
    which: str, flip: int, request: pytest.FixtureRequest
) -> None:
    whole: bytes = request.getfixturevalue(which)
    for at in range(0, len(whole), max(1, len(whole) // 200)):
        data = bytearray(whole)
        data[at] ^= flip
        with pytest.raises(REFUSED):
            FAST.decompress(data)


@pytest.mark.parametrize("which", ["small", "large"])
def test_bytes_cut_short_anywhere_or_with_more_behind_them_are_refused(
    which: str, request: pytest.FixtureRequest
) -> None:
    whole: bytes = request.getfixturevalue(which)
    for length in range(0, len(whole), max(1, len(whole) // 200)):
        with pytest.raises(CompressedError, match="cannot be decompressed"):
            FAST.decompress(whole[:length])
    with pytest.raises(CompressedError, match="cannot be decompressed"):
        FAST.decompress(whole + b"\0")


@given(st.binary(max_size=60))
def test_bytes_of_anything_else_are_refused(data: bytes) -> None:
    for start in (b"", b"\x9b\xc0", b"\x9b\xc1", b"\x9b\xc2"):
        with pytest.raises(REFUSED):
            FAST.decompress(start + data)


def test_bytes_of_another_model_are_refused_in_words(fitted: ImageCodec) -> None:
    image = digits()[0]
    with pytest.raises(OtherModelError, match="another model"):
        FAST.decompress(fitted.compress(image))
    with pytest.raises(OtherModelError, match=r"bundled model|another model"):
        fitted.decompress(FAST.compress(image))


def test_a_newer_version_is_told_to_update(small: bytes) -> None:
    data = bytearray(small)
    data[1] |= 0x04
    with pytest.raises(NewerError, match="pip install -U isthmus"):
        FAST.decompress(data)


# ------------------------------------------------------------------ saved and loaded


def test_a_saved_codec_writes_and_reads_the_same_bytes(
    fitted: ImageCodec, saved: Path, tmp_path: Path
) -> None:
    again = load(saved)
    assert isinstance(again, ImageCodec)
    for image in (digits()[3], smooth(20, 9, 3), smooth(9, 20, deep=True)):
        data = fitted.compress(image)
        assert again.compress(image) == data
        same(again.decompress(data), image)
    assert again.save(tmp_path / "again") == fitted.save(tmp_path / "fitted")
    for name in ("n_images_", "kept_", "validation_", "history_"):
        assert getattr(again, name) == getattr(fitted, name)
    assert again.get_params() == fitted.get_params()


def test_a_saved_codec_is_small_and_says_what_it_is(saved: Path) -> None:
    assert {file.name for file in saved.iterdir()} == {CONFIG, WEIGHTS, "README.md"}
    assert sum(file.stat().st_size for file in saved.iterdir()) < 100_000
    card = (saved / "README.md").read_text(encoding="utf-8")
    assert "isthmus decompress" in card
    assert "900 images" in card


def test_a_codec_that_is_not_fitted_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="bundled model"):
        ImageCodec().save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_codec_of_a_drawn_seed_is_saved(tmp_path: Path) -> None:
    model = codec(random_state=np.random.RandomState(0), epochs=1).fit(digits()[:40])
    model.save(tmp_path / "m")
    same(load(tmp_path / "m").decompress(model.compress(digits()[0])), digits()[0])


def test_weights_that_were_changed_are_refused(saved: Path) -> None:
    file = saved / WEIGHTS
    whole = bytearray(file.read_bytes())
    whole[-5] ^= 1
    file.write_bytes(whole)
    with pytest.raises(TamperedError):
        load(saved)


def test_weights_that_were_cut_short_are_refused(saved: Path) -> None:
    file = saved / WEIGHTS
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(TruncatedError):
        load(saved)


def test_a_config_that_was_changed_is_refused(saved: Path) -> None:
    config = json.loads((saved / CONFIG).read_text())
    config["codec"]["fitted"]["n_images"] += 1
    (saved / CONFIG).write_text(json.dumps(config))
    with pytest.raises(TamperedError):
        load(saved)


Change = Callable[[dict[str, Any], dict[str, Array]], None]


def signed_anew(path: Path, change: Change) -> None:
    """Change a saved model, and make its identity fit again."""
    config = json.loads((path / CONFIG).read_text())
    tensors = load_arrays((path / WEIGHTS).read_bytes())
    change(config, tensors)
    weights = save_arrays({name: np.ascontiguousarray(t) for name, t in tensors.items()})
    config["weights_bytes"] = len(weights)
    config["identity"] = identity(config, weights)
    (path / CONFIG).write_text(json.dumps(config))
    (path / WEIGHTS).write_bytes(weights)


def by_bias(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    tensors["0/0.bias"] = tensors["0/0.bias"].copy()
    tensors["0/0.bias"][0] = -(2**24)


def by_weights(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    tensors["0/0.weight"] = np.full(tensors["0/0.weight"].shape, -(2**15), np.int16)


@pytest.mark.parametrize("change", [by_bias, by_weights])
def test_networks_whose_sums_would_not_be_exact_are_refused(saved: Path, change: Change) -> None:
    signed_anew(saved, change)
    with pytest.raises(ModelFileError, match=r"2\*\*24"):
        load(saved)


def other_weight(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    tensors["0/0.weight"] = tensors["0/0.weight"].copy()
    tensors["0/0.weight"].flat[0] ^= 1


def missing(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    del tensors["0/0.weight"]


def shifted(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    tensors["0/0.shift"] = np.full_like(tensors["0/0.shift"], 200)


def narrowed(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    tensors["0/0.weight"] = tensors["0/0.weight"][:, 1:]


def floats(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    tensors["0/0.bias"] = tensors["0/0.bias"].astype(np.float32) + np.float32(np.nan)


def flat(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    tensors["0/0.weight"] = tensors["0/0.weight"].ravel()


def no_networks(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    config["codec"]["neighbourhoods"] = []


def far(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    config["codec"]["neighbourhoods"][0]["own"] = 10**9


def nothing_seen(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    config["codec"]["neighbourhoods"][0]["own"] = "all"


def no_fit(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    del config["codec"]["fitted"]


def a_word(config: dict[str, Any], tensors: dict[str, Array]) -> None:
    config["codec"] = "codec"


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(
    "change",
    [
        other_weight, missing, shifted, narrowed, floats, flat, no_networks, far, nothing_seen,
        no_fit, a_word,
    ],
)  # fmt: skip
def test_a_model_made_up_by_somebody_is_refused(saved: Path, change: Change) -> None:
    signed_anew(saved, change)
    with pytest.raises(ModelFileError):
        load(saved)


def test_a_codec_is_refused_where_another_model_is_asked_for(saved: Path) -> None:
    for read in (load_autoencoder, Autoencoder.from_pretrained):
        with pytest.raises(AbilityError, match="isthmus compress"):
            read(saved)
    with pytest.raises(AbilityError, match="Leave encoder and decoder out"):
        load(saved, encoder=Autoencoder(2, epochs=1).fit(np.eye(9)).model_)


# ------------------------------------------------------------------ compared


def test_a_comparison_says_how_many_bytes_are_saved(fitted: ImageCodec) -> None:
    found = fitted.compare(digits()[900:930])
    assert not found.plain_wins
    assert "fewer bytes than" in found.verdict
    bits = {row.method: row.value for row in found.rows if row.measure == "bits per pixel"}
    expected = 8 * sum(len(fitted.compress(x)) for x in digits()[900:930]) / digits()[900:930].size
    assert bits["this model"] == pytest.approx(expected)
    assert bits["this model"] == min(bits.values())
    assert {"PNG", "WebP"} <= set(bits)


def test_a_comparison_says_so_when_the_plain_format_wins() -> None:
    pattern = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    found = FAST.compare([np.tile(pattern, (16, 16))])
    assert found.plain_wins
    assert "The plain format wins" in found.verdict
    share = float(found.verdict.split("needs ")[1].split("%")[0])
    bits = {row.method: row.value for row in found.rows if row.measure == "bits per pixel"}
    ours = bits.pop("this model")
    assert share == pytest.approx(100 * (1 - min(bits.values()) / ours), abs=0.1)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 2), (20, 30, 3), (20, 30, 4), (1, 1)])
@pytest.mark.parametrize("deep", [False, True])
def test_any_image_can_be_compared(shape: tuple[int, ...], deep: bool) -> None:
    found = FAST.compare([smooth(*shape, deep=deep), smooth(*shape, seed=1, deep=deep)])
    assert found.verdict
    assert json.dumps(found.to_json(), allow_nan=False)


def test_images_that_cannot_be_compared_are_refused_in_words() -> None:
    wrong: tuple[Any, ...] = ([], digits()[:2] / 2, digits()[0])
    for images in wrong:
        with pytest.raises(IsthmusError, match="image"):
            FAST.compare(images)


def test_what_was_learned_is_judged_when_the_time_is_up() -> None:
    model = codec(epochs=10**6, max_time=4.0, init=None).fit(colours())
    for plane in range(3):
        steps = [entry["step"] for entry in model.history_ if entry["plane"] == plane]
        assert steps[0] == 0
        assert steps[-1] > 0
    assert model.validation_["after"] <= model.validation_["before"]


def test_a_codec_that_training_made_no_better_is_worth_what_it_was() -> None:
    model = codec(learning_rate=1e-12, init="bundled").fit(colours())
    assert model.kept_ == "start"
    assert model.validation_["after"] == model.validation_["before"]


def test_another_codec_is_never_replaced(tmp_path: Path) -> None:
    place, image = tmp_path / "key", colours()[0]
    one, other = (codec(random_state=seed).fit(colours()) for seed in (1, 2))
    one.save(place)
    data = one.compress(image)
    one.save(place)
    with pytest.raises(ModelFileError, match="another codec"):
        other.save(place)
    same(load(place).decompress(data), image)


def test_a_network_with_the_largest_weight_has_an_identity_of_its_own() -> None:
    weight = np.zeros((3, 12), np.int16)
    layers = [
        Layer(changed, np.zeros(3, np.int32), np.full(3, 4, np.uint8))
        for changed in (weight, np.where(np.arange(12) == 0, -32768, weight).astype(np.int16))
    ]
    narrow, wide = (IntegerNetwork([layer]).tensors()["0.weight"] for layer in layers)
    assert not np.array_equal(narrow, wide)
    assert wide.min() == -32768


@pytest.mark.parametrize("kind", [np.int64, np.float32])
def test_weights_of_a_type_that_is_never_saved_are_refused(kind: type) -> None:
    tensors = IntegerNetwork(
        [Layer(np.ones((3, 12), np.int16), np.zeros(3, np.int32), np.zeros(3, np.uint8))]
    ).tensors()
    with pytest.raises(ModelFileError):
        IntegerNetwork.from_tensors({**tensors, "0.weight": tensors["0.weight"].astype(kind)})


@pytest.mark.parametrize("shape", [(60, 50), (40, 30, 3), (40, 30, 4), (50, 40, 2)])
def test_noise_takes_hardly_more_bytes_than_it_has_values(shape: tuple[int, ...]) -> None:
    flat = codec(init=None).fit(np.full((20, 16, 16), 7, np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    data = flat.compress(noise)
    assert len(data) < 1.02 * noise.size + 100
    same(flat.decompress(data), noise)
