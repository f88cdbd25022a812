"""The training loop: from the plain start to the best weights on validation."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from isthmus.core.errors import TrainingError
from isthmus.core.recipe import Recipe
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.training.checkpoint import identity_of, read_checkpoint, write_checkpoint
from isthmus.training.judge import Judge
from isthmus.training.optimisers import one_cycle, optimisers, set_rate
from isthmus.training.outcome import Outcome, Progress
from isthmus.training.plan import Settings, plan
from isthmus.training.state import put_back, state_of
from isthmus.training.surroundings import interruptible, own_randomness, own_threads

CHECKPOINT_SECONDS = 20.0
ROLLBACK_RATE = 0.3
MOST_DIVERGENCES, DIVERGED_RATE = 8, 0.1
SMALLEST_FACTOR = 0.02
"""Of the planned learning rate: where that gains nothing, training stops."""
DIVERGED, DIVERGED_TIMES = 100.0, 10.0
"""Nats per value above the start, and times the start, from which a run counts as diverged."""


def train(
    model: Model,
    recipe: Recipe,
    data: Batch,
    held: Batch | None,
    settings: Settings,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
    began: float | None = None,
) -> Outcome:
    """Start a model as the plain method, train it, and keep the better of the two.

    Parameters
    ----------
    model : Model
        Just built; trained in place.
    recipe : Recipe
    data : Batch
        Rows to train on, weights of mean 1.
    held : Batch, optional
        Rows for validation. Without them the last weights are kept.
    settings : Settings
    on_progress : callable, optional
        Called about ten times a second.
    checkpoint : Path, optional
        Where the state is kept; if the file is there and of the same run, it goes on from it.
    began : float, optional
        When the clock of ``max_time`` started, by ``time.monotonic``; now, if left out.

    Returns
    -------
    Outcome

    Raises
    ------
    TrainingError
        If training diverges for good, or the checkpoint belongs to another run.
    """
    run = Run(model, recipe, data, held, settings, on_progress, checkpoint)
    run.began = run.began if began is None else began
    with (
        own_randomness(settings.seed, run.plan.device),
        own_threads(run.plan.threads),
        interruptible() as interrupted,
    ):
        return run.to_the_end(interrupted)


class Run:
    """One run, which can be stopped and gone on with between any two steps."""

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        data: Batch,
        held: Batch | None,
        settings: Settings,
        on_progress: Callable[[Progress], None] | None,
        checkpoint: Path | None,
    ) -> None:
        self.plan = plan(settings, model, len(data.x))
        self.model = model.to(self.plan.device)
        self.phases = recipe.phases
        if any(phase.penalties for phase in recipe.phases):
            data = data._replace(index=torch.arange(len(data.x)))
        self.data = data.to(self.plan.device)
        held_here = None if held is None else held.to(self.plan.device)
        self.judge = Judge(model, recipe, self.data, held_here, self.plan)
        self.on_progress, self.checkpoint = on_progress, checkpoint
        self.identity = (
            identity_of(model, recipe, settings, data, held) if checkpoint is not None else ""
        )
        self.phase = self.epoch = self.step = 0
        self.rate, self.rate_factor, self.rollbacks = 0.0, 1.0, 0
        self.best_loss, self.patient_since = float("inf"), 0
        self.best: dict[str, Tensor] = {}
        self.start_weights: dict[str, Tensor] = {}
        self.phase_start: dict[str, Tensor] = {}
        self.losses: dict[str, list[Tensor]] = {}
        self.history: list[dict[str, Any]] = []
        self.events: list[str] = []
        self.seconds_before, self.began = 0.0, time.monotonic()
        self.last_saved = self.last_shown = self.began

    def to_the_end(self, interrupted: Callable[[], bool]) -> Outcome:
        """Run all phases that are left."""
        self.model.start(self.data)
        self.start_weights = _copied(self.model)
        start = self.judge.rows() if self.phases else None
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
            if self.best:
                self.model.load_state_dict(self.best)
            if stopped:
                break
        if not stopped and self.phases:
            self._save(finished=True)
        return self._concluded(start, stopped or interrupted())

    def _enter(self, index: int) -> None:
        phase = self.phases[index]
        self.phase, self.epoch, self.step = index, 0, 0
        self.best_loss, self.patient_since, self.best = float("inf"), 0, {}
        self.rate_factor = 1.0
        self.objective = Objective(self.model, phase).to(self.plan.device)
        if len(self.objective.penalties) or index:
            latents = self.model.encode(self.data.x, self.data.weight)
            self.model.code.prior.start(latents, self.data.row_weight)
            self.objective.start(latents)
        total = sum(other.share for other in self.phases)
        self.epochs = max(1, round(self.plan.epochs * phase.share / total))
        self.max_time = self.plan.max_time and self.plan.max_time * phase.share / total
        self.phase_began = self.seconds() if index else 0.0
        self.phase_start = _copied(self.model)
        self._make_optimisers()
        self._count_start()

    def _count_start(self) -> None:
        """The weights with which a phase begins are the first to be beaten."""
        means = self.judge.means(self.phase)
        self.first_loss = means[0]
        if self.judge.selects and self.model.network.starts_plain:
            self.best_loss = means[self.judge.column]
            self.best = _copied(self.model)

    def _make_optimisers(self) -> None:
        self.optimisers = optimisers(
            self.objective, self.plan.optimizer, self.plan.learning_rate, self.plan.weight_decay
        )
        self.parameters = [p for o in self.optimisers for g in o.param_groups for p in g["params"]]

    def _run_phase(self, interrupted: Callable[[], bool]) -> bool:
        """Train one phase; True if it was interrupted."""
        if not self.parameters:
            return False
        while self.epoch < self.epochs and (self.step or self._share_done() < 1):
            if self._run_epoch(interrupted):
                return True
            self._close_epoch()
            if self.best and self.epoch - self.patient_since >= self.plan.patience:
                if self.rate_factor * ROLLBACK_RATE < SMALLEST_FACTOR:
                    self.events.append(f"stopped at epoch {self.epoch}: validation got no better")
                    break
                self._go_back()
        return False

    def _run_epoch(self, interrupted: Callable[[], bool]) -> bool:
        generator = torch.Generator().manual_seed(
            (self.plan.seed * 1_000_003 + self.phase * 10_007 + self.epoch) % 2**63
        )
        order = torch.randperm(len(self.data.x), generator=generator).to(self.plan.device)
        batches = order.tensor_split(self.plan.steps_per_epoch)
        autocast = (
            torch.autocast(self.plan.device.type, torch.bfloat16)
            if self.plan.bfloat16
            else nullcontext()
        )
        self.objective.train()
        while self.step < len(batches):
            if interrupted():
                return True
            done = self._share_done()
            if done >= 1:
                break
            self.rate = self.plan.learning_rate * self.rate_factor * one_cycle(done)
            set_rate(self.optimisers, self.rate)
            with autocast:
                loss = self.objective(self.data.rows(batches[self.step]))
            for p in self.parameters:
                p.grad = None
            loss.total.backward()
            if self.plan.gradient_clip:
                nn.utils.clip_grad_norm_(self.parameters, self.plan.gradient_clip)
            for optimizer in self.optimisers:
                optimizer.step()
            self.losses.setdefault("train", []).append(loss.total.detach())
            for name, value in loss.parts.items():
                self.losses.setdefault(name, []).append(value)
            self.step += 1
            self._tick()
        return False

    def _close_epoch(self) -> None:
        if not self.losses:
            return
        entry: dict[str, Any] = {
            name: float(torch.stack(values).double().mean()) for name, values in self.losses.items()
        }
        self.losses, self.step = {}, 0
        self.epoch += 1
        rate = entry.get("rate", 0.0)
        bare = self.objective.fit * entry["nll"] + self.objective.beta * rate
        if not (math.isfinite(entry["train"]) and _sound(bare, self.first_loss)):
            self._roll_back(entry["train"])
            return
        last = self.epoch == self.epochs or self._share_done() >= 1
        if self.judge.held_out and (last or self.epoch % self.plan.validate_every == 0):
            means = self.judge.means(self.phase)
            entry |= dict(zip(("validation", "validation_error"), means, strict=True))
            judged = means[self.judge.column]
            if self.judge.selects and judged < self.best_loss:
                self.best_loss = judged
                self.patient_since = self.epoch
                self.best = _copied(self.model)
        self.history.append(
            {
                "phase": self.phase,
                "epoch": self.epoch,
                "seconds": round(self.seconds(), 3),
                "learning_rate": self.rate,
                **entry,
            }
        )

    def _go_back(self, rate: float = ROLLBACK_RATE, diverged: bool = False) -> None:
        """To the best weights, and on from there at a lower learning rate."""
        self.rate_factor *= rate
        self.patient_since = self.epoch
        self.model.load_state_dict(self.best or self.phase_start)
        if diverged and len(self.objective.penalties):
            self.objective.start(self.model.encode(self.data.x, self.data.weight))
        self._make_optimisers()

    def _roll_back(self, loss: float) -> None:
        self.rollbacks += 1
        if self.rollbacks > MOST_DIVERGENCES:
            raise TrainingError(
                f"training diverged {self.rollbacks} times (last loss: {loss:.3g}). "
                "Lower learning_rate, or set gradient_clip=1.0."
            )
        self._go_back(DIVERGED_RATE, diverged=True)
        rate = self.plan.learning_rate * self.rate_factor
        event = (
            f"epoch {self.epoch}: training diverged (loss {loss:.3g}); went back to the best "
            f"weights and on with learning_rate={rate:.3g}"
        )
        self.events.append(event)
        warnings.warn(event, ConvergenceWarning, stacklevel=2)

    def _concluded(self, start: Tensor | None, interrupted: bool) -> Outcome:
        kept, validation = "trained" if self.history else "start", {}
        if start is not None:
            beaten, found = self.judge.compare(start)
            validation = found if self.history else {}
            if beaten:
                self.model.load_state_dict(self.start_weights)
                kept = "start"
        return Outcome(
            history=self.history,
            kept=kept,
            epochs=len(self.history),
            plan=self.plan,
            events=self.events,
            interrupted=interrupted,
            validation=validation,
        )

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
            last = self.history[-1] if self.history else {}
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


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _sound(loss: float, first: float) -> bool:
    return loss < first + max(DIVERGED, DIVERGED_TIMES * abs(first))  # false for NaN
