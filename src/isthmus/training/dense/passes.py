"""Forward and backward through a dense model, recorded for so many rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.parts.codes.plain import MAX_LOG_SCALE, MIN_LOG_SCALE
from isthmus.training.dense import costs
from isthmus.training.dense.activations import APART, PASSES
from isthmus.training.dense.composition import Composition
from isthmus.training.dense.layout import Block, Flat
from isthmus.training.dense.tape import Array, Call, Tape, turned

Draw = Callable[[Tensor], Call]
"""Fills (..., rows, n) from the random stream of each model."""


class Draws(NamedTuple):
    """What a pass draws from while training."""

    normal: Draw
    uniform: Draw


class Hidden(NamedTuple):
    """A hidden layer as it stands after the forward pass."""

    block: Block
    activation: nn.Module
    read: Array
    before: Array
    after: Array
    kept: Array | None
    """By what dropout multiplied."""


class Pass:
    """So many rows of so many models through the network and back.

    Parameters
    ----------
    of : Composition
    flat, gradient : Flat
        The parameters of the models, and where their gradients go.
    rows : int
    draws : Draws, optional
        Without them the model is in use: nothing is drawn, hidden or dropped, and sums are those
        of each row.
    trains : bool
        Else rows are judged: nothing is dropped, and there is no way back.
    helper : Executor, optional
        Takes half of the models in large products.
    """

    def __init__(
        self,
        of: Composition,
        flat: Flat,
        gradient: Flat,
        rows: int,
        draws: Draws | None,
        trains: bool = True,
        helper: Executor | None = None,
    ) -> None:
        self.of, self.flat, self.gradient = of, flat, gradient
        self.draws, self.trains = draws, trains
        layout, dtype = of.layout, flat.values.dtype
        in_use = draws is None
        self.forward = Tape(flat.lead, rows, dtype, helper, by_row=in_use)
        self.backward = Tape(flat.lead, rows, dtype, helper)
        self.x = self.forward.room(layout.n_in)
        """(..., rows, n_in), to be filled before each pass; so is the weight."""
        self.weight = self.forward.room(of.weights) if of.weights else None
        sums = rows if in_use else 1
        self.nll, self.rate, self.error = (self.forward.room(1, rows=sums) for _ in range(3))
        """(..., 1, 1) sums over rows, weighed: nats, nats of the code, squared error; in use
        (..., rows, 1)."""
        self.per_value = 1 / (rows * layout.n_in)
        self.seen = self._seen()
        self._encode()
        self.encoded = len(self.forward.calls)
        self._decode()
        self.decoded = len(self.forward.calls)
        """Calls after which ``z`` and ``params`` are there."""
        self._explain()
        if trains:
            self._encode_back(self._decode_back())

    # ------------------------------------------------------------------------ what is seen

    def _seen(self) -> Array:
        """(..., rows, n_in + gaps + 1): centred, with flags for what is missing, and ones."""
        of, layout, tape = self.of, self.of.layout, self.forward
        seen = tape.room_with_ones(layout.n_in + layout.gaps)
        values, x, usual = seen[..., : layout.n_in], self.x, of.usual
        if of.noise and self.draws is not None:
            noise = tape.room(layout.n_in)
            tape.calls.append(self.draws.normal(torch.from_numpy(noise)))
            tape.do(np.multiply, noise, tape.number(of.noise), out=noise)
            x = tape.do(np.add, x, noise, out=noise)
        if layout.path:
            tape.do(np.multiply, x, of.gain, out=values)
            tape.do(np.add, values, of.shift, out=values)
            usual = of.gain * usual + of.shift
        else:
            tape.copy(values, x)
        there = self._there()
        if there is not None:
            tape.do(np.subtract, values, usual, out=values)
            tape.do(np.multiply, values, there, out=values)
            tape.do(np.add, values, usual, out=values)
            if layout.gaps:
                tape.do(np.subtract, 1, there, out=seen[..., layout.n_in : -1])
        return seen

    def _there(self) -> Array | None:
        """(..., rows, n_in) 1 where a value is seen, 0 where it is missing or hidden."""
        tape, n_in = self.forward, self.of.layout.n_in
        hides = self.of.hidden and self.draws is not None
        hidden = self._kept(n_in, 1 - self.of.hidden) if hides else None
        if self.of.weights != n_in or self.weight is None:
            return hidden
        known = tape.do(np.greater, self.weight, 0, out=np.zeros(self.weight.shape, bool))
        if hidden is None:
            return tape.copy(tape.room(n_in), known)
        return tape.do(np.multiply, hidden, known, out=hidden)

    def _kept(self, columns: int, share: float) -> Array:
        """(..., rows, columns) 1 for a share of the values, drawn, else 0."""
        tape = self.forward
        assert self.draws is not None
        drawn = tape.room(columns)
        tape.calls.append(self.draws.uniform(torch.from_numpy(drawn)))
        below = tape.do(np.less, drawn, tape.number(share), out=np.zeros(drawn.shape, bool))
        return tape.copy(drawn, below)

    # ------------------------------------------------------------------------ forward

    def _encode(self) -> None:
        layout, tape = self.of.layout, self.forward
        self.inner, self.inner_read = self._hidden(self.of.down, layout.encoder, self.seen)
        last = self.flat.of(layout.encoder[-1])
        beside = layout.outer[-1] if layout.path else 0
        self.top = tape.room_with_ones(beside + layout.dim)
        """What the last layer and the path up read; the code lies in it."""
        z = self.z = self.top[..., beside:-1]
        drawn = layout.n_params == 2
        says = tape.product(self.inner_read, last, out=tape.room(layout.n_params * layout.dim))
        mean = says[..., : layout.dim]
        if layout.path:
            down, read = self.flat.of(layout.down), self.seen[..., : layout.n_in]
            linear = tape.product(read, down, out=tape.room(layout.dim))
            mean = tape.do(np.add, mean, linear, out=linear if drawn else z)
        if drawn:
            self._draw(mean, says[..., layout.dim :], z)
        elif not layout.path:
            tape.copy(z, mean)

    def _draw(self, mean: Array, says: Array, z: Array) -> None:
        """Code = mean + noise * scale, which costs (mean^2 + scale^2 - 1) / 2 - log(scale) nats."""
        tape, dim = self.forward, self.of.layout.dim
        self.mean, self.asked = mean, tape.do(np.add, says, self.of.offset, out=tape.room(dim))
        low, high = tape.number(MIN_LOG_SCALE), tape.number(MAX_LOG_SCALE)
        log_scale = tape.do(np.clip, self.asked, low, high, out=tape.room(dim))
        scale = tape.do(np.exp, log_scale, out=tape.room(dim))
        if self.draws is None:
            tape.copy(z, mean)
        else:
            noise = tape.room(dim)
            tape.calls.append(self.draws.normal(torch.from_numpy(noise)))
            self.moved = tape.do(np.multiply, noise, scale, out=noise)
            tape.do(np.add, mean, self.moved, out=z)
        self.variance = tape.do(np.square, scale, out=tape.room(dim))
        rate = tape.do(np.square, mean, out=tape.room(dim))
        tape.do(np.add, rate, self.variance, out=rate)
        tape.do(np.subtract, rate, tape.number(1), out=rate)
        tape.do(np.multiply, rate, tape.number(0.5), out=rate)
        tape.do(np.subtract, rate, log_scale, out=rate)
        self.heaviest = self.weight
        if self.weight is not None and self.draws is not None:
            if self.weight.shape[-1] > 1:
                self.heaviest = tape.room(1)
                tape.calls.append(
                    lambda: np.max(self.weight, -1, keepdims=True, out=self.heaviest)  # type: ignore[arg-type]
                )
            tape.do(np.multiply, rate, self.heaviest, out=rate)
        tape.total(rate, self.rate)

    def _decode(self) -> None:
        layout, tape = self.of.layout, self.forward
        z, into = self.top[..., -1 - layout.dim :], None
        if layout.path:
            into = self.top[..., : layout.outer[-1]]
        self.outer, read = self._hidden(self.of.up, layout.decoder, z, into)
        self.outer_read = self.top if layout.path else read
        last = self.flat.of(layout.decoder[-1])
        self.params = tape.product(self.outer_read, last, out=tape.room(layout.n_out))

    def _hidden(
        self,
        activations: Sequence[nn.Module],
        blocks: Sequence[Block],
        read: Array,
        into: Array | None = None,
    ) -> tuple[list[Hidden], Array]:
        """The hidden layers of one half, and what its last layer reads; the last hidden one
        writes ``into`` an array, if given.
        """
        tape = self.forward
        found: list[Hidden] = []
        dropout = self.of.dropout if self.trains else 0.0
        for block, activation in zip(blocks, activations, strict=False):
            width = block.columns
            before = tape.product(read, self.flat.of(block), out=tape.room(width))
            last = len(found) == len(activations) - 1
            room = into if last and into is not None else tape.room_with_ones(width)
            target = room[..., :width]
            kept = self._kept(width, 1 - dropout) if dropout else None
            aside = isinstance(activation, APART) or kept is not None
            after = tape.room(width) if aside else target
            tape.torch(PASSES[type(activation)][0], before, out=after)
            if kept is not None:
                tape.do(np.multiply, kept, tape.number(1 / (1 - dropout)), out=kept)
                tape.do(np.multiply, after, kept, out=target)
            elif aside:
                tape.copy(target, after)
            found.append(Hidden(block, activation, read, before, after, kept))
            read = room
        return found, read

    def _explain(self) -> None:
        of, layout = self.of, self.of.layout
        self.slope = self.forward.room(layout.n_out)
        scale = of.fit * self.per_value
        held = costs.Held(self.params, self.x, self.weight, scale, self.nll, self.error, self.slope)
        back = self.backward if self.trains else None
        if of.bernoulli:
            costs.bernoulli(self.forward, back, held)
        elif layout.scales:
            asked, gradient = self._both(layout.log_scale)
            costs.gaussian(self.forward, back, held, asked, gradient)
        else:
            costs.gaussian_fixed(self.forward, back, held, of.log_scale)

    # ------------------------------------------------------------------------ backward

    def _both(self, block: Block) -> tuple[Array, Array]:
        """The parameters of a block, and their gradients."""
        return self.flat.of(block), self.gradient.of(block)

    def _decode_back(self) -> Array:
        """The gradient by the code, (..., rows, dim)."""
        layout, tape = self.of.layout, self.backward
        weights, gradient = self._both(layout.decoder[-1])
        tape.product(turned(self.outer_read), self.slope, out=gradient)
        width = layout.outer[-1]
        slope = tape.room(width)
        tape.product(self.slope, turned(weights[..., :width, :]), out=slope)
        slope = self._hidden_back(self.outer, slope)
        first = self.flat.of(layout.decoder[0])
        by_code = tape.product(slope, turned(first[..., :-1, :]), out=tape.room(layout.dim))
        if layout.path:
            up = turned(weights[..., width:-1, :])
            by_path = tape.product(self.slope, up, out=tape.room(layout.dim))
            tape.do(np.add, by_code, by_path, out=by_code)
        return by_code

    def _encode_back(self, by_code: Array) -> None:
        layout, tape = self.of.layout, self.backward
        if layout.n_params == 2:
            says = tape.room(2 * layout.dim)
            by_code = self._draw_back(by_code, says)
        else:
            says = by_code
        weights, gradient = self._both(layout.encoder[-1])
        tape.product(turned(self.inner_read), says, out=gradient)
        slope = tape.room(layout.inner[-1])
        tape.product(says, turned(weights[..., :-1, :]), out=slope)
        self._hidden_back(self.inner, slope)
        if layout.path:
            read = self.seen[..., : layout.n_in]
            tape.product(turned(read), by_code, out=self.gradient.of(layout.down))

    def _draw_back(self, by_code: Array, says: Array) -> Array:
        """By the mean and by the log of the scale, side by side; returns the former."""
        tape, dim = self.backward, self.of.layout.dim
        price = tape.number(self.of.beta * self.per_value)
        by_mean, by_scale = says[..., :dim], says[..., dim:]
        tape.do(np.multiply, by_code, self.moved, out=by_scale)
        cost = tape.do(np.multiply, self.mean, price, out=tape.room(dim))
        tape.do(np.add, by_code, self._by_row_weight(cost), out=by_mean)
        tape.do(np.multiply, self.variance, price, out=cost)
        tape.do(np.subtract, cost, price, out=cost)
        tape.do(np.add, by_scale, self._by_row_weight(cost), out=by_scale)
        inside = np.zeros(self.asked.shape, bool)
        low, high = tape.number(MIN_LOG_SCALE), tape.number(MAX_LOG_SCALE)
        tape.do(np.greater_equal, self.asked, low, out=inside)
        tape.do(np.multiply, by_scale, inside, out=by_scale)
        tape.do(np.less_equal, self.asked, high, out=inside)
        tape.do(np.multiply, by_scale, inside, out=by_scale)
        return by_mean

    def _by_row_weight(self, values: Array) -> Array:
        if self.heaviest is None:
            return values
        return self.backward.do(np.multiply, values, self.heaviest, out=values)

    def _hidden_back(self, hidden: Sequence[Hidden], slope: Array) -> Array:
        """From the gradient by what the last of them said to that by what the first one read,
        before its matrix.
        """
        tape = self.backward
        for i in reversed(range(len(hidden))):
            layer = hidden[i]
            if layer.kept is not None:
                tape.do(np.multiply, slope, layer.kept, out=slope)
            weights, gradient = self._both(layer.block)
            backward = PASSES[type(layer.activation)][1]
            slope = tape.torch(backward, slope, layer.before, layer.after, out=np.zeros_like(slope))
            tape.product(turned(layer.read), slope, out=gradient)
            if i:
                before = tape.room(hidden[i - 1].block.columns)
                slope = tape.product(slope, turned(weights[..., :-1, :]), out=before)
        return slope
