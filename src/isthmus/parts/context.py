"""What is expected of a pixel, given its neighbours: a small network that is trained to be frozen.

It computes in floats what its frozen form computes in integers: activations are cut to 0 to 255,
and in the later part of training weights and activations are rounded, with the gradient passed
through (Jacob et al. 2018, https://arxiv.org/abs/1712.05877).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

UNIT = 64.0
"""Steps of an activation within one unit; the largest is a little below 4."""
TOP = 255.0
NARROW, WIDE = 127, 2047
"""The largest weight of a hidden layer, and of the last one."""
EXACT = 2.0**24
MOST_SHIFT = 20
MEAN_STEPS, SCALE_STEPS, WEIGHT_STEPS = 16.0, 8.0, 16.0
SCALES, NARROWEST = 96, -4
LIGHTEST = 159.0
MOST_MEAN = 16 * 512 - 1.0
SAFE = 0.999
"""Of the largest sum that is exact, the share that is used."""


class Whole(NamedTuple):
    """A layer in whole numbers: ``floor((weight @ x + bias) / 2**shift)``."""

    weight: Tensor
    bias: Tensor
    shift: Tensor


class ContextNetwork(nn.Module):
    """The mixture of logistics of a pixel, from whole numbers that describe its neighbours.

    It starts as the least-squares prediction: every component has its mean there.

    Parameters
    ----------
    n_inputs : int
    widths : sequence of int
        Of the hidden layers.
    components : int
        Of the mixture (Salimans et al. 2017, https://arxiv.org/abs/1701.05517).
    """

    input_scale: Tensor
    output_scale: Tensor
    output_start: Tensor

    def __init__(self, n_inputs: int, widths: list[int], components: int) -> None:
        super().__init__()
        self.components = components
        sizes = [n_inputs, *widths]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        last = (widths[-1] if widths else 0) + n_inputs
        self.last = nn.Linear(last, 3 * components)
        self.register_buffer("input_scale", torch.ones(n_inputs))
        self.register_buffer("output_scale", torch.ones(3 * components))
        self.register_buffer("output_start", torch.zeros(3 * components))

    def start(self, shown: Tensor, wanted: Tensor) -> None:
        """Become the least-squares prediction.

        Parameters
        ----------
        shown : Tensor of shape (n_inputs, n)
        wanted : Tensor of shape (n,)
            Values less their reference, in the units of the inputs.
        """
        k = self.components
        x, y = shown.double(), wanted.double()
        scale = x.square().mean(1).sqrt().clamp(min=1.0)
        x = torch.cat([x / scale[:, None], torch.ones(1, x.shape[1])])
        gram = x @ x.T
        gram.diagonal().add_(1e-4 * x.shape[1])
        solved = torch.linalg.solve(gram, x @ y)
        spread = float((y - solved @ x).abs().mean().clamp(min=0.05))
        with torch.no_grad():
            self.input_scale.copy_(1 / scale)
            units = (MEAN_STEPS * spread, SCALE_STEPS / math.log(2), WEIGHT_STEPS)
            self.output_scale.copy_(torch.tensor(units).repeat_interleave(k))
            self.output_start.zero_()
            self.output_start[k : 2 * k] = SCALE_STEPS * (math.log2(spread) - NARROWEST)
            self.last.weight.zero_()
            self.last.bias.zero_()
            n = len(scale)
            self.last.weight[:k, -n:] = (solved[:-1] / spread).float()
            self.last.bias[:k] = float(solved[-1] / spread) + torch.linspace(-0.3, 0.3, k)
            self.last.bias[k : 2 * k] = torch.linspace(-2.0, 0.5, k)

    def thaw(self, layers: Sequence[Whole]) -> None:
        """Become a frozen network; ``start`` has said in which units."""
        with torch.no_grad():
            for number, (layer, frozen) in enumerate(zip(self._each(), layers, strict=True)):
                power = torch.exp2(frozen.shift.float())
                weight = frozen.weight.float() / power[:, None]
                bias = (frozen.bias - torch.floor(power / 2)) / power
                scale, start, steps = self._units(number)
                layer.weight.copy_(weight / (scale[:, None] * steps))
                layer.bias.copy_((bias - start) / scale)

    def matrices(self) -> list[nn.Parameter]:
        """The weights of the hidden layers."""
        return list(self.hidden.parameters())[::2]

    def _each(self) -> list[nn.Linear]:
        return [*self.hidden, self.last]

    def _units(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of a layer: steps of an output in one unit and at 0, and units in a step of an input."""
        first, last = number == 0, number == len(self.hidden)
        n = self._each()[number].in_features
        steps = self.input_scale if first else torch.full((n,), 1 / UNIT)
        if last and not first:
            steps = torch.cat([steps[: n - len(self.input_scale)], self.input_scale])
        if last:
            return self.output_scale, self.output_start, steps
        scale = torch.full((self._each()[number].out_features,), UNIT)
        return scale, torch.zeros_like(scale), steps

    def forward(self, shown: Tensor, whole: bool = False) -> Tensor:
        """Means, scales and log weights in their steps, of shape (3 * components, n).

        Parameters
        ----------
        shown : Tensor of shape (n_inputs, n)
        whole : bool
            Whether to round as the frozen network does.
        """
        x = shown
        *layers, (last, start, _) = self._layers(whole)
        for weight, bias, _ in layers:
            x = weight @ x + bias[:, None]
            x = (_floor(x + 0.5) if whole else x).clamp(0, TOP)
        n = last.shape[1] - shown.shape[0]
        found = last[:, n:] @ shown + start[:, None]
        if n:
            found = found + last[:, :n] @ x
        return _floor(found + 0.5) if whole else found

    def _layers(self, whole: bool) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Weight and bias of each layer in steps of its output per step of its input."""
        found = []
        for number, layer in enumerate(self._each()):
            scale, start, steps = self._units(number)
            weight = layer.weight * (scale[:, None] * steps)
            bias = layer.bias * scale + start
            largest = WIDE if layer is self.last else NARROW
            found.append(_rounded(weight, bias, largest, whole))
        return found

    def frozen(self) -> list[Whole]:
        """The layers in whole numbers."""
        found = []
        with torch.no_grad():
            for weight, bias, shift in self._layers(whole=True):
                power = torch.exp2(shift)
                # The half is what turns a floor into the nearest whole number.
                half = torch.floor(power / 2)
                found.append(
                    Whole(
                        torch.round(weight * power[:, None]).to(torch.int32),
                        (torch.round(bias * power) + half).to(torch.int32),
                        shift.to(torch.uint8),
                    )
                )
        return found


def _floor(x: Tensor) -> Tensor:
    """The floor, with the gradient of x itself."""
    return x + (torch.floor(x) - x).detach()


def _rounded(
    weight: Tensor, bias: Tensor, largest: int, whole: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights and biases on the grid of each row, the finest whose sums stay exact."""
    if not whole:
        return weight, bias, bias
    with torch.no_grad():
        top = weight.abs().amax(1).clamp(min=1e-12)
        sums = weight.abs().sum(1) * TOP + bias.abs() + TOP * weight.shape[1] * 2.0**-MOST_SHIFT
        shift = torch.minimum(
            torch.floor(torch.log2(largest / top)),
            torch.floor(torch.log2(EXACT * SAFE / (sums + 1))),
        ).clamp(0, MOST_SHIFT)
        power = torch.exp2(shift)
        near = torch.round(weight * power[:, None]).clamp(-largest, largest) / power[:, None]
        at = torch.round(bias * power) / power
    return weight + (near - weight).detach(), bias + (at - bias).detach(), shift


def nats(
    outputs: Tensor, value: Tensor, width: Tensor | float, low: Tensor, high: Tensor
) -> Tensor:
    """What it costs to describe pixels, in nats.

    Parameters
    ----------
    outputs : Tensor of shape (3 * components, n)
        Of a ``ContextNetwork``.
    value : Tensor of shape (n,)
        Less the reference, in units.
    width : Tensor of shape (n,) or float
        Of a grey value, in units.
    low, high : Tensor of shape (n,), bool
        Where a value is the lowest or the highest there is.

    Returns
    -------
    Tensor of shape (n,)
    """
    means, scales, weights = outputs.view(3, -1, outputs.shape[1])
    means = means.clamp(-MOST_MEAN, MOST_MEAN) / MEAN_STEPS
    steps = scales.clamp(0, SCALES - 1)
    narrowness = torch.exp2(-NARROWEST - steps / SCALE_STEPS)
    half = width / 2
    upper = ((value + half - means) * narrowness).masked_fill(high, 40.0)
    under = ((value - half - means) * narrowness).masked_fill(low, -40.0)
    apart = (upper - under).clamp(min=1e-6)
    each = (
        nn.functional.logsigmoid(upper)
        + nn.functional.logsigmoid(-under)
        + torch.log(-torch.expm1(-apart))
    )
    return -torch.logsumexp(each + torch.log_softmax(weights / WEIGHT_STEPS, 0), 0)
