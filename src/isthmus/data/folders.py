"""Folders and lists of image files."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from isthmus.core.errors import DataError, EmptyError
from isthmus.core.wording import listed
from isthmus.data.contracts import Array
from isthmus.data.decoding import read_each
from isthmus.data.files import IMAGE_ENDINGS
from isthmus.data.gathering import as_images, gathered


def read_folder(folder: Path) -> tuple[Array, list[Path]]:
    """All images of a folder, sorted by name, and their paths.

    Returns
    -------
    images : array of shape (n, height, width) or (n, height, width, channels)
        Or, where sizes differ, of shape (n,), holding arrays. Grey images among coloured ones
        become coloured.
    paths : list of Path

    Raises
    ------
    EmptyError
        If there is none.
    DataError
        If one cannot be read, or two differ in depth.
    """
    paths = image_files(folder)
    if not paths:
        below = folders_of_images(folder)
        hint = f" There are in its folders {listed(below)}: give one of them." if below else ""
        raise EmptyError(
            f"there are no images in {folder}. Looked for {', '.join(IMAGE_ENDINGS)}.{hint}"
        )
    return read_images(paths), paths


def folders_of_images(folder: Path) -> list[str]:
    """The names of the folders within a folder that have images in them."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    open_ = (path for path in inside if os.access(path, os.R_OK | os.X_OK))
    return [path.name for path in open_ if image_files(path)]


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder, by their endings, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith(".") and path.is_file()
    )


def read_images(paths: Sequence[Path]) -> Array:
    """Image files as they are meant to be seen, of their own depth.

    Parameters
    ----------
    paths : sequence of Path

    Returns
    -------
    array of shape (n, height, width) or (n, height, width, channels)
        Or, where sizes differ, of shape (n,), holding arrays.

    Raises
    ------
    DataError
        If one is missing or damaged, or two differ in depth.
    """
    return gathered(read_each(paths), [path.name for path in paths])


def images_from_paths(
    paths: Sequence[str | os.PathLike[str]], base: str | os.PathLike[str] | None = None
) -> Array:
    """``read_images`` for paths that stand in a table.

    Parameters
    ----------
    paths : sequence of str or Path
    base : str or Path, optional
        The folder from which relative paths are looked for if they lead nowhere from here: that
        of the table's file.
    """
    found = [Path(path) for path in paths]
    if base is not None:
        found = [path if path.exists() else Path(base) / path for path in found]
    return read_images(found)


def write_folder(
    folder: Path, images: Array | Sequence[Array], names: Sequence[str] | None
) -> list[Path]:
    """Write images as PNG files into a folder that must be new or empty, all or none.

    Parameters
    ----------
    folder : Path
    images : array of shape (n, height, width) or (n, height, width, channels), or list of arrays
        Bytes; 16-bit grey; or floats within 0 to 1.
    names : sequence of str, optional
        File names, whose endings become ``.png``; numbers if left out.
    """
    depth = _as_depth(as_images(images))
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


def _as_depth(images: Array) -> list[Array]:
    """Bytes or words, as PNG holds them; a single channel without its axis."""
    each: list[Array] = [
        image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image for image in images
    ]
    dtype, flat = each[0].dtype, each[0].ndim == 2
    if dtype == np.uint8 or (dtype == np.uint16 and flat):
        return each
    if dtype.kind == "b" or (dtype.kind == "f" and all(_within(image) for image in each)):
        return [np.rint(image * 255.0).astype(np.uint8) for image in each]
    raise DataError(
        f"PNG files hold bytes (colour or grey) or 16-bit grey, got {dtype} images. Write "
        "them as .npy or .npz."
    )


def _within(image: np.ndarray[Any, np.dtype[Any]]) -> bool:
    """Whether all lies within 0 to 1."""
    return bool(np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1)


def _file_names(n: int, names: Sequence[str] | None) -> list[str]:
    width = max(5, len(str(n - 1)))
    if names is None:
        return [f"{i:0{width}d}.png" for i in range(n)]
    if len(names) != n:
        raise DataError(f"got {len(names)} names for {n} images.")
    whole = [Path(name).name for name in names]
    stems = [Path(name).stem if Path(name).suffix in IMAGE_ENDINGS else name for name in whole]
    numbered = [f"{i:0{width}d}-{stem}" for i, stem in enumerate(stems)]
    short = next((found for found in (stems, whole) if len(set(found)) == n), numbered)
    return [f"{name}.png" for name in short]
