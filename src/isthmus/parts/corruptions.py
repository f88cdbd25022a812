"""Corruptions: what the encoder gets to see while training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from isthmus.core import ranges
from isthmus.core.errors import SpecError
from isthmus.core.ranges import positive, positive_int
from isthmus.core.types import Batch
from isthmus.parts.contracts import CORRUPTIONS, Corruption, Likelihood


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
    https://doi.org/10.1145/1390156.1390294). Categories stay as they are: ``mask`` hides them.

    Parameters
    ----------
    scale : float
        Standard deviation of the noise, in the units in which the network sees x: standard
        deviations of the data, 0 to 1 under a Bernoulli likelihood, log(1 + x) of counts.
    """

    def __init__(self, scale: float = 0.3) -> None:
        super().__init__()
        self.scale = positive(scale, "scale", or_zero=True)
        self._noisy: Callable[[Tensor, Tensor], Tensor] = torch.add

    def suit(self, likelihood: Likelihood) -> None:
        self._noisy = likelihood.noisy

    def forward(self, batch: Batch) -> tuple[Batch, Batch]:
        noise = self.scale * torch.randn_like(batch.x)
        return batch._replace(x=self._noisy(batch.x, noise)), batch


@CORRUPTIONS.register("mask")
class Mask(Corruption):
    """Values hidden at random, as if they were missing; the target stays whole.

    Vincent et al. 2010, https://jmlr.org/papers/v11/vincent10a.html. Of images, whole squares:
    He et al. 2021, https://arxiv.org/abs/2111.06377.

    Parameters
    ----------
    share : float
        Share of the values hidden, 0 to 1.
    patch : int
        Side of the squares that are hidden of an image, with all their channels; 1 hides values.
    """

    hides = True

    def __init__(self, share: float = 0.25, patch: int = 1) -> None:
        super().__init__()
        self.share = ranges.share(share, "share")
        self.patch = positive_int(patch, "patch")

    def forward(self, batch: Batch) -> tuple[Batch, Batch]:
        kept = self._values(batch.x) if self.patch == 1 else self._squares(batch.x)
        weight = kept
        if batch.weight is not None:
            weight = kept * batch.weight.reshape(
                batch.weight.shape + (1,) * (kept.ndim - batch.weight.ndim)
            )
        return batch._replace(x=batch.x * kept, weight=weight), batch

    def _values(self, x: Tensor) -> Tensor:
        return torch.bernoulli(torch.full_like(x, 1 - self.share))

    def _squares(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise SpecError(
                f"corruption 'mask': patch={self.patch} hides squares of images, and these rows "
                "are none. Leave patch out."
            )
        height, width = x.shape[2:]
        grid = x[:, :1, :: self.patch, :: self.patch]
        squares = self._values(grid).repeat_interleave(self.patch, 2)
        squares = squares.repeat_interleave(self.patch, 3)
        return squares[..., :height, :width].expand_as(x)
