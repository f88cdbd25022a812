"""Activations and their gradients, each as one call of PyTorch's kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

aten = torch.ops.aten
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

Backward = Callable[..., Any]
"""Of the gradient of what went out, what came in, what went out, and where to write."""


def _elu(alpha: float, scale: float) -> tuple[Callable[..., Any], Backward]:
    def forward(x: Tensor, *, out: Tensor) -> Any:
        return aten.elu.out(x, alpha, scale, 1, out=out)

    def backward(grad: Tensor, x: Tensor, y: Tensor, *, out: Tensor) -> Any:
        return aten.elu_backward.grad_input(grad, alpha, scale, 1, False, x, grad_input=out)

    return forward, backward


PASSES: dict[type[nn.Module], tuple[Callable[..., Any], Backward]] = {
    nn.GELU: (
        torch._C._nn.gelu,
        lambda grad, x, y, out: aten.gelu_backward.grad_input(grad, x, grad_input=out),
    ),
    nn.ReLU: (
        lambda x, out: torch.clamp_min(x, 0, out=out),
        lambda grad, x, y, out: aten.threshold_backward.grad_input(grad, x, 0, grad_input=out),
    ),
    nn.SiLU: (
        torch._C._nn.silu,
        lambda grad, x, y, out: aten.silu_backward.grad_input(grad, x, grad_input=out),
    ),
    nn.Tanh: (
        torch.tanh,
        lambda grad, x, y, out: aten.tanh_backward.grad_input(grad, y, grad_input=out),
    ),
    nn.Sigmoid: (
        torch.sigmoid,
        lambda grad, x, y, out: aten.sigmoid_backward.grad_input(grad, y, grad_input=out),
    ),
    nn.LeakyReLU: (
        lambda x, out: torch._C._nn.leaky_relu(x, 0.01, out=out),
        lambda grad, x, y, out: aten.leaky_relu_backward.grad_input(
            grad, x, 0.01, False, grad_input=out
        ),
    ),
    nn.ELU: _elu(1.0, 1.0),
    nn.SELU: _elu(SELU_ALPHA, SELU_SCALE),
}

APART = (nn.GELU,)
"""Those whose kernel writes wrong values into the rows of a wider array (PyTorch 2.13 on
processors), so that they get one of their own to write to."""


def softplus(x: Tensor, *, out: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return aten.softplus.out(x, out=out)  # type: ignore[no-any-return]
