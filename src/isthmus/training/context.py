"""Training of the networks that expect a pixel from its neighbours."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from isthmus.coding.neighbourhood import Neighbourhood
from isthmus.core.errors import TrainingError
from isthmus.parts.context import ContextNetwork, Whole, nats
from isthmus.parts.transform import LossyNetwork
from isthmus.training.checkpoint import joined, parted, read_checkpoint, write_checkpoint
from isthmus.training.optimisers import (
    Optimiser,
    optimisers,
    restore_state,
    set_rate,
    state_tensors,
)
from isthmus.training.outcome import Progress
from isthmus.training.pixels import Array, Pixels, PixelSource
from isthmus.training.surroundings import interruptible, own_randomness, own_threads

WARMUP = 300
"""Steps in which the learning rate rises."""
ROUNDED_FROM = 0.6
"""The share of the steps after which weights and activations are rounded."""
FIRST_LOOK = 60_000
"""Pixels that the start is computed from."""
JUDGED = 200_000
"""Pixels held out that are judged, at most."""
JUDGEMENTS = 8
SAVE_SECONDS = 20.0
LARGEST_NORM = 1.0
MUON_RATE = 2.5
"""The rate of Muon, in rates of Adam."""
LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Parameters
    ----------
    steps : int
        Of the network of each plane.
    batch : int
        Pixels in a step.
    rate : float
        The learning rate at its peak.
    seed : int
    max_time : float, optional
        Seconds for all planes.
    threads : int
    """

    steps: int
    batch: int = 4096
    rate: float = 6e-3
    seed: int = 0
    max_time: float | None = None
    threads: int = 1


@dataclass
class Trained:
    """The networks of all planes, as far as they got."""

    networks: list[ContextNetwork]
    history: list[dict[str, float]] = field(default_factory=list)
    interrupted: bool = False
    kept: str = "trained"


class ContextRun:
    """Trains one network after the other; can be stopped and gone on with between two steps.

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
    on_progress : callable, optional
    checkpoint : Path, optional
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
        self.schedule, self.starts = schedule, starts
        self.on_progress, self.checkpoint = on_progress, checkpoint
        self.shape = (widths, components)
        self.networks: list[ContextNetwork] = []
        self.history: list[dict[str, float]] = []
        self.step = 0
        self.before = 0.0
        self.identity = self._identity() if checkpoint else ""

    def to_the_end(self) -> Trained:
        """Train what is left."""
        self.began = self.saved = self.shown = time.monotonic()
        waiting = self._read()
        stopped = False
        with (
            interruptible() as interrupted,
            own_threads(self.schedule.threads),
        ):
            while len(self.networks) < len(self.hoods) and not stopped:
                # Each draws its own numbers, so that a resumed run needs none of those before.
                with own_randomness(self.schedule.seed + len(self.networks)):
                    stopped = self._train_plane(interrupted, waiting)
                waiting = {}
        return Trained(self.networks, self.history, stopped)

    def _train_plane(self, interrupted: Callable[[], bool], waiting: dict[str, Tensor]) -> bool:
        """Train the network of the next plane; True if it was interrupted."""
        plane = len(self.networks)
        hood = self.hoods[plane]
        source = PixelSource(_first(self.images, plane + 1), hood, self.depth)
        judged = _first(self.held, plane + 1)
        held = PixelSource(judged, hood, self.depth) if judged else None
        network = ContextNetwork(hood.n_inputs, *self.shape)
        first = source.drawn(FIRST_LOOK, (self.schedule.seed, plane))
        network.start(first.shown, first.value)
        if self.starts is not None:
            network.thaw(self.starts[plane])
        steps = Steps(network, self.schedule.rate)
        if waiting:
            network.load_state_dict(_under("now|", waiting))
            steps.put_back(_under("steps|", waiting))
        else:
            self._judge(network, held, plane, whole=True)
        schedule, last = self.schedule, self.schedule.steps
        every = max(1, last // JUDGEMENTS)
        begun = self._share(plane) if schedule.max_time else 0.0
        while self.step < last:
            if interrupted():
                self._save(network, steps)
                self.networks.append(network)
                return True
            done = self.step / last
            if schedule.max_time:
                allowed = (plane + 1) / len(self.hoods)
                done = max(done, (self._time_share() - begun) / max(allowed - begun, 1e-9))
            if done >= 1:
                break
            cost = _nats(network, self._batch(source, plane), done >= ROUNDED_FROM).mean()
            steps.take(cost, share_of_rate(self.step, done))
            self.step += 1
            if self.step % every == 0 or self.step == last:
                self._judge(network, held, plane, whole=done >= ROUNDED_FROM)
            self._tick(network, steps, plane, done)
        self.networks.append(network.eval())
        self.step = 0
        self._save(None, None)
        return False

    def _batch(self, source: PixelSource, plane: int) -> Pixels:
        return source.drawn(self.schedule.batch, (self.schedule.seed, plane, self.step, 1))

    def _judge(
        self, network: ContextNetwork, held: PixelSource | None, plane: int, whole: bool
    ) -> None:
        if held is None:
            return
        bits = bits_of(network, held, whole)
        if not math.isfinite(bits):
            raise TrainingError(
                "training diverged: the cost of a pixel is no longer a number. Lower the "
                "learning rate."
            )
        entry = {"plane": plane, "step": self.step, "bits": round(bits, 5)}
        self.history.append({**entry, "seconds": round(self._seconds(), 2)})

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def _time_share(self) -> float:
        return self._seconds() / self.schedule.max_time if self.schedule.max_time else 0.0

    def _share(self, plane: int) -> float:
        return min(self._time_share(), plane / len(self.hoods))

    def _tick(self, network: ContextNetwork, steps: Steps, plane: int, done: float) -> None:
        now = time.monotonic()
        if self.checkpoint and now - self.saved >= SAVE_SECONDS:
            self._save(network, steps)
        if self.on_progress and now - self.shown >= 0.1:
            self.shown = now
            whole = (plane + done) / len(self.hoods)
            seconds = self._seconds()
            last = self.history[-1]["bits"] if self.history else float("nan")
            self.on_progress(
                Progress(
                    done=whole,
                    epoch=plane + 1,
                    epochs=len(self.hoods),
                    seconds=seconds,
                    remaining=seconds * (1 - whole) / max(whole, 1e-9),
                    loss=last,
                    validation_error=None,
                )
            )

    def _save(self, network: ContextNetwork | None, steps: Steps | None) -> None:
        if self.checkpoint is None:
            return
        self.saved = time.monotonic()
        facts = {
            "identity": self.identity,
            "planes": len(self.networks),
            "step": self.step,
            "seconds": self._seconds(),
            "history": self.history,
        }
        tensors: dict[str, Tensor] = {}
        for number, done in enumerate(self.networks):
            tensors |= {f"{number}|{name}": t for name, t in done.state_dict().items()}
        if network is not None and steps is not None:
            tensors |= {f"now|{name}": t for name, t in network.state_dict().items()}
            tensors |= {f"steps|{name}": t for name, t in steps.state().items()}
        write_checkpoint(self.checkpoint, facts, tensors)

    def _read(self) -> dict[str, Tensor]:
        """Take up a run that was stopped; what is left of the network it was at."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return {}
        facts, tensors = read_checkpoint(self.checkpoint, self.identity)
        for plane in range(facts["planes"]):
            network = ContextNetwork(self.hoods[plane].n_inputs, *self.shape)
            network.load_state_dict(_under(f"{plane}|", tensors))
            self.networks.append(network.eval())
        self.step, self.before = facts["step"], facts["seconds"]
        self.history = facts["history"]
        return {name: t for name, t in tensors.items() if name.startswith(("now|", "steps|"))}

    def _identity(self) -> str:
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


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


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


