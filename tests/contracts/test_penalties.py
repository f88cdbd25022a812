"""Every penalty: finite, differentiable, and weighed by its own weight."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch, Step
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CODES, PENALTIES

over_penalties = pytest.mark.parametrize("kind", list(PENALTIES))
over_codes = pytest.mark.parametrize("code", list(CODES))


def batch() -> Batch:
    x = torch.randn(20, 5)
    return Batch(x, y=torch.arange(20) % 3, index=torch.arange(20))


def model(code: str) -> Model:
    network = spec("mlp", widths=(8,), linear_path=False)
    made = Model(Recipe(network, spec(code), spec("gaussian")), (5,), 3)
    made.start(batch())
    return made


def value(kind: str, model: Model, batch: Batch) -> tuple[Tensor, Step]:
    penalty = PENALTIES.build(spec(kind))
    penalty.start(model.encode(batch.x))
    step = model(batch)
    return penalty(model, step), step


@over_penalties
@over_codes
def test_a_penalty_is_a_finite_number_per_row_or_one_for_all(kind: str, code: str) -> None:
    penalty, step = value(kind, model(code), batch())
    assert penalty.shape in {(), (len(step.params),)}
    assert penalty.isfinite().all()


@over_penalties
@over_codes
def test_a_penalty_moves_the_model(kind: str, code: str) -> None:
    made = model(code)
    penalty, _ = value(kind, made, batch())
    penalty.sum().backward()
    gradients = [p.grad for p in made.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


@over_penalties
def test_a_penalty_is_added_to_the_loss_by_its_weight(kind: str) -> None:
    made, rows = model("point"), batch()
    weight = 0.25
    options = {"weight": weight}
    plain = Objective(made, Phase(beta=0.0))
    with_it = Objective(made, Phase(beta=0.0, penalties=(Spec(kind, options),)))
    with_it.start(made.encode(rows.x))
    loss = with_it(rows)
    assert set(loss.parts) == {"nll", kind}
    torch.testing.assert_close(loss.total, plain(rows).total + weight * loss.parts[kind])


@over_penalties
def test_training_lowers_a_penalty(kind: str) -> None:
    made, rows = model("point"), batch()
    objective = Objective(made, Phase(fit=0.0, beta=0.0, penalties=(spec(kind),)))
    objective.start(made.encode(rows.x))
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = objective(rows)
        loss.total.backward()
        optimiser.step()
        losses.append(float(loss.parts[kind]))
    assert losses[-1] < losses[0]


def test_l1_is_the_mean_absolute_code() -> None:
    penalty, step = value("l1", model("point"), batch())
    torch.testing.assert_close(penalty, step.code.z.abs().mean(1))
