"""Adam and AdamW on the parameters of one dense model or of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from isthmus.model import Model
from isthmus.training.dense.layout import Flat
from isthmus.training.optimisers import OPTIMIZERS
from isthmus.training.plan import Plan

NAMES = ("adam", "adamw")
THREADED = 1 << 16
"""Values from which PyTorch is faster, since it uses several threads; each value is the same."""


class FlatAdam:
    """The same arithmetic as ``FusedAdam``, in one call for all models that keep in step.

    Parameters
    ----------
    flat, gradient : Flat
    models : sequence of Model
    plan : Plan
    """

    def __init__(self, flat: Flat, gradient: Flat, models: Sequence[Model], plan: Plan) -> None:
        layout, many = flat.layout, bool(flat.lead)
        self.flat, self.gradient = flat, gradient
        self.mean, self.square, decays = (Flat(layout, flat.members, many) for _ in range(3))
        self.decoupled = OPTIMIZERS[plan.optimizer].decoupled
        self.kernel: Callable[..., object]
        self.kernel = torch._fused_adamw_ if self.decoupled else torch._fused_adam_
        self.decay, self.clip = plan.weight_decay, plan.gradient_clip
        for i, model in enumerate(models):
            for parameter, place in layout.parameters(model, decays, i):
                place[...] = parameter.ndim >= 2
        self.decays = decays
        """1 where weights decay: in matrices, not in biases and scales."""
        self.rates = Flat(layout, flat.members, many)
        """What of the rate each weight decays by."""
        self.shares: list[float] = []
        self.kept = np.empty_like(flat.values)
        whole = (flat, gradient, self.mean, self.square)
        self.together = [[torch.from_numpy(part.values)] for part in whole]
        self.apart = [
            [[torch.from_numpy(part.lines(i, block)) for block in layout.blocks] for part in whole]
            for i in range(len(models))
        ]
        self.taken = [0] * len(models)
        """Steps, by each model, since it began anew."""
        self.count = torch.zeros(())

    def step(self, rate: float, shares: Sequence[float]) -> None:
        """One step on the gradients at hand, at a share of the rate for each model; a share of 0
        leaves a model alone.
        """
        if self.clip:
            self._clip(self.clip)
        if self.decay:
            self._decay(rate, shares)
        first = shares[0]
        if shares.count(first) == len(shares) == self.taken.count(self.taken[0]):
            if first:
                self.taken = [self.taken[0] + 1] * len(shares)
                self._move(self.together, self.taken[0], rate * first)
            return
        for i, share in enumerate(shares):
            if share:
                self.taken[i] += 1
                self._move(self.apart[i], self.taken[i], rate * share)

    def _decay(self, rate: float, shares: Sequence[float]) -> None:
        if not self.decoupled:
            np.multiply(self.decays.values, np.float32(self.decay), out=self.kept)
            np.multiply(self.kept, self.flat.values, out=self.kept)
            np.add(self.gradient.values, self.kept, out=self.gradient.values)
            return
        if shares != self.shares:
            self.shares = [*shares]
            for i, share in enumerate(shares):
                for block in self.flat.layout.blocks:
                    decays = self.decays.lines(i, block)
                    np.multiply(decays, np.float32(share), out=self.rates.lines(i, block))
        if len(self.kept) < THREADED:
            np.multiply(self.rates.values, np.float32(-rate * self.decay), out=self.kept)
            np.add(self.kept, np.float32(1), out=self.kept)
            np.multiply(self.flat.values, self.kept, out=self.flat.values)
            return
        (weights,), kept = self.together[0], torch.from_numpy(self.kept)
        torch.mul(
            torch.from_numpy(self.rates.values), float(np.float32(-rate * self.decay)), out=kept
        )
        torch.add(kept, 1, out=kept)
        torch.mul(weights, kept, out=weights)

    def _move(self, parts: list[list[Tensor]], taken: int, rate: float) -> None:
        self.kernel(
            *parts,
            [],
            [self.count.fill_(taken)] * len(parts[0]),
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def _clip(self, most: float) -> None:
        for _, slopes, _, _ in self.apart:
            norm = torch.linalg.vector_norm(torch.cat(slopes))
            share = (most / (norm + 1e-6)).clamp(max=1.0)
            for slope in slopes:
                slope.mul_(share)

    def forget(self, member: int) -> None:
        """Begin anew for one model."""
        for past in (self.mean, self.square):
            for block in past.layout.blocks:
                past.lines(member, block)[:] = 0
        self.taken[member] = 0

    def state(self) -> dict[str, Tensor]:
        """All that is remembered."""
        mean, square = (torch.from_numpy(past.values) for past in (self.mean, self.square))
        return {"mean": mean, "square": square, "taken": torch.tensor(self.taken)}

    def put_back(self, state: dict[str, Tensor]) -> None:
        """Go on from what ``state`` gave."""
        self.mean.values[...] = state["mean"].numpy()
        self.square.values[...] = state["square"].numpy()
        self.taken = state["taken"].tolist()
