"""How near an image is to another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Array = npt.NDArray[Any]

WINDOW, REACH = 1.5, 5
"""The standard deviation of the window of the structural similarity, and where it ends."""
STEADY = (0.01, 0.03)
"""What keeps its quotients steady, of the range of values."""


def psnr(image: Array, other: Array, span: float = 255.0) -> float:
    """The peak signal-to-noise ratio in decibels; infinite where all are equal.

    Parameters
    ----------
    image, other : array of the same shape
    span : float
        From black to white.
    """
    error = float(np.mean((image.astype(np.float64) - other.astype(np.float64)) ** 2))
    return 10 * math.log10(span**2 / error) if error else math.inf


def ssim(image: Array, other: Array, span: float = 255.0) -> float:
    """The structural similarity, at most 1, with a Gaussian window; of colours, their mean.

    Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861.

    Parameters
    ----------
    image, other : array of shape (height, width) or (height, width, channels)
    span : float
        From black to white.
    """
    if image.ndim == 3:
        parts = zip(np.moveaxis(image, 2, 0), np.moveaxis(other, 2, 0), strict=True)
        return float(np.mean([ssim(*part, span) for part in parts]))
    x, y = image.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _near(x), _near(y)
    inside = tuple(slice(min(REACH, size // 4), -min(REACH, size // 4) or None) for size in x.shape)
    first, second = ((k * span) ** 2 for k in STEADY)
    squares = _near(x * x) - mean_x**2 + _near(y * y) - mean_y**2
    product = _near(x * y) - mean_x * mean_y
    above = (2 * mean_x * mean_y + first) * (2 * product + second)
    below = (mean_x**2 + mean_y**2 + first) * (squares + second)
    return float((above / below)[inside].mean())


def _near(image: Array) -> Array:
    found: Array = gaussian_filter(image, WINDOW, truncate=REACH / WINDOW, mode="reflect")
    return found
