"""A model: network, code and likelihood, composed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from isthmus.core.linear import column_mean
from isthmus.core.recipe import Recipe
from isthmus.core.sparse import is_sparse
from isthmus.core.types import Batch, Coded, Step
from isthmus.parts import CODES, LIKELIHOODS, NETWORKS, Code, Likelihood, Network

BLOCK_ROWS, BLOCK_VALUES = 128, 1 << 20
"""Rows that pass through a model together when it is used, fewer where they are long; padded to
exactly so many, so that no answer depends on which rows were asked for along with it."""

START_ROWS, START_VALUES = 2048, 1 << 26
"""Rows, and values in them, that likelihood, code and prior look at before training."""
CURVATURE_ROWS, CURVATURE_STEP = 256, 0.1


class Model(nn.Module):
    """Encode, code, decode, likelihood: composed of parts, never subclassed.

    Parameters
    ----------
    recipe : Recipe
        With network and likelihood decided.
    shape : tuple of int
        One row of x.
    dim : int
        Dimensions of the code (channels, where the code is a grid).
    n_given : int
        How many conditions the decoder reads beside the code.
    network : Network, optional
        One that is built already, in place of the recipe's.
    gaps : bool
        Whether values may be missing or hidden, so that the encoder is to be told which.
    """

    usual: Tensor
    """What is shown in place of a missing value: the mean of its column, or channel on a grid."""

    def __init__(
        self,
        recipe: Recipe,
        shape: tuple[int, ...],
        dim: int,
        n_given: int = 0,
        network: Network | None = None,
        gaps: bool = False,
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.dim = dim
        self.gaps = gaps
        self.likelihood: Likelihood = LIKELIHOODS.build(recipe.likelihood, shape=self.shape)
        self.code: Code = CODES.build(recipe.code, dim=dim, shape=self.shape)
        self.network: Network = network or NETWORKS.build(
            recipe.network,
            shape=self.likelihood.inputs(self.shape),
            params=self.likelihood.params(self.shape),
            dim=dim,
            n_params=self.code.n_params,
            n_given=n_given,
            gaps=math.prod(self.shape) if gaps else 0,
        )
        usual = self.likelihood.inputs(self.shape)
        if self.grid:
            usual = (usual[0], *[1] * (len(usual) - 1))
        self.register_buffer("usual", torch.zeros(usual))

    @property
    def grid(self) -> tuple[int, ...]:
        """The grid of the code, ``()`` for a vector."""
        return self.network.grid(self.shape)

    @property
    def block_rows(self) -> int:
        """Rows that pass through together when the model is used."""
        return max(1, min(BLOCK_ROWS, BLOCK_VALUES // math.prod(self.shape)))

    @property
    def starts_plain(self) -> bool:
        """Whether the model is PCA before it is trained."""
        parts = (self.network, self.likelihood, self.code)
        return all(part.starts_plain for part in parts)

    def forward(
        self, target: Batch, seen: Batch | None = None, samples: int = 1, pulled: bool = False
    ) -> Step:
        """One pass: what is seen is encoded, what is decoded is held against the target.

        Parameters
        ----------
        target, seen : Batch
        samples : int
            Draws of the code for each row; the step then has so many times the rows.
        pulled : bool
            Whether the step is to know ``pull``.
        """
        seen = without_gaps(target if seen is None else seen)
        target = without_gaps(target)
        shown = self.shown(seen.x, seen.weight)
        if pulled:
            shown = shown.detach().requires_grad_()
        h = self.network.encode(shown, of_values(seen))
        if samples > 1:
            h, target = h.repeat(samples, *[1] * (h.ndim - 1)), target.repeated(samples)
        coded: Coded = self.code(h, target.row_weight)
        params = self.network.decode(with_given(coded.z, target.given), target.x)
        costs = self.likelihood.nll(params, target.x)
        if target.weight is not None:
            costs = costs * like(target.weight, costs)
        pull = partial(derived, coded.mean[: len(shown)], shown) if pulled else None
        return Step(target, seen, coded, params, costs, pull)

    def shown(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(B, *inputs) what the network sees of rows: where a value is missing, the usual one."""
        shown = self.likelihood.embed(x)
        if weight is None or weight.ndim == 1:
            return shown
        there = like(self.likelihood.embed_weight(weight), shown) > 0
        return shown.where(there, self.usual if self.network.aligned else 0.0)

    def outputs(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(B, n_params, dim, *grid) what the encoder says of rows without gaps."""
        return self.network.encode(self.shown(x, weight), of_values(Batch(x, weight)))

    def coded(self, x: Tensor, weight: Tensor | None = None) -> Coded:
        """What the code makes of rows without gaps."""
        coded: Coded = self.code(self.outputs(x, weight))
        return coded

    def start(
        self, batch: Batch, corrupted: Callable[[Batch], tuple[Batch, Batch]] | None = None
    ) -> None:
        """Let every part look at the data once: the model becomes the plain method.

        Where it will see ``corrupted`` rows, its likelihood begins with the error on such ones.
        """
        training = self.training
        self.eval()
        with torch.no_grad():
            if batch.weight is not None and batch.weight.ndim == 1:
                batch = batch.kept(batch.weight.nonzero()[:, 0])
            batch = without_gaps(batch)
            if is_sparse(batch.x) and not self.likelihood.starts_plain:
                batch = batch.rows(self._spread(batch, len(batch.x)))
            self.network.start(*self._first_look(batch))
            batch = batch.rows(self._spread(batch, START_ROWS))
            h = self.by_blocks(self.outputs, *batch[:2])
            self.code.look(h, batch.row_weight)
            z = self.by_blocks(lambda h: self.code(h).mean, h)
            seen, target = (batch, batch) if corrupted is None else corrupted(batch)
            if corrupted is not None:
                h = self.by_blocks(self.outputs, *without_gaps(seen)[:2])
            shown = self.by_blocks(lambda h: self.code(h).mean, h)
            params = self.by_blocks(self.network.decode, with_given(shown, target.given), target.x)
            self.likelihood.start(target.whole, params)
            if type(self.code).start is not Code.start:
                few = self._spread(batch, CURVATURE_ROWS)
                self.code.start(self._curvature(z[few], batch.rows(few)))
            self.code.prior.start(z, batch.row_weight)
        self.train(training)

    def _first_look(self, batch: Batch) -> tuple[Batch, Tensor]:
        """What the network sees of all rows, and the params to begin with; where a value is
        missing, both are the mean of its column.
        """
        embedded, params = self.likelihood.embed(batch.x), self.likelihood.guess(batch.whole.x)
        weight = batch.weight
        if weight is not None and weight.ndim > 1:
            weight = like(self.likelihood.embed_weight(weight), embedded)
            if params.shape == embedded.shape:
                params = params.where(weight > 0, column_mean(params, weight))
        if self.network.aligned:
            over = (0, *range(2, embedded.ndim)) if self.grid else (0,)
            self.usual.copy_(column_mean(embedded, weight, over).view_as(self.usual))
        return batch._replace(x=self.shown(batch.x, batch.weight)), params

    def _spread(self, batch: Batch, most: int) -> Tensor:
        """At most so many row numbers, evenly spread over all; fewer where rows are long."""
        most = min(most, max(self.block_rows, START_VALUES // math.prod(self.shape)))
        return torch.arange(0, len(batch.x), -(-len(batch.x) // most), device=batch.x.device)

    def _curvature(self, z: Tensor, batch: Batch) -> Tensor:
        """(dim,) nats that a unit squared of each code dimension costs, by central differences."""

        def nll(moved: Tensor) -> Tensor:
            params = self.network.decode(with_given(moved, batch.given), batch.x)
            costs = self.likelihood.nll(params, batch.x)
            if batch.weight is not None:
                costs = costs * like(batch.weight, costs)
            return costs.sum() / len(batch.x)

        here = nll(z)
        curvature = torch.zeros(self.dim, device=z.device, dtype=z.dtype)
        positions = max(1, z[0, 0].numel())
        for j in range(self.dim):
            nudge = torch.zeros_like(z)
            nudge[:, j] = CURVATURE_STEP
            curvature[j] = nll(z + nudge) + nll(z - nudge) - 2 * here
        return curvature / CURVATURE_STEP**2 / positions

    @torch.inference_mode()
    def encode(self, x: Tensor, weight: Tensor | None = None, *, dims: int | None = None) -> Tensor:
        """Codes of rows, without noise.

        Parameters
        ----------
        x : Tensor of shape (n, *shape)
        weight : Tensor, optional
            0 where a value is missing.
        dims : int, optional
            Keep the first so many.

        Returns
        -------
        Tensor of shape (n, dims, *grid)
        """
        x = without_gaps(Batch(x, weight)).x
        z = self.by_blocks(lambda x, w: self.coded(x, w).mean, x, weight)
        return z[:, :dims]

    @torch.inference_mode()
    def decode(self, z: Tensor, given: Tensor | None = None, *, draw: bool = False) -> Tensor:
        """Rows from codes: their expected value, or one drawn.

        Parameters
        ----------
        z : Tensor of shape (n, dims, *grid)
            Dimensions that were left out are taken as zero.
        given : Tensor of shape (n, n_given), optional
        draw : bool

        Returns
        -------
        Tensor of shape (n, *shape)
        """
        if z.shape[1] < self.dim:
            left_out = z.new_zeros(z.shape[0], self.dim - z.shape[1], *z.shape[2:])
            z = torch.cat([z, left_out], 1)
        settle = self.likelihood.draw if draw else self.likelihood.mean

        def run(z: Tensor, given: Tensor | None) -> Tensor:
            return self.network.unroll(with_given(z, given), settle)

        return self.by_blocks(run, z, given)

    def codes(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n, dim, *grid) of rows, all at once and differentiable; as ``encode``."""
        return self.coded(without_gaps(Batch(x, weight)).x, weight).mean

    def expected(self, z: Tensor) -> Tensor:
        """(n, *shape) of codes, all at once and differentiable; as ``decode``."""
        return self.likelihood.mean(self.network.decode(z))

    @torch.inference_mode()
    def score(self, batch: Batch) -> Tensor:
        """(n,) minus the nats that each row costs: distortion and rate, without noise."""

        def run(*parts: Tensor | None) -> Tensor:
            step: Step = self(Batch(*parts))  # type: ignore[arg-type]
            return -(step.nll + step.code.rate)

        return self.by_blocks(run, *batch)

    @torch.inference_mode()
    def sample(self, n: int, given: Tensor | None = None, *, draw: bool = False) -> Tensor:
        """(n, *shape) rows from codes that the prior draws, under conditions if any."""
        return self.decode(self.code.sample(n, self.grid), given, draw=draw)

    def by_blocks(self, run: Callable[..., Tensor], *parts: Tensor | None) -> Tensor:
        """Run in evaluation mode over blocks of equal size, the last one padded."""
        training = self.training
        self.eval()
        here = next((p.device for p in self.parameters()), torch.device("cpu"))
        there = next(part.device for part in parts if part is not None)
        try:
            n = next(len(part) for part in parts if part is not None)
            blocks, size = [], self.block_rows
            for first in range(0, max(n, 1), size):
                rows = min(size, n - first)
                block = [
                    None if part is None else _padded(part[first : first + rows], size).to(here)
                    for part in parts
                ]
                blocks.append(run(*block)[:rows].to(there))
            return torch.cat(blocks) if len(blocks) > 1 else blocks[0]
        finally:
            self.train(training)


def derived(of: Tensor, by: Tensor, direction: Tensor) -> tuple[Tensor, ...]:
    """``direction`` times the derivative of a tensor by another, itself differentiable."""
    return torch.autograd.grad(of, by, direction, create_graph=True)


def with_given(z: Tensor, given: Tensor | None) -> Tensor:
    """The code with its conditions as further channels."""
    if given is None:
        return z
    given = given.reshape(*given.shape, *[1] * (z.ndim - 2))
    return torch.cat([z, given.expand(*given.shape[:2], *z.shape[2:])], 1)


def without_gaps(batch: Batch) -> Batch:
    """The batch with 0 where a value is missing, so that what stands there changes nothing."""
    if batch.weight is None or batch.weight.ndim == 1:
        return batch
    there = like(batch.weight, batch.x) > 0
    clean = None if batch.clean is None else batch.clean.where(there, 0.0)
    return batch._replace(x=batch.x.where(there, 0.0), clean=clean)


def of_values(batch: Batch) -> Tensor | None:
    """The weights of a batch, one for each value of x where they are of values."""
    weight = batch.weight
    return weight if weight is None or weight.ndim < batch.x.ndim else weight.expand_as(batch.x)


def like(weight: Tensor, costs: Tensor) -> Tensor:
    """A weight per row or per value, shaped to multiply ``costs``."""
    return weight.reshape(weight.shape + (1,) * (costs.ndim - weight.ndim))


def _padded(part: Tensor, rows: int) -> Tensor:
    short = rows - len(part)
    if not short:
        return part.contiguous()
    return torch.cat([part, part.new_zeros(short, *part.shape[1:])])


def n_parameters(model: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
