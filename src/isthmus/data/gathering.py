"""Images as people have them: an array, a list of unequal ones, or paths; brought to one form.

That form is an array of shape (n, height, width) or (n, height, width, channels) where all are of
one size, and else an array of n arrays, one for each image. Both are sliced and indexed alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from torch import Tensor

from isthmus.core.errors import DataError, EmptyError
from isthmus.data.arrays import as_array
from isthmus.data.contracts import Array
from isthmus.data.files import IMAGE_ENDINGS

MAX_CHANNELS = 4
WHITE = {"uint8": 255, "uint16": 65535}
DONE: Array = np.empty((0, 0))
LAYOUT = "images come as an array of shape (n, height, width) or (n, height, width, channels)"


def as_images(X: Any) -> Array:
    """Images in the form that everything else here takes; what has that form is not copied.

    Grey images among coloured ones become coloured, and opaque where others have alpha.

    Parameters
    ----------
    X : array-like, or list of arrays, of pictures of Pillow's, or of paths; or a table with one
        column of paths
        Arrays in a list may differ in size: (height, width) or (height, width, channels).

    Returns
    -------
    array of shape (n, height, width) or (n, height, width, channels)
        Or, where sizes differ, of shape (n,), holding arrays.

    Raises
    ------
    DataError
        If something in it is no image, or the images differ in depth.
    EmptyError
        If there are none, or one has no pixels.
    """
    paths = paths_of(X)
    if paths is not None:
        from isthmus.data.folders import images_from_paths

        return images_from_paths(paths)
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        raise DataError(
            "a table of images has one column, of paths. Pass that column alone: X[['path']]."
        )
    if isinstance(X, list | tuple) or _is_ragged(X):
        names = [f"image {i}" for i in range(len(X))]
        return gathered([_one(item, name) for item, name in zip(X, names, strict=True)], names)
    return _checked(as_array(X))


def are_images(X: Any) -> bool:
    """Whether X is a list of images or of paths of image files, rather than a table."""
    if isinstance(X, list | tuple) or _is_ragged(X):
        first = X[0] if len(X) else None
    else:
        first = next(iter(_column(X) or []), None)
    if isinstance(first, str | os.PathLike):
        return Path(first).suffix.lower() in IMAGE_ENDINGS
    return hasattr(first, "getbands") or getattr(first, "ndim", 0) in (2, 3)


def paths_of(X: Any) -> list[Path] | None:
    """The paths that X consists of: a list, a column, or a table of one column; else None.

    Raises
    ------
    DataError
        If some rows have a path and others not.
    """
    values = list(X) if isinstance(X, list | tuple) else _column(X)
    if not values or not any(isinstance(value, str | os.PathLike) for value in values):
        return None
    without = [i for i, value in enumerate(values) if not isinstance(value, str | os.PathLike)]
    if without:
        raise DataError(
            f"row {without[0]} has no path, but {values[without[0]]!r}. Drop such rows."
        )
    return [Path(value) for value in values]


def _column(X: Any) -> list[Any] | None:
    """The values of a column, or of a table that has only one, if they can be paths."""
    if isinstance(X, np.ndarray):
        texts = X.dtype.kind in "OUT" and X.ndim in (1, 2) and X.size == len(X)
        return list(X.ravel().tolist()) if texts else None
    if isinstance(X, Tensor):
        return None
    native = nw.from_native(X, allow_series=True, pass_through=True)
    if isinstance(native, nw.DataFrame):
        if native.shape[1] != 1:
            return None
        native = native[:, 0]
    if not isinstance(native, nw.Series) or native.dtype.is_numeric():
        return None
    return native.to_list()


def _is_ragged(X: Any) -> bool:
    """Whether it is an array of arrays, one for each image."""
    return isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1


def _one(item: Any, name: str) -> Array:
    """A single image from a list."""
    if hasattr(item, "getbands"):
        from isthmus.data.decoding import pixels

        try:
            return pixels(item)
        except Exception as error:
            # Pillow opens files lazily, and damaged ones make it raise nearly anything.
            raise DataError(f"{name} cannot be read ({error}). Is it damaged?") from error
    array = as_array(item)
    if array.ndim not in (2, 3):
        raise DataError(f"{LAYOUT}, or as a list of such; {name} has the shape {array.shape}.")
    return array


def gathered(images: list[Array], names: Sequence[str]) -> Array:
    """Images of one colour mode and depth: stacked where all are of one size.

    Parameters
    ----------
    images : list of arrays of shape (height, width) or (height, width, channels)
        Emptied on the way, so that no more than the result is held.
    names : sequence of str
        For messages.

    Raises
    ------
    DataError, EmptyError
        As ``as_images``.
    """
    if not images:
        raise EmptyError("there are no images. Pass at least one.")
    for image, name in zip(images, names, strict=True):
        if not image.size:
            raise EmptyError(f"there is no pixel in {name}, of shape {image.shape}.")
        if image.ndim == 3 and image.shape[2] > MAX_CHANNELS:
            raise DataError(
                f"images have 1 to {MAX_CHANNELS} channels in their last axis; {name} has the "
                f"shape {image.shape}."
            )
    dtype = _common_depth(images, names)
    channels = {channels_of(image) for image in images}
    wanted = richest(channels)
    flat = any(image.ndim == 2 for image in images) and wanted == 1
    shapes = {image.shape[:2] for image in images}
    shape = () if flat else (wanted,)
    found: Array = np.empty(len(images), object)
    if len(shapes) == 1:
        found = np.empty((len(images), *shapes.pop(), *shape), dtype)
    for i, image in enumerate(images):
        image = widened(image, wanted)
        found[i] = (image[..., 0] if flat else image).astype(dtype, copy=False)
        images[i] = DONE
    return found


def ragged(images: list[Array]) -> Array:
    """(n,) an array that holds arrays, whatever their sizes."""
    found = np.empty(len(images), object)
    for i, image in enumerate(images):
        found[i] = image
    return found


def _common_depth(images: list[Array], names: Sequence[str]) -> np.dtype[Any]:
    first = images[0].dtype
    for image, name in zip(images, names, strict=True):
        if image.dtype != first and not (image.dtype.kind == first.kind == "f"):
            raise DataError(
                f"the images are not alike: {names[0]} holds {first} values, {name} "
                f"{image.dtype}. Bring them to one depth."
            )
    return np.result_type(*{image.dtype for image in images})


def channels_of(image: Array) -> int:
    """Of a single image."""
    return image.shape[2] if image.ndim == 3 else 1


def richest(channels: set[int]) -> int:
    """The channels of a mode that holds all these: colour if one has it, alpha if one has it."""
    return (3 if max(channels) > 2 else 1) + any(n % 2 == 0 for n in channels)


def widened(image: Array, channels: int, opaque: float | None = None) -> Array:
    """(..., height, width, channels) of a single image, or of an array with channels last.

    Grey is repeated as three colours; where there was no alpha, all is opaque: by default, of
    what is white in the type of the image.
    """
    image = image[..., np.newaxis] if image.ndim == 2 else image
    have = image.shape[-1]
    if have == channels:
        return image
    colours, alpha = (image[..., :-1], image[..., -1:]) if have % 2 == 0 else (image, None)
    if channels > 2 and colours.shape[-1] == 1:
        colours = np.repeat(colours, 3, axis=-1)
    if channels % 2:
        return colours
    if alpha is None:
        if opaque is None:
            opaque = WHITE.get(str(image.dtype), 1 if image.dtype.kind in "fb" else 255)
        alpha = np.full_like(image[..., :1], opaque)
    return np.concatenate([colours, alpha], axis=-1)


def sizes_of(images: Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(n, 2) height and width of each image."""
    if _is_ragged(images):
        return np.array([image.shape[:2] for image in images], dtype=np.int64).reshape(-1, 2)
    return np.tile(np.array(images.shape[1:3], dtype=np.int64), (len(images), 1))


def _checked(array: Array) -> Array:
    """Images of one size, if they are."""
    if array.ndim not in (3, 4):
        raise DataError(f"{LAYOUT}, or as a list of images, got an array of shape {array.shape}.")
    if array.ndim == 4 and not 1 <= array.shape[3] <= MAX_CHANNELS:
        first = " Move the channels last: X.transpose(0, 2, 3, 1)." * (array.shape[1] <= 4)
        raise DataError(
            f"images have 1 to {MAX_CHANNELS} channels in their last axis, got an array of shape "
            f"{array.shape}.{first}"
        )
    if not array.size:
        raise EmptyError(
            "there are no images. Pass at least one."
            if not len(array)
            else f"there is no pixel in an array of shape {array.shape}."
        )
    return array
