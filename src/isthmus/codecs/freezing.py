"""Trained transforms in whole numbers."""

from __future__ import annotations

import numpy as np
import torch

from isthmus.coding.fixed import QUALITIES, FixedLayer, FixedNetwork
from isthmus.coding.latents import DEPTH, LatentCoder
from isthmus.coding.lossy import LossyCoder
from isthmus.coding.transform import BITS, STEP_BITS, WEIGHT_BITS, Transform
from isthmus.parts.transform import LossyNetwork, QualityNetwork
from isthmus.training.transform import Design

SPARE = 8.0
"""What the network beside the transform may add to a number, at most."""
FEWEST_BITS = 3
WIDEST = 256.0
"""Grey levels."""


@torch.no_grad()
def frozen_transform(
    network: LossyNetwork, design: Design, qualities: tuple[int, int] = (1, QUALITIES)
) -> LossyCoder:
    """The coder that a trained network becomes."""
    transform = network.transform
    mean = transform.mean.double().numpy()
    steps = (transform.steps[:, None] * torch.exp(transform.finer)).double().numpy()
    whole = np.maximum(1, np.rint(steps * 2**STEP_BITS)).astype(np.int32)
    forward = transform.forward_matrix.numpy()
    # The half is what turns a floor into the nearest whole number.
    level = np.rint(mean * 2.0**BITS).astype(np.int64) + (1 << BITS - 1)
    back = np.rint(transform.back_matrix.double().numpy() * 2**WEIGHT_BITS).astype(np.int32)
    groups = design.groups
    most = np.abs(forward) @ np.maximum(mean, WIDEST - mean) / steps + SPARE
    bits = np.ceil(np.log2(most)).astype(np.int64) + 1
    largest = np.maximum.reduceat(bits, groups.starts[:-1], axis=1)
    return LossyCoder(
        Transform(
            design.patch,
            design.colours,
            np.ascontiguousarray(forward),
            transform.mean.numpy(),
            frozen(transform.analysis),
            frozen(transform.synthesis),
            whole,
            back,
            level,
            design.groups.seen,
        ),
        LatentCoder(
            groups,
            [frozen(part) for part in network.parts],
            largest.clip(FEWEST_BITS, DEPTH).astype(np.uint8),
        ),
        qualities[1],
        qualities,
    )


def frozen(network: QualityNetwork) -> FixedNetwork:
    """A network in whole numbers."""
    return FixedNetwork(
        [
            FixedLayer(layer.weight.numpy(), layer.bias.numpy(), layer.shift.numpy())
            for layer in network.frozen()
        ]
    )
