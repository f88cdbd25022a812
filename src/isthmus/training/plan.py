"""What the user asked for, and the numbers that training will use."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from isthmus.core.errors import SpecError, nearest
from isthmus.model import Model, n_parameters
from isthmus.training.optimisers import OPTIMIZERS

STEPS = 800
"""Steps that suffice for a model that starts as PCA."""
FEWEST_EPOCHS, MOST_EPOCHS, MOST_EPOCHS_IN_TIME = 20, 200, 400
DECAY_EPOCHS, STRONGEST_DECAY = 4.0, 4.0
"""Weights forget over four epochs, whatever the size of the data (Wang & Aitchison 2024,
https://arxiv.org/abs/2405.13698). Only those beside a linear path: a network that has nothing
else to carry the signal is crippled by it."""
MEMORY = 64.0
"""Parameters per row from which a network can learn rows by heart; one with fewer forgets less."""
BATCH_VALUES = 1 << 21
"""Values in a batch at most, where the user does not say how many rows: large images need much
memory for each."""
PARALLEL_WORK = 1e8
"""Multiplications in a step from which a second thread pays."""
SHARED_WORK = 4e6
"""The same where the work is that of several models, which share no array."""
HALF_WORK = 1e8
"""Multiplications in a step from which bfloat16 pays on a processor that has it."""


@dataclass(frozen=True)
class Settings:
    """What the user asked for; None leaves it to the plan.

    Parameters
    ----------
    epochs : int, optional
    max_time : float, optional
        Seconds of training; the learning rate then follows the clock.
    batch_size : int or "full", optional
    learning_rate, weight_decay, gradient_clip : float, optional
    optimizer : str
    patience : int, optional
        Epochs without improvement on validation after which training goes back to the best
        weights at a lower rate, and in the end stops.
    seed : int
    device : str
        "auto", "cpu", "cuda", "cuda:1".
    precision : str
        "auto", "float32" or "bfloat16" (of the hidden layers, while training).
    """

    epochs: int | None = None
    max_time: float | None = None
    batch_size: int | str | None = None
    learning_rate: float | None = None
    optimizer: str = "adamw"
    weight_decay: float | None = None
    gradient_clip: float | None = None
    patience: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def check(self) -> None:
        """Raise ``SpecError`` if a name is unknown, or the device is not here."""
        for axis, name, known in (
            ("optimizer", self.optimizer, list(OPTIMIZERS)),
            ("precision", self.precision, ["auto", "float32", "bfloat16"]),
        ):
            if name not in known:
                raise SpecError(f"there is no {axis} '{name}'. {nearest(str(name), known)}")
        device_of(self.device)

    def fingerprint(self) -> dict[str, Any]:
        """All that decides the result of a run bounded by epochs."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """The numbers that training will use."""

    epochs: int
    max_time: float | None
    batch_size: int
    steps_per_epoch: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float | None
    optimizer: str
    patience: int
    validate_every: int
    seed: int
    device: torch.device
    bfloat16: bool
    threads: int
    work: float
    """Multiplications in a step."""


def plan(settings: Settings, model: Model, n: int, members: int = 1) -> Plan:
    """Decide what was left open, from the size of the model and of the data.

    Parameters
    ----------
    settings : Settings
    model : Model
    n : int
        Rows to train on.
    members : int
        Models that are trained at once.
    """
    batch_size = _batch_size(settings.batch_size, n, math.prod(model.shape))
    steps = -(-n // batch_size)
    if n // steps < 2 and any(isinstance(m, _BatchNorm) for m in model.modules()):
        raise SpecError(
            "batch normalisation needs at least 2 rows in every batch; raise batch_size, or "
            "choose normalization='layer'."
        )
    kind = OPTIMIZERS[settings.optimizer]
    rate = settings.learning_rate or kind.learning_rate * model.network.pace
    decay = settings.weight_decay
    if decay is None:
        decay = 0.0
        if kind.decoupled and model.network.starts_plain:
            decay = min(STRONGEST_DECAY, 1 / (DECAY_EPOCHS * steps * rate))
            decay *= min(1.0, n_parameters(model) / (MEMORY * n))
    limit = MOST_EPOCHS if settings.max_time is None else MOST_EPOCHS_IN_TIME
    epochs = settings.epochs
    if epochs is None:
        wanted = STEPS if settings.max_time is None else 10**9
        epochs = min(limit, max(FEWEST_EPOCHS, -(-wanted // steps)))
    every = max(1, math.ceil(10 / steps))
    device = device_of(settings.device)
    work = 3.0 * n_parameters(model) * batch_size * _reuse(model)
    return Plan(
        epochs=epochs,
        max_time=settings.max_time,
        batch_size=batch_size,
        steps_per_epoch=steps,
        learning_rate=rate,
        weight_decay=decay,
        gradient_clip=settings.gradient_clip,
        optimizer=settings.optimizer,
        patience=max(every, settings.patience or min(25, max(6, epochs // 8))),
        validate_every=every,
        seed=settings.seed,
        device=device,
        bfloat16=bfloat16_for(settings.precision, device, work),
        threads=threads_for(work * members, SHARED_WORK if members > 1 else PARALLEL_WORK),
        work=work,
    )


def _batch_size(asked: int | str | None, n: int, values: int) -> int:
    if asked == "full":
        return n
    if asked is None:
        usual: int = min(256, max(16, 2 ** int(math.log2(max(1, n // 8)))))
        return min(n, usual, max(2, BATCH_VALUES // values))
    return min(int(asked), n)


def _reuse(model: Model) -> float:
    """How often a parameter is used for one row: once in a dense layer, per position in others."""
    return 1.0 if len(model.shape) == 1 or model.network.stride == 1 else 32.0


def threads_for(work: float, least: float = PARALLEL_WORK) -> int:
    """As many threads as a step of so many multiplications can use, within the user's limit."""
    return 1 if work < least else torch.get_num_threads()


def device_of(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one.

    Raises
    ------
    SpecError
        If it does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise SpecError(f"device '{name}' is not available here; use 'auto' or 'cpu'.") from error
    return device


def bfloat16_for(precision: str, device: torch.device, work: float) -> bool:
    """Whether a step of so many multiplications rounds its hidden layers."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu" or work < HALF_WORK:
        return False
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)
