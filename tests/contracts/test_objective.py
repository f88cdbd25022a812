"""The loss: its terms, each per value of x, averaged over rows by their weight."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CODES, CORRUPTIONS, LIKELIHOODS

SHAPE, VALUES = (1, 4, 3), 12
over_models = pytest.mark.parametrize(
    ("code", "likelihood"), [(code, likelihood) for code in CODES for likelihood in LIKELIHOODS]
)


def model(code: str, likelihood: str) -> Model:
    network = spec("mlp", widths=(6,), linear_path=False)
    return Model(Recipe(network, spec(code), spec(likelihood)), SHAPE, 2).eval()


@over_models
@given(fit=st.floats(0, 3), beta=st.floats(0, 3), weighed=st.booleans())
def test_the_loss_is_the_sum_of_its_terms(
    code: str, likelihood: str, fit: float, beta: float, weighed: bool
) -> None:
    made = model(code, likelihood)
    weight = torch.rand(7) * 2 if weighed else None
    batch = Batch(torch.rand(7, *SHAPE), weight)
    step, w = made(Batch(batch.x)), torch.ones(7) if weight is None else weight
    nll, rate, aux = ((w * term).mean() / VALUES for term in (step.nll, *step.code[2:]))
    loss = Objective(made, Phase(fit=fit, beta=beta)).eval()(batch)
    torch.testing.assert_close(loss.total, fit * nll + beta * rate + aux)
    torch.testing.assert_close(loss.parts["nll"], nll)
    assert all(not part.requires_grad for part in loss.parts.values())


@over_models
def test_a_row_of_weight_two_counts_as_if_it_were_there_twice(code: str, likelihood: str) -> None:
    objective = Objective(model(code, likelihood), Phase()).eval()
    x, times = torch.rand(6, *SHAPE), torch.tensor([0, 1, 2, 3, 0, 0])
    weighed = objective(Batch(x, times.float()))
    repeated = objective(Batch(x.repeat_interleave(times, 0)))
    torch.testing.assert_close(weighed.total, repeated.total)


@over_models
@pytest.mark.parametrize("corruption", list(CORRUPTIONS))
def test_the_loss_of_each_row_adds_up_to_the_loss_of_all(
    code: str, likelihood: str, corruption: str
) -> None:
    made = model(code, likelihood)
    phase, batch = Phase(corruption=spec(corruption)), Batch(torch.rand(128, *SHAPE))
    objective = Objective(made, phase).eval()
    made.code.train()
    torch.manual_seed(2)
    together = objective(batch).total
    torch.manual_seed(2)
    alone = objective.rows(batch)
    assert alone.shape == (128, 2)
    torch.testing.assert_close(alone[:, 0].mean(), together)
