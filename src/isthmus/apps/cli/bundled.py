"""Data that come with scikit-learn, as the demo uses them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_images
from sklearn.model_selection import train_test_split

Array = NDArray[Any]
SIDE, STEP = 16, 4
"""Of the patches of photographs, in pixels: their side, and how far apart those to fit on are."""
STRIP, EVERY = 64, 5
"""Photographs are cut into strips this wide; every fifth one is held out."""


@dataclass(frozen=True)
class Example:
    """Images to fit on, others to judge by, and how large a code they get."""

    name: str
    file: str
    source: str
    fit: Array
    held: Array
    latent_dim: int
    labels: Array | None = None
    options: dict[str, Any] = field(default_factory=dict)


def digits() -> Example:
    """1,797 handwritten digits of 8 x 8 pixels, a fifth of them held out."""
    found = load_digits()
    images = found.images.astype(np.float32)
    fit, held, _, labels = train_test_split(
        images, found.target, test_size=0.2, random_state=0, stratify=found.target
    )
    return Example(
        "Handwritten digits", "digits.model", "a fifth that was held out", fit, held, 8, labels
    )


def photographs() -> Example:
    """Patches of two photographs in colour; every fifth vertical strip of them is held out.

    Patches to fit on overlap each other, but none of those that are held out.
    """
    found = load_sample_images()
    fit, held, labels = [], [], []
    for photograph, file in zip(found.images, found.filenames, strict=True):
        for i in range(photograph.shape[1] // STRIP):
            strip = photograph[:, i * STRIP : (i + 1) * STRIP]
            if i % EVERY == EVERY // 2:
                held.append(_patches(strip, SIDE))
                labels += [Path(file).stem] * len(held[-1])
            else:
                fit.append(_patches(strip, STEP))
    return Example(
        "Patches of photographs",
        "photographs.model",
        "strips that were held out",
        np.concatenate(fit),
        np.concatenate(held),
        latent_dim=16,
        labels=np.array(labels),
        options={"epochs": 8},
    )


def _patches(photograph: Array, step: int) -> Array:
    """(n, side, side, 3) patches whose corners are ``step`` pixels apart."""
    windows = np.lib.stride_tricks.sliding_window_view(photograph, (SIDE, SIDE), axis=(0, 1))
    patches: Array = windows[::step, ::step].transpose(0, 1, 3, 4, 2)
    return patches.reshape(-1, SIDE, SIDE, photograph.shape[2])
