"""Images as rows of numbers that say how each part of them looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.errors import ModelFileError, ShapeError
from isthmus.core.linear import principal_components
from isthmus.data import Images, modality_from_state
from isthmus.data.gathering import as_images, sizes_of

Array = NDArray[Any]
GRID = 4
"""Rows and columns of parts that an image is divided into."""
SIDE = 6
"""Of patches, in pixels of the shrunk image."""
SEEN, SMALL = 80, 48
"""About how many pixels high and wide images are looked at, and from when at every second one."""
DARK = 0.05
"""Share of the range that is added before a logarithm, so that black is not infinitely dark."""
FLAT = 1e-3
"""Share of the range below which an image that varies less is taken as one colour."""
LEAST = 1e-3
"""Spread of a code, and share of the leading variance, below which there is none."""
AROUND = 9
"""Places over which it is averaged how unlike they are."""
MOST_PATCHES = 100_000
"""That components are learned from."""
AT_ONCE = 1 << 22
"""Values of images that are looked at together."""


def brightness(x: Tensor) -> Tensor:
    """Logarithms, in which a contrast is the same in light and in shade."""
    return torch.log(x + DARK)


def contrast(x: Tensor) -> Tensor:
    """Each image about its mean, in its own standard deviations."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) / (x.std((1, 2, 3), keepdim=True, correction=0) + FLAT)


VIEWS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "brightness": (brightness, 16),
    "contrast": (contrast, 4),
}
"""Ways to look at an image, and how many components of its patches are kept."""


class Components(NamedTuple):
    """Leading components of patches, each to be divided by its spread; what they leave over is
    divided by that of the last.
    """

    mean: Tensor
    """(values,)"""
    axes: Tensor
    """(k, values)"""
    spread: Tensor
    """(k,)"""

    def codes(self, patches: Tensor) -> Tensor:
        """(n, k + 1, positions) of (n, values, positions)."""
        centred = patches - self.mean[:, None]
        along = self.axes @ centred
        left = (centred - self.axes.T @ along).square().mean(1, keepdim=True).sqrt()
        return torch.cat([along / self.spread[:, None], left / self.spread[-1]], 1)


