"""Training of transforms of blocks, with the networks that say what their numbers cost."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.baselines.rate_distortion import psnr_of
from isthmus.coding.fixed import QUALITIES
from isthmus.coding.latents import BEFORE, LIMIT, OWN, Groups
from isthmus.coding.transform import AROUND
from isthmus.core.errors import TrainingError
from isthmus.parts.transform import GroupNetwork, LossyNetwork, PatchTransform
from isthmus.training.checkpoint import read_checkpoint, write_checkpoint
from isthmus.training.context import LEAST_SHARE, WARMUP, Schedule, Steps
from isthmus.training.crops import Crops
from isthmus.training.outcome import Progress
from isthmus.training.surroundings import interruptible, own_randomness, own_threads

Array = npt.NDArray[Any]

FINEST, OCTAVES = 8.0, 0.5
"""Grey levels between two numbers at the best quality, and how much wider each one below has it."""
BIT_COST = 0.14
"""What a bit is worth, in squares of the step: near what it costs at a fine step."""
FIRST_LOOK, STARTED_ON = 60_000, 20_000
"""Blocks that the principal components, and the start of the networks, are computed from."""
JUDGEMENTS = 6
MOST_PSNR = 100.0
"""In dB: what stands for no error at all."""
WARM_SHARE = 0.3
"""Of the steps, in which the learning rate rises at most."""
SAVE_SECONDS = 20.0


@dataclass(frozen=True)
class Design:
    """What is trained.

    Parameters
    ----------
    patch : int
        Pixels along a side of a block.
    colours : int
    groups : Groups
    width : int
        Of the networks beside the transform.
    widths : tuple of int
        Of the hidden layers of those that say what numbers cost.
    components : int
        Of their mixtures.
    """

    patch: int
    colours: int
    groups: Groups
    width: int
    widths: tuple[int, ...]
    components: int


@dataclass
class Trained:
    """The networks as far as they got."""

    network: LossyNetwork
    history: list[dict[str, float]] = field(default_factory=list)
    interrupted: bool = False
    kept: str = "trained"


def step_sizes() -> Tensor:
    """Grey levels between two numbers, from the lowest quality to the best."""
    levels = torch.arange(QUALITIES - 1, -1, -1, dtype=torch.float64)
    return (FINEST * torch.exp2(OCTAVES * levels)).float()


class TransformRun:
    """Trains a transform; can be stopped and gone on with between two steps.

    Parameters
    ----------
    design : Design
    crops : Crops
        To train on.
    held : Crops or None
        To judge by.
    schedule : Schedule
        A batch is of images.
    qualities : tuple of int
        The first and the last that are trained, from 0 on.
    on_progress : callable, optional
    checkpoint : Path, optional
    """

    def __init__(
        self,
        design: Design,
        crops: Crops,
        held: Crops | None,
        schedule: Schedule,
        *,
        qualities: tuple[int, int] = (0, QUALITIES - 1),
        on_progress: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.design, self.crops, self.held, self.schedule = design, crops, held, schedule
        self.levels = range(qualities[0], qualities[1] + 1)
        self.on_progress, self.checkpoint = on_progress, checkpoint
        self.columns = [torch.from_numpy(c) for c in columns_shown(design.groups)]
        self.history: list[dict[str, float]] = []
        self.step, self.before = 0, 0.0
        self.identity = self._identity() if checkpoint else ""

    def to_the_end(self) -> Trained:
        """Train what is left."""
        self.began = self.saved = self.shown = time.monotonic()
        with (
            interruptible() as interrupted,
            own_threads(self.schedule.threads),
            own_randomness(self.schedule.seed),
        ):
            self.network = self._started()
            first = {name: t.clone() for name, t in self.network.state_dict().items()}
            self.steps = Steps(self.network, self.schedule.rate)
            if not self._read():
                self._judge()
            if self._train(interrupted):
                return Trained(self.network, self.history, True)
        losses = [entry["loss"] for entry in self.history]
        if losses and losses[-1] >= losses[0]:
            self.network.load_state_dict(first)
            return Trained(self.network.eval(), self.history, kept="start")
        return Trained(self.network.eval(), self.history)

    def _train(self, interrupted: Callable[[], bool]) -> bool:
        """Take all steps that are left; True if it was interrupted."""
        schedule, last = self.schedule, self.schedule.steps
        judged = self.step
        while self.step < last:
            if interrupted():
                self._save()
                return True
            done = self.step / last
            if schedule.max_time:
                done = max(done, self._seconds() / schedule.max_time)
            if done >= 1:
                break
            blocks = self._batch(self.step)
            self.steps.take(self._loss(blocks, self._drawn(len(blocks))), self._share(done))
            self.step += 1
            if self.step % max(1, last // JUDGEMENTS) == 0:
                self._judge()
                judged = self.step
            self._tick(done)
        if judged < self.step:
            self._judge()
        return False

    # ------------------------------------------------------------------ the start

    def _started(self) -> LossyNetwork:
        """PCA of blocks, and least squares of its numbers."""
        design, groups = self.design, self.design.groups
        side = self.crops.blocks_of_one
        many = self._batch(-1, max(8, FIRST_LOOK // side))
        values = many.reshape(-1, many.shape[-1]).double()
        mean = values.mean(0)
        _, vectors = torch.linalg.eigh((values - mean).T @ (values - mean))
        components = vectors.flip(1).T[: groups.channels]
        # A sign that does not depend on the library: the largest entry is positive.
        most = components.gather(1, components.abs().argmax(1, keepdim=True))
        transform = PatchTransform(
            mean.float(),
            (components * most.sign()).float(),
            step_sizes(),
            design.width,
            groups.channels + len(AROUND) * min(groups.seen, groups.channels),
        )
        networks = [
            GroupNetwork(len(c), design.widths, size, design.components, QUALITIES)
            for c, size in zip(self.columns, groups.sizes, strict=True)
        ]
        some = many[: max(8, STARTED_ON // side)]
        quality = torch.arange(len(some)) % len(self.levels) + self.levels.start
        with torch.no_grad():
            each, shown, y, _ = self._numbers(transform, some, quality)
            for part in (transform.analysis, transform.synthesis):
                part.even_out(around(torch.round(y), groups.seen))
            shown = torch.cat([shown, self._places(some.shape)], 1)
            whole = torch.round(y).reshape(-1, groups.channels)
            for start, columns, network in zip(groups.starts, self.columns, networks, strict=False):
                wanted = whole[:, start : start + network.channels]
                network.start(shown[:, columns], wanted, each)
        return LossyNetwork(transform, networks)

    # ------------------------------------------------------------------ a step

    def _batch(self, number: int, n: int | None = None) -> Tensor:
        """Blocks of some images, of shape (images, rows, columns, values)."""
        seed = (self.schedule.seed, number + 1, 1)
        return torch.from_numpy(self.crops.drawn(n or self.schedule.batch, seed))

    def _drawn(self, n: int) -> Tensor:
        """A quality for each image."""
        rng = np.random.default_rng((self.schedule.seed, self.step, 2))
        return torch.from_numpy(rng.integers(self.levels.start, self.levels.stop, n))

    def _numbers(
        self, transform: PatchTransform, blocks: Tensor, quality: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The quality of each block; what is known before it; numbers; the same, rounded.

        Numbers have the shape (images, rows, columns, channels).
        """
        n, rows, columns, values = blocks.shape
        each = quality.repeat_interleave(rows * columns)
        linear = transform.linear(blocks.reshape(-1, values), each).view(n, rows, columns, -1)
        seen = self.design.groups.seen
        y = linear + transform.analysis(around(linear, seen), each).view(linear.shape)
        rounded = y + (torch.round(y) - y).detach()
        return each, before(rounded.detach(), seen), y, rounded

    def _places(self, shape: torch.Size) -> Tensor:
        """Row and column of each block."""
        n, rows, columns, _ = shape
        grid = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"))
        return grid.flatten(1).T.repeat(n, 1).clamp(max=LIMIT).float()

    def _costs(self, blocks: Tensor, quality: Tensor, noisy: bool) -> tuple[Tensor, Tensor]:
        """Squared errors and bits of each image."""
        network, groups = self.network, self.design.groups
        each, shown, y, rounded = self._numbers(network.transform, blocks, quality)
        rated = y + torch.rand(y.shape) - 0.5 if noisy else rounded
        rated = rated.reshape(-1, groups.channels)
        shown = torch.cat([shown, self._places(blocks.shape)], 1)
        total = torch.zeros(len(rated))
        for start, columns, part in zip(groups.starts, self.columns, network.parts, strict=False):
            values = rated[:, start : start + part.channels]
            total = total + part.nats(shown[:, columns], values, each).sum(1)
        numbers = rounded.reshape(-1, groups.channels)
        added = network.transform.synthesis(around(rounded, groups.seen), each)
        again = network.transform.blocks(numbers, added, each).view(blocks.shape)
        if not noisy:
            again = again.round().clamp(0, 255)
        errors = (again - blocks).square().sum((1, 2, 3))
        return errors, total.view(len(blocks), -1).sum(1) / math.log(2)

    def _loss(self, blocks: Tensor, quality: Tensor) -> Tensor:
        errors, bits = self._costs(blocks, quality, noisy=True)
        step = self.network.transform.steps[quality]
        return (errors / step.square() + BIT_COST * bits).mean() / blocks[0].numel()

    # ------------------------------------------------------------------ how it goes

    def _judge(self) -> None:
        if self.held is None:
            return
        blocks = torch.from_numpy(self.held.drawn(self.held.n_judged, (0,)))
        entry: dict[str, float] = {"step": self.step, "loss": 0.0}
        values = blocks.numel()
        for level in self.levels:
            errors = bits = 0.0
            for part in torch.split(blocks, 64):
                quality = torch.full((len(part),), level)
                with torch.no_grad():
                    error, cost = self._costs(part, quality, noisy=False)
                errors += float(error.sum(dtype=torch.float64))
                bits += float(cost.sum(dtype=torch.float64))
            step = float(self.network.transform.steps[level])
            entry["loss"] += (errors / step**2 + BIT_COST * bits) / values / len(self.levels)
            entry[f"bits {level + 1}"] = round(bits / values, 5)
            entry[f"psnr {level + 1}"] = round(min(MOST_PSNR, psnr_of(errors / values)), 3)
        if not math.isfinite(entry["loss"]):
            raise TrainingError(
                "training diverged: the cost is no longer a number. Lower the learning rate."
            )
        self.history.append({**entry, "seconds": round(self._seconds(), 2)})

    def _share(self, done: float) -> float:
        """Of the learning rate: up at first, and down to nearly nothing along half a cosine."""
        warm = max(1.0, min(WARMUP, WARM_SHARE * self.schedule.steps))
        risen = min(1.0, (self.step + 1) / warm)
        return risen * (1 + math.cos(math.pi * done)) / 2 + LEAST_SHARE

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def _tick(self, done: float) -> None:
        now = time.monotonic()
        if self.checkpoint and now - self.saved >= SAVE_SECONDS:
            self._save()
        if self.on_progress and now - self.shown >= 0.1:
            self.shown = now
            seconds = self._seconds()
            self.on_progress(
                Progress(
                    done=done,
                    epoch=1,
                    epochs=1,
                    seconds=seconds,
                    remaining=seconds * (1 - done) / max(done, 1e-9),
                    loss=self.history[-1]["loss"] if self.history else float("nan"),
                    validation_error=None,
                )
            )

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        self.saved = time.monotonic()
        facts = {
            "identity": self.identity,
            "step": self.step,
            "seconds": self._seconds(),
            "history": self.history,
        }
        tensors = {f"now|{name}": t for name, t in self.network.state_dict().items()}
        tensors |= {f"steps|{name}": t for name, t in self.steps.state().items()}
        tensors["random"] = torch.random.get_rng_state()
        write_checkpoint(self.checkpoint, facts, tensors)

    def _read(self) -> bool:
        """Take up a run that was stopped; whether there was one."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return False
        facts, tensors = read_checkpoint(self.checkpoint, self.identity)
        parts = {
            prefix: {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
            for prefix in ("now|", "steps|")
        }
        self.network.load_state_dict(parts["now|"])
        self.steps.put_back(parts["steps|"])
        torch.random.set_rng_state(tensors["random"])
        self.step, self.before = facts["step"], facts["seconds"]
        self.history = facts["history"]
        return True

    def _identity(self) -> str:
        asked = {
            "schedule": {**asdict(self.schedule), "max_time": None, "threads": None},
            "design": asdict(self.design),
            "levels": list(self.levels),
        }
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
        for crops in (self.crops, self.held):
            if crops is not None:
                digest.update(crops.identity)
        return digest.hexdigest()


def around(numbers: Tensor, seen: int) -> Tensor:
    """What the networks beside the transform see: (blocks, channels + 8 * seen)."""
    places = [((0, 0), numbers.shape[3]), *((offset, seen) for offset in AROUND)]
    return _shown(numbers, places)


def before(numbers: Tensor, seen: int) -> Tensor:
    """What is shown to the networks of groups, that ``columns_shown`` chooses from."""
    return _shown(numbers, _before(numbers.shape[3], seen))


def _before(channels: int, seen: int) -> list[tuple[tuple[int, int], int]]:
    """Rows and columns to go, and how many channels there."""
    beside = [(offset, seen) for offset in BEFORE if offset not in OWN and offset != (0, 0)]
    return [((0, 0), channels), *((offset, channels) for offset in OWN), *beside]


def _shown(numbers: Tensor, places: Sequence[tuple[tuple[int, int], int]]) -> Tensor:
    n, rows, columns, _ = numbers.shape
    known = torch.nn.functional.pad(numbers.clamp(-LIMIT, LIMIT), (0, 0, 1, 1, 1, 1))
    parts = [
        known[:, 1 + down : 1 + down + rows, 1 + right : 1 + right + columns, :many]
        for (down, right), many in places
    ]
    return torch.cat(parts, -1).reshape(n * rows * columns, -1)


def columns_shown(groups: Groups) -> list[Array]:
    """Of what ``before`` gives, and then row and column: what each group's network sees."""
    places = _before(groups.channels, groups.seen)
    at, total = {}, 0
    for offset, many in places:
        at[offset] = total
        total += min(many, groups.channels)
    found = []
    for start, stop in pairwise(groups.starts):
        columns = [*range(start)]
        for offset in BEFORE[1:]:
            columns += [at[offset] + c for c in range(min(start, groups.seen))]
        for offset in OWN:
            columns += [at[offset] + c for c in range(start, stop)]
        if groups.places:
            columns += [total, total + 1]
        found.append(np.array(columns))
    return found
