"""A penalty that learns, in the second of two phases: a run stopped anywhere goes on the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch, Step
from isthmus.model import Model
from isthmus.parts import PENALTIES, Penalty
from isthmus.training.engine import TorchEngine
from isthmus.training.plan import Settings
from isthmus.training.run import Run
from isthmus.training.surroundings import own_randomness

RECIPE = Recipe(
    spec("mlp", widths=(16,)),
    spec("point"),
    spec("gaussian"),
    (Phase(beta=0.0), Phase(beta=0.0, penalties=(spec("critic"),))),
)
ALL_STEPS = 2 * 2 * 5
"""Of two phases of two epochs each."""


class Critic(Penalty):
    """Tells codes from normal numbers; the encoder is to deceive it (Makhzani et al. 2015)."""

    scale: Tensor

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight
        self.judge = nn.Linear(2, 1)
        self.register_buffer("scale", torch.ones(2))

    def start(self, latents: Tensor) -> None:
        self.scale = latents.std(0)

    def forward(self, model: nn.Module, step: Step) -> Tensor:
        z = step.code.z / self.scale
        real = self.judge(torch.randn_like(z))
        learned = F.softplus(self.judge(z.detach())) + F.softplus(-real)
        frozen = F.linear(z, self.judge.weight.detach(), self.judge.bias.detach())
        return (learned + F.softplus(-frozen))[:, 0]


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PENALTIES._entries, "critic", Critic)


def run(checkpoint: Path | None = None, stop_after: int | None = None) -> tuple[Run, Model]:
    x = torch.randn(100, 6, generator=torch.Generator().manual_seed(0)).cumsum(1)
    with own_randomness(5):
        model = Model(RECIPE, (6,), 2)
        settings = Settings(epochs=4, batch_size=16, seed=5)
        training = Run([model], RECIPE, Batch(x[20:]), Batch(x[:20]), settings, None, checkpoint)
        asked = iter(range(10**6))
        (outcome,) = training.to_the_end(lambda: next(asked) == stop_after)
    assert outcome.interrupted == (stop_after is not None)
    return training, model


def test_both_phases_are_run_and_the_critic_learns() -> None:
    training, _ = run()
    assert [entry["phase"] for entry in training.courses[0].history] == [0, 0, 1, 1]
    assert ["critic" in entry for entry in training.courses[0].history] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("steps", range(1, ALL_STEPS, 6))
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(steps: int, tmp_path: Path) -> None:
    undisturbed, model = run()
    run(tmp_path / "state", steps)
    resumed, again = run(tmp_path / "state")
    assert resumed.courses[0].history[-1]["critic"] == undisturbed.courses[0].history[-1]["critic"]
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert isinstance(undisturbed.engine, TorchEngine)
    assert isinstance(resumed.engine, TorchEngine)
    learned = resumed.engine.objective.state_dict()
    for name, value in undisturbed.engine.objective.state_dict().items():
        assert torch.equal(learned[name], value), name
