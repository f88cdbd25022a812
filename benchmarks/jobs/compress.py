"""Our codecs: fitted on a set, then measured on images that were not in the fit."""

from __future__ import annotations

import resource
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import pictures

Array = NDArray[Any]


def answer(
    do: str, name: str, model: str, seed: int, speed: str = "best", most: int = 0
) -> dict[str, Any]:
    """``do`` is fit or measure; ``model`` is where the codec is, or empty for the bundled one."""
    from isthmus import ImageCodec, load

    train, test = pictures.split(name)
    if do == "fit":
        began = cpu_seconds()
        codec = ImageCodec(speed=speed, random_state=seed).fit(train)
        spent = cpu_seconds() - began
        shutil.rmtree(model, ignore_errors=True)
        codec.save(model)
        return {"cpu_seconds": spent, "validation": codec.validation_}
    codec = load(model) if model else ImageCodec(speed=speed)
    needed = [Path(model) / file for file in ("config.json", "model.safetensors")] if model else []
    size = sum(file.stat().st_size for file in needed)
    found = {"model_bytes": size, **singles(codec, test[: most or None])}
    if pictures.small(name):
        found |= archive(codec, test)
    return found


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def singles(codec: Any, images: list[Array] | Array) -> dict[str, Any]:
    """Each image as bytes of its own, written with the check that it can be read, and read."""
    from isthmus.coding.container import Picture, pack, unpack

    coder = codec.coder()
    sizes, into, back = [], [], []
    for image in images:
        began = time.perf_counter()
        data = pack(Picture(image), coder)
        middle = time.perf_counter()
        again = unpack(data, lambda _: coder)
        back.append(time.perf_counter() - middle)
        into.append(middle - began)
        assert np.array_equal(again.pixels, image)  # type: ignore[union-attr]
        sizes.append(len(data))
    values = sum(image.size for image in images)
    return {
        "bits": 8 * sum(sizes) / values,
        "into": values / 1e6 / sum(into),
        "back": values / 1e6 / sum(back),
        "slowest_ms": 1000 * float(np.median(np.add(into, back))),
    }


def archive(codec: Any, images: Array) -> dict[str, Any]:
    """All images as one file."""
    from isthmus import Archive

    path = Path("/tmp") / f"isthmus-benchmark-{time.time_ns()}.ista"
    try:
        began = time.perf_counter()
        size = Archive.write(path, images, codec)
        middle = time.perf_counter()
        again = Archive(path, codec).read()
        back = time.perf_counter() - middle
    finally:
        path.unlink(missing_ok=True)
    assert np.array_equal(again, images)
    return {
        "archive_bytes": size,
        "archive_into": images.size / 1e6 / (middle - began),
        "archive_back": images.size / 1e6 / back,
    }
