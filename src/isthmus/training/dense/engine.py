"""The engine of small dense models: hand-written gradients, many models in one pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.training.dense.composition import Composition
from isthmus.training.dense.layout import Flat
from isthmus.training.dense.optimiser import FlatAdam
from isthmus.training.dense.passes import Draw, Draws, Pass
from isthmus.training.dense.rows import Rows
from isthmus.training.dense.tape import Call
from isthmus.training.engine import Engine, Weights
from isthmus.training.judge import Judge
from isthmus.training.plan import Plan

JUDGED_AT_ONCE = 1024
"""Rows of the judge that pass through together."""
NO_EPOCH = 10_006
"""In place of the number of an epoch, whose rows are shuffled by a seed made of it."""


class DenseEngine(Engine):
    """Models of one composition, which ``expressible`` allows, on a processor.

    Parameters
    ----------
    models : sequence of Model
        Started.
    phase : int
        Which of the judge's phases.
    data : Batch
        The rows of all models.
    judge : Judge
        Of any of them: they are judged by the same rows.
    plan : Plan
    seeds : sequence of int
        One for each model.
    columns : sequence of Tensor or None, optional
        Of each model, 1 where it sees a column, else 0.
    helper : Executor, optional
        A second thread for large products.
    """

    name = "dense"

    def __init__(
        self,
        models: Sequence[Model],
        phase: int,
        data: Batch,
        judge: Judge,
        plan: Plan,
        seeds: Sequence[int],
        columns: Sequence[Tensor | None] = (),
        helper: Executor | None = None,
    ) -> None:
        self.models, self.plan, self.helper = models, plan, helper
        masks = [part.reshape(1, -1).to(torch.float32) for part in columns if part is not None]
        seen = torch.stack(masks).numpy() if masks else None
        self.rows = Rows(data, seen)
        many = len(models) > 1
        of = Composition(models, judge.phases[phase], self.rows.weights, many)
        self.of, self.lead = of, (len(models),) if many else ()
        self.flat, self.gradient = (Flat(of.layout, len(models), many) for _ in range(2))
        self.flat.read(models)
        self.optimiser = FlatAdam(self.flat, self.gradient, models, plan)
        self.seeds = seeds
        self.streams = [
            torch.Generator().manual_seed((seed * 1_000_003 + phase * 10_007 + NO_EPOCH) % 2**63)
            for seed in seeds
        ]
        self.judges_streams = [torch.Generator() for _ in seeds]
        self.training: dict[int, Pass] = {}
        self.judging: dict[int, Pass] = {}
        self.judged = Rows(judge.rows_of_all, seen)
        self.judged_weight = judged_weight(judge)
        self.found = np.zeros((0, 2, len(models)), np.float32)
        self.done = 0

    def open(self, orders: Sequence[Tensor]) -> None:
        steps = self.plan.steps_per_epoch
        together = np.stack([order.numpy() for order in orders]).reshape(*self.lead, -1)
        self.batches = np.array_split(together, steps, axis=-1)
        self.found = np.resize(self.found, (steps, 2, len(self.models)))

    def step(self, number: int, rate: float, shares: Sequence[float]) -> None:
        index = self.batches[number]
        at_work = self.training.get(index.shape[-1])
        if at_work is None:
            at_work = self.training[index.shape[-1]] = self._pass(index.shape[-1])
        self.rows.pick(at_work, index)
        at_work.forward.run()
        at_work.backward.run()
        np.multiply(at_work.nll.ravel(), at_work.per_value, out=self.found[self.done, 0])
        if self.of.beta:
            np.multiply(at_work.rate.ravel(), at_work.per_value, out=self.found[self.done, 1])
        self.done += 1
        self.optimiser.step(rate, shares)

    def _pass(self, rows: int, trains: bool = True) -> Pass:
        streams = self.streams if trains else self.judges_streams
        draws = Draws(self._drawing("normal_", streams), self._drawing("uniform_", streams))
        return Pass(self.of, self.flat, self.gradient, rows, draws, trains, self.helper)

    def _drawing(self, method: str, streams: Sequence[torch.Generator]) -> Draw:
        """What fills arrays, each model's from its own stream."""

        def draw(into: Tensor) -> Call:
            parts = into if self.lead else [into]
            fill = [
                partial(getattr(part, method), generator=stream)
                for part, stream in zip(parts, streams, strict=True)
            ]
            return fill[0] if len(fill) == 1 else lambda: [call() for call in fill]

        return draw

    def losses(self) -> list[dict[str, float]]:
        nll, rate = self.found[: self.done].astype(np.float64).mean(0)
        self.done = 0
        losses = [{"train": self.of.fit * n, "nll": n} for n in nll.tolist()]
        if self.of.beta:
            for loss, cost in zip(losses, rate.tolist(), strict=True):
                loss["train"] += self.of.beta * cost
                loss["rate"] = cost
        return losses

    def means(self) -> list[list[float]]:
        for stream, seed in zip(self.judges_streams, self.seeds, strict=True):
            stream.manual_seed(seed % 2**63)
        sums = np.zeros((3, len(self.models)))
        for first in range(0, len(self.judged), JUDGED_AT_ONCE):
            rows = slice(first, min(first + JUDGED_AT_ONCE, len(self.judged)))
            n = rows.stop - rows.start
            at_work = self.judging.get(n)
            if at_work is None:
                at_work = self.judging[n] = self._pass(n, trains=False)
            self.judged.copy(at_work, rows)
            at_work.forward.run()
            sums += [s.ravel() for s in (at_work.nll, at_work.rate, at_work.error)]
        nll, rate, error = sums / (self.judged_weight * self.of.layout.n_in)
        loss = self.of.fit * nll + self.of.beta * rate
        return [[float(a), float(b)] for a, b in zip(loss, error, strict=True)]

    def weights(self, member: int) -> Weights:
        return {"flat": torch.from_numpy(self.flat.take(member))}

    def restore(self, member: int, weights: Weights, diverged: bool = False) -> None:
        self.flat.put(member, weights["flat"].numpy())
        self.optimiser.forget(member)

    def publish(self, member: int) -> None:
        self.flat.write(member, self.models[member])

    def state(self) -> dict[str, Tensor]:
        streams = {f"random.{i}": stream.get_state() for i, stream in enumerate(self.streams)}
        found = torch.from_numpy(self.found[: self.done].copy())
        return {"flat": torch.from_numpy(self.flat.values), "found": found, **streams} | {
            f"optimiser.{name}": value for name, value in self.optimiser.state().items()
        }

    def put_back(self, state: dict[str, Tensor]) -> None:
        self.flat.values[...] = state["flat"].numpy()
        self.found = state["found"].numpy().copy()
        self.done = len(self.found)
        for i, stream in enumerate(self.streams):
            stream.set_state(state[f"random.{i}"])
        self.optimiser.put_back({k: state[f"optimiser.{k}"] for k in self.optimiser.state()})


def judged_weight(judge: Judge) -> float:
    """The weight of all rows that are judged."""
    weight = judge.batch.row_weight
    return float(len(judge.batch.x) if weight is None else math.fsum(weight.tolist()))
