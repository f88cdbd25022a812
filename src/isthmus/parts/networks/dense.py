"""Stacks of fully connected layers, and the linear path that makes a network start as PCA."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.linear import column_mean, principal_components
from isthmus.core.ranges import positive_ints, share
from isthmus.core.sparse import SparseRows
from isthmus.core.types import Batch
from isthmus.parts.contracts import NETWORKS, Network, Shape
from isthmus.parts.networks.layers import (
    AlignedLinear,
    activation_of,
    aligned_linear,
    normalization_of,
)

RIDGE = 1e-6
SMALLEST_SCALE = 1e-6


class Transposed(nn.Module):
    """The mirror of a linear layer: its weight transposed, a bias of its own."""

    def __init__(self, mirrored: nn.Linear) -> None:
        super().__init__()
        self._mirrored = (mirrored,)
        self.bias = nn.Parameter(torch.zeros(mirrored.in_features))

    def forward(self, x: Tensor) -> Tensor:
        weight = self._mirrored[0].weight.t()
        if not self.training:
            return aligned_linear(x, weight, self.bias)
        product: Tensor = F.linear(x, weight, self.bias)
        return product


def stack(
    layers: list[nn.Module], widths: list[int], activation: str, normalization: str, dropout: float
) -> nn.Sequential:
    """Linear layers with normalisation, activation and dropout between them, none after the last.

    Parameters
    ----------
    layers : list of modules
    widths : list of int
        Of the output of each layer.
    """
    modules: list[nn.Module] = []
    for layer, width in zip(layers[:-1], widths[:-1], strict=True):
        modules += [layer, *normalization_of(normalization, width, 0), activation_of(activation)]
        if dropout:
            modules.append(nn.Dropout(dropout))
    return nn.Sequential(*modules, layers[-1])


class LinearPath(nn.Module):
    """z = P (x - m) down and x = P' z + m up, whitened: begins as the principal components.

    Parameters
    ----------
    n_in, n_out, dim : int
        Values of x, values of params, dimensions of z.
    n_given : int
        Conditions beside z, which the path up reads too.
    """

    shift: Tensor
    gain: Tensor

    def __init__(self, n_in: int, n_out: int, dim: int, n_given: int = 0) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.zeros(dim, n_in))
        self.up = nn.Parameter(torch.zeros(n_out, dim + n_given))
        self.register_buffer("shift", torch.zeros(n_in))
        self.register_buffer("gain", torch.ones(()))

    def centred(self, x: Tensor) -> Tensor:
        """(B, n_in) less its mean, at unit variance over all values."""
        return torch.addcmul(self.shift, x, self.gain)

    def to_code(self, x: Tensor) -> Tensor:
        """(B, ..., n_in) centred rows to (B, ..., dim), in full precision."""
        return self._full_precision(x, self.down)

    def from_code(self, z: Tensor) -> Tensor:
        """(B, ..., dim) to (B, ..., n_out), in full precision."""
        return self._full_precision(z, self.up)

    def _full_precision(self, x: Tensor, weight: Tensor) -> Tensor:
        if not self.training:
            return aligned_linear(x, weight)
        product: Tensor
        if not torch.is_autocast_enabled(x.device.type):
            product = F.linear(x, weight)
            return product
        with torch.autocast(x.device.type, enabled=False):
            product = F.linear(x.float(), weight)
        return product

    @torch.no_grad()
    def start(
        self,
        x: Tensor | SparseRows,
        params: Tensor | SparseRows,
        weight: Tensor | None,
        given: Tensor | None,
    ) -> Tensor:
        """Fit both directions to rows (n, n_in) and their (n, n_out) params.

        Returns
        -------
        Tensor of shape (n_out,)
            The bias up, which the caller owns.
        """
        found = principal_components(x, len(self.down), weight)
        spread = (found.total_variance / x.shape[1]).sqrt()
        # Rows that are all alike keep the width they came with: what is seen of them may be noisy.
        spread = spread.where(spread > SMALLEST_SCALE, spread.new_ones(()))
        self.gain.copy_(1 / spread)
        self.shift.copy_(-found.mean / spread)
        k = len(found.axes)
        scale = found.variance.sqrt()
        alive = scale > SMALLEST_SCALE * spread
        whiten = torch.where(alive, 1 / scale.clamp(min=1e-30), torch.zeros_like(scale))
        self.down.zero_()
        self.down[:k] = found.axes * (whiten * spread)[:, None]
        z = self.gain * x.matmul(self.down.T) + self.shift @ self.down.T
        mean = column_mean(params, weight)
        if given is None:
            self.up.copy_(least_squares(z, params, mean, weight))
            return mean
        middle = column_mean(given, weight)
        read = torch.cat([z, given - middle], 1)
        self.up.copy_(least_squares(read, params, mean, weight))
        return mean - self.up[:, z.shape[1] :] @ middle


def least_squares(
    z: Tensor, params: Tensor | SparseRows, mean: Tensor, weight: Tensor | None
) -> Tensor:
    """(n_out, n_z) weights that predict (n, n_out) params, less their mean, from (n, n_z) codes.

    The codes have no mean; a small ridge keeps those that do not vary at zero.
    """
    left = z if weight is None else z * (weight / weight.mean()).unsqueeze(1)
    gram = (left.T @ z).double() / len(z)
    gram.diagonal().add_(RIDGE)
    if isinstance(params, SparseRows):
        moment = params.t_matmul(left).T - left.sum(0).unsqueeze(1) * mean
    else:
        moment = left.T @ (params - mean)
    solved: Tensor = torch.linalg.solve(gram, moment.double() / len(z)).T.to(z.dtype)
    return solved


def missing(x: Tensor, weight: Tensor | None, gaps: int) -> Tensor:
    """(B, gaps) 1 where a value of a row is missing or hidden."""
    if weight is None or weight.ndim == 1:
        return x.new_zeros(len(x), gaps)
    return (weight == 0).flatten(1).to(x.dtype)


MANY_ROWS = 32_768
"""From which the widest layers earn their time."""


def automatic_widths(values: int, rows: int = 0) -> tuple[int, int]:
    """Hidden widths for so many rows of so many values: four times as wide, 64 to 512 (1,024 for
    many rows), then half.
    """
    most = 1024 if rows >= MANY_ROWS else 512
    wide = min(most, max(64, 2 ** math.ceil(math.log2(4 * values))))
    return wide, wide // 2


@NETWORKS.register("mlp")
class Dense(Network):
    """Fully connected, beside a linear path that begins as PCA.

    z = P (x - m) + f(x) and params = P' z + m' + g(z), where f and g end in zeros: before the
    first step the network is PCA, and training can only add to it.

    Parameters
    ----------
    widths : "auto" or sequence of int
        Hidden layers of the encoder; the decoder has them in reverse. "auto" goes by the number
        of values in a row, and of rows.
    activation : str
        "gelu", "relu", "silu", "elu", "selu", "leaky_relu", "tanh" or "sigmoid".
    normalization : "none", "batch" or "layer"
    dropout : float
        Share of the hidden units dropped, 0 to 1.
    tied : bool
        The decoder's weights are the encoder's, transposed.
    linear_path : bool
        Without it, the network is the plain one with a random start.
    """

    aligned = True

    def __init__(
        self,
        shape: Shape,
        params: Shape,
        dim: int,
        n_params: int = 1,
        n_given: int = 0,
        gaps: int = 0,
        widths: str | tuple[int, ...] = "auto",
        activation: str = "gelu",
        normalization: str = "none",
        dropout: float = 0.0,
        tied: bool = False,
        linear_path: bool = True,
    ) -> None:
        super().__init__()
        self.shape, self.params, self.dim, self.n_params = shape, params, dim, n_params
        n_in, n_out = math.prod(shape), math.prod(params)
        hidden = list(
            automatic_widths(n_in)
            if isinstance(widths, str) and widths == "auto"
            else positive_ints(widths, "widths")
        )
        share(dropout, "dropout")
        if tied and (n_params != 1 or n_given or n_in != n_out):
            raise ValueError("tied weights need a point code, no conditions, one output a value.")
        self.gaps = 0 if tied else gaps
        inward = [n_in + self.gaps, *hidden, n_params * dim]
        outward = [dim + n_given, *hidden[::-1], n_out]
        down = [AlignedLinear(a, b) for a, b in pairwise(inward)]
        up: list[nn.Module]
        if tied:
            up = [Transposed(layer) for layer in reversed(down)]
        else:
            up = [AlignedLinear(a, b) for a, b in pairwise(outward)]
        self.encoder = stack([*down], inward[1:], activation, normalization, dropout)
        self.decoder = stack(up, outward[1:], activation, normalization, dropout)
        self.path = LinearPath(n_in, n_out, dim, n_given) if linear_path else None
        self.starts_plain = linear_path
        if linear_path:
            self.hush()
        else:
            self._spread()

    def _spread(self) -> None:
        """Hidden layers that keep the size of a signal, since no path beside them carries it.

        He et al. 2015, https://arxiv.org/abs/1502.01852.
        """
        for half in (self.encoder, self.decoder):
            for layer in list(half)[:-1]:
                if isinstance(layer, nn.Linear):
                    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                    nn.init.zeros_(layer.bias)

    def hush(self) -> None:
        """The last layers to zero, so that only the linear path speaks."""
        for layer in (self.encoder[-1], self.decoder[-1]):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        x = x.flatten(1)
        x = x if self.path is None else self.path.centred(x)
        shown = torch.cat([x, missing(x, weight, self.gaps)], 1) if self.gaps else x
        h: Tensor = self.encoder(shown).view(-1, self.n_params, self.dim)
        if self.path is None:
            return h
        linear = self.path.to_code(x).unsqueeze(1)
        if self.n_params == 1:
            return h + linear
        return torch.cat([h[:, :1] + linear, h[:, 1:]], 1)

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        params: Tensor = self.decoder(z)
        if self.path is not None:
            params = params + self.path.from_code(z)
        return params if len(self.params) == 1 else params.view(-1, *self.params)

    @torch.no_grad()
    def start(self, batch: Batch, params: Tensor) -> None:
        if self.path is None:
            return
        weight = batch.row_weight
        params = params.flatten(1)
        bias = self.path.start(batch.x.flatten(1), params, weight, batch.given)
        last = self.decoder[-1]
        assert isinstance(last, nn.Linear | Transposed)
        last.bias.zero_()
        silent = self.decoder(last.bias.new_zeros(1, self.path.up.shape[1]))[0]
        last.bias.copy_(bias - silent)


@NETWORKS.register("linear")
class Linear(Network):
    """The linear path alone: with no phases of training, PCA.

    Jolliffe & Cadima 2016, https://doi.org/10.1098/rsta.2015.0202; that linear autoencoders
    find the same subspace: Baldi & Hornik 1989, https://doi.org/10.1016/0893-6080(89)90014-2.
    """

    aligned = starts_plain = True

    def __init__(
        self, shape: Shape, params: Shape, dim: int, n_params: int = 1, n_given: int = 0
    ) -> None:
        super().__init__()
        self.params, self.n_params = params, n_params
        self.path = LinearPath(math.prod(shape), math.prod(params), dim, n_given)
        self.rest = nn.Parameter(torch.zeros(n_params - 1, dim)) if n_params > 1 else None
        self.bias = nn.Parameter(torch.zeros(math.prod(params)))

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        linear = self.path.to_code(self.path.centred(x.flatten(1))).unsqueeze(1)
        if self.rest is None:
            return linear
        return torch.cat([linear, self.rest.expand(len(x), *self.rest.shape)], 1)

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        return (self.path.from_code(z) + self.bias).view(-1, *self.params)

    @torch.no_grad()
    def start(self, batch: Batch, params: Tensor) -> None:
        weight = batch.row_weight
        params = params.flatten(1)
        self.bias.copy_(self.path.start(batch.x.flatten(1), params, weight, batch.given))
