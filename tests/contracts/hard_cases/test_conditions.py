"""Sampling under a condition, which the decoder reads beside the code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective

CENTRES = torch.tensor([[2.0, 0.0, 0.0, 1.0], [-1.0, 2.0, 0.0, 0.0], [0.0, -2.0, 1.0, 0.0]])


def rows(n: int) -> Batch:
    """Three groups around centres of their own; the condition names the group."""
    group = torch.arange(n) % 3
    given = F.one_hot(group, 3).float()
    return Batch(CENTRES[group] + 0.3 * torch.randn(n, 4), given=given)


def model(network: Spec, shape: tuple[int, ...] = (4,), dim: int = 2, n_given: int = 3) -> Model:
    return Model(Recipe(network, spec("gaussian"), spec("gaussian")), shape, dim, n_given)


@pytest.fixture(scope="module")
def trained() -> Model:
    torch.manual_seed(0)
    made, batch = model(spec("mlp", widths=(16,))), rows(240)
    made.start(batch)
    objective = Objective(made, Phase())
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    for _ in range(200):
        optimiser.zero_grad()
        objective(batch).total.backward()
        optimiser.step()
    return made


@pytest.mark.parametrize("group", [0, 1, 2])
@pytest.mark.parametrize("draw", [False, True])
def test_what_is_sampled_is_of_the_group_asked_for(trained: Model, group: int, draw: bool) -> None:
    given = F.one_hot(torch.full((300,), group), 3).float()
    drawn = trained.sample(300, given, draw=draw)
    assert drawn.shape == (300, 4)
    nearest = (drawn[:, None] - CENTRES).square().sum(2).argmin(1)
    assert float((nearest == group).float().mean()) > 0.9


def test_the_condition_decides_and_the_code_only_varies(trained: Model) -> None:
    z = trained.code.sample(1).expand(3, -1)
    decoded = trained.decode(z, torch.eye(3))
    assert (decoded - decoded.roll(1, 0)).abs().amax(1).min() > 0.5


def test_a_row_under_a_wrong_condition_scores_lower(trained: Model) -> None:
    batch = rows(60)
    assert batch.given is not None
    wrong = batch._replace(given=batch.given.roll(1, 1))
    assert (trained.score(batch) > trained.score(wrong)).float().mean() > 0.95


def test_a_condition_stays_with_its_row_through_blocks(trained: Model) -> None:
    batch = rows(300)
    some = torch.randperm(300)[:7]
    assert torch.equal(trained.score(batch)[some], trained.score(batch.rows(some)))


@pytest.mark.parametrize("grid_code", [False, True])
def test_a_condition_reaches_every_place_of_a_grid(grid_code: bool) -> None:
    network = spec("conv", widths=(4,), grid_code=grid_code)
    made = model(network, (1, 5, 4), n_given=2)
    brightness = torch.rand(40, 2)
    x = brightness.sum(1).view(-1, 1, 1, 1) + 0.1 * torch.randn(40, 1, 5, 4)
    made.start(Batch(x, given=brightness))
    drawn: list[Tensor] = [made.sample(4, torch.full((4, 2), level)) for level in (0.0, 1.0)]
    assert drawn[0].shape == (4, 1, 5, 4)
    assert not torch.equal(*drawn)
    loss = Objective(made, Phase())(Batch(x, given=brightness)).total
    assert loss.isfinite()
