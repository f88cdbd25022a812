"""Training of networks, one after the other, by numbered steps."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from isthmus.core.errors import TrainingError
from isthmus.training.checkpoint import joined, parted, read_checkpoint, write_checkpoint
from isthmus.training.optimisers import (
    Optimiser,
    optimisers,
    restore_state,
    set_rate,
    state_tensors,
)
from isthmus.training.outcome import Progress
from isthmus.training.surroundings import interruptible, own_randomness, own_threads

SAVE_SECONDS = 20.0
JUDGEMENTS = 8
LARGEST_NORM = 1.0
WARMUP = 300
"""Steps in which the learning rate rises."""
LEAST_SHARE = 1e-4

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Parameters
    ----------
    steps : int
        Of each network.
    batch : int
        Of what a step looks at: pixels, or parts of images.
    rate : float
        The learning rate at its peak.
    seed : int
    max_time : float, optional
        Seconds for all networks.
    threads : int
    """

    steps: int
    batch: int = 4096
    rate: float = 6e-3
    seed: int = 0
    max_time: float | None = None
    threads: int = 1


@dataclass
class Trained(Generic[N]):
    """The networks, as far as they got."""

    networks: list[N]
    history: list[dict[str, float]] = field(default_factory=list)
    interrupted: bool = False


