"""Every code: from the encoder's output to z and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from isthmus.core.specs import spec
from isthmus.parts import CODES, PRIORS, Code, Prior, Shape

GRIDS = st.sampled_from([(), (2,), (3, 2)])
over_codes = pytest.mark.parametrize("kind", list(CODES))


def code(kind: str, dim: int = 3, **options: Any) -> Code:
    return CODES.build(spec(kind, **options), dim=dim).eval()


def outputs(code: Code, rows: int, grid: tuple[int, ...] = (), scale: float = 1.0) -> Tensor:
    return scale * torch.randn(rows, code.n_params, code.dim, *grid)


@over_codes
@pytest.mark.parametrize("training", [False, True])
@given(dim=st.integers(1, 4), rows=st.integers(1, 5), grid=GRIDS)
def test_shapes_are_as_promised(
    kind: str, training: bool, dim: int, rows: int, grid: tuple[int, ...]
) -> None:
    made = code(kind, dim).train(training)
    coded = made(outputs(made, rows, grid))
    assert coded.z.shape == coded.mean.shape == (rows, dim, *grid)
    assert coded.rate.shape == coded.aux.shape == (rows,)
    assert made.sample(rows, grid).shape == (rows, dim, *grid)
    assert made.sample(rows, grid).isfinite().all()


@over_codes
@given(rows=st.integers(2, 6), grid=GRIDS)
def test_in_use_nothing_is_drawn_and_a_row_stands_alone(
    kind: str, rows: int, grid: tuple[int, ...]
) -> None:
    made = code(kind)
    h = outputs(made, rows, grid)
    state = torch.get_rng_state()
    coded = made(h)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(coded.z, coded.mean)
    for whole, alone in zip(coded, made(h[:1]), strict=True):
        torch.testing.assert_close(whole[:1], alone)


@over_codes
def test_what_is_drawn_in_training_scatters_around_the_mean(kind: str) -> None:
    made = code(kind)
    h = outputs(made, 1).expand(4000, -1, -1)
    promised = made(h).mean
    coded = made.train()(h)
    torch.testing.assert_close(coded.mean, promised)
    error = coded.z.std(0, correction=0) / len(h) ** 0.5
    assert ((coded.z.mean(0) - promised[0]).abs() <= 5 * error + 1e-5).all()


def test_the_gaussian_code_draws_in_training_with_the_scale_it_says() -> None:
    made = code("gaussian", 2).train()
    mean, log_scale = torch.tensor([1.0, -2.0]), torch.tensor([-1.0, 0.5])
    z = made(torch.stack([mean, log_scale]).expand(20_000, 2, 2)).z
    torch.testing.assert_close(z.std(0), log_scale.exp(), rtol=0.03, atol=0.0)


@over_codes
@pytest.mark.parametrize("training", [False, True])
@given(scale=st.floats(0, 1e3), grid=GRIDS)
def test_costs_are_finite_and_never_below_zero(
    kind: str, training: bool, scale: float, grid: tuple[int, ...]
) -> None:
    made = code(kind).train(training)
    coded = made(outputs(made, 4, grid, scale))
    for part in coded:
        assert part.isfinite().all()
    assert (coded.rate >= -1e-5 * (1 + coded.rate.abs())).all()


@given(grid=GRIDS)
def test_the_gaussian_code_costs_its_divergence_from_the_prior(grid: tuple[int, ...]) -> None:
    made = code("gaussian")
    h = outputs(made, 5, grid)
    divergence = kl_divergence(Normal(h[:, 0], h[:, 1].exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(made(h).rate, divergence.flatten(1).sum(1))


class OpenNormal(Prior):
    """The standard normal, without a closed form of what it expects of a posterior."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def log_prob(self, z: Tensor) -> Tensor:
        return Normal(0.0, 1.0).log_prob(z).flatten(1).sum(1)

    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        return torch.randn(n, self.dim, *grid)


def test_a_prior_without_a_closed_form_costs_the_same_in_use_as_in_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(PRIORS._entries, "open", OpenNormal)
    made = code("gaussian", prior=spec("open"))
    h = outputs(made, 1)
    in_use = float(made(h).rate)
    in_training = made.train()(h.expand(20_000, -1, -1)).rate
    error = float(in_training.std()) / len(in_training) ** 0.5
    assert abs(in_use - float(in_training.mean())) < 5 * error
    torch.testing.assert_close(made.eval()(h).rate, code("gaussian")(h).rate)


@over_codes
def test_a_code_without_an_extra_cost_says_so(kind: str) -> None:
    made = code(kind).train()
    aux = made(outputs(made, 4)).aux
    assert made.has_aux or not aux.any()


@over_codes
@pytest.mark.parametrize("training", [False, True])
def test_gradients_reach_the_encoder(kind: str, training: bool) -> None:
    made = code(kind).train(training)
    h = outputs(made, 4).requires_grad_()
    coded = made(h)
    (coded.z.square().sum() + coded.rate.sum() + coded.aux.sum()).backward()
    assert h.grad is not None
    assert h.grad.isfinite().all()
    assert (h.grad.abs().sum((0, 2)) > 0).all()


@over_codes
@given(curvature=st.lists(st.floats(0, 1e6), min_size=3, max_size=3))
def test_after_its_start_a_code_still_costs_what_it_must(kind: str, curvature: list[float]) -> None:
    made = code(kind)
    made.start(torch.tensor(curvature))
    coded = made(outputs(made, 4))
    assert coded.rate.isfinite().all()
    assert (coded.rate >= -1e-4).all()


def test_the_gaussian_code_starts_with_less_noise_where_noise_costs_more() -> None:
    made = code("gaussian", 3).train()
    made.start(torch.tensor([0.0, 3.0, 99.0]))
    z = made(torch.zeros(20_000, 2, 3)).z
    torch.testing.assert_close(z.std(0), torch.tensor([1.0, 0.5, 0.1]), rtol=0.03, atol=0.0)


@over_codes
@pytest.mark.parametrize("prior", list(PRIORS))
def test_every_prior_goes_with_every_code(kind: str, prior: str) -> None:
    made = code(kind, prior=spec(prior)).train()
    coded = made(outputs(made, 4))
    assert coded.rate.isfinite().all()
    assert made.sample(2).shape == (2, 3)
