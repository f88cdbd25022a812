"""Missing values reach no network, so that none has to think of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CORRUPTIONS, LIKELIHOODS, NETWORKS
from tests.contracts import examples

SHAPE = (1, 5, 4)


@pytest.mark.parametrize("network", list(NETWORKS))
@pytest.mark.parametrize("likelihood", list(LIKELIHOODS))
@pytest.mark.parametrize("corruption", list(CORRUPTIONS))
def test_what_stands_in_a_gap_changes_nothing(
    network: str, likelihood: str, corruption: str
) -> None:
    tables_only = examples.for_tables_only(likelihood)
    if tables_only and (network == "conv" or corruption == "augment"):
        return
    shape = (6,) if tables_only else SHAPE
    suited = examples.suited(likelihood, 6)
    x = examples.rows(suited, 30, shape).float()
    weight = (torch.rand_like(x) > 0.3).float()
    results = [
        trained(spec(network), suited, spec(corruption), Batch(filled, weight))
        for filled in (x, x.where(weight > 0, torch.tensor(7.0)))
    ]
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def trained(network: Spec, likelihood: Spec, corruption: Spec, batch: Batch) -> list[Tensor]:
    """All that comes of a start and a step of training."""
    torch.manual_seed(1)
    model = Model(Recipe(network, spec("gaussian"), likelihood), tuple(batch.x.shape[1:]), 2)
    model.start(batch)
    objective = Objective(model, Phase(corruption=corruption))
    loss = objective(batch).total
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    rows = objective.rows(batch)
    return [loss, *gradients, *model.state_dict().values(), rows, model.score(batch)]
