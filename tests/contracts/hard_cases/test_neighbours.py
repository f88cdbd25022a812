"""Pairs of neighbours: a penalty that knows which rows are near each other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch, Step
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CORRUPTIONS, PENALTIES, Penalty
from isthmus.training.loop import train
from isthmus.training.plan import Settings

N, NEAREST = 60, 3
PHASE = Phase(beta=0.0, penalties=(spec("neighbours"),))


class Neighbours(Penalty):
    """Squared distance of codes whose rows were neighbours when the phase began."""

    near: Tensor

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("near", torch.zeros(0, NEAREST, dtype=torch.long))

    def start(self, latents: Tensor) -> None:
        apart = torch.cdist(latents, latents).fill_diagonal_(torch.inf)
        self.near = apart.topk(NEAREST, largest=False).indices

    def forward(self, model: nn.Module, step: Step) -> Tensor:
        index, z = step.target.index, step.code.z
        assert index is not None
        pairs = (self.near[index][:, :, None] == index).any(1).to(z.dtype)
        apart = (z[:, None] - z).square().sum(2)
        return (apart * pairs).sum(1) / pairs.sum(1).clamp(min=1)


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PENALTIES._entries, "neighbours", Neighbours)


def rows() -> Batch:
    return Batch(torch.randn(N, 6), index=torch.arange(N))


def model() -> Model:
    network = spec("mlp", widths=(16,))
    return Model(Recipe(network, spec("point"), spec("gaussian")), (6,), 2)


def begun(made: Model, batch: Batch) -> Objective:
    made.start(batch)
    objective = Objective(made, PHASE)
    objective.start(made.encode(batch.x))
    return objective


def test_the_penalty_does_not_depend_on_the_order_of_rows() -> None:
    batch = rows()
    objective = begun(model(), batch)
    shuffled = batch.rows(torch.randperm(N))
    torch.testing.assert_close(objective(shuffled).total, objective(batch).total)


def test_rows_without_a_neighbour_in_the_batch_cost_nothing() -> None:
    batch = rows()
    objective = begun(model(), batch)
    penalty = objective.penalties["neighbours"]
    assert isinstance(penalty, Neighbours)
    alone = batch.rows(torch.tensor([5]))
    assert not penalty(objective.model, objective.model(alone)).any()
    pair = batch.rows(torch.tensor([5, int(penalty.near[5, 0])]))
    assert penalty(objective.model, objective.model(pair))[0] > 0


@pytest.mark.parametrize("corruption", sorted({*CORRUPTIONS} - {"augment"}))
def test_row_numbers_survive_what_is_done_to_x(corruption: str) -> None:
    batch = rows()
    made = model()
    phase = Phase(beta=0.0, corruption=spec(corruption), penalties=PHASE.penalties)
    objective = Objective(made, phase)
    made.start(batch)
    objective.start(made.encode(batch.x))
    assert objective(batch).total.isfinite()


def test_training_draws_neighbours_together() -> None:
    batch, made = rows(), model()
    distances = []
    for phase in (PHASE, Phase(beta=0.0)):
        made = model()
        near = begun(made, batch).penalties["neighbours"].get_buffer("near")
        recipe = Recipe(spec("mlp"), spec("point"), spec("gaussian"), (phase,))
        train([made], recipe, batch, None, Settings(epochs=30, batch_size=20))
        z = made.encode(batch.x)
        distances.append(float((z[:, None] - z[near]).square().sum(2).mean()))
    assert distances[0] < 0.5 * distances[1]


def test_training_numbers_the_rows_by_itself() -> None:
    recipe = Recipe(spec("mlp"), spec("point"), spec("gaussian"), (PHASE,))
    batch = rows()._replace(index=None)
    (outcome,) = train([model()], recipe, batch, None, Settings(epochs=2, batch_size=20))
    assert outcome.found.history[-1]["neighbours"] > 0
