"""The two halves of a model, alone."""

from __future__ import annotations

from torch import Tensor, nn

from isthmus.ensemble import Ensemble
from isthmus.model import Model


class Encoder(nn.Module):
    """The way down of a model, alone."""

    def __init__(self, model: Model | Ensemble) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n, *shape) to (n, dim, *grid); ``weight``, (n, *shape), is 0 where a value is missing
        and else 1.
        """
        return self.model.codes(x, weight)


class Decoder(nn.Module):
    """The way up of a model, alone."""

    def __init__(self, model: Model | Ensemble) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        """(n, dim, *grid) to (n, *shape), the expected value."""
        return self.model.expected(z)
