"""Our denoiser: fitted on photographs, then measured on others; and the peers on the same."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable
from typing import Any

from benchmarks import scenes

STRENGTHS = (0.02, 0.22)
"""Of the noise that the model is shown, as a share of the range of values."""


def answer(do: str, **asked: Any) -> dict[str, Any]:
    """``do`` is fit, measure or peer."""
    found: dict[str, Any] = {"fit": fit, "measure": measure, "peer": peer}[do](**asked)
    return found


def fit(model: str, learn: str, sigma: float, seed: int, max_time: str) -> dict[str, Any]:
    """``learn`` from clean images, or from noisy ones alone, of one strength that is not told."""
    from isthmus import Denoiser, spec

    images, _ = scenes.train()
    settings: dict[str, Any] = {"random_state": seed, "max_time": max_time, "epochs": 10**4}
    began = cpu_seconds()
    if learn == "clean":
        denoiser = Denoiser(spec("noise", scale=STRENGTHS), **settings).fit(images)
    else:
        denoiser = Denoiser(**settings).fit(scenes.noisy(images, sigma, seed=1))
    spent = cpu_seconds() - began
    shutil.rmtree(model, ignore_errors=True)
    denoiser.save(model)
    return {
        "cpu_seconds": spent,
        "parameters": sum(p.numel() for p in denoiser.model_.parameters()),
        "steps": denoiser.history_[-1]["step"],
        "noise": None if denoiser.noise_ is None else told(denoiser),
    }


def told(denoiser: Any) -> float:
    """The estimated strength of the noise, in grey values of 255."""
    low, high = denoiser.range_
    return float(255 * denoiser.noise_.scale * (high - low))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(model: str, sigma: float, test: str) -> dict[str, Any]:
    from isthmus import load

    denoiser = load(model)
    return measured(lambda image: denoiser.transform([image])[0], sigma, test)


def measured(way: Callable[[Any], Any], sigma: float, test: str) -> dict[str, Any]:
    clean = scenes.measured_on(test)
    seen = scenes.noisy(clean, sigma)
    way(seen[0])
    began = time.perf_counter()
    found = [way(image) for image in seen]
    seconds = time.perf_counter() - began
    pixels = sum(image.size for image in clean)
    return {"psnr": scenes.decibels(found, clean), "seconds_512": seconds * 512**2 / pixels}


def peer(method: str, sigma: float, test: str) -> dict[str, Any]:
    try:
        way = ways(sigma / 255)[method]()
    except ImportError as absent:
        return {"missing": str(absent.name)}
    return measured(way, sigma, test)


def ways(scale: float) -> dict[str, Callable[[], Callable[[Any], Any]]]:
    """The peers, told the strength of the noise."""

    def bm3d() -> Callable[[Any], Any]:
        import bm3d

        return lambda image: bm3d.bm3d(image, sigma_psd=scale)

    def means() -> Callable[[Any], Any]:
        from skimage.restoration import denoise_nl_means

        return lambda image: denoise_nl_means(
            image, patch_size=5, patch_distance=6, h=0.6 * scale, sigma=scale, fast_mode=True
        )

    def wavelets() -> Callable[[Any], Any]:
        from skimage.restoration import denoise_wavelet

        return lambda image: denoise_wavelet(image, sigma=scale, mode="soft", rescale_sigma=True)

    return {"bm3d": bm3d, "non-local means": means, "wavelets": wavelets}
