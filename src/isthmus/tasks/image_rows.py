"""Images as rows of numbers that say how each part of them looks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.errors import DataError, ModelFileError, ShapeError
from isthmus.core.linear import principal_components
from isthmus.data import Images, modality_from_state
from isthmus.data.gathering import are_images, as_images, sizes_of

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
MOST_SHRUNK = 1 << 16
"""By how much images may be made smaller."""
FOR_EACH = 20
"""Patches that a component needs: of fewer it is one of these images, and others fit it less."""
AT_ONCE = 1 << 22
"""Values of images that are brought to 0 to 1 together."""


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
        """(1, k + 1, positions) of (1, values, positions)."""
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
        Of each code in each part, over all images; what is usual is one spread away.
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
        kind.on_canvas = False
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
        widths = {part[0].shape[1] for part in pooled}
        if len(widths) > 1:
            raise ShapeError(
                "the encoder must answer with as many codes for each image, got "
                f"{' and '.join(map(str, sorted(widths)))}."
            )
        grid = max(part[0].shape[2] for part in pooled)
        mean, log_spread = (
            torch.cat([part[j].expand(-1, -1, grid, grid) for part in pooled]) for j in range(2)
        )
        middle, spread = mean.mean(0), log_spread.mean(0).exp()
        apart = ((mean - middle).square() + (2 * log_spread).exp()) / spread.square()
        # So that what is usual is 1: images differ from each other, not only within.
        found.middle, found.spread = middle, spread * apart.mean((1, 2, 3)).median().sqrt()
        return found

    def _learned(self, images: Array, name: str) -> Components:
        look, k = VIEWS[name]
        each = max(1, MOST_PATCHES // len(images))
        found, draws = [], torch.Generator().manual_seed(0)
        for _, x in self._shrunk(images):
            patches = self._patches(look(x))[0]
            some = torch.randperm(patches.shape[2], generator=draws)[:each]
            found.append(patches[0, :, some].T)
        patches = torch.cat(found)
        learned = principal_components(patches, min(k, max(1, len(patches) // FOR_EACH)))
        floor = LEAST * learned.variance[0].clamp(min=LEAST**2)
        return Components(learned.mean, learned.axes, (learned.variance + floor).sqrt())

    def rows(self, X: Any) -> NDArray[np.float32]:
        """(n, d) of n images."""
        images = as_images(X)
        found: NDArray[np.float32] = np.empty((len(images), self.width), np.float32)
        for i, maps in self._seen(images):
            parts = self._pooled(maps, self.middle.shape[1])
            found[i] = torch.stack(parts, 1).flatten().numpy()
        return found

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return 4 * self.middle.numel()

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
        for i, maps in self._seen(images):
            large = F.interpolate(self._unlike(maps), tuple(sizes[i]), mode="bilinear")
            found[i] = large[0, 0].numpy()
        return found

    def _unlike(self, maps: Tensor) -> Tensor:
        """(1, 1, rows, columns) of maps of codes."""
        down, right = maps.shape[2:]
        across, along = self.middle.shape[1:]
        row, column = torch.arange(down) * across // down, torch.arange(right) * along // right
        middle, spread = (s[:, row][:, :, column] for s in (self.middle, self.spread))
        apart = ((maps - middle) / spread).square().mean(1, keepdim=True)
        around = min(AROUND, down - 1 + down % 2, right - 1 + right % 2)
        return F.avg_pool2d(apart, around, 1, around // 2, count_include_pad=False)

    def _pooled(self, maps: Tensor, grid: int | None = None) -> list[Tensor]:
        """Four of (1, k, grid, grid): by default 4 or, of codes without a place, 1."""
        grid = grid or (GRID if maps.shape[2] * maps.shape[3] > 1 else 1)
        mean = F.adaptive_avg_pool2d(maps, grid)
        square = F.adaptive_avg_pool2d(maps.square(), grid)
        spread = (square - mean.square()).clamp(min=LEAST**2).sqrt().log()
        return [
            mean,
            spread,
            F.adaptive_max_pool2d(maps, grid),
            -F.adaptive_max_pool2d(-maps, grid),
        ]

    def _seen(self, images: Array) -> Iterator[tuple[int, Tensor]]:
        """The number of each image, and (1, k, rows, columns) its codes by place."""
        for i, x in self._shrunk(images):
            if self.encoder is not None:
                maps, known = _asked(self.encoder, x), self.middle
                if known.numel() and maps.shape[1] != len(known):
                    raise ShapeError(
                        f"the encoder answers with {maps.shape[1]} codes, but at the fit it was "
                        f"{len(known)}. Pass the one of the fit."
                    )
                yield i, maps
                continue
            looked = []
            for name, found in self.components.items():
                patches, size = self._patches(VIEWS[name][0](x))
                looked.append(found.codes(patches).reshape(1, -1, *size))
            yield i, torch.cat(looked, 1)

    def _patches(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(1, values, positions) and the rows and columns of positions."""
        short = [max(0, SIDE - length) for length in x.shape[2:]]
        x = F.pad(x, (0, short[1], 0, short[0]), mode="replicate")
        height, width = x.shape[2:]
        step = 1 if max(height, width) < SMALL else 2
        places = (height - SIDE) // step + 1, (width - SIDE) // step + 1
        return F.unfold(x, SIDE, stride=step), places

    def _shrunk(self, images: Array) -> Iterator[tuple[int, Tensor]]:
        """The number of each image, and (1, channels, height, width) of it, 0 to 1.

        Each alone: it then looks the same to the bit whatever other images there are.
        """
        sizes, of_size = np.unique(sizes_of(images), axis=0, return_inverse=True)
        for number, (height, width) in enumerate(sizes.tolist()):
            alike = np.flatnonzero(of_size.ravel() == number)
            most = max(1, AT_ONCE // (self.kind.shape[0] * height * width))
            for first in range(0, len(alike), most):
                which = alike[first : first + most]
                some = np.stack(list(images[which]))
                batch = self._of_size(height, width).batch(some)
                least = min(self.shrink, height, width)
                for j, i in enumerate(which.tolist()):
                    x = batch.x[j : j + 1].clone()
                    if batch.weight is not None:
                        x = _filled(x, batch.weight[j : j + 1])
                    yield i, F.avg_pool2d(x, least) if least > 1 else x

    def _of_size(self, height: int, width: int) -> Images:
        """The kind of images: of any size, where those fitted on differ."""
        if not self.kind.varied:
            return self.kind
        kind = copy(self.kind)
        kind.shape = (kind.shape[0], height, width)
        return kind

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What JSON can hold, and arrays."""
        kind, arrays = self.kind.state()
        arrays = dict(arrays) | {"middle": self.middle.numpy(), "spread": self.spread.numpy()}
        for name, found in self.components.items():
            arrays |= {f"{name}.{part}": getattr(found, part).numpy() for part in found._fields}
        whole = {"kind": kind, "shrink": self.shrink, "encoder": self.encoder is not None}
        if self.encoder is not None:
            whole["weights"] = identity_of(self.encoder)
        return whole, arrays


def refuse_images(X: Any) -> None:
    """Say of images that a table was expected.

    Raises
    ------
    DataError
    """
    if getattr(X, "ndim", 2) in (3, 4) or (isinstance(X, list | tuple) and are_images(X)):
        raise DataError(
            "the detector looks at the rows of a table, got images. Pass rows, or fit one on "
            "images, without a model."
        )


def stacked(maps: list[NDArray[np.float32]]) -> Array:
    """(n, height, width) of maps of one size; else (n,) of maps."""
    if all(one.shape == maps[0].shape for one in maps):
        return np.stack(maps)
    found = np.empty(len(maps), dtype=object)
    found[:] = maps
    return found


def identity_of(module: nn.Module) -> str:
    """The SHA-256 of the weights of a module."""
    content = hashlib.sha256()
    for name, value in module.state_dict().items():
        content.update(name.encode())
        content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return content.hexdigest()


def _asked(encoder: nn.Module, x: Tensor) -> Tensor:
    """(1, k, rows, columns) that a module of the user's own answers."""
    was_training = encoder.training
    encoder.eval()
    where = next((p.device for p in encoder.parameters()), x.device)
    try:
        with torch.no_grad():
            maps = encoder(x.to(where))
    except Exception as error:
        raise ShapeError(
            f"the encoder failed on images of shape {tuple(x.shape)}: {error}"
        ) from error
    finally:
        encoder.train(was_training)
    wrong = not isinstance(maps, Tensor) or maps.ndim not in (2, 4) or len(maps) != len(x)
    if wrong or not maps.numel():
        got = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ShapeError(
            "the encoder must answer (n, channels, height, width) with a tensor of shape (n, k, "
            f"rows, columns) or (n, k); for {tuple(x.shape)} it gave {got}."
        )
    if not bool(maps.isfinite().all()):
        raise ShapeError("the encoder answers with values that are not finite.")
    found: Tensor = maps.detach().cpu().float()
    return found if found.ndim == 4 else found[:, :, None, None]


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
    if not isinstance(kind, Images) or kind.support != "unit" or min(kind.shape) < 1:
        raise ModelFileError("a detector of images looks at no images.")
    low, high = kind.range
    shrink, through = json["shrink"], json["encoder"]
    if not (-np.inf < low < high < np.inf) or type(shrink) is not int or type(through) is not bool:
        raise ModelFileError("a detector of images does not say how it looks at them.")
    if through and encoder is None:
        raise ModelFileError(
            "the detector looks through a module of its user's own. Pass it: "
            "load(path, encoder=...)."
        )
    if json["encoder"] is True and encoder is not None and json["weights"] != identity_of(encoder):
        raise ModelFileError(
            "the encoder has other weights than the one that the detector was fitted through."
        )
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    components: dict[str, Components] = {}
    values = kind.shape[0] * SIDE**2
    for name, (_, k) in {} if through else VIEWS.items():
        found = Components(*(tensors[f"{name}.{part}"] for part in Components._fields))
        many = len(found.axes)
        shapes = [tuple(part.shape) for part in found]
        if shapes != [(values,), (many, values), (many,)] or not 1 <= many <= k:
            raise ModelFileError("the components of a detector of images do not fit together.")
        components[name] = found
    middle, spread = tensors["middle"], tensors["spread"]
    codes = sum(len(found.axes) + 1 for found in components.values()) or len(middle)
    if (
        not 1 <= shrink <= MOST_SHRUNK
        or middle.shape not in [(codes, grid, grid) for grid in (1, GRID)]
        or middle.shape != spread.shape
    ):
        raise ModelFileError("the parts of a detector of images do not fit together.")
    if not all(bool(t.isfinite().all()) and t.dtype == torch.float32 for t in tensors.values()):
        raise ModelFileError("a detector of images holds values that are no numbers.")
    if not all(bool((t > 0).all()) for name, t in tensors.items() if name.endswith("spread")):
        raise ModelFileError("a detector of images holds spreads of nothing.")
    return ImageRows(kind, shrink, components, middle, spread, encoder if through else None)
