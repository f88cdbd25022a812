"""How strong the noise of images is, from the images alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 8
"""Pixels of a side of the blocks that are looked at."""
HIGH = 9
"""The sum of the two frequencies of a block from which it is noise that speaks."""
FLAT = 0.15
"""Share of the blocks, the flattest of their brightness, that are believed."""
LEVELS = 8
MOST_BLOCKS = 200_000
SPREAD = 5
"""Pixels of a side over which a mean says how bright it is."""
HEAVY = 1.0
"""The excess kurtosis of noise that is not Gaussian."""
LEAST = 1e-8
MEDIAN = (1 - 2 / (9 * 21)) ** 3
"""The median of a mean of 21 squares of Gaussian numbers: as many frequencies are high."""


@dataclass(frozen=True)
class NoiseLevel:
    """The variance of noise, as far as it depends on how bright a pixel is.

    Parameters
    ----------
    floor : float
        Variance where it is black; images are within 0 and 1.
    gain : float
        What is added to it where it is white.
    kurtosis : float
        In excess of that of Gaussian noise, which is 0.
    """

    floor: float
    gain: float
    kurtosis: float = 0.0

    @property
    def gaussian(self) -> bool:
        """Whether it can be taken as Gaussian."""
        return self.kurtosis < HEAVY

    @property
    def scale(self) -> float:
        """The standard deviation where it is grey."""
        return float(max(self.floor + self.gain / 2, LEAST) ** 0.5)

    def deviation(self, x: Tensor) -> Tensor:
        """(B, channels, height, width) the standard deviation of each pixel."""
        near = F.avg_pool2d(x, SPREAD, 1, SPREAD // 2, count_include_pad=False)
        return (self.floor + self.gain * near).clamp(min=LEAST).sqrt()


def estimated(images: Sequence[Tensor]) -> NoiseLevel:
    """The noise of images that hold nothing else to compare with.

    The flattest blocks of each brightness are found by their low frequencies, and judged by their
    high ones, which know nothing of those where the noise is white: Colom & Buades 2013,
    https://doi.org/10.5201/ipol.2013.45.

    Parameters
    ----------
    images : sequence of Tensor of shape (channels, height, width)
        Within 0 and 1.
    """
    basis = _cosines()
    blocks = _blocks(images)
    frequencies = basis @ blocks @ basis.T
    order = torch.arange(BLOCK)
    sums = order[:, None] + order
    high, low = sums >= HIGH, (sums > 0) & (sums < HIGH - 3)
    bright = blocks.mean((1, 2))
    activity = frequencies[:, low].square().mean(1)
    flat = _flattest(bright, activity)
    loud = frequencies[:, high].square().mean(1)[flat]
    light = bright[flat].clamp(0, 1)
    floor, gain = _line(light, loud)
    alone = torch.where(high, frequencies[flat], 0.0)
    fine = (basis.T @ alone @ basis).flatten(1)
    fine = fine / (floor + gain * light).clamp(min=LEAST).sqrt()[:, None]
    second, fourth = fine.square().mean(), fine.pow(4).mean()
    return NoiseLevel(floor, gain, float(fourth / second.square().clamp(min=LEAST) - 3))


def _cosines() -> Tensor:
    """(BLOCK, BLOCK) the discrete cosine transform, orthonormal."""
    n = torch.arange(BLOCK, dtype=torch.float32)
    basis = torch.cos(torch.pi * (n + 0.5) * n[:, None] / BLOCK) * (2 / BLOCK) ** 0.5
    basis[0] /= 2**0.5
    return basis  # type: ignore[no-any-return]


def _blocks(images: Sequence[Tensor]) -> Tensor:
    """(n, BLOCK, BLOCK) blocks of all channels, evenly over the images."""
    most = max(1, MOST_BLOCKS // sum(len(image) for image in images))
    found = []
    for image in images:
        for channel in image:
            if min(channel.shape) < BLOCK:
                continue
            cut = channel.unfold(0, BLOCK, BLOCK // 2).unfold(1, BLOCK, BLOCK // 2)
            cut = cut.reshape(-1, BLOCK, BLOCK)
            found.append(cut[:: max(1, len(cut) // most)])
    return torch.cat(found) if found else torch.zeros(1, BLOCK, BLOCK)


def _flattest(bright: Tensor, activity: Tensor) -> Tensor:
    """The numbers of the blocks that are believed, some of every brightness."""
    order = bright.argsort()
    chosen = []
    for level in order.tensor_split(LEVELS):
        keep = max(1, int(len(level) * FLAT))
        chosen.append(level[activity[level].argsort()[:keep]])
    return torch.cat(chosen)


def _line(light: Tensor, loud: Tensor) -> tuple[float, float]:
    """A floor and a gain, neither below 0, by least squares over the means of levels."""
    order = light.argsort()
    levels = [part for part in order.tensor_split(LEVELS) if len(part)]
    x = torch.stack([light[part].mean() for part in levels]).double()
    y = torch.stack([loud[part].median() / MEDIAN for part in levels]).double()
    weight = 1 / y.clamp(min=LEAST).square()
    ones = torch.ones_like(x)
    sums = [(weight * a).sum() for a in (ones, x, x * x, y, x * y)]
    w, wx, wxx, wy, wxy = (float(value) for value in sums)
    bottom = w * wxx - wx * wx
    gain = (w * wxy - wx * wy) / bottom if bottom > LEAST * w * wxx else 0.0
    floor = (wy - gain * wx) / w
    if gain < 0:
        return wy / w, 0.0
    if floor < 0:
        return 0.0, wxy / wxx
    return floor, gain
