"""Activations and normalisations by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.errors import SpecError, nearest

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


ALIGNMENT = 16
"""Values, so that every row of a matrix begins at a multiple of 64 bytes."""


def aligned(x: Tensor) -> Tensor:
    """(n, k) with rows that begin at multiples of 64 bytes.

    Matrix products sum a row in an order that depends on where it begins in memory. Aligned, the
    answer for a row is the same to the bit wherever it stands among others.
    """
    n, k = x.shape
    if k % ALIGNMENT == 0:
        return x.contiguous()
    room = x.new_zeros(n, k + -k % ALIGNMENT)
    room[:, :k] = x
    return room[:, :k]


def aligned_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear`` whose answer for a row does not depend on the place of the row.

    Parameters
    ----------
    x : Tensor of shape (..., k)
    weight : Tensor of shape (m, k)
    bias : Tensor of shape (m,), optional
    """
    rows = aligned(x.reshape(-1, x.shape[-1]))
    product: Tensor = F.linear(rows, weight, bias)
    return product.view(*x.shape[:-1], -1)


class AlignedLinear(nn.Linear):
    """A linear layer that is an ordinary one while training, and aligned when it is used."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        if self.training:
            return super().forward(x)
        return aligned_linear(x, self.weight, self.bias)


def activation_of(name: str) -> nn.Module:
    """The activation of that name.

    Raises
    ------
    SpecError
        If there is none.
    """
    if name not in ACTIVATIONS:
        raise SpecError(f"there is no activation '{name}'. {nearest(str(name), ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def normalization_of(name: str, width: int, axes: int) -> list[nn.Module]:
    """The layer that normalises ``width`` channels over ``axes`` spatial axes; none for "none".

    "layer" is layer normalisation for vectors (Ba, Kiros & Hinton 2016,
    https://arxiv.org/abs/1607.06450) and group normalisation with one group for images.

    Raises
    ------
    SpecError
        If there is none of that name.
    """
    if name == "none":
        return []
    if name == "batch":
        return [nn.BatchNorm2d(width) if axes else nn.BatchNorm1d(width)]
    if name == "layer":
        return [nn.GroupNorm(1, width) if axes else nn.LayerNorm(width)]
    raise SpecError(
        f"there is no normalization '{name}'. {nearest(str(name), ['none', 'batch', 'layer'])}"
    )
