"""Adam and AdamW on flat parameters, of one model or of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from isthmus.training.dense.tape import Array
from isthmus.training.optimisers import OPTIMIZERS
from isthmus.training.plan import Plan

NAMES = ("adam", "adamw")


class FlatAdam:
    """The same arithmetic as ``FusedAdam``, in one call for all models that keep in step.

    Parameters
    ----------
    flat, gradient : array of shape (n_models, size)
    decays : array of shape (size,)
        1 where weights decay, else 0.
    plan : Plan
    """

    def __init__(self, flat: Array, gradient: Array, decays: Array, plan: Plan) -> None:
        self.flat, self.gradient, self.decays, self.plan = flat, gradient, decays, plan
        decoupled = OPTIMIZERS[plan.optimizer].decoupled
        self.decoupled = decoupled
        self.kernel: Callable[..., object]
        self.kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self.weights, self.slopes = torch.from_numpy(flat), torch.from_numpy(gradient)
        self.mean, self.square = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        whole = (self.weights, self.slopes, self.mean, self.square)
        self.together = [[part] for part in whole]
        self.apart = [[[part[i]] for part in whole] for i in range(len(flat))]
        self.taken = [0] * len(flat)
        """Steps, by each model, since it began anew."""
        self.count = torch.zeros(())
        self.kept = np.ones_like(decays)

    def step(self, rates: Sequence[float]) -> None:
        """One step on the gradients at hand; a rate of 0 leaves a model alone."""
        if self.plan.gradient_clip:
            self._clip(self.plan.gradient_clip)
        if rates.count(rates[0]) == len(rates) == self.taken.count(self.taken[0]):
            if rates[0]:
                self.taken = [self.taken[0] + 1] * len(rates)
                self._move(self.flat, self.gradient, self.together, self.taken[0], rates[0])
            return
        for i, rate in enumerate(rates):
            if rate:
                self.taken[i] += 1
                self._move(self.flat[i], self.gradient[i], self.apart[i], self.taken[i], rate)

    def _move(
        self, flat: Array, gradient: Array, parts: list[list[Tensor]], taken: int, rate: float
    ) -> None:
        decay = self.plan.weight_decay
        if decay and self.decoupled:
            np.multiply(self.decays, np.float32(-rate * decay), out=self.kept)
            np.add(self.kept, np.float32(1), out=self.kept)
            np.multiply(flat, self.kept, out=flat)
        elif decay:
            gradient += self.decays * np.float32(decay) * flat
        self.kernel(
            *parts,
            [],
            [self.count.fill_(taken)],
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def _clip(self, most: float) -> None:
        for gradient in self.slopes:
            norm = torch.linalg.vector_norm(gradient)
            gradient.mul_((most / (norm + 1e-6)).clamp(max=1.0))

    def forget(self, member: int) -> None:
        """Begin anew for one model."""
        self.mean[member] = 0
        self.square[member] = 0
        self.taken[member] = 0

    def state(self) -> dict[str, Tensor]:
        """All that is remembered."""
        return {"mean": self.mean, "square": self.square, "taken": torch.tensor(self.taken)}

    def put_back(self, state: dict[str, Tensor]) -> None:
        """Go on from what ``state`` gave."""
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.taken = state["taken"].tolist()
