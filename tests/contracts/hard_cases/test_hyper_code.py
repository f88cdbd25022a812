"""A code on a grid whose prior is itself an autoencoder of z (Ballé et al. 2018)."""

from __future__ import annotations

import math

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
from isthmus.parts import CODES, PRIORS, Prior, Shape

SHAPE = (1, 12, 9)


class Hyper(Prior):
    """Minus what z costs through a smaller code: its nll and that code's own rate."""

    stride = 2

    def __init__(self, dim: int, width: int = 3) -> None:
        super().__init__()
        self.dim = dim
        self.code = CODES.build("gaussian", dim=width)
        self.down = nn.Conv2d(2 * dim, 2 * width, 2, stride=2)
        self.up = nn.ConvTranspose2d(width, 2 * dim, 2, stride=2)

    def log_prob(self, z: Tensor) -> Tensor:
        even = nn.functional.pad(z, (0, z.shape[3] % 2, 0, z.shape[2] % 2))
        loud = torch.cat([even, even.abs()], 1)
        coded = self.code(self.down(loud).unflatten(1, (2, -1)))
        mean, log_scale = self._params(coded.z, z.shape[2:])
        standard = (z - mean) * (-log_scale).exp()
        nll = 0.5 * standard.square() + log_scale + 0.5 * math.log(2 * math.pi)
        return -(nll.flatten(1).sum(1) + coded.rate)

    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        coarse = tuple(-(-side // self.stride) for side in grid)
        mean, log_scale = self._params(self.code.sample(n, coarse), torch.Size(grid))
        return mean + torch.randn_like(mean) * log_scale.exp()

    def _params(self, y: Tensor, grid: torch.Size) -> tuple[Tensor, Tensor]:
        whole = self.up(y)[..., : grid[0], : grid[1]]
        mean, log_scale = whole.chunk(2, 1)
        return mean, log_scale.clamp(-5, 5)


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRIORS._entries, "hyper", Hyper)


def images(n: int) -> Tensor:
    """Half of each image is busy, the other half flat."""
    busy = (torch.rand(n, 1, 1, 1) < 0.5).float()
    left = (torch.arange(SHAPE[2]) < 4).float()
    return torch.randn(n, *SHAPE) * (left * busy + (1 - left) * (1 - busy) + 0.05)


def model(prior: str) -> Model:
    network = spec("conv", widths=(4,), grid_code=True)
    code = spec("gaussian", prior=spec(prior))
    return Model(Recipe(network, code, spec("gaussian")), SHAPE, 3)


def test_the_prior_is_trained_with_the_model_and_reaches_the_encoder() -> None:
    made, batch = model("hyper"), Batch(images(16))
    made.start(batch)
    assert made.grid == (6, 5)
    Objective(made, Phase(fit=0.0))(batch).total.backward()
    for name, parameter in (*made.code.named_parameters(), *made.network.named_parameters()):
        if name.startswith(("prior", "path.down")):
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_training_lowers_the_loss_and_scores_draw_nothing() -> None:
    made, batch = model("hyper"), Batch(images(32))
    made.start(batch)
    objective = Objective(made, Phase())
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = objective(batch).total
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert torch.equal(made.score(batch), made.score(batch))


@given(grid=st.tuples(st.integers(1, 5), st.integers(1, 5)), n=st.integers(1, 3))
def test_codes_of_any_grid_can_be_scored_and_sampled(grid: tuple[int, int], n: int) -> None:
    prior = PRIORS.build("hyper", dim=3)
    z = prior.sample(n, grid)
    assert z.shape == (n, 3, *grid)
    assert prior.log_prob(z).shape == (n,)


def test_samples_of_the_model_are_images() -> None:
    made = model("hyper")
    made.start(Batch(images(16)))
    assert made.sample(3).shape == (3, *SHAPE)


def test_codes_that_are_loud_in_places_cost_less_under_it_than_under_the_normal() -> None:
    loud = (torch.rand(64, 1, 4, 1) < 0.5).float().expand(-1, 3, -1, 4)
    z = torch.randn(64, 3, 4, 4) * (2 * loud + 0.05)
    prior = PRIORS.build("hyper", dim=3)
    optimiser = torch.optim.Adam(prior.parameters(), 2e-2)
    for _ in range(150):
        optimiser.zero_grad()
        (-prior.log_prob(z).mean()).backward()
        optimiser.step()
    normal = PRIORS.build("normal", dim=3)
    assert prior.eval().log_prob(z).mean() > normal.log_prob(z).mean() + 5
