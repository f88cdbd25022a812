"""Our restorer: fitted on photographs, then measured on others; and the peers on the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import scenes
from benchmarks.jobs.denoise import cpu_seconds

SEED = 0


def answer(do: str, **asked: Any) -> dict[str, Any]:
    """``do`` is fit, measure or peer."""
    found: dict[str, Any] = {"fit": fit, "measure": measure, "peer": peer}[do](**asked)
    return found


def fit(model: str, damage: str, seed: int, max_time: str) -> dict[str, Any]:
    from isthmus import Restorer

    images, _ = scenes.train()
    began = cpu_seconds()
    restorer = Restorer(damage, random_state=seed, max_time=max_time, epochs=10**4).fit(images)
    spent = cpu_seconds() - began
    shutil.rmtree(model, ignore_errors=True)
    restorer.save(model)
    return {"cpu_seconds": spent, "steps": restorer.history_[-1]["step"]}


def cases(damage: str, test: str) -> list[tuple[Any, Any, Any]]:
    """What is left of each image, where its holes are, and the image."""
    images, rng = scenes.measured_on(test), np.random.default_rng(SEED)
    if damage == "holes":
        lost = [rng.random(image.shape) < 0.5 for image in images]
        return [(np.where(gone, 0, x), gone, x) for x, gone in zip(images, lost, strict=True)]
    return [(smaller(image), None, image) for image in images]


def smaller(image: Any) -> Any:
    """Half as many pixels a side, by bicubic interpolation over all of them."""
    from PIL import Image

    size = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def measured(way: Callable[[Any, Any], Any], damage: str, test: str) -> dict[str, Any]:
    peaks, errors = [], []
    for image, lost, whole in cases(damage, test):
        found = np.clip(way(image, lost), 0, 1)
        squares = (found.astype(np.float64) - whole) ** 2
        where = slice(None) if lost is None else lost
        errors.append(float(squares[where].mean()))
        peaks.append(-10 * np.log10(errors[-1]))
    return {"psnr": float(np.mean(peaks)), "mse": float(np.mean(errors))}


def measure(model: str, damage: str, test: str) -> dict[str, Any]:
    from isthmus import load

    restorer = load(model)
    return measured(restorer.mend, damage, test)


def peer(method: str, damage: str, test: str) -> dict[str, Any]:
    try:
        way = ways()[damage][method]()
    except ImportError as absent:
        return {"missing": str(absent.name)}
    return measured(way, damage, test)


def ways() -> dict[str, dict[str, Callable[[], Callable[[Any, Any], Any]]]]:
    """The peers of each damage."""

    def bicubic() -> Callable[[Any, Any], Any]:
        from PIL import Image

        def enlarged(image: Any, _: Any) -> Any:
            size = image.shape[1] * 2, image.shape[0] * 2
            return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))

        return enlarged

    def biharmonic() -> Callable[[Any, Any], Any]:
        from skimage.restoration import inpaint_biharmonic

        return lambda image, lost: inpaint_biharmonic(image, lost, split_into_regions=False)

    def telea() -> Callable[[Any, Any], Any]:
        import cv2

        def filled(image: Any, lost: Any) -> Any:
            pixels = (image * 255).round().astype(np.uint8)
            return cv2.inpaint(pixels, lost.astype(np.uint8), 3, cv2.INPAINT_TELEA) / 255

        return filled

    return {"scale2": {"bicubic": bicubic}, "holes": {"biharmonic": biharmonic, "telea": telea}}
