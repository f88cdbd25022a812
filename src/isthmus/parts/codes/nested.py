"""Codes whose prefixes are codes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.core.ranges import positive
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Coded
from isthmus.parts.contracts import CODES, Code, Prior, Shape

GOLDEN = (math.sqrt(5) - 1) / 2


@CODES.register("nested")
class Nested(Code):
    """Any code, of which in training each row keeps a random prefix: the first k are a code too.

    Nested dropout (Rippel, Gelbart & Adams 2014, https://arxiv.org/abs/1402.0915); compare
    Matryoshka representations (Kusupati et al. 2022, https://arxiv.org/abs/2205.13147). What lies
    behind the prefix is zero and costs what an encoder that says nothing costs. Beside a linear
    path it begins as PCA with k components for every k.

    Where k is drawn evenly, the few numbers of a short prefix, whose errors are large, are paid
    for by the full code. So k is drawn in proportion to error(k) ** -balance, the error of PCA
    with k components, which ``start`` sees.

    Parameters
    ----------
    code : Spec
        What is nested.
    balance : float
        0 draws all k alike, which favours short prefixes; 1 counts errors as shares of PCA's,
        which favours long ones.
    prior : Spec, optional
        What is believed of z, in place of what ``code`` says.
    """

    costs: Tensor

    def __init__(
        self,
        dim: int,
        shape: Shape = (1,),
        code: Spec = spec("point"),
        balance: float = 0.67,
        prior: Spec | None = None,
    ) -> None:
        super().__init__()
        if balance:
            positive(balance, "balance")
        code = Spec.from_json(code)
        code = code if prior is None else code.with_options(prior=prior)
        self.inner = CODES.build(code, dim=dim, shape=shape)
        self.n_params, self.has_aux = self.inner.n_params, self.inner.has_aux
        self.dim, self.values, self.balance = dim, math.prod(shape), balance
        self.register_buffer("costs", torch.zeros(dim))

    @property
    def prior(self) -> Prior:  # type: ignore[override]  # an attribute would store it twice
        return self.inner.prior

    def forward(self, h: Tensor, weight: Tensor | None = None) -> Coded:
        if not self.training:
            coded: Coded = self.inner(h)
            return coded
        kept = self.kept(h)
        coded = self.inner(h * kept.unsqueeze(1), weight)
        return coded._replace(z=coded.z * kept, mean=coded.mean * kept)

    def kept(self, h: Tensor) -> Tensor:
        """(B, dim, 1...) 1 within the prefix drawn for a row, 0 behind it.

        Spread evenly over the rows of a batch, whatever their order (a Kronecker sequence).
        """
        upto = self.shares(h[0, 0, 0].numel()).cumsum(0)
        rows = torch.arange(len(h), device=h.device, dtype=upto.dtype)
        at = (torch.rand((), device=h.device, dtype=upto.dtype) + GOLDEN * rows) % 1
        kept = torch.cat([upto.new_zeros(1), upto[:-1]]) <= at.unsqueeze(1) * upto[-1]
        return kept.to(h.dtype).view(*kept.shape, *[1] * (h.ndim - 3))

    def shares(self, positions: int = 1) -> Tensor:
        """(dim,) how often each length is drawn, relative to the full code."""
        behind = self.costs.flip(0).cumsum(0).flip(0) - self.costs
        return (1 + behind * positions / self.values) ** -self.balance

    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        return self.inner.sample(n, grid)

    def look(self, h: Tensor, weight: Tensor | None = None) -> None:
        self.inner.look(h, weight)

    def start(self, curvature: Tensor) -> None:
        # Of PCA's code, in squared errors of x over the variance of what is left.
        self.costs.copy_(curvature.clamp(min=0))
        self.inner.start(curvature)
