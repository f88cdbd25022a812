"""The loss: its terms, each per value of x, averaged over rows by their weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import MultivariateNormal

from isthmus.core.errors import SpecError
from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective, lowest, shares_of
from isthmus.parts import CODES, CORRUPTIONS, LIKELIHOODS
from tests.contracts.examples import for_tables_only, rows, suited

VALUES = 12
over_models = pytest.mark.parametrize(
    ("code", "likelihood"), [(code, likelihood) for code in CODES for likelihood in LIKELIHOODS]
)


def shape(likelihood: str) -> tuple[int, ...]:
    return (VALUES,) if for_tables_only(likelihood) else (1, 4, 3)


def data(likelihood: str, n: int) -> Tensor:
    return rows(suited(likelihood, VALUES), n, shape(likelihood)).float()


def model(code: str | Spec, likelihood: str) -> Model:
    network = spec("mlp", widths=(6,), linear_path=False)
    recipe = Recipe(network, Spec.from_json(code), suited(likelihood, VALUES))
    return Model(recipe, shape(likelihood), 2).eval()


@over_models
@given(fit=st.floats(0, 3), beta=st.floats(0, 3), weighed=st.booleans())
def test_the_loss_is_the_sum_of_its_terms(
    code: str, likelihood: str, fit: float, beta: float, weighed: bool
) -> None:
    made = model(code, likelihood)
    weight = torch.rand(7) * 2 if weighed else None
    batch = Batch(data(likelihood, 7), weight)
    step, w = made(Batch(batch.x)), torch.ones(7) if weight is None else weight
    nll, rate, aux = ((w * term).mean() / VALUES for term in (step.nll, *step.code[2:]))
    loss = Objective(made, Phase(fit=fit, beta=beta)).eval()(batch)
    torch.testing.assert_close(loss.total, fit * nll + beta * rate + aux)
    torch.testing.assert_close(loss.parts["nll"], nll)
    assert all(not part.requires_grad for part in loss.parts.values())


@over_models
def test_a_row_of_weight_two_counts_as_if_it_were_there_twice(code: str, likelihood: str) -> None:
    objective = Objective(model(code, likelihood), Phase()).eval()
    x, times = data(likelihood, 6), torch.tensor([0, 1, 2, 3, 0, 0])
    weighed = objective(Batch(x, times.float()))
    repeated = objective(Batch(x.repeat_interleave(times, 0)))
    torch.testing.assert_close(weighed.total, repeated.total)


@over_models
@pytest.mark.parametrize("corruption", list(CORRUPTIONS))
def test_the_loss_of_each_row_adds_up_to_the_loss_of_all(
    code: str, likelihood: str, corruption: str
) -> None:
    made = model(code, likelihood)
    phase, batch = Phase(corruption=spec(corruption)), Batch(data(likelihood, 128))
    objective = Objective(made, phase).eval()
    made.code.train()
    with torch.no_grad():
        torch.manual_seed(2)
        together = objective(batch).parts
        torch.manual_seed(2)
        alone = objective.rows(batch)
    assert alone.shape == (128, 2)
    torch.testing.assert_close(alone[:, 0].mean(), together["nll"] + together["rate"])


SAMPLED = spec("gaussian", rate="sampled")


def test_more_draws_bound_the_evidence_more_tightly() -> None:
    made = model(SAMPLED, "gaussian")
    made.code.train()
    batch = Batch(data("gaussian", 128))
    with torch.no_grad():
        bounds = [
            torch.stack([Objective(made, Phase(samples=samples))(batch).total for _ in range(50)])
            for samples in (1, 5, 50)
        ]
    means = [float(bound.mean()) for bound in bounds]
    assert means[0] > means[1] > means[2]


def test_the_bound_of_many_draws_is_the_evidence_of_a_linear_model() -> None:
    """Of x = w z + noise, whose evidence is known: a normal with variance w w' + 1."""
    made = Model(Recipe(spec("linear"), SAMPLED, spec("gaussian", scale=1.0)), (12,), 2)
    w = torch.tensor([0.7, -0.4]).repeat(6)
    with torch.no_grad():
        made.get_parameter("network.path.up")[:, 0] = w
    x = torch.randn(4, 12)
    known = MultivariateNormal(torch.zeros(12), torch.outer(w, w) + torch.eye(12))
    with torch.no_grad():
        found = Objective(made, Phase(samples=20_000))(Batch(x)).total
    assert float(found) == pytest.approx(float(-known.log_prob(x).mean() / 12), rel=0.01)


@pytest.mark.parametrize("trim", [0.1, 0.3])
def test_the_rows_with_the_largest_losses_are_left_out(trim: float) -> None:
    made = model("point", "gaussian")
    x = data("gaussian", 20)
    wild = x.clone()
    left_out = round(trim * 20)
    wild[:left_out] *= 1e3
    objective = Objective(made, Phase(trim=trim))
    kept = Objective(made, Phase())(Batch(x[left_out:]))
    torch.testing.assert_close(objective(Batch(wild)).total, kept.total)


BY_ROWS = [Phase(samples=3), Phase(beta=0.0, trim=0.3), Phase(samples=2, trim=0.3)]