class ImageRows:
    """Turns images into rows: the codes of their patches, pooled in each part of a grid.

    Codes are principal components, as those with which autoencoders of patches begin; or what a
    module of the user's own makes of an image. Of each, a row has the mean, the logarithm of the
    spread, the highest and the lowest value in each of 4 x 4 parts.

    Parameters
    ----------
    kind : Images
        Fitted, of support "unit".
    shrink : int
        By how much images are made smaller first.
    components : dict of str to Components
        Of each way to look; empty with an ``encoder``.
    middle, spread : Tensor of shape (k, 4, 4)
        Of each code in each part, over all images.
    encoder : torch.nn.Module, optional
        From (n, channels, height, width), 0 to 1, to (n, k, rows, columns) or (n, k).
    """

    def __init__(
        self,
        kind: Images,
        shrink: int,
        components: Mapping[str, Components],
        middle: Tensor,
        spread: Tensor,
        encoder: nn.Module | None = None,
    ) -> None:
        self.kind, self.shrink, self.components = kind, shrink, dict(components)
        self.middle, self.spread, self.encoder = middle, spread, encoder

    @classmethod
    def fit(cls, X: Any, encoder: nn.Module | None = None) -> ImageRows:
        """Learn from images how to look at others.

        Raises
        ------
        DataError, ShapeError
            If X or what the encoder answers cannot be used.
        """
        kind, images = Images(), as_images(X)
        kind.fit(images)
        kind.suit("unit")
        shrink = 1
        if encoder is None:
            side = float(np.sqrt(np.median(sizes_of(images).prod(1))))
            shrink = max(1, round(side / SEEN))
        nothing = torch.zeros(0)
        found = cls(kind, shrink, {}, nothing, nothing, encoder)
        if encoder is None:
            found.components = {name: found._learned(images, name) for name in VIEWS}
        pooled = [found._pooled(maps) for _, maps in found._seen(images)]
        mean, log_spread = (torch.cat([part[j] for part in pooled]).mean(0) for j in range(2))
        found.middle, found.spread = mean, log_spread.exp()
        return found

    def _learned(self, images: Array, name: str) -> Components:
        look, k = VIEWS[name]
        each = max(1, MOST_PATCHES // len(images))
        found = []
        for _, x in self._shrunk(images):
            patches = self._patches(look(x))[0]
            every = -(-patches.shape[2] // each)
            found.append(patches[:, :, ::every].transpose(1, 2).flatten(0, 1))
        learned = principal_components(torch.cat(found), k)
        floor = LEAST * learned.variance[0].clamp(min=LEAST**2)
        return Components(learned.mean, learned.axes, (learned.variance + floor).sqrt())

    def rows(self, X: Any) -> NDArray[np.float32]:
        """(n, d) of n images."""
        images = as_images(X)
        found: NDArray[np.float32] = np.empty((len(images), 4 * self.middle.numel()), np.float32)
        for which, maps in self._seen(images):
            parts = self._pooled(maps)
            found[which] = torch.stack(parts, 1).flatten(1).numpy()
        return found

    def unlike(self, X: Any) -> list[NDArray[np.float32]]:
        """How unlike each place of an image is to the same part of the images fitted on.

        Returns
        -------
        list of array of shape (height, width)
            Mean square of what codes there are away from their mean, in standard deviations:
            about 1 where all is as usual.
        """
        images = as_images(X)
        sizes = sizes_of(images).tolist()
        found: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(images)
        for which, maps in self._seen(images):
            shown = self._unlike(maps)
            for i, one in zip(which.tolist(), shown, strict=True):
                large = F.interpolate(one[None], tuple(sizes[i]), mode="bilinear")
                found[i] = large[0, 0].numpy()
        return found

    def _unlike(self, maps: Tensor) -> Tensor:
        """(n, 1, rows, columns) of maps of codes."""
        down, right = maps.shape[2:]
        across, along = self.middle.shape[1:]
        row, column = torch.arange(down) * across // down, torch.arange(right) * along // right
        middle, spread = (s[:, row][:, :, column] for s in (self.middle, self.spread))
        apart = ((maps - middle) / spread).square().mean(1, keepdim=True)
        around = min(AROUND, down - 1 + down % 2, right - 1 + right % 2)
        return F.avg_pool2d(apart, around, 1, around // 2, count_include_pad=False)

    def _pooled(self, maps: Tensor) -> list[Tensor]:
        """Four of (n, k, 4, 4) or, of codes without a place, (n, k, 1, 1)."""
        grid = GRID if maps.shape[2] * maps.shape[3] > 1 else 1
        mean = F.adaptive_avg_pool2d(maps, grid)
        square = F.adaptive_avg_pool2d(maps.square(), grid)
        spread = (square - mean.square()).clamp(min=LEAST**2).sqrt().log()
        return [
            mean,
            spread,
            F.adaptive_max_pool2d(maps, grid),
            -F.adaptive_max_pool2d(-maps, grid),
        ]

    def _seen(self, images: Array) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Numbers of images, and (n, k, rows, columns) their codes by place."""
        for which, x in self._shrunk(images):
            if self.encoder is not None:
                yield which, _asked(self.encoder, x)
                continue
            maps = []
            for name, found in self.components.items():
                patches, size = self._patches(VIEWS[name][0](x))
                maps.append(found.codes(patches).reshape(len(x), -1, *size))
            yield which, torch.cat(maps, 1)

    def _patches(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(n, values, positions) and the rows and columns of positions."""
        height, width = x.shape[2:]
        side = (min(SIDE, height), min(SIDE, width))
        step = 1 if max(height, width) < SMALL else 2
        places = tuple(
            (length - s) // step + 1 for length, s in zip((height, width), side, strict=True)
        )
        return F.unfold(x, side, stride=step), (places[0], places[1])

    def _shrunk(self, images: Array) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Numbers of images of one size, and (n, channels, height, width) of them, 0 to 1."""
        sizes, of_size = np.unique(sizes_of(images), axis=0, return_inverse=True)
        for j, (height, width) in enumerate(sizes.tolist()):
            alike = np.flatnonzero(of_size.ravel() == j)
            most = max(1, AT_ONCE // (self.kind.shape[0] * height * width))
            for first in range(0, len(alike), most):
                which = alike[first : first + most]
                batch = self.kind.batch(images[which])
                x = batch.x[:, :, :height, :width]
                if batch.weight is not None:
                    x = _filled(x, batch.weight[:, :, :height, :width])
                least = min(self.shrink, height, width)
                yield which, F.avg_pool2d(x, least) if least > 1 else x

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What JSON can hold, and arrays."""
        kind, arrays = self.kind.state()
        arrays = dict(arrays) | {"middle": self.middle.numpy(), "spread": self.spread.numpy()}
        for name, found in self.components.items():
            arrays |= {f"{name}.{part}": getattr(found, part).numpy() for part in found._fields}
        return {"kind": kind, "shrink": self.shrink, "encoder": self.encoder is not None}, arrays


def _asked(encoder: nn.Module, x: Tensor) -> Tensor:
    """(n, k, rows, columns) that a module of the user's own answers."""
    encoder.eval()
    with torch.no_grad():
        maps = encoder(x)
    if not isinstance(maps, Tensor) or maps.ndim not in (2, 4) or len(maps) != len(x):
        got = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ShapeError(
            "the encoder must answer (n, channels, height, width) with a tensor of shape (n, k, "
            f"rows, columns) or (n, k); for {tuple(x.shape)} it gave {got}."
        )
    if not bool(maps.isfinite().all()):
        raise ShapeError("the encoder answers with values that are not finite.")
    maps = maps.detach().cpu().float()
    return maps if maps.ndim == 4 else maps[:, :, None, None]


def _filled(x: Tensor, weight: Tensor) -> Tensor:
    """Missing pixels as the mean of the others of their image."""
    known = (weight > 0).expand_as(x)
    count = known.sum((2, 3), keepdim=True).clamp(min=1)
    mean = (x * known).sum((2, 3), keepdim=True) / count
    return torch.where(known, x, mean)


def from_state(
    json: Mapping[str, Any], arrays: Mapping[str, Array], encoder: nn.Module | None = None
) -> ImageRows:
    """What ``state`` gave.

    Raises
    ------
    ModelFileError
        If something is missing or does not fit together, or the encoder is.
    """
    kind = modality_from_state(json["kind"], {})
    if not isinstance(kind, Images) or kind.support != "unit":
        raise ModelFileError("a detector of images looks at no images.")
    shrink = int(json["shrink"])
    if json["encoder"] is True and encoder is None:
        raise ModelFileError(
            "the detector looks through a module of its user's own. Pass it: "
            "load(path, encoder=...)."
        )
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    components: dict[str, Components] = {}
    if json["encoder"] is False:
        encoder = None
        for name, (_, k) in VIEWS.items():
            found = Components(*(tensors[f"{name}.{part}"] for part in Components._fields))
            values, most = found.mean.shape[0], found.axes.shape[0]
            fits = (
                found.axes.shape == (most, values) and found.spread.shape == (most,) and most <= k
            )
            if not fits or not bool((found.spread > 0).all()):
                raise ModelFileError("the components of a detector of images do not fit together.")
            components[name] = found
    middle, spread = tensors["middle"], tensors["spread"]
    if not 1 <= shrink <= 1 << 16 or middle.ndim != 3 or middle.shape != spread.shape:
        raise ModelFileError("the parts of a detector of images do not fit together.")
    if not all(bool(t.isfinite().all()) and t.dtype == torch.float32 for t in tensors.values()):
        raise ModelFileError("a detector of images holds values that are no numbers.")
    return ImageRows(kind, shrink, components, middle, spread, encoder)
