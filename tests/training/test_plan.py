"""From what the user asked for to the numbers that training uses."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.errors import SpecError
from isthmus.core.recipe import Recipe
from isthmus.core.specs import spec
from isthmus.model import Model, n_parameters
from isthmus.training.optimisers import OPTIMIZERS
from isthmus.training.plan import Settings, device_of, plan, threads_for

RECIPE = Recipe(network=spec("mlp", widths=(16,)), likelihood=spec("gaussian"))
MODEL = Model(RECIPE, (8,), 2)
ROWS = st.integers(1, 200_000)
over_optimisers = pytest.mark.parametrize("name", list(OPTIMIZERS))


@given(n=ROWS)
def test_a_batch_is_16_to_256_rows_and_never_more_than_there_are(n: int) -> None:
    found = plan(Settings(), MODEL, n)
    assert min(n, 16) <= found.batch_size <= min(n, 256)
    assert found.batch_size == n or math.log2(found.batch_size).is_integer()
    assert plan(Settings(), MODEL, 2 * n).batch_size >= found.batch_size


@given(n=ROWS, asked=st.integers(1, 1000))
def test_a_batch_size_that_is_asked_for_is_taken_up_to_all_rows(n: int, asked: int) -> None:
    found = plan(Settings(batch_size=asked), MODEL, n)
    assert found.batch_size == min(n, asked)
    assert found.steps_per_epoch == math.ceil(n / found.batch_size)
    full = plan(Settings(batch_size="full"), MODEL, n)
    assert (full.batch_size, full.steps_per_epoch) == (n, 1)


@given(n=ROWS)
def test_epochs_are_enough_for_800_steps_but_20_to_200(n: int) -> None:
    found = plan(Settings(), MODEL, n)
    assert 20 <= found.epochs <= 200
    steps = found.epochs * found.steps_per_epoch
    assert steps >= 800 or found.epochs == 200
    assert steps - found.steps_per_epoch < 800 or found.epochs == 20


def test_what_is_asked_for_is_taken() -> None:
    asked = Settings(epochs=7, learning_rate=0.5, weight_decay=0.25, patience=3, gradient_clip=2.0)
    found = plan(asked, MODEL, 1000)
    taken = (found.epochs, found.learning_rate, found.weight_decay, found.patience)
    assert taken == (7, 0.5, 0.25, 3)
    assert found.gradient_clip == 2.0


def test_with_a_time_limit_alone_the_clock_ends_training_not_the_epochs() -> None:
    assert plan(Settings(max_time=60.0), MODEL, 100_000).epochs > 200
    assert plan(Settings(max_time=60.0, epochs=5), MODEL, 100_000).epochs == 5


@over_optimisers
@given(n=ROWS)
def test_a_network_that_could_learn_the_rows_by_heart_forgets_over_four_epochs(
    name: str, n: int
) -> None:
    found = plan(Settings(optimizer=name), MODEL, n)
    if not OPTIMIZERS[name].decoupled:
        assert found.weight_decay == 0
        return
    share = min(1.0, n_parameters(MODEL) / (64 * n))
    forgotten = found.weight_decay * found.learning_rate * found.steps_per_epoch * 4
    strongest = found.weight_decay == pytest.approx(4.0 * share) and forgotten < share
    assert forgotten == pytest.approx(share) or strongest


@over_optimisers
def test_a_decay_of_zero_is_zero(name: str) -> None:
    assert plan(Settings(optimizer=name, weight_decay=0.0), MODEL, 1000).weight_decay == 0


@given(n=ROWS, epochs=st.integers(1, 1000))
def test_patience_is_an_eighth_of_the_epochs_within_6_to_25(n: int, epochs: int) -> None:
    found = plan(Settings(epochs=epochs), MODEL, n)
    assert found.patience == max(found.validate_every, min(25, max(6, epochs // 8)))


@given(n=ROWS)
def test_validation_comes_after_at_least_ten_steps(n: int) -> None:
    found = plan(Settings(), MODEL, n)
    assert found.validate_every * found.steps_per_epoch >= 10
    assert (found.validate_every - 1) * found.steps_per_epoch < 10


def test_a_device_that_is_not_there_is_answered_with_what_would_do() -> None:
    with pytest.raises(SpecError, match="device 'nonsense' is not available here; use 'auto' or"):
        plan(Settings(device="nonsense"), MODEL, 100)


def test_small_steps_take_one_thread_and_large_ones_what_the_user_allows() -> None:
    assert threads_for(1e3) == 1
    assert threads_for(1e9) == torch.get_num_threads()


def test_bfloat16_is_taken_when_asked_for_and_never_for_small_steps_on_a_processor() -> None:
    assert plan(Settings(device="cpu", precision="bfloat16"), MODEL, 100).bfloat16
    assert not plan(Settings(device="cpu", precision="float32"), MODEL, 100).bfloat16
    assert not plan(Settings(device="cpu"), MODEL, 100).bfloat16


def test_the_automatic_device_is_a_gpu_where_there_is_one() -> None:
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_of("cpu") == torch.device("cpu")
