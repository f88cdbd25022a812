"""What can have happened to an image, done to whole ones, so that a network learns to undo it."""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from isthmus.core.errors import SpecError
from isthmus.core.ranges import number, positive, positive_int
from isthmus.core.specs import Registry

Range = tuple[float, float]
MOST_FACTOR = 8
SMALLEST_HOLE, LARGEST_HOLE = 2, 24
"""Pixels of a side of a hole."""


class Damage(ABC):
    """Does to images what shall be undone later.

    Images are within 0 and 1; what they become may leave that range.
    """

    factor = 1
    """How many pixels of a side become one."""
    hides = False
    """Whether it is known which pixels are lost: a further channel says so, 1 where one is."""

    @abstractmethod
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(B, channels, height, width) to what is left of it."""


DAMAGES: Registry[Damage] = Registry("damage")


@DAMAGES.register("noise")
class Noise(Damage):
    """Gaussian noise.

    Parameters
    ----------
    scale : float or pair of float
        Standard deviation, as a share of the range of values: 0.1 is about 25 of 255. Of a pair,
        every image draws its own between the two.
    """

    def __init__(self, scale: float | Range = (0.0, 0.22)) -> None:
        self.scale = between(scale, "scale", 0, 1)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x + drawn(self.scale, x, generator) * torch.randn(x.shape, generator=generator)


@DAMAGES.register("poisson")
class Poisson(Damage):
    """The noise of counted light, stronger where an image is bright.

    Parameters
    ----------
    peak : float or pair of float
        Counts where an image is white; fewer are noisier.
    """

    def __init__(self, peak: float | Range = (10.0, 100.0)) -> None:
        self.peak = between(peak, "peak", 1, 1e6)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        peak = drawn(self.peak, x, generator)
        return torch.poisson(x.clamp(min=0) * peak, generator=generator) / peak


@DAMAGES.register("salt-and-pepper")
class SaltAndPepper(Damage):
    """Pixels that are black or white, whatever they were.

    Parameters
    ----------
    share : float or pair of float
        Of the pixels.
    """

    def __init__(self, share: float | Range = (0.02, 0.3)) -> None:
        self.share = between(share, "share", 0, 0.95)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        share = drawn(self.share, x, generator)
        chance = torch.rand(x[:, :1].shape, generator=generator)
        lost = (chance < share / 2).to(x.dtype), (chance > 1 - share / 2).to(x.dtype)
        return x * (1 - lost[0]) * (1 - lost[1]) + lost[1]


@DAMAGES.register("jpeg")
class Jpeg(Damage):
    """The blocks and halos of JPEG.

    Parameters
    ----------
    quality : float or pair of float
        1 to 95, as Pillow has it.
    """

    def __init__(self, quality: float | Range = (10.0, 60.0)) -> None:
        self.quality = between(quality, "quality", 1, 95)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        quality = drawn(self.quality, x, generator).flatten().tolist()
        found = [_through_jpeg(one, round(q)) for one, q in zip(x, quality, strict=True)]
        return torch.stack(found)


def _through_jpeg(x: Tensor, quality: int) -> Tensor:
    colours: Tensor = (x.clamp(0, 1) * 255).round().byte()
    pixels = colours.permute(1, 2, 0).numpy()
    layers = [pixels] if pixels.shape[2] == 3 else np.split(pixels, pixels.shape[2], axis=2)
    again = []
    for layer in layers:
        file = io.BytesIO()
        Image.fromarray(layer.squeeze(2) if layer.shape[2] == 1 else layer).save(
            file, "JPEG", quality=quality
        )
        read = np.asarray(Image.open(file))
        again.append(read if read.ndim == 3 else read[..., np.newaxis])
    return torch.from_numpy(np.concatenate(again, 2)).permute(2, 0, 1).to(x.dtype) / 255


@DAMAGES.register("blur")
class Blur(Damage):
    """A Gaussian blur, and a little noise, without which it could be undone by arithmetic.

    Parameters
    ----------
    radius : float or pair of float
        Standard deviation, in pixels.
    noise : float
        Standard deviation, as a share of the range of values.
    """

    def __init__(self, radius: float | Range = (0.8, 2.5), noise: float = 0.01) -> None:
        self.radius = between(radius, "radius", 0.1, 20)
        self.noise = positive(noise, "noise", or_zero=True)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        radii = drawn(self.radius, x, generator).flatten()
        reach = min(math.ceil(3 * self.radius[1]), min(x.shape[2:]) - 1)
        along = torch.arange(-reach, reach + 1, dtype=x.dtype)
        weights = torch.exp(-0.5 * (along / radii[:, None]) ** 2)
        weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(x.shape[1], 0)
        whole = F.pad(x, (reach,) * 4, mode="reflect").reshape(1, -1, *_grown(x, reach))
        whole = F.conv2d(whole, weights[:, None, :, None], groups=len(weights))
        whole = F.conv2d(whole, weights[:, None, None, :], groups=len(weights))
        noise = self.noise * torch.randn(x.shape, generator=generator)
        return whole.reshape(x.shape) + noise


def _grown(x: Tensor, by: int) -> tuple[int, int]:
    return x.shape[2] + 2 * by, x.shape[3] + 2 * by


@DAMAGES.register("downsample")
class Downsample(Damage):
    """Fewer pixels, each the mean of several in the way of bicubic interpolation.

    Parameters
    ----------
    factor : int
        How many pixels of a side become one.
    """

    def __init__(self, factor: int = 2) -> None:
        self.factor = positive_int(factor, "factor", most=MOST_FACTOR)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return resized(x, x.shape[2] // self.factor, x.shape[3] // self.factor)


@DAMAGES.register("holes")
class Holes(Damage):
    """Pixels that are lost, singly or in squares, while it is known which.

    Parameters
    ----------
    share : float or pair of float
        Of the pixels.
    """

    hides = True

    def __init__(self, share: float | Range = (0.1, 0.8)) -> None:
        self.share = between(share, "share", 0, 0.98)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        share = drawn(self.share, x, generator)
        single = torch.rand(x[:, :1].shape, generator=generator) < share
        sides = torch.randint(SMALLEST_HOLE, LARGEST_HOLE + 1, (len(x),), generator=generator)
        shapes = zip(share.flatten().tolist(), sides.tolist(), strict=True)
        squares = torch.stack([_squares(x.shape[2:], *shape, generator) for shape in shapes])
        either = torch.rand((len(x), 1, 1, 1), generator=generator) < 0.5
        return with_holes(x, torch.where(either, single, squares))


def _squares(size: Any, share: float, side: int, generator: torch.Generator) -> Tensor:
    """(1, height, width) whether squares of a side, in random places, hide a pixel."""
    height, width = size
    n = math.ceil(-math.log(max(1 - share, 0.02)) * height * width / side**2 / 2)
    tops = torch.randint(1 - side, height, (n,), generator=generator)[:, None]
    lefts = torch.randint(1 - side, width, (n,), generator=generator)[:, None]
    rows, columns = torch.arange(height), torch.arange(width)
    down = ((rows >= tops) & (rows < tops + side)).float()
    across = ((columns >= lefts) & (columns < lefts + side)).float()
    return (down.T @ across)[None] > 0


def with_holes(x: Tensor, lost: Tensor) -> Tensor:
    """(B, channels + 1, height, width): an image whose lost pixels are guessed, and which they are.

    Parameters
    ----------
    x : Tensor of shape (B, channels, height, width)
    lost : Tensor of bool of shape (B, 1, height, width)
    """
    known = (~lost).to(x.dtype)
    return torch.cat([filled(torch.where(lost, 0.0, x), known), 1 - known], 1)


def filled(x: Tensor, known: Tensor) -> Tensor:
    """An image whose holes take the mean of what is near: of the finest grid that knows any.

    Parameters
    ----------
    x : Tensor of shape (B, channels, height, width)
        0 where nothing is known.
    known : Tensor of shape (B, 1, height, width)
        1 or 0; between them, how much of a pixel is known.
    """
    if bool((known > 0).all()) or min(x.shape[2:]) == 1:
        mean = x.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1e-6)
        return torch.where(known > 0, x / known.clamp(min=1e-6), mean)
    below, known_below = (
        F.avg_pool2d(part, 2, ceil_mode=True, count_include_pad=False) for part in (x, known)
    )
    coarse = F.interpolate(
        filled(below, known_below), size=tuple(x.shape[2:]), mode="bilinear", align_corners=False
    )
    return x + (1 - known) * coarse


def resized(x: Tensor, height: int, width: int) -> Tensor:
    """Bicubic interpolation, over all the pixels that become one where there are fewer."""
    return F.interpolate(
        x, size=(height, width), mode="bicubic", align_corners=False, antialias=True
    )


def between(value: Any, name: str, lowest: float, highest: float) -> Range:
    """A number, or two of which the second is no smaller, as a range."""
    pair = (value, value) if isinstance(value, int | float) else value
    try:
        low, high = (number(end, name) for end in pair)
    except (TypeError, ValueError):
        raise SpecError(f"{name} must be a number, or two, got {value!r}.") from None
    if not lowest <= low <= high <= highest:
        raise SpecError(
            f"{name} must be between {lowest:g} and {highest:g}, the smaller first, got {value!r}."
        )
    return low, high


def drawn(ends: Range, x: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1, 1, 1) a strength for each image."""
    low, high = ends
    return low + (high - low) * torch.rand((len(x), 1, 1, 1), generator=generator)
