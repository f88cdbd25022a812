"""Training of transforms of blocks, with the networks that say what their numbers cost."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
from isthmus.parts.transform import GroupNetwork, LossyNetwork, PatchTransform
from isthmus.training.context import MUON_RATE
from isthmus.training.crops import Crops
from isthmus.training.outcome import Progress
from isthmus.training.staged import WARMUP, Schedule, StagedRun, Steps

Array = npt.NDArray[Any]

FINEST, OCTAVES = 8.0, 0.5
"""Grey levels between two numbers at the best quality, and how much wider each one below has it."""
BIT_COST = 0.14
"""What a bit is worth, in squares of the step: near what it costs at a fine step."""
FIRST_LOOK, STARTED_ON = 60_000, 20_000
"""Blocks that the principal components, and the start of the networks, are computed from."""
MOST_PSNR = 100.0
"""In dB: what stands for no error at all."""
WARM_SHARE = 0.3
"""Of the steps, in which the learning rate rises at most."""


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


def step_sizes() -> Tensor:
    """Grey levels between two numbers, from the lowest quality to the best."""
    levels = torch.arange(QUALITIES - 1, -1, -1, dtype=torch.float64)
    return (FINEST * torch.exp2(OCTAVES * levels)).float()


class TransformRun(StagedRun[LossyNetwork]):
    """Trains a transform, and the networks that say what its numbers cost.

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
    on_progress, checkpoint
        See ``StagedRun``.
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
        self.design, self.crops, self.held = design, crops, held
        self.levels = range(qualities[0], qualities[1] + 1)
        self.columns = [torch.from_numpy(c) for c in columns_shown(design.groups)]
        self.warmup = max(1, min(WARMUP, round(WARM_SHARE * schedule.steps)))
        super().__init__(1, schedule, on_progress=on_progress, checkpoint=checkpoint)

    def bare(self, stage: int) -> LossyNetwork:
        return self._started()

    def begin(self, stage: int, network: LossyNetwork) -> Steps:
        return Steps(network, network.matrices(), self.schedule.rate, MUON_RATE)

    def loss(self, stage: int, network: LossyNetwork, done: float) -> Tensor:
        blocks = self._batch(self.step)
        quality = self._drawn(len(blocks))
        errors, bits = self._costs(network, blocks, quality, noisy=True)
        step = network.transform.steps[quality]
        return (errors / step.square() + BIT_COST * bits).mean() / blocks[0].numel()

    def judge(self, stage: int, network: LossyNetwork, done: float) -> dict[str, float]:
        if self.held is None:
            return {}
        blocks = torch.from_numpy(self.held.drawn(self.held.n_judged, (0,)))
        entry, values = {"loss": 0.0}, blocks.numel()
        for level in self.levels:
            errors = bits = 0.0
            for part in torch.split(blocks, 64):
                quality = torch.full((len(part),), level)
                with torch.no_grad():
                    error, cost = self._costs(network, part, quality, noisy=False)
                errors += float(error.sum(dtype=torch.float64))
                bits += float(cost.sum(dtype=torch.float64))
            step = float(network.transform.steps[level])
            entry["loss"] += (errors / step**2 + BIT_COST * bits) / values / len(self.levels)
            entry[f"bits {level + 1}"] = bits / values
            entry[f"psnr {level + 1}"] = min(MOST_PSNR, psnr_of(errors / values))
        return entry

    def described(self) -> str:
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

    def _costs(
        self, network: LossyNetwork, blocks: Tensor, quality: Tensor, noisy: bool
    ) -> tuple[Tensor, Tensor]:
        """Squared errors and bits of each image."""
        groups = self.design.groups
        each, shown, y, rounded = self._numbers(network.transform, blocks, quality)
        rated = rounded
        if noisy:
            seed = int(np.random.default_rng((self.schedule.seed, self.step, 3)).integers(2**62))
            rated = y + torch.rand(y.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
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
