"""From images to a codec with loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isthmus.codecs.fitting import SMALL
from isthmus.codecs.freezing import frozen_transform
from isthmus.coding.latents import Groups
from isthmus.core.errors import AbilityError
from isthmus.core.ranges import positive, positive_int, seconds, seed_of
from isthmus.core.ranges import share as share_of
from isthmus.data.contracts import Array
from isthmus.training.crops import Crops
from isthmus.training.progress import progress_bar
from isthmus.training.staged import Schedule
from isthmus.training.transform import Design, TransformRun

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec

FINE, COARSE = 4, 8
"""Pixels along a side of a block, of small images of one size and of all others."""
KEPT = 112
"""Channels of a block, at most; what is left of it is hardly ever worth a bit."""
SEEN = 24
"""Of the blocks around one, that networks see."""
GROWTH = 1.5
"""How many times the channels of a group are those of the one before."""
SIDE = 12
"""Blocks along a side of what is trained on."""
BATCH_BLOCKS = 1568
"""Blocks in a step."""
STEPS_A_PASS = 16
"""Over small images, at least."""
RATE, GENTLE = 6e-3, 3e-3
"""The learning rate, of small images of one size and of all others."""
MOST_STEPS, FEWEST_STEPS, MOST_PASSES = 24_000, 200, 200
MOST_VALUES = 1 << 28
"""Of images that are kept in memory; of more, some are left out."""
SIZES = {"best": (96, (128,), 2), "fast": (32, (32,), 1)}
"""Widths of the networks beside the transform and of those of groups, and components."""


def fit_lossy(codec: ImageCodec, images: Sequence[Array]) -> None:
    """Train the transform of a codec with its networks, and freeze them."""
    seed = seed_of(codec.random_state)
    whole = alike([checked(image, i) for i, image in enumerate(images)])
    train, held = split(whole, share_of(codec.validation, "validation"), seed)
    train = within_memory(train, seed)
    shapes = {image.shape for image in whole}
    small = len(shapes) == 1 and max(whole[0].shape[:2]) <= SMALL
    patch, colours = FINE if small else COARSE, whole[0].shape[2]
    width, widths, components = SIZES[codec.speed]
    groups = Groups(sizes_of(min(KEPT, patch**2 * colours)), small, SEEN)
    design = Design(patch, colours, groups, width, widths, components)
    side = SMALL // FINE if small else SIDE
    crops = Crops(train, patch, side)
    many = max(1, len(train) // STEPS_A_PASS) if small else BATCH_BLOCKS
    batch = min(many, max(1, round(BATCH_BLOCKS / crops.blocks_of_one)))
    schedule = Schedule(
        steps_for(codec.epochs, train, crops, batch),
        batch,
        (RATE if small else GENTLE)
        if codec.learning_rate is None
        else positive(codec.learning_rate, "learning_rate"),
        seed,
        seconds(codec.max_time),
    )
    low, high = codec.qualities
    with progress_bar(codec.verbose) as show:
        run = TransformRun(
            design,
            crops,
            Crops(held, patch, side) if held else None,
            schedule,
            qualities=(low - 1, high - 1),
            on_progress=show,
            checkpoint=None if codec.resume is None else Path(codec.resume),
        )
        trained = run.to_the_end()
    if trained.interrupted:
        raise KeyboardInterrupt
    (network,) = trained.networks
    losses = [entry["loss"] for entry in trained.history]
    codec.kept_ = "trained"
    if losses and losses[-1] >= losses[0]:
        network, codec.kept_ = run.started(0), "start"
    codec.coder_ = frozen_transform(network, design, (low, high))
    codec.n_images_ = len(images)
    codec.history_ = trained.history
    codec.validation_ = _validation(trained.history, codec.kept_, (low, high))


def _validation(
    history: list[dict[str, float]], kept: str, qualities: tuple[int, int]
) -> dict[str, object]:
    """What images held out take at each quality, before and after training."""
    if not history:
        return {}
    levels = range(qualities[0], qualities[1] + 1)
    first = history[0]
    last = first if kept == "start" else history[-1]
    return {
        "measure": "bits per value and PSNR in dB, at each quality",
        "before": [[first[f"bits {q}"], first[f"psnr {q}"]] for q in levels],
        "after": [[last[f"bits {q}"], last[f"psnr {q}"]] for q in levels],
    }


def checked(image: Array, number: int) -> Array:
    """An image with its channels last, if it can be coded with loss.

    Raises
    ------
    AbilityError
    """
    found = image if image.ndim == 3 else image[..., np.newaxis]
    if found.dtype != np.uint8 or found.shape[2] not in (1, 3):
        kind = "16 bits a value" if found.dtype != np.uint8 else "an alpha channel"
        raise AbilityError(
            f"image {number} has {kind}; with loss, images have 8 bits a value and are grey or in "
            "colour. Convert it, leave it out, or fit without loss: lossless=True."
        )
    return found


def alike(images: Sequence[Array]) -> list[Array]:
    """All in colour, where any is."""
    if {image.shape[2] for image in images} == {1, 3}:
        return [np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image for image in images]
    return list(images)


def split(images: Sequence[Array], share: float, seed: int) -> tuple[list[Array], list[Array]]:
    """Images to train on, and others to judge by; of a single one, its lower rows."""
    if share == 0:
        return list(images), []
    if len(images) == 1:
        height = images[0].shape[0]
        cut = height - int(height * share)
        if cut in (0, height):
            return list(images), []
        return [images[0][:cut]], [images[0][cut:]]
    apart = max(1, round(len(images) * share))
    chosen = set(map(int, np.random.default_rng(seed).permutation(len(images))[:apart]))
    held = [images[i] for i in sorted(chosen)]
    return [image for i, image in enumerate(images) if i not in chosen], held


def within_memory(images: list[Array], seed: int) -> list[Array]:
    """As many of the images, at random, as can be kept."""
    order = np.random.default_rng((seed, 1)).permutation(len(images))
    sizes = np.cumsum([images[i].size for i in order])
    kept = max(1, int((sizes <= MOST_VALUES).sum()))
    return [images[i] for i in sorted(order[:kept])]


def sizes_of(channels: int) -> tuple[int, ...]:
    """Channels of each group: few at first, which tell most."""
    found, left, size = list[int](), channels, 1.0
    while left:
        found.append(min(left, round(size)))
        left -= found[-1]
        size = max(size * GROWTH, size + 0.5)
    return tuple(found)


def steps_for(epochs: int | None, images: Sequence[Array], crops: Crops, batch: int) -> int:
    """Steps of training; an epoch has as many as show all pixels once."""
    shown = batch * crops.blocks_of_one * crops.patch**2
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    each = int(max(1, -(-pixels // shown)))
    if epochs is not None:
        return positive_int(epochs, "epochs") * each
    return min(MOST_STEPS, max(FEWEST_STEPS, MOST_PASSES * each))
