"""The plain ways to keep images, without loss and with it: what Pillow writes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, features

Array = npt.NDArray[Any]

LARGEST_WEBP = 16383
"""Pixels along a side."""


def plain_formats() -> dict[str, Callable[[Array], bytes | None]]:
    """How images become files, by the name of the format; None where it cannot hold one."""
    found: dict[str, Callable[[Array], bytes | None]] = {"PNG": as_png}
    if features.check("webp"):
        found["WebP"] = as_webp
    try:
        import pillow_jxl  # noqa: F401  registers itself with Pillow
    except ImportError:
        pass
    else:
        found["JPEG XL"] = as_jxl
    return found


def as_png(image: Array) -> bytes | None:
    """PNG, optimised."""
    return _saved(image, "PNG", optimize=True)


def as_webp(image: Array) -> bytes | None:
    """WebP without loss, at its slowest; it holds colour only."""
    if image.dtype != np.uint8 or max(image.shape[:2]) > LARGEST_WEBP or image.shape[2:] == (2,):
        return None
    return _saved(image, "WEBP", lossless=True, quality=100, method=6, exact=True)


def as_jxl(image: Array) -> bytes | None:
    """JPEG XL without loss, at effort 7."""
    return _saved(image, "JXL", lossless=True, effort=7) if image.dtype == np.uint8 else None


def _saved(image: Array, form: str, **options: Any) -> bytes | None:
    if image.dtype == np.uint16 and image.ndim == 3:
        return None
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, form, **options)
    return out.getvalue()


def opened(data: bytes) -> Array:
    """The pixels of what one of them wrote."""
    with Image.open(io.BytesIO(data)) as file:
        return np.array(file)


Writer = Callable[[Array, int], bytes | None]


def lossy_formats() -> dict[str, tuple[Writer, tuple[int, ...]]]:
    """How images become files with loss, by the name of the format, and at which qualities."""
    found: dict[str, tuple[Writer, tuple[int, ...]]] = {
        "JPEG": (_lossy("JPEG", optimize=True), (5, 10, 20, 35, 50, 65, 80, 90, 95))
    }
    if features.check("webp"):
        found["WebP"] = _lossy("WEBP", method=6), (1, 10, 25, 45, 65, 80, 90, 96)
    if features.check("avif"):
        found["AVIF"] = _lossy("AVIF", speed=6), (5, 15, 25, 35, 45, 55, 65, 75, 85, 92)
    try:
        import pillow_jxl  # noqa: F401  registers itself with Pillow
    except ImportError:
        pass
    else:
        found["JPEG XL"] = _lossy("JXL", effort=7), (5, 20, 35, 50, 65, 80, 90, 95)
    return found


def _lossy(form: str, **options: Any) -> Writer:
    def write(image: Array, quality: int) -> bytes | None:
        grey = {"subsampling": "4:0:0"} if form == "AVIF" and image.ndim == 2 else {}
        if form == "WEBP" and max(image.shape[:2]) > LARGEST_WEBP:
            return None
        return _saved(image, form, quality=quality, **options, **grey)

    return write
