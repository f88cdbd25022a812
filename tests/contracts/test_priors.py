"""Every prior: one object to score and to sample, and both agree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.specs import spec
from isthmus.parts import PRIORS, Prior
from tests.contracts.density import largest_chance_gap, largest_gap, total

GRIDS = st.sampled_from([(), (2,), (3, 2)])
DRAWS = 20_000
over_priors = pytest.mark.parametrize("kind", list(PRIORS))
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
