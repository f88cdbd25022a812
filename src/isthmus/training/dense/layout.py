"""Where the parameters of dense models lie in one vector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.model import Model
from isthmus.parts.networks import Dense
from isthmus.training.dense.tape import LINE, Array


class Block(NamedTuple):
    """A matrix among the parameters, from what is read to what is said.

    It has whole lines of 64 bytes, so that each value is computed in the same way among those of
    many models as among those of one.
    """

    first: int
    rows: int
    columns: int

    @property
    def size(self) -> int:
        """With what fills its last line."""
        values = self.rows * self.columns
        return values + -values % LINE


class Layout:
    """The parameters of a model as matrices that take the biases along.

    The last row of a layer's matrix (inputs + 1, outputs) holds its biases, for a column of ones
    in what it reads. The linear path up lies within the last layer of the decoder, above its
    biases, since both are added in the params.

    Parameters
    ----------
    model : Model
        With a ``Dense`` network.
    """

    def __init__(self, model: Model) -> None:
        network = model.network
        assert isinstance(network, Dense)
        self.dim, self.n_params, self.gaps = network.dim, network.n_params, network.gaps
        self.path = network.path is not None
        self.n_in, self.n_out = math.prod(network.shape), math.prod(network.params)
        self.inner = [layer.out_features for layer in linear_layers(network.encoder)[:-1]]
        self.outer = [layer.out_features for layer in linear_layers(network.decoder)[:-1]]
        scale = getattr(model.likelihood, "log_scale", None)
        fixed = scale is None or (scale.ndim == 0 and not scale.requires_grad)
        self.scales = 0 if scale is None or fixed else scale.numel()
        """Learned by the likelihood: one, or one by column."""
        self.blocks: list[Block] = []
        self.size = 0
        inward = [self.n_in + self.gaps, *self.inner, self.n_params * self.dim]
        outward = [self.dim, *self.outer, self.n_out]
        self.encoder = [self._block(a + 1, b) for a, b in pairwise(inward)]
        self.down = self._block(self.n_in if self.path else 0, self.dim)
        self.decoder = [self._block(a + 1, b) for a, b in pairwise(outward[:-1])]
        beside = self.dim if self.path else 0
        self.decoder.append(self._block(outward[-2] + beside + 1, self.n_out))
        self.log_scale = self._block(1, self.scales)

    def _block(self, rows: int, columns: int) -> Block:
        block = Block(self.size, rows, columns)
        self.size += block.size
        self.blocks.append(block)
        return block

    def parameters(self, model: Model, flat: Flat, member: int) -> Iterator[tuple[Tensor, Array]]:
        """Each parameter of a model with its place among those of all, of the same shape."""
        network = model.network
        assert isinstance(network, Dense)
        halves = ((network.encoder, self.encoder), (network.decoder, self.decoder))
        for half, blocks in halves:
            for layer, block in zip(linear_layers(half), blocks, strict=True):
                matrix, n = flat.member(member, block), layer.out_features
                yield layer.weight, matrix[: layer.in_features, :n].T
                yield layer.bias, matrix[-1, :n]
        if network.path is not None:
            last = flat.member(member, self.decoder[-1])
            yield network.path.down, flat.member(member, self.down).T
            yield network.path.up, last[self.outer[-1] : -1].T
        if self.scales:
            scale = model.likelihood.get_parameter("log_scale")
            yield scale, flat.member(member, self.log_scale).reshape(scale.shape)


class Flat:
    """A number for each parameter of so many models, in one vector.

    Block lies after block, and in each the models lie one after the other, so that a product of
    all models writes to one piece of memory.

    Parameters
    ----------
    layout : Layout
    members : int
    many : bool
        Whether arrays of a block have a first axis over models.
    dtype : dtype
    """

    def __init__(self, layout: Layout, members: int, many: bool, dtype: Any = np.float32) -> None:
        self.layout, self.members = layout, members
        self.lead = (members,) if many else ()
        self.values: Array = np.zeros(members * layout.size, dtype)

    def of(self, block: Block) -> Array:
        """(..., rows, columns) of all models."""
        found = self._matrices(block)
        return found if self.lead else found[0]

    def member(self, member: int, block: Block) -> Array:
        """(rows, columns) of a model."""
        found: Array = self._matrices(block)[member]
        return found

    def lines(self, member: int, block: Block) -> Array:
        """(block.size,) of a model."""
        first = self.members * block.first + member * block.size
        return self.values[first : first + block.size]

    def _matrices(self, block: Block) -> Array:
        n = self.members
        lines = self.values[n * block.first :][: n * block.size].reshape(n, block.size)
        values = lines[:, : block.rows * block.columns]
        return values.reshape(n, block.rows, block.columns)

    def take(self, member: int) -> Array:
        """(layout.size,) a copy of the numbers of a model."""
        return np.concatenate([self.lines(member, block) for block in self.layout.blocks])

    def put(self, member: int, numbers: Array) -> None:
        """Put back what ``take`` gave."""
        for block in self.layout.blocks:
            self.lines(member, block)[:] = numbers[block.first :][: block.size]

    def read(self, models: Sequence[Model]) -> None:
        """Take over the parameters of the models."""
        for i, model in enumerate(models):
            for parameter, place in self.layout.parameters(model, self, i):
                place[...] = parameter.detach().numpy()

    @torch.no_grad()
    def write(self, member: int, model: Model) -> None:
        """Into the parameters of a model."""
        for parameter, place in self.layout.parameters(model, self, member):
            parameter.copy_(torch.from_numpy(place.copy()))


def linear_layers(half: nn.Sequential) -> list[nn.Linear]:
    """Of the encoder or of the decoder."""
    return [layer for layer in half if isinstance(layer, nn.Linear)]
