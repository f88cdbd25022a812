"""Optimisers by name, their state, and the learning rate over a run."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import Tensor, nn

from isthmus import Autoencoder, spec
from isthmus.core.errors import SpecError
from isthmus.training.optimisers import (
    OPTIMIZERS,
    Lion,
    Optimiser,
    one_cycle,
    optimisers,
    restore_state,
    set_rate,
    state_tensors,
)
from tests.training.runs import fit_without_compiler, started

over_optimisers = pytest.mark.parametrize("name", list(OPTIMIZERS))
SHARES = st.floats(0, 1)


def small_module() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(8, 5), nn.LayerNorm(5), nn.Linear(5, 3)
    )


def take_steps(module: nn.Module, made: list[Optimiser], n: int, first: int) -> None:
    for i in range(first, first + n):
        x = torch.randn(4, 1, 6, generator=torch.Generator().manual_seed(i))
        for p in module.parameters():
            p.grad = None
        module(x).square().sum().backward()
        for optimiser in made:
            optimiser.step()


@over_optimisers
def test_every_optimiser_trains_below_the_start(name: str) -> None:
    ae = Autoencoder(
        4, epochs=15, batch_size=16, network=spec("mlp", widths=(32,)), optimizer=name
    ).fit(load_digits().images[:600])
    assert ae.kept_ == "trained"
    assert ae.validation_["trained"] < 0.95 * ae.validation_["start"]
    assert ae.history_[-1]["train"] < ae.history_[0]["train"]


@over_optimisers
def test_weights_decay_and_biases_scales_and_gains_dont(name: str) -> None:
    module = small_module()
    with torch.no_grad():
        for p in module.parameters():
            p.fill_(1.0)
            p.grad = torch.zeros_like(p)
    for optimiser in optimisers(module, name, 0.1, weight_decay=0.5):
        for p in module.parameters():
            p.grad = torch.zeros_like(p)
        optimiser.step()
    for of, p in module.named_parameters():
        if p.ndim >= 2:
            assert (p < 1).all(), f"{of} did not decay"
        else:
            assert (p == 1).all(), f"{of} decayed"


@over_optimisers
def test_a_state_put_back_goes_on_to_the_same_bits(name: str) -> None:
    module = small_module()
    made = optimisers(module, name, 0.01, 0.1)
    take_steps(module, made, 5, first=0)
    other = copy.deepcopy(module)
    others = optimisers(other, name, 0.01, 0.1)
    restore_state(others, {k: v.clone() for k, v in state_tensors(made).items()})
    take_steps(module, made, 5, first=5)
    take_steps(other, others, 5, first=5)
    for p, q in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


@over_optimisers
def test_a_state_that_was_not_put_back_shows(name: str) -> None:
    module = small_module()
    made = optimisers(module, name, 0.01, 0.1)
    take_steps(module, made, 5, first=0)
    other = copy.deepcopy(module)
    others = optimisers(other, name, 0.01, 0.1)
    take_steps(module, made, 2, first=5)
    take_steps(other, others, 2, first=5)
    pairs = zip(module.parameters(), other.parameters(), strict=True)
    assert not all(torch.equal(p, q) for p, q in pairs)


@over_optimisers
def test_every_parameter_that_is_trained_is_moved_and_no_other(name: str) -> None:
    module = small_module()
    module[4].weight.requires_grad_(False)
    before = [p.detach().clone() for p in module.parameters()]
    take_steps(module, optimisers(module, name, 0.1, 0.0), 1, first=0)
    for old, p in zip(before, module.parameters(), strict=True):
        assert torch.equal(old, p) != p.requires_grad


@over_optimisers
def test_the_rate_that_is_set_is_the_rate_of_the_next_step(name: str) -> None:
    module = small_module()
    made = optimisers(module, name, 0.1, 0.1)
    set_rate(made, 0.0)
    before = [p.detach().clone() for p in module.parameters()]
    take_steps(module, made, 1, first=0)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


@pytest.mark.parametrize("name", ["adamw", "adam", "lion"])
def test_a_first_fit_does_not_wait_for_the_compiler_to_be_imported(name: str) -> None:
    process = started(fit_without_compiler, name)
    process.join()
    assert process.exitcode == 0


def test_nothing_to_train_needs_no_optimiser() -> None:
    assert optimisers(nn.Flatten(), "adamw", 0.1, 0.1) == []


def test_lion_steps_by_the_sign_of_its_momentum() -> None:
    p = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    lion = Lion([{"params": [p], "weight_decay": 0.5}], lr=0.1)
    momentum, expected = torch.zeros(3), p.detach().clone()
    for gradient in (torch.tensor([0.3, -0.2, 0.0]), torch.tensor([-5.0, 4.0, 1.0])):
        p.grad = gradient
        lion.step()
        expected = expected * (1 - 0.1 * 0.5)
        expected = expected - 0.1 * (0.9 * momentum + 0.1 * gradient).sign()
        momentum = 0.99 * momentum + 0.01 * gradient
        torch.testing.assert_close(p.detach(), expected)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")
def test_muon_moves_a_matrix_as_far_in_every_direction() -> None:
    def moved(name: str) -> Tensor:
        torch.manual_seed(0)
        layer = nn.Linear(6, 3)
        before = layer.weight.detach().clone()
        made = optimisers(layer, name, 0.1, 0.0)
        (layer(torch.randn(8, 6)) * torch.tensor([3.0, 1.0, 1.0])).square().sum().backward()
        for optimiser in made:
            optimiser.step()
        values: Tensor = torch.linalg.svdvals(layer.weight.detach() - before)
        return values.max() / values.min()

    assert moved("muon") < 2 < moved("sgd")


def test_muon_says_what_it_needs_where_pytorch_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(SpecError, match="newer PyTorch"):
        optimisers(small_module(), "muon", 0.1, 0.1)


@given(a=SHARES, b=SHARES)
def test_the_rate_rises_over_a_quarter_of_the_run_then_falls(a: float, b: float) -> None:
    a, b = min(a, b), max(a, b)
    assert 0 <= one_cycle(a) <= 1
    if b <= 0.25:
        assert one_cycle(a) <= one_cycle(b)
    if a >= 0.25:
        assert one_cycle(a) >= one_cycle(b)


def test_the_rate_starts_small_peaks_at_one_and_ends_at_zero() -> None:
    assert one_cycle(0.0) == pytest.approx(0.04)
    assert one_cycle(0.25) == pytest.approx(1.0)
    assert one_cycle(1.0) == pytest.approx(0.0)
    assert one_cycle(1.5) == pytest.approx(0.0)
