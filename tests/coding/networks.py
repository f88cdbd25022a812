"""Small integer networks, drawn at random."""

from __future__ import annotations

import numpy as np

from isthmus.coding.coder import Coder
from isthmus.coding.integers import IntegerNetwork, Layer
from isthmus.coding.neighbourhood import Neighbourhood
from isthmus.coding.planes import Predictor
from isthmus.coding.seen import SHAPE


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


def coder(planes: int, seed: int = 0, slope: int = 3, places: bool = False) -> Coder:
    """Networks that expect anything, with weights for values that occurred."""
    rng = np.random.default_rng(seed)
    predictors = []
    for k in range(planes):
        hood = Neighbourhood(12, 9 if k else 0, k, slope, places)
        weights = rng.integers(1, 900, SHAPE).astype(np.int16)
        predictors.append(Predictor(hood, network(hood.n_inputs, 8, 3, seed + k), weights))
    return Coder(predictors)
