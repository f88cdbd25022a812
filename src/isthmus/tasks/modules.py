"""The two halves of a model, alone."""

from __future__ import annotations

from torch import Tensor, nn

from isthmus.model import Model


class Encoder(nn.Module):
    """The way down of a model, alone."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.likelihood, self.network = model.likelihood, model.network
        self.bottleneck = model.code  # ``code`` is taken where modules are exported

    def forward(self, x: Tensor) -> Tensor:
        """(n, *shape) to (n, dim, *grid)."""
        mean: Tensor = self.bottleneck(self.network.encode(self.likelihood.embed(x))).mean
        return mean


class Decoder(nn.Module):
    """The way up of a model, alone."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network, self.likelihood = model.network, model.likelihood

    def forward(self, z: Tensor) -> Tensor:
        """(n, dim, *grid) to (n, *shape), the expected value."""
        mean: Tensor = self.likelihood.mean(self.network.decode(z))
        return mean
