"""The user's own encoder and decoder, as a network without a start."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from isthmus.core.errors import ShapeError
from isthmus.parts.contracts import Network, Shape
from isthmus.parts.networks.layers import aligned


def _align(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """What ``AlignedLinear`` does, for linear layers that are not ours."""
    if module.training or len(inputs) != 1 or inputs[0].ndim != 2:
        return None
    return (aligned(inputs[0]),)


class Pair(Network):
    """Two modules of the user's: torch modules, or Keras 3 models on its torch backend.

    The encoder gets (B, *shape) and returns (B, n_params * dim), or any shape of so many values;
    the decoder gets (B, dim) and returns as many values as the likelihood has parameters.

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
    shape, params : tuple of int
        One row of x and of the likelihood's parameters.
    n_params : int
        Numbers that the code needs per dimension.

    Raises
    ------
    ShapeError
        If the modules do not fit each other or the data.
    """

    aligned = True

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, shape: Shape, params: Shape, n_params: int = 1
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.register_forward_pre_hook(_align)
        self.shape, self.params, self.n_params = shape, params, n_params
        self.dim = self._measured()

    def _measured(self) -> int:
        x = torch.zeros(2, *self.shape)
        modes = [(module, module.training) for module in (self.encoder, self.decoder)]
        try:
            with torch.no_grad():
                for module, _ in modes:
                    module.eval()
                h = self._run(self.encoder, x, "encoder", f"rows of shape {self.shape}")
                size = h[0].numel()
                if size % self.n_params:
                    raise ShapeError(
                        f"the encoder returns {size} values a row, but this code needs "
                        f"{self.n_params} for each of its dimensions."
                    )
                dim = size // self.n_params
                out = self._run(self.decoder, torch.zeros(2, dim), "decoder", f"codes of {dim}")
        finally:
            for module, mode in modes:
                module.train(mode)
        if out[0].numel() != math.prod(self.params):
            raise ShapeError(
                f"the decoder returns {tuple(out.shape[1:])} for a row, but a row has the shape "
                f"{self.params}."
            )
        return dim

    @staticmethod
    def _run(module: nn.Module, x: Tensor, name: str, what: str) -> Tensor:
        try:
            out = module(x)
        except Exception as error:
            raise ShapeError(f"the {name} failed on {what}: {error}") from error
        if not isinstance(out, Tensor) or out.ndim < 2 or len(out) != len(x):
            raise ShapeError(
                f"the {name} must return a tensor with one row for each of its input's."
            )
        return out

    def _through(self, module: nn.Module, x: Tensor) -> Tensor:
        # Keras takes the mode as an argument and does not look at torch's.
        mode = {"training": self.training} if hasattr(module, "stateless_call") else {}
        out: Tensor = module(x, **mode)
        return out

    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        h = self._through(self.encoder, x)
        return h.reshape(len(x), self.n_params, self.dim)

    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        params = self._through(self.decoder, z)
        return params.reshape(len(z), *self.params)
