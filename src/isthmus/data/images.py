"""Images of one size or of many, from whatever people keep them in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.core.errors import DataError, ModelFileError, ShapeError
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.core.wording import counted
from isthmus.data.arrays import LARGEST, scaled, unscaled, used_rows
from isthmus.data.contracts import SUPPORTS, Array, Modality, Support
from isthmus.data.gathering import (
    MAX_CHANNELS,
    as_images,
    channels_of,
    ragged,
    richest,
    sizes_of,
    widened,
)
from isthmus.data.pixels import (
    ends_of,
    is_whole,
    known_values,
    moments_of,
    under_transparency,
)

LARGEST_DENSE = 4096
"""Up to so many values in an image, a dense network suits it."""

LARGEST_CANVAS = 1 << 28
"""Values that images of unequal sizes may fill on their canvases, in all: 1 GiB."""
WIDEST_SPREAD = 4.0
"""How many times the area of the middle image the canvas may have."""

DAZZLING = 10.0
"""Floats above this are not of 0 to 1, even where some were sharpened beyond it."""

MIN_DEVIATION = 1e-6
"""Images that vary less than this, relative to their range, are taken as constant."""

COLOURS = {1: "grey", 2: "grey-and-alpha", 3: "colour", 4: "four-channel"}
CUT = "Resize the images to one size, or cut them into tiles of one size"


class Images(Modality):
    """Images of one depth, and of one size or of any up to a canvas.

    Taken are an array, a list of arrays or of pictures of Pillow's, and paths: in a list, or as
    the one column of a table (see ``as_images``). Where sizes differ, the canvas is the smallest
    height and width that hold all images fitted on. Smaller images stand at its top left; what
    lies beyond them is missing, and changes nothing. So is a pixel that is NaN, and in 8-bit
    images the colour under a pixel that is wholly transparent.

    Their range (0 to 255, 0 to 65535, 0 to 1, or the one observed) is brought to 0 to 1; for
    support "real" they are then standardised by one mean and one scale for all pixels. For
    "count", they stay as they are.
    """

    kind = "images"

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.support: Support = "real"
        self.names: list[str] | None = None
        self.has_channel_axis = False
        self.varied = False
        self.on_canvas = True
        """Set before ``fit``: whether images of several sizes are to have one canvas."""
        self.whole = False
        self.dtype = "uint8"
        self.range = (0.0, 255.0)
        self.mean, self.deviation = 0.0, 1.0

    @property
    def scale(self) -> Array:  # type: ignore[override]
        span = self.range[1] - self.range[0]
        return np.asarray({"real": span * self.deviation, "unit": span}.get(str(self.support), 1.0))

    @property
    def _offset(self) -> float:
        if self.support == "count":
            return 0.0
        standardised = self.support == "real"
        return self.range[0] + (self.range[1] - self.range[0]) * self.mean * standardised

    @classmethod
    def gather(cls, X: Any) -> Array:
        return as_images(X)

    def fit(self, X: Any, weight: Array | None = None) -> None:
        images = as_images(X)
        kept, weight = used_rows(images, weight)
        known = known_values(kept)
        low, high = ends_of(known)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise DataError(_infinite(images))
        sizes, one = sizes_of(images), images[0]
        self.varied = bool((sizes != sizes[0]).any())
        self.shape = (channels_of(one), int(sizes[:, 0].max()), int(sizes[:, 1].max()))
        if self.varied and self.on_canvas:
            _check_canvas(self.shape, sizes)
        self.has_channel_axis = one.ndim == 3
        self.dtype = str(one.dtype.newbyteorder("="))
        integers = one.dtype.kind != "f"
        self.whole = low >= 0 and (integers or all(map(is_whole, known)))
        self.range = _range(one.dtype, low, high)
        if not math.isfinite(self.range[1] - self.range[0]):
            raise DataError(f"the images span {low:.3g} to {high:.3g}: too far. Rescale them.")
        first, second = moments_of(known, *self.range, weight)
        deviation = math.sqrt(max(second - first * first, 0.0)) / 2
        self.mean = (first + 1) / 2
        self.deviation = deviation if deviation > MIN_DEVIATION else 1.0
        self.support = "real"

    def suit(self, support: Support) -> None:
        if support not in SUPPORTS:
            raise ValueError(f"images suit one of {', '.join(SUPPORTS)}, got {support!r}.")
        if support == "count" and not self.whole:
            raise DataError(
                "counts are whole numbers from 0 on, but these images hold others. Choose a "
                "likelihood for measured values, such as 'gaussian'."
            )
        self.support = support

    def batch(self, X: Any) -> Batch:
        images = as_images(X)
        self._check_sizes(images)
        self._check_units(images)
        _, height, width = self.shape
        if images.dtype != object and images.shape[1:3] == (height, width):
            layers = images[..., np.newaxis] if images.ndim == 3 else images
            return Batch(*self._scaled(self._widened(layers), 0))
        x = torch.zeros(len(images), *self.shape)
        weight = torch.zeros(len(images), 1, height, width)
        for i, image in enumerate(images):
            values, known = self._scaled(self._widened(image)[np.newaxis], i)
            rows, columns = image.shape[:2]
            x[i, :, :rows, :columns] = values[0]
            if known is None:
                weight[i, :, :rows, :columns] = 1.0
                continue
            if known.shape[1] > weight.shape[1]:
                weight = weight.repeat(1, self.shape[0], 1, 1)
            weight[i, :, :rows, :columns] = known[0]
        return Batch(x, None if bool(weight.all()) else weight)

    def _widened(self, image: Array) -> Array:
        """With the channels of the model, opaque in its range."""
        have = image.shape[-1] if image.ndim > 2 else 1
        if have % 2 > self.shape[0] % 2 and image.dtype != self.dtype:
            image = image.astype(np.float64)
        return widened(image, self.shape[0], self.range[1])

    def _scaled(self, images: Array, first: int) -> tuple[Tensor, Tensor | None]:
        """(n, channels, height, width) of x from images with channels last, and what is known."""
        flat = images.reshape(len(images), -1)
        missing = under_transparency(images)
        x = self._x(flat)
        if x is None and images.dtype.kind == "f" and not np.isinf(images).any():
            missing = np.isnan(images)
            x = self._x(np.where(missing, self._offset, images).reshape(flat.shape))
        if x is None:
            if np.isinf(flat).any():
                raise DataError(_infinite(images, first))
            raise DataError(
                f"the images hold values up to {np.nanmax(abs(flat)):.3g}, more than "
                f"{LARGEST:.0e} times as far from their mean as those fitted on. Check their units."
            )
        rows = _channels_first(x.reshape(images.shape))
        if missing is None or not missing.any():
            return rows, None
        known = _channels_first((~missing).astype(np.float32))
        known = known[:, :1].clone() if bool((known == known[:, :1]).all()) else known
        return rows * known, known

    def _x(self, flat: Array) -> Array | None:
        """Rows in the model's units; None if there is a value that cannot be used."""
        counts = self.support == "count" and not np.isnan(flat).any()
        if counts and ((flat < 0).any() or not is_whole(flat)):
            raise DataError(
                "the model was fitted on counts, whole numbers from 0 on, but these images hold "
                "others."
            )
        return scaled(flat, self._offset, float(self.scale), unit=self.support == "unit")

    def _check_sizes(self, images: Array) -> None:
        """Refuse what has other channels, or does not fit onto the canvas."""
        channels, height, width = self.shape
        have = channels_of(images[0])
        sizes = sizes_of(images)
        fits = (sizes <= (height, width)) if self.varied else (sizes == (height, width))
        if richest({have, channels}) == channels and fits.all():
            return
        worst = int(np.flatnonzero(~fits.all(1))[0]) if not fits.all() else 0
        fitted = _described(self.shape)
        if self.varied:
            fitted = f"{COLOURS[channels]} images of up to {height} x {width}"
        got = _described((have, *sizes[worst].tolist()))
        which = f" (image {worst})" * bool((sizes != sizes[0]).any())
        remedy = CUT if self.varied and not fits.all() else "Resize or convert them"
        raise ShapeError(
            f"the model was fitted on {fitted}, got {got}{which}. {remedy}, or fit a new model."
        )

    def _check_units(self, images: Array) -> None:
        """Refuse 0 to 1 where it was 0 to 255, and the other way round."""
        fitted, dtype = np.dtype(self.dtype), images[0].dtype
        if dtype == fitted and self.range != (0.0, 1.0):
            return
        known = known_values(images)
        if not any(values.size for values in known):
            return
        _, high = ends_of(known)
        whole = dtype.kind != "f"
        too_dark = fitted.kind in "iu" and not whole and 0 < high <= 1 < self.range[1]
        most = self.range[1] if whole else DAZZLING if self.range == (0.0, 1.0) else math.inf
        too_bright = most < high < math.inf
        if too_dark or too_bright:
            raise DataError(
                f"the model was fitted on {fitted} images with values from {self.range[0]:g} to "
                f"{self.range[1]:g}, got {dtype} images with values up to {high:g}. "
                "Bring them to the same range."
            )

    def restore(self, x: Tensor, like: Any = None) -> Any:
        """Images in the user's units and layout.

        Parameters
        ----------
        x : Tensor of shape (n, *shape)
        like : images, optional
            As many, in any form that ``fit`` takes: each image is cut to the size of its own.

        Returns
        -------
        array of shape (n, height, width) or (n, height, width, channels)
            Or, where ``like`` has images of several sizes, of shape (n,), holding arrays.
        """
        dtype = np.dtype(self.dtype)
        low, high = self.range
        if self.support == "count":
            low, high = 0.0, float(np.iinfo(dtype).max) if dtype.kind in "iu" else np.inf
        pixels = np.clip(unscaled(x, self._offset, float(self.scale)), low, high)
        if dtype.kind != "f":
            pixels = np.rint(pixels)
        images = pixels.astype(dtype)
        images = images.transpose(0, 2, 3, 1) if self.has_channel_axis else images[:, 0]
        if like is None or not self.varied:
            return images
        sizes = sizes_of(as_images(like)).tolist()
        if all(size == sizes[0] for size in sizes):
            return images[:, : sizes[0][0], : sizes[0][1]]
        return ragged([image[:h, :w] for image, (h, w) in zip(images, sizes, strict=True)])

    def likelihood(self) -> Spec:
        return spec("gaussian")

    def network(self) -> Spec:
        return spec("mlp") if math.prod(self.shape) <= LARGEST_DENSE else spec("conv")

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        json = {
            "kind": self.kind,
            "support": self.support,
            "shape": list(self.shape),
            "varied": self.varied,
            "whole": self.whole,
            "channel_axis": self.has_channel_axis,
            "dtype": self.dtype,
            "range": list(self.range),
            "mean": self.mean,
            "deviation": self.deviation,
        }
        return json, {}

    @classmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, Array]) -> Images:
        images = cls()
        try:
            channels, height, width = (int(size) for size in json["shape"])
            low, high = (float(end) for end in json["range"])
            images.shape, images.range = (channels, height, width), (low, high)
            images.support = str(json["support"])
            images.has_channel_axis = bool(json["channel_axis"])
            images.varied, images.whole = bool(json.get("varied")), bool(json.get("whole"))
            images.dtype = str(json["dtype"])
            images.mean, images.deviation = float(json["mean"]), float(json["deviation"])
            if images.support not in SUPPORTS or not 1 <= channels <= MAX_CHANNELS:
                raise ValueError("support or shape")
            if np.dtype(images.dtype).kind not in "biuf":
                raise ValueError(f"dtype {images.dtype!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"the saved image schema cannot be read: {error!r}.") from error
        return images


def _channels_first(images: Array) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def _check_canvas(shape: tuple[int, ...], sizes: Array) -> None:
    """Refuse sizes that differ so much that most of every canvas would be empty."""
    height, width = shape[1:]
    areas = sizes[:, 0] * sizes[:, 1]
    spread = height * width / float(np.median(areas))
    largest = int(areas.argmax())
    if spread > WIDEST_SPREAD:
        raise DataError(
            f"the sizes differ too much: all images together need a canvas of {height} x {width}, "
            f"{spread:.0f} times the area of the middle one; the largest is image {largest}, "
            f"{sizes[largest, 0]} x {sizes[largest, 1]}. {CUT}, or leave out those that stand out."
        )
    if len(sizes) * math.prod(shape) > LARGEST_CANVAS:
        raise DataError(
            f"{counted(len(sizes), 'image')} of unequal sizes on a canvas of {height} x {width} "
            f"need {len(sizes) * math.prod(shape) / 2**28:.1f} GiB, more than 1. {CUT}, or fit on "
            "fewer."
        )


def value_range(images: Array) -> tuple[float, float]:
    """Black and white of images in the form of ``as_images``, of which NaN are left out."""
    return _range(images[0].dtype, *ends_of(known_values(images)))


def _range(dtype: np.dtype[Any], low: float, high: float) -> tuple[float, float]:
    """Black and white: what the type allows for bytes and words, else what the values span."""
    if dtype == np.uint8:
        return 0.0, 255.0
    if dtype == np.uint16:
        return 0.0, 65535.0
    usual = (1.0,) if dtype.kind in "fb" else (255.0, 65535.0)
    for white in usual:
        if low >= 0 and high <= white:
            return 0.0, white
    return low, high if high > low else low + 1.0


def _described(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height} x {width} {COLOURS[channels]} images"


def _infinite(images: Array, first: int = 0) -> str:
    bad = [int(np.isinf(image).sum()) for image in images]
    which = first + next(i for i, n in enumerate(bad) if n)
    return (
        f"{counted(sum(bad), 'value')} of the images {'is' if sum(bad) == 1 else 'are'} infinite, "
        f"the first in image {which}. Make them NaN if they are missing, or leave such images out."
    )
