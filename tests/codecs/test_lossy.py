"""Images to bytes and nearly back: what a user of a codec with loss is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import clone

from isthmus import Archive, ImageCodec, load
from isthmus.baselines.rate_distortion import bjontegaard, psnr_of
from isthmus.core.errors import (
    AbilityError,
    CompressedError,
    IsthmusError,
    ModelFileError,
    NotFittedError,
    OtherModelError,
    SpecError,
    TamperedError,
    TrainingError,
)
from isthmus.training import staged
from isthmus.training.directory import CONFIG, WEIGHTS
from tests.codecs.samples import Array, digits, smooth

EPOCHS = 3


def codec(resume: Path | None = None, **changes: Any) -> ImageCodec:
    """One that keeps its state after every step of training."""
    staged.SAVE_SECONDS = 0.0
    settings = {"lossless": False, "speed": "fast", "epochs": EPOCHS, "random_state": 3, **changes}
    return ImageCodec(resume=resume, **settings)


@pytest.fixture(scope="module")
def fitted() -> ImageCodec:
    """A codec of grey digits."""
    return codec(epochs=10).fit(digits()[:600])


@pytest.fixture(scope="module")
def colourful() -> ImageCodec:
    """A codec of images of several sizes, in colour and grey."""
    shapes = [(40, 50, 3), (64, 33, 3), (30, 30), (9, 70, 3)]
    images = [smooth(*shape, seed=i) for i, shape in enumerate(shapes)]
    return codec(epochs=20).fit(images)


def psnr(one: Array, other: Array) -> float:
    return psnr_of(float(np.square(one.astype(float) - other).mean()))


def test_every_quality_costs_more_and_comes_nearer(fitted: ImageCodec) -> None:
    new = digits()[900:912]
    sizes, errors = [], []
    for quality in range(1, 9):
        model = clone(fitted).set_params(quality=quality)
        model.coder_ = fitted.coder_
        data = [model.compress(image) for image in new]
        back = np.stack([fitted.decompress(one) for one in data])
        assert back.dtype == np.uint8
        sizes.append(sum(map(len, data)))
        errors.append(psnr(back, new))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors)
    assert errors[-1] > 40


def test_a_codec_starts_as_pca_and_training_makes_it_better(fitted: ImageCodec) -> None:
    assert fitted.kept_ == "trained"
    before, after = fitted.validation_["before"], fitted.validation_["after"]
    assert len(before) == len(after) == 8
    assert bjontegaard(before, after) < -0.05
    assert {"step", "loss", "bits 1", "psnr 8", "seconds"} <= fitted.history_[0].keys()


def test_a_codec_is_never_worse_than_what_it_began_with() -> None:
    model = codec(epochs=1, learning_rate=1e-12).fit(digits()[:60])
    assert model.kept_ in ("start", "trained")
    losses = [entry["loss"] for entry in model.history_]
    assert model.kept_ == "trained" or losses[-1] >= losses[0]
    assert model.validation_["after"] <= model.validation_["before"] or losses[-1] < losses[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (33, 41), (20, 30, 3), (300, 260)])
def test_images_of_any_size_and_colour_are_taken(
    shape: tuple[int, ...], fitted: ImageCodec, colourful: ImageCodec
) -> None:
    image = smooth(*shape)
    for model in (fitted, colourful):
        data = model.compress(image)
        back = model.decompress(data)
        assert back.shape == image.shape
        assert back.dtype == np.uint8
        assert model.compress(image) == data
        if image.ndim == 2 and min(shape) > 8:
            assert psnr(back, image) > 22


def test_a_grey_image_comes_back_near_from_a_model_of_colours(colourful: ImageCodec) -> None:
    image = smooth(40, 48, seed=9)
    model = colourful.set_params(quality=8)
    assert psnr(model.decompress(model.compress(image)), image) > 30
    colourful.set_params(quality=5)


def test_an_archive_takes_fewer_bytes_and_gives_each_image_by_itself(
    fitted: ImageCodec, tmp_path: Path
) -> None:
    new = digits()[900:1000]
    alone = [fitted.compress(image) for image in new]
    size = Archive.write(tmp_path / "a.ista", new, fitted)
    assert size < 0.8 * sum(map(len, alone))
    archive = Archive(tmp_path / "a.ista", fitted)
    for i in (0, 7, 99):
        assert_array_equal(archive[i], fitted.decompress(alone[i]))
    assert archive.read().shape == new.shape


def test_images_of_any_sizes_stand_in_one_archive(colourful: ImageCodec, tmp_path: Path) -> None:
    images = [smooth(*shape, seed=i) for i, shape in enumerate([(20, 30, 3), (9, 9), (270, 260)])]
    Archive.write(tmp_path / "a.ista", images, colourful)
    archive = Archive(tmp_path / "a.ista", colourful)
    for found, image in zip(archive, images, strict=True):
        assert_array_equal(found, colourful.decompress(colourful.compress(image)))
    with pytest.raises(CompressedError):
        Archive(tmp_path / "a.ista", ImageCodec())


def test_a_saved_codec_writes_and_reads_the_same(fitted: ImageCodec, tmp_path: Path) -> None:
    identity = fitted.save(tmp_path / "m")
    again = load(tmp_path / "m")
    image = digits()[950]
    assert again.compress(image) == fitted.compress(image)
    assert again.get_params()["quality"] == fitted.quality
    assert again.validation_ == fitted.validation_
    assert again.save(tmp_path / "m2") == identity
    card = (tmp_path / "m" / "README.md").read_text()
    assert "lossy" in card
    assert "dB" in card


def test_a_model_that_was_changed_is_refused(fitted: ImageCodec, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    for name in (CONFIG, WEIGHTS):
        content = bytearray((tmp_path / "m" / name).read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "m" / name).write_bytes(content)
        with pytest.raises((TamperedError, ModelFileError)):
            load(tmp_path / "m")


def test_another_model_is_refused(fitted: ImageCodec, colourful: ImageCodec) -> None:
    data = fitted.compress(digits()[0])
    for other in (colourful, ImageCodec()):
        with pytest.raises((OtherModelError, CompressedError)):
            other.decompress(data)


def test_a_truncated_file_is_refused(fitted: ImageCodec) -> None:
    data = fitted.compress(digits()[0])
    for end in range(len(data)):
        with pytest.raises(CompressedError):
            fitted.decompress(data[:end])


@pytest.mark.parametrize("image", [np.zeros((5, 5, 4), np.uint8), np.full((5, 5), 999, np.uint16)])
def test_what_has_alpha_or_more_bits_is_refused_in_words(
    image: Array, fitted: ImageCodec, tmp_path: Path
) -> None:
    with pytest.raises(AbilityError, match="Compress this one without"):
        fitted.compress(image)
    with pytest.raises(AbilityError, match="Compress this one without"):
        Archive.write(tmp_path / "a.ista", [image], fitted)
    with pytest.raises(AbilityError, match="Convert it"):
        fitted.compare([image])
    with pytest.raises(AbilityError, match="leave it out"):
        codec().fit([digits()[0], image])
    assert not list(tmp_path.iterdir())


def test_without_a_fit_there_is_nothing_with_loss(tmp_path: Path) -> None:
    for do in (
        lambda: codec().compress(digits()[0]),
        lambda: codec().save(tmp_path / "m"),
        lambda: codec().compare(digits()[:2]),
    ):
        with pytest.raises(NotFittedError):
            do()


def test_a_quality_that_was_not_fitted_is_refused(fitted: ImageCodec) -> None:
    model = codec(qualities=(3, 5), quality=4).fit(digits()[:100])
    assert len(model.validation_["after"]) == 3
    model.compress(digits()[0])
    for quality in (2, 6):
        with pytest.raises(SpecError, match="qualities 3 to 5"):
            model.set_params(quality=quality).compress(digits()[0])


# ------------------------------------------------------------------ ended and gone on


@pytest.fixture(scope="module")
def undisturbed() -> ImageCodec:
    return codec().fit(digits()[:300])


def test_the_same_seed_makes_the_same_codec(undisturbed: ImageCodec) -> None:
    assert codec().fit(digits()[:300]).coder_.identity == undisturbed.coder_.identity
    assert codec(random_state=4).fit(digits()[:300]).coder_.identity != (
        undisturbed.coder_.identity
    )


@pytest.mark.parametrize("step", [0, 1, 5])
def test_a_fit_that_was_interrupted_goes_on_to_the_same_codec(
    step: int, undisturbed: ImageCodec, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt), ctrl_c_at(step):
        codec(state).fit(digits()[:300])
    assert state.is_file()
    with pytest.raises(TrainingError):
        codec(state, random_state=5).fit(digits()[:300])
    resumed = codec(state).fit(digits()[:300])
    assert resumed.coder_.identity == undisturbed.coder_.identity
    assert resumed.validation_ == undisturbed.validation_


def drawn_so_far() -> str:
    """The state of NumPy's global generator."""
    return str(np.random.get_state(legacy=False))


