"""Images beside what came back of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from isthmus.data.contracts import Floats
from isthmus.plot import style

MOST, GAP = 12, 0.08
"""Images in a row, and the space between them, in widths of an image."""
WIDTH, WORDS = 7.2, 0.27
"""Inches: the figure, and the height of the words above each row."""


def reconstructions(originals: ArrayLike, ours: ArrayLike, plain: ArrayLike) -> Figure:
    """Rows of images: as they were, as a model and PCA give them back, and what each got wrong.

    Parameters
    ----------
    originals, ours, plain : array-like of shape (n, height, width) or (n, height, width, channels)
        In the same units; the first twelve are drawn. The differences share one scale.

    Returns
    -------
    Figure
    """
    shown = [_images(images) for images in (originals, ours, plain)]
    low, high = float(shown[0].min()), float(shown[0].max())
    first, model, pca = (np.clip((images - low) / ((high - low) or 1.0), 0, 1) for images in shown)
    wrong = [np.abs(images - first).mean(-1) for images in (model, pca)]
    most = max(float(np.quantile(np.concatenate(wrong), 0.995)), 1e-12)
    strips = {
        "originals": _strip(_opaque(first)),
        "this model": _strip(_opaque(model)),
        "PCA": _strip(_opaque(pca)),
        "difference, this model": _strip(_tinted(wrong[0] / most)),
        "difference, PCA": _strip(_tinted(wrong[1] / most)),
    }
    height, width = next(iter(strips.values())).shape[:2]
    tall = WIDTH * height / width
    whole = len(strips) * (tall + WORDS)
    drawing = style.figure(WIDTH, whole)
    drawing.set_layout_engine("none")
    for i, (word, strip) in enumerate(strips.items()):
        top = whole - i * (tall + WORDS) - WORDS
        ax = drawing.add_axes((0.0, (top - tall) / whole, 1.0, tall / whole))
        ax.imshow(strip, interpolation="none", aspect="auto")
        ax.set_axis_off()
        words = {"fontsize": style.TEXT_SIZE, "color": style.MUTED}
        ax.set_title(word, loc="left", pad=4, fontdict=words)
    return drawing


def _images(images: ArrayLike) -> Floats:
    """(n, height, width, channels) of 1 or 3 channels, at most ``MOST`` of them."""
    array: NDArray[Any] = np.asarray(images)[:MOST].astype(np.float64)
    if array.ndim == 3:
        array = array[..., None]
    return array[..., :3] if array.shape[-1] >= 3 else array[..., :1]


def _opaque(images: Floats) -> Floats:
    colour = np.broadcast_to(images, (*images.shape[:-1], 3))
    return np.concatenate([colour, np.ones((*images.shape[:-1], 1))], -1)


def _tinted(wrong: Floats) -> Floats:
    """(n, height, width) from 0 to 1 as the accent colour, clear where nothing is wrong."""
    colour = np.broadcast_to(to_rgb(style.TINT), (*wrong.shape, 3))
    return np.concatenate([colour, np.clip(wrong, 0, 1)[..., None]], -1)


def _strip(images: Floats) -> Floats:
    """(n, height, width, 4) side by side, with clear gaps."""
    n, height, width, _ = images.shape
    gap = max(1, round(GAP * width))
    strip = np.zeros((height, MOST * (width + gap) - gap, 4))
    for i in range(n):
        strip[:, i * (width + gap) : i * (width + gap) + width] = images[i]
    return strip
