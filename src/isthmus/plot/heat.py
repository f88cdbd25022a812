"""Where an image is unlike others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from isthmus.plot import style

MOST, ACROSS = 12, 4
"""Images that are drawn, and how many side by side."""
USUAL, LEAST_GLARING, GLARING = 1.5, 3.0, 20.0
"""Times as unlike as usual, from which a place is tinted, and between which, by what is most unlike
in the image, it is no more so."""
STRONGEST, PALE = 0.75, 0.9
"""Opacity of the tint, and of the image below it."""
HOT = "#e0442a"
WIDTH = 7.2
"""Inches."""


def heat(image: ArrayLike, unlike: ArrayLike) -> NDArray[np.uint8]:
    """An image, grey, with a tint where it is unlike others.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, channels)
        Of any range; white and black are those of the image itself.
    unlike : array-like of shape (height, width)
        How many times as much as usual, as ``AnomalyDetector.explain_scores`` gives it.

    Returns
    -------
    array of uint8 of shape (height, width, 3)
    """
    values = np.nan_to_num(np.asarray(image, dtype=float))
    if values.ndim == 3:
        values = values[..., : 3 if values.shape[2] > 2 else 1].mean(-1)
    low, high = float(values.min()), float(values.max())
    grey = PALE * ((values - low) / (high - low) if high > low else np.full(values.shape, 0.5))
    times = np.maximum(np.asarray(unlike, dtype=float), 1e-6)
    most = np.clip(times.max(), LEAST_GLARING, GLARING)
    tint = STRONGEST * np.clip(np.log(times / USUAL) / np.log(most / USUAL), 0, 1)[..., None]
    mixed = (1 - tint) * grey[..., None] + tint * np.array(to_rgb(HOT))
    found: NDArray[np.uint8] = np.rint(255 * mixed).astype(np.uint8)
    return found


def heat_maps(
    images: Sequence[Any] | NDArray[Any], unlike: Sequence[Any] | NDArray[Any], names: Sequence[str]
) -> Figure:
    """Images with a tint where they are unlike others, each with its name.

    Parameters
    ----------
    images, unlike : sequence of array
        As for ``heat``; the first twelve are drawn.
    names : sequence of str

    Returns
    -------
    Figure
    """
    shown = [heat(*pair) for pair in zip(images[:MOST], unlike[:MOST], strict=True)]
    across = min(ACROSS, max(len(shown), 1))
    rows = -(-len(shown) // across) or 1
    tall = max(one.shape[0] / one.shape[1] for one in shown) if shown else 1.0
    drawing = style.figure(WIDTH * across / ACROSS, rows * (WIDTH / ACROSS * tall + 0.25))
    for i, (one, name) in enumerate(zip(shown, names, strict=False)):
        ax = drawing.add_subplot(rows, across, i + 1)
        ax.imshow(one, interpolation="none")
        ax.set_axis_off()
        words = {"fontsize": style.TEXT_SIZE, "color": style.MUTED}
        ax.set_title(name, loc="left", pad=3, fontdict=words, parse_math=False)
    return drawing
