"""A codec beside the formats that its user would take instead."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from isthmus.baselines.comparison import Comparison, Row
from isthmus.baselines.image_files import opened, plain_formats
from isthmus.baselines.measures import mean_and_error
from isthmus.codecs.lossy_judging import compare_lossy
from isthmus.coding.container import Picture, pack, unpack
from isthmus.coding.lossy import LossyCoder
from isthmus.core.errors import CompressedError
from isthmus.data.contracts import Array
from isthmus.training.surroundings import single_products

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec

OURS = "this model"
SIZE, INTO, BACK = "bits per pixel", "MB/s in", "MB/s out"
MEGABYTE = 1e6


def compare(codec: ImageCodec, images: Sequence[Array]) -> Comparison:
    """Bytes of whole files and speed, ours against each plain format; all are decoded and checked.

    Nothing is stored as it is here: what the model makes of an image is what counts.
    """
    coder = codec.coder()
    if isinstance(coder, LossyCoder):
        return compare_lossy(coder, images)
    with single_products():
        ways: dict[str, tuple[Callable[[Array], bytes | None], Callable[[bytes], Array]]] = {
            OURS: (
                lambda image: pack(Picture(image), coder),
                lambda data: unpack(data, lambda _: coder).pixels,  # type: ignore[union-attr]
            )
        }
        ways |= {name: (write, opened) for name, write in plain_formats().items()}
        rows = []
        for name, (write, read) in ways.items():
            rows += _measured(name, write, read, images)
    return Comparison(rows, *_verdict(rows))


def _measured(
    name: str,
    write: Callable[[Array], bytes | None],
    read: Callable[[bytes], Array],
    images: Sequence[Array],
) -> list[Row]:
    bits, into, back = [], 0.0, 0.0
    for image in images:
        began = time.perf_counter()
        data = write(image)
        middle = time.perf_counter()
        if data is None:
            return []
        again = read(data)
        back += time.perf_counter() - middle
        into += middle - began
        if again.ndim > image.ndim:  # a format of colours only
            again = again[..., 0]
        if not np.array_equal(again.ravel(), image.ravel()):
            raise CompressedError(f"{name} gave other pixels back than it was given")
        bits.append(8 * len(data) / (image.shape[0] * image.shape[1]))
    sizes = np.array([image.shape[0] * image.shape[1] for image in images], np.float64)
    megabytes = sum(image.nbytes for image in images) / MEGABYTE
    mean = float(np.average(bits, weights=sizes))
    _, error = mean_and_error(torch.tensor(bits))
    return [
        Row(name, SIZE, mean, error),
        Row(name, INTO, megabytes / into, 0.0),
        Row(name, BACK, megabytes / back, 0.0),
    ]


def _verdict(rows: Sequence[Row]) -> tuple[str, bool]:
    sizes = {row.method: row.value for row in rows if row.measure == SIZE}
    ours = sizes.pop(OURS)
    if not sizes:
        return "There is no plain format that could hold these images.", False
    best = min(sizes, key=lambda name: sizes[name])
    share = ours / sizes[best] - 1
    if share >= 0:
        saved = share / (1 + share)
        return f"The plain format wins: {best} needs {saved:.1%} fewer bytes. Take it.", True
    return f"{-share:.1%} fewer bytes than {best}, the best of the plain formats.", False
