"""Residual convolutions for images of any size, beside a linear path that begins as PCA."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.ranges import positive_int, positive_ints, share
from isthmus.core.types import Batch
from isthmus.parts.contracts import NETWORKS, Network, Shape
from isthmus.parts.networks.dense import LinearPath, params_mean, row_weight
from isthmus.parts.networks.layers import AlignedLinear, activation_of, normalization_of

LARGEST_VECTOR = 65_536
"""Values in a row up to which one vector stands for the whole image."""


class Residual(nn.Module):
    """x + f(x) with two 3 x 3 convolutions (He et al. 2016, https://arxiv.org/abs/1603.05027)."""

    def __init__(self, width: int, activation: str, normalization: str, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *normalization_of(normalization, width, 2),
            activation_of(activation),
            nn.Conv2d(width, width, 3, padding=1),
            *normalization_of(normalization, width, 2),
            activation_of(activation),
            *([nn.Dropout2d(dropout)] if dropout else []),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


@NETWORKS.register("conv")
class Convolution(Network):
    """Residual convolutions around a vector, or around a grid of codes for large images.

    The linear path is the PCA of whole images under a vector code, of patches under a grid.
    Sizes that the stride does not divide are padded by repeating the edge, and cropped again.

    Parameters
    ----------
    widths : sequence of int
        Channels after each halving of the size; as many halvings as entries.
    depth : int
        Residual blocks at each size.
    grid_code : "auto" or bool
        One code per position (True) or one per image (False). "auto" takes a vector up to
        65,536 values.
    activation, normalization, dropout
        As for "mlp"; "layer" normalises over channels and positions.
    linear_path : bool
        Without it, the network is the plain one with a random start.
    """

    def __init__(
        self,
        shape: Shape,
        params: Shape,
        dim: int,
        n_params: int = 1,
        n_given: int = 0,
        widths: tuple[int, ...] = (32, 64),
        depth: int = 1,
        grid_code: str | bool = "auto",
        activation: str = "gelu",
        normalization: str = "none",
        dropout: float = 0.0,
        linear_path: bool = True,
    ) -> None:
        super().__init__()
        if len(shape) != 3 or len(params) != 3:
            raise ValueError(f"a convolution needs images (channels, height, width), got {shape}.")
        widths, depth = positive_ints(widths, "widths"), positive_int(depth, "depth")
        share(dropout, "dropout")
        self.shape, self.params, self.dim, self.n_params = shape, params, dim, n_params
        self.n_given = n_given
        self.stride = 2 ** len(widths)
        whole = math.prod(shape) <= LARGEST_VECTOR if grid_code == "auto" else not grid_code
        self.on_grid = not whole
        style = (activation, normalization, dropout)
        self.small = tuple(-(-side // self.stride) for side in shape[1:])
        head = widths[-1] if self.on_grid else widths[-1] * math.prod(self.small)
        down: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 3, padding=1)]
        for a, b in zip(widths, [*widths[1:], widths[-1]], strict=True):
            down += [Residual(a, *style) for _ in range(depth)]
            down += [nn.Conv2d(a, b, 4, stride=2, padding=1)]
        self.down = nn.Sequential(*down, *[Residual(widths[-1], *style) for _ in range(depth)])
        up: list[nn.Module] = [Residual(widths[-1], *style) for _ in range(depth)]
        for a, b in zip([widths[-1], *widths[:0:-1]], widths[::-1], strict=True):
            up += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1)]
            up += [Residual(b, *style) for _ in range(depth)]
        self.up = nn.Sequential(*up, nn.Conv2d(widths[0], params[0], 3, padding=1))
        out, z = n_params * dim, dim + n_given
        self.to_code = nn.Conv2d(head, out, 1) if self.on_grid else AlignedLinear(head, out)
        self.from_code = nn.Conv2d(z, head, 1) if self.on_grid else AlignedLinear(z, head)
        patch = self.stride**2 if self.on_grid else math.prod(shape[1:])
        self.mean = nn.Parameter(torch.zeros(params[0] * patch))
        self.path = (
            LinearPath(shape[0] * patch, params[0] * patch, dim, n_given) if linear_path else None
        )
        self.starts_plain = linear_path
        if linear_path:
            self.hush()

    def hush(self) -> None:
        """The last layers to zero, so that only the linear path speaks."""
        last = self.up[-1]
        assert isinstance(last, nn.Conv2d)
        for layer in (self.to_code, last):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def grid(self, shape: Shape) -> Shape:
        return tuple(-(-side // self.stride) for side in shape[1:]) if self.on_grid else ()

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        rows = self._rows(x)
        if self.path is not None:
            rows = self.path.centred(rows)
            x = self._image(rows, x)
        features = self.down(self._whole(x))
        h: Tensor = self.to_code(features if self.on_grid else features.flatten(1))
        h = h.reshape(len(h), self.n_params, self.dim, *h.shape[2:])
        if self.path is None:
            return h
        linear = self._onto_grid(self.path.to_code(rows), h.shape[3:]).unsqueeze(1)
        return torch.cat([h[:, :1] + linear, h[:, 1:]], 1) if self.n_params > 1 else h + linear

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        features = self.from_code(z)
        if not self.on_grid:
            features = features.view(len(z), -1, *self.small)
        image: Tensor = self.up(features)[..., : self.params[1], : self.params[2]]
        return image + self._linear_up(z)

    def _linear_up(self, z: Tensor) -> Tensor:
        """The mean, and what the linear path adds to it."""
        rows = z.flatten(2).transpose(1, 2) if self.on_grid else z
        linear = self.mean.expand(*rows.shape[:-1], -1)
        if self.path is not None:
            linear = linear + self.path.from_code(rows)
        if not self.on_grid:
            return linear.reshape(-1, *self.params)
        patches = linear.transpose(1, 2)
        size = tuple(side * self.stride for side in z.shape[2:])
        image = F.fold(patches, size, kernel_size=self.stride, stride=self.stride)
        return image[..., : self.params[1], : self.params[2]]

    def _whole(self, x: Tensor) -> Tensor:
        """The image, its edge repeated until the stride divides it."""
        missing = [-side % self.stride for side in x.shape[2:]]
        if not any(missing):
            return x
        return F.pad(x, (0, missing[1], 0, missing[0]), mode="replicate")

    def _rows(self, x: Tensor) -> Tensor:
        """(B, values) of whole images, or (B, positions, values) of patches."""
        if not self.on_grid:
            return x.flatten(1)
        unfolded = F.unfold(self._whole(x), self.stride, stride=self.stride)
        return unfolded.transpose(1, 2)

    def _image(self, rows: Tensor, x: Tensor) -> Tensor:
        if not self.on_grid:
            return rows.view_as(x)
        size = tuple(side * self.stride for side in self.grid(tuple(x.shape[1:])))
        folded = F.fold(rows.transpose(1, 2), size, self.stride, stride=self.stride)
        return folded[..., : x.shape[2], : x.shape[3]]

    def _onto_grid(self, linear: Tensor, grid: torch.Size) -> Tensor:
        return linear.transpose(1, 2).reshape(len(linear), -1, *grid) if self.on_grid else linear

    @torch.no_grad()
    def start(self, batch: Batch, params: Tensor) -> None:
        weight = row_weight(batch.weight)
        rows = self._rows(batch.x)
        targets = self._rows(params) if self.on_grid else params.flatten(1)
        given = batch.given
        if self.on_grid:
            positions = rows.shape[1]
            rows, targets = rows.flatten(0, 1), targets.flatten(0, 1)
            weight = None if weight is None else weight.repeat_interleave(positions)
            given = None if given is None else given.repeat_interleave(positions, 0)
        self.mean.copy_(params_mean(targets, weight))
        if self.path is not None:
            self.mean.copy_(self.path.start(rows, targets, weight, given))