class StagedRun(ABC, Generic[N]):
    """Trains one network after the other; can be stopped and gone on with between two steps.

    What a step draws must depend on its number alone, so that a run that is gone on with takes the
    same steps.

    Parameters
    ----------
    stages : int
        How many networks.
    schedule : Schedule
    on_progress : callable, optional
    checkpoint : Path, optional
        Where the state is kept, and taken up from where it is there.
    """

    warmup = WARMUP

    def __init__(
        self,
        stages: int,
        schedule: Schedule,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.stages, self.schedule = stages, schedule
        self.on_progress, self.checkpoint = on_progress, checkpoint
        self.networks: list[N] = []
        self.history: list[dict[str, float]] = []
        self.step = 0
        self.before = 0.0
        self.identity = self.described() if checkpoint else ""

    @abstractmethod
    def described(self) -> str:
        """A hash of all that decides the run."""

    @abstractmethod
    def bare(self, stage: int) -> N:
        """A network of a stage, with any weights."""

    @abstractmethod
    def begin(self, stage: int, network: N) -> Steps:
        """Look at the data, start the network, and say how its weights are to change."""

    @abstractmethod
    def loss(self, stage: int, network: N, done: float) -> Tensor:
        """What step number ``self.step`` shall lower."""

    @abstractmethod
    def judge(self, stage: int, network: N, done: float) -> dict[str, float]:
        """What the network is worth on data held out; empty where there are none."""

    def started(self, stage: int) -> N:
        """The network of a stage as it was before its first step."""
        with own_threads(self.schedule.threads), own_randomness(self.schedule.seed + stage):
            network = self.bare(stage)
            self.begin(stage, network)
        return network.eval()

    def to_the_end(self) -> Trained[N]:
        """Train what is left."""
        self.began = self.saved = self.shown = time.monotonic()
        waiting = self._read()
        stopped = False
        with (
            interruptible() as interrupted,
            own_threads(self.schedule.threads),
        ):
            while len(self.networks) < self.stages and not stopped:
                # Each draws its own numbers, so that a resumed run needs none of those before.
                with own_randomness(self.schedule.seed + len(self.networks)):
                    stopped = self._train(interrupted, waiting)
                waiting = {}
        return Trained(self.networks, self.history, stopped)

    def _train(self, interrupted: Callable[[], bool], waiting: dict[str, Tensor]) -> bool:
        """Train the next network; True if it was interrupted."""
        stage = len(self.networks)
        network = self.bare(stage)
        steps = self.begin(stage, network)
        if waiting:
            network.load_state_dict(_under("now|", waiting))
            steps.put_back(_under("steps|", waiting))
        else:
            self._judge(stage, network, 1.0)
        schedule, last = self.schedule, self.schedule.steps
        every = max(1, last // JUDGEMENTS)
        judged = self.step
        begun = self._share(stage) if schedule.max_time else 0.0
        while self.step < last:
            if interrupted():
                self._save(network, steps)
                self.networks.append(network)
                return True
            done = self.step / last
            if schedule.max_time:
                allowed = (stage + 1) / self.stages
                done = max(done, (self._time_share() - begun) / max(allowed - begun, 1e-9))
            if done >= 1:
                break
            steps.take(self.loss(stage, network, done), share_of_rate(self.step, done, self.warmup))
            self.step += 1
            if self.step % every == 0 or self.step == last:
                self._judge(stage, network, done)
                judged = self.step
            self._tick(network, steps, stage, done)
        if judged != self.step:  # the time was up
            self._judge(stage, network, 1.0)
        self.networks.append(network.eval())
        self.step = 0
        self._save(None, None)
        return False

    def _judge(self, stage: int, network: N, done: float) -> None:
        found = self.judge(stage, network, done)
        if not found:
            return
        if not all(map(math.isfinite, found.values())):
            raise TrainingError(
                "training diverged: its cost is no longer a number. Lower the learning rate."
            )
        entry: dict[str, float] = {"plane": stage, "step": self.step}
        entry |= {name: round(value, 5) for name, value in found.items()}
        self.history.append({**entry, "seconds": round(self._seconds(), 2)})

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def _time_share(self) -> float:
        return self._seconds() / self.schedule.max_time if self.schedule.max_time else 0.0

    def _share(self, stage: int) -> float:
        return min(self._time_share(), stage / self.stages)

    def _tick(self, network: N, steps: Steps, stage: int, done: float) -> None:
        now = time.monotonic()
        if self.checkpoint and now - self.saved >= SAVE_SECONDS:
            self._save(network, steps)
        if self.on_progress and now - self.shown >= 0.1:
            self.shown = now
            whole = (stage + done) / self.stages
            seconds = self._seconds()
            self.on_progress(
                Progress(
                    done=whole,
                    epoch=stage + 1,
                    epochs=self.stages,
                    seconds=seconds,
                    remaining=seconds * (1 - whole) / max(whole, 1e-9),
                    loss=float("nan"),
                    validation_error=None,
                )
            )

    def _save(self, network: N | None, steps: Steps | None) -> None:
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
        for stage in range(facts["planes"]):
            network = self.bare(stage)
            network.load_state_dict(_under(f"{stage}|", tensors))
            self.networks.append(network.eval())
        self.step, self.before = facts["step"], facts["seconds"]
        self.history = facts["history"]
        return {name: t for name, t in tensors.items() if name.startswith(("now|", "steps|"))}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


class Steps:
    """Changes the weights of a network: some matrices with Muon, all else with Adam.

    With Adam alone, the same cost takes twice the steps. An older PyTorch has nothing else.

    Parameters
    ----------
    network : Module
    matrices : list of Parameter
        Those that Muon takes: of hidden layers.
    rate : float
        Of Adam, at its peak.
    muon_rate : float
        In rates of Adam.
    """

    def __init__(
        self, network: nn.Module, matrices: list[nn.Parameter], rate: float, muon_rate: float
    ) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        muon = hasattr(torch.optim, "Muon") and bool(matrices)
        self.parts: list[tuple[list[Optimiser], float]] = []
        if muon:
            self.parts.append((optimisers(_Only(matrices), "muon", rate, 0.0), muon_rate * rate))
        taken = {id(weight) for weight in matrices} if muon else set()
        rest = [p for p in self.parameters if id(p) not in taken]
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


def share_of_rate(number: int, done: float, warmup: int = WARMUP) -> float:
    """Up over the first steps, and down to nearly nothing along half a cosine."""
    return min(1.0, (number + 1) / warmup) * (1 + math.cos(math.pi * done)) / 2 + LEAST_SHARE
