"""Images that are alike, some with a blotch, and a backbone that looks at them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Array = NDArray[Any]
BLOTCH = 5
"""Pixels that a blotch is high and wide."""


def textured(n: int, seed: int = 0, size: tuple[int, ...] = (20, 20)) -> Array:
    """(n, *size) bytes of waves, each at a phase of its own, in their own colours if any."""
    draws = np.random.default_rng(seed)
    along = np.arange(size[1]) / 4 + draws.uniform(0, 6, size=(n, 1, 1))
    waves = 120 + 60 * np.sin(along) + draws.normal(0, 8, size=(n, *size[:2]))
    if len(size) == 3:
        waves = waves[..., None] * np.linspace(1, 0.6, size[2])
    return waves.clip(0, 255).astype(np.uint8)


def blotched(
    n: int, seed: int = 0, size: tuple[int, ...] = (20, 20)
) -> tuple[Array, list[tuple[int, int]]]:
    """Such images with a bright blotch each, and the x and y of its middle."""
    images, draws = textured(n, seed, size), np.random.default_rng(seed)
    middles = []
    for image in images:
        y, x = (int(draws.integers(length - BLOTCH)) for length in size[:2])
        image[y : y + BLOTCH, x : x + BLOTCH] = 235
        middles.append((x + BLOTCH // 2, y + BLOTCH // 2))
    return images, middles


class Backbone(nn.Module):
    """Brightness and steps of it, by place or of the whole image."""

    def __init__(self, channels: int = 1, codes: int = 3, pooled: bool = False) -> None:
        super().__init__()
        generator, shape = torch.Generator().manual_seed(0), (codes, channels, 3, 3)
        self.weight = nn.Parameter(torch.randn(shape, generator=generator))
        self.pooled = pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = nn.functional.conv2d(x, self.weight, stride=2)
        return maps.mean((2, 3)) if self.pooled else maps
