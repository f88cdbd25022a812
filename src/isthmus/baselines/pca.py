"""Principal components, the plain method for reducing and rebuilding."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

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
        weight : Tensor of shape (n,), optional
        patch : int
        """
        rows = _rows(x, patch)
        if patch and weight is not None:
            weight = weight.repeat_interleave(len(rows) // len(x))
        found = principal_components(rows, k, weight)
        return cls(found.mean, found.axes, patch)

    def reconstruct(self, x: Tensor) -> Tensor:
        """(n, *shape) rebuilt from the components."""
        rows = _rows(x, self.patch)
        rebuilt = (rows - self.mean) @ self.axes.T @ self.axes + self.mean
        if not self.patch:
            return rebuilt.view_as(x)
        size = tuple(side + -side % self.patch for side in x.shape[2:])
        columns = rebuilt.view(len(x), -1, rebuilt.shape[1]).transpose(1, 2)
        whole = F.fold(columns, size, self.patch, stride=self.patch)
        return whole[..., : x.shape[2], : x.shape[3]]

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        return {"mean": self.mean, "axes": self.axes, "patch": torch.tensor(self.patch)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> PCA:
        """Read what ``tensors`` gave."""
        return cls(tensors["mean"], tensors["axes"], int(tensors["patch"]))


def _rows(x: Tensor, patch: int) -> Tensor:
    if not patch:
        return x.flatten(1)
    missing = [-side % patch for side in x.shape[2:]]
    x = F.pad(x, (0, missing[1], 0, missing[0]), mode="replicate")
    return F.unfold(x, patch, stride=patch).transpose(1, 2).flatten(0, 1)
