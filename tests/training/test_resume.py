"""The state of a run on disk: ended at any moment, it goes on to the same bits."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from isthmus import Autoencoder, load
from isthmus.core.errors import NotFittedError, TrainingError
from isthmus.model import Model
from isthmus.training.checkpoint import read_checkpoint, write_checkpoint
from tests.training.runs import (
    CASES,
    EPOCHS,
    STEPS_PER_EPOCH,
    X,
    ctrl_c,
    estimator,
    fit_and_save,
    no_step,
    started,
    wait_for_states,
)

CASE = "noise, dropout and moving averages"
over_cases = pytest.mark.parametrize("case", list(CASES))


def weights(path: Path) -> bytes:
    return (path / "model.safetensors").read_bytes()


def same_weights(one: Autoencoder, other: Autoencoder) -> bool:
    ours, theirs = one.model_.state_dict(), other.model_.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def without_seconds(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in history]


@pytest.fixture(scope="module")
def finished_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a run that came to its end."""
    state = tmp_path_factory.mktemp("finished") / "state"
    estimator(CASE, state).fit(X)
    return state


@over_cases
def test_a_run_killed_again_and_again_ends_with_the_weights_of_an_undisturbed_one(
    case: str, tmp_path: Path
) -> None:
    moment, state = random.Random(case), tmp_path / "state"
    fit_and_save(case, tmp_path / "undisturbed state", tmp_path / "undisturbed")
    seen = set()
    for _ in range(3):
        process = started(fit_and_save, case, state, tmp_path / "killed")
        wait_for_states(process, state, moment.randint(1, 7))
        time.sleep(moment.uniform(0, 0.01))
        process.kill()
        process.join()
        facts, _ = read_checkpoint(state)
        seen.add((facts["phase"], facts["epoch"], facts["step"]))
    assert any(0 < step < STEPS_PER_EPOCH for _, _, step in seen), "none was within an epoch"
    assert len(seen) > 1, "no run went on"
    fit_and_save(case, state, tmp_path / "resumed")
    assert weights(tmp_path / "resumed") == weights(tmp_path / "undisturbed")
    resumed, undisturbed = load(tmp_path / "resumed"), load(tmp_path / "undisturbed")
    assert without_seconds(resumed.history_) == without_seconds(undisturbed.history_)
    assert resumed.kept_ == undisturbed.kept_
    assert resumed.validation_ == undisturbed.validation_


@pytest.mark.parametrize("case", [case for case in CASES if "by hand" not in case])
def test_the_state_after_a_step_alone_decides_what_comes(case: str, tmp_path: Path) -> None:
    """Every state that a run writes, among them those at the end of an epoch and of a phase.

    That of the dense engine, which calls no module, is tested beside it.
    """
    state = tmp_path / "state"
    copies: dict[tuple[int, int, int], Path] = {}

    def keep(module: nn.Module, arguments: Any) -> None:
        if isinstance(module, Model) and state.exists():
            facts, _ = read_checkpoint(state)
            place = (facts["phase"], facts["epoch"], facts["step"])
            if place not in copies:
                copies[place] = Path(shutil.copy(state, tmp_path / str(place)))

    handle = register_module_forward_pre_hook(keep)
    whole = estimator(case, state).fit(X)
    handle.remove()
    assert len(copies) >= 2 * STEPS_PER_EPOCH - 1
    last = max(step for _, _, step in copies)
    for place, copy in copies.items():
        if place[2] in (1, 5, last):
            resumed = estimator(case, copy).fit(X)
            assert same_weights(resumed, whole), f"from {place}"
            assert without_seconds(resumed.history_) == without_seconds(whole.history_)


def test_ctrl_c_from_outside_reaches_the_caller_and_the_run_can_go_on(tmp_path: Path) -> None:
    state = tmp_path / "state"
    process = started(fit_and_save, CASE, state, tmp_path / "whole")
    wait_for_states(process, state, 3)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 0
    interrupted = load(tmp_path / "interrupted")
    assert not (tmp_path / "whole").exists(), "it ran on to its end"
    assert np.isfinite(interrupted.transform(X)).all()
    assert same_weights(estimator(CASE, state).fit(X), estimator(CASE).fit(X))


