"""Corruptions: what the encoder gets to see while training."""

from __future__ import annotations

import torch

from isthmus.core import ranges
from isthmus.core.ranges import positive
from isthmus.core.types import Batch
from isthmus.parts.contracts import CORRUPTIONS, Corruption


@CORRUPTIONS.register("none")
class Nothing(Corruption):
    """The encoder sees x as it is."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, batch: Batch) -> tuple[Batch, Batch]:
        return batch, batch


@CORRUPTIONS.register("noise")
class Noise(Corruption):
    """Gaussian noise added to x; the target stays clean (Vincent et al. 2008,
    https://doi.org/10.1145/1390156.1390294).

    Parameters
    ----------
    scale : float
        Standard deviation of the noise, in the units in which the model sees x: standard
        deviations of the data, or 0 to 1 under a Bernoulli likelihood.
    """

    def __init__(self, scale: float = 0.3) -> None:
        super().__init__()
        self.scale = positive(scale, "scale", or_zero=True)

    def forward(self, batch: Batch) -> tuple[Batch, Batch]:
        noisy = batch.x + self.scale * torch.randn_like(batch.x)
        return batch._replace(x=noisy), batch


@CORRUPTIONS.register("mask")
class Mask(Corruption):
    """Values hidden at random, as if they were missing; the target stays whole.

    Vincent et al. 2010, https://jmlr.org/papers/v11/vincent10a.html.

    Parameters
    ----------
    share : float
        Share of the values hidden, 0 to 1.
    """

    def __init__(self, share: float = 0.25) -> None:
        super().__init__()
        self.share = ranges.share(share, "share")

    def forward(self, batch: Batch) -> tuple[Batch, Batch]:
        kept = torch.bernoulli(torch.full_like(batch.x, 1 - self.share))
        weight = kept
        if batch.weight is not None:
            weight = kept * batch.weight.reshape(
                batch.weight.shape + (1,) * (kept.ndim - batch.weight.ndim)
            )
        return batch._replace(x=batch.x * kept, weight=weight), batch
