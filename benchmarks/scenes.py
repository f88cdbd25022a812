"""The photographs that mending is measured on, from the folder of the development data."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import data

Array = NDArray[Any]

HELD_OUT = 40
"""Of the 400 to train on, those to choose by."""
CROP = 256
"""Pixels of a side of the middle of the photographs that are restored."""


def grey(file: str) -> list[Array]:
    """Grey images of an archive within 0 and 1, sorted by name."""
    with zipfile.ZipFile(data.folder() / "photos" / file) as archive:
        return [
            np.array(Image.open(io.BytesIO(archive.read(entry))).convert("L"), np.float32) / 255
            for entry in sorted(archive.namelist())
            if entry.lower().endswith(".png")
        ]


def train() -> tuple[list[Array], list[Array]]:
    """Images to train on, and others to choose by."""
    images = grey("bsd400_gray180.zip")
    order = np.random.default_rng(0).permutation(len(images))
    chosen = set(order[:HELD_OUT].tolist())
    rest = [image for i, image in enumerate(images) if i not in chosen]
    return rest, [image for i, image in enumerate(images) if i in chosen]


def measured_on(name: str) -> list[Array]:
    """Images that are only reported on: "bsd68", "held" (to choose by) or "kodak", its middles."""
    if name == "held":
        return train()[1]
    if name == "bsd68":
        return grey("bsd68_gray.zip")
    found = []
    for image in grey("kodak24.zip"):
        top, left = ((size - CROP) // 2 for size in image.shape)
        found.append(image[top : top + CROP, left : left + CROP])
    return found


def noisy(images: list[Array], sigma: float, seed: int = 0) -> list[Array]:
    """With Gaussian noise of so many grey values of 255; neither clipped nor rounded."""
    rng = np.random.default_rng(seed)
    return [
        (image + rng.normal(0, sigma / 255, image.shape)).astype(np.float32) for image in images
    ]


def decibels(images: list[Array], others: list[Array]) -> float:
    """The mean peak signal-to-noise ratio."""
    errors = [
        float(np.mean((np.clip(image, 0, 1).astype(np.float64) - other) ** 2))
        for image, other in zip(images, others, strict=True)
    ]
    return float(np.mean(-10 * np.log10(errors)))
