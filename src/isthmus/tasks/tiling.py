"""Images through a network tile by tile, so that memory does not grow with them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from isthmus.data.contracts import Array
from isthmus.parts.damages import with_holes
from isthmus.parts.unet import UNet
from isthmus.training.examples import around

TILE, OVERLAP = 384, 48
"""Pixels of a side of a tile, and those that it shares with the next one on each side."""
HIDDEN_EVERY = 4
"""Pixels from one that is hidden to the next."""


@torch.no_grad()
def mended(
    network: UNet,
    x: Tensor,
    lost: Array | None = None,
    *,
    hides: bool = False,
    blind: bool = False,
) -> Tensor:
    """(channels, height, width) an image made whole; where nothing was lost, as it was.

    Parameters
    ----------
    network : UNet
    x : Tensor of shape (channels, height, width)
    lost : array of bool of shape (height, width), optional
    hides : bool
        Whether the network is told what was lost.
    blind : bool
        Whether it learned to tell a pixel from others alone, so that it may not see it.
    """
    seen, gone = x[None], None
    if hides:
        where = np.zeros(tuple(x.shape[1:]), bool) if lost is None else lost
        gone = torch.from_numpy(np.ascontiguousarray(where))[None, None]
        seen = with_holes(seen, gone)
    device = next(network.parameters()).device
    ratio = network.unfold, network.fold
    out = x.new_empty((x.shape[0], *(size * ratio[0] // ratio[1] for size in x.shape[1:])))
    for rows in _spans(x.shape[1]):
        for columns in _spans(x.shape[2]):
            part = seen[:, :, rows.seen, columns.seen]
            part = part.contiguous(memory_format=torch.channels_last).to(device)
            found = (_blindly(network, part) if blind else network(part))[0].cpu()
            inner = found[:, rows.inner(*ratio), columns.inner(*ratio)]
            out[:, rows.outer(*ratio), columns.outer(*ratio)] = inner
    return out if gone is None else torch.where(gone[0], out, x)


def _blindly(network: UNet, part: Tensor) -> Tensor:
    """Each pixel as it is told from the others: those of one place in a grid at a time."""
    out, mean = torch.empty_like(part), around(part)
    for down in range(HIDDEN_EVERY):
        for across in range(HIDDEN_EVERY):
            place = (..., slice(down, None, HIDDEN_EVERY), slice(across, None, HIDDEN_EVERY))
            seen = part.clone()
            seen[place] = mean[place]
            out[place] = network(seen)[place]
    return out


class _Span:
    """A stretch of rows or columns, and what is seen around it."""

    def __init__(self, start: int, stop: int, size: int) -> None:
        self.start, self.stop = start, stop
        self.seen = slice(max(0, start - OVERLAP), min(size, stop + OVERLAP))

    def inner(self, times: int, over: int) -> slice:
        """Its place within what comes of what is seen."""
        first = self.seen.start
        return slice((self.start - first) * times // over, (self.stop - first) * times // over)

    def outer(self, times: int, over: int) -> slice:
        """Its place in what comes of all."""
        return slice(self.start * times // over, self.stop * times // over)


def _spans(size: int) -> list[_Span]:
    """Tiles along a side, all of them seen at the same places of the grids."""
    return [_Span(start, min(start + TILE, size), size) for start in range(0, size, TILE)]
