"""Principal components, the plain method for reducing and rebuilding."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.core import patches
from isthmus.core.linear import principal_components


class PCA:
    """Principal components of whole rows, or of the patches of large images.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
    axes : Tensor of shape (k, n_features)
    patch : int
        Side of the patches in pixels; 0 for whole rows.
    """

    def __init__(self, mean: Tensor, axes: Tensor, patch: int = 0) -> None:
        self.mean, self.axes, self.patch = mean, axes, patch

    @classmethod
    def fit(cls, x: Tensor, k: int, weight: Tensor | None = None, patch: int = 0) -> PCA:
        """Fit to rows.

        Parameters
        ----------
        x : Tensor of shape (n, *shape)
        k : int
            Components, of each patch where there are patches.
        weight : Tensor of shape (n,), (n, *shape) or (n, 1, height, width), optional
            Of rows, or of values: where it is 0, the mean of the column takes the value's place.
        patch : int
            Many images are cut into more patches than are fitted to: then to a sample of them.
        """
        which = patches.sample(x, patch) if patch else None
        rows = patches.known_rows(x, weight, patch, which)
        row_weight = patches.known_weight(x, weight, patch, which)
        found = principal_components(rows, k, row_weight)
        return cls(found.mean, found.axes, patch)

    def codes(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n, k), or (n, positions, k), how far along the components; a missing value is taken
        as the mean.
        """
        centred = self._rows(x) - self.mean
        if weight is not None and weight.ndim > 1:
            centred = centred * self._rows(patches.known(weight, x).to(x.dtype))
        return centred @ self.axes.T

    def _rows(self, x: Tensor) -> Tensor:
        return patches.patches(x, self.patch) if self.patch else x.flatten(1)

    def reconstruct(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n, *shape) rebuilt from the components."""
        rebuilt = self.codes(x, weight) @ self.axes + self.mean
        if not self.patch:
            return rebuilt.view_as(x)
        return patches.from_patches(rebuilt, tuple(x.shape[2:]), self.patch)

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return {"mean": self.mean, "axes": self.axes, "patch": torch.tensor(self.patch)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> PCA:
        """Read what ``tensors`` gave."""
        return cls(tensors["mean"], tensors["axes"], int(tensors["patch"]))
