"""What a training step of a recipe costs, ours and written by hand, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.data import Array

Step = Callable[[Any], None]
"""One step on the rows of these numbers."""

TRAINED = (
    "autoencoder", "denoising", "masked", "sparse-l1", "sparse-topk", "nested", "contractive",
    "vae", "beta-vae", "iwae", "info-vae", "wae", "adversarial", "vq-vae", "fsq", "laplace",
    "negative-binomial", "robust",
)  # fmt: skip
"""All recipes but ``linear``, which is not trained."""

TURN_SECONDS = 0.02
"""CPU-seconds that one of the two runs before the other has its turn."""
FEWEST_TURNS = 2
RATE = 1e-4


class Size(NamedTuple):
    """Rows of so many values, and how many of them make a batch."""

    values: int
    batch: int
    dim: int
    rows: int

    def rows_of_data(self, counts: bool, seed: int) -> Array:
        """(rows, values): standardised, or whole numbers from 0 on."""
        images = self.values == 784
        x = (data.pictures if images else data.measurements)(self.rows, seed)
        if counts:
            mean = 16 * x if images else np.exp(x)
            return np.random.default_rng(seed).poisson(mean).astype(np.float32)
        return (x - x.mean()) / x.std() if images else x


SIZES = {
    "table, batch 32": Size(30, 32, 8, 2_048),
    "table, batch 256": Size(30, 256, 8, 4_096),
    "images, batch 256": Size(784, 256, 32, 2_048),
}


class Both(NamedTuple):
    """A step of ours and one written by hand, each also without the optimiser."""

    ours: Step
    bare: Step
    ours_loss: Step
    bare_loss: Step


def objective_of(recipe: str, x: Any, dim: int) -> Any:
    """The objective of the recipe's last phase, started on the rows as training starts it."""
    import torch

    from isthmus import spec
    from isthmus.core.types import Batch
    from isthmus.model import Model
    from isthmus.objective import Objective
    from isthmus.parts import CORRUPTIONS
    from isthmus.recipes import RECIPES

    chosen = RECIPES[recipe]
    likelihood = spec("gaussian") if chosen.likelihood.kind == "auto" else chosen.likelihood
    chosen = replace(chosen, network=spec("mlp"), likelihood=likelihood)
    phase = chosen.phases[-1]
    torch.manual_seed(0)
    gaps = CORRUPTIONS.build(phase.corruption).hides
    model = Model(chosen, tuple(x.shape[1:]), dim, gaps=gaps)
    model.start(Batch(x))
    objective = Objective(model, phase)
    latents = model.encode(x)
    model.code.prior.start(latents)
    objective.start(latents)
    return objective.train()


def both(recipe: str, x: Any, dim: int, batch: int) -> Both:
    import torch

    from benchmarks.jobs.recipe_bare import LOSSES, Layers
    from isthmus.core.types import Batch
    from isthmus.training.optimisers import optimisers, set_rate
    from isthmus.training.plan import Settings, plan

    objective = objective_of(recipe, x, dim)
    decay = plan(Settings(batch_size=batch), objective.model, len(x)).weight_decay
    made = optimisers(objective, "adamw", RATE, decay)
    parameters = [p for o in made for g in o.param_groups for p in g["params"]]
    index = torch.arange(len(x)) if len(objective.penalties) else None
    rows = Batch(x, index=index)

    def ours_loss(index: Any) -> None:
        set_rate(made, RATE)
        loss = objective(rows.rows(index))
        for p in parameters:
            p.grad = None
        loss.total.backward()

    def ours(index: Any) -> None:
        ours_loss(index)
        for optimizer in made:
            optimizer.step()

    layers, loss_of = Layers(objective), LOSSES[recipe]
    matrices = [p for p in layers.parameters() if p.ndim >= 2]
    others = [p for p in layers.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, fused=True)

    def bare_loss(index: Any) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss_of(layers, x[index]))

    def bare(index: Any) -> None:
        bare_loss(index)
        optimizer.step()

    return Both(ours, bare, ours_loss, bare_loss)


def timed(step: Step, batches: list[Any]) -> float:
    """CPU-seconds of a step, over so many batches."""
    start = time.process_time()
    for index in batches:
        step(index)
    return (time.process_time() - start) / len(batches)


def in_turns(
    ours: Step, bare: Step, batches: Callable[[int], list[Any]], seconds: float
) -> list[tuple[float, float]]:
    """CPU-seconds of a step, (ours, bare), turn by turn; who is first changes every time."""
    for step in (ours, bare):
        timed(step, batches(3))
    once = max(timed(ours, batches(3)), 1e-6)
    steps = max(1, round(TURN_SECONDS / once))
    turns: list[tuple[float, float]] = []
    end = time.process_time() + seconds
    while len(turns) < FEWEST_TURNS or time.process_time() < end:
        chosen = batches(steps)
        if len(turns) % 2:
            second = timed(bare, chosen)
            turns.append((timed(ours, chosen), second))
        else:
            turns.append((timed(ours, chosen), timed(bare, chosen)))
    return turns


def answer(recipe: str, size: str, seed: int, seconds: float) -> dict[str, Any]:
    """Microseconds of CPU for a step of each, and the ratio of the two, medians over turns."""
    import torch

    chosen = SIZES[size]
    x = torch.from_numpy(chosen.rows_of_data(recipe == "negative-binomial", seed))
    found = both(recipe, x, chosen.dim, chosen.batch)
    generator = torch.Generator().manual_seed(seed)

    def batches(n: int) -> list[Any]:
        made: list[Any] = []
        while len(made) < n:
            order = torch.randperm(len(x), generator=generator)
            made += torch.split(order, chosen.batch)
        return made[:n]

    whole = in_turns(found.ours, found.bare, batches, seconds)
    losses = in_turns(found.ours_loss, found.bare_loss, batches, 0.5 * seconds)
    return {
        "ours_us": 1e6 * median(a for a, _ in whole),
        "bare_us": 1e6 * median(b for _, b in whole),
        "ratio": median(a / b for a, b in whole),
        "loss_ratio": median(a / b for a, b in losses),
        "turns": len(whole),
    }