@pytest.mark.parametrize("validation", [0.1, 0])
@pytest.mark.parametrize("step", [1, STEPS_PER_EPOCH + 3, EPOCHS * STEPS_PER_EPOCH])
def test_ctrl_c_leaves_a_whole_estimator_and_a_state_to_go_on_from(
    step: int, validation: float, tmp_path: Path
) -> None:
    state, rows = tmp_path / "state", X if validation else X[:268]
    ae = estimator(CASE, state, validation=validation)
    with pytest.raises(KeyboardInterrupt), ctrl_c({step: 1}):
        ae.fit(rows)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert np.isfinite(ae.score(rows))
    assert len(ae.history_) == (step if step == EPOCHS * STEPS_PER_EPOCH else step - 1) // 9
    ae.save(tmp_path / "model")
    resumed = estimator(CASE, state, validation=validation).fit(rows)
    assert same_weights(resumed, estimator(CASE, validation=validation).fit(rows))


@pytest.mark.parametrize("validation", [0.1, 0])
def test_ctrl_c_in_the_first_epoch_leaves_the_plain_start(validation: float) -> None:
    ae = estimator(CASE, validation=validation, learning_rate=0.3)
    with pytest.raises(KeyboardInterrupt), ctrl_c({5: 1}):
        ae.fit(X)
    assert ae.kept_ == "start"
    plain = Autoencoder(4, recipe="linear").fit(X)
    assert ae.score(X) == pytest.approx(plain.score(X), rel=0.05)


