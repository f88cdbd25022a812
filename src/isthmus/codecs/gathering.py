"""Images as people have them, as arrays of whole numbers with their channels last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.codecs.pictures import read_picture
from isthmus.core.errors import DataError, EmptyError
from isthmus.data.contracts import Array
from isthmus.data.decoding import read_image
from isthmus.data.folders import image_files

MOST_CHANNELS = 4


def pixels_of(x: Any, name: str = "the image") -> Array:
    """One image as an array of shape (height, width) or (height, width, 2 to 4).

    Raises
    ------
    DataError
        If it is of other numbers or another shape.
    """
    try:
        image: Array = np.asarray(x)
    except ValueError as error:
        raise DataError(f"{name} is not an array: its rows differ in length.") from error
    image = _whole_numbers(image, name)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and not 2 <= image.shape[2] <= MOST_CHANNELS):
        raise DataError(
            f"{name} must have the shape (height, width) or (height, width, 2 to 4), got "
            f"{image.shape}."
        )
    if not image.size:
        raise EmptyError(f"{name} has no pixels: its shape is {image.shape}.")
    return image


def _whole_numbers(image: Array, name: str) -> Array:
    """The same as uint8 or uint16, as small as all of them fit."""
    if image.dtype == np.bool_:
        raise DataError(f"{name} is of truth values. Pass it as uint8, 0 and 255 for example.")
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.dtype not in (np.uint8, np.uint16):
        if not _fits(image):
            raise DataError(
                f"{name} is of {image.dtype}; what is compressed without loss are whole numbers "
                "from 0 on, uint8 or uint16. Round and convert it first: that loss is yours to "
                "choose."
            )
        image = image.astype(np.uint8 if image.max(initial=0) < 256 else np.uint16)
    return image


def _fits(image: Array) -> bool:
    """Whether all are whole numbers of at most 16 bits, of a type that holds more."""
    if image.dtype.kind not in "ui" or not image.size:
        return False
    return int(image.min()) >= 0 and int(image.max()) < 2**16


def as_pictures(X: Any) -> list[Array]:
    """Images from an array, a list of arrays or of paths, or a folder.

    Raises
    ------
    DataError, EmptyError
    """
    if isinstance(X, (str, Path)):
        folder = Path(X)
        if not folder.is_dir():
            return [read_pixels(folder)]
        paths = image_files(folder)
        if not paths:
            raise EmptyError(f"there are no images in {folder}.")
        return [read_pixels(path) for path in paths]
    if isinstance(X, np.ndarray) and X.dtype != object and X.ndim not in (3, 4):
        raise DataError(
            "pass several images: an array of shape (n, height, width) or (n, height, width, "
            f"channels), a list, or a folder; got an array of shape {X.shape}."
        )
    if isinstance(X, np.ndarray) and _fits(X):
        X = _whole_numbers(X, "the stack")  # as one, or its images would differ in type
    if not isinstance(X, Iterable):
        raise DataError(f"pass images: an array, a list, or a folder; got {type(X).__name__}.")
    found = [
        read_pixels(Path(x)) if isinstance(x, (str, Path)) else pixels_of(x, f"image {i}")
        for i, x in enumerate(X)
    ]
    if not found:
        raise EmptyError("there are no images.")
    return found


def read_pixels(path: Path) -> Array:
    """The pixels of a file as they lie in it, or as they are seen where that is not known."""
    picture = read_picture(path)
    return pixels_of(read_image(path) if picture is None else picture.pixels, str(path))
