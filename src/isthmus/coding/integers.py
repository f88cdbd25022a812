"""Networks of whole numbers, carried in floats: the same answer on every machine.

A float holds whole numbers exactly up to 2**24. While the largest sum that a layer can reach stays
below that, it does not matter in which order, on how many threads and with which instructions it is
summed. So a layer is a plain matrix product at the speed of one, and its bounds are checked once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.coding.neighbourhood import CONTRAST
from isthmus.core.errors import ModelFileError

Array = npt.NDArray[Any]

EXACT = 2**24
"""Up to here, a float of 32 bits holds every whole number."""
LARGEST = 255
"""The largest activation between layers."""
MOST_UNITS, MOST_SHIFT = 1024, 23


@dataclass(frozen=True)
class Layer:
    """``floor((weight @ x + bias) / 2**shift)``, in whole numbers.

    Parameters
    ----------
    weight : array of shape (n_out, n_in), int16
    bias : array of shape (n_out,), int32
    shift : array of shape (n_out,), uint8
    """

    weight: Array
    bias: Array
    shift: Array

    def largest(self, low: float, high: float) -> int:
        """The largest sum that inputs between ``low`` and ``high`` can lead to."""
        most = max(abs(low), abs(high))
        sums = np.abs(self.weight.astype(np.int64)).sum(axis=1) * int(most)
        return int((sums + np.abs(self.bias.astype(np.int64))).max(initial=0))


class IntegerNetwork:
    """Layers with activations cut to 0 to 255; the last one sees the first's inputs too.

    Parameters
    ----------
    layers : sequence of Layer
        The last reads what the layer before it gives, and after that the inputs themselves.

    Raises
    ------
    ModelFileError
        If the layers don't fit each other, or a sum could leave the range where floats are exact.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)
        self._check()
        self.n_inputs = int(self.layers[0].weight.shape[1])
        self.n_outputs = int(self.layers[-1].weight.shape[0])
        # Divided by a power of two, whole numbers are as exact as before.
        self._ready = []
        for layer in self.layers:
            unit = np.ldexp(np.float32(1), -layer.shift.astype(np.int32))[:, None]
            weight = layer.weight.astype(np.float32) * unit
            self._ready.append((weight, layer.bias.astype(np.float32)[:, None] * unit))

    def _check(self) -> None:
        wanted = None
        for number, layer in enumerate(self.layers):
            n_out, n_in = layer.weight.shape
            last = number == len(self.layers) - 1
            if last and number:
                wanted = self.layers[number - 1].weight.shape[0] + self.layers[0].weight.shape[1]
            fits = layer.bias.shape == layer.shift.shape == (n_out,)
            if not fits or (wanted is not None and n_in != wanted) or not 0 < n_out <= MOST_UNITS:
                raise ModelFileError("the layers of the integer network do not fit each other.")
            if int(layer.shift.max()) > MOST_SHIFT:
                raise ModelFileError(f"a layer is shifted by more than {MOST_SHIFT} bits.")
            if layer.largest(-CONTRAST, max(LARGEST, CONTRAST)) >= EXACT:
                raise ModelFileError(
                    f"layer {number + 1} of the integer network can reach sums of 2**24 and more, "
                    "where floats are no longer exact: it cannot decode the same on every machine."
                )
            wanted = n_out

    def __call__(self, shown: Array) -> Array:
        """The outputs, shape (n_outputs, n), of inputs of shape (n_inputs, n): whole numbers."""
        *layers, (last, start) = self._ready
        x = shown
        for weight, bias in layers:
            x = weight @ x
            x += bias
            np.floor(x, out=x)
            np.maximum(np.minimum(x, LARGEST, out=x), 0, out=x)
        n = last.shape[1] - shown.shape[0]
        found: Array = last[:, n:] @ shown
        if n:
            found += last[:, :n] @ x
        found += start
        return np.floor(found, out=found)

    def tensors(self) -> dict[str, Array]:
        """Everything that makes the network, by name, as small integers."""
        found = {}
        for number, layer in enumerate(self.layers):
            largest = np.abs(layer.weight.astype(np.int32)).max(initial=0)
            narrow = largest <= np.iinfo(np.int8).max
            found[f"{number}.weight"] = layer.weight.astype(np.int8 if narrow else np.int16)
            found[f"{number}.bias"] = layer.bias.astype(np.int32)
            found[f"{number}.shift"] = layer.shift.astype(np.uint8)
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Array]) -> IntegerNetwork:
        """The network that ``tensors`` gave.

        Raises
        ------
        ModelFileError
            If they are not those of a network.
        """
        try:
            layers = [
                Layer(
                    _typed(tensors[f"{i}.weight"], np.int8, np.int16).astype(np.int16),
                    _typed(tensors[f"{i}.bias"], np.int32),
                    _typed(tensors[f"{i}.shift"], np.uint8),
                )
                for i in range(len(tensors) // 3)
            ]
            if not layers or any(layer.weight.ndim != 2 for layer in layers):
                raise KeyError("0.weight")
        except (KeyError, ValueError) as error:
            raise ModelFileError(f"the integer network lacks {error}.") from error
        return cls(layers)


def _typed(tensor: Array, *kinds: type[np.integer[Any]]) -> Array:
    """A tensor, if it is of one of these types: others could hold what these cannot."""
    if tensor.dtype not in kinds:
        raise ValueError(f"whole numbers of the right size: one is of {tensor.dtype}")
    return tensor
