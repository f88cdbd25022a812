"""The images that codecs are measured on, from the folder of the development data."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import data

Array = NDArray[Any]

SMALL = {"fashion-mnist": "fashion_mnist_train.npz", "mnist": "mnist_train.npz"}
PHOTOS = {"kodak": "kodak24.zip", "cid22": "cid22_train24.zip"}
HELD_OUT = 10_000
TRAINED_ON = 18
"""Of the photographs of CID22, by name; the bundled model has seen the same. Of Kodak none."""


def small(name: str) -> bool:
    return name in SMALL


def there(name: str) -> bool:
    """Whether a set is in the folder."""
    folder = data.folder()
    file = (
        folder / "images_small" / SMALL[name] if small(name) else folder / "photos" / PHOTOS[name]
    )
    return file.exists()


def split(name: str) -> tuple[Any, Any]:
    """Images to train on, and images to measure on."""
    if small(name):
        images = data.array(data.folder() / "images_small" / SMALL[name], "x")
        return images[:-HELD_OUT], images[-HELD_OUT:]
    images_ = photos(name)
    return ([], images_) if name == "kodak" else (images_[:TRAINED_ON], images_[TRAINED_ON:])


def photos(name: str) -> list[Array]:
    """Of an archive, sorted by name."""
    with zipfile.ZipFile(data.folder() / "photos" / PHOTOS[name]) as archive:
        return [
            np.array(Image.open(io.BytesIO(archive.read(entry))).convert("RGB"))
            for entry in sorted(archive.namelist())
            if entry.lower().endswith(".png")
        ]
