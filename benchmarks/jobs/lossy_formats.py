"""What other formats make of the same images, with loss: whole files, written and read.

Only NumPy and Pillow are needed here; JPEG XL with pillow-jxl-plugin.
"""

from __future__ import annotations

import io
import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import pictures
from benchmarks.jobs.image_formats import mosaic

Array = NDArray[Any]

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"optimize": True}),
    "webp": ("WEBP", {"method": 6}),
    "avif": ("AVIF", {"speed": 4}),
    "jxl": ("JXL", {"effort": 7}),
}


class Errors:
    """Squared errors of images, one after the other."""

    def __init__(self) -> None:
        self.total, self.values, self.pixels = 0.0, 0, 0
        self.psnr: list[float] = []

    def add(self, found: Array, image: Array) -> None:
        """One image that came back."""
        assert found.shape == image.shape
        error = float(np.square(found.astype(np.float64) - image).sum())
        self.total += error
        self.values += image.size
        self.pixels += image.shape[0] * image.shape[1]
        self.psnr.append(psnr(error / image.size))

    def beside(self, size: int) -> dict[str, float]:
        """Bits per pixel, the PSNR of the mean error, and the mean PSNR."""
        return {
            "bits": 8 * size / self.pixels,
            "psnr": psnr(self.total / self.values),
            "psnr_mean": float(np.mean(self.psnr)),
        }


def psnr(error: float) -> float:
    return 100.0 if error <= 0 else min(100.0, 10 * math.log10(255**2 / error))


def answer(name: str, method: str, together: bool, quality: int, most: int) -> dict[str, Any]:
    """``together``: all images of a set as one mosaic."""
    from PIL import Image, features

    form, options = FORMS[method]
    if method == "jxl":
        try:
            import pillow_jxl  # noqa: F401  registers itself with Pillow
        except ImportError as absent:
            return {"missing": str(absent.name)}
    elif method != "jpeg" and not features.check(method):
        return {"missing": f"Pillow with {form}"}
    images = pictures.split(name)[1][: most or None]
    if together:
        images = [mosaic(images)]
    errors, total, into, back = Errors(), 0, 0.0, 0.0
    for image in images:
        out = io.BytesIO()
        grey = {"subsampling": "4:0:0"} if method == "avif" and image.ndim == 2 else {}
        began = time.perf_counter()
        Image.fromarray(image).save(out, form, quality=quality, **options, **grey)
        middle = time.perf_counter()
        found = np.array(Image.open(io.BytesIO(out.getvalue())))
        back += time.perf_counter() - middle
        into += middle - began
        if found.ndim > image.ndim:
            found = np.rint(found[..., :3].mean(axis=2))
        errors.add(found, image)
        total += len(out.getvalue())
    megabytes = sum(image.nbytes for image in images) / 1e6
    return {**errors.beside(total), "into": megabytes / into, "back": megabytes / back}
