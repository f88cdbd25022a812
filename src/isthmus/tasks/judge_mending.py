"""A model that mends images, beside the plain methods."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from isthmus.baselines.comparison import Comparison, Row
from isthmus.baselines.filters import denoisers, enlargers, fillers, sharpeners
from isthmus.baselines.image_measures import psnr, ssim
from isthmus.baselines.measures import mean_and_error
from isthmus.core.errors import AbilityError
from isthmus.data.contracts import Array
from isthmus.parts.damages import DAMAGES
from isthmus.tasks.mending import check_pairs, parted

if TYPE_CHECKING:
    from isthmus.tasks.mending import Mender

OURS, PEAK, LIKENESS = "this model", "PSNR, dB", "SSIM"
SEED = 0
Case = tuple[Array, Array | None, Array]
Way = Callable[[Array, Array | None], Array]


def compare(model: Mender, images: Array, clean: Array | None) -> Comparison:
    """Decibels and likeness of what each makes of damaged images; see ``Mender.compare``."""
    if clean is not None:
        check_pairs(images, clean)
        cases: list[Case] = [(one, None, whole) for one, whole in zip(images, clean, strict=True)]
    else:
        if model.damage_ is None:
            raise AbilityError(
                "what it is worth can be seen on clean images only: pass them as clean "
                "(--clean DIR on the command line)."
            )
        cases = [damaged(model, image, SEED + i) for i, image in enumerate(images)]
    rows: list[Row] = []
    for name, way in {OURS: ours(model), **plain_ways(model)}.items():
        rows += _measured(name, way, cases, model.factor)
    return Comparison(rows, *_verdict(rows))


def damaged(model: Mender, image: Array, seed: int) -> tuple[Array, Array | None, Array]:
    """What the damage of the fit leaves of an image, where its holes are, and the image."""
    assert model.damage_ is not None
    damage = DAMAGES.build(model.damage_)
    colours, _ = parted(image)
    height, width = (size // damage.factor * damage.factor for size in colours.shape[:2])
    colours = colours[:height, :width]
    low, high = model._range_of(colours)
    x = model._tensor(colours, (low, high))[None]
    seen = damage(x, torch.Generator().manual_seed(seed))[0]
    lost = seen[-1].numpy() > 0 if damage.hides else None
    values = (seen[:-1] if damage.hides else seen).permute(1, 2, 0).numpy() * (high - low) + low
    if colours.dtype.kind != "f":
        values = values.round().clip(low, high)
    found = values.astype(colours.dtype).reshape(*values.shape[:2], *colours.shape[2:])
    return found, lost, colours


def ours(model: Mender) -> Way:
    """The model."""
    return lambda image, lost: parted(model.mend(image, lost))[0]


def plain_ways(model: Mender) -> dict[str, Way]:
    """The plain methods for the damage that it undoes."""
    if model.hides:
        return {name: _each(model, fill, masked=True) for name, fill in fillers().items()}
    if model.factor > 1:
        found = enlargers(model.factor)
    elif model.damage_ is not None and model.damage_.kind == "blur":
        found = sharpeners()
    else:
        found = denoisers()
    return {name: _each(model, way) for name, way in found.items()}


def _each(model: Mender, way: Any, masked: bool = False) -> Way:
    """A method of one channel within 0 and 1, for images as people have them."""

    def mend(image: Array, lost: Array | None) -> Array:
        colours, _ = parted(image)
        low, high = model._range_of(colours)
        values = (colours.astype(np.float64) - low) / (high - low)
        layers = values[..., np.newaxis] if values.ndim == 2 else values
        done = [
            way(layers[..., c], lost) if masked else way(layers[..., c])
            for c in range(layers.shape[2])
        ]
        whole: Array = np.stack(done, axis=-1) * (high - low) + low
        if colours.dtype.kind != "f":
            whole = whole.round().clip(low, high)
        whole = whole.astype(colours.dtype)
        return whole[..., 0] if colours.ndim == 2 else whole

    return mend


def _measured(name: str, way: Way, cases: list[Case], factor: int) -> list[Row]:
    peaks, likeness = [], []
    for image, lost, whole in cases:
        whole = parted(whole)[0]
        found = way(image, lost)
        span = float(np.ptp(whole)) or 1.0
        if whole.dtype.kind != "f":
            span = float(np.iinfo(whole.dtype).max)
        where = slice(None) if lost is None else lost
        peaks.append(min(psnr(found[where], whole[where], span), 100.0))
        likeness.append(ssim(found, whole, span))
    rows = []
    for measure, values in ((PEAK, peaks), (LIKENESS, likeness)):
        mean, error = mean_and_error(torch.tensor(values))
        rows.append(Row(name, measure, mean, error))
    return rows


def _verdict(rows: list[Row]) -> tuple[str, bool]:
    peaks = {row.method: row.value for row in rows if row.measure == PEAK}
    own = peaks.pop(OURS)
    best = max(peaks, key=lambda name: peaks[name])
    ahead = own - peaks[best]
    if ahead <= 0 or not math.isfinite(ahead):
        return f"The plain method wins: {best} is {-ahead:.2f} dB better. Take it.", True
    return f"{ahead:.2f} dB better than {best}, the best of the plain methods.", False
