"""A codec with loss beside the formats that its user would take instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from isthmus.baselines.comparison import Comparison, Row
from isthmus.baselines.image_files import lossy_formats, opened
from isthmus.baselines.rate_distortion import bjontegaard, psnr_of
from isthmus.coding.container import Picture, pack, unpack
from isthmus.coding.lossy import LossyCoder
from isthmus.core.errors import AbilityError, CompressedError
from isthmus.data.contracts import Array
from isthmus.training.surroundings import single_products

OURS = "this model"
RATE, DISTORTION, FEWER = "bits per pixel", "PSNR in dB", "bytes of this model at equal PSNR"

Curve = list[tuple[float, float]]
"""Bits per pixel, and the PSNR of the mean squared error of all images."""


def compare_lossy(coder: LossyCoder, images: Sequence[Array]) -> Comparison:
    """Bytes of whole files and PSNR at several qualities, ours and those of each plain format."""
    for number, image in enumerate(images):
        if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)):
            raise AbilityError(
                f"image {number} has more than 8 bits a value or an alpha channel; with loss there "
                "are only grey and colour images of 8 bits. Convert it or leave it out."
            )
    curves = {OURS: ours(coder, images)}
    for name, (write, qualities) in lossy_formats().items():
        points = [curve_point(images, write, opened, quality) for quality in qualities]
        curves[name] = [point for point in points if point is not None]
    rows = []
    for name, curve in curves.items():
        for i, (rate, psnr) in enumerate(curve, 1):
            rows += [Row(f"{name} {i}", RATE, rate, 0.0), Row(f"{name} {i}", DISTORTION, psnr, 0.0)]
    apart = {
        name: bjontegaard(curve, curves[OURS]) for name, curve in curves.items() if name != OURS
    }
    rows += [Row(f"beside {name}", FEWER, 1 + share, 0.0) for name, share in apart.items()]
    return Comparison(rows, *_verdict(apart))


def ours(coder: LossyCoder, images: Sequence[Array]) -> Curve:
    """What the coder makes of images, each a file of its own, at all its qualities."""

    def write(image: Array, quality: int) -> bytes:
        return pack(Picture(image), coder.at(quality))

    def read(data: bytes) -> Array:
        found = unpack(data, lambda _: coder)
        assert isinstance(found, Picture)
        return found.pixels

    low, high = coder.qualities
    with single_products():
        points = [curve_point(images, write, read, q) for q in range(low, high + 1)]
    return [point for point in points if point is not None]


def curve_point(
    images: Sequence[Array],
    write: Callable[[Array, int], bytes | None],
    read: Callable[[bytes], Array],
    quality: int,
) -> tuple[float, float] | None:
    """Bits per pixel and PSNR at one quality; None if the format cannot hold an image."""
    size, errors, values, pixels = 0, 0.0, 0, 0
    for image in images:
        data = write(image, quality)
        if data is None:
            return None
        again = read(data)
        if again.ndim > image.ndim:  # a format of colours only
            again = np.rint(again[..., :3].mean(axis=2))
        if again.shape != image.shape:
            raise CompressedError(f"{again.shape} came back of an image of shape {image.shape}")
        errors += float(np.square(again.astype(np.float64) - image).sum())
        size += len(data)
        values += image.size
        pixels += image.shape[0] * image.shape[1]
    return 8 * size / pixels, psnr_of(errors / values)


def _verdict(apart: dict[str, float]) -> tuple[str, bool]:
    known = {name: share for name, share in apart.items() if math.isfinite(share)}
    if not known:
        return "No plain format reaches the same PSNR: there is nothing to compare.", False
    best = max(known, key=lambda name: known[name])
    share = known[best]
    if share >= 0:
        return (
            f"The plain format wins: at equal PSNR {best} needs {share / (1 + share):.1%} fewer "
            "bytes. Take it."
        ), True
    words = ", ".join(f"{-known[name]:.1%} fewer than {name}" for name in known)
    return f"At equal PSNR, {words}.", False