@pytest.mark.parametrize("phase", BY_ROWS, ids=["samples", "trim", "both"])
def test_a_row_weighs_the_same_whether_or_not_others_have_gaps(phase: Phase) -> None:
    made, x = model(spec("gaussian", rate="sampled"), "gaussian"), data("gaussian", 40)
    weight = 3 * torch.rand(40)
    objective = Objective(made, phase)
    found = []
    for each in (weight, weight[:, None, None, None].expand_as(x)):
        torch.manual_seed(1)
        found.append(objective(Batch(x, each)))
    torch.testing.assert_close(found[0].total, found[1].total)
    torch.testing.assert_close(found[0].parts, found[1].parts)
    alone = []
    for batch in (Batch(x, weight), Batch(x)):
        torch.manual_seed(1)
        alone.append(objective.rows(batch))
    torch.testing.assert_close(*alone)


def test_the_heaviest_row_is_not_left_out_for_its_weight() -> None:
    made, x = model("point", "gaussian"), 0.1 * data("gaussian", 10)
    x[-1] = 30.0
    weight = torch.tensor([8.0, *[0.1] * 8, 1.2])
    objective = Objective(made, Phase(beta=0.0, trim=0.125)).eval()
    rows = objective.rows(Batch(x, weight))[:, 0]
    assert lowest(rows, 0.125, weight).sort().values.tolist() == list(range(9))
    expected = (rows[:9] * weight[:9]).sum() / weight[:9].sum() * weight.mean()
    torch.testing.assert_close(objective(Batch(x, weight)).total, expected)


def test_what_a_mask_hides_is_hidden_whatever_the_weights_of_the_rows() -> None:
    phase = Phase(beta=0.0, trim=0.1, corruption=spec("mask", share=0.5))
    x = data("gaussian", 8)
    seen: list[Tensor] = []
    made = model("point", "gaussian")
    encode = made.network.encode

    def watched(x: Tensor, weight: Tensor | None = None) -> Tensor:
        assert weight is not None
        seen.append((weight == 0).float())
        return encode(x, weight)

    made.network.encode = watched  # type: ignore[method-assign]
    Objective(made, phase)(Batch(x, torch.rand(8) + 0.5))
    assert 0.3 < float(seen[0].mean()) < 0.7


def test_penalties_keep_the_weights_of_rows_where_some_are_left_out() -> None:
    made, x = model("point", "gaussian"), data("gaussian", 20)
    weight = torch.tensor([8.0, *[0.0] * 19]) + 1e-6
    found = []
    for trim in (0.0, 0.2):
        torch.manual_seed(0)
        phase = Phase(beta=0.0, trim=trim, penalties=(spec("contractive"),))
        found.append(Objective(made, phase)(Batch(x, weight)).parts["contractive"])
    torch.testing.assert_close(found[0], found[1])


def test_a_contractive_code_is_as_steep_however_often_it_is_drawn() -> None:
    made, x = model("gaussian", "gaussian"), data("gaussian", 2000)
    weight = torch.ones_like(x)
    steep = [
        Objective(made, Phase(samples=n, penalties=(spec("contractive"),)))(Batch(x, weight))
        for n in (1, 5)
    ]
    once, often = (float(loss.parts["contractive"].detach()) for loss in steep)
    assert often == pytest.approx(once, rel=0.1)


def test_a_phase_of_impossible_numbers_is_refused() -> None:
    wrong: list[dict[str, Any]] = [
        {"trim": 1.5},
        {"trim": -0.1},
        {"samples": 0},
        {"samples": 1.5},
        {"share": 0},
        {"beta": -1},
        {"fit": float("nan")},
        {"penalties": (spec("l1"), spec("l1", weight=2.0))},
    ]
    for options in wrong:
        with pytest.raises(SpecError, match=next(iter(options)).removesuffix("ies")):
            Phase(**options)


def test_terms_are_told_unscaled_whether_or_not_rows_are_left_out() -> None:
    made, x = model(spec("gaussian", rate="sampled"), "gaussian"), data("gaussian", 30)
    told = []
    for trim in (0.0, 1e-6):
        torch.manual_seed(0)
        told.append(Objective(made, Phase(fit=20.0, beta=0.5, trim=trim))(Batch(x)))
    torch.testing.assert_close(told[0].total, told[1].total)
    torch.testing.assert_close(told[0].parts, told[1].parts)


@pytest.mark.parametrize("trim", [0.0, 0.3])
def test_a_batch_of_which_nothing_is_known_costs_nothing(trim: float) -> None:
    objective = Objective(model("vector", "gaussian"), Phase(beta=0.0, trim=trim)).train()
    x = data("gaussian", 4)
    assert float(objective(Batch(x, torch.zeros_like(x))).total.detach()) == 0
    assert all(buffer.isfinite().all() for buffer in objective.buffers())


def test_leaving_nothing_out_is_no_other_mean() -> None:
    rows, weight = torch.tensor([1.0, 2, 3, 4]), torch.tensor([8.0, 4, 4, 0])
    for trim in (0.0, 1e-9):
        shares = shares_of(rows, trim, weight)
        torch.testing.assert_close(shares, weight / 4)
