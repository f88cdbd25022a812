"""Our codecs with loss: fitted on a set, then bytes and errors on images that were not in it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import pictures
from benchmarks.jobs.compress import cpu_seconds
from benchmarks.jobs.lossy_formats import Errors

TRAINED_ON = {"kodak": "cid22"}
"""Of Kodak nothing is trained on: the codec is that of other photographs."""


def answer(
    do: str, name: str, model: str, seed: int, minutes: float = 0, most: int = 0, quality: int = 0
) -> dict[str, Any]:
    """``do`` is fit, singles or together; ``model`` is where the codec is."""
    from isthmus import Archive, ImageCodec, load

    if do == "fit":
        train = pictures.split(TRAINED_ON.get(name, name))[0]
        limit = 60 * minutes if minutes else None
        began = cpu_seconds()
        codec = ImageCodec(lossless=False, random_state=seed, max_time=limit).fit(train)
        spent = cpu_seconds() - began
        codec.save(model)
        return {"cpu_seconds": spent, "validation": codec.validation_, "kept": codec.kept_}
    codec = load(model).set_params(quality=quality)
    images = pictures.split(name)[1][: most or None]
    size = sum((Path(model) / file).stat().st_size for file in ("config.json", "model.safetensors"))
    errors, began = Errors(), time.perf_counter()
    if do == "together":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "all.ista"
            total = Archive.write(path, images, codec)
            into, began = time.perf_counter() - began, time.perf_counter()
            found = Archive(path, codec).read()
        back = time.perf_counter() - began
        for one, image in zip(found, images, strict=True):
            errors.add(one, image)
    else:
        coded = [codec.compress(image) for image in images]
        into, began = time.perf_counter() - began, time.perf_counter()
        again = [codec.decompress(data) for data in coded]
        back, total = time.perf_counter() - began, sum(map(len, coded))
        for one, image in zip(again, images, strict=True):
            errors.add(one, image)
    megabytes = sum(np.asarray(image).nbytes for image in images) / 1e6
    speeds = {"into": megabytes / into, "back": megabytes / back}
    return {"model_bytes": size, **errors.beside(total), **speeds}
