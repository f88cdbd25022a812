"""Augmentation: images turned, moved and brightened at random, so that more of them are seen."""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from typing import Any

import torch
from torch import Tensor

from isthmus.core.errors import AbilityError, ShapeError, SpecError, nearest
from isthmus.core.ranges import positive, share
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.parts.contracts import CORRUPTIONS, Corruption, Likelihood

FLIPS = {"none": (), "horizontal": (-1,), "vertical": (-2,), "both": (-1, -2)}


@CORRUPTIONS.register("augment")
class Augment(Corruption):
    """What is seen and what is to be rebuilt are changed alike, then another corruption follows.

    Every image is changed anew in every epoch, each by its own amount, drawn evenly from the range
    that an option gives. What comes in over an edge repeats the edge. What is missing moves along,
    and small images of unequal sizes turn about their own middle. Nothing happens in use. Shorten
    & Khoshgoftaar 2019, https://doi.org/10.1186/s40537-019-0197-0; the geometry is that of kornia
    (Riba et al. 2020, https://arxiv.org/abs/1910.02190): ``pip install isthmus[augment]``.

    Parameters
    ----------
    flip : "horizontal", "vertical", "both" or "none"
        Along which axes half of the images are mirrored.
    rotate : float
        Degrees by which an image is turned at most, either way: 0 to 180.
    shift : float
        Share of its height and width by which an image is moved at most: 0 to 1.
    zoom : float
        Share by which an image grows or shrinks at most, 0 to 1: 0.1 is 1/1.1 to 1.1 times.
    brightness : float
        How much is added to all pixels or taken from them at most, in the units in which the
        model sees x: standard deviations, or 0 to 1. None leaves the range of the batch.
    then : Spec
        The corruption that what is seen goes through afterwards.
    """

    def __init__(
        self,
        flip: str = "horizontal",
        rotate: float = 0.0,
        shift: float = 0.0,
        zoom: float = 0.0,
        brightness: float = 0.0,
        then: Spec = spec("none"),
    ) -> None:
        super().__init__()
        if flip not in FLIPS:
            raise SpecError(f"there is no flip '{flip}'. {nearest(str(flip), FLIPS)}")
        self.flips = FLIPS[flip]
        self.rotate = positive(rotate, "rotate", or_zero=True)
        self.shift, self.zoom = share(shift, "shift"), share(zoom, "zoom")
        self.brightness = positive(brightness, "brightness", or_zero=True)
        self.then = CORRUPTIONS.build(then)
        self.hides = self.then.hides
        self.warps = bool(self.rotate or self.shift or self.zoom)
        if self.warps:
            _kornia()

    def suit(self, likelihood: Likelihood) -> None:
        self.then.suit(likelihood)

    def forward(self, batch: Batch) -> tuple[Batch, Batch]:
        seen, target = self.then(self._changed(batch) if self.training else batch)
        return seen, target

    def _changed(self, batch: Batch) -> Batch:
        if batch.x.ndim != 4:
            raise ShapeError(
                "augmentation needs images (channels, height, width), got rows of shape "
                f"{tuple(batch.x.shape[1:])}. Choose another corruption."
            )
        # As many draws whatever the options, from torch's own generator: a run can be resumed.
        draws = torch.rand(7, len(batch.x), device=batch.x.device)
        extent = _extent(batch)
        for axis in self.flips:
            batch = _mirrored(batch, axis, draws[axis] < 0.5, extent)
        if self.warps:
            with torch.autocast(batch.x.device.type, enabled=False):
                batch = self._warped(batch, 2 * draws[:4] - 1, extent)
        if self.brightness:
            batch = _shifted(batch, (2 * draws[4] - 1) * self.brightness)
        return batch

    def _warped(self, batch: Batch, draws: Tensor, extent: Tensor) -> Batch:
        """Turned, moved and zoomed in one step, each by its own (4, B) draws of -1 to 1."""
        angle, zoom, moved = draws[0] * self.rotate, draws[1] * math.log1p(self.zoom), draws[2:]
        kornia = _kornia()
        matrix = kornia.get_affine_matrix2d(
            (moved * self.shift * extent).T.flip(1),
            (extent.T.flip(1) - 1) / 2,
            zoom.exp()[:, None].expand(-1, 2),
            angle,
        )[:, :2]

        def warp(part: Tensor, mode: str = "bilinear") -> Tensor:
            size = (part.shape[2], part.shape[3])
            moved: Tensor = kornia.warp_affine(
                part, matrix, size, mode=mode, padding_mode="border", align_corners=True
            )
            return moved

        if batch.weight is None or batch.weight.ndim < 4:
            clean = None if batch.clean is None else warp(batch.clean)
            return batch._replace(x=warp(batch.x), clean=clean)
        # What is missing must not leak into its neighbours, so only what is known is averaged.
        there = (batch.weight > 0).to(batch.x.dtype)
        weight, cover = warp(batch.weight, "nearest"), warp(there)
        share = (weight > 0) / cover.clamp(min=1e-6)
        clean = None if batch.clean is None else warp(batch.clean * there) * share
        return batch._replace(x=warp(batch.x * there) * share, clean=clean, weight=weight)


def _extent(batch: Batch) -> Tensor:
    """(2, B) how many rows and columns of an image there are; what lies beyond is missing."""
    n, _, height, width = batch.x.shape
    if batch.weight is None or batch.weight.ndim < 4:
        return batch.x.new_tensor([height, width])[:, None].expand(2, n)
    there = (batch.weight > 0).any(1)
    ends = [there.any(2), there.any(1)]
    reach = [(end * torch.arange(1, end.shape[1] + 1, device=end.device)).amax(1) for end in ends]
    return torch.stack(reach).clamp(min=1).to(batch.x.dtype)


def _mirrored(batch: Batch, axis: int, which: Tensor, extent: Tensor) -> Batch:
    """The images of these rows mirrored along an axis, each within its own extent."""
    size = batch.x.shape[axis]
    along = torch.arange(size, device=batch.x.device)
    back = (extent[axis].long()[:, None] - 1 - along) % size
    index = torch.where(which[:, None], back, along)
    index = index[:, None, None, :] if axis == -1 else index[:, None, :, None]

    def mirror(part: Tensor | None) -> Tensor | None:
        if part is None or part.ndim < 4:
            return part
        return part.gather(axis, index.expand_as(part))

    x = batch.x.gather(axis, index.expand_as(batch.x))
    return batch._replace(x=x, weight=mirror(batch.weight), clean=mirror(batch.clean))


def _shifted(batch: Batch, by: Tensor) -> Batch:
    """Images brighter or darker by (B,), within the range of all of them."""
    low, high = batch.x.aminmax()
    by = by[:, None, None, None]
    clean = None if batch.clean is None else (batch.clean + by).clamp(low, high)
    return batch._replace(x=(batch.x + by).clamp(low, high), clean=clean)


def _kornia() -> Any:
    """The transforms of kornia, imported only here: it is an extra."""
    name = "kornia.geometry.transform"
    if name in sys.modules:
        return sys.modules[name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        raise AbilityError(
            "rotate, shift and zoom need kornia. Install it: pip install isthmus[augment]"
        ) from error
