"""Transform coding with loss: a linear transform of blocks, and networks beside it.

Numbers are y = P (x - m) / step + f(y), pixels are x = R step (q + g(q)) + m, where q is y rounded.
It starts as the PCA of blocks: R = P', f and g zero. What a number costs is said by a network for
each group of channels, given those that are decoded before it (Minnen et al. 2018,
https://arxiv.org/abs/1809.02736; Minnen and Singh 2020, https://arxiv.org/abs/2007.08739).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from isthmus.parts.context import MEAN_STEPS, NARROWEST, SCALE_STEPS, WEIGHT_STEPS, nats

HIDDEN_UNIT, INPUT_UNIT = 1024.0, 128.0
"""Steps of an activation, and of an input, within one."""
TOP = 65535 / HIDDEN_UNIT
HEAVIEST, MOST_SHIFT = 32767, 40
PART_UNIT = 64.0
"""Steps of what is added to a number, within one."""
LEAST_SPREAD, LEAST_INPUT = 0.004, 0.3
GENTLER = 0.1
"""The rate of the linear transform, in rates of the networks."""


class Fixed(NamedTuple):
    """A layer in whole numbers: ``floor((weight @ x + bias[quality]) / 2**shift)``."""

    weight: Tensor
    bias: Tensor
    shift: Tensor


class QualityNetwork(nn.Module):
    """Layers with activations cut to 0 to ``TOP``, and biases of their own for each quality.

    Parameters
    ----------
    n_inputs : int
    widths : sequence of int
        Of the hidden layers.
    units : Tensor of shape (n_outputs,)
        Steps of an output, within one.
    qualities : int
    """

    units: Tensor
    input_scale: Tensor

    def __init__(self, n_inputs: int, widths: Sequence[int], units: Tensor, qualities: int) -> None:
        super().__init__()
        sizes = [n_inputs, *widths, len(units)]
        sizes_in = [*sizes[:-2], (sizes[-2] if widths else 0) + n_inputs]
        self.matrices = nn.ParameterList()
        self.biases = nn.ParameterList()
        for n_in, n_out in zip(sizes_in, sizes[1:], strict=True):
            self.matrices.append(torch.randn(n_out, n_in) * math.sqrt(2 / n_in))
            self.biases.append(torch.zeros(qualities, n_out))
        with torch.no_grad():
            self.matrices[-1].zero_()
        self.register_buffer("units", units)
        self.register_buffer("input_scale", torch.ones(n_inputs))

    def even_out(self, shown: Tensor) -> None:
        """See inputs of shape (n, n_inputs) as equally large."""
        self.input_scale.copy_(1 / shown.square().mean(0).sqrt().clamp(min=LEAST_INPUT))

    def forward(self, shown: Tensor, quality: Tensor) -> Tensor:
        """Outputs of shape (n, n_outputs), of inputs of shape (n, n_inputs)."""
        shown = shown * self.input_scale
        x = shown
        for matrix, bias in zip(self.matrices[:-1], self.biases[:-1], strict=True):
            x = (x @ matrix.T + bias[quality]).clamp(0, TOP)
        whole = torch.cat([x, shown], 1) if len(self.matrices) > 1 else shown
        found: Tensor = whole @ self.matrices[-1].T + self.biases[-1][quality]
        return found

    def frozen(self) -> list[Fixed]:
        """The layers in whole numbers."""
        found = []
        last = len(self.matrices) - 1
        shown = self.input_scale.double() / INPUT_UNIT
        for number, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            hidden = matrix.shape[1] - len(shown) if number == last and number else 0
            if number in (0, last):
                steps = torch.cat([torch.full((hidden,), 1 / HIDDEN_UNIT).double(), shown])
            else:
                steps = torch.full((matrix.shape[1],), 1 / HIDDEN_UNIT).double()
            unit = self.units.double() if number == last else torch.full_like(bias[0], HIDDEN_UNIT)
            found.append(_fixed(matrix.double() * steps * unit[:, None], bias.double() * unit))
        return found


@torch.no_grad()
def _fixed(weight: Tensor, bias: Tensor) -> Fixed:
    top = weight.abs().amax(1).clamp(min=1e-9)
    shift = torch.floor(torch.log2(HEAVIEST / top)).clamp(0, MOST_SHIFT)
    power = torch.exp2(shift)
    near = torch.round(weight * power[:, None]).clamp(-HEAVIEST, HEAVIEST)
    # The half is what turns a floor into the nearest whole number.
    half = torch.floor(power / 2)
    return Fixed(
        near.to(torch.int16),
        (torch.round(bias * power) + half).to(torch.int64),
        shift.to(torch.uint8),
    )


class GroupNetwork(QualityNetwork):
    """What the numbers of a group of channels are likely to be: mixtures of logistics.

    Parameters
    ----------
    n_inputs : int
    widths : sequence of int
    channels : int
    components : int
        Of each mixture.
    qualities : int
    """

    def __init__(
        self, n_inputs: int, widths: Sequence[int], channels: int, components: int, qualities: int
    ) -> None:
        steps = torch.tensor([MEAN_STEPS, SCALE_STEPS, WEIGHT_STEPS])
        units = steps.repeat_interleave(channels * components)
        super().__init__(n_inputs, widths, units, qualities)
        self.channels, self.components = channels, components

    def start(self, shown: Tensor, wanted: Tensor, quality: Tensor) -> None:
        """Become the least-squares prediction, with the spread of each quality.

        Parameters
        ----------
        shown : Tensor of shape (n, n_inputs)
        wanted : Tensor of shape (n, channels)
        quality : Tensor of shape (n,)
        """
        x, y = shown.double(), wanted.double()
        self.even_out(shown)
        x = x * self.input_scale.double()
        gram = x.T @ x
        gram.diagonal().add_(1e-3 * len(x))
        solved = torch.linalg.solve(gram, x.T @ y)
        apart = (y - x @ solved).abs()
        many, n = self.channels * self.components, x.shape[1]
        with torch.no_grad():
            self.matrices[-1].zero_()
            self.matrices[-1][:many, -n:] = solved.T.float().repeat(self.components, 1)
            for level in range(len(self.biases[-1])):
                there = apart[quality == level]
                spread = there.mean(0) if len(there) else apart.mean(0)
                octaves = torch.log2(spread.clamp(min=LEAST_SPREAD)).float() - NARROWEST
                for k in range(self.components):
                    at = many + k * self.channels
                    wider = k - (self.components - 1) / 2
                    self.biases[-1][level, at : at + self.channels] = octaves + wider

    def nats(self, shown: Tensor, values: Tensor, quality: Tensor) -> Tensor:
        """What each number costs, of shape (n, channels)."""
        found = self(shown, quality) * self.units
        n = len(values)
        apart = found.view(n, -1, self.channels).permute(1, 0, 2).reshape(-1, n * self.channels)
        never = torch.zeros(n * self.channels, dtype=torch.bool)
        return nats(apart, values.reshape(-1), 1.0, never, never).view(n, self.channels)


class PatchTransform(nn.Module):
    """The transform of blocks, there and back.

    Parameters
    ----------
    mean : Tensor of shape (values,)
        Of blocks.
    components : Tensor of shape (channels, values)
        Orthonormal: the PCA of blocks.
    steps : Tensor of shape (qualities,)
        Between two numbers, at each quality.
    width : int
        Of the networks beside it.
    n_inputs : int
        Numbers that they see.
    """

    mean: Tensor
    components: Tensor
    steps: Tensor

    def __init__(
        self, mean: Tensor, components: Tensor, steps: Tensor, width: int, n_inputs: int
    ) -> None:
        super().__init__()
        channels = len(components)
        self.register_buffer("mean", mean)
        self.register_buffer("steps", steps)
        values = len(mean)
        self.register_buffer("components", components.contiguous())
        self.forward_change = nn.Parameter(torch.zeros(channels, values))
        self.back_change = nn.Parameter(torch.zeros(values, channels))
        self.finer = nn.Parameter(torch.zeros(len(steps), channels))
        unit = torch.full((channels,), PART_UNIT)
        widths = [width, width]
        self.analysis = QualityNetwork(n_inputs, widths, unit, len(steps))
        self.synthesis = QualityNetwork(n_inputs, widths, unit, len(steps))

    @property
    def forward_matrix(self) -> Tensor:
        """From values to channels."""
        return self.components + GENTLER * self.forward_change

    @property
    def back_matrix(self) -> Tensor:
        """From channels to values."""
        return self.components.T + GENTLER * self.back_change

    def step(self, quality: Tensor) -> Tensor:
        """Between two numbers of each channel, of shape (n, channels)."""
        return self.steps[quality][:, None] * torch.exp(self.finer[quality])

    def linear(self, blocks: Tensor, quality: Tensor) -> Tensor:
        """Numbers of blocks of shape (n, values), before the network."""
        return (blocks - self.mean) @ self.forward_matrix.T / self.step(quality)

    def blocks(self, numbers: Tensor, added: Tensor, quality: Tensor) -> Tensor:
        """Blocks of numbers, and what the network adds to them."""
        return ((numbers + added) * self.step(quality)) @ self.back_matrix.T + self.mean


class LossyNetwork(nn.Module):
    """A transform, and what its numbers cost.

    Parameters
    ----------
    transform : PatchTransform
    groups : sequence of GroupNetwork
    """

    def __init__(self, transform: PatchTransform, groups: Sequence[GroupNetwork]) -> None:
        super().__init__()
        self.transform = transform
        self.parts = list(groups)
        self.groups = nn.ModuleList(groups)

    def matrices(self) -> list[nn.Parameter]:
        """The weights of the hidden layers."""
        networks = [self.transform.analysis, self.transform.synthesis, *self.parts]
        return [matrix for network in networks for matrix in list(network.matrices)[:-1]]
