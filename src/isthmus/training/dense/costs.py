"""What a likelihood costs, and its gradient by what the decoder said."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from isthmus.parts.likelihoods import HALF_LOG_2PI, MIN_SCALE
from isthmus.training.dense.activations import softplus
from isthmus.training.dense.tape import Array, Tape, turned


class Held(NamedTuple):
    """What the decoder said, held against x."""

    params: Array
    x: Array
    weight: Array | None
    """(..., rows, 1) or (..., rows, n)."""
    scale: float
    """By which sums over a batch become the loss."""
    nll: Array
    error: Array
    """(..., 1, 1) sums over the batch, weighed: nats, and squared error."""
    slope: Array
    """(..., rows, n) where the gradient by ``params`` goes."""


def weighed(tape: Tape, values: Array, held: Held, out: Array) -> Array:
    """Values times the weight of their row, or their own."""
    return values if held.weight is None else tape.do(np.multiply, values, held.weight, out=out)


def bernoulli(forward: Tape, backward: Tape | None, held: Held) -> None:
    """log(1 + exp(l)) - l x, for each value."""
    slope = forward.torch(torch.sigmoid, held.params, out=held.slope)
    forward.do(np.subtract, slope, held.x, out=slope)
    costs = forward.torch(softplus, held.params, out=np.zeros_like(slope))
    chosen = forward.do(np.multiply, held.params, held.x, out=np.zeros_like(slope))
    forward.do(np.subtract, costs, chosen, out=costs)
    forward.total(weighed(forward, costs, held, costs), held.nll)
    if backward is None:
        squared = forward.do(np.square, slope, out=chosen)
        forward.total(weighed(forward, squared, held, squared), held.error)
        return
    backward.do(np.multiply, slope, backward.number(held.scale), out=slope)
    weighed(backward, slope, held, slope)


def gaussian_fixed(forward: Tape, backward: Tape | None, held: Held, log_scale: float) -> None:
    """Squared error at a fixed scale."""
    number = forward.number
    log_scale = max(log_scale, math.log(MIN_SCALE))
    away, heavy = _residual(forward, held)
    _squared(forward, away, heavy, held.error)
    count = _count(forward, held)
    spent = forward.do(
        np.multiply, count, number(log_scale + HALF_LOG_2PI), out=np.zeros_like(held.nll)
    )
    precision = math.exp(-2 * log_scale)
    forward.do(np.multiply, held.error, number(0.5 * precision), out=held.nll)
    forward.do(np.add, held.nll, spent, out=held.nll)
    if backward is not None:
        backward.do(np.multiply, heavy, number(precision * held.scale), out=held.slope)


def gaussian(
    forward: Tape, backward: Tape | None, held: Held, asked: Array, gradient: Array
) -> None:
    """Squared error at a learned scale, (..., 1, 1) for all values or (..., 1, n) by column.

    nll = squared / (2 scale^2) + log(scale) + log(2 pi) / 2, so its gradient by log(scale) is
    1 - squared / scale^2.
    """
    number, by_column = forward.number, asked.shape[-1] > 1
    away, heavy = _residual(forward, held)
    if by_column:
        squared = forward.do(np.multiply, away, heavy, out=np.zeros_like(away))
        found = forward.total_by_column(squared)
        forward.total(found, held.error)
    else:
        found = _squared(forward, away, heavy, held.error)
    count = _count(forward, held, by_column)
    least = number(math.log(MIN_SCALE))
    log_scale, precision, relative = (np.zeros_like(found) for _ in range(3))
    forward.do(np.maximum, asked, least, out=log_scale)
    forward.do(np.multiply, log_scale, number(-2), out=precision)
    forward.do(np.exp, precision, out=precision)
    forward.do(np.multiply, found, precision, out=relative)
    half = forward.do(np.multiply, relative, number(0.5), out=np.zeros_like(found))
    forward.do(np.add, log_scale, number(HALF_LOG_2PI), out=log_scale)
    forward.do(np.multiply, log_scale, count, out=log_scale)
    forward.do(np.add, half, log_scale, out=half)
    forward.total(half, held.nll)
    if backward is None:
        return
    backward.do(np.subtract, count, relative, out=relative)
    inside = backward.do(np.greater_equal, asked, least, out=np.zeros(asked.shape, bool))
    backward.do(np.multiply, relative, inside, out=relative)
    backward.do(np.multiply, relative, number(held.scale), out=gradient)
    backward.do(np.multiply, precision, number(held.scale), out=precision)
    backward.do(np.multiply, heavy, precision, out=held.slope)


def _residual(tape: Tape, held: Held) -> tuple[Array, Array]:
    """What is left to explain, and the same by weight."""
    away = tape.do(np.subtract, held.params, held.x, out=np.zeros_like(held.slope))
    return away, weighed(tape, away, held, held.slope)


def _squared(tape: Tape, away: Array, heavy: Array, out: Array) -> Array:
    """(..., 1, 1) the sum of one times the other, or by row."""
    if tape.by_row:
        return tape.total(tape.do(np.multiply, away, heavy, out=heavy), out)
    flat = (*tape.lead, 1, away.shape[-1] * away.shape[-2])
    return tape.do(np.matmul, away.reshape(flat), turned(heavy.reshape(flat)), out=out)


def _count(tape: Tape, held: Held, by_column: bool = False) -> Any:
    """The weight of all values, or (..., 1, n) of those in each column; or by row."""
    n = held.x.shape[-1]
    if held.weight is None:
        return tape.number((1 if tape.by_row else tape.rows) * (1 if by_column else n))
    if by_column and (tape.by_row or held.weight.shape[-1] > 1):
        return tape.total_by_column(held.weight)
    total = tape.total(held.weight, np.zeros_like(held.nll))
    if held.weight.shape[-1] == 1 and not by_column:
        tape.do(np.multiply, total, tape.number(n), out=total)
    return total
