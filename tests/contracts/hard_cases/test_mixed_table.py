"""A table of numbers and categories with missing cells: one likelihood knows its columns."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from isthmus.baselines import PCA
from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CODES

LIKELIHOOD = spec("mixed", columns=("number", "count", "category", "category"), levels=(0, 0, 3, 2))
NETWORK = spec("mlp", widths=(16,))


def table(n: int) -> tuple[Tensor, Tensor]:
    """Rows in which one hidden number decides everything, and cells that are there (1) or not."""
    hidden = torch.randn(n)
    third = (hidden > -0.4).long() + (hidden > 0.4)
    x = torch.stack([hidden, -hidden + 0.1 * torch.randn(n), third, hidden > 0], 1).float()
    return x, (torch.rand(n, 4) > 0.25).float()


def model(code: str = "point") -> Model:
    return Model(Recipe(NETWORK, spec(code), LIKELIHOOD), (4,), 2, gaps=True)


def test_the_network_sees_a_place_for_each_level_and_what_is_missing() -> None:
    made = model()
    x, weight = table(5)
    step = made(Batch(x, weight))
    assert made.likelihood.inputs((4,)) == (7,)
    assert step.params.shape == (5, 7)
    assert step.costs.shape == (5, 4)
    shown = made.shown(x, weight)
    torch.testing.assert_close(shown[:, :2], x[:, :2] * weight[:, :2])
    torch.testing.assert_close(shown[:, 2:5].sum(1), weight[:, 2])
    torch.testing.assert_close(shown[:, 5:].sum(1), weight[:, 3])


def test_what_is_shown_leads_back_to_the_row() -> None:
    x, _ = table(50)
    likelihood = model().likelihood
    torch.testing.assert_close(likelihood.unembed(likelihood.embed(x)), x)
    assert not likelihood.error(x, x).any()


def test_an_error_is_squared_in_a_number_and_one_in_a_category() -> None:
    x = torch.tensor([[1.0, 2.0, 2.0, 0.0]])
    rebuilt = torch.tensor([[3.0, 2.0, 0.0, 0.0]])
    assert model().likelihood.error(rebuilt, x).tolist() == [[4.0, 0.0, 1.0, 0.0]]


def test_before_training_it_is_pca_of_one_hot_columns() -> None:
    x, _ = table(300)
    made = model()
    made.start(Batch(x))
    shown = made.likelihood.embed(x)
    plain = made.likelihood.unembed(PCA.fit(shown, 2).reconstruct(shown))
    torch.testing.assert_close(made.decode(made.encode(x)), plain, rtol=1e-4, atol=1e-4)


def test_draws_follow_the_probabilities() -> None:
    torch.manual_seed(0)
    likelihood = model().likelihood
    params = torch.zeros(4000, 7)
    params[:, 3] = math.log(2) / 4  # the logits of a category begin four times as sharp
    drawn = likelihood.draw(params)[:, 2]
    shares = torch.stack([(drawn == level).float().mean() for level in range(3)])
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.5, 0.25]), atol=0.03, rtol=0)


@pytest.mark.parametrize("code", list(CODES))
@given(garbage=st.floats(-1e6, 1e6), seed=st.integers(0, 99))
def test_what_stands_in_a_gap_changes_nothing(code: str, garbage: float, seed: int) -> None:
    torch.manual_seed(seed)
    x, weight = table(40)
    results = []
    for filling in (0.0, garbage):
        torch.manual_seed(seed)
        made, batch = model(code), Batch(x.where(weight > 0, torch.tensor(filling)), weight)
        made.start(batch)
        objective = Objective(made, Phase())
        torch.manual_seed(seed)
        loss = objective(batch).total
        loss.backward()
        gradients = [p.grad for p in made.parameters() if p.grad is not None]
        codes = made.encode(batch.x, batch.weight)
        results.append([loss, *gradients, made.score(batch), codes, objective.rows(batch)])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_a_row_with_nothing_in_it_costs_nothing() -> None:
    made, (x, _) = model(), table(3)
    assert made.score(Batch(x, torch.zeros_like(x))).tolist() == [0, 0, 0]


def test_what_is_missing_is_found_from_the_other_columns() -> None:
    made, (x, weight) = model(), table(400)
    batch = Batch(x, weight)
    made.start(batch)
    objective = Objective(made, Phase(beta=0.0, corruption=spec("mask", share=0.3)))
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        objective(batch).total.backward()
        optimiser.step()
    new, _ = table(400)
    blind = torch.ones_like(new)
    blind[:, 2] = 0
    found = made.decode(made.encode(new, blind))[:, 2]
    assert float((found == new[:, 2]).float().mean()) > 0.75
