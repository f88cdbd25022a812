"""Where the parameters of a dense model lie in one flat vector."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isthmus.model import Model
from isthmus.parts.networks import Dense

Array = NDArray[Any]
LINE = 16
"""Values in 64 bytes: where every matrix begins, so that sums are taken in the same order."""


class Block(NamedTuple):
    """A matrix in the flat vector, from what is read to what is said."""

    first: int
    rows: int
    columns: int

    @property
    def end(self) -> int:
        """Of its values."""
        return self.first + self.rows * self.columns

    def of(self, flat: Array) -> Array:
        """(..., rows, columns), a view of (..., size)."""
        return flat[..., self.first : self.end].reshape(*flat.shape[:-1], self.rows, self.columns)


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
        self.scales = scale.numel() if scale is not None and scale.requires_grad else 0
        """Learned by the likelihood."""
        self.size = 0
        inward = [self.n_in + self.gaps, *self.inner, self.n_params * self.dim]
        outward = [self.dim, *self.outer, self.n_out]
        self.encoder = [self._block(a + 1, b) for a, b in pairwise(inward)]
        self.down = self._block(self.n_in if self.path else 0, self.dim)
        self.decoder = [self._block(a + 1, b) for a, b in pairwise(outward[:-1])]
        beside = self.dim if self.path else 0
        self.decoder.append(self._block(outward[-2] + beside + 1, self.n_out))
        self.log_scale = self._block(1, self.scales)
        self.size += -self.size % LINE

    def _block(self, rows: int, columns: int) -> Block:
        block = Block(self.size, rows, columns)
        self.size = block.end + -block.end % LINE
        return block

    def parameters(self, model: Model, flat: Array) -> Iterator[tuple[Tensor, Array]]:
        """Each parameter of a model with its place in a flat vector, of the same shape."""
        network = model.network
        assert isinstance(network, Dense)
        halves = ((network.encoder, self.encoder), (network.decoder, self.decoder))
        for half, blocks in halves:
            for layer, block in zip(linear_layers(half), blocks, strict=True):
                matrix, n = block.of(flat), layer.out_features
                yield layer.weight, matrix[: layer.in_features, :n].T
                yield layer.bias, matrix[-1, :n]
        if network.path is not None:
            yield network.path.down, self.down.of(flat).T
            yield network.path.up, self.decoder[-1].of(flat)[self.outer[-1] : -1].T
        if self.scales:
            scale = model.likelihood.get_parameter("log_scale")
            yield scale, self.log_scale.of(flat).reshape(scale.shape)

    def read(self, model: Model, flat: Array) -> None:
        """The parameters of a model into its flat vector."""
        for parameter, place in self.parameters(model, flat):
            place[...] = parameter.detach().numpy()

    @torch.no_grad()
    def write(self, model: Model, flat: Array) -> None:
        """A flat vector into the parameters of its model."""
        for parameter, place in self.parameters(model, flat):
            parameter.copy_(torch.from_numpy(place.copy()))

    def decaying(self, model: Model) -> Array:
        """(size,) 1 where weights decay: in matrices, not in biases and scales."""
        mask = np.zeros(self.size, np.float32)
        for parameter, place in self.parameters(model, mask):
            place[...] = parameter.ndim >= 2
        return mask


def linear_layers(half: nn.Sequential) -> list[nn.Linear]:
    """Of the encoder or of the decoder."""
    return [layer for layer in half if isinstance(layer, nn.Linear)]
