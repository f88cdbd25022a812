"""Every penalty: finite, differentiable, and weighed by its own weight."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch, Step
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CODES, PENALTIES

over_penalties = pytest.mark.parametrize("kind", list(PENALTIES))
over_codes = pytest.mark.parametrize("code", list(CODES))


def batch(rows: int = 20) -> Batch:
    x = torch.randn(rows, 5)
    return Batch(x, y=torch.arange(rows) % 3, index=torch.arange(rows))


def model(code: str) -> Model:
    network = spec("mlp", widths=(8,), linear_path=False, normalization="batch")
    made = Model(Recipe(network, spec(code), spec("gaussian")), (5,), 3)
    made.start(batch())
    return made


def on_grid(code: str) -> Model:
    network = spec("conv", widths=(4,), grid_code=True)
    made = Model(Recipe(network, spec(code), spec("gaussian")), (1, 6, 4), 3)
    made.start(Batch(torch.rand(20, 1, 6, 4)))
    return made


def built(kind: str, model: Model, batch: Batch) -> nn.Module:
    penalty = PENALTIES.build(spec(kind))
    penalty.start(model.encode(batch.x))
    return penalty


def value(kind: str, model: Model, batch: Batch) -> tuple[Tensor, Step]:
    penalty = built(kind, model, batch)
    step = model(batch, pulled=True)
    return penalty(model, step), step


@over_penalties
@over_codes
def test_a_penalty_is_a_finite_number_per_row_or_one_for_all(kind: str, code: str) -> None:
    for made, rows in ((model(code), batch()), (on_grid(code), Batch(torch.rand(20, 1, 6, 4)))):
        penalty, step = value(kind, made, rows)
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
@over_codes
def test_a_penalty_leaves_the_state_of_the_model_alone(kind: str, code: str) -> None:
    made, rows = model(code), batch()
    penalty = built(kind, made, rows)
    step = made(rows, pulled=True)
    before = {name: buffer.clone() for name, buffer in made.named_buffers()}
    penalty(made, step)
    assert all(module.training for module in made.modules())
    for name, buffer in made.named_buffers():
        assert torch.equal(buffer, before[name]), name


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
def test_rows_without_weight_count_for_nothing(kind: str) -> None:
    made = on_grid("point")
    objective = Objective(made, Phase(beta=0.0, penalties=(spec(kind),)))
    x, weight = torch.rand(20, 1, 6, 4), torch.arange(20).remainder(2).float()
    objective.start(made.encode(x))
    values = []
    for filling in (0.5, 100.0):
        filled = x.where(weight.view(-1, 1, 1, 1) > 0, torch.tensor(filling))
        torch.manual_seed(1)
        values.append(objective(Batch(filled, weight)).parts[kind])
    torch.testing.assert_close(*values)


def trained(kind: str) -> tuple[Model, Model, Batch]:
    """A model that only the penalty moved, how it was before, and its rows."""
    made, before, rows = model("point"), model("point"), batch(200)
    before.load_state_dict(made.state_dict())
    objective = Objective(made, Phase(fit=0.0, beta=0.0, penalties=(spec(kind),)))
    objective.start(made.encode(rows.x))
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        objective(rows).total.backward()
        optimiser.step()
    return made, before, rows


def encoders(model: Model) -> list[nn.Parameter]:
    """The encoder's parameters, the last layer's last."""
    return list(model.network.get_submodule("encoder").parameters())


def sizes(z: Tensor) -> Tensor:
    return z.square().mean(0).sqrt()


def narrowness(model: Model, rows: Batch) -> float:
    """How concentrated codes are, whatever their units."""
    z = model.encode(rows.x)
    return float((z / sizes(z)).abs().mean())


def slope(model: Model, rows: Batch) -> float:
    """The squared norm of the code's derivative by x, whatever the units of the code."""
    model.eval()
    derivative = torch.func.vmap(torch.func.jacrev(lambda x: model.coded(x[None]).mean[0]))
    found = derivative(rows.x).detach() / sizes(model.encode(rows.x)).unsqueeze(1)
    return float(found.square().sum((1, 2)).mean() / 3)


def distance(model: Model, rows: Batch) -> float:
    """The energy distance between codes and the normal (Székely & Rizzo 2013)."""
    z = model.encode(rows.x).double()
    drawn = torch.randn(2000, 3, generator=torch.Generator().manual_seed(9)).double()
    among = torch.cdist(z, z).mean() + torch.cdist(drawn, drawn).mean()
    return float(2 * torch.cdist(z, drawn).mean() - among)


MEASURES = {"l1": narrowness, "contractive": slope, "mmd": distance, "adversary": distance}
"""What a penalty is there to lower, by a measure that is not its own."""


@over_penalties
def test_training_lowers_what_a_penalty_is_there_to_lower(kind: str) -> None:
    made, before, rows = trained(kind)
    measure = MEASURES[kind]
    assert measure(made, rows) < 0.85 * measure(before, rows)


@pytest.mark.parametrize("kind", ["l1", "contractive"])
def test_small_codes_are_no_way_out(kind: str) -> None:
    made, rows = model("point").eval(), batch()
    penalty = built(kind, made, rows)
    values = []
    for factor in (1.0, 1e-3):
        for parameter in encoders(made)[-2:]:
            parameter.data *= factor
        torch.manual_seed(1)
        values.append(penalty(made, made(rows, pulled=True)))
    torch.testing.assert_close(*values, rtol=1e-3, atol=1e-5)


def test_l1_is_the_mean_absolute_code_in_units_of_its_spread() -> None:
    penalty, step = value("l1", model("point"), batch())
    z = step.code.z
    torch.testing.assert_close(penalty, (z / sizes(z)).abs().mean(1))


def test_random_projections_find_the_norm_of_the_derivative() -> None:
    made, rows = model("point").eval(), batch()
    penalty = built("contractive", made, rows)
    step = made(rows, pulled=True)
    with torch.no_grad():
        found = torch.stack([penalty(made, step).mean() for _ in range(400)])
    error = float(found.std()) / len(found) ** 0.5
    assert abs(float(found.mean()) - slope(made, rows)) < 5 * error


def test_draws_of_the_prior_have_no_discrepancy_and_others_have_one() -> None:
    penalty = PENALTIES.build("mmd")
    made, rows = model("point"), batch(500)
    step = made(rows, pulled=True)

    def discrepancy(z: Tensor) -> float:
        return float(penalty(made, step._replace(code=step.code._replace(z=z))))

    assert abs(discrepancy(torch.randn(500, 3))) < 0.005
    assert discrepancy(torch.randn(500, 3) + 1) > 0.05
    assert discrepancy(3 * torch.randn(500, 3)) > 0.05


def test_critic_and_encoder_learn_nothing_from_what_teaches_the_other() -> None:
    made, rows = model("point"), batch()
    penalty = built("adversary", made, rows)
    critic, encoder = list(penalty.parameters()), encoders(made)

    def gradients(of: list[nn.Parameter], codes_stand_still: bool = False) -> list[Tensor]:
        torch.manual_seed(1)
        step = made(rows, pulled=True)
        if codes_stand_still:
            step = step._replace(code=step.code._replace(z=step.code.z.detach()))
        return list(torch.autograd.grad(penalty(made, step).sum(), of))

    together = gradients(critic), gradients(encoder)
    of_critic = gradients(critic, codes_stand_still=True)
    penalty.requires_grad_(False)
    for one, other in zip(together, (of_critic, gradients(encoder)), strict=True):
        torch.testing.assert_close(one, other)
