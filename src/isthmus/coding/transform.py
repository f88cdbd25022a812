"""Blocks of pixels to whole numbers and back: a linear transform, with a network beside it.

Back is computed in whole numbers that floats of 64 bits carry, so pixels are the same on every
machine. The way there need not be: an encoder may choose any numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.coding.fixed import EXACT, FixedNetwork, under
from isthmus.coding.latents import DEPTH, LIMIT
from isthmus.core.errors import ModelFileError

Array = npt.NDArray[Any]

AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Rows and columns to go, of the blocks that the networks beside the transform see."""
PART_BITS, STEP_BITS, WEIGHT_BITS = 6, 8, 13
"""Bits behind the point: of a number, of a step between numbers, of a weight of the way back."""
BITS = PART_BITS + STEP_BITS + WEIGHT_BITS
MOST_STEP, MOST_WEIGHT = 1 << 16, 1 << 16
MOST_PART = 1 << PART_BITS + DEPTH
BLOCKS_AT_ONCE = 4096
CHANNELS = (1, 3)


@dataclass(frozen=True)
class Transform:
    """What makes numbers of blocks, and blocks of numbers.

    Parameters
    ----------
    patch : int
        Pixels along a side of a block.
    colours : int
        1 or 3.
    forward : array of shape (channels, values), float32
        Values of a block are row by row, colours last.
    mean : array of shape (values,), float32
        What is subtracted before.
    analysis, synthesis : FixedNetwork
        What is added to the numbers on the way there, and on the way back, in 64ths.
    steps : array of shape (QUALITIES, channels), int32
        Between two numbers, in 256ths of a grey level.
    back : array of shape (values, channels), int32
        In 8192ths.
    level : array of shape (values,), int64
        What is added at the end, in ``2**-BITS``.
    seen : int
        Channels of the blocks around one, that the networks see; of the block itself they see all.
    """

    patch: int
    colours: int
    forward: Array
    mean: Array
    analysis: FixedNetwork
    synthesis: FixedNetwork
    steps: Array
    back: Array
    level: Array
    seen: int

    def __post_init__(self) -> None:
        values, channels = self.patch**2 * self.colours, self.steps.shape[1]
        shapes = (self.forward.shape, self.back.shape, self.mean.shape, self.level.shape)
        nets, n = (self.analysis, self.synthesis), len(AROUND) * min(channels, self.seen)
        fits = shapes == ((channels, values), (values, channels), (values,), (values,)) and all(
            (net.n_inputs, net.n_outputs) == (channels + n, channels) for net in nets
        )
        if not fits:
            raise ModelFileError("the parts of the transform do not fit each other.")
        most = np.abs(self.back.astype(np.int64)).sum(axis=1).max() * 2 * MOST_PART
        sums = int(most) * int(self.steps.max()) + int(np.abs(self.level).max())
        if not 0 < self.steps.min() <= self.steps.max() <= MOST_STEP or sums >= EXACT:
            raise ModelFileError(
                "the transform can reach sums of 2**53 and more, where floats are no longer exact."
            )

    @property
    def channels(self) -> int:
        """Numbers of a block."""
        return int(self.steps.shape[1])

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return -(-height // self.patch), -(-width // self.patch)

    def blocks(self, images: Array) -> Array:
        """Blocks of images, which are continued by their last row and column.

        Parameters
        ----------
        images : array of shape (count, height, width, colours)

        Returns
        -------
        array of shape (count, rows, columns, values)
        """
        count, height, width, colours = images.shape
        rows, columns = self.grid(height, width)
        below, right = rows * self.patch - height, columns * self.patch - width
        whole = np.pad(images, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")
        parts = whole.reshape(count, rows, self.patch, columns, self.patch, colours)
        found: Array = parts.transpose(0, 1, 3, 2, 4, 5).reshape(count, rows, columns, -1)
        return found

    def numbers(self, blocks: Array, quality: int) -> Array:
        """Numbers of blocks, not rounded, of shape (count, rows, columns, channels)."""
        step = self.steps[quality] / 2.0**STEP_BITS
        linear: Array = (blocks - self.mean) @ (self.forward.T / step)
        found = linear.copy()
        for place, shown in self._each(linear):
            added = self.analysis(shown, quality) / (1 << PART_BITS)
            found[place] += added.reshape(found[place].shape)
        return found

    def pixels(self, latents: Array, quality: int) -> Array:
        """Images of whole numbers, of shape (count, rows * patch, columns * patch, colours)."""
        count, rows, columns, _ = latents.shape
        found = np.empty((count, rows, self.patch, columns, self.patch, self.colours), np.uint8)
        back = self.back.T.astype(np.float64)
        for place, shown in self._each(latents):
            here = latents[place].reshape(-1, self.channels)
            parts = here * float(1 << PART_BITS) + self.synthesis(shown, quality)
            np.clip(parts, -2 * MOST_PART, 2 * MOST_PART, out=parts)
            parts *= self.steps[quality]
            values = np.floor((parts @ back + self.level) * 2.0**-BITS)
            images, bands = place
            shape = (*latents[place].shape[:3], self.patch, self.patch, self.colours)
            whole = np.clip(values, 0, 255).astype(np.uint8).reshape(shape)
            found[images, bands] = whole.transpose(0, 1, 3, 2, 4, 5)
        return found.reshape(count, rows * self.patch, columns * self.patch, self.colours)

    def _each(self, numbers: Array) -> Any:
        """Some images and rows of blocks at a time, and what a network is shown of them."""
        count, rows, columns, channels = numbers.shape
        known = np.zeros((count, rows + 2, columns + 2, channels), np.float32)
        known[:, 1:-1, 1:-1] = np.clip(numbers, -LIMIT, LIMIT)
        tall = max(1, min(rows, BLOCKS_AT_ONCE // columns))
        many = max(1, BLOCKS_AT_ONCE // (tall * columns))
        for first in range(0, count, many):
            for top in range(0, rows, tall):
                images, bands = slice(first, first + many), slice(top, min(rows, top + tall))
                parts = [known[images, bands.start + 1 : bands.stop + 1, 1 : 1 + columns]]
                for down, right in AROUND:
                    there = slice(bands.start + 1 + down, bands.stop + 1 + down)
                    beside = slice(1 + right, 1 + right + columns)
                    parts.append(known[images, there, beside, : self.seen])
                shown = np.concatenate(parts, axis=-1).astype(np.float64)
                yield (images, bands), shown.reshape(-1, shown.shape[-1])

    def tensors(self) -> dict[str, Array]:
        """All numbers that it is made of, by name."""
        found = {"forward": self.forward, "mean": self.mean, "steps": self.steps}
        found |= {"back": self.back, "level": self.level}
        for name in ("analysis", "synthesis"):
            network: FixedNetwork = getattr(self, name)
            found |= {f"{name}/{part}": t for part, t in network.tensors().items()}
        return found

    @classmethod
    def from_tensors(
        cls, patch: int, colours: int, seen: int, tensors: Mapping[str, Array]
    ) -> Transform:
        """The transform that ``tensors`` gave.

        Raises
        ------
        ModelFileError
            If they are not those of a transform.
        """
        try:
            kinds = {"forward": "f4", "mean": "f4", "steps": "i4", "back": "i4", "level": "i8"}
            parts = {name: tensors[name].astype(kind) for name, kind in kinds.items()}
        except (KeyError, ValueError) as error:
            raise ModelFileError(f"the transform lacks {error}.") from error
        if parts["steps"].ndim != 2 or parts["back"].ndim != 2 or not parts["steps"].size:
            raise ModelFileError("the parts of the transform do not fit each other.")
        analysis, synthesis = (
            FixedNetwork.from_tensors(under(f"{name}/", tensors))
            for name in ("analysis", "synthesis")
        )
        return cls(patch, colours, analysis=analysis, synthesis=synthesis, seen=seen, **parts)
