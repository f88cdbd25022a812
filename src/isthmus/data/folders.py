"""Folders of equal-sized images."""

from __future__ import annotations

import secrets
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from isthmus.core.errors import DataError, EmptyError, ShapeError
from isthmus.data.arrays import listed
from isthmus.data.contracts import Array
from isthmus.data.files import IMAGE_ENDINGS

KEPT_MODES = {"L", "LA", "RGB", "RGBA", "I;16", "F"}


def read_folder(folder: Path) -> tuple[Array, list[Path]]:
    """All images of a folder, sorted by name, and their paths.

    Raises
    ------
    EmptyError
        If there is none.
    ShapeError
        If two of them differ in size or in channels.
    """
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith(".")
    )
    if not paths:
        raise EmptyError(f"there are no images in {folder}. Looked for {', '.join(IMAGE_ENDINGS)}.")
    return read_images(paths), paths


def read_images(paths: Sequence[Path]) -> Array:
    """(n, height, width) or (n, height, width, channels), of the files' own depth."""
    first = read_image(paths[0])
    images = np.empty((len(paths), *first.shape), dtype=first.dtype)
    images[0] = first
    for i, path in enumerate(paths[1:], start=1):
        image = read_image(path)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise ShapeError(
                f"the images are not alike: {paths[0].name} is {_described(first)}, {path.name} is "
                f"{_described(image)}. Bring them to one size and one colour mode."
            )
        images[i] = image
    return images


def read_image(path: Path) -> Array:
    """One image as it is meant to be seen: turned upright, palettes resolved.

    Raises
    ------
    DataError
        If it is damaged, cut short, or larger than Pillow's limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                file.load()
                upright = ImageOps.exif_transpose(file)
                return _pixels(upright)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, Pillow's limit against files "
            "that fill the memory. If you trust it, raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except Exception as error:
        # Damaged files make Pillow raise nearly anything: OSError, SyntaxError, struct.error ...
        raise DataError(
            f"{path} cannot be read as an image ({error}). Is it cut short or damaged?"
        ) from error


def _pixels(image: Image.Image) -> Array:
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if mode == "I":
        wide = np.asarray(image)
        fits = wide.size == 0 or (wide.min() >= 0 and wide.max() <= np.iinfo(np.uint16).max)
        return wide.astype(np.uint16) if fits else wide.astype(np.float64)
    if mode == "1":
        image = image.convert("L")
    elif mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif mode not in KEPT_MODES:
        image = image.convert("RGB")
    return np.array(image)


def _described(image: Array) -> str:
    channels = {2: "grey"}.get(image.ndim, f"{image.shape[-1]} channels")
    return f"{image.shape[0]} x {image.shape[1]} ({channels}, {image.dtype})"


def write_folder(folder: Path, images: Array, names: Sequence[str] | None) -> list[Path]:
    """Write images as PNG files into a folder that must be new or empty, all or none.

    Parameters
    ----------
    folder : Path
    images : array of shape (n, height, width) or (n, height, width, channels)
        Bytes; 16-bit grey; or floats within 0 to 1.
    names : sequence of str, optional
        File names, whose endings become ``.png``; numbers if left out.
    """
    depth = _as_depth(images)
    files = _file_names(len(images), names)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir()
    try:
        for image, name in zip(depth, files, strict=True):
            Image.fromarray(image).save(partial / name, format="PNG")
        if folder.exists():
            folder.rmdir()
        partial.replace(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return [folder / name for name in files]


def _as_depth(images: Array) -> Array:
    """Bytes or words, as PNG holds them; a single channel without its axis."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] > 4):
        raise DataError(
            "images come as an array of shape (n, height, width) or (n, height, width, channels), "
            f"got {images.shape}."
        )
    kind = images.dtype.kind
    if images.dtype == np.uint8 or (images.dtype == np.uint16 and images.ndim == 3):
        return images
    within = images.size and np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1
    if kind == "b" or (kind == "f" and within):
        bytes_: np.ndarray[Any, np.dtype[np.uint8]] = np.rint(images * 255.0).astype(np.uint8)
        return bytes_
    raise DataError(
        f"PNG files hold bytes (colour or grey) or 16-bit grey, got {images.dtype} images. Write "
        "them as .npy or .npz."
    )


def _file_names(n: int, names: Sequence[str] | None) -> list[str]:
    if names is None:
        width = max(5, len(str(n - 1)))
        return [f"{i:0{width}d}.png" for i in range(n)]
    if len(names) != n:
        raise DataError(f"got {len(names)} names for {n} images.")
    whole = [Path(name).name for name in names]
    stems = [Path(name).stem if Path(name).suffix in IMAGE_ENDINGS else name for name in whole]
    short = stems if len(set(stems)) == n else whole
    twice = sorted({f"'{name}'" for name in short if short.count(name) > 1})
    if twice:
        raise DataError(f"more than one image is called {listed(twice)}.")
    return [f"{name}.png" for name in short]
