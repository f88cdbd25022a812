"""Likelihoods of categories, and of rows whose columns are of different kinds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from isthmus.core.ranges import positive_ints
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.parts.contracts import LIKELIHOODS, Likelihood, Shape

NUMBER, COUNT, CATEGORY = KINDS = ("number", "count", "category")
MOST_PLACES = 1 << 24
"""Columns times the levels of the largest, as they lie side by side."""
SHARPEST = 5.0
"""The largest logarithm of a sharpness."""
GAUSSIAN = spec("gaussian", scale=0.5)
"""A scale at which a number that is missed by so much costs about as much as a wrong category."""


@LIKELIHOODS.register("categorical")
class Categorical(Likelihood):
    """Each column one of so many levels, under a softmax; the decoder says logits.

    x holds the numbers of the levels, which the network sees by a place for each (one-hot). The
    logits of a column are multiplied by its learned sharpness, as a Gaussian has a learned scale:
    so the decoder begins as least squares on the places, which is PCA's own guess.

    Parameters
    ----------
    levels : sequence of int
        How many levels each column has.
    """

    support = "level"
    starts_plain = True
    last: Tensor
    column: Tensor
    level: Tensor
    place: Tensor

    def __init__(self, shape: Shape, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = positive_ints(levels, "levels")
        if len(shape) != 1 or len(self.levels) != shape[0]:
            raise ValueError(f"{len(self.levels)} levels for rows of shape {shape}.")
        if len(self.levels) * max(self.levels) > MOST_PLACES:
            raise ValueError(f"{len(self.levels)} columns of up to {max(self.levels)} levels.")
        sizes = torch.tensor(self.levels)
        columns = torch.arange(len(sizes))
        self.places = int(sizes.sum())
        first = sizes.cumsum(0) - sizes
        column = columns.repeat_interleave(sizes)
        steps = torch.arange(int(sizes.max()))
        place = first[:, None] + steps.minimum(sizes[:, None] - 1)
        self.register_buffer("last", (sizes - 1).float(), persistent=False)
        self.register_buffer("column", column, persistent=False)
        self.register_buffer("level", torch.arange(self.places) - first[column], persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("beyond", steps >= sizes[:, None], persistent=False)
        self.log_sharpness = nn.Parameter(torch.full((len(sizes),), math.log(4.0)))

    def params(self, shape: Shape) -> Shape:
        return (self.places,)

    def inputs(self, shape: Shape) -> Shape:
        return (self.places,)

    def embed(self, x: Tensor) -> Tensor:
        return (self._numbers(x)[:, self.column] == self.level).to(x.dtype)

    def embed_weight(self, weight: Tensor) -> Tensor:
        return weight[:, self.column]

    def noisy(self, x: Tensor, noise: Tensor) -> Tensor:
        return x

    def unembed(self, embedded: Tensor) -> Tensor:
        return self._by_column(embedded).argmax(2).to(embedded.dtype)

    def error(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        return (self._numbers(rebuilt) != self._numbers(x)).to(x.dtype)

    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        logits = self._sharpened(params)
        chosen = logits.gather(2, self._numbers(x).unsqueeze(2)).squeeze(2)
        return logits.logsumexp(2) - chosen

    def mean(self, params: Tensor) -> Tensor:
        return self.unembed(params)

    def draw(self, params: Tensor) -> Tensor:
        logits = self._sharpened(params)
        gumbel = -torch.empty_like(logits).exponential_().log()
        return (logits + gumbel).argmax(2).to(params.dtype)

    def guess(self, x: Tensor) -> Tensor:
        return self.embed(x)

    @torch.no_grad()
    def start(self, batch: Batch, params: Tensor) -> None:
        """The sharpness of each column that explains the rows best, of some that are tried."""
        best = params.new_full((len(self.levels),), math.inf)
        found = self.log_sharpness.clone()
        for step in range(-4, 11):
            self.log_sharpness.fill_(0.5 * step)
            costs = self.nll(params, batch.x)
            if batch.weight is not None:
                costs = costs * batch.weight.view(len(costs), -1)
            cost = costs.mean(0)
            found = torch.where(cost < best, self.log_sharpness, found)
            best = best.minimum(cost)
        self.log_sharpness.copy_(found)

    def _numbers(self, x: Tensor) -> Tensor:
        """Whole numbers of levels, within those there are."""
        return x.round().clamp(min=torch.zeros_like(self.last), max=self.last).long()

    def _by_column(self, params: Tensor, sharpness: Tensor | None = None) -> Tensor:
        """(B, columns, most levels), minus infinity where a column has fewer."""
        spread = params[:, self.place]
        if sharpness is not None:
            spread = spread * sharpness
        return spread.masked_fill(self.get_buffer("beyond"), -math.inf)

    def _sharpened(self, params: Tensor) -> Tensor:
        return self._by_column(params, self.log_sharpness.clamp(max=SHARPEST).exp()[:, None])


@LIKELIHOODS.register("mixed")
class Mixed(Likelihood):
    """A likelihood for each column: numbers, counts and categories side by side.

    The log-likelihoods of the columns are added, each in nats (Nazabal et al. 2020,
    https://arxiv.org/abs/1807.03653). The scale of the numbers is fixed: a learned one shrinks
    until the numbers take the whole code, and the categories get nothing.

    Parameters
    ----------
    columns : sequence of "number", "count" or "category"
        What each column holds.
    levels : sequence of int
        How many levels each column has; 0 for numbers and counts.
    numbers, counts : str or Spec
        The likelihood of the numbers and of the counts: any that is for columns.
    """

    inverse: Tensor

    def __init__(
        self,
        shape: Shape,
        columns: tuple[str, ...],
        levels: tuple[int, ...],
        numbers: Spec | str = GAUSSIAN,
        counts: Spec | str = GAUSSIAN,
    ) -> None:
        super().__init__()
        columns, levels = tuple(columns), tuple(levels)
        if len(shape) != 1 or not len(columns) == len(levels) == shape[0]:
            raise ValueError(f"{len(columns)} columns, {len(levels)} levels: the row is {shape}.")
        for kind in columns:
            if kind not in KINDS:
                raise ValueError(f"a column is one of {', '.join(KINDS)}, got {kind!r}.")
        same = Spec.from_json(numbers) == Spec.from_json(counts)
        merged = [NUMBER if same and kind == COUNT else kind for kind in columns]
        wanted = {NUMBER: numbers, COUNT: counts}
        self.parts = nn.ModuleDict()
        self.places: dict[str, list[int]] = {}
        for group in KINDS:
            places = [j for j, kind in enumerate(merged) if kind == group]
            if not places:
                continue
            made: Likelihood = (
                Categorical((len(places),), tuple(levels[j] for j in places))
                if group == CATEGORY
                else LIKELIHOODS.build(wanted[group], shape=(len(places),))
            )
            self.parts[group], self.places[group] = made, places
            self.register_buffer(f"at_{group}", torch.tensor(places), persistent=False)
        order = torch.tensor([j for places in self.places.values() for j in places])
        self.register_buffer("inverse", order.argsort(), persistent=False)
        self.support = self._supports()
        self.starts_plain = all(part.starts_plain for _, part in self._groups())

    def _supports(self) -> tuple[str, ...]:
        found = [""] * len(self.inverse)
        for group, part in self._groups():
            for j in self.places[group]:
                if not isinstance(part.support, str):
                    raise ValueError("columns cannot be mixed within mixed columns.")
                found[j] = part.support
        return tuple(found)

    def params(self, shape: Shape) -> Shape:
        return (sum(self._sizes("params")),)

    def inputs(self, shape: Shape) -> Shape:
        return (sum(self._sizes("inputs")),)

    def embed(self, x: Tensor) -> Tensor:
        return torch.cat([part.embed(self._of(x, g)) for g, part in self._groups()], 1)

    def embed_weight(self, weight: Tensor) -> Tensor:
        found = [part.embed_weight(self._of(weight, g)) for g, part in self._groups()]
        return torch.cat(found, 1)

    def noisy(self, x: Tensor, noise: Tensor) -> Tensor:
        return self._together(
            [part.noisy(self._of(x, g), self._of(noise, g)) for g, part in self._groups()]
        )

    def unembed(self, embedded: Tensor) -> Tensor:
        pieces = zip(self._groups(), torch.split(embedded, self._sizes("inputs"), 1), strict=True)
        return self._together([part.unembed(piece) for (_, part), piece in pieces])

    def error(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        return self._together(
            [part.error(self._of(rebuilt, g), self._of(x, g)) for g, part in self._groups()]
        )

    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        pieces = self._split(params)
        return self._together([part.nll(p, self._of(x, g)) for g, part, p in pieces])

    def mean(self, params: Tensor) -> Tensor:
        return self._together([part.mean(p) for _, part, p in self._split(params)])

    def draw(self, params: Tensor) -> Tensor:
        return self._together([part.draw(p) for _, part, p in self._split(params)])

    def guess(self, x: Tensor) -> Tensor:
        return torch.cat([part.guess(self._of(x, g)) for g, part in self._groups()], 1)

    def start(self, batch: Batch, params: Tensor) -> None:
        weight = batch.weight
        for group, part, piece in self._split(params):
            own = self._of(weight, group) if weight is not None and weight.ndim > 1 else weight
            part.start(Batch(self._of(batch.x, group), own), piece)

    def _groups(self) -> list[tuple[str, Likelihood]]:
        return list(self.parts.items())  # type: ignore[arg-type]

    def _sizes(self, what: str) -> list[int]:
        """How many places of ``params`` or ``inputs`` each group takes."""
        return [
            math.prod(getattr(part, what)((len(self.places[group]),)))
            for group, part in self._groups()
        ]

    def _of(self, x: Tensor, group: str) -> Tensor:
        return x.index_select(1, self.get_buffer(f"at_{group}"))

    def _split(self, params: Tensor) -> list[tuple[str, Likelihood, Tensor]]:
        pieces = torch.split(params, self._sizes("params"), 1)
        return [(g, part, p) for (g, part), p in zip(self._groups(), pieces, strict=True)]

    def _together(self, pieces: list[Tensor]) -> Tensor:
        """(B, columns) in the order of the table."""
        return torch.cat(pieces, 1).index_select(1, self.inverse)
