"""Residual convolutions for images of any size, beside a linear path that begins as PCA."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from isthmus.core import patches
from isthmus.core.linear import column_mean
from isthmus.core.ranges import positive_int, positive_ints, share
from isthmus.core.types import Batch
from isthmus.parts.contracts import NETWORKS, Network, Shape
from isthmus.parts.networks.dense import LinearPath
from isthmus.parts.networks.layers import AlignedLinear, activation_of, normalization_of

GRID_PACE = 1 / 3
LARGEST_VECTOR = 65_536
"""Values in a row up to which one vector stands for the whole image."""
LARGEST_WIDE = 128 * 128
"""Pixels up to which the widths begin with 32."""
AFTER_ACTIVATION = math.sqrt(2)
"""The gain of a layer that makes up for what an activation before it cuts off."""


def keep_size(module: nn.Module, gain: float = 1.0) -> None:
    """Start a layer so that what leaves it is ``gain`` times as large as what enters.

    Under torch's own start it shrinks in every layer, and after ten of them nothing of the code
    is left to learn from. He et al. 2015, https://arxiv.org/abs/1502.01852.
    """
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        return
    fan_in = module.weight[0].numel()
    if isinstance(module, nn.ConvTranspose2d):
        fan_in = module.in_channels * math.prod(module.kernel_size) // math.prod(module.stride)
    nn.init.normal_(module.weight, std=gain / math.sqrt(fan_in))
    if module.bias is not None:
        nn.init.zeros_(module.bias)


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
        for layer in self.body:
            keep_size(layer, AFTER_ACTIVATION)

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
    widths : "auto" or sequence of int
        Channels after each halving of the size; as many halvings as entries. "auto" is (32, 64)
        up to 128 x 128 pixels and (16, 32, 64) from there on.
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

    aligned = True
    channels_last: bool = False
    """How features lie in memory while training."""

    def __init__(
        self,
        shape: Shape,
        params: Shape,
        dim: int,
        n_params: int = 1,
        n_given: int = 0,
        gaps: int = 0,
        widths: str | tuple[int, ...] = "auto",
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
        if isinstance(widths, str) and widths == "auto":
            widths = (32, 64) if math.prod(shape[1:]) <= LARGEST_WIDE else (16, 32, 64)
        widths, depth = positive_ints(widths, "widths"), positive_int(depth, "depth")
        share(dropout, "dropout")
        self.shape, self.params, self.dim, self.n_params = shape, params, dim, n_params
        self.n_given = n_given
        self.stride = 2 ** len(widths)
        whole = math.prod(shape) <= LARGEST_VECTOR if grid_code == "auto" else not grid_code
        self.on_grid = not whole
        self.pace = GRID_PACE if self.on_grid else 1.0
        style = (activation, normalization, dropout)
        self.small = patches.grid_of(shape[1:], self.stride)
        head = widths[-1] if self.on_grid else widths[-1] * math.prod(self.small)
        down: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 3, padding=1)]
        for a, b in zip(widths, [*widths[1:], widths[-1]], strict=True):
            down += [Residual(a, *style) for _ in range(depth)]
            down += [nn.Conv2d(a, b, 4, stride=2, padding=1)]
        self.down = nn.Sequential(*down, *[Residual(widths[-1], *style) for _ in range(depth)])
        self.gaps = nn.Conv2d(1, widths[0], 3, padding=1, bias=False) if gaps else None
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
        for layer in [*self.down, *self.up, self.to_code, self.from_code]:
            keep_size(layer)
        if self.gaps is not None:
            nn.init.zeros_(self.gaps.weight)
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
        return patches.grid_of(shape[1:], self.stride) if self.on_grid else ()

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        linear = None
        if self.path is not None:
            rows = self.path.centred(self._rows(x))
            if weight is not None and weight.ndim > 1:
                # What is missing is zero now, so that the linear path takes it as the mean.
                rows = rows * self._rows(patches.known(weight, x).to(x.dtype))
            linear = self.path.to_code(rows)
            x = self._image(rows, x)
        features = self._features(x, weight)
        h: Tensor = self.to_code(features if self.on_grid else features.flatten(1))
        h = h.reshape(len(h), self.n_params, self.dim, *h.shape[2:])
        if linear is None:
            return h
        if self.on_grid:
            linear = linear.transpose(1, 2).reshape(len(h), -1, *h.shape[3:])
        linear = linear.unsqueeze(1)
        return torch.cat([h[:, :1] + linear, h[:, 1:]], 1) if self.n_params > 1 else h + linear

    def _features(self, x: Tensor, weight: Tensor | None) -> Tensor:
        """(B, width, *small) of centred images, and of where something is missing in them."""
        first, rest = self.down[0], self.down[1:]
        features: Tensor = self._laid_out(first(patches.whole(x, self.stride)))
        if self.gaps is not None:
            gaps = torch.zeros_like(x[:, :1])
            if weight is not None and weight.ndim > 1:
                gaps = 1 - patches.known(weight, x).to(x.dtype).mean(1, keepdim=True)
            features = features + self.gaps(patches.whole(gaps, self.stride))
        out: Tensor = rest(features)
        return out

    def _laid_out(self, features: Tensor) -> Tensor:
        """As the weights are, so that nothing is turned on the way."""
        if not self.channels_last:
            return features
        return features.contiguous(memory_format=torch.channels_last)

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        features = self.from_code(z)
        if not self.on_grid:
            features = self._laid_out(features.view(len(z), -1, *self.small))
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
        return patches.from_patches(linear, self.params[1:], self.stride)

    def _rows(self, x: Tensor) -> Tensor:
        """(B, values) of whole images, or (B, positions, values) of patches."""
        return patches.patches(x, self.stride) if self.on_grid else x.flatten(1)

    def _image(self, rows: Tensor, x: Tensor) -> Tensor:
        if not self.on_grid:
            return rows.view_as(x)
        return patches.from_patches(rows, tuple(x.shape[2:]), self.stride)

    @torch.no_grad()
    def start(self, batch: Batch, params: Tensor) -> None:
        which = patches.sample(batch.x, self.stride) if self.on_grid else None
        cut = (self.stride, which)
        rows = patches.known_rows(batch.x, batch.weight, *cut)
        targets = patches.known_rows(params, batch.weight, *cut)
        weight = patches.known_weight(batch.x, batch.weight, *cut)
        given = batch.given
        if given is not None and which is not None:
            given = given[patches.images_of(batch.x, self.stride, which)]
        self.mean.copy_(column_mean(targets, weight))
        if self.path is not None:
            self.mean.copy_(self.path.start(rows, targets, weight, given))
