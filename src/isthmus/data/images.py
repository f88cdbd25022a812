"""Images of one size, as arrays with their channels last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.core.errors import DataError, EmptyError, ModelFileError, ShapeError
from isthmus.core.specs import Spec, spec
from isthmus.data.arrays import (
    LARGEST,
    as_array,
    check_support,
    counted,
    moments,
    scaled,
    unscaled,
    used_rows,
)
from isthmus.data.contracts import Array, Modality

MAX_CHANNELS = 4
LARGEST_DENSE = 4096
"""Up to so many values in an image, a dense network suits it."""

MIN_DEVIATION = 1e-6
"""Images that vary less than this, relative to their range, are taken as constant."""

COLOURS = {1: "grey", 2: "grey-and-alpha", 3: "colour", 4: "four-channel"}


class Images(Modality):
    """Images of one height, width and depth.

    Their range (0 to 255, 0 to 65535, 0 to 1, or the one observed) is brought to 0 to 1; for
    support "real" they are then standardised by one mean and one scale for all pixels.
    """

    kind = "images"

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.support = "real"
        self.names: list[str] | None = None
        self.has_channel_axis = False
        self.dtype = "uint8"
        self.range = (0.0, 255.0)
        self.mean, self.deviation = 0.0, 1.0

    @property
    def scale(self) -> Array:  # type: ignore[override]
        return np.asarray((self.range[1] - self.range[0]) * self.deviation)

    @property
    def _offset(self) -> float:
        return self.range[0] + (self.range[1] - self.range[0]) * self.mean

    def fit(self, X: Any, support: str = "real", weight: Array | None = None) -> None:
        check_support(support)
        array = _images(X)
        kept, weight = used_rows(array, weight)
        if not kept.size:
            raise EmptyError(f"there is no pixel in an array of shape {kept.shape}.")
        low, high = float(kept.min()), float(kept.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise DataError(_gaps(kept))
        self.support, self.shape = support, _row_shape(array)
        self.has_channel_axis = array.ndim == 4
        self.dtype = str(array.dtype.newbyteorder("="))
        self.range = _range(array.dtype, low, high)
        if not math.isfinite(self.range[1] - self.range[0]):
            raise DataError(f"the images span {low:.3g} to {high:.3g}: too far. Rescale them.")
        self.mean, self.deviation = 0.0, 1.0
        if support == "real":
            firsts, seconds = moments(kept.reshape(len(kept), -1), *self.range, weight)
            first, second = float(firsts.mean()), float(seconds.mean())
            deviation = math.sqrt(max(second - first * first, 0.0)) / 2
            self.mean = (first + 1) / 2
            self.deviation = deviation if deviation > MIN_DEVIATION else 1.0

    def tensor(self, X: Any) -> Tensor:
        array = _images(X)
        if not len(array):
            raise EmptyError("there are no images. Pass at least one.")
        if _row_shape(array) != self.shape:
            raise ShapeError(
                f"the model was fitted on {_described(self.shape)}, got "
                f"{_described(_row_shape(array))}. Resize or convert them, or fit a new model."
            )
        self._check_units(array)
        flat = array.reshape(len(array), -1)
        x = scaled(flat, self._offset, float(self.scale), unit=self.support == "unit")
        if x is None:
            if np.isfinite(array).all():
                raise DataError(
                    f"the images hold values up to {abs(array).max():.3g}, more than {LARGEST:.0e} "
                    "times as far from their mean as those fitted on. Check their units."
                )
            raise DataError(_gaps(array))
        channels, height, width = self.shape
        rows = torch.from_numpy(x).reshape(-1, height, width, channels)
        return rows.permute(0, 3, 1, 2).contiguous()

    def _check_units(self, array: Array) -> None:
        """Refuse 0 to 1 where it was 0 to 255, and the other way round."""
        fitted = np.dtype(self.dtype)
        if array.dtype == fitted or not array.size:
            return
        high = float(array.max())
        whole = array.dtype.kind != "f"
        too_dark = fitted.kind in "iu" and not whole and 0 < high <= 1 < self.range[1]
        too_bright = whole and high > self.range[1]
        if too_dark or too_bright:
            raise DataError(
                f"the model was fitted on {fitted} images with values from {self.range[0]:g} to "
                f"{self.range[1]:g}, got {array.dtype} images with values up to {high:g}. "
                "Bring them to the same range."
            )

    def restore(self, x: Tensor) -> Array:
        dtype = np.dtype(self.dtype)
        pixels = np.clip(unscaled(x, self._offset, float(self.scale)), *self.range)
        if dtype.kind != "f":
            pixels = np.rint(pixels)
        pixels = pixels.astype(dtype)
        return pixels.transpose(0, 2, 3, 1) if self.has_channel_axis else pixels[:, 0]

    def likelihood(self) -> Spec:
        return spec("gaussian")

    def network(self) -> Spec:
        return spec("mlp") if math.prod(self.shape) <= LARGEST_DENSE else spec("conv")

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        json = {
            "kind": self.kind,
            "support": self.support,
            "shape": list(self.shape),
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
            images.dtype = str(np.dtype(json["dtype"]))
            images.mean, images.deviation = float(json["mean"]), float(json["deviation"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"the saved image schema cannot be read: {error!r}.") from error
        return images


def _images(X: Any) -> Array:
    array = as_array(X)
    if array.ndim not in (3, 4):
        raise DataError(
            "images come as an array of shape (n, height, width) or (n, height, width, channels), "
            f"got {array.shape}."
        )
    if array.ndim == 4 and not 1 <= array.shape[3] <= MAX_CHANNELS:
        first = " Move the channels last: X.transpose(0, 2, 3, 1)." * (array.shape[1] <= 4)
        raise DataError(
            f"images have 1 to {MAX_CHANNELS} channels in their last axis, got an array of shape "
            f"{array.shape}.{first}"
        )
    return array


def _row_shape(array: Array) -> tuple[int, ...]:
    """Channels, height, width."""
    return (array.shape[3] if array.ndim == 4 else 1, *array.shape[1:3])


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


def _gaps(array: Array) -> str:
    bad = ~np.isfinite(array)
    first = int(np.flatnonzero(bad.reshape(len(bad), -1).any(1))[0])
    return (
        f"the images hold {counted(int(bad.sum()), 'value')} that are missing (NaN) or infinite, "
        f"the first in image {first}. Leave such images out, or fill them in."
    )