def test_the_state_of_the_process_is_as_before() -> None:
    import torch

    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    numbers = drawn_so_far()
    codec(epochs=1).fit(digits()[:40])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert drawn_so_far() == numbers


@pytest.mark.parametrize("images", [digits()[:1], digits()[:2], np.zeros((3, 1, 1), np.uint8)])
@pytest.mark.parametrize("validation", [0, 0.5])
def test_few_images_are_enough(images: Array, validation: float) -> None:
    model = codec(epochs=1, validation=validation).fit(images)
    for image in images:
        assert model.decompress(model.compress(image)).shape == image.shape


# ------------------------------------------------------------------ beside plain formats


def test_a_comparison_says_how_many_bytes_others_take(fitted: ImageCodec) -> None:
    found = fitted.compare(digits()[900:910])
    methods = {row.method for row in found.rows}
    assert {"this model 1", "this model 8", "JPEG 1", "beside JPEG"} <= methods
    assert not found.plain_wins
    assert "fewer than JPEG" in found.verdict


def test_a_comparison_says_when_the_plain_format_wins(fitted: ImageCodec) -> None:
    rows, columns = np.mgrid[:96, :128]
    found = fitted.compare([((rows + columns) % 251).astype(np.uint8)])
    assert found.plain_wins
    assert found.verdict.startswith("The plain format wins")


def test_a_file_that_is_jpeg_already_is_stored(fitted: ImageCodec, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(20, 20)).save(path)
    data = fitted.compress(path)
    assert len(data) <= path.stat().st_size + 16
    with Image.open(path) as file:
        assert_array_equal(fitted.decompress(data), np.array(file))


def ctrl_c_at(step: int) -> Any:
    """Ctrl-C is pressed in this step of training, from 0 on."""
    import os
    import signal
    from contextlib import contextmanager

    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook

    from isthmus.parts.transform import QualityNetwork

    @contextmanager
    def pressed() -> Any:
        seen: list[int] = []

        def press(module: Any, arguments: Any) -> None:
            if isinstance(module, QualityNetwork) and torch.is_grad_enabled():
                seen.append(id(module))
                if seen.count(seen[0]) == step + 1 and seen[-1] == seen[0]:
                    os.kill(os.getpid(), signal.SIGINT)

        handle = register_module_forward_pre_hook(press)
        try:
            yield
        finally:
            handle.remove()

    return pressed()


def test_every_error_of_a_codec_is_one_of_ours() -> None:
    for error in (AbilityError, CompressedError, OtherModelError, SpecError):
        assert issubclass(error, IsthmusError)