class Steps:
    """Changes the weights of a network: the matrices of its hidden layers with Muon, all else with
    Adam, each at its own rate.

    With Adam alone, the same cost takes twice the steps. An older PyTorch has nothing else.
    """

    def __init__(self, network: ContextNetwork | LossyNetwork, rate: float) -> None:
        hidden = network.matrices()
        self.parameters = list(network.parameters())
        muon = hasattr(torch.optim, "Muon") and bool(hidden)
        self.parts: list[tuple[list[Optimiser], float]] = []
        if muon:
            self.parts.append((optimisers(_Only(hidden), "muon", rate, 0.0), MUON_RATE * rate))
        matrices = {id(weight) for weight in hidden} if muon else set()
        rest = [p for p in self.parameters if id(p) not in matrices]
        self.parts.append((optimisers(_Only(rest), "adamw", rate, 0.0), rate))

    def take(self, loss: Tensor, share: float) -> None:
        """One step, at a share of the rate."""
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, LARGEST_NORM)
        for made, rate in self.parts:
            set_rate(made, rate * share)
            for optimiser in made:
                optimiser.step()

    def state(self) -> dict[str, Tensor]:
        """All that decides how it goes on."""
        return joined({str(i): state_tensors(made) for i, (made, _) in enumerate(self.parts)})

    def put_back(self, state: dict[str, Tensor]) -> None:
        """Go on from what ``state`` gave."""
        groups = parted(state)
        for i, (made, _) in enumerate(self.parts):
            restore_state(made, groups.get(str(i), {}))


class _Only(nn.Module):
    """Some parameters of a network."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__()
        self.only = nn.ParameterList(parameters)


def share_of_rate(number: int, done: float) -> float:
    """Up over the first steps, and down to nearly nothing along half a cosine."""
    return min(1.0, (number + 1) / WARMUP) * (1 + math.cos(math.pi * done)) / 2 + LEAST_SHARE
