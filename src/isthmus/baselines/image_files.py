"""The plain ways to keep images without loss: what Pillow writes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, features

Array = npt.NDArray[Any]


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
    if image.dtype != np.uint8 or max(image.shape[:2]) > 16383 or image.shape[2:] == (2,):
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
