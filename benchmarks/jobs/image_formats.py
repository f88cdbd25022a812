"""What other formats make of the same images: whole files, written and read.

Only NumPy, Pillow, imagecodecs and the standard library are needed here.
"""

from __future__ import annotations

import bz2
import io
import lzma
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import pictures

Array = NDArray[Any]
Way = tuple[Callable[[Array], bytes], Callable[[bytes, Array], Array]]


def pillow(form: str, **options: Any) -> Way:
    from PIL import Image

    def write(image: Array) -> bytes:
        out = io.BytesIO()
        Image.fromarray(image).save(out, form, **options)
        return out.getvalue()

    def read(data: bytes, image: Array) -> Array:
        with Image.open(io.BytesIO(data)) as file:
            found = np.array(file)
        return found[..., 0] if found.ndim > image.ndim else found

    return write, read


def codec(name: str, **options: Any) -> Way:
    import imagecodecs

    encode, decode = getattr(imagecodecs, f"{name}_encode"), getattr(imagecodecs, f"{name}_decode")
    return lambda image: bytes(encode(image, **options)), lambda data, _: np.asarray(decode(data))


def raw(compress: Callable[[bytes], bytes], expand: Callable[[bytes], bytes]) -> Way:
    def read(data: bytes, image: Array) -> Array:
        return np.frombuffer(expand(data), image.dtype).reshape(image.shape)

    return lambda image: compress(np.ascontiguousarray(image).tobytes()), read


def ways() -> dict[str, Callable[[], Way]]:
    def zstd() -> Way:
        import zstandard

        packer, opener = zstandard.ZstdCompressor(level=19), zstandard.ZstdDecompressor()
        return raw(packer.compress, opener.decompress)

    lzma_ = lzma.PRESET_EXTREME | 9
    return {
        "png": lambda: pillow("PNG", optimize=True),
        "webp": lambda: pillow("WEBP", lossless=True, quality=100, method=6, exact=True),
        "jxl-7": lambda: codec("jpegxl", lossless=True, effort=7),
        "jxl-9": lambda: codec("jpegxl", lossless=True, effort=9),
        "jpeg-2000": lambda: codec("jpeg2k", reversible=True, level=0),
        "jpeg-ls": lambda: codec("jpegls"),
        "xz": lambda: raw(lambda x: lzma.compress(x, preset=lzma_), lzma.decompress),
        "zstd-19": zstd,
        "bz2": lambda: raw(lambda x: bz2.compress(x, 9), bz2.decompress),
    }


def answer(name: str, method: str, together: bool, most: int = 0) -> dict[str, Any]:
    """``together``: all images of a set as one, those of formats in a mosaic."""
    try:
        write, read = ways()[method]()
    except ImportError as absent:
        return {"missing": str(absent.name)}
    images = pictures.split(name)[1]
    if together:
        images = [images if method in ("xz", "zstd-19", "bz2") else mosaic(images)]
    elif most:
        images = images[:most]
    size, into, back = 0, 0.0, 0.0
    for image in images:
        began = time.perf_counter()
        data = write(image)
        middle = time.perf_counter()
        again = read(data, image)
        back += time.perf_counter() - middle
        into += middle - began
        assert np.array_equal(again, image), method
        size += len(data)
    values = sum(image.size for image in images)
    return {
        "bits": 8 * size / values,
        "into": values / 1e6 / into,
        "back": values / 1e6 / back,
    }


def mosaic(images: Array) -> Array:
    """All images side by side, a hundred in a row."""
    n, height, width = images.shape
    rows = images.reshape(n // 100, 100, height, width).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(n // 100 * height, 100 * width))
