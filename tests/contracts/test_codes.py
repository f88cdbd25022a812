"""Every code: from the encoder's output to z and what it costs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from isthmus.core.errors import SpecError
from isthmus.core.specs import spec
from isthmus.parts import CODES, PRIORS, Code, Prior, Shape
from isthmus.parts.codes import Symbolic
from isthmus.parts.codes.symbols import Vector

GRIDS = st.sampled_from([(), (2,), (3, 2)])
over_codes = pytest.mark.parametrize("kind", list(CODES))
OF_SYMBOLS = [kind for kind in CODES if isinstance(CODES.build(kind, dim=1), Symbolic)]
over_symbols = pytest.mark.parametrize("kind", OF_SYMBOLS)


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
    kept = coded.mean != 0  # a nested code leaves some out
    torch.testing.assert_close(coded.mean, promised * kept)
    noise = coded.z - coded.mean
    error = noise.std(0, correction=0) / len(h) ** 0.5
    assert (noise.mean(0).abs() <= 5 * error + 1e-5).all()


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
def test_a_prior_goes_with_a_code_or_says_which_would(kind: str, prior: str) -> None:
    if ("n_symbols" in PRIORS.options(prior)) != (kind in OF_SYMBOLS):
        with pytest.raises(SpecError, match=rf"prior '{prior}'.*Take prior="):
            code(kind, prior=spec(prior))
        return
    made = code(kind, prior=spec(prior)).train()
    coded = made(outputs(made, 4))
    assert coded.rate.isfinite().all()
    assert made.sample(2).shape == (2, 3)


@over_codes
@given(grid=GRIDS)
def test_what_is_sampled_is_a_code_to_the_prior_and_to_the_code(
    kind: str, grid: tuple[int, ...]
) -> None:
    made = code(kind)
    z = made.sample(3, grid)
    assert made.prior.log_prob(z).shape == (3,)
    if made.n_params == 1:
        torch.testing.assert_close(made(z.unsqueeze(1)).z, z)


def test_the_price_of_one_draw_is_the_expected_price_in_the_mean() -> None:
    made = code("gaussian", rate="sampled").train()
    h = outputs(made, 1).expand(20_000, -1, -1)
    rates = made(h).rate
    error = float(rates.std()) / len(rates) ** 0.5
    assert abs(float(rates.mean() - code("gaussian")(h[:1]).rate)) < 5 * error
    torch.testing.assert_close(made.eval()(h[:1]).rate, code("gaussian")(h[:1]).rate)


@given(dim=st.integers(1, 9), data=st.data(), grid=GRIDS)
def test_topk_keeps_the_largest_as_they_are(
    dim: int, data: st.DataObject, grid: tuple[int, ...]
) -> None:
    k = data.draw(st.integers(1, dim))
    made = code("topk", dim, k=k)
    h = outputs(made, 4, grid)
    z = made(h).z
    kept = z != 0
    assert (kept.sum(1) == k).all()
    assert torch.equal(z[kept], h.squeeze(1)[kept])
    dropped = h.squeeze(1).abs().masked_fill(kept, 0).amax(1)
    assert (dropped <= z.abs().masked_fill(~kept, torch.inf).amin(1)).all()


@over_symbols
@pytest.mark.parametrize("dim", [1, 4, 7])
@given(grid=GRIDS, scale=st.floats(0.1, 10))
def test_symbols_say_all_of_a_code(
    kind: str, dim: int, grid: tuple[int, ...], scale: float
) -> None:
    made = code(kind, dim)
    assert isinstance(made, Symbolic)
    h = outputs(made, 5, grid, scale)
    symbols, z = made.symbols(h), made(h).z
    assert symbols.shape == (5, made.groups, *grid)
    assert symbols.dtype == torch.int64
    assert 0 <= int(symbols.min()) <= int(symbols.max()) < made.size
    assert torch.equal(made.z_of(symbols), z)
    assert torch.equal(made.symbols(z.unsqueeze(1)), symbols)


@over_symbols
def test_a_code_of_symbols_costs_what_its_prior_says_of_it(kind: str) -> None:
    made = code(kind)
    h = outputs(made, 200)
    made.prior.start(made(h).z)
    coded = made(h)
    torch.testing.assert_close(made.prior.log_prob(coded.z), -coded.rate)
    assert isinstance(made, Symbolic)
    assert coded.rate.mean() < made.groups * math.log(made.size)


@over_symbols
def test_only_training_changes_a_code(kind: str) -> None:
    made = code(kind).train()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    with torch.no_grad():
        made(outputs(made, 50))
    made.eval()(outputs(made, 50))
    for name, value in made.state_dict().items():
        assert torch.equal(value, before[name]), name
    made.train()(outputs(made, 50))
    assert any(not torch.equal(v, before[name]) for name, v in made.state_dict().items())


def clumps(rows: int, dim: int) -> Tensor:
    """(rows, 1, dim) around 16 places, far from where a codebook begins."""
    places = 5 + 3 * torch.randn(16, dim, generator=torch.Generator().manual_seed(1))
    return (places[torch.arange(rows) % 16] + 0.05 * torch.randn(rows, dim)).unsqueeze(1)


@pytest.mark.parametrize("looks", [True, False])
def test_entries_of_a_codebook_come_alive_where_codes_are(looks: bool) -> None:
    made = code("vector", 4, size=16).train()
    assert isinstance(made, Symbolic)
    if looks:
        made.look(clumps(400, 4))
    for _ in range(150):
        made(clumps(64, 4))
    h = clumps(400, 4)
    shares = made.symbols(h).flatten().bincount(minlength=16) / 400
    perplexity = (-(shares * shares.clamp(min=1e-9).log()).sum()).exp()
    assert perplexity > 12
    lost = (made.eval()(h).z - h.squeeze(1)).square().mean()
    assert lost < 0.1 * h.var(0).mean()


def test_a_codebook_that_has_looked_rounds_less() -> None:
    h = clumps(400, 6)
    made = code("vector", 6, size=32)
    before = (made(h).z - h.squeeze(1)).square().mean()
    made.look(h)
    assert (made(h).z - h.squeeze(1)).square().mean() < 0.05 * before


@over_symbols
@given(grid=GRIDS)
def test_a_row_weighed_is_a_row_repeated_to_what_a_code_learns(
    kind: str, grid: tuple[int, ...]
) -> None:
    weight = torch.tensor([3.0, 1.0, 2.0, 1.0])
    learned = []
    for repeated in (False, True):
        torch.manual_seed(0)
        made = code(kind, 4, **({"size": 4} if kind == "vector" else {}))
        h = outputs(made, 4, grid)
        start = made.symbols(h)  # type: ignore[operator]
        made.prior.of.learn(  # type: ignore[union-attr,operator]
            start.repeat_interleave(weight.long(), 0) if repeated else start,
            None if repeated else weight,
        )
        if isinstance(made, Vector):
            with torch.no_grad():
                made.look(h)
                again = h.repeat_interleave(weight.long(), 0) if repeated else h
                rows = made._rows(again)
                of = None if repeated else weight.repeat_interleave(len(rows) // 4)
                made._average(rows, made._nearest(rows), of, 0.5)
        learned.append(list(made.state_dict().values()))
    torch.testing.assert_close(*learned)


def test_of_equally_large_values_topk_keeps_only_so_many() -> None:
    made = code("topk", 4, k=1)
    assert int((made(torch.ones(3, 1, 4)).z != 0).sum()) == 3


def test_commitment_draws_the_encoder_to_its_entry() -> None:
    made = code("vector", 3, commitment=2.0).train()
    h = outputs(made, 5).requires_grad_()
    coded = made(h)
    torch.testing.assert_close(coded.aux, 2 * (h.squeeze(1) - coded.z).square().sum(1))
    coded.aux.sum().backward()
    torch.testing.assert_close(h.grad, (4 * (h - coded.z.unsqueeze(1))).detach())


@pytest.mark.parametrize(("levels", "lost"), [(2, 0.5), (4, 0.16), (8, 0.05), (16, 0.012)])
def test_rounding_a_normal_code_loses_little_of_its_variance(levels: int, lost: float) -> None:
    made = code("scalar", 1, levels=levels)
    h = torch.randn(20_000, 1, 1)
    assert (made(h).z - h.squeeze(1)).square().mean() < lost


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("topk", {"k": 4}),
        ("gaussian", {"rate": "none"}),
        ("vector", {"size": 0}),
        ("vector", {"group": 4}),
        ("vector", {"decay": 1.0}),
        ("vector", {"commitment": -1.0}),
        ("scalar", {"levels": 1}),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=next(iter(options))):
        code(kind, 3, **options)
