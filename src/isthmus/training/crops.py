"""Blocks of parts of images, drawn at random."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

JUDGED_VALUES = 1 << 20
"""Values that are judged, at most."""


class Crops:
    """Parts of one size of images of any sizes, as blocks of pixels.

    Parameters
    ----------
    images : sequence of array of shape (height, width, colours), uint8
    patch : int
        Pixels along a side of a block.
    side : int
        Blocks along a side of a part; fewer where an image is smaller, which is then continued by
        its last row and column.
    """

    def __init__(self, images: Sequence[Array], patch: int, side: int) -> None:
        self.patch = patch
        most = [max(image.shape[axis] for image in images) for axis in (0, 1)]
        self.rows, self.columns = (min(side, -(-n // patch)) for n in most)
        self.images = [self._filled(image) for image in images]
        places = [(image.shape[0], image.shape[1]) for image in self.images]
        height, width = self.rows * patch, self.columns * patch
        self.places = np.array([(h - height + 1, w - width + 1) for h, w in places])
        weights = np.array([h * w for h, w in places], np.float64)
        self.chances = np.cumsum(weights / weights.sum())

    def _filled(self, image: Array) -> Array:
        missing = [max(0, n * self.patch - s) for n, s in zip(self.size, image.shape, strict=False)]
        if not any(missing):
            return image
        return np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of blocks of a part."""
        return self.rows, self.columns

    @property
    def blocks_of_one(self) -> int:
        """Blocks of a part."""
        return int(self.rows * self.columns)

    @property
    def n_judged(self) -> int:
        """Parts that a judgement looks at."""
        values = self.blocks_of_one * self.patch**2 * self.images[0].shape[2]
        total = sum(image.size for image in self.images)
        return int(max(1, min(JUDGED_VALUES, total) // values))

    @property
    def identity(self) -> bytes:
        """A SHA-256 of all pixels."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(str(image.shape).encode())
            digest.update(np.ascontiguousarray(image).tobytes())
        return digest.digest()

    def drawn(self, n: int, seed: Sequence[int]) -> Array:
        """Parts at random, each mirrored or not where it is a part of a larger image.

        Returns
        -------
        array of shape (n, rows, columns, values), float32
        """
        rng = np.random.default_rng(list(seed))
        which = np.searchsorted(self.chances, rng.random(n), side="right").clip(
            max=len(self.images) - 1
        )
        height, width = self.rows * self.patch, self.columns * self.patch
        parts = np.empty((n, height, width, self.images[0].shape[2]), np.float32)
        for part, i, at in zip(parts, which, rng.random((n, 3)), strict=True):
            top, left = (at[:2] * self.places[i]).astype(np.intp)
            found = self.images[i][top : top + height, left : left + width]
            whole = self.places[i].max() == 1
            part[:] = found if whole or at[2] < 0.5 else found[:, ::-1]
        shape = (n, self.rows, self.patch, self.columns, self.patch, parts.shape[3])
        blocks = parts.reshape(shape).transpose(0, 1, 3, 2, 4, 5)
        return np.ascontiguousarray(blocks).reshape(n, self.rows, self.columns, -1)
