"""Whole numbers on a grid to bytes and back: each group of channels by what a network expects.

A transform gives every block of pixels some channels, the ones that tell most first. They are coded
group by group: a network sees all groups before, at the block and those beside it, and of its own
group the blocks that are known by then. As with pixels, all blocks at column
``step - SLOPE * row`` are coded at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import constriction
import numpy as np
import numpy.typing as npt

from isthmus.coding.fixed import FixedNetwork
from isthmus.coding.mixture import Digits, Mixture, radices
from isthmus.coding.planes import shortest

Array = npt.NDArray[Any]

SLOPE = 2
OWN = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
"""Rows and columns to go, of the blocks whose own group is known."""
BEFORE = ((0, 0), (-1, 0), (0, -1), (0, 1), (1, 0))
"""Of those of which the groups before are shown."""
LIMIT = 255
"""The largest number that a network is shown."""
DEPTH = 10
"""Bits of a number, at most."""
AT_ONCE = 4096
"""Blocks for which an encoder asks a network at a time."""


@dataclass(frozen=True)
class Groups:
    """Channels in the order in which they are coded.

    Parameters
    ----------
    sizes : tuple of int
        Channels of each group.
    places : bool
        Whether row and column are shown too: for small images of one size.
    seen : int
        Of the blocks around one, only so many channels are shown of the groups before; they tell
        most.
    """

    sizes: tuple[int, ...]
    places: bool = False
    seen: int = 24

    @property
    def channels(self) -> int:
        """Of all groups."""
        return sum(self.sizes)

    @property
    def starts(self) -> list[int]:
        """The first channel of each group, and after them all the number of channels."""
        return [*accumulate(self.sizes, initial=0)]

    def n_inputs(self, group: int) -> int:
        """Numbers that the network of a group is shown."""
        start, size = self.starts[group], self.sizes[group]
        beside = (len(BEFORE) - 1) * min(start, self.seen)
        return start + beside + len(OWN) * size + 2 * self.places

    def shown(self, group: int, at: Callable[[int, int], Array], places: Sequence[Array]) -> Array:
        """What the network of a group is shown.

        Parameters
        ----------
        group : int
        at : callable
            The channels so many rows and columns away: an array of shape (n, channels).
        places : sequence of array of shape (n,)
            Rows and columns.

        Returns
        -------
        array of shape (n, n_inputs)
        """
        start, stop = self.starts[group], self.starts[group + 1]
        parts = [at(0, 0)[:, :start]] if start else []
        parts += [at(*offset)[:, : min(start, self.seen)] for offset in BEFORE[1:] if start]
        parts += [at(*offset)[:, start:stop] for offset in OWN]
        if self.places:
            parts += [np.minimum(place, LIMIT)[:, None] for place in places]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class LatentCoder:
    """Codes channels by the networks of their groups.

    Parameters
    ----------
    groups : Groups
    networks : sequence of FixedNetwork
        One for each group. Outputs are means, scales and log weights of ``Mixture``, of each
        component for all channels of the group.
    depths : array of shape (QUALITIES, groups), uint8
        Bits of a number, at most ``DEPTH``.
    """

    groups: Groups
    networks: Sequence[FixedNetwork]
    depths: Array

    def fit(self, latents: Array, quality: int) -> Array:
        """Numbers cut to what can be coded."""
        depths = np.repeat(self.depths[quality].astype(np.int64), self.groups.sizes)
        most = 2.0 ** (depths - 1)
        return np.clip(latents, -most, most - 1).astype(np.int16)

    def encode(self, latents: Array, quality: int, above: Array | None = None) -> bytes:
        """Numbers of shape (count, height, width, channels) as bytes.

        Parameters
        ----------
        latents : array of int16
            What ``fit`` gave.
        quality : int
        above : array of shape (count, width, channels), optional
            The row of blocks that was coded before the first.
        """
        coder = constriction.stream.queue.RangeEncoder()
        family = constriction.stream.model.Categorical(perfect=False)
        known = _Known(latents.shape, above)
        known.cells[:, 1:-1, 1:-1] = np.clip(latents, -LIMIT, LIMIT)
        used = self.used(latents)
        for group in range(used):
            part = slice(*self.groups.starts[group : group + 2])
            depth = int(self.depths[quality, group])
            for steps in _together(known.steps, known.count):
                rows, columns = (np.concatenate(axis) for axis in zip(*steps, strict=True))
                values = latents[:, rows, columns, part].transpose(1, 0, 2)
                whole = values.ravel().astype(np.int32) + (1 << depth - 1)
                found = self._expected(known, group, quality, rows, columns)
                coded = []
                for bits in radices(depth):
                    counts = found.frequencies(bits)
                    digits = ((whole >> found.bits_left) & ((1 << bits) - 1)).astype(np.int32)
                    coded.append((digits, counts))
                    found.narrow(digits)
                at = 0
                for step_rows, _ in steps:
                    here = slice(at, at + len(step_rows) * known.count * self.groups.sizes[group])
                    for digits, counts in coded:
                        coder.encode(digits[here], family, counts[here])
                    at = here.stop
        return bytes([used]) + shortest(coder)

    def used(self, latents: Array) -> int:
        """Groups up to the last in which there is anything."""
        there = latents.any(axis=(0, 1, 2))
        last = np.flatnonzero(there)
        return 0 if not last.size else int(np.searchsorted(self.groups.starts, last[-1], "right"))

    def decode(
        self,
        data: bytes,
        shape: tuple[int, int, int],
        quality: int,
        above: Array | None = None,
    ) -> Array:
        """The numbers that ``encode`` coded, of shape (count, height, width, channels).

        Raises
        ------
        ValueError
            If the bytes cannot have come from ``encode``.
        """
        if not data or data[0] > len(self.groups.sizes):
            raise ValueError("the coded bytes are damaged")
        words = np.frombuffer(data[1:] + bytes(-len(data[1:]) % 4), ">u4").astype(np.uint32)
        coder = constriction.stream.queue.RangeDecoder(words)
        family = constriction.stream.model.Categorical(perfect=False)
        known = _Known((*shape, self.groups.channels), above)
        latents = np.zeros((*shape, self.groups.channels), np.int16)
        try:
            for group in range(data[0]):
                self._decode_group(
                    latents, known, group, quality, lambda counts: coder.decode(family, counts)
                )
        except AssertionError as error:  # what constriction raises of bytes that are impossible
            raise ValueError("the coded bytes are damaged") from error
        return latents

    def _decode_group(
        self,
        latents: Array,
        known: _Known,
        group: int,
        quality: int,
        take: Callable[[Array], Array],
    ) -> None:
        part = slice(*self.groups.starts[group : group + 2])
        depth = int(self.depths[quality, group])
        for rows, columns in known.steps:
            found = self._expected(known, group, quality, rows, columns)
            for bits in radices(depth):
                found.narrow(take(found.frequencies(bits)))
            values = (found.low - (1 << depth - 1)).reshape(len(rows), known.count, -1)
            values = values.transpose(1, 0, 2)
            latents[:, rows, columns, part] = values
            known.cells[:, rows + 1, columns + 1, part] = np.clip(values, -LIMIT, LIMIT)

    def _expected(
        self, known: _Known, group: int, quality: int, rows: Array, columns: Array
    ) -> Digits:
        """The distributions of a group's numbers at some blocks: block, image, channel."""
        n = len(rows) * known.count

        def at(down: int, right: int) -> Array:
            found = known.cells[:, rows + 1 + down, columns + 1 + right]
            return found.transpose(1, 0, 2).reshape(n, -1)

        places = [np.repeat(axis, known.count) for axis in (rows, columns)]
        shown = self.groups.shown(group, at, places).astype(np.float64)
        size, depth = self.groups.sizes[group], int(self.depths[quality, group])
        outputs = np.empty((n, self.networks[group].n_outputs))
        for first in range(0, n, AT_ONCE):
            part = slice(first, first + AT_ONCE)
            outputs[part] = self.networks[group](shown[part], quality)
        apart = outputs.reshape(n, -1, size).transpose(1, 0, 2).reshape(-1, n * size)
        middle = np.full(n * size, 1 << depth - 1, np.int32)
        return Digits(Mixture(apart, middle, None, depth), depth)

    def tensors(self) -> dict[str, Array]:
        """All numbers that it is made of, by name."""
        found = {"depths": self.depths}
        for number, network in enumerate(self.networks):
            found |= {f"{number}/{name}": t for name, t in network.tensors().items()}
        return found


class _Known:
    """What is shown of blocks, with a border of zeros, and the order in which they are coded."""

    def __init__(self, shape: tuple[int, ...], above: Array | None) -> None:
        self.count, height, width, channels = shape
        self.cells = np.zeros((self.count, height + 2, width + 2, channels), np.float32)
        if above is not None:
            self.cells[:, 0, 1:-1] = np.clip(above, -LIMIT, LIMIT)
        self.steps = []
        for step in range(width + SLOPE * (height - 1)):
            rows = np.arange(max(0, -((width - 1 - step) // SLOPE)), min(height, step // SLOPE + 1))
            if rows.size:
                self.steps.append((rows, step - SLOPE * rows))


def _together(steps: Sequence[tuple[Array, Array]], count: int) -> list[list[tuple[Array, Array]]]:
    """Steps in bundles of about as many blocks as an encoder asks for at a time."""
    found: list[list[tuple[Array, Array]]] = [[]]
    blocks = 0
    for step in steps:
        if blocks >= AT_ONCE:
            found.append([])
            blocks = 0
        found[-1].append(step)
        blocks += len(step[0]) * count
    return found
