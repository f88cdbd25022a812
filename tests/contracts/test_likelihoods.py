"""Every likelihood: a proper density whose parts agree with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from isthmus.core.specs import Spec
from isthmus.core.types import Batch
from isthmus.parts import LIKELIHOODS, Likelihood
from tests.contracts.density import largest_chance_gap, largest_gap, total

DRAWS = 20_000
VALUES: dict[str, list[object]] = {"scale": ["shared", "column", 0.3]}
"""What each option is tried with."""


def variants() -> Iterator[Spec]:
    for kind in LIKELIHOODS:
        yield Spec(kind)
        for name in LIKELIHOODS.options(kind, frozenset({"shape"})):
            for value in VALUES.get(name, []):
                yield Spec(kind, {name: value})


over_likelihoods = pytest.mark.parametrize(
    "spec",
    list(variants()),
    ids=lambda spec: "-".join(map(str, [spec.kind, *spec.options.values()])),
)


def likelihood(spec: Spec, shape: tuple[int, ...] = (1,), started: bool = True) -> Likelihood:
    made = LIKELIHOODS.build(spec, shape=shape).double()
    if started:
        x = values(made, 50, shape)
        made.start(Batch(x), made.guess(values(made, 50, shape)))
        made.requires_grad_(False)
    return made


def values(likelihood: Likelihood, rows: int, shape: tuple[int, ...] = (1,)) -> Tensor:
    """Values where the likelihood wants them."""
    if likelihood.support == "unit":
        return torch.rand(rows, *shape, dtype=torch.float64)
    return torch.randn(rows, *shape, dtype=torch.float64)


def density(likelihood: Likelihood, params: Tensor) -> Callable[[Tensor], Tensor]:
    """(n,) log densities of (n,) values, given the params of one."""

    def log_density(x: Tensor) -> Tensor:
        return -likelihood.nll(params.expand(len(x), *params.shape[1:]), x[:, None])[:, 0]

    return log_density


def test_every_option_is_tried() -> None:
    for kind in LIKELIHOODS:
        assert set(LIKELIHOODS.options(kind, frozenset({"shape"}))) <= set(VALUES)


@over_likelihoods
@given(shape=st.sampled_from([(1,), (4,), (2, 5, 3)]), rows=st.integers(1, 4))
def test_shapes_are_as_promised(spec: Spec, shape: tuple[int, ...], rows: int) -> None:
    made = likelihood(spec, shape)
    x = values(made, rows, shape)
    params = made.guess(x)
    assert params.shape == (rows, *made.params(shape))
    for result in (made.nll(params, x), made.mean(params), made.draw(params)):
        assert result.shape == x.shape
        assert result.isfinite().all()


@over_likelihoods
@pytest.mark.parametrize("started", [False, True])
@given(data=st.data())
def test_the_density_sums_to_one(spec: Spec, started: bool, data: st.DataObject) -> None:
    made = likelihood(spec, started=started)
    unit = made.support == "unit"
    x = data.draw(st.floats(0, 1) if unit else st.floats(-3, 3))
    params = made.guess(torch.tensor([[x]], dtype=torch.float64))
    draws = made.draw(params.expand(200, *params.shape[1:]))
    assert total(density(made, params), draws, unit) == pytest.approx(1, abs=1e-3)


@over_likelihoods
def test_draws_follow_the_density_and_have_its_mean(spec: Spec) -> None:
    made = likelihood(spec)
    params = made.guess(torch.tensor([[0.7]], dtype=torch.float64))
    draws = made.draw(params.expand(DRAWS, *params.shape[1:]))
    gap = largest_gap(density(made, params), draws[:, 0], made.support == "unit")
    assert gap < largest_chance_gap(DRAWS)
    error = float(draws.std()) / DRAWS**0.5
    assert abs(float(draws.mean() - made.mean(params))) < 5 * error


@over_likelihoods
@given(data=st.data())
def test_what_is_guessed_has_x_as_its_mean(spec: Spec, data: st.DataObject) -> None:
    made = likelihood(spec)
    x = data.draw(st.floats(0, 1) if made.support == "unit" else st.floats(-50, 50))
    wanted = torch.tensor([[x]], dtype=torch.float64)
    assert abs(float(made.mean(made.guess(wanted)) - wanted)) <= 0.02 + 1e-9


@over_likelihoods
@given(data=st.data())
def test_nothing_explains_x_better_than_its_own_guess(spec: Spec, data: st.DataObject) -> None:
    made = likelihood(spec)
    # The guess keeps off the border of the unit interval, and is the best only within.
    where = st.floats(0.02, 0.98) if made.support == "unit" else st.floats(-5, 5)
    x, other = (torch.tensor([[data.draw(where)]], dtype=torch.float64) for _ in range(2))
    assert made.nll(made.guess(x), x) <= made.nll(made.guess(other), x) + 1e-9


@over_likelihoods
def test_each_value_has_a_cost_of_its_own(spec: Spec) -> None:
    made = likelihood(spec, (3,))
    x = values(made, 2, (3,))
    params = made.guess(values(made, 2, (3,)))
    changed = x.clone()
    changed[:, 1] = 1 - changed[:, 1]
    before, after = made.nll(params, x), made.nll(params, changed)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.equal(before[:, 1], after[:, 1])


@over_likelihoods
def test_gradients_are_those_of_finite_differences(spec: Spec) -> None:
    made = likelihood(spec, (2,))
    x = values(made, 3, (2,))
    params = made.guess(values(made, 3, (2,))).requires_grad_()
    learned = [p.requires_grad_() for p in made.parameters()]
    assert gradcheck(lambda params, *_: made.nll(params, x), (params, *learned))


@over_likelihoods
def test_the_start_explains_the_data_better(spec: Spec) -> None:
    made = likelihood(spec, (2,), started=False)
    x = values(made, 200, (2,))
    params = made.guess(x.mean(0).expand_as(x) if made.support == "unit" else 0.9 * x)
    before = made.nll(params, x).mean()
    made.start(Batch(x), params)
    assert made.nll(params, x).mean() <= before + 1e-9


@over_likelihoods
def test_the_start_looks_only_at_what_has_weight(spec: Spec) -> None:
    x, weight = torch.rand(40, 2).double(), torch.bernoulli(torch.full((40, 2), 0.5)).double()
    weight[0] = 1
    results = []
    for garbage in (0.4, 1.0):
        made = likelihood(spec, (2,), started=False)
        filled = torch.where(weight > 0, x, garbage)
        made.start(Batch(filled, weight), made.guess(torch.full_like(x, 0.5)))
        results.append(made.nll(made.guess(x), x))
    torch.testing.assert_close(*results)


def test_cross_entropy_is_what_it_is_known_to_be() -> None:
    made = LIKELIHOODS.build("bernoulli", shape=(1,))
    p, x = torch.tensor([[0.2]]), torch.tensor([[0.7]])
    expected = -(x * p.log() + (1 - x) * (1 - p).log())
    torch.testing.assert_close(made.nll(p.logit(), x), expected)
