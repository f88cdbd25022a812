"""Pictures of one size as bytes and back, by the networks of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.coding.planes import Predictor, decode, encode
from isthmus.core.errors import CompressedError

Array = npt.NDArray[Any]

GREEN_FIRST = (1, 0, 2)
"""The order of the colours: what green tells of the others is most."""


class Coder:
    """Codes pictures with one network for grey, or three for the colours one after the other.

    Parameters
    ----------
    predictors : sequence of Predictor
        One or three. The first expects a plane by itself, and serves grey and alpha too; without
        the others it serves each colour.
    """

    lossless = True

    def __init__(self, predictors: Sequence[Predictor]) -> None:
        self.predictors = list(predictors)

    @cached_property
    def identity(self) -> bytes:
        """A SHA-256 of all that decides what is written."""
        digest = hashlib.sha256()
        for predictor in self.predictors:
            hood = json.dumps(asdict(predictor.neighbourhood), sort_keys=True)
            digest.update(hood.encode())
            for name, tensor in sorted(predictor.tensors().items()):
                little = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<"))
                digest.update(f"{name}{little.dtype.str}{little.shape}".encode())
                digest.update(little.tobytes())
        return digest.digest()

    @property
    def numbers(self) -> int:
        """Whole numbers that it is made of."""
        return sum(t.size for predictor in self.predictors for t in predictor.tensors().values())

    def coded(self, images: Array, depth: int) -> tuple[bytes, Array]:
        """Images as bytes, and as they will come back."""
        return self.encode(images, depth), images

    def encode(self, images: Array, depth: int) -> bytes:
        """Images of shape (count, height, width, channels) as bytes."""
        order, predictors = self._plan(images.shape[3])
        return encode([images[..., c].astype(np.float32) for c in order], predictors, depth)

    def decode(self, data: bytes, shape: tuple[int, int, int, int], depth: int) -> Array:
        """What ``encode`` was given.

        Raises
        ------
        CompressedError
            If the bytes cannot have come from it.
        """
        order, predictors = self._plan(shape[3])
        images = np.empty(shape, np.uint16)
        try:
            planes = decode(data, predictors, shape[:3], depth)
        except ValueError as error:
            raise CompressedError(f"{error}, or needs another model") from error
        for channel, plane in zip(order, planes, strict=True):
            images[..., channel] = plane
        return images

    def _plan(self, channels: int) -> tuple[Sequence[int], list[Predictor]]:
        """The channels in their order, and what predicts each."""
        first, together = self.predictors[0], len(self.predictors) == 3
        colours = self.predictors if together else [first] * 3
        alpha = [first] * (channels in (2, 4))
        if channels >= 3:
            return (*GREEN_FIRST, *range(3, channels)), [*colours, *alpha]
        return range(channels), [first, *alpha]
