"""Every prior: one object to score and to sample, and both agree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from isthmus.core.specs import spec
from isthmus.parts import PRIORS, Prior
from tests.contracts.density import largest_chance_gap, largest_gap, total

GRIDS = st.sampled_from([(), (2,), (3, 2)])
DRAWS = 20_000
OF_SYMBOLS = [kind for kind in PRIORS if "n_symbols" in PRIORS.options(kind)]
over_priors = pytest.mark.parametrize("kind", [k for k in PRIORS if k not in OF_SYMBOLS])
over_symbols = pytest.mark.parametrize("kind", OF_SYMBOLS)
before_and_after_start = pytest.mark.parametrize("started", [False, True])


def prior(kind: str, dim: int = 1, started: bool = False) -> Prior:
    made = PRIORS.build(spec(kind), dim=dim).double().eval()
    if started:
        made.start(0.5 + 2 * torch.randn(200, dim, dtype=torch.float64))
    return made


@over_priors
@before_and_after_start
def test_the_density_sums_to_one(kind: str, started: bool) -> None:
    made = prior(kind, started=started)
    sum_of_all = total(lambda z: made.log_prob(z[:, None]), made.sample(1000))
    assert sum_of_all == pytest.approx(1, abs=1e-3)


@over_priors
@before_and_after_start
def test_draws_follow_the_density(kind: str, started: bool) -> None:
    made = prior(kind, started=started)
    draws = made.sample(DRAWS)[:, 0]
    gap = largest_gap(lambda z: made.log_prob(z[:, None]), draws)
    assert gap < largest_chance_gap(DRAWS)


@over_priors
@given(dim=st.integers(1, 4), grid=GRIDS, n=st.integers(1, 5))
def test_samples_have_the_shape_of_codes_and_a_score_each(
    kind: str, dim: int, grid: tuple[int, ...], n: int
) -> None:
    made = prior(kind, dim)
    z = made.sample(n, grid)
    assert z.shape == (n, dim, *grid)
    scores = made.log_prob(z)
    assert scores.shape == (n,)
    assert scores.isfinite().all()
    torch.testing.assert_close(made.log_prob(z[:1]), scores[:1])


@over_priors
@given(mean=st.floats(-3, 3), log_scale=st.floats(-3, 1))
def test_the_expected_score_is_the_mean_score_of_draws(
    kind: str, mean: float, log_scale: float
) -> None:
    made = prior(kind)
    means = torch.full((DRAWS, 1), mean, dtype=torch.float64)
    log_scales = torch.full_like(means, log_scale)
    z = means + torch.randn_like(means) * log_scales.exp()
    scores = made.log_prob(z)
    expected = made.expected_log_prob(z, means, log_scales).mean()
    assert abs(float(expected - scores.mean())) <= 5 * float(scores.std()) / DRAWS**0.5 + 1e-9


@over_priors
def test_the_score_has_a_gradient(kind: str) -> None:
    made = prior(kind, 3)
    z = made.sample(4).requires_grad_()
    made.log_prob(z).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert z.grad.abs().sum() > 0


def of_symbols(kind: str, dim: int, size: int, started: bool = True) -> Prior:
    made = PRIORS.build(spec(kind), dim=dim, n_symbols=size).double().eval()
    if started:
        made.start(skewed(40, dim, size))
    return made


def skewed(n: int, dim: int, size: int) -> Tensor:
    """(n, dim) symbols, small ones more often."""
    return (size * torch.rand(n, dim) ** 3).long()


@over_symbols
@before_and_after_start
@given(dim=st.integers(1, 3), size=st.integers(1, 5))
def test_the_probabilities_of_all_symbols_sum_to_one(
    kind: str, started: bool, dim: int, size: int
) -> None:
    made = of_symbols(kind, dim, size, started)
    every = torch.cartesian_prod(*[torch.arange(size)] * dim).view(-1, dim)
    assert float(made.log_prob(every).exp().sum()) == pytest.approx(1)


@over_symbols
@before_and_after_start
def test_symbols_are_drawn_as_often_as_they_are_probable(kind: str, started: bool) -> None:
    made = of_symbols(kind, 1, 6, started)
    draws = made.sample(DRAWS)[:, 0]
    observed = draws.bincount(minlength=6) / DRAWS
    promised = made.log_prob(torch.arange(6).unsqueeze(1)).exp()
    assert (observed - promised).abs().max() < largest_chance_gap(DRAWS)


@over_symbols
@given(dim=st.integers(1, 4), grid=GRIDS, n=st.integers(1, 5))
def test_symbols_on_a_grid_are_scored_position_by_position(
    kind: str, dim: int, grid: tuple[int, ...], n: int
) -> None:
    made = of_symbols(kind, dim, 7)
    symbols = made.sample(n, grid)
    assert symbols.shape == (n, dim, *grid)
    assert symbols.dtype == torch.int64
    one_by_one = [made.log_prob(at).view(n) for at in symbols.reshape(n, dim, -1).unbind(2)]
    torch.testing.assert_close(made.log_prob(symbols), torch.stack(one_by_one).sum(0))


def test_symbols_are_counted_while_training_and_none_becomes_impossible() -> None:
    made = of_symbols("frequencies", 2, 5, started=False).train()
    symbols = skewed(300, 2, 5)
    symbols[:, 1] = 3
    for _ in range(50):
        made.learn(symbols)
    made.eval()
    shares = symbols[:, :1].flatten().bincount(minlength=5) / 300
    found = made.log_prob(torch.stack([torch.arange(5), torch.full((5,), 3)], 1)).exp()
    torch.testing.assert_close(found, shares.double(), atol=2e-3, rtol=0)
    assert made.log_prob(torch.tensor([[0, 0]])).isfinite().all()
