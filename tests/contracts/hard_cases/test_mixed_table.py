"""A table of numbers and categories with missing cells: one likelihood knows its columns."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CODES, LIKELIHOODS, NETWORKS, Likelihood, Network, Shape
from isthmus.parts.networks import Dense

LEVELS = (0, 0, 3, 2)
RECIPE = Recipe(spec("columns"), spec("point"), spec("columns", levels=LEVELS))


class Columns(Likelihood):
    """Numbers at unit scale and categories under a softmax; x holds a category's number."""

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.widths = [max(1, level) for level in levels]

    def params(self, shape: Shape) -> Shape:
        return (sum(self.widths),)

    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        costs = []
        for part, value, level in zip(self._split(params), x.unbind(1), self.levels, strict=True):
            if level:
                costs.append(F.cross_entropy(part, value.long(), reduction="none"))
            else:
                costs.append(0.5 * (part[:, 0] - value).square())
        return torch.stack(costs, 1)

    def mean(self, params: Tensor) -> Tensor:
        found = [
            part.argmax(1).to(params.dtype) if level else part[:, 0]
            for part, level in zip(self._split(params), self.levels, strict=True)
        ]
        return torch.stack(found, 1)

    def draw(self, params: Tensor) -> Tensor:
        drawn = [
            torch.multinomial(part.softmax(1), 1)[:, 0].to(params.dtype)
            if level
            else part[:, 0] + torch.randn_like(part[:, 0])
            for part, level in zip(self._split(params), self.levels, strict=True)
        ]
        return torch.stack(drawn, 1)

    def guess(self, x: Tensor) -> Tensor:
        return spread(x, self.levels, on=4.0)

    def _split(self, params: Tensor) -> tuple[Tensor, ...]:
        return params.split(self.widths, 1)


class ByColumn(Network):
    """A dense network with a place for every category, and none lit where a cell is missing."""

    def __init__(
        self, shape: Shape, params: Shape, dim: int, levels: tuple[int, ...], n_params: int = 1
    ) -> None:
        super().__init__()
        self.levels = levels
        self.inner = Dense(params, params, dim, n_params, widths=(16,))

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.inner.encode(self._lit(x, weight))

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        return self.inner.decode(z)

    def start(self, batch: Batch, params: Tensor) -> None:
        self.inner.start(Batch(self._lit(batch.x, batch.weight)), params)

    def _lit(self, x: Tensor, weight: Tensor | None) -> Tensor:
        lit = spread(x, self.levels)
        if weight is None or weight.ndim == 1:
            return lit
        there = (weight > 0).to(x.dtype)
        widths = torch.tensor([max(1, level) for level in self.levels])
        return lit * there.repeat_interleave(widths, 1)


def spread(x: Tensor, levels: tuple[int, ...], on: float = 1.0) -> Tensor:
    """(n, columns) to (n, places): numbers as they are, categories one-hot."""
    places = [
        on * F.one_hot(value.long(), level).to(x.dtype) if level else value[:, None]
        for value, level in zip(x.unbind(1), levels, strict=True)
    ]
    return torch.cat(places, 1)


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIKELIHOODS._entries, "columns", Columns)
    monkeypatch.setitem(NETWORKS._entries, "columns", ByColumn)


def table(n: int) -> tuple[Tensor, Tensor]:
    """Rows in which one hidden number decides everything, and cells that are there (1) or not."""
    hidden = torch.randn(n)
    third = (hidden > -0.4).long() + (hidden > 0.4)
    x = torch.stack([hidden, -hidden + 0.1 * torch.randn(n), third, hidden > 0], 1).float()
    return x, (torch.rand(n, 4) > 0.25).float()


def model(code: str = "point") -> Model:
    return Model(Recipe(spec("columns"), spec(code), RECIPE.likelihood), (4,), 2)


def test_levels_go_from_the_likelihood_to_the_network() -> None:
    made = model()
    assert isinstance(made.network, ByColumn)
    assert made.network.levels == LEVELS
    x, weight = table(5)
    step = made(Batch(x, weight))
    assert step.params.shape == (5, 7)
    assert step.costs.shape == (5, 4)


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
