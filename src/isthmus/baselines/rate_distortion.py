"""How many bytes a loss costs: curves of rate and distortion, and how far they lie apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Point = Sequence[float]

PEAK = 255.0
FEWEST_POINTS = 2


def psnr_of(squared_error: float, peak: float = PEAK) -> float:
    """The PSNR of a mean squared error, in dB; infinite where there is none."""
    return math.inf if squared_error <= 0 else 10 * math.log10(peak**2 / squared_error)


def bjontegaard(reference: Sequence[Point], curve: Sequence[Point]) -> float:
    """The mean difference in rate at equal PSNR (Bjontegaard 2001, VCEG-M33).

    The logarithm of the rate is interpolated by monotone cubics over the PSNR that both reach, as
    is usual since the original's polynomials swing.

    Parameters
    ----------
    reference, curve : sequence of (rate, psnr)
        At least two points each, with different PSNR.

    Returns
    -------
    float
        -0.3: the curve takes 30 % fewer bytes than the reference. NaN if they share no PSNR.
    """
    one, other = _rising(reference), _rising(curve)
    if min(len(one[0]), len(other[0])) < FEWEST_POINTS:
        return math.nan
    low, high = max(one[0][0], other[0][0]), min(one[0][-1], other[0][-1])
    if high <= low:
        return math.nan
    at = np.linspace(low, high, 1001)
    apart = _monotone(*other, at) - _monotone(*one, at)
    mean = float(np.sum((apart[1:] + apart[:-1]) / 2) / (len(at) - 1))
    return math.exp(mean) - 1


def _rising(points: Sequence[Point]) -> tuple[Array, Array]:
    """PSNR and log rate, by PSNR; of points that are not above those below them, the cheapest."""
    kept: list[tuple[float, float]] = []
    for psnr, rate in sorted((float(p[1]), math.log(p[0])) for p in points if math.isfinite(p[1])):
        while kept and kept[-1][1] >= rate:
            kept.pop()
        if not kept or psnr > kept[-1][0]:
            kept.append((psnr, rate))
    return np.array([p for p, _ in kept]), np.array([r for _, r in kept])


def _monotone(x: Array, y: Array, at: Array) -> Array:
    """Cubics through points that don't overshoot (Fritsch and Butland 1984)."""
    h, slopes = np.diff(x), np.diff(y) / np.diff(x)
    tangents = np.empty_like(y)
    tangents[0], tangents[-1] = slopes[0], slopes[-1]
    if len(x) > 2:
        before, after = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
        same = slopes[:-1] * slopes[1:] > 0
        safe = np.where(same, slopes[:-1], 1.0), np.where(same, slopes[1:], 1.0)
        mean = (before + after) / (before / safe[0] + after / safe[1])
        tangents[1:-1] = np.where(same, mean, 0.0)
    i = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    t = (at - x[i]) / h[i]
    found: Array = (
        y[i] * (1 + 2 * t) * (1 - t) ** 2
        + tangents[i] * h[i] * t * (1 - t) ** 2
        + y[i + 1] * t**2 * (3 - 2 * t)
        + tangents[i + 1] * h[i] * t**2 * (t - 1)
    )
    return found
