"""Image files as arrays, many of them decoded side by side.

What is read: PNG, JPEG, WebP, TIFF, BMP, GIF and what else Pillow knows of ``FORMATS``; of a file
with several pages or frames the first one. 8 and 16 bits of grey, 8 bits of colour: of a PNG with
16 bits a colour, Pillow gives the higher 8.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from isthmus.core.errors import DataError
from isthmus.data.contracts import Array

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000")
"""The formats that are tried, whatever a file's ending says: none of them runs a program."""

KEPT_MODES = {"L", "LA", "RGB", "RGBA", "I;16", "F"}
MOST_THREADS = 8
FEWEST_FILES, SMALLEST_FILE = 32, 8192
"""Files, and bytes in the first of them, from which threads pay."""
FEW_PIXELS, MOST_PIXELS_A_BYTE = 1 << 24, 2048
"""Pixels that any file may have; more, only as it is large: else a few damaged bytes take seconds
and a gigabyte. No real image of that size says less of its pixels."""
MOST_SCANS, QUICK_PIXELS = 100, 1 << 20
"""Times that a JPEG file may go over its pixels, where there are many: it needs about ten."""
AHEAD = 1024
"""Files that are asked for at a time."""


def read_image(path: Path) -> Array:
    """One image as it is meant to be seen: turned upright, palettes resolved.

    Parameters
    ----------
    path : Path

    Returns
    -------
    array of shape (height, width) or (height, width, channels)
        Channels are colour, colour and alpha, or grey and alpha.

    Raises
    ------
    DataError
        If it is missing, damaged, cut short, larger than Pillow's limit, or says that it is far
        larger than so small a file can be.
    """
    with silence():
        return _read(path)


def read_each(paths: Sequence[Path]) -> list[Array]:
    """The images of files, in their order.

    Many are decoded by threads: Pillow leaves the interpreter to others while it unpacks.

    Raises
    ------
    DataError
        As ``read_image``, for the first file that cannot be read; the rest are not looked at.
    """
    threads = min(MOST_THREADS, _processors())
    with silence():
        if threads < 2 or len(paths) < FEWEST_FILES or _size(paths[0]) < SMALLEST_FILE:
            return [_read(path) for path in paths]
        images: list[Array] = []
        with ThreadPoolExecutor(threads, thread_name_prefix="isthmus-images") as pool:
            for first in range(0, len(paths), AHEAD):
                images += pool.map(_read, paths[first : first + AHEAD])
        return images


def read_bytes_as_image(content: bytes) -> Array:
    """The image in the bytes of a file, as it lies there.

    Raises
    ------
    DataError
        If there is none.
    """
    try:
        with silence(), Image.open(io.BytesIO(content), formats=_formats()) as file:
            check_size(file, "this file", len(content), lambda: content)
            return pixels(file)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"these bytes hold no image that can be read ({error}).") from error


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _size(path: Path) -> int:
    """Bytes of a file; 0 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def silence() -> Iterator[None]:
    """No warnings; held by the caller of threads, since the filters are those of the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read(path: Path) -> Array:
    try:
        with Image.open(path, formats=_formats()) as file:
            check_size(file, str(path), path.stat().st_size, path.read_bytes)
            file.load()
            ImageOps.exif_transpose(file, in_place=True)
            return pixels(file)
    except (DataError, Image.DecompressionBombError) as error:
        raise (error if isinstance(error, DataError) else _too_large(str(path))) from error
    except FileNotFoundError as error:
        raise DataError(f"there is no image {path}.") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path} is no image of a known format, or its beginning is damaged. Known are PNG, "
            "JPEG, WebP, TIFF, BMP and GIF."
        ) from error
    except Exception as error:
        # Damaged files make Pillow raise nearly anything: OSError, SyntaxError, struct.error ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} cannot be read as an image ({reason}). Is it cut short or damaged?"
        ) from error


@cache
def _formats() -> list[str]:
    """Those of ``FORMATS`` that this Pillow was built with."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def check_size(image: Image.Image, name: str, size: int, content: Callable[[], bytes]) -> None:
    """Refuse an image that says it is larger than it can be, before it is decoded.

    Parameters
    ----------
    image : Image
    name : str
        For messages.
    size : int
        Bytes of its file.
    content : callable
        Gives them.

    Raises
    ------
    DataError
    """
    limit, pixels = Image.MAX_IMAGE_PIXELS, image.width * image.height
    if limit is None:
        return
    if pixels > limit:
        raise _too_large(name)
    if pixels > max(FEW_PIXELS, MOST_PIXELS_A_BYTE * size):
        raise DataError(
            f"{name} says that it has {pixels:,} pixels, in {size:,} bytes: it is damaged, or "
            "nearly empty. Save it at a lower resolution."
        )
    if pixels > QUICK_PIXELS and image.format in ("JPEG", "MPO"):
        scans = content().count(b"\xff\xda")
        if scans > MOST_SCANS:
            raise DataError(f"{name} has {scans:,} scans, no image needs so many. Is it damaged?")


def _too_large(name: str) -> DataError:
    return DataError(
        f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, Pillow's limit against files "
        "that fill the memory. If you trust it, raise PIL.Image.MAX_IMAGE_PIXELS."
    )


def pixels(image: Image.Image) -> Array:
    """A picture of Pillow's as an array of grey or colour, with or without alpha."""
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if mode == "I":
        wide = np.asarray(image)
        fits = wide.size == 0 or (wide.min() >= 0 and wide.max() <= np.iinfo(np.uint16).max)
        return wide.astype(np.uint16) if fits else wide.astype(np.float64)
    if mode == "1":
        image = image.convert("L")
    elif mode in ("P", "PA"):
        see_through = mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if see_through else "RGB")
    elif mode in ("RGB", "L") and "transparency" in image.info:
        image = image.convert("RGBA" if mode == "RGB" else "LA")
    elif mode in ("La", "RGBa"):
        image = image.convert("LA" if mode == "La" else "RGBA")
    elif mode not in KEPT_MODES:
        image = image.convert("RGB")
    array: np.ndarray[Any, np.dtype[Any]] = np.array(image)
    return array
