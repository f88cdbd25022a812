"""Noisy images beside clean ones, through a network with skips.

A network with skips has no narrow place, so its code is all that the decoder reads: the features
of every size, folded onto the coarsest grid. Nothing passes beside the code.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CORRUPTIONS, NETWORKS, Corruption, Network, Shape

SHAPE, WIDTH = (1, 8, 8), 4
DIM = WIDTH + 4 * WIDTH + 4
"""Coarse features, fine features and the image itself, the latter two four to a place."""
PHASE = Phase(beta=0.0, corruption=spec("pairs"))


class Skips(Network):
    """Two sizes with skips between them (Ronneberger, Fischer & Brox 2015); begins as x itself."""

    stride = 2

    def __init__(self, shape: Shape, params: Shape, dim: int) -> None:
        super().__init__()
        self.fine_in = nn.Conv2d(shape[0], WIDTH, 3, padding=1)
        self.coarse_in = nn.Conv2d(WIDTH, WIDTH, 4, stride=2, padding=1)
        self.coarse_out = nn.ConvTranspose2d(WIDTH, WIDTH, 4, stride=2, padding=1)
        self.fine_out = nn.Conv2d(2 * WIDTH, params[0], 3, padding=1)
        for parameter in self.fine_out.parameters():
            nn.init.zeros_(parameter)

    def grid(self, shape: Shape) -> Shape:
        return (shape[1] // 2, shape[2] // 2)

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        fine = F.gelu(self.fine_in(x))
        coarse = F.gelu(self.coarse_in(fine))
        folded = [F.pixel_unshuffle(skip, 2) for skip in (fine, x)]
        return torch.cat([coarse, *folded], 1).unsqueeze(1)

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        coarse, fine, image = z.split([WIDTH, 4 * WIDTH, 4], 1)
        both = torch.cat([F.gelu(self.coarse_out(coarse)), F.pixel_shuffle(fine, 2)], 1)
        return F.pixel_shuffle(image, 2) + self.fine_out(both)


class Pairs(Corruption):
    """What is seen is x; the target is what x should have been."""

    def forward(self, batch: Batch) -> tuple[Batch, Batch]:
        assert batch.clean is not None
        return batch, batch._replace(x=batch.clean)


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS._entries, "skips", Skips)
    monkeypatch.setitem(CORRUPTIONS._entries, "pairs", Pairs)


def pairs(n: int) -> Batch:
    """Smooth images, and the same with noise."""
    across = torch.linspace(0, 3, 8)
    clean = (across[:, None] * torch.rand(n, 1, 1, 1) + across + 6 * torch.rand(n, 1, 1, 1)).sin()
    return Batch(clean + 0.5 * torch.randn_like(clean), clean=clean)


def model() -> Model:
    return Model(Recipe(spec("skips"), spec("point"), spec("gaussian")), SHAPE, DIM)


def error(model: Model, batch: Batch) -> float:
    assert batch.clean is not None
    return float((model.decode(model.encode(batch.x)) - batch.clean).square().mean())


def test_a_network_with_skips_learns_to_clean() -> None:
    made, batch, new = model(), pairs(128), pairs(64)
    made.start(batch)
    objective = Objective(made, PHASE)
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        objective(batch).total.backward()
        optimiser.step()
    assert error(made, new) < 0.5 * error(model(), new)


def test_the_clean_image_is_never_seen() -> None:
    made, batch = model(), pairs(6)
    assert batch.clean is not None
    seen, target = CORRUPTIONS.build(spec("pairs"))(batch)
    one, other = (made(target._replace(x=x), seen) for x in (batch.clean, -batch.clean))
    assert torch.equal(one.params, other.params)
    assert not torch.equal(one.nll, other.nll)


def test_the_scale_starts_at_the_distance_from_the_clean_image() -> None:
    made, batch = model(), pairs(200)
    made.start(batch)
    scale = made.likelihood.get_parameter("log_scale").detach().exp()
    assert float(scale) == pytest.approx(0.5, rel=0.1)


def test_validation_holds_the_result_against_the_clean_image() -> None:
    made, batch = model(), pairs(40)
    assert batch.clean is not None
    errors = Objective(made, PHASE).rows(batch)[:, 1]
    torch.testing.assert_close(errors, (batch.x - batch.clean).square().flatten(1).mean(1))


def test_linear_networks_start_from_what_is_seen_to_what_is_clean() -> None:
    batch, shown = pairs(300), pairs(300)
    linear = Model(Recipe(spec("linear"), spec("point"), spec("gaussian")), SHAPE, 3)
    linear.start(batch)
    paired = error(linear, shown)
    linear.start(batch._replace(clean=None))
    assert paired < error(linear, shown)


def test_clean_images_stay_with_their_rows() -> None:
    batch = pairs(6)
    assert batch.clean is not None
    some = batch.rows(torch.tensor([4, 1]))
    assert some.clean is not None
    assert torch.equal(some.clean, batch.clean[[4, 1]])


@pytest.mark.parametrize("filling", [0.0, 9.0])
def test_what_stands_in_a_gap_of_either_image_changes_nothing(filling: float) -> None:
    batch = pairs(40)
    assert batch.clean is not None
    there = torch.rand_like(batch.x) > 0.3
    results = []
    for value in (1.0, filling):
        torch.manual_seed(1)
        made = model()
        x, clean = (side.where(there, torch.tensor(value)) for side in (batch.x, batch.clean))
        gappy = Batch(x, there.float(), clean=clean)
        made.start(gappy)
        objective = Objective(made, PHASE)
        results.append([objective(gappy).total, objective.rows(gappy)])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_networks_start_from_no_gap_of_the_clean_image() -> None:
    batch = pairs(200)
    assert batch.clean is not None
    there = torch.rand_like(batch.x) > 0.3
    started = []
    for value in (1.0, 9.0):
        linear = Model(Recipe(spec("linear"), spec("point"), spec("gaussian")), SHAPE, 3)
        clean = batch.clean.where(there, torch.tensor(value))
        linear.start(Batch(batch.x, there.float(), clean=clean))
        started.append(linear.decode(linear.encode(batch.x)))
    assert torch.equal(*started)
