"""Networks in fixed point, carried in floats of 64 bits: the same answer on every machine.

A float of 64 bits holds whole numbers exactly up to 2**53. Weights of 16 bits and activations of 16
bits leave room for sums of a thousand inputs and more, so these networks need not be trained with
rounding, as those of ``integers`` do; they take twice the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.core.errors import ModelFileError

Array = npt.NDArray[Any]

EXACT = 2**53
"""Up to here, a float of 64 bits holds every whole number."""
TOP = 2**16 - 1
"""The largest activation between layers."""
MOST_UNITS, MOST_INPUTS, MOST_SHIFT = 1 << 12, 1 << 13, 40
INPUT_UNIT = 128
"""Steps of an input within one; there are more within an activation, and weights are of both."""
QUALITIES = 8
"""How many qualities a network is told apart."""


@dataclass(frozen=True)
class FixedLayer:
    """``floor((weight @ x + bias[quality]) / 2**shift)``, in whole numbers.

    Of the inputs of a network, x is ``INPUT_UNIT`` of each.

    Parameters
    ----------
    weight : array of shape (n_out, n_in), int16
    bias : array of shape (QUALITIES, n_out), int64
    shift : array of shape (n_out,), uint8
    """

    weight: Array
    bias: Array
    shift: Array

    def largest(self, most: int) -> int:
        """The largest sum that inputs of at most ``most`` can lead to."""
        sums = np.abs(self.weight.astype(np.int64)).sum(axis=1) * most
        return int(sums.max(initial=0)) + int(np.abs(self.bias).max(initial=0))


class FixedNetwork:
    """Layers with activations cut to 0 to ``TOP``; the last one sees the first's inputs too.

    Parameters
    ----------
    layers : sequence of FixedLayer
        The last reads what the layer before it gives, and after that the inputs themselves.

    Raises
    ------
    ModelFileError
        If the layers don't fit each other, or a sum could leave the range where floats are exact.
    """

    def __init__(self, layers: Sequence[FixedLayer]) -> None:
        self.layers = list(layers)
        self._check()
        self.n_inputs = int(self.layers[0].weight.shape[1])
        self.n_outputs = int(self.layers[-1].weight.shape[0])
        # Divided by a power of two, whole numbers are as exact as before.
        self._ready = []
        for layer in self.layers:
            unit = np.ldexp(1.0, -layer.shift.astype(np.int32))
            weight = np.ascontiguousarray((layer.weight.astype(np.float64) * unit[:, None]).T)
            self._ready.append((weight, layer.bias.astype(np.float64) * unit))

    def _check(self) -> None:
        wanted = None
        for number, layer in enumerate(self.layers):
            n_out, n_in = layer.weight.shape
            if number and number == len(self.layers) - 1:
                wanted = self.layers[number - 1].weight.shape[0] + self.layers[0].weight.shape[1]
            fits = layer.bias.shape == (QUALITIES, n_out) and layer.shift.shape == (n_out,)
            possible = 0 < n_out <= MOST_UNITS and 0 < n_in <= MOST_INPUTS
            if not fits or not possible or (wanted is not None and n_in != wanted):
                raise ModelFileError(
                    "the layers of a network in fixed point do not fit each other."
                )
            if int(layer.shift.max()) > MOST_SHIFT or layer.largest(TOP) >= EXACT:
                raise ModelFileError(
                    f"layer {number + 1} of a network in fixed point can reach sums of 2**53 and "
                    "more, where floats are no longer exact."
                )
            wanted = n_out

    def __call__(self, shown: Array, quality: int) -> Array:
        """The outputs, shape (n, n_outputs), of inputs of shape (n, n_inputs).

        Parameters
        ----------
        shown : array of float64
            Of at most ``TOP / INPUT_UNIT``; whole numbers, where the answer shall be exact.
        quality : int
            From 0 on.
        """
        *layers, (last, start) = self._ready
        shown = shown * INPUT_UNIT
        x = shown
        for weight, bias in layers:
            x = x @ weight
            x += bias[quality]
            np.floor(x, out=x)
            np.clip(x, 0, TOP, out=x)
        n = last.shape[0] - shown.shape[1]
        found: Array = shown @ last[n:]
        if n:
            found += x @ last[:n]
        found += start[quality]
        return np.floor(found, out=found)

    def tensors(self) -> dict[str, Array]:
        """Everything that makes the network, by name."""
        found = {}
        for number, layer in enumerate(self.layers):
            found[f"{number}.weight"] = layer.weight.astype(np.int16)
            found[f"{number}.bias"] = layer.bias.astype(np.int64)
            found[f"{number}.shift"] = layer.shift.astype(np.uint8)
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Array]) -> FixedNetwork:
        """The network that ``tensors`` gave.

        Raises
        ------
        ModelFileError
            If they are not those of a network.
        """
        try:
            layers = [
                FixedLayer(
                    tensors[f"{i}.weight"].astype(np.int16),
                    tensors[f"{i}.bias"].astype(np.int64),
                    tensors[f"{i}.shift"].astype(np.uint8),
                )
                for i in range(len(tensors) // 3)
            ]
            if not layers or any(layer.weight.ndim != 2 for layer in layers):
                raise KeyError("0.weight")
        except (KeyError, ValueError) as error:
            raise ModelFileError(f"a network in fixed point lacks {error}.") from error
        return cls(layers)


def under(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors under a prefix, without it."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
