"""One run of the training loop: from the plain start to the best weights on validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import torch

from isthmus.core.recipe import Recipe
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.training.checkpoint import identity_of, read_checkpoint, write_checkpoint
from isthmus.training.course import Course
from isthmus.training.dense.composition import expressible
from isthmus.training.dense.engine import DenseEngine
from isthmus.training.dense.optimiser import NAMES as DENSE_OPTIMIZERS
from isthmus.training.engine import Engine, TorchEngine
from isthmus.training.judge import Judge
from isthmus.training.optimisers import one_cycle
from isthmus.training.outcome import Outcome, Progress
from isthmus.training.plan import Plan, Settings, plan
from isthmus.training.state import put_back, state_of
from isthmus.training.surroundings import own_randomness
from isthmus.training.views import ALL, View

CHECKPOINT_SECONDS = 20.0
THREADED_WORK = 4e8
"""Multiplications in a step from which several threads serve PyTorch's own engine better."""


class Run:
    """A run of models in lockstep, which can be stopped and gone on with between any two steps.

    Parameters are those of ``train``, of models that ``train`` found to go together; ``seeds`` are
    those of the models, and ``limit`` is what is left of the time asked for, in seconds, where
    other runs have a part of it.
    """

    def __init__(
        self,
        models: Sequence[Model],
        recipe: Recipe,
        data: Batch,
        held: Batch | None,
        settings: Settings,
        on_progress: Callable[[Progress], None] | None,
        checkpoint: Path | None,
        began: float | None = None,
        *,
        views: Sequence[View] | None = None,
        seeds: Sequence[int] | None = None,
        limit: float | None = None,
    ) -> None:
        views = [ALL] * len(models) if views is None else views
        seeds = [settings.seed + i for i in range(len(models))] if seeds is None else seeds
        self.plan = plan(settings, models[0], views[0].size(len(data.x)), len(models))
        if limit is not None:
            self.plan = replace(self.plan, max_time=limit)
        self.dense = dense(self.plan, models[0], recipe, data)
        self.phases = recipe.phases
        here = data.to(self.plan.device)
        self.views, self.data = views, here
        if len(models) == 1:
            self.views, self.data = [ALL], views[0].of(here)
        if any(phase.penalties for phase in recipe.phases):
            index = torch.arange(len(self.data.x), device=self.plan.device)
            self.data = self.data._replace(index=index)
        held_here = None if held is None else held.to(self.plan.device)
        self.courses = []
        for model, view, seed in zip(models, views, seeds, strict=True):
            model.to(self.plan.device)
            own = replace(self.plan, seed=seed)
            judge = Judge(model, recipe, here, held_here, own, view)
            self.courses.append(Course(model, judge, own, seed))
        self.on_progress, self.checkpoint = on_progress, checkpoint
        self.identity = (
            identity_of(models, recipe, settings, data, held, views, seeds) if checkpoint else ""
        )
        self.helper: Executor | None = None
        self.phase = self.epoch = self.step = 0
        self.rate = 0.0
        self.seconds_before = 0.0
        self.began = time.monotonic() if began is None else began
        self.last_saved = self.last_shown = self.began

    def to_the_end(self, interrupted: Callable[[], bool]) -> list[Outcome]:
        """Run all phases that are left."""
        for course, view in zip(self.courses, self.views, strict=True):
            with own_randomness(course.seed, self.plan.device):
                course.model.start(view.of(self.data), self._corrupted(course.model))
            course.start()
        saved = None
        if self.checkpoint is not None and self.checkpoint.exists() and self.phases:
            saved = read_checkpoint(self.checkpoint, self.identity)
        stopped = False
        for index in range(saved[0]["phase"] if saved else 0, len(self.phases)):
            self._enter(index)
            if saved:
                put_back(self, *saved)
                saved = None
            else:
                self._save()
            stopped = self._run_phase(interrupted)
            if stopped:
                self._save()
            for i, course in enumerate(self.courses):
                course.leave(self.engine, i)
            if stopped:
                break
        if not stopped and self.phases:
            self._save(finished=True)
        return [course.concluded(stopped or interrupted()) for course in self.courses]

    def _corrupted(self, model: Model) -> Callable[[Batch], tuple[Batch, Batch]] | None:
        """What the first phase does to rows before the model sees them."""
        if not self.phases or self.phases[0].corruption.kind == "none":
            return None
        return Objective(model, self.phases[0]).corruption

    def _enter(self, index: int) -> None:
        phase = self.phases[index]
        self.phase, self.epoch, self.step = index, 0, 0
        self.fit, self.beta = phase.fit, phase.beta
        self.engine = self._engine()
        total = sum(other.share for other in self.phases)
        self.epochs = max(1, round(self.plan.epochs * phase.share / total))
        self.max_time = self.plan.max_time and self.plan.max_time * phase.share / total
        self.phase_began = self.seconds() if index else 0.0
        means = self.engine.means()
        for i, course in enumerate(self.courses):
            course.enter(self.engine, i, means[i])

    def _engine(self) -> Engine:
        models = [course.model for course in self.courses]
        judge, seeds = self.courses[0].judge, [course.seed for course in self.courses]
        if self.dense:
            columns = [view.columns for view in self.views]
            return DenseEngine(
                models, self.phase, self.data, judge, self.plan, seeds, columns, self.helper
            )
        (model,) = models
        return TorchEngine(model, self.phase, self.data, judge, self.plan)

    def _run_phase(self, interrupted: Callable[[], bool]) -> bool:
        """Train one phase; True if it was interrupted."""
        if not self.engine.trains:
            return False
        while self.epoch < self.epochs and (self.step or self._share_done() < 1):
            if self._run_epoch(interrupted):
                return True
            self._close_epoch()
            for i, course in enumerate(self.courses):
                if not course.finished:
                    course.lose_patience(self.engine, i, self.epoch)
            if all(course.finished for course in self.courses):
                break
        return False

    def _run_epoch(self, interrupted: Callable[[], bool]) -> bool:
        orders = [self._order(c.seed, v) for c, v in zip(self.courses, self.views, strict=True)]
        self.engine.open(orders)
        shares = [0.0 if c.finished else c.rate_factor for c in self.courses]
        while self.step < self.plan.steps_per_epoch:
            if interrupted():
                return True
            done = self._share_done()
            if done >= 1:
                break
            self.rate = self.plan.learning_rate * one_cycle(done)
            self.engine.step(self.step, self.rate, shares)
            self.step += 1
            self._tick()
        return False

    def _order(self, seed: int, view: View) -> torch.Tensor:
        """Of the rows of a view, in this epoch."""
        generator = torch.Generator().manual_seed(
            (seed * 1_000_003 + self.phase * 10_007 + self.epoch) % 2**63
        )
        order = torch.randperm(view.size(len(self.data.x)), generator=generator)
        return order if view.rows is None else view.rows[order]

    def _close_epoch(self) -> None:
        if not self.step:
            return
        losses = self.engine.losses()
        self.step = 0
        self.epoch += 1
        last = self.epoch == self.epochs or self._share_done() >= 1
        judged = self.courses[0].judge.held_out
        judged = judged and (last or self.epoch % self.plan.validate_every == 0)
        sound = []
        for i, course in enumerate(self.courses):
            if course.finished:
                continue
            if course.diverged(losses[i], self.fit, self.beta):
                course.roll_back(self.engine, i, self.epoch, losses[i]["train"])
            else:
                sound.append(i)
        means = self.engine.means() if judged and sound else None
        for i in sound:
            course = self.courses[i]
            entry = {
                "phase": self.phase,
                "epoch": self.epoch,
                "seconds": round(self.seconds(), 3),
                "learning_rate": self.rate * course.rate_factor,
                **losses[i],
            }
            course.note(self.engine, i, entry, None if means is None else means[i])

    def seconds(self) -> float:
        """How long the run has taken, with what it took before it was interrupted."""
        return self.seconds_before + time.monotonic() - self.began

    def _share_done(self) -> float:
        by_steps = (self.epoch + self.step / self.plan.steps_per_epoch) / self.epochs
        if not self.max_time:
            return by_steps
        return max(by_steps, (self.seconds() - self.phase_began) / self.max_time)

    def _tick(self) -> None:
        now = time.monotonic()
        if self.checkpoint and now - self.last_saved >= CHECKPOINT_SECONDS:
            self._save()
        if self.on_progress and now - self.last_shown >= 0.1:
            self.last_shown = now
            done = (self.phase + self._share_done()) / len(self.phases)
            seconds = self.seconds()
            history = self.courses[0].history
            last = history[-1] if history else {}
            self.on_progress(
                Progress(
                    done=done,
                    epoch=self.epoch + 1,
                    epochs=self.epochs,
                    seconds=seconds,
                    remaining=seconds * (1 - done) / max(done, 1e-9),
                    loss=last.get("train", float("nan")),
                    validation_error=last.get("validation_error"),
                )
            )

    def _save(self, finished: bool = False) -> None:
        if self.checkpoint is None:
            return
        self.last_saved = time.monotonic()
        write_checkpoint(self.checkpoint, *state_of(self, finished))


def dense(plan: Plan, model: Model, recipe: Recipe, data: Batch) -> bool:
    """Whether the dense engine is to train a model: where it can, and half precision is not to."""
    return (
        plan.device.type == "cpu"
        and not plan.bfloat16
        and (plan.threads == 1 or plan.work < THREADED_WORK)
        and plan.optimizer in DENSE_OPTIMIZERS
        and bool(recipe.phases)
        and expressible(model, recipe.phases, data)
    )
