"""Small integer networks, drawn at random."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from isthmus.coding.coder import Coder
from isthmus.coding.fixed import QUALITIES, FixedLayer, FixedNetwork
from isthmus.coding.integers import IntegerNetwork, Layer
from isthmus.coding.latents import Groups, LatentCoder
from isthmus.coding.lossy import LossyCoder
from isthmus.coding.neighbourhood import Neighbourhood
from isthmus.coding.planes import Predictor
from isthmus.coding.seen import SHAPE
from isthmus.coding.transform import BITS, WEIGHT_BITS, Transform


def network(n_inputs: int, width: int, components: int, seed: int) -> IntegerNetwork:
    """One hidden layer, and a mixture around the reference."""
    rng = np.random.default_rng(seed)
    hidden = Layer(
        rng.integers(-20, 20, (width, n_inputs)).astype(np.int16),
        rng.integers(-2000, 2000, width).astype(np.int32),
        np.full(width, 6, np.uint8),
    )
    weight = rng.integers(-20, 20, (3 * components, width + n_inputs)).astype(np.int16)
    last = Layer(
        weight,
        rng.integers(-3000, 3000, 3 * components).astype(np.int32),
        np.full(3 * components, 6, np.uint8),
    )
    return IntegerNetwork([hidden, last])


def fixed(n_inputs: int, widths: tuple[int, ...], n_outputs: int, seed: int) -> FixedNetwork:
    """A network in fixed point, whose answers are small beside its inputs."""
    rng = np.random.Generator(np.random.PCG64(seed))
    sizes = [n_inputs, *widths, n_outputs]
    layers = []
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        last = k == len(widths)
        n_in = n_in + n_inputs if last and k else n_in
        layers.append(
            FixedLayer(
                rng.integers(-9000, 9001, (n_out, n_in)).astype(np.int16),
                rng.integers(0, 1 << 24, (QUALITIES, n_out)),
                np.full(n_out, 20 if last else 14, np.uint8),
            )
        )
    return FixedNetwork(layers)


def lossy_coder(
    patch: int = 4, colours: int = 1, seed: int = 0, places: bool = False
) -> LossyCoder:
    """A cosine transform of blocks, and networks that expect anything."""
    values = patch**2 * colours
    at = np.arange(patch)
    cosines = np.cos(np.pi * (2 * at + 1) * at[:, None] / (2 * patch)) * np.sqrt(2 / patch)
    cosines[0] /= np.sqrt(2)
    forward = np.kron(np.kron(cosines, cosines), np.eye(colours))
    groups = Groups((1, 2, values - 3), places, 5)
    steps = np.rint(8 * 256 * 2 ** (np.arange(7, -1, -1) / 2))[:, None]
    transform = Transform(
        patch,
        colours,
        forward.astype(np.float32),
        np.full(values, 120, np.float32),
        fixed(values + 8 * min(values, 5), (5,), values, seed),
        fixed(values + 8 * min(values, 5), (5, 6), values, seed + 1),
        np.repeat(steps, values, axis=1).astype(np.int32),
        np.rint(forward.T * (1 << WEIGHT_BITS)).astype(np.int32),
        np.full(values, 240 << BITS - 1, np.int64),
        groups.seen,
    )
    networks = [
        fixed(groups.n_inputs(i), (8,), 6 * size, seed + 2 + i)
        for i, size in enumerate(groups.sizes)
    ]
    depths = np.full((QUALITIES, 3), 9, np.uint8)
    return LossyCoder(transform, LatentCoder(groups, networks, depths))


def coder(planes: int, seed: int = 0, slope: int = 3, places: bool = False) -> Coder:
    """Networks that expect anything, with weights for values that occurred."""
    rng = np.random.default_rng(seed)
    predictors = []
    for k in range(planes):
        hood = Neighbourhood(12, 9 if k else 0, k, slope, places)
        weights = rng.integers(1, 900, SHAPE).astype(np.int16)
        predictors.append(Predictor(hood, network(hood.n_inputs, 8, 3, seed + k), weights))
    return Coder(predictors)
