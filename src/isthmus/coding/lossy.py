"""Pictures of one size as bytes and back, with loss, by the transform and networks of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.coding.checks import Reader, number
from isthmus.coding.fixed import QUALITIES
from isthmus.coding.latents import LatentCoder
from isthmus.coding.tiles import IN_A_CHUNK
from isthmus.coding.transform import Transform
from isthmus.core.errors import AbilityError, CompressedError

Array = npt.NDArray[Any]

FEWEST_ROWS = 4
"""Rows of blocks of a strip, at least."""


@dataclass(frozen=True)
class LossyCoder:
    """Codes pictures of 8 bits, grey or in colour.

    Parameters
    ----------
    transform : Transform
    latents : LatentCoder
    quality : int
        At which it writes, from 1 to 8; it reads all.
    qualities : tuple of int
        The lowest and the highest that it was fitted for.
    """

    transform: Transform
    latents: LatentCoder
    quality: int = 5
    qualities: tuple[int, int] = (1, QUALITIES)

    lossless = False

    def at(self, quality: int) -> LossyCoder:
        """The same, writing at another quality."""
        return replace(self, quality=quality)

    @cached_property
    def identity(self) -> bytes:
        """A SHA-256 of all that decides what is read."""
        digest = hashlib.sha256(f"{self.transform.patch} {self.latents.groups}".encode())
        for name, tensor in sorted(self.tensors().items()):
            digest.update(f"{name}{tensor.dtype.str}{tensor.shape}".encode())
            digest.update(np.ascontiguousarray(tensor).tobytes())
        return digest.digest()

    @property
    def numbers(self) -> int:
        """Numbers that it is made of."""
        return sum(tensor.size for tensor in self.tensors().values())

    def tensors(self) -> dict[str, Array]:
        """All numbers that it is made of, by name."""
        found = {f"transform/{name}": t for name, t in self.transform.tensors().items()}
        return found | {f"latents/{name}": t for name, t in self.latents.tensors().items()}

    def coded(self, images: Array, depth: int) -> tuple[bytes, Array]:
        """Images of shape (count, height, width, channels) as bytes, and as they will come back.

        Raises
        ------
        AbilityError
            If they are of more than 8 bits, or have an alpha channel.
        """
        if images.dtype != np.uint8 or images.shape[3] not in (1, 3):
            raise AbilityError(
                "only images of 8 bits, grey or in colour and without alpha, are compressed with "
                "loss. Compress this one without: ImageCodec(lossless=True)."
            )
        quality = self.quality - 1
        shown, shape = self._as_coloured(images), images.shape
        parts: list[bytes] = []
        found = self._images(self._written(shown, quality, parts), shape, quality)
        lengths = [number(len(part)) for part in parts[:-1]]
        data = bytes([quality]) + b"".join(map(b"".join, zip(lengths, parts[:-1], strict=True)))
        return data + parts[-1], found

    def _written(self, images: Array, quality: int, parts: list[bytes]) -> Iterator[Array]:
        """The numbers of one strip after the other, whose bytes are added to ``parts``."""
        above = None
        for bands in self._strips(images.shape[:3]):
            latents = self._numbers(images, bands, quality)
            parts.append(self.latents.encode(latents, quality, above))
            yield latents
            above = latents[:, -1]

    def encode(self, images: Array, depth: int) -> bytes:
        """Images of shape (count, height, width, channels) as bytes."""
        return self.coded(images, depth)[0]

    def decode(self, data: bytes, shape: tuple[int, int, int, int], depth: int) -> Array:
        """Images as ``coded`` said that they will come back.

        Raises
        ------
        CompressedError
            If the bytes cannot have come from it.
        """
        reader = Reader(data)
        quality = reader.byte()
        if quality >= QUALITIES or depth != 8 or shape[3] not in (1, 3):
            raise CompressedError("it says what nobody writes: it is damaged")
        return self._images(self._read(reader, shape, quality), shape, quality)

    def _read(
        self, reader: Reader, shape: tuple[int, int, int, int], quality: int
    ) -> Iterator[Array]:
        """The numbers of one strip after the other."""
        count, columns = self._count(shape), self.transform.grid(*shape[1:3])[1]
        strips = self._strips((count, *shape[1:3]))
        above = None
        for i, bands in enumerate(strips):
            part = reader.take(reader.left if i == len(strips) - 1 else reader.number())
            there = (count, len(bands), columns)
            try:
                latents = self.latents.decode(part, there, quality, above)
            except ValueError as error:
                raise CompressedError(f"{error}, or needs another model") from error
            yield latents
            above = latents[:, -1]

    def _strips(self, shape: tuple[int, ...]) -> list[range]:
        """The rows of blocks that are coded one after the other."""
        count, height, width = shape
        rows, columns = self.transform.grid(height, width)
        tall = max(FEWEST_ROWS, IN_A_CHUNK // (columns * self.transform.patch**2 * count))
        return [range(top, min(rows, top + tall)) for top in range(0, rows, tall)]

    def _numbers(self, images: Array, bands: range, quality: int) -> Array:
        """What is coded of a strip, whose networks see a row of blocks above and below."""
        patch = self.transform.patch
        first = max(0, bands.start - 1)
        part = images[:, first * patch : (bands.stop + 1) * patch]
        blocks = self.transform.blocks(part).astype(np.float32)
        found = self.transform.numbers(blocks, quality)
        found = found[:, bands.start - first :][:, : len(bands)]
        return self.latents.fit(np.rint(found), quality)

    def _images(
        self, strips: Iterator[Array], shape: tuple[int, int, int, int], quality: int
    ) -> Array:
        """Images of the numbers of all strips; each sees a row of blocks of those beside it."""
        height, width = shape[1:3]
        patch = self.transform.patch
        found = np.empty(shape, np.uint8)
        top, above = 0, None
        here: Array | None = next(strips)
        while here is not None:
            after = next(strips, None)
            parts = [] if above is None else [above[:, -1:]]
            parts += [here] if after is None else [here, after[:, :1]]
            pixels = self.transform.pixels(np.concatenate(parts, axis=1), quality)
            start = 0 if above is None else patch
            pixels = pixels[:, start : start + min(height - top, here.shape[1] * patch), :width]
            found[:, top : top + pixels.shape[1]] = self._as_asked(pixels, shape)
            top += pixels.shape[1]
            above, here = here, after
        return found

    def _count(self, shape: Sequence[int]) -> int:
        """Images as the transform sees them: colours one by one, where it knows grey only."""
        return shape[0] * 3 if self.transform.colours == 1 and shape[3] == 3 else shape[0]

    def _as_coloured(self, images: Array) -> Array:
        """Images with as many colours as the transform knows."""
        count, height, width, colours = images.shape
        if colours == self.transform.colours:
            return images
        if colours == 1:
            return np.broadcast_to(images, (count, height, width, 3))
        return images.transpose(0, 3, 1, 2).reshape(count * 3, height, width, 1)

    def _as_asked(self, pixels: Array, shape: Sequence[int]) -> Array:
        """The opposite of ``_as_coloured``."""
        if shape[3] == self.transform.colours:
            return pixels
        if shape[3] == 1:
            total = pixels.sum(axis=3, dtype=np.uint16, keepdims=True)
            return np.asarray((total + 1) // 3, np.uint8)
        rows, columns = pixels.shape[1:3]
        apart: Array = pixels.reshape(shape[0], 3, rows, columns).transpose(0, 2, 3, 1)
        return apart
