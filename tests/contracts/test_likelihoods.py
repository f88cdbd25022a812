"""Every likelihood: a proper density whose parts agree with each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import Distribution, Laplace, NegativeBinomial

from isthmus.core.errors import SpecError
from isthmus.core.specs import Spec
from isthmus.core.types import Batch
from isthmus.parts import LIKELIHOODS, Likelihood
from tests.contracts.density import largest_chance_gap, largest_gap, total
from tests.contracts.examples import LEVELS, domains, for_tables_only, rows, suited

DRAWS = 20_000
GIVEN = frozenset({"shape"})
SCALES: list[dict[str, Any]] = [{"scale": value} for value in ("shared", "column", 0.3)]
TRIED: dict[str, list[dict[str, Any]]] = {
    "gaussian": SCALES,
    "laplace": SCALES,
    "negative-binomial": [{"dispersion": "column"}, {"dispersion": "shared"}],
    "categorical": [{"levels": (LEVELS,)}],
    "mixed": [
        {"columns": ("number",), "levels": (0,), "numbers": "laplace"},
        {"columns": ("category",), "levels": (LEVELS,)},
        {"columns": ("count",), "levels": (0,), "counts": "negative-binomial"},
    ],
}
"""What the options are tried with, for one column."""
POINTS = {"real": 0.7, "unit": 0.7, "count": 4.0, "category": 1.0}
GARBAGE = {"real": 0.4, "unit": 0.4, "count": 90.0, "category": 1.0}
SLACK = {"real": 0.0, "unit": 0.02, "count": 0.2, "category": 0.0}
"""How far the mean of a guess may be from x."""


def variants() -> Iterator[Spec]:
    for kind in LIKELIHOODS:
        if not for_tables_only(kind):
            yield Spec(kind)
        for options in TRIED.get(kind, []):
            yield Spec(kind, options)


over_variants = pytest.mark.parametrize(
    "spec",
    list(variants()),
    ids=lambda spec: "-".join(map(str, [spec.kind, *spec.options.values()])),
)
over_likelihoods = pytest.mark.parametrize("kind", list(LIKELIHOODS))


def likelihood(spec: Spec, shape: tuple[int, ...] = (1,), started: bool = True) -> Likelihood:
    made = LIKELIHOODS.build(spec, shape=shape).double()
    if started:
        made.start(Batch(rows(spec, 50, shape)), made.guess(rows(spec, 50, shape)))
        made.requires_grad_(False)
    return made


def domain(spec: Spec) -> str:
    return domains(spec, 1)[0]


def some(domain: str, smallest: float = -3, largest: float = 3) -> st.SearchStrategy[float]:
    """Values of x; those in the unit interval keep off its border, as the guess does."""
    if domain == "real":
        return st.floats(smallest, largest)
    if domain == "unit":
        return st.floats(0.02, 0.98)
    return st.integers(0, 12 if domain == "count" else LEVELS - 1).map(float)


def one(x: float) -> Tensor:
    return torch.tensor([[x]], dtype=torch.float64)


def density(likelihood: Likelihood, params: Tensor) -> Callable[[Tensor], Tensor]:
    """(n,) log densities of (n,) values, given the params of one."""

    def log_density(x: Tensor) -> Tensor:
        return -likelihood.nll(params.expand(len(x), *params.shape[1:]), x[:, None])[:, 0]

    return log_density


def most(spec: Spec) -> int:
    return LEVELS if domain(spec) == "category" else 1000


def test_every_option_is_tried() -> None:
    for kind in LIKELIHOODS:
        tried = {name for options in TRIED.get(kind, []) for name in options}
        assert set(LIKELIHOODS.options(kind, GIVEN)) == tried


@over_likelihoods
@given(shape=st.sampled_from([(1,), (4,), (2, 5, 3)]), n=st.integers(1, 4))
def test_shapes_are_as_promised(kind: str, shape: tuple[int, ...], n: int) -> None:
    if for_tables_only(kind):
        shape = shape[:1]
    spec = suited(kind, shape[0])
    made = likelihood(spec, shape)
    x = rows(spec, n, shape)
    params = made.guess(x)
    assert params.shape == (n, *made.params(shape))
    assert made.embed(x).shape == (n, *made.inputs(shape))
    found = made.nll(params, x), made.mean(params), made.draw(params), made.error(x, x)
    for result in found:
        assert result.shape == x.shape
        assert result.isfinite().all()


@over_likelihoods
def test_what_is_shown_leads_back_to_x(kind: str) -> None:
    spec = suited(kind, 4)
    made, x = likelihood(spec, (4,)), rows(spec, 20, (4,))
    torch.testing.assert_close(made.unembed(made.embed(x)), x)


@over_likelihoods
def test_an_error_is_zero_for_x_itself_and_above_for_all_else(kind: str) -> None:
    spec = suited(kind, 4)
    made, x = likelihood(spec, (4,)), rows(spec, 20, (4,))
    assert not made.error(x, x).any()
    other = rows(spec, 20, (4,))
    assert torch.equal(made.error(other, x) > 0, other != x)


@over_variants
@pytest.mark.parametrize("started", [False, True])
@given(data=st.data())
def test_the_density_sums_to_one(spec: Spec, started: bool, data: st.DataObject) -> None:
    made = likelihood(spec, started=started)
    params = made.guess(one(data.draw(some(domain(spec)))))
    draws = made.draw(params.expand(200, *params.shape[1:]))
    summed = total(density(made, params), draws, domain(spec) == "unit", most(spec))
    assert summed == pytest.approx(1, abs=1e-3)


@over_variants
def test_draws_follow_the_density_and_have_its_mean(spec: Spec) -> None:
    made = likelihood(spec)
    params = made.guess(one(POINTS[domain(spec)]))
    draws = made.draw(params.expand(DRAWS, *params.shape[1:]))
    log_density = density(made, params)
    gap = largest_gap(log_density, draws[:, 0], domain(spec) == "unit", most(spec))
    assert gap < largest_chance_gap(DRAWS)
    if domain(spec) != "category":  # has no mean; its most probable level stands for it
        error = float(draws.std()) / DRAWS**0.5
        assert abs(float(draws.mean() - made.mean(params))) < 5 * error


@over_variants
@given(data=st.data())
def test_what_is_guessed_has_x_as_its_mean(spec: Spec, data: st.DataObject) -> None:
    made = likelihood(spec)
    wanted = one(data.draw(some(domain(spec), -50, 50)))
    away = abs(float(made.mean(made.guess(wanted)) - wanted))
    assert away <= SLACK[domain(spec)] + 1e-9


@over_variants
@given(data=st.data())
def test_nothing_explains_x_better_than_its_own_guess(spec: Spec, data: st.DataObject) -> None:
    made = likelihood(spec)
    x, other = (one(data.draw(some(domain(spec), -5, 5))) for _ in range(2))
    assert made.nll(made.guess(x), x) <= made.nll(made.guess(other), x) + 1e-9


@over_likelihoods
def test_each_value_has_a_cost_of_its_own(kind: str) -> None:
    spec = suited(kind, 4)
    made = likelihood(spec, (4,))
    told = rows(spec, 2, (4,))
    x, params = torch.where(told == 1, 0.0, 1.0).double(), made.guess(told)
    for column in range(4):
        changed = x.clone()
        changed[:, column] = told[:, column]
        before, after = made.nll(params, x), made.nll(params, changed)
        others = [j for j in range(4) if j != column]
        assert torch.equal(before[:, others], after[:, others])
        assert not torch.equal(before[:, column], after[:, column])


@over_likelihoods
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    spec = suited(kind, 3)
    made = likelihood(spec, (3,))
    x = rows(spec, 3, (3,))
    params = made.guess(rows(spec, 3, (3,))).requires_grad_()
    learned = [p.requires_grad_() for p in made.parameters()]
    assert gradcheck(lambda params, *_: made.nll(params, x), (params, *learned))


@over_variants
def test_the_start_explains_the_data_better(spec: Spec) -> None:
    made = likelihood(spec, started=False)
    x = rows(spec, 200, (1,))
    middle = x.mean(0).expand_as(x)
    params = made.guess(0.9 * x if domain(spec) == "real" else middle.round(decimals=1))
    before = made.nll(params, x).mean()
    made.start(Batch(x), params)
    assert made.nll(params, x).mean() <= before + 1e-2


@over_likelihoods
def test_the_start_looks_only_at_what_has_weight(kind: str) -> None:
    spec = suited(kind, 3)
    x = rows(spec, 40, (3,))
    weight = torch.bernoulli(torch.full((40, 3), 0.5)).double()
    weight[0] = 1
    garbage = one(0)[0].new_tensor([GARBAGE[d] for d in domains(spec, 3)])
    found = []
    for filled in (x, torch.where(weight > 0, x, garbage)):
        made = likelihood(spec, (3,), started=False)
        made.start(Batch(filled, weight), made.guess(x[:1].expand_as(x)))
        found.append(made.nll(made.guess(x), x))
    torch.testing.assert_close(*found)


@over_likelihoods
def test_the_start_counts_a_row_as_often_as_its_weight_says(kind: str) -> None:
    spec = suited(kind, 3)
    x, times = rows(spec, 30, (3,)), torch.arange(30) % 3
    repeated = x.repeat_interleave(times, 0)
    found = []
    for batch in (Batch(x, times.double()), Batch(repeated)):
        made = likelihood(spec, (3,), started=False)
        made.start(batch, made.guess(x[:1].expand_as(batch.x)))
        found.append(made.nll(made.guess(x), x))
    torch.testing.assert_close(*found)


def test_cross_entropy_is_what_it_is_known_to_be() -> None:
    made = LIKELIHOODS.build("bernoulli", shape=(1,))
    p, x = torch.tensor([[0.2]]), torch.tensor([[0.7]])
    expected = -(x * p.log() + (1 - x) * (1 - p).log())
    torch.testing.assert_close(made.nll(p.logit(), x), expected)


def test_densities_of_known_name_are_those() -> None:
    x = torch.tensor([[0.0, 1.0, 7.0]])
    params = torch.tensor([[0.5, -1.0, 2.0]])
    known: dict[str, Distribution] = {
        "laplace": Laplace(params, 1.0),
        "negative-binomial": NegativeBinomial(torch.ones(3), logits=params),
    }
    for kind, expected in known.items():
        made = LIKELIHOODS.build(kind, shape=(3,))
        torch.testing.assert_close(-made.nll(params, x), expected.log_prob(x))


@given(count=st.integers(0, 10**7), mean=st.floats(1e-3, 1e7), r=st.floats(1e-3, 1e3))
def test_counts_of_any_size_are_scored_in_single_precision(
    count: int, mean: float, r: float
) -> None:
    costs = []
    for kind in (torch.float32, torch.float64):
        made = LIKELIHOODS.build("negative-binomial", shape=(1,))
        torch.nn.init.constant_(made.get_parameter("log_r"), math.log(r))
        params = torch.tensor([[mean]], dtype=torch.float64).log()
        costs.append(made.to(kind).nll(params.to(kind), one(count).to(kind)).double())
    torch.testing.assert_close(*costs, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("mean", [-1e9, -100.0, 100.0, 1e9])
def test_a_mean_that_no_one_could_count_to_stays_finite(mean: float) -> None:
    made = LIKELIHOODS.build("negative-binomial", shape=(1,))
    params = torch.tensor([[mean]], requires_grad=True)
    assert made.mean(params).isfinite().all()
    assert made.draw(params.detach()).isfinite().all()
    made.nll(params, torch.tensor([[3.0]])).sum().backward()
    assert params.grad is not None
    assert params.grad.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("gaussian", {"scale": "wide"}),
        ("laplace", {"scale": -1.0}),
        ("negative-binomial", {"dispersion": "none"}),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=next(iter(options))):
        LIKELIHOODS.build(Spec(kind, options), shape=(2,))
