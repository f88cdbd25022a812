"""What the user of a Denoiser is promised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone

from isthmus import Denoiser, load, spec
from isthmus.core.errors import (
    AbilityError,
    DataError,
    ModelFileError,
    NotFittedError,
    ShapeError,
    SpecError,
)
from isthmus.tasks import tiling
from isthmus.training import staged
from isthmus.training.directory import identity
from isthmus.training.staged import StagedRun
from tests.tasks.scenes import error, noisy, scenes

SMALL = spec("unet", widths=(8, 12))
QUICK: dict[str, Any] = {"epochs": 20, "random_state": 0, "network": SMALL}


@pytest.fixture(scope="module")
def fitted() -> Denoiser:
    return Denoiser("noise", **QUICK).fit(scenes())


def test_noise_is_taken_out_as_learned_from_clean_images(fitted: Denoiser):
    clean = scenes(4, seed=9)
    found = fitted.transform(noisy(clean))
    assert found.dtype == np.uint8
    assert found.shape == clean.shape
    assert error(found, clean) < 0.3 * error(noisy(clean), clean)


def test_noise_is_taken_out_as_learned_from_noisy_images_alone():
    clean = scenes(24)
    denoiser = Denoiser(**QUICK).fit(noisy(clean))
    assert denoiser.noise_ is not None
    assert denoiser.noise_.scale * 255 == pytest.approx(25, rel=0.15)
    found = denoiser.transform(noisy(clean, seed=5))
    assert error(found, clean) < 0.3 * error(noisy(clean), clean)


def test_noise_that_is_not_gaussian_is_learned_from_noisy_images_alone():
    clean, rng = scenes(24), np.random.default_rng(0)
    lost = rng.random(clean.shape)
    speckled = np.where(lost < 0.05, 0, np.where(lost > 0.95, 255, clean)).astype(np.uint8)
    denoiser = Denoiser(**QUICK).fit(speckled)
    assert denoiser.noise_ is not None
    assert not denoiser.noise_.gaussian
    assert error(denoiser.transform(speckled), clean) < 0.7 * error(speckled, clean)


def test_pairs_of_noisy_and_clean_images_are_learned_from():
    clean = scenes()
    denoiser = Denoiser(**QUICK).fit(noisy(clean), clean=clean)
    fresh = scenes(4, seed=9)
    assert error(denoiser.transform(noisy(fresh)), fresh) < 0.3 * error(noisy(fresh), fresh)


def test_training_keeps_the_filter_it_began_as_where_it_is_no_better():
    denoiser = Denoiser("noise", network=SMALL, epochs=1, learning_rate=1e-9).fit(scenes())
    told = denoiser.validation_
    assert told["after"] >= told["before"]
    assert {denoiser.kept_} <= {"start", "trained"}


def test_the_same_seed_gives_the_same_model_to_the_bit(fitted: Denoiser):
    again = Denoiser("noise", **QUICK).fit(scenes())
    for name, tensor in fitted.model_.state_dict().items():
        assert torch.equal(tensor, again.model_.state_dict()[name]), name
    other = Denoiser("noise", network=SMALL, epochs=20, random_state=1).fit(scenes())
    assert not torch.equal(other.model_.tail.weight, fitted.model_.tail.weight)


def test_the_same_image_gives_the_same_answer_whatever_stands_beside_it(fitted: Denoiser):
    images = noisy(scenes(3))
    alone = fitted.transform(images[1:2])
    assert np.array_equal(fitted.transform(images)[1:2], alone)


def test_a_saved_denoiser_answers_to_the_bit(fitted: Denoiser, tmp_path: Path):
    identity = fitted.save(tmp_path / "m")
    found = load(tmp_path / "m")
    assert isinstance(found, Denoiser)
    assert found.get_params()["epochs"] == 20
    assert np.array_equal(found.transform(noisy(scenes(2))), fitted.transform(noisy(scenes(2))))
    assert found.save(tmp_path / "again") == identity


def test_a_saved_denoiser_with_an_impossible_network_is_refused(fitted: Denoiser, tmp_path: Path):
    fitted.save(tmp_path / "m")
    config = tmp_path / "m" / "config.json"

    told = json.loads(config.read_text())
    told["mender"]["architecture"]["widths"] = [10**9, 10**9]
    told["identity"] = identity(told, (tmp_path / "m" / "model.safetensors").read_bytes())
    config.write_text(json.dumps(told))
    with pytest.raises(ModelFileError, match="none that there can be"):
        load(tmp_path / "m")


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (5, 9), (1, 1), (400, 30)])
def test_images_of_any_size_come_back_in_their_size(fitted: Denoiser, size: tuple[int, int]):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1, *size)).astype(np.uint8)
    assert fitted.transform(image).shape == image.shape


def test_a_large_image_is_the_same_in_tiles_but_for_rounding(
    fitted: Denoiser, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    image = noisy(scenes(1, 160))[0].astype(float) + rng.normal(0, 1, (160, 160))
    whole = fitted.transform([image])[0]
    monkeypatch.setattr(tiling, "TILE", 64)
    tiled = fitted.transform([image])[0]
    assert not np.array_equal(whole, tiled)
    assert abs(whole - tiled).max() < 2.0


def test_grey_denoisers_take_colours_one_by_one_and_keep_alpha(fitted: Denoiser):
    colour = noisy(scenes(2, colours=3))
    alpha = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1)).astype(np.uint8)
    found = fitted.transform(np.concatenate([colour, alpha], axis=3))
    assert np.array_equal(found[..., 3:], alpha)
    assert np.array_equal(found[..., :3], fitted.transform(colour))
    assert np.array_equal(found[..., 0], fitted.transform(colour[..., 0]))


def test_colour_images_are_learned_from_and_grey_ones_then_refused():
    clean = scenes(8, colours=3)
    denoiser = Denoiser("noise", network=SMALL, epochs=2, random_state=0).fit(clean)
    assert denoiser.transform(noisy(clean)).shape == clean.shape
    with pytest.raises(ShapeError, match="fitted on colour images, got grey"):
        denoiser.transform(noisy(scenes(1)))


def test_sixteen_bits_come_back_as_sixteen_bits(fitted: Denoiser):
    clean = scenes(2).astype(np.uint16) * 257
    rng = np.random.default_rng(0)
    dirty = (clean + rng.normal(0, 25 * 257, clean.shape)).clip(0, 65535).astype(np.uint16)
    found = fitted.transform(dirty)
    assert found.dtype == np.uint16
    assert error(found, clean) < 0.4 * error(dirty, clean)


def test_images_of_several_sizes_are_learned_from_and_mended():
    images = [scenes(1, size)[0] for size in (40, 64, 33, 90)]
    denoiser = Denoiser("noise", network=SMALL, epochs=1, random_state=0).fit(images)
    found = denoiser.transform(images)
    assert [one.shape for one in found] == [one.shape for one in images]


def test_a_folder_of_paths_is_learned_from(tmp_path: Path):
    paths = []
    for i, image in enumerate(scenes(4)):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    assert Denoiser("noise", network=SMALL, epochs=1).fit(paths).n_images_ == 4


def test_a_fit_whose_plug_was_pulled_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    state = tmp_path / "state"
    whole = Denoiser("noise", **QUICK).fit(scenes())
    tick: Any = StagedRun._tick

    def pulled(self: Any, *rest: Any) -> None:
        tick(self, *rest)
        if self.step == 4:
            raise RuntimeError("the plug was pulled")

    with monkeypatch.context() as patched:
        patched.setattr(staged, "SAVE_SECONDS", 0.0)
        patched.setattr(StagedRun, "_tick", pulled)
        with pytest.raises(RuntimeError, match="plug"):
            Denoiser("noise", resume=state, **QUICK).fit(scenes())
    assert state.is_file()
    found = Denoiser("noise", resume=state, **QUICK).fit(scenes())
    for name, tensor in whole.model_.state_dict().items():
        assert torch.equal(tensor, found.model_.state_dict()[name]), name


def test_time_that_is_up_ends_training_with_what_it_is_worth():
    denoiser = Denoiser("noise", network=SMALL, max_time=1.0, random_state=0).fit(scenes())
    assert len(denoiser.history_) >= 2
    assert denoiser.validation_["after"] >= denoiser.validation_["before"]


def test_the_global_state_is_left_as_it_was():
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    Denoiser("noise", network=SMALL, epochs=1, random_state=0).fit(scenes(4))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_it_is_compared_with_filters_and_says_which_wins(fitted: Denoiser):
    clean = scenes(3, seed=9)
    found = fitted.compare(noisy(clean), clean)
    methods = {row.method for row in found.rows}
    assert {"this model", "as it is", "median filter"} <= methods
    assert "dB better" in found.verdict
    assert fitted.compare(clean).rows
    flat = np.full((4, 32, 32), 0.5)
    untrained = Denoiser("jpeg", network=SMALL, epochs=1, learning_rate=1e-9).fit(flat)
    assert untrained.compare(noisy(clean), clean).plain_wins


def test_one_learned_from_noise_alone_is_judged_on_clean_images_only():
    denoiser = Denoiser(network=SMALL, epochs=1).fit(noisy(scenes()))
    with pytest.raises(AbilityError, match="pass them as clean"):
        denoiser.compare(noisy(scenes()))


@pytest.mark.parametrize("kind", ["noise", "poisson", "salt-and-pepper", "jpeg", "blur"])
def test_every_damage_can_be_learned_and_is_undone_in_part(kind: str):
    denoiser = Denoiser(spec(kind), network=SMALL, epochs=4, random_state=0).fit(scenes())
    assert denoiser.validation_["after"] >= denoiser.validation_["before"]
    assert denoiser.transform(scenes(2)).shape == (2, 48, 48)


def test_it_is_an_estimator_that_can_be_cloned():
    twin = clone(Denoiser("poisson", epochs=3))
    assert twin.get_params()["damage"] == "poisson"
    with pytest.raises(NotFittedError, match="Call fit"):
        twin.transform(scenes(1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"damage": "nois"}, "Did you mean 'noise'"),
        ({"damage": "holes"}, "Use Restorer"),
        ({"damage": spec("downsample", factor=2)}, "Use Restorer"),
        ({"damage": spec("noise", scale=-1)}, "scale must be between"),
        ({"damage": spec("noise", scale="much")}, "scale must be"),
        ({"damage": spec("noise", strength=1)}, "no option 'strength'"),
        ({"epochs": 0}, "epochs must be"),
        ({"max_time": "soon"}, "max_time must be"),
        ({"learning_rate": -1}, "learning_rate must be"),
        ({"validation": 2}, "validation must be"),
        ({"random_state": "x"}, "random_state must be"),
        ({"device": "tpu9"}, "device 'tpu9'"),
        ({"precision": "half"}, "there is no precision 'half'"),
    ],
)
def test_parameters_out_of_range_are_refused(changes: dict[str, Any], words: str):
    with pytest.raises(SpecError, match=words):
        Denoiser(**{"damage": "noise", "network": SMALL, **changes}).fit(scenes(2))


def test_images_that_cannot_be_learned_from_are_refused():
    clean = scenes(4)
    with pytest.raises(DataError, match="there are 4 images and 3 clean ones"):
        Denoiser().fit(clean, clean=clean[:3])
    with pytest.raises(ShapeError, match="image 0 has the shape"):
        Denoiser().fit(clean, clean=clean[:, :40])
    with pytest.raises(SpecError, match="leave damage out"):
        Denoiser("noise").fit(clean, clean=clean)
    with pytest.raises(DataError, match="no noise to be seen"):
        Denoiser().fit(np.full((4, 32, 32), 128, np.uint8))
    with pytest.raises(DataError, match="at least 16 pixels a side"):
        Denoiser("noise").fit(clean[:, :8, :8])
    holed = clean.astype(float)
    holed[0, 3, 3] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        Denoiser("noise").fit(holed)
    with pytest.raises(DataError):
        Denoiser("noise").fit(np.zeros((4, 30)))


def test_holes_are_refused_by_what_fills_none(fitted: Denoiser):
    image = scenes(1).astype(float)
    image[0, 3, 3] = np.nan
    with pytest.raises(DataError, match="Restorer"):
        fitted.transform(image)
