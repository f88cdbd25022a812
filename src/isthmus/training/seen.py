"""Training of the weights of values that an image has had before."""

from __future__ import annotations

import math

import numpy as np
import torch

from isthmus.coding.seen import HEAVIEST, SHAPE, TIMES, UNIT, Array

STEPS, RATE = 120, 0.05
LEAST_GAIN = 0.002
"""Bits per value from which weights are worth the time they take."""


def learned_weights(
    kinds: Array, held: Array, times: Array, expected: Array, digits: Array
) -> Array | None:
    """The weights under which the last digits cost least; None where they hardly matter.

    Parameters
    ----------
    kinds, held, times, expected, digits
        What ``coding.planes.observed`` saw.
    """
    d = torch.from_numpy(digits.astype(np.int64))
    place = torch.from_numpy((kinds[:, None] * 2 + held) * TIMES + times)
    plain = torch.from_numpy(expected).log()
    weights = torch.zeros(SHAPE, requires_grad=True)
    optimiser = torch.optim.Adam([weights], lr=RATE)
    for _ in range(STEPS):
        scores = plain + weights.flatten()[place]
        cost = torch.nn.functional.cross_entropy(scores, d)
        optimiser.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        before = torch.nn.functional.nll_loss(plain, d)
        scores = plain + weights.flatten()[place]
        gain = float(before - torch.nn.functional.cross_entropy(scores, d)) / math.log(2)
    if gain < LEAST_GAIN:
        return None
    whole = (UNIT * weights.detach().exp()).round().clamp(1, HEAVIEST)
    found: Array = whole.to(torch.int16).numpy()
    return found
