"""Images that the tests of codecs share, and what they start in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from isthmus import ImageCodec
from isthmus.parts.context import ContextNetwork
from isthmus.training import staged

Array = npt.NDArray[Any]
EPOCHS = 3
STEPS = 4 * EPOCHS
"""Of the network of each colour."""


@cache
def digits() -> Array:
    """All of scikit-learn's digits as bytes."""
    found: Array = (load_digits().images * 15.9375).astype(np.uint8)
    return found


def colours() -> Array:
    """Some digits in colours that tell of each other."""
    grey = digits()[:240]
    return np.stack([grey, grey // 2, 255 - grey], axis=-1)


def smooth(*shape: int, seed: int = 0, deep: bool = False) -> Array:
    """Waves with a little noise, as photographs have it: of 8 bits, or of 12 in 16."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    waves = 100 + 60 * np.sin(rows / 9 + seed) + 50 * np.cos(columns / 7)
    noisy = waves + rng.normal(0, 2, shape[:2])
    if len(shape) == 3:
        noisy = np.stack([noisy * 0.9 + 5 * c for c in range(shape[2])], axis=-1)
        noisy += rng.normal(0, 0.5, shape)
    if deep:
        return (noisy * 16).clip(0, 4095).astype(np.uint16)
    return noisy.clip(0, 255).astype(np.uint8)


def codec(resume: Path | None = None, **changes: Any) -> ImageCodec:
    """One that keeps its state after every step of training."""
    staged.SAVE_SECONDS = 0.0
    settings = {"speed": "fast", "epochs": EPOCHS, "random_state": 3, **changes}
    return ImageCodec(resume=resume, **settings)


def fit_and_save(state: Path, path: Path) -> None:
    """What a process does: fit, going on from ``state`` if it is there, and save."""
    torch.set_num_threads(1)
    codec(state).fit(colours()).save(path)


@contextmanager
def ctrl_c(step: int) -> Iterator[None]:
    """Ctrl-C is pressed in this step of training, counted from 1 over all colours."""
    steps = 0

    def press(module: nn.Module, arguments: Any) -> None:
        nonlocal steps
        if isinstance(module, ContextNetwork) and torch.is_grad_enabled():
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGINT)

    handle = register_module_forward_pre_hook(press)
    try:
        yield
    finally:
        handle.remove()
