"""Images as rows: whole, or as patches side by side; and as many rows as a start is fitted to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.core.linear import column_mean

SAMPLED_VALUES = 1 << 25
"""Values that a start is fitted to, where images are cut into patches: 128 MiB."""


def grid_of(size: tuple[int, ...], side: int) -> tuple[int, int]:
    """Rows and columns of patches with which an image of (height, width) is covered."""
    return -(-size[0] // side), -(-size[1] // side)


def whole(x: Tensor, side: int) -> Tensor:
    """(n, channels, height, width), its edge repeated until patches cover it."""
    down, right = (-length % side for length in x.shape[2:])
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def patches(x: Tensor, side: int) -> Tensor:
    """(n, positions, channels * side * side) of (n, channels, height, width)."""
    n, channels = x.shape[:2]
    down, right = grid_of(tuple(x.shape[2:]), side)
    cut = whole(x, side).reshape(n, channels, down, side, right, side)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(n, down * right, channels * side * side)


def from_patches(rows: Tensor, size: tuple[int, ...], side: int) -> Tensor:
    """(n, channels, height, width) of that size from what ``patches`` gave."""
    down, right = grid_of(size, side)
    cut = rows.reshape(len(rows), down, right, -1, side, side).permute(0, 3, 1, 4, 2, 5)
    image = cut.reshape(len(rows), -1, down * side, right * side)
    return image[..., : size[0], : size[1]]


def sample(x: Tensor, side: int) -> Tensor:
    """(m,) the numbers of the patches to fit to: all, or as many as memory should hold.

    Numbered image by image, then row by row. Drawn under a fixed seed of their own.
    """
    down, right = grid_of(tuple(x.shape[2:]), side)
    n = len(x) * down * right
    most = max(1, SAMPLED_VALUES // (x.shape[1] * side * side))
    if n <= most:
        return torch.arange(n, device=x.device)
    drawn = torch.randint(n, (most,), generator=torch.Generator().manual_seed(0))
    return drawn.sort().values.to(x.device)


def taken(x: Tensor, side: int, which: Tensor) -> Tensor:
    """(m, channels * side * side) the patches of these numbers; none but them is copied."""
    height, width = x.shape[2:]
    down, right = grid_of((height, width), side)
    along = torch.arange(side, device=x.device)
    position = which % (down * right)
    row = (position // right * side)[:, None] + along
    column = (position % right * side)[:, None] + along
    found = x[
        (which // (down * right))[:, None, None, None],
        torch.arange(x.shape[1], device=x.device)[:, None, None],
        row.clamp(max=height - 1)[:, None, :, None],
        column.clamp(max=width - 1)[:, None, None, :],
    ]
    return found.flatten(1)


def known_rows(
    x: Tensor, weight: Tensor | None, side: int = 0, which: Tensor | None = None
) -> Tensor:
    """(m, values) rows to fit to; where a value is missing, the mean of its column.

    Parameters
    ----------
    x : Tensor of shape (n, *shape)
    weight : Tensor of shape (n,), (n, *shape) or (n, 1, height, width), optional
        0 where a value is missing.
    side : int
        Of the patches; 0 for whole rows.
    which : Tensor of shape (m,), optional
        Numbers of patches.
    """
    rows = _cut(x, side, which)
    if weight is None or weight.ndim == 1:
        return rows
    weight = _cut(_per_value(weight, x), side, which)
    return torch.where(weight > 0, rows, column_mean(rows, weight))


def known_weight(
    x: Tensor, weight: Tensor | None, side: int = 0, which: Tensor | None = None
) -> Tensor | None:
    """(m,) how much each row counts: a patch of which half is missing, half as much.

    Whole rows count by their heaviest value. Parameters are as for ``known_rows``.
    """
    if weight is None:
        return None
    if weight.ndim == 1:
        return weight if which is None else weight[images_of(x, side, which)]
    if which is None:
        return weight.flatten(1).amax(1)
    return _cut(_per_value(weight, x), side, which).mean(1)


def images_of(x: Tensor, side: int, which: Tensor) -> Tensor:
    """(m,) the number of the image that each patch is from."""
    down, right = grid_of(tuple(x.shape[2:]), side)
    return which // (down * right)


def known(weight: Tensor, x: Tensor) -> Tensor:
    """Whether each value of x is there, from weights of the first axes of its shape."""
    return _per_value(weight, x) > 0


def _cut(x: Tensor, side: int, which: Tensor | None) -> Tensor:
    return x.flatten(1) if which is None else taken(x, side, which)


def _per_value(weight: Tensor, x: Tensor) -> Tensor:
    """The weight of each value of x, from weights of the first axes of its shape."""
    weight = weight.reshape(weight.shape + (1,) * (x.ndim - weight.ndim))
    if x.ndim == 4 and weight.shape[1] not in (1, x.shape[1]):
        weight = weight.amax(1, keepdim=True)
    return weight.expand_as(x)
