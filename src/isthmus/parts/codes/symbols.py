"""Codes of symbols: whole numbers, which an entropy coder can write down."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.core.errors import SpecError
from isthmus.core.ranges import positive, positive_int, share
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Coded
from isthmus.parts.contracts import CODES, PRIORS, Code, Prior, Shape

FREQUENCIES = spec("frequencies")
WIDEST_GROUP = 4
BLOCK = 4096
"""Values that are held against a codebook together, so that large grids fit into memory."""
ROUNDS = 10
"""Of k-means at the start."""
DEAD = 0.1
"""Entries used less than this share of the mean are replaced."""
REACH = 2.0
"""Of the levels: rounding 2 tanh(h / 2) costs a normal or a Laplacian h nearly the least."""


@runtime_checkable
class Symbolic(Protocol):
    """A code that can be written in symbols: ``groups`` whole numbers below ``size`` each."""

    groups: int
    size: int

    def symbols(self, h: Tensor) -> Tensor:
        """(B, n_params, dim, *grid) of the encoder to (B, groups, *grid) int64."""

    def z_of(self, symbols: Tensor) -> Tensor:
        """(B, groups, *grid) int64 to (B, dim, *grid); exactly the z of the code in use."""


class OfSymbols(Prior):
    """What is believed of z by its symbols.

    Parameters
    ----------
    code : Code
        That writes z in symbols.
    prior : Spec
        What is believed of the symbols.
    """

    def __init__(self, code: Symbolic, dim: int, prior: Spec) -> None:
        super().__init__()
        if "n_symbols" not in PRIORS.options(Spec.from_json(prior).kind):
            raise SpecError(
                f"prior '{Spec.from_json(prior).kind}' scores numbers, but this code is made of "
                "symbols. Take prior='frequencies', or code='point' or 'gaussian'."
            )
        self.dim = dim
        self.of = PRIORS.build(prior, dim=code.groups, n_symbols=code.size)
        self._code = (code,)  # not its child: the code is the parent of this

    def log_prob(self, z: Tensor) -> Tensor:
        return self.of.log_prob(self._code[0].symbols(z.unsqueeze(1)))

    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        return self._code[0].z_of(self.of.sample(n, grid))

    def start(self, latents: Tensor, weight: Tensor | None = None) -> None:
        self.of.start(self._code[0].symbols(latents.unsqueeze(1)), weight)


@CODES.register("vector")
class Vector(Code):
    """The nearest entries of codebooks (van den Oord, Vinyals & Kavukcuoglu 2017,
    https://arxiv.org/abs/1711.00937).

    The gradient passes straight through. The codebooks begin as k-means of the encoder's outputs
    and follow them as moving averages; entries that are hardly used are put where outputs are.
    Each group of values has a codebook of its own (product quantisation: Jégou, Douze & Schmid
    2011, https://doi.org/10.1109/TPAMI.2010.57).

    Parameters
    ----------
    size : int
        Entries of a codebook.
    group : int or "auto"
        Values of z that one symbol stands for. "auto" takes 4, or fewer where z has fewer.
    commitment : float
        Nats per squared distance of the encoder's output from its entry.
    decay : float
        Of the moving averages, in a step: 0 to 1.
    prior : Spec
        What is believed of the symbols.
    """

    has_aux = True
    starts_plain = False
    prior: OfSymbols
    book: Tensor
    usage: Tensor

    def __init__(
        self,
        dim: int,
        size: int = 512,
        group: int | str = "auto",
        commitment: float = 0.25,
        decay: float = 0.95,
        prior: Spec = FREQUENCIES,
    ) -> None:
        super().__init__()
        self.dim, self.size = dim, positive_int(size, "size")
        self.width = (
            min(dim, WIDEST_GROUP) if group == "auto" else positive_int(group, "group", most=dim)
        )
        self.groups = -(-dim // self.width)
        self.commitment = positive(commitment, "commitment", or_zero=True)
        self.decay = share(decay, "decay")
        book = torch.randn(self.groups, self.size, self.width)
        missing = self.groups * self.width - dim
        book[-1, :, self.width - missing :] = 0
        self.register_buffer("book", book)
        self.register_buffer("usage", torch.zeros(self.groups, self.size))
        self.prior = OfSymbols(self, dim, prior)

    def forward(self, h: Tensor, weight: Tensor | None = None) -> Coded:
        with torch.autocast(h.device.type, enabled=False):
            rows = self._rows(h)
            chosen = self._nearest(rows)
            z = self._joined(self._entries(chosen), h)
            symbols = _on_grid(chosen, h)
            rate = -self.prior.of.log_prob(symbols)
            values = h.squeeze(1)
            aux = self.commitment * (values - z).square().flatten(1).sum(1)
            if self.training and torch.is_grad_enabled():
                self.prior.of.learn(symbols, weight)
                self._learn(rows.detach(), chosen, _of_positions(weight, h))
        z = z + (values - values.detach())
        return Coded(z, z, rate=rate, aux=aux)

    def symbols(self, h: Tensor) -> Tensor:
        return _on_grid(self._nearest(self._rows(h)), h)

    def z_of(self, symbols: Tensor) -> Tensor:
        chosen = symbols.reshape(*symbols.shape[:2], -1).transpose(1, 2).flatten(0, 1)
        return self._joined(self._entries(chosen), symbols.unsqueeze(1))

    @torch.no_grad()
    def look(self, h: Tensor, weight: Tensor | None = None) -> None:
        rows, weight = self._rows(h), _of_positions(weight, h)
        spread = torch.linspace(0, len(rows) - 1, self.size, device=h.device).long()
        self.book.copy_(rows[spread].transpose(0, 1))
        for _ in range(ROUNDS):
            self._average(rows, self._nearest(rows), weight, decay=0.0)

    def _rows(self, h: Tensor) -> Tensor:
        """(B, 1, dim, *grid) to (B * positions, groups, width), with zeros where dim ends."""
        rows = h.reshape(len(h), self.dim, -1).transpose(1, 2).flatten(0, 1).to(self.book.dtype)
        rows = F.pad(rows, (0, self.groups * self.width - self.dim))
        return rows.view(-1, self.groups, self.width)

    def _joined(self, rows: Tensor, h: Tensor) -> Tensor:
        """(B * positions, groups, width) to (B, dim, *grid)."""
        values = rows.flatten(1)[:, : self.dim]
        return _on_grid(values, h)

    def _nearest(self, rows: Tensor) -> Tensor:
        """(N, groups, width) to the numbers of their nearest entries, (N, groups)."""
        measure = self._roughly if self.training else self._exactly
        blocks = [measure(block).argmin(-1) for block in torch.split(rows.detach(), BLOCK)]
        return torch.cat(blocks) if len(blocks) > 1 else blocks[0]

    def _roughly(self, rows: Tensor) -> Tensor:
        """(N, groups, size) half the squared distances, but for what is alike for all entries."""
        half = 0.5 * self.book.square().sum(-1)
        return half - torch.einsum("ngw,gsw->ngs", rows, self.book)

    def _exactly(self, rows: Tensor) -> Tensor:
        """(N, groups, size) squared distances, alike to the bit wherever a row stands."""
        pairs = zip(rows.unsqueeze(3).unbind(2), self.book.unbind(2), strict=True)
        return sum(((row - entry).square() for row, entry in pairs), rows.new_zeros(()))

    def _entries(self, chosen: Tensor) -> Tensor:
        """(N, groups) numbers of entries to the entries, (N, groups, width)."""
        return self.book.flatten(0, 1)[chosen + self._first(chosen)]

    def _first(self, chosen: Tensor) -> Tensor:
        """(groups,) the number of the first entry of each codebook among all."""
        return torch.arange(self.groups, device=chosen.device) * self.size

    def _learn(self, rows: Tensor, chosen: Tensor, weight: Tensor | None) -> None:
        self._average(rows, chosen, weight, self.decay)
        dead = self.usage < DEAD / self.size
        drawn = torch.randint(len(rows), (self.size,), device=rows.device)
        self.book.copy_(torch.where(dead.unsqueeze(-1), rows[drawn].transpose(0, 1), self.book))
        self.usage.copy_(torch.where(dead, 1 / self.size, self.usage))

    def _average(self, rows: Tensor, chosen: Tensor, weight: Tensor | None, decay: float) -> None:
        """Move entries to the mean of the rows that chose them, and of those before."""
        where = (chosen + self._first(chosen)).flatten()
        share = rows.new_full(where.shape, (1 - decay) / len(rows))
        if weight is not None:
            each = weight / weight.mean().clamp(min=1e-12)
            share = share * each.repeat_interleave(self.groups).to(rows.dtype)
        before = decay * self.usage
        count = torch.zeros_like(before).flatten().index_add(0, where, share)
        total = torch.zeros_like(self.book).flatten(0, 1)
        moved = share.unsqueeze(1) * rows.flatten(0, 1)
        total = total.index_add(0, where, moved).view_as(self.book)
        usage = before + count.view_as(before)
        mean = (before.unsqueeze(-1) * self.book + total) / usage.unsqueeze(-1).clamp(min=1e-12)
        self.book.copy_(torch.where(usage.unsqueeze(-1) > 0, mean, self.book))
        self.usage.copy_(usage)


@CODES.register("scalar")
class Scalar(Code):
    """Every value rounded to one of a few levels (Mentzer, Minnen, Agustsson & Tschannen 2023,
    https://arxiv.org/abs/2309.15505).

    The levels lie close together around zero and far apart in the tails, as suits values of unit
    variance, with which a model begins. The gradient passes straight through.

    Parameters
    ----------
    levels : int
        How many values each dimension can take.
    prior : Spec
        What is believed of the symbols.
    """

    prior: OfSymbols
    starts_plain = False
    middle: Tensor

    def __init__(self, dim: int, levels: int = 16, prior: Spec = FREQUENCIES) -> None:
        super().__init__()
        self.dim = self.groups = dim
        self.size = positive_int(levels, "levels")
        if self.size < 2:
            raise SpecError(f"levels must be at least 2, got {levels}.")
        middle = (2 * torch.arange(self.size) + 1) / self.size - 1
        self.register_buffer("middle", middle, persistent=False)
        self.prior = OfSymbols(self, dim, prior)

    def forward(self, h: Tensor, weight: Tensor | None = None) -> Coded:
        with torch.autocast(h.device.type, enabled=False):
            bounded = self._bounded(h)
            symbols = self._rounded(bounded)
            z = self.z_of(symbols)
            rate = -self.prior.of.log_prob(symbols)
            if self.training and torch.is_grad_enabled():
                self.prior.of.learn(symbols, weight)
        # As steep as the identity within the levels, flat beyond the outermost.
        smooth = REACH * bounded / (1 - self.middle[symbols].square())
        z = z + (smooth - smooth.detach())
        return Coded(z, z, rate=rate, aux=h.new_zeros(h.shape[0]))

    def symbols(self, h: Tensor) -> Tensor:
        return self._rounded(self._bounded(h))

    def z_of(self, symbols: Tensor) -> Tensor:
        return REACH * torch.atanh(self.middle[symbols])

    def _bounded(self, h: Tensor) -> Tensor:
        """(B, 1, dim, *grid) to (B, dim, *grid) between -1 and 1."""
        h = h.squeeze(1)
        return torch.tanh(h.to(torch.promote_types(h.dtype, torch.float32)) / REACH)

    def _rounded(self, bounded: Tensor) -> Tensor:
        step = (0.5 * self.size * (bounded + 1)).floor().long()
        return step.clamp(0, self.size - 1)


def _of_positions(weight: Tensor | None, h: Tensor) -> Tensor | None:
    """(B * positions,) weights of positions, from (B,) those of rows."""
    if weight is None:
        return None
    return weight.repeat_interleave(h[0, 0, 0].numel())


def _on_grid(rows: Tensor, h: Tensor) -> Tensor:
    """(B * positions, n) to (B, n, *grid), with the grid of (B, 1, dim, *grid)."""
    grid = h.shape[3:]
    values = rows.view(h.shape[0], -1, rows.shape[1]).transpose(1, 2)
    return values.reshape(h.shape[0], rows.shape[1], *grid)
