"""What tests start in processes of their own, to interrupt or kill them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from isthmus import Autoencoder, Phase, Recipe, spec
from isthmus.core.errors import ModelFileError
from isthmus.objective import Objective
from isthmus.training import run as training
from isthmus.training.directory import save_directory

X = load_digits().data[:300]
STEPS_PER_EPOCH, EPOCHS = 9, 3
DISK_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
PATIENCE = 120.0
"""Seconds after which a process that does not move on counts as hanging."""

CASES: dict[str, dict[str, Any]] = {
    "noise, dropout and moving averages": {
        "recipe": "denoising",
        "network": spec("mlp", widths=(16,), dropout=0.2, normalization="batch"),
    },
    "two phases of a variational model": {
        "recipe": Recipe(
            code=spec("gaussian"),
            phases=(Phase(beta=0.0, corruption=spec("mask")), Phase(penalties=(spec("l1"),))),
        ),
        "network": spec("mlp", widths=(16,), tied=False),
        "optimizer": "lion",
    },
    "by hand, masked and variational": {
        "recipe": Recipe(
            code=spec("gaussian"), phases=(Phase(corruption=spec("mask")), Phase(beta=0.5))
        ),
        "network": spec("mlp", widths=(16,), dropout=0.2),
        "n_members": 2,
    },
    "momentum, tied weights, no validation": {
        "network": spec("mlp", widths=(16,), tied=True),
        "optimizer": "sgd",
        "validation": 0,
        "gradient_clip": 1.0,
    },
}


@contextmanager
def no_step() -> Iterator[None]:
    """A step of training is a failure."""

    def refuse(module: nn.Module, arguments: Any) -> None:
        assert not (isinstance(module, Objective) and module.training), "it trained"

    handle = register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def ctrl_c(presses: dict[int, int]) -> Iterator[None]:
    """Ctrl-C is pressed so often during these steps of training, counted from 1."""
    steps = 0

    def press(module: nn.Module, arguments: Any) -> None:
        nonlocal steps
        if isinstance(module, Objective) and module.training:
            steps += 1
            for _ in range(presses.get(steps, 0)):
                os.kill(os.getpid(), signal.SIGINT)

    handle = register_module_forward_pre_hook(press)
    try:
        yield
    finally:
        handle.remove()


def estimator(case: str, resume: Path | None = None, **changes: Any) -> Autoencoder:
    """The estimator of a case, which keeps its state after every step."""
    training.CHECKPOINT_SECONDS = 0.0
    settings = {"latent_dim": 4, "epochs": EPOCHS, "batch_size": 32, **CASES[case], **changes}
    return Autoencoder(resume=resume, **settings)


def fit_and_save(case: str, state: Path, path: Path) -> None:
    """What a process does: fit, going on from ``state`` if it is there, and save to ``path``.

    If it is interrupted, the estimator is saved as it is, beside.
    """
    torch.set_num_threads(1)
    ae = estimator(case, state)
    try:
        ae.fit(X)
    except KeyboardInterrupt:
        path = path.with_name("interrupted")
    ae.save(path)


def fit_without_compiler(optimizer: str) -> None:
    """What a process does: fit, and exit with 1 if that imported PyTorch's compiler."""
    Autoencoder(2, epochs=1, optimizer=optimizer).fit(X)
    sys.exit("torch._dynamo" in sys.modules)


def save_disturbed(path: Path, config: dict[str, Any], moment: int, killed: bool) -> None:
    """What a process does: save a model, and be killed at the n-th thing it does to the disk.

    If not to be killed, it finds the disk full at that moment, and exits with 3 if that made it
    fail, with 4 if not. It exits with 0 if that moment never came.
    """
    left = moment

    def disturb(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        is_ours = event in ("os.remove", "os.rmdir") or str(path.parent) in str(arguments[:1])
        if event not in DISK_EVENTS or not is_ours:
            return
        left -= 1
        if left == 0 and killed:
            os.kill(os.getpid(), signal.SIGKILL)
        elif left == 0:
            raise OSError(28, "No space left on device")

    sys.addaudithook(disturb)
    try:
        save_directory(path, config, {"w": torch.ones(3)}, str)
    except (OSError, ModelFileError):
        sys.exit(3)
    sys.exit(4 if left <= 0 else 0)


def started(what: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A process on its way with one of the above."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=what, args=arguments)
    process.start()
    return process


def wait_for_states(process: ForkServerProcess, state: Path, n: int) -> None:
    """Until the process has written its state so many times, or has come to its end."""
    seen, last = 0, written(state)
    deadline = time.monotonic() + PATIENCE
    while seen < n and process.is_alive():
        assert time.monotonic() < deadline, "the process hangs"
        now = written(state)
        seen, last = seen + (now != last), now
        time.sleep(1e-4)


def written(state: Path) -> tuple[int, int] | None:
    """Which writing of the file this is."""
    try:
        found = state.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
