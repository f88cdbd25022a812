"""Images as users pass them to what mends: their colours, their pairs, their holes."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from isthmus.core.errors import DataError, ShapeError
from isthmus.core.wording import counted
from isthmus.data.contracts import Array
from isthmus.data.gathering import channels_of, sizes_of

FEWEST_PIXELS = 16
"""Of a side of an image to learn from."""


def parted(image: Array) -> tuple[Array, Array | None]:
    """The colours of an image, and its alpha if it has one."""
    if image.ndim == 2 or image.shape[2] in (1, 3):
        return image, None
    colours = image[..., :-1]
    return (colours[..., 0] if colours.shape[2] == 1 else colours), image[..., -1]


def colours_of(images: Array) -> int:
    """1 or 3."""
    return 3 if channels_of(images[0]) > 2 else 1


def told_of(channels: int) -> str:
    """In words."""
    return "grey" if channels == 1 else "colour"


def check_sizes(images: Array) -> None:
    """Refuse images that are too small to learn from."""
    height, width = sizes_of(images).min(axis=0)
    if min(height, width) < FEWEST_PIXELS:
        raise DataError(
            f"images need at least {FEWEST_PIXELS} pixels a side to learn from, got one of "
            f"{height} x {width}."
        )


def check_pairs(images: Array, wholes: Array) -> None:
    """Refuse whole images that cannot be those of the damaged ones."""
    if len(images) != len(wholes):
        raise DataError(
            f"there are {counted(len(images), 'image')} and {len(wholes):,} clean ones. Each needs "
            "its own, in the same order."
        )
    for i, (one, whole) in enumerate(zip(images, wholes, strict=True)):
        if one.shape != whole.shape:
            raise ShapeError(
                f"image {i} has the shape {one.shape}, its clean one {whole.shape}. They must be "
                "of one size and colour."
            )


def apart(images: list[Tensor], share: float, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Images to learn from, and others to judge by; of a single one, its lower rows."""
    if share == 0:
        return images, []
    if len(images) == 1:
        height = images[0].shape[1]
        cut = height - max(FEWEST_PIXELS, int(height * share))
        if cut < FEWEST_PIXELS:
            return images, []
        return [images[0][:, :cut]], [images[0][:, cut:]]
    n = max(1, round(len(images) * share))
    order = np.random.default_rng(seed).permutation(len(images))
    chosen = set(order[:n].tolist())
    held = [image for i, image in enumerate(images) if i in chosen]
    return [image for i, image in enumerate(images) if i not in chosen], held


def masks_of(mask: Any, images: Array) -> list[Array | None]:
    """For each image, where it has holes, or None."""
    if mask is None:
        return [None] * len(images)
    given = list(mask)
    if len(given) != len(images):
        raise DataError(
            f"there are {counted(len(images), 'image')} and {len(given):,} masks. Each image needs "
            "its own."
        )
    found: list[Array | None] = []
    for i, (one, image) in enumerate(zip(given, images, strict=True)):
        lost = np.asarray(one)
        lost = lost[..., 0] if lost.ndim == 3 else lost
        if lost.shape != image.shape[:2]:
            raise ShapeError(
                f"the mask of image {i} has the shape {lost.shape}, the image has "
                f"{image.shape[:2]}."
            )
        found.append(lost != 0)
    return found
