"""From images to a codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from isthmus.codecs.models import ARCHITECTURES, bundled
from isthmus.coding.coder import GREEN_FIRST, Coder
from isthmus.coding.container import depth_of
from isthmus.coding.integers import IntegerNetwork, Layer
from isthmus.coding.neighbourhood import Neighbourhood
from isthmus.coding.planes import Predictor, observed
from isthmus.core.ranges import positive, positive_int, seconds, seed_of
from isthmus.core.ranges import share as share_of
from isthmus.data.contracts import Array
from isthmus.parts.context import ContextNetwork, Whole
from isthmus.training.context import ContextRun
from isthmus.training.progress import progress_bar
from isthmus.training.seen import learned_weights
from isthmus.training.staged import Schedule
from isthmus.training.surroundings import own_randomness, own_threads

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec

Planes = tuple[Array, ...]
SMALL = 64
"""Pixels a side, up to which images of one size are shown where they are."""
MOST_STEPS, FEWEST_STEPS = 40_000, 1_000
"""Of all planes together."""
MOST_PASSES = 60
BATCH = 4096
RATE, GENTLE = 6e-3, 2e-3
"""The learning rate from least squares, and from a model that is trained already."""
MOST_PIXELS = 1 << 26
"""Of each plane, that are kept in memory; of more, parts of the images are taken."""
STRIP = 64
"""Rows of such a part."""
LOOKED_AT = 1 << 19
"""Pixels from which it is learned what the values before one tell."""
TALLEST, WIDEST = 256, 512
"""Of the parts of images that are looked at for that."""


def fit(codec: ImageCodec, images: Sequence[Array]) -> None:
    """Train the networks of a codec, and freeze them."""
    seed = seed_of(codec.random_state)
    train, held = split(
        [planes_of(image) for image in images], share_of(codec.validation, "validation"), seed
    )
    depth = max(depth_of(image) for image in images)
    colour = any(len(planes) == 3 for planes in train)
    shapes = {planes[0].shape for planes in train}
    small = len(shapes) == 1 and max(map(max, shapes)) <= SMALL
    architecture = ARCHITECTURES[codec.speed]
    hoods = architecture.neighbourhoods(3 if colour else 1, small)
    starts = None
    if codec.init == "bundled" or (codec.init == "auto" and not small):
        starts = bundled(codec.speed).predictors[: len(hoods)]
        hoods = [start.neighbourhood for start in starts]
    train = within_memory(train, seed)
    pixels = sum(planes[0].size for planes in train)
    rate = RATE if starts is None else GENTLE
    schedule = Schedule(
        steps_for(codec.epochs, pixels, len(hoods)),
        BATCH,
        rate if codec.learning_rate is None else positive(codec.learning_rate, "learning_rate"),
        seed,
        seconds(codec.max_time),
    )
    with progress_bar(codec.verbose) as show:
        run = ContextRun(
            hoods,
            list(architecture.widths),
            architecture.components,
            train,
            held,
            depth,
            schedule,
            starts=None if starts is None else [thawed(start) for start in starts],
            on_progress=show,
            checkpoint=None if codec.resume is None else Path(codec.resume),
        )
        trained = run.to_the_end()
    if trained.interrupted:
        raise KeyboardInterrupt
    from_bundled = starts is not None
    if starts is None:
        starts = [frozen(run.started(i), hood) for i, hood in enumerate(hoods)]
    predictors = [
        frozen(network, hood) if better(trained.history, plane) else start
        for plane, (network, hood, start) in enumerate(
            zip(trained.networks, hoods, starts, strict=True)
        )
    ]
    unchanged = all(a is b for a, b in zip(predictors, starts, strict=True))
    started = Coder(starts)
    codec.coder_ = started
    if not (unchanged and from_bundled):
        codec.coder_ = Coder([_with_weights(p, train) for p in predictors])
    codec.kept_ = "start" if unchanged else "trained"
    codec.history_ = trained.history
    codec.n_images_ = len(images)
    codec.validation_ = {}
    if held:
        bits = [coded_bits(coder, held, depth) for coder in (started, codec.coder_)]
        codec.validation_ = {"measure": "bits per value", "before": bits[0], "after": bits[1]}


def better(history: Sequence[dict[str, float]], plane: int) -> bool:
    """Whether training lowered the cost of a plane; where nothing was held out, it is believed."""
    costs = [entry["bits"] for entry in history if entry["plane"] == plane]
    return not costs or costs[-1] < costs[0]


def coded_bits(coder: Coder, images: Sequence[Planes], depth: int) -> float:
    """Bits per value of some images, as they are really coded; those of one size side by side."""
    groups: dict[tuple[int, ...], list[Planes]] = {}
    parts = [tuple(map(middle, image)) for image in images]
    for part in parts[:: max(1, sum(part[0].size for part in parts) // LOOKED_AT)]:
        groups.setdefault((len(part), *part[0].shape), []).append(part)
    bits = values = 0
    for group in groups.values():
        colours = [np.stack(planes) for planes in zip(*group, strict=True)]
        whole = [colours[i] for i in GREEN_FIRST] if len(colours) == 3 else colours
        pixels = np.stack(whole, axis=-1)
        bits += 8 * len(coder.encode(pixels, depth))
        values += pixels.size
    return bits / values


def middle(plane: Array) -> Array:
    """The middle of a large plane."""
    top, left = max(0, plane.shape[0] - TALLEST) // 2, max(0, plane.shape[1] - WIDEST) // 2
    return plane[top : top + TALLEST, left : left + WIDEST]


def _with_weights(predictor: Predictor, images: Sequence[Planes]) -> Predictor:
    """A predictor that also heeds which values an image has had, where that pays."""
    if predictor.weights is not None:
        return predictor
    planes = predictor.neighbourhood.planes + 1
    groups: dict[tuple[int, ...], list[Planes]] = {}
    left = LOOKED_AT
    spread = max(1, len(images) * images[0][0].size // LOOKED_AT)
    for image in images[::spread]:
        if len(image) < planes or image[0].dtype != np.uint8 or left <= 0:
            continue
        part = tuple(plane[:TALLEST, :WIDEST] for plane in image[:planes])
        groups.setdefault(part[0].shape, []).append(part)
        left -= part[0].size
    seen = [
        observed([np.stack(p).astype(np.float32) for p in zip(*group, strict=True)], predictor)
        for group in groups.values()
    ]
    if not seen:
        return predictor
    parts = [np.concatenate(part) for part in zip(*seen, strict=True)]
    with own_randomness(0), own_threads(1):
        return replace(predictor, weights=learned_weights(*parts))


def planes_of(image: Array) -> Planes:
    """The colours in the order in which they are coded, or grey; without alpha."""
    if image.ndim == 2:
        return (image,)
    if image.shape[2] == 2:
        return (image[..., 0],)
    return tuple(np.ascontiguousarray(image[..., c]) for c in GREEN_FIRST)


def split(images: Sequence[Planes], share: float, seed: int) -> tuple[list[Planes], list[Planes]]:
    """Images to train on, and others to judge by; of a single one, its lower rows."""
    if share == 0:
        return list(images), []
    if len(images) == 1:
        height = images[0][0].shape[0]
        cut = height - int(height * share)
        if cut < 1 or cut == height:
            return list(images), []
        (one,) = images
        return [tuple(p[:cut] for p in one)], [tuple(p[cut:] for p in one)]
    apart = max(1, round(len(images) * share))
    order = np.random.default_rng(seed).permutation(len(images))
    colour = [i for i in order if len(images[i]) == 3]
    chosen = set(map(int, order[:apart]))
    if colour and len(colour) > 1 and not chosen & set(map(int, colour)):
        chosen.add(int(colour[0]))
    held = [images[i] for i in sorted(chosen)]
    return [image for i, image in enumerate(images) if i not in chosen], held


def within_memory(images: list[Planes], seed: int) -> list[Planes]:
    """All of the images, or strips of them, evenly over all, where they are too many."""
    total = sum(planes[0].size for planes in images)
    if total <= MOST_PIXELS:
        return images
    rng = np.random.default_rng(seed)
    strips = [
        (i, top) for i, planes in enumerate(images) for top in range(0, planes[0].shape[0], STRIP)
    ]
    keep = max(1, int(len(strips) * MOST_PIXELS / total))
    chosen = sorted(rng.choice(len(strips), keep, replace=False))
    return [
        tuple(np.ascontiguousarray(plane[top : top + STRIP]) for plane in images[i])
        for i, top in (strips[k] for k in chosen)
    ]


def steps_for(epochs: int | None, pixels: int, planes: int) -> int:
    """Steps of the network of each plane."""
    each = max(1, -(-pixels // BATCH))
    if epochs is not None:
        return positive_int(epochs, "epochs") * each
    return min(MOST_STEPS, max(FEWEST_STEPS, MOST_PASSES * each)) // planes


def frozen(network: ContextNetwork, hood: Neighbourhood) -> Predictor:
    """A trained network in whole numbers."""
    layers = [
        Layer(
            whole.weight.numpy().astype(np.int16),
            whole.bias.numpy().astype(np.int32),
            whole.shift.numpy(),
        )
        for whole in network.frozen()
    ]
    return Predictor(hood, IntegerNetwork(layers))


def thawed(predictor: Predictor) -> list[Whole]:
    """The layers of a frozen network, to train on from."""
    return [
        Whole(
            torch.from_numpy(layer.weight.astype(np.int32)),
            torch.from_numpy(layer.bias),
            torch.from_numpy(layer.shift),
        )
        for layer in predictor.network.layers
    ]
