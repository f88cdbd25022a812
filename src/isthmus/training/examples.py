"""Parts of images, as a network is shown them and as they shall become."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.parts.damages import Damage
from isthmus.training.noise import NoiseLevel

HIDDEN_SHARE = 1 / 16
"""Pixels of an image that are hidden at a time, to be told from their neighbours."""
RECORRUPTION = 0.5
"""Strength of the noise that is added to what is seen, in that of the noise that is there."""


class Example(NamedTuple):
    """Parts of images."""

    seen: Tensor
    """(n, shown, height, width)"""
    target: Tensor
    """(n, channels, height, width), in times the size of what is seen"""
    weight: Tensor | None = None
    """(n, channels or 1, height, width), 0 where the target tells nothing"""
    excess: float = 0.0
    """The mean squared error of the target itself"""


class Examples(ABC):
    """Draws parts of images, turned and mirrored.

    Parameters
    ----------
    images : sequence of Tensor of shape (channels, height, width)
        Within 0 and 1, or nearly.
    side : int
        Pixels of a side of a part.
    """

    factor = 1

    def __init__(self, images: Sequence[Tensor], side: int) -> None:
        self.images, self.side = [at_least(image, side) for image in images], side
        areas = [image.shape[1] * image.shape[2] for image in self.images]
        self.ends = torch.tensor(areas, dtype=torch.float64).cumsum(0)

    def drawn(self, n: int, seed: int) -> Example:
        """As many parts; the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        total = float(self.ends[-1])
        where = torch.rand(n, generator=generator, dtype=torch.float64) * total
        numbers = torch.searchsorted(self.ends, where).tolist()
        turns = torch.randint(8, (n,), generator=generator).tolist()
        found = []
        for number, turn in zip(numbers, turns, strict=True):
            image = self.images[number]
            top, left = (
                int(torch.randint(size - self.side + 1, (), generator=generator))
                for size in image.shape[1:]
            )
            part = image[:, top : top + self.side, left : left + self.side]
            part = torch.rot90(part, turn % 4, (1, 2))
            found.append(part.flip(2) if turn >= 4 else part)
        return self.example(torch.stack(found), generator)

    @abstractmethod
    def example(self, parts: Tensor, generator: torch.Generator) -> Example:
        """What is seen of some parts, and what it shall become."""

    def fingerprint(self) -> str:
        """A hash of the images."""
        digest = hashlib.sha256(f"{type(self).__name__}{self.side}".encode())
        for image in self.images:
            digest.update(f"{tuple(image.shape)}".encode())
            digest.update(image.numpy().tobytes())
        return digest.hexdigest()


class Damaged(Examples):
    """Whole images, and what a damage leaves of them."""

    def __init__(self, images: Sequence[Tensor], side: int, damage: Damage) -> None:
        super().__init__(images, side)
        self.damage, self.factor = damage, damage.factor

    def example(self, parts: Tensor, generator: torch.Generator) -> Example:
        """Damage the parts; of holes, only they are of interest."""
        seen = self.damage(parts, generator)
        return Example(seen, parts, seen[:, -1:] if self.damage.hides else None)


class Pairs(Examples):
    """Damaged images and their whole ones, of one size: the channels of both in one."""

    def example(self, parts: Tensor, generator: torch.Generator) -> Example:
        """Each half of the channels."""
        seen, target = parts.chunk(2, dim=1)
        return Example(seen, target)


class Recorrupted(Examples):
    """Noisy images alone: each becomes two whose noise is independent, by noise that is added.

    With noise n of a known strength and more of it, m, the images y + a m and y - m / a have
    independent noise, so that one can be the target of the other: Pang et al. 2021,
    "Recorrupted-to-Recorrupted", CVPR.

    Parameters
    ----------
    images, side
        See ``Examples``.
    level : NoiseLevel
        Of the noise that they have.
    """

    def __init__(self, images: Sequence[Tensor], side: int, level: NoiseLevel) -> None:
        super().__init__(images, side)
        self.level = level

    def example(self, parts: Tensor, generator: torch.Generator) -> Example:
        """Noise added in two ways."""
        deviation = self.level.deviation(parts)
        more = deviation * torch.randn(parts.shape, generator=generator)
        excess = float((deviation**2).mean()) * (1 + RECORRUPTION**-2)
        return Example(parts + RECORRUPTION * more, parts - more / RECORRUPTION, None, excess)


class BlindSpot(Examples):
    """Noisy images alone: some pixels are hidden, and told from those around them.

    Nothing is taken for granted but that the noise of a pixel tells nothing of that of another:
    Krull et al. 2019, https://arxiv.org/abs/1811.10980; Batson & Royer 2019,
    https://arxiv.org/abs/1901.11365.
    """

    def example(self, parts: Tensor, generator: torch.Generator) -> Example:
        """In the place of a hidden pixel stands the mean of those around it."""
        hidden = torch.rand(parts[:, :1].shape, generator=generator) < HIDDEN_SHARE
        return Example(torch.where(hidden, around(parts), parts), parts, hidden.to(parts.dtype))


def around(x: Tensor) -> Tensor:
    """(B, channels, height, width) of each pixel, the mean of the eight around it."""
    ring = x.new_ones(3, 3)
    ring[1, 1] = 0
    weight = (ring / ring.sum()).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1,) * 4, mode="replicate"), weight, groups=x.shape[1])


def at_least(image: Tensor, side: int) -> Tensor:
    """An image, mirrored until it is as large as a part."""
    while min(image.shape[1:]) < side:
        down, right = (min(max(side - size, 0), size - 1) for size in image.shape[1:])
        mode = "reflect" if down or right else "replicate"
        if mode == "replicate":
            down, right = (max(side - size, 0) for size in image.shape[1:])
        image = F.pad(image[None], (0, right, 0, down), mode=mode)[0]
    return image
