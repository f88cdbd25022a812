"""Which pixels of images are known, and where their values lie."""

from __future__ import annotations

from itertools import repeat

import numpy as np

from isthmus.core.errors import EmptyError
from isthmus.data.arrays import moments
from isthmus.data.contracts import Array


def under_transparency(images: Array) -> Array | None:
    """Where there is colour, or grey, under an alpha of 0: it is arbitrary. None if nowhere."""
    if images.dtype != np.uint8 or images.shape[-1] not in (2, 4):
        return None
    clear = images[..., -1:] == 0
    if not clear.any():
        return None
    hidden = np.zeros(images.shape, dtype=bool)
    hidden[..., :-1] = clear
    return hidden


def known_values(images: Array) -> Array | list[Array]:
    """The values that are known: rows of an array where all are, else an array for each image."""
    if images.dtype != object:
        whole = images if images.ndim == 4 else images[..., np.newaxis]
        gaps = images.dtype.kind == "f" and np.isnan(images).any()
        if not gaps and under_transparency(whole) is None:
            return images.reshape(len(images), -1)
    known = []
    for image in images:
        hidden = under_transparency(image) if image.ndim == 3 else None
        if image.dtype.kind == "f":
            hidden = np.isnan(image)
        known.append(image.ravel() if hidden is None else image[~hidden])
    return known


def ends_of(known: Array | list[Array]) -> tuple[float, float]:
    """The smallest and the largest value."""
    if isinstance(known, np.ndarray):
        return float(known.min()), float(known.max())
    there = [values for values in known if values.size]
    if not there:
        raise EmptyError("no pixel of any image is known: all are missing (NaN).")
    return (
        min(float(values.min()) for values in there),
        max(float(values.max()) for values in there),
    )


def is_whole(values: Array) -> bool:
    """Whether all are whole numbers."""
    return values.dtype.kind != "f" or bool((values == np.floor(values)).all())


def moments_of(
    known: Array | list[Array], low: float, high: float, weight: Array | None
) -> tuple[float, float]:
    """Mean and mean square of what is known, brought to -1 to 1."""
    if isinstance(known, np.ndarray):
        firsts, seconds = moments(known, low, high, weight)
        return float(firsts.mean()), float(seconds.mean())
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    total = first = second = 0.0
    for values, times in zip(known, repeat(1.0) if weight is None else weight, strict=False):
        d = (values.astype(np.float64) - middle) / half
        total += times * d.size
        first += times * float(d.sum())
        second += times * float(d @ d)
    return first / total, second / total
