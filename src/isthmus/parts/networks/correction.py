"""A network that corrects what another method said, and stands apart from those of recipes."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from isthmus.parts.contracts import Network, Shape
from isthmus.parts.networks.dense import stack
from isthmus.parts.networks.layers import AlignedLinear


class Correction(Network):
    """Rows as they are, and what hidden layers add to them: at first nothing.

    The code is the row itself, so that the network begins as the method that made its rows (He et
    al. 2016, https://arxiv.org/abs/1512.03385); the layers see the conditions beside it.

    Parameters
    ----------
    shape : tuple of int
    n_given : int
    widths : sequence of int
        Of the hidden layers.
    """

    aligned = starts_plain = True

    def __init__(self, shape: Shape, n_given: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.dim = math.prod(shape)
        sizes = [self.dim + n_given, *widths, self.dim]
        layers: list[nn.Module] = [AlignedLinear(a, b) for a, b in pairwise(sizes)]
        self.layers = stack(layers, sizes[1:], "gelu", "none", 0.0)
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        return x.flatten(1).unsqueeze(1)

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        added: Tensor = self.layers(z)
        return torch.add(z[:, : self.dim], added)
