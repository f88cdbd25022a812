"""From a damaged image to a whole one: a linear filter, and a U-shaped network beside it."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.ranges import positive_int, positive_ints

RIDGE = 1e-4
"""Of the least squares, relative to the mean square of what the filter sees."""
LEAST = 1e-9


class Kernel(nn.Module):
    """A convolution whose weight is a matrix, as some optimisers want it; without a bias.

    Without biases, a network does the same to an image of twice the contrast: it generalises to
    strengths of noise that it was not trained on (Mohan et al. 2020,
    https://arxiv.org/abs/1906.05478).

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    side : int
        Of the square that it sees.
    stride : int
    repeats : bool
        Whether there is more of the same beyond the edge, or nothing.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int = 3, stride: int = 1, repeats: bool = False
    ) -> None:
        super().__init__()
        self.inputs, self.side, self.stride, self.repeats = inputs, side, stride, repeats
        fan_in = inputs * side * side
        self.weight = nn.Parameter(torch.randn(outputs, fan_in) * math.sqrt(2 / fan_in))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, height, width) to (B, outputs, height / stride, width / stride)."""
        weight = self.weight.view(-1, self.inputs, self.side, self.side)
        around = self.side // 2 if self.stride == 1 else 0
        if self.repeats:
            x, around = F.pad(x, (around,) * 4, mode="replicate"), 0
        return F.conv2d(x, weight, stride=self.stride, padding=around)


class Block(nn.Module):
    """x + f(x), two convolutions without normalisation; f begins as zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Kernel(width, width), Kernel(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, height, width) to the same shape."""
        out: Tensor = x + self.second(F.relu(self.first(x)))
        return out


class UNet(nn.Module):
    """A linear filter, to which a U-shaped network adds what no filter can do.

    The filter is found by least squares before training, so that it starts as the best linear
    method there is for the damage. Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597; in
    the residual form of Zhang et al. 2021, https://arxiv.org/abs/2008.13751.

    Parameters
    ----------
    shown : int
        Channels of what it is shown.
    channels : int
        Of the images that it gives.
    fold, unfold : int
        Pixels of a side of what it is shown, and of what it gives, that stand at one position of
        its finest grid.
    widths : sequence of int
        Channels at each size, each of half the size before.
    depth : int
        Blocks at each size, on the way down and on the way up.
    reach : int
        Positions of a side that the filter sees.
    """

    mean: Tensor
    seen_mean: Tensor

    def __init__(
        self,
        shown: int,
        channels: int,
        fold: int = 2,
        unfold: int = 2,
        widths: tuple[int, ...] = (48, 80, 128),
        depth: int = 1,
        reach: int = 5,
    ) -> None:
        super().__init__()
        widths, depth = positive_ints(widths, "widths"), positive_int(depth, "depth")
        self.fold, self.unfold = fold, unfold
        self.factor = 2 ** (len(widths) - 1)
        inputs, outputs = shown * fold**2, channels * unfold**2
        self.filter = Kernel(inputs, outputs, reach, repeats=True)
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("seen_mean", torch.zeros(shown, 1, 1))
        self.filter.weight.requires_grad_(False)  # it is at its best already
        nn.init.zeros_(self.filter.weight)
        self.head = Kernel(inputs, widths[0])
        self.down, self.smaller = nn.ModuleList(), nn.ModuleList()
        self.up, self.larger = nn.ModuleList(), nn.ModuleList()
        for a, b in pairwise(widths):
            self.down.append(_blocks(a, depth))
            self.smaller.append(Kernel(a, b, 2, 2))
            self.larger.append(Kernel(b, 4 * a, 1))
            self.up.append(_blocks(a, depth))
        self.middle = _blocks(widths[-1], depth)
        self.tail = Kernel(widths[0], outputs)
        nn.init.zeros_(self.tail.weight)

    def hush(self) -> None:
        """Only the filter speaks."""
        nn.init.zeros_(self.tail.weight)

    def matrices(self) -> list[nn.Parameter]:
        """The weights of its hidden layers."""
        outer = {id(self.filter.weight), id(self.head.weight), id(self.tail.weight)}
        return [p for p in self.parameters() if p.ndim == 2 and id(p) not in outer]

    @property
    def margin(self) -> int:
        """Multiple, in pixels of what it is shown, that a size is padded to."""
        return int(self.fold * self.factor)

    def forward(self, x: Tensor) -> Tensor:
        """(B, shown, height, width) to (B, channels, height * unfold / fold, ...).

        Sizes that its grids do not divide are padded by mirroring, and cropped again.
        """
        height, width = x.shape[2:]
        x = padded(x - self.seen_mean, self.margin)
        x = F.pixel_unshuffle(x, self.fold)
        out = F.pixel_shuffle(self.filter(x) + self._beyond(x), self.unfold) + self.mean
        ratio = self.unfold, self.fold
        return out[..., : height * ratio[0] // ratio[1], : width * ratio[0] // ratio[1]]

    def _beyond(self, x: Tensor) -> Tensor:
        """What the network adds to the filter."""
        x = self.head(x)
        kept = []
        for blocks, smaller in zip(self.down, self.smaller, strict=True):
            x = blocks(x)
            kept.append(x)
            x = smaller(x)
        x = self.middle(x)
        for blocks, larger in reversed(list(zip(self.up, self.larger, strict=True))):
            x = blocks(F.pixel_shuffle(larger(x), 2) + kept.pop())
        out: Tensor = self.tail(x)
        return out

    @torch.no_grad()
    def start(self, seen: Tensor, target: Tensor, weight: Tensor | None = None) -> None:
        """Find the filter by least squares.

        Parameters
        ----------
        seen : Tensor of shape (B, shown, height, width)
        target : Tensor of shape (B, channels, height * unfold / fold, ...)
        weight : Tensor of the shape of target, optional
            0 where the target tells nothing.
        """
        self.mean.copy_(target.mean((0, 2, 3))[:, None, None])
        self.seen_mean.copy_(seen.mean((0, 2, 3))[:, None, None])
        rows, answers = [], []
        side = self.filter.side
        for one, whole in zip(seen - self.seen_mean, target - self.mean, strict=True):
            folded = F.pixel_unshuffle(one[None], self.fold)
            rows.append(F.unfold(folded, side)[0])
            edge = side // 2
            wanted = F.pixel_unshuffle(whole[None], self.unfold)
            answers.append(wanted[0, :, edge:-edge, edge:-edge].flatten(1))
        sees, wants = torch.cat(rows, 1).double(), torch.cat(answers, 1).double()
        products = sees @ sees.T
        products.diagonal().add_(RIDGE * products.diagonal().mean() + LEAST)
        self.filter.weight.copy_(torch.linalg.solve(products, sees @ wants.T).T)


def _blocks(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*[Block(width) for _ in range(depth)])


def padded(x: Tensor, multiple: int) -> Tensor:
    """(B, channels, height, width), mirrored at its lower and right sides to a multiple."""
    down, right = (-size % multiple for size in x.shape[2:])
    if not (down or right):
        return x
    mode = "reflect" if down < x.shape[2] and right < x.shape[3] else "replicate"
    return F.pad(x, (0, right, 0, down), mode=mode)