@pytest.mark.parametrize("recipe", ["linear", "denoising"])
def test_ctrl_c_while_the_start_is_worked_out_reaches_the_caller_too(recipe: str) -> None:
    def press(module: nn.Module, arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        handle.remove()

    handle = register_module_forward_pre_hook(press)
    with pytest.raises(KeyboardInterrupt):
        estimator(CASE, recipe=recipe, network=None).fit(X)


def test_a_second_ctrl_c_stops_at_once_and_the_state_before_is_whole(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt), ctrl_c({12: 2}):
        estimator(CASE, state).fit(X)
    facts, _ = read_checkpoint(state)
    assert facts["epoch"] * STEPS_PER_EPOCH + facts["step"] == 11, "the step in progress was ended"
    assert same_weights(estimator(CASE, state).fit(X), estimator(CASE).fit(X))


def test_a_second_ctrl_c_leaves_an_unfitted_estimator_unfitted() -> None:
    ae = estimator(CASE)
    with pytest.raises(KeyboardInterrupt), ctrl_c({3: 2}):
        ae.fit(X)
    with pytest.raises(NotFittedError):
        ae.transform(X)


def test_a_run_that_came_to_its_end_returns_at_once_with_the_same(finished_state: Path) -> None:
    whole = estimator(CASE).fit(X)
    again = estimator(CASE, finished_state).fit(X)
    assert same_weights(again, whole)
    assert without_seconds(again.history_) == without_seconds(whole.history_)
    with no_step():
        assert estimator(CASE, finished_state).fit(X).history_ == again.history_


@pytest.mark.parametrize(
    "changes",
    [
        {"random_state": 1},
        {"epochs": EPOCHS + 1},
        {"learning_rate": 0.01},
        {"optimizer": "adam"},
        {"recipe": "vae"},
        {"latent_dim": 5},
        {"network": None},
        {"validation": 0.2},
    ],
    ids=str,
)
def test_the_state_of_other_settings_is_refused_and_kept(
    changes: dict[str, Any], finished_state: Path
) -> None:
    before = finished_state.read_bytes()
    with pytest.raises(TrainingError, match="other data or other settings"):
        estimator(CASE, finished_state, **changes).fit(X)
    assert finished_state.read_bytes() == before


def test_the_state_of_other_data_or_weights_is_refused(finished_state: Path) -> None:
    weight = np.ones(len(X))
    weight[0] = 2
    with pytest.raises(TrainingError, match="other data or other settings"):
        estimator(CASE, finished_state).fit(X + np.eye(*X.shape))
    with pytest.raises(TrainingError, match="other data or other settings"):
        estimator(CASE, finished_state).fit(X, sample_weight=weight)


def test_the_state_of_other_modules_is_refused(tmp_path: Path) -> None:
    for refused, dim in ((False, 3), (True, 4)):
        modules = {"encoder": nn.Linear(64, dim), "decoder": nn.Linear(dim, 64)}
        settings: dict[str, Any] = {"recipe": "autoencoder", "latent_dim": "auto", **modules}
        ae = estimator(CASE, tmp_path / "state", **settings)
        if refused:
            with pytest.raises(TrainingError, match="other data or other settings"):
                ae.fit(X)
        else:
            ae.fit(X)


@pytest.mark.parametrize("tenth", range(10))
def test_a_truncated_state_is_refused_in_words_and_kept(
    tenth: int, finished_state: Path, tmp_path: Path
) -> None:
    content = finished_state.read_bytes()
    state = tmp_path / "state"
    state.write_bytes(content[: len(content) * tenth // 10])
    with pytest.raises(TrainingError, match="Delete it to start anew") as caught:
        estimator(CASE, state).fit(X)
    assert str(state) in str(caught.value)
    assert state.stat().st_size == len(content) * tenth // 10


@given(garbage=st.binary(max_size=300))
def test_garbage_is_no_state(garbage: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = tmp_path_factory.mktemp("garbage") / "state"
    state.write_bytes(garbage)
    with pytest.raises(TrainingError, match="Delete it to start anew"):
        read_checkpoint(state)


@given(data=st.data())
def test_a_state_with_one_bit_flipped_is_refused(
    data: st.DataObject, finished_state: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(finished_state.read_bytes())
    where = data.draw(st.integers(0, 2000) | st.integers(0, len(content) - 1))
    content[where] ^= 1 << data.draw(st.integers(0, 7))
    state = tmp_path_factory.mktemp("flipped") / "state"
    state.write_bytes(content)
    with pytest.raises(TrainingError, match="Delete it to start anew"):
        read_checkpoint(state)


def test_other_files_are_no_state(finished_state: Path, tmp_path: Path) -> None:
    estimator(CASE, finished_state).fit(X).save(tmp_path / "model")
    for other in (tmp_path / "model" / "model.safetensors", tmp_path / "model" / "config.json"):
        with pytest.raises(TrainingError, match="Delete it to start anew"):
            estimator(CASE, other).fit(X)
    with pytest.raises(TrainingError, match="cannot be read as a training state"):
        estimator(CASE, tmp_path / "model").fit(X)


def test_a_state_that_lacks_what_it_must_hold_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "state", {}, {"model|x": torch.zeros(1)})
    with pytest.raises(TrainingError, match="elete it to start anew"):
        estimator(CASE, tmp_path / "state").fit(X)


def test_a_place_that_cannot_be_written_is_named_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrainingError, match="cannot be written"), no_step():
        estimator(CASE, tmp_path / "file" / "state").fit(X)


def test_a_state_is_written_into_new_folders_and_nothing_is_left_beside(tmp_path: Path) -> None:
    state = tmp_path / "new" / "folder" / "state"
    estimator(CASE, state, epochs=1).fit(X)
    assert [found.name for found in state.parent.iterdir()] == ["state"]


def test_what_a_state_is_given_it_gives_back(tmp_path: Path) -> None:
    tensors = {"a|b": torch.randn(3, 2), "c|d": torch.arange(5), "e|f": torch.tensor(2.5)}
    facts = {"text": "é", "number": 1.5, "list": [1, {"deep": None}], "infinite": float("inf")}
    write_checkpoint(tmp_path / "state", facts, tensors)
    found, arrays = read_checkpoint(tmp_path / "state")
    assert found == facts
    assert arrays.keys() == tensors.keys()
    assert all(torch.equal(arrays[name], tensors[name]) for name in tensors)


def test_a_write_that_fails_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    write_checkpoint(tmp_path / "state", {"which": "old"}, {"a|b": torch.zeros(1)})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((OSError, TrainingError), match="No space left"):
        write_checkpoint(tmp_path / "state", {"which": "new"}, {"a|b": torch.ones(1)})
    assert read_checkpoint(tmp_path / "state")[0] == {"which": "old"}
    assert [found.name for found in tmp_path.iterdir()] == ["state"]


def test_a_state_that_another_engine_wrote_is_refused_in_words(tmp_path: Path) -> None:
    case, state = "by hand, masked and variational", tmp_path / "state"
    estimator(case, state).fit(X)
    facts, tensors = read_checkpoint(state)
    assert facts["engine"] == "dense"
    write_checkpoint(state, {**facts, "engine": "torch"}, tensors)
    with pytest.raises(TrainingError, match=r"another engine.*delete it to start anew"):
        estimator(case, state).fit(X)
