"""Small images with edges and waves, and what can be done to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def scenes(n: int = 12, size: int = 48, seed: int = 0, colours: int = 1) -> Array:
    """(n, size, size) bytes, or (n, size, size, 3): waves, and a disc on them."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    found = []
    for _ in range(n):
        layers = []
        middle, radius = rng.uniform(0.2, 0.8, 2) * size, rng.uniform(0.1, 0.3) * size
        disc = np.hypot(rows - middle[0], columns - middle[1]) < radius
        for _ in range(colours):
            along = rows * rng.uniform(0.05, 0.3) + columns * rng.uniform(0.05, 0.3)
            wave = 128 + 60 * np.sin(along + rng.uniform(0, 6))
            layers.append(np.where(disc, rng.uniform(20, 235), wave))
        found.append(np.stack(layers, axis=-1))
    images = np.stack(found).round().clip(0, 255).astype(np.uint8)
    return images[..., 0] if colours == 1 else images


def noisy(images: Array, scale: float = 25, seed: int = 1) -> Array:
    """With Gaussian noise."""
    rng = np.random.default_rng(seed)
    return (images + rng.normal(0, scale, images.shape)).round().clip(0, 255).astype(np.uint8)


def error(images: Array, others: Array) -> float:
    """The mean square of the difference."""
    return float(np.mean((images.astype(float) - others.astype(float)) ** 2))
