"""A text decoder that reads the symbols before the one it is to say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import LIKELIHOODS, NETWORKS, Likelihood, Network, Shape
from isthmus.parts.contracts import Pick

SYMBOLS, LENGTH = 5, 7


class Symbols(Likelihood):
    """A softmax over the symbols at every place; x holds their numbers."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def params(self, shape: Shape) -> Shape:
        return (*shape, self.n)

    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        return F.cross_entropy(params.movedim(-1, 1), x.long(), reduction="none")

    def mean(self, params: Tensor) -> Tensor:
        return params.argmax(-1).to(params.dtype)

    def draw(self, params: Tensor) -> Tensor:
        return torch.distributions.Categorical(logits=params).sample().to(params.dtype)

    def guess(self, x: Tensor) -> Tensor:
        return 4.0 * F.one_hot(x.long(), self.n).float()


class Reader(Network):
    """A recurrent decoder; the symbol before the first is the number after the last."""

    def __init__(
        self, shape: Shape, params: Shape, dim: int, n_params: int = 1, width: int = 12
    ) -> None:
        super().__init__()
        self.length, (_, self.n), self.dim, self.n_params = shape[0], params, dim, n_params
        self.symbols = nn.Embedding(self.n + 1, width)
        self.to_code = nn.Linear(width, n_params * dim)
        self.from_code = nn.Linear(dim, width)
        self.cell = nn.GRU(width, width, batch_first=True)
        self.to_params = nn.Linear(width, self.n)

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        there = torch.ones_like(x) if weight is None or weight.ndim == 1 else (weight > 0).float()
        place = torch.arange(1, x.shape[1] + 1, dtype=there.dtype)
        total = self.symbols(x.long()) * (there / place)[..., None]
        return self.to_code(total.sum(1)).view(-1, self.n_params, self.dim)

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        assert x is not None, "this decoder reads x; use unroll where there is none"
        before = torch.cat([torch.full_like(x[:, :1], self.n), x[:, :-1]], 1)
        features, _ = self.cell(self.symbols(before.long()), self._memory(z))
        return self.to_params(features)

    def unroll(self, z: Tensor, pick: Pick) -> Tensor:
        memory, symbol = self._memory(z), z.new_full((len(z), 1), self.n)
        picked = []
        for _ in range(self.length):
            features, memory = self.cell(self.symbols(symbol.long()), memory)
            symbol = pick(self.to_params(features))
            picked.append(symbol)
        return torch.cat(picked, 1)

    def _memory(self, z: Tensor) -> Tensor:
        return self.from_code(z).tanh().unsqueeze(0)


class Copier(Reader):
    """Repeats the first symbol, of which it knows nothing."""

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        assert x is not None
        again = 100.0 * F.one_hot(x[:, :-1].long(), self.n)
        return torch.cat([torch.zeros_like(again[:, :1]), again], 1)

    def unroll(self, z: Tensor, pick: Pick) -> Tensor:
        picked = [pick(z.new_zeros(len(z), 1, self.n))]
        for _ in range(self.length - 1):
            picked.append(pick(100.0 * F.one_hot(picked[-1].long(), self.n).float()))
        return torch.cat(picked, 1)


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIKELIHOODS._entries, "symbols", Symbols)
    monkeypatch.setitem(NETWORKS._entries, "reader", Reader)
    monkeypatch.setitem(NETWORKS._entries, "copier", Copier)


def model(network: str = "reader", code: str = "point") -> Model:
    recipe = Recipe(spec(network), spec(code), spec("symbols", n=SYMBOLS))
    return Model(recipe, (LENGTH,), 4).eval()


def text(n: int) -> Tensor:
    """Every symbol is the one before plus a step that is the row's own."""
    start, step = torch.randint(SYMBOLS, (n, 1)), torch.randint(1, 3, (n, 1))
    return ((start + step * torch.arange(LENGTH)) % SYMBOLS).float()


@given(changed=st.integers(0, LENGTH - 1), seed=st.integers(0, 9))
def test_no_symbol_is_read_before_it_is_said(changed: int, seed: int) -> None:
    torch.manual_seed(seed)
    made, x, z = model(), text(6), torch.randn(6, 4)
    other = x.clone()
    other[:, changed] = (other[:, changed] + 1) % SYMBOLS
    before, after = made.network.decode(z, x), made.network.decode(z, other)
    assert torch.equal(before[:, : changed + 1], after[:, : changed + 1])
    if changed < LENGTH - 1:
        assert not torch.equal(before[:, changed + 1], after[:, changed + 1])


@given(seed=st.integers(0, 9), drawn=st.booleans())
def test_step_by_step_is_the_same_as_reading_the_result(seed: int, drawn: bool) -> None:
    torch.manual_seed(seed)
    made, z = model(), torch.randn(6, 4)
    said: list[Tensor] = []
    settle = made.likelihood.draw if drawn else made.likelihood.mean

    def pick(params: Tensor) -> Tensor:
        said.append(params)
        return settle(params)

    x = made.network.unroll(z, pick)
    assert x.shape == (6, LENGTH)
    torch.testing.assert_close(torch.cat(said, 1), made.network.decode(z, x))


@pytest.mark.parametrize("draw", [False, True])
def test_what_comes_out_is_what_was_read_on_the_way(draw: bool) -> None:
    x = model("copier").decode(torch.randn(200, 4), draw=draw)
    assert torch.equal(x, x[:, :1].expand_as(x))
    assert len(x[:, 0].unique()) == (SYMBOLS if draw else 1)


@given(length=st.integers(1, LENGTH), padding=st.integers(0, SYMBOLS - 1))
def test_padding_changes_no_cost(length: int, padding: int) -> None:
    made, x = model(), text(6)
    weight = (torch.arange(LENGTH) < length).float().expand_as(x)
    score = made.score(Batch(x, weight))
    other = x.where(weight > 0, torch.tensor(float(padding)))
    assert torch.equal(made.score(Batch(other, weight)), score)
    cut = made.score(Batch(x[:, :length], weight[:, :length]))
    torch.testing.assert_close(cut, score)


def test_a_text_is_learned_and_said_again() -> None:
    made, x = model().train(), text(100)
    made.start(Batch(x))
    objective = Objective(made, Phase(beta=0.0))
    optimiser = torch.optim.Adam(objective.parameters(), 2e-2)
    for _ in range(80):
        optimiser.zero_grad()
        objective(Batch(x)).total.backward()
        optimiser.step()
    assert float((made.decode(made.encode(x)) == x).float().mean()) > 0.9
    drawn = made.sample(20, draw=True)
    assert drawn.shape == (20, LENGTH)
    assert set(drawn.unique().tolist()) <= set(range(SYMBOLS))
