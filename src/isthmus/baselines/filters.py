"""The plain ways to mend an image: filters and interpolation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage, signal

Array = npt.NDArray[Any]
Filter = Callable[[Array], Array]

SPREADS = (0.6, 1.0, 1.6)
"""Standard deviations of Gaussian filters, in pixels."""
SHARPER = 1.0


def denoisers() -> dict[str, Filter]:
    """What takes (height, width) floats within 0 and 1, by name; scikit-image's where it is."""
    found: dict[str, Filter] = {"as it is": np.asarray}
    for spread in SPREADS:
        found[f"Gaussian filter {spread:g}"] = partial(ndimage.gaussian_filter, sigma=spread)
    found["median filter"] = partial(ndimage.median_filter, size=3)
    found["Wiener filter"] = _wiener
    try:
        from skimage import restoration
    except ImportError:
        return found
    found["wavelets"] = partial(restoration.denoise_wavelet, rescale_sigma=True)
    found["non-local means"] = lambda image: restoration.denoise_nl_means(
        image, h=0.8 * restoration.estimate_sigma(image), sigma=restoration.estimate_sigma(image)
    )
    return found


def _wiener(image: Array) -> Array:
    with np.errstate(all="ignore"):
        found = signal.wiener(image, 5)
    return np.where(np.isfinite(found), found, image)


def sharpeners() -> dict[str, Filter]:
    """What makes a blurred image sharper."""
    return {
        "as it is": np.asarray,
        "unsharp mask": lambda image: image + SHARPER * (image - ndimage.gaussian_filter(image, 2)),
    }


def enlargers(factor: int) -> dict[str, Filter]:
    """What makes an image larger."""
    ways = {
        "nearest pixel": Image.Resampling.NEAREST,
        "bicubic": Image.Resampling.BICUBIC,
        "Lanczos": Image.Resampling.LANCZOS,
    }
    return {name: partial(_enlarged, factor=factor, way=way) for name, way in ways.items()}


def _enlarged(image: Array, factor: int, way: Image.Resampling) -> Array:
    height, width = image.shape
    picture = Image.fromarray(image.astype(np.float32))
    return np.asarray(picture.resize((width * factor, height * factor), way))


def fillers() -> dict[str, Callable[[Array, Array], Array]]:
    """What fills the holes of an image, told where they are."""
    found: dict[str, Callable[[Array, Array], Array]] = {
        "nearest pixel": _nearest,
        "diffusion": _diffused,
    }
    try:
        from skimage.restoration import inpaint_biharmonic
    except ImportError:
        return found
    found["biharmonic"] = inpaint_biharmonic
    return found


def _nearest(image: Array, lost: Array) -> Array:
    if lost.all():
        return np.full_like(image, 0.5)
    where = ndimage.distance_transform_edt(lost, return_distances=False, return_indices=True)
    return np.asarray(image[tuple(where)])


ROUNDS = 500


def _diffused(image: Array, lost: Array) -> Array:
    """Each lost pixel the mean of its four neighbours."""
    found = _nearest(image, lost)
    cross = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]])
    for _ in range(ROUNDS):
        nearer = np.where(lost, ndimage.convolve(found, cross, mode="nearest"), found)
        moved = float(np.abs(nearer - found).max(initial=0))
        found = nearer
        if moved < 1e-4:
            break
    return found
