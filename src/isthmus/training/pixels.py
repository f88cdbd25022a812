"""Pixels and their neighbours, drawn from images of any sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.coding.neighbourhood import Neighbourhood

Array = npt.NDArray[Any]


class Pixels(NamedTuple):
    """What a network is shown of some pixels, and what they are."""

    shown: Tensor
    """(n_inputs, n)"""
    value: Tensor
    """(n,), less the reference, in the units of what is shown"""
    width: Tensor
    """(n,), of one grey value in those units"""
    lowest: Tensor
    highest: Tensor
    """(n,), whether no value is lower or higher"""


class PixelSource:
    """The pixels of the last of some planes, with those around them.

    Beyond the sides, pixels are as ``coding.wavefront.Sheared`` has them.

    Parameters
    ----------
    images : sequence of sequence of array of shape (height, width)
        The planes of each image, in the order in which they are coded.
    hood : Neighbourhood
    depth : int
        Bits of a value.
    """

    def __init__(self, images: Sequence[Sequence[Array]], hood: Neighbourhood, depth: int) -> None:
        self.hood, self.depth = hood, depth
        margins = hood.margins
        self.above, self.left = margins[0], margins[2]
        padded = [[_padded(plane, margins) for plane in planes] for planes in images]
        self.planes = [
            np.concatenate([planes[k].ravel() for planes in padded]) for k in range(hood.planes + 1)
        ]
        self.strides = np.array([planes[0].shape[1] for planes in padded])
        sizes = np.array([planes[0].size for planes in padded])
        self.origins = np.cumsum(sizes) - sizes
        self.widths = np.array([planes[0].shape[1] for planes in images])
        counts = np.array([planes[0].size for planes in images])
        self.firsts = np.cumsum(counts) - counts
        self.n = int(counts.sum())

    def pixels(self, numbers: Array) -> Pixels:
        """Those of the given numbers, counted through all images."""
        image = np.searchsorted(self.firsts, numbers, side="right") - 1
        rows, columns = np.divmod(numbers - self.firsts[image], self.widths[image])
        stride = self.strides[image]
        place = self.origins[image] + (self.above + rows) * stride + self.left + columns
        own = self._around(self.planes[-1], self.hood.own_offsets, place, stride)
        others = [
            self._around(plane, self.hood.other_offsets, place, stride)
            for plane in self.planes[:-1]
        ]
        places = (rows.astype(np.float32), columns.astype(np.float32))
        shown, reference, shift = self.hood.features(
            own, others, places if self.hood.places else None, self.depth
        )
        value = self.planes[-1].take(place).astype(np.float32)
        width = np.ones_like(value) if shift is None else np.ldexp(np.float32(1), -shift)
        return Pixels(
            torch.from_numpy(shown),
            torch.from_numpy((value - reference) * width),
            torch.from_numpy(width),
            torch.from_numpy(value == 0),
            torch.from_numpy(value == 2**self.depth - 1),
        )

    @staticmethod
    def _around(
        plane: Array, offsets: Sequence[tuple[int, int]], place: Array, stride: Array
    ) -> Array:
        down, right = (np.array(axis)[:, None] for axis in zip(*offsets, strict=True))
        found: Array = plane.take(place + right + down * stride).astype(np.float32)
        return found

    def drawn(self, n: int, seed: Sequence[int]) -> Pixels:
        """Some pixels at random."""
        return self.pixels(np.random.default_rng(list(seed)).integers(0, self.n, n))

    def sample(self, most: int, at_once: int = 1 << 15) -> Iterator[Pixels]:
        """The same pixels each time, spread evenly over all images."""
        numbers = np.arange(self.n)
        if self.n > most:
            numbers = np.random.default_rng(0).choice(self.n, most, replace=False)
        for start in range(0, len(numbers), at_once):
            yield self.pixels(numbers[start : start + at_once])


def _padded(plane: Array, margins: tuple[int, int, int, int]) -> Array:
    above, under, left, right = margins
    height, width = plane.shape
    whole = np.zeros((above + height + under, left + width + right), plane.dtype)
    whole[above : above + height, left : left + width] = plane
    whole[above + 1 : above + height, :left] = plane[:-1, :1]
    whole[above : above + height, left + width :] = plane[:, -1:]
    whole[above + height :] = whole[above + height - 1]
    return whole
