"""Sequences of unequal length: padding has weight 0, and changes nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import NETWORKS, Network, Shape

LONGEST, CHANNELS = 10, 2


class Steps(Network):
    """A convolution over time, averaged over the steps that are there; one vector a sequence."""

    def __init__(
        self, shape: Shape, params: Shape, dim: int, n_params: int = 1, width: int = 8
    ) -> None:
        super().__init__()
        (self.longest, channels), self.dim, self.n_params = shape, dim, n_params
        self.inward = nn.Conv1d(channels, width, 3, padding=1)
        self.to_code = nn.Linear(width, n_params * dim)
        self.outward = nn.Sequential(nn.Linear(dim + 4, width), nn.GELU())
        self.to_params = nn.Linear(width, params[1])

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        features = self.inward(x.transpose(1, 2)).relu().transpose(1, 2)
        step = x.new_ones(*x.shape[:2], 1)
        if weight is not None and weight.ndim > 1:
            step = (weight.view(*x.shape[:2], -1) > 0).amax(2, keepdim=True).to(x.dtype)
        mean = (features * step).sum(1) / step.sum(1).clamp(min=1)
        return self.to_code(mean).view(-1, self.n_params, self.dim)

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        length = self.longest if x is None else x.shape[1]
        time = torch.arange(length, dtype=z.dtype)[:, None] * z.new_tensor([0.3, 0.9])
        clock = torch.cat([time.sin(), time.cos()], 1).expand(len(z), -1, -1)
        every = z[:, None].expand(-1, length, -1)
        return self.to_params(self.outward(torch.cat([every, clock], 2)))


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS._entries, "steps", Steps)


def sequences(lengths: list[int], padded_to: int, padding: float = 0.0) -> Batch:
    """Waves, each of its own length and pace."""
    pace = torch.linspace(0.5, 1.5, len(lengths))[:, None]
    time = torch.arange(padded_to) * pace
    x = torch.stack([time.sin(), time.cos()], 2)
    there = (torch.arange(padded_to) < torch.tensor(lengths)[:, None])[..., None].expand_as(x)
    return Batch(x.where(there, torch.tensor(padding)), there.float())


def model(code: str = "gaussian") -> Model:
    return Model(Recipe(spec("steps"), spec(code), spec("gaussian")), (LONGEST, CHANNELS), 3).eval()


LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(lengths=LENGTHS, padding=st.floats(-1e3, 1e3))
def test_what_stands_in_the_padding_changes_nothing(lengths: list[int], padding: float) -> None:
    made = model()
    results = []
    for filling in (0.0, padding):
        batch = sequences(lengths, LONGEST, filling)
        made.start(batch)
        loss = Objective(made, Phase())(batch).total
        gradients = torch.autograd.grad(loss, [p for p in made.parameters() if p.requires_grad])
        results.append([loss, *gradients, made.score(batch), made.encode(*batch[:2])])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@given(lengths=LENGTHS)
def test_more_padding_changes_no_cost(lengths: list[int]) -> None:
    made = model()
    short, long = (made(sequences(lengths, padded)) for padded in (6, LONGEST))
    torch.testing.assert_close(short.nll, long.nll)
    torch.testing.assert_close(short.code.rate, long.code.rate)


def test_a_sequence_costs_the_same_alone_and_among_longer_ones() -> None:
    made = model()
    among = made.score(sequences([2, 6, LONGEST], LONGEST))
    alone = sequences([2, 6, LONGEST], LONGEST).rows(torch.tensor([0]))
    cut = Batch(alone.x[:, :2], torch.ones(1, 2, CHANNELS))
    torch.testing.assert_close(made.score(cut), among[:1])


def test_a_weight_per_step_stands_for_all_its_channels() -> None:
    made, batch = model(), sequences([3, 5], LONGEST, padding=9.0)
    assert batch.weight is not None
    by_step = batch._replace(weight=batch.weight[..., 0])
    results = []
    for given_weight in (batch, by_step):
        made.start(given_weight)
        results.append([made(given_weight).costs, made.score(given_weight)])
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert not results[0][0][0, 3:].any()


def test_padding_is_no_part_of_the_scale_at_the_start() -> None:
    made = model()
    scales = []
    for padded_to in (4, LONGEST):
        made.start(sequences([4] * 8, padded_to))
        scales.append(made.likelihood.get_parameter("log_scale").clone())
    torch.testing.assert_close(*scales)


def test_training_on_unequal_lengths_lowers_the_loss() -> None:
    made = model("point").train()
    batch = sequences([3, 4, 5, 6, 7, 8, 9, 10] * 4, LONGEST)
    made.start(batch)
    objective = Objective(made, Phase(beta=0.0))
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = objective(batch).total
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.1
