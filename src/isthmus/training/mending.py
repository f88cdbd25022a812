"""Training of the networks that mend images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isthmus.parts.unet import UNet
from isthmus.training.examples import Example, Examples
from isthmus.training.outcome import Progress
from isthmus.training.staged import Schedule, StagedRun, Steps

LOOKED_AT = 1 << 19
"""Pixels that the start is computed from, and held out ones that are judged, at most."""
TIMES_OVER = 2
"""How often any of them is looked at, about."""
MUON_RATE = 12.0
"""The rate of Muon, in rates of Adam."""
MOST_ERROR = 1e6
LEAST_ERROR = 1e-10


class MendingRun(StagedRun[UNet]):
    """Trains a network on examples.

    Parameters
    ----------
    architecture : dict
        Arguments of ``UNet``.
    examples : Examples
    held : Examples, optional
        Of images held out.
    schedule : Schedule
    device : torch.device
    bfloat16 : bool
        Whether the convolutions round while training.
    on_progress, checkpoint
        See ``StagedRun``.
    """

    warmup = 100

    def __init__(
        self,
        architecture: dict[str, Any],
        examples: Examples,
        held: Examples | None,
        schedule: Schedule,
        *,
        device: torch.device,
        bfloat16: bool,
        on_progress: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.architecture, self.examples, self.held = architecture, examples, held
        self.device, self.bfloat16 = device, bfloat16
        super().__init__(1, schedule, on_progress=on_progress, checkpoint=checkpoint)

    def bare(self, stage: int) -> UNet:
        return UNet(**self.architecture).to(self.device)

    def begin(self, stage: int, network: UNet) -> Steps:
        example = self.examples.drawn(_enough(self.examples), self._seed(0, 1))
        network.cpu().start(example.seen, example.target, example.weight)
        network.to(self.device)
        self.judged = None
        if self.held is not None:
            self.judged = self.held.drawn(_enough(self.held), self._seed(0, 2))
        return Steps(network, network.matrices(), self.schedule.rate, MUON_RATE)

    def loss(self, stage: int, network: UNet, done: float) -> Tensor:
        example = self.examples.drawn(self.schedule.batch, self._seed(self.step, 0))
        seen = example.seen.to(self.device, memory_format=torch.channels_last)
        half = torch.autocast(self.device.type, torch.bfloat16) if self.bfloat16 else nullcontext()
        with half:
            out = network(seen)
        return _error(out.float(), example)

    @torch.no_grad()
    def judge(self, stage: int, network: UNet, done: float) -> dict[str, float]:
        if self.judged is None:
            return {}
        total, n = 0.0, max(1, len(self.judged.seen) // self.schedule.batch)
        for parts in zip(*(_chunks(tensor, n) for tensor in self.judged[:3]), strict=True):
            example = Example(*parts)
            error = _error(network(example.seen.to(self.device)), example)
            total += float(error) * len(example.seen)
        mean = total / len(self.judged.seen) - self.judged.excess
        if not mean < MOST_ERROR:
            return {"psnr": float("nan")}
        return {"psnr": float(-10 * torch.tensor(max(mean, LEAST_ERROR)).log10())}

    def described(self) -> str:
        asked = {
            "schedule": {**asdict(self.schedule), "max_time": None, "threads": None},
            "architecture": self.architecture,
            "bfloat16": self.bfloat16,
        }
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode())
        for examples in (self.examples, self.held):
            digest.update((examples.fingerprint() if examples else "").encode())
        return digest.hexdigest()

    def _seed(self, step: int, use: int) -> int:
        """One for each step and use, far from those of other seeds."""
        key = f"{self.schedule.seed} {use} {step}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=7).digest(), "big")


def _enough(examples: Examples) -> int:
    """How many parts to look at."""
    pixels = min(LOOKED_AT, TIMES_OVER * int(examples.ends[-1]))
    return max(1, pixels // examples.side**2)


def _chunks(tensor: Tensor | None, n: int) -> list[Any]:
    return [None] * n if tensor is None else list(tensor.tensor_split(n))


def _error(out: Tensor, example: Example) -> Tensor:
    """The mean square, over what the target tells."""
    squares = (out - example.target.to(out.device)) ** 2
    if example.weight is None:
        return squares.mean()
    weight = example.weight.to(out.device).expand_as(squares)
    return (squares * weight).sum() / weight.sum().clamp(min=1)
