"""Training of the networks that expect a pixel from its neighbours."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from isthmus.coding.neighbourhood import Neighbourhood
from isthmus.parts.context import ContextNetwork, Whole, nats
from isthmus.training.outcome import Progress
from isthmus.training.pixels import Array, Pixels, PixelSource
from isthmus.training.staged import Schedule, StagedRun, Steps

ROUNDED_FROM = 0.6
"""The share of the steps after which weights and activations are rounded."""
FIRST_LOOK = 60_000
"""Pixels that the start is computed from."""
JUDGED = 200_000
"""Pixels held out that are judged, at most."""
MUON_RATE = 2.5
"""The rate of Muon, in rates of Adam."""


class ContextRun(StagedRun[ContextNetwork]):
    """Trains the networks of the planes of an image, one after the other.

    Parameters
    ----------
    hoods : sequence of Neighbourhood
        One for each plane.
    widths : list of int
    components : int
    images, held : sequence of sequence of array
        The planes of each image, to train on and to judge by.
    depth : int
    schedule : Schedule
    starts : sequence of sequence of Whole, optional
        Frozen networks to begin with, in place of least squares.
    on_progress, checkpoint
        See ``StagedRun``.
    """

    def __init__(
        self,
        hoods: Sequence[Neighbourhood],
        widths: list[int],
        components: int,
        images: Sequence[Sequence[Array]],
        held: Sequence[Sequence[Array]],
        depth: int,
        schedule: Schedule,
        *,
        starts: Sequence[Sequence[Whole]] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.hoods, self.images, self.held, self.depth = hoods, images, held, depth
        self.starts, self.shape = starts, (widths, components)
        super().__init__(len(hoods), schedule, on_progress=on_progress, checkpoint=checkpoint)

    def bare(self, stage: int) -> ContextNetwork:
        return ContextNetwork(self.hoods[stage].n_inputs, *self.shape)

    def begin(self, stage: int, network: ContextNetwork) -> Steps:
        hood = self.hoods[stage]
        self.source = PixelSource(_first(self.images, stage + 1), hood, self.depth)
        judged = _first(self.held, stage + 1)
        self.judged = PixelSource(judged, hood, self.depth) if judged else None
        first = self.source.drawn(FIRST_LOOK, (self.schedule.seed, stage))
        network.start(first.shown, first.value)
        if self.starts is not None:
            network.thaw(self.starts[stage])
        return Steps(network, network.matrices(), self.schedule.rate, MUON_RATE)

    def loss(self, stage: int, network: ContextNetwork, done: float) -> Tensor:
        pixels = self.source.drawn(self.schedule.batch, (self.schedule.seed, stage, self.step, 1))
        return _nats(network, pixels, done >= ROUNDED_FROM).mean()

    def judge(self, stage: int, network: ContextNetwork, done: float) -> dict[str, float]:
        if self.judged is None:
            return {}
        return {"bits": bits_of(network, self.judged, done >= ROUNDED_FROM)}

    def described(self) -> str:
        asked = {
            "schedule": {**asdict(self.schedule), "max_time": None, "threads": None},
            "hoods": [asdict(hood) for hood in self.hoods],
            "shape": self.shape,
            "depth": self.depth,
        }
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
        for planes in (*self.images, *self.held):
            for plane in planes:
                digest.update(str(plane.shape).encode())
                digest.update(plane.tobytes())
        for start in self.starts or ():
            for tensor in (part for layer in start for part in layer):
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def _first(images: Sequence[Sequence[Array]], planes: int) -> list[Sequence[Array]]:
    """The first planes of the images that have so many."""
    return [image[:planes] for image in images if len(image) >= planes]


def bits_of(network: ContextNetwork, source: PixelSource, whole: bool) -> float:
    """The mean cost of a pixel, in bits."""
    total, n = 0.0, 0
    with torch.no_grad():
        for pixels in source.sample(JUDGED):
            costs = _nats(network, pixels, whole)
            total += float(costs.sum(dtype=torch.float64))
            n += len(costs)
    return total / max(n, 1) / math.log(2)


def _nats(network: ContextNetwork, pixels: Pixels, whole: bool) -> Tensor:
    outputs = network(pixels.shown, whole)
    return nats(outputs, pixels.value, pixels.width, pixels.lowest, pixels.highest)
