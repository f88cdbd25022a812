"""A step of the convolutional network, ours and as one writes it by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATE = 1e-4


def network_of(x: Tensor, dim: int) -> Any:
    """One of ours, started on the rows."""
    from isthmus import Phase, Recipe, spec
    from isthmus.core.types import Batch
    from isthmus.model import Model

    recipe = Recipe(spec("conv"), spec("point"), spec("gaussian"), (Phase(beta=0.0),))
    model = Model(recipe, tuple(x.shape[1:]), dim)
    model.start(Batch(x))
    return recipe, model


def our_step(x: Tensor, dim: int, compiled: bool = False) -> Callable[[], None]:
    """Through the engine that trains it, in float32; the loss compiled, if asked for."""
    from isthmus.core.types import Batch
    from isthmus.training.engine import TorchEngine
    from isthmus.training.judge import Judge
    from isthmus.training.plan import Settings, plan

    recipe, model = network_of(x, dim)
    chosen = plan(Settings(batch_size="full", precision="float32", device="cpu"), model, len(x))
    judge = Judge(model, recipe, Batch(x), None, chosen)
    engine = TorchEngine(model, 0, Batch(x), judge, chosen)
    if compiled:
        engine.objective = torch.compile(engine.objective)  # type: ignore[assignment]
    engine.open([torch.arange(len(x))])
    return lambda: engine.step(0, RATE, [1.0])


class Bare(nn.Module):
    """The same layers, with the linear path as two ordinary ones."""

    def __init__(self, network: Any, dim: int) -> None:
        super().__init__()
        self.down, self.up = network.down, network.up
        self.to_code, self.from_code = network.to_code, network.from_code
        self.small = network.small
        values = network.mean.numel()
        self.path_down = nn.Linear(values, dim)
        self.path_up = nn.Linear(dim, values)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, height, width) rebuilt."""
        z = self.to_code(self.down(x).flatten(1)) + self.path_down(x.flatten(1))
        image: Tensor = self.up(self.from_code(z).view(len(z), -1, *self.small))
        return image + self.path_up(z).view_as(x)


def bare_step(x: Tensor, dim: int) -> Callable[[], None]:
    """Channels last, a fused AdamW, squared error with a learned scale."""
    _, model = network_of(x, dim)
    bare = Bare(model.network, dim).train()
    bare.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = x.contiguous(memory_format=torch.channels_last)
    log_scale = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.AdamW([*bare.parameters(), log_scale], lr=RATE, fused=True)
    order = torch.arange(len(x))

    def step() -> None:
        batch = x[order]
        optimizer.zero_grad()
        squared = F.mse_loss(bare(batch), batch)
        torch.autograd.backward(0.5 * squared * (-2 * log_scale).exp() + log_scale)
        optimizer.step()

    return step
