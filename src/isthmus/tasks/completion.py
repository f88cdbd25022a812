"""Members that complete rows: a Gaussian says what is expected, and a network mends that."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.baselines.factors import FactorGaussian
from isthmus.baselines.gaussian import ConditionalGaussian
from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.parts.networks.correction import Correction
from isthmus.tasks.places import Places

WIDTHS = (128, 128)
LEAST_HIDDEN, MOST_HIDDEN = 0.05, 0.7
"""The share of the cells of a row that is hidden besides those that are missing."""
SHOWN_ROWS, MOST_VERSIONS, LEAST_VERSIONS = 24_000, 16, 1
"""How many rows a network is shown, each several times with other cells hidden."""
MANY_PLACES = 48
"""From which rows take long to complete, so that half as many are shown."""
TRIED_ROWS = 768
"""By which it is decided how far a Gaussian is shrunk."""
UNASKED = 1e-6
"""The weight of cells that were not hidden."""
FINEST = 0.02
"""Of the variance of a number: what is expected better than this weighs no more."""
OF_CATEGORIES, OF_RANKS = 2.0, 0.3
"""The weight of a category, and of the rank of a number beside its value."""

RECIPE = Recipe(
    likelihood=spec("gaussian", scale=1.0),
    phases=(Phase(beta=0.0),),
    paper="https://doi.org/10.1145/1390156.1390294",
)
"""Rows completed by the Gaussian are the damaged ones, whole rows the clean ones."""


AnyGaussian = ConditionalGaussian | FactorGaussian
WIDE = 160
"""Places from which rows are completed by factors."""


class Hidden(NamedTuple):
    """Rows some of whose cells were hidden, on purpose or before."""

    x: Tensor
    """(n, p) places, of which only those that are there count."""
    there: Tensor
    """(n, columns) which cells are seen."""
    asked: Tensor
    """(n, columns) which cells were hidden on purpose, so that it is known what they hold."""
    row: Tensor
    """(n,) the numbers of the rows."""

    @classmethod
    def of(
        cls, x: Tensor, there: Tensor, rows: NDArray[np.int64], versions: int, seed: tuple[int, ...]
    ) -> Hidden:
        """Rows with those numbers, each so many times with other cells hidden."""
        draws = np.random.default_rng(seed)
        row = torch.from_numpy(np.tile(rows, versions))
        known = there[row]
        share = draws.uniform(LEAST_HIDDEN, MOST_HIDDEN, (len(row), 1))
        hidden = torch.from_numpy(draws.random(known.shape) < share)
        return cls(x[row], known & ~hidden, known & hidden, row)


class Expected(NamedTuple):
    """What a member says of rows, (n, p) each."""

    gaussian: Tensor
    network: Tensor
    variance: Tensor
    """How unsure the Gaussian is."""


class Member:
    """Completes rows by what it learned of some.

    Parameters
    ----------
    places : Places
    gaussian : AnyGaussian
    model : Model
        Takes rows that the Gaussian completed, and is told which cells it completed.
    """

    def __init__(self, places: Places, gaussian: AnyGaussian, model: Model) -> None:
        self.places, self.gaussian, self.model = places, gaussian, model

    def expect(self, x: Tensor, there: Tensor) -> Expected:
        """What is expected of rows, (n, p), given which cells, (n, columns), are there."""
        seen = self.places.spread(there)
        found, variance = self.gaussian.expect(x, seen)
        device = next(self.model.parameters()).device
        given = (~there).float()
        z = self.model.encode(found.to(device))
        network = self.model.decode(z, given.to(device)).cpu()
        return Expected(found, torch.where(seen, x, network), variance)


def fresh(places: Places) -> Model:
    """A network that has learned nothing; once started it gives back what the Gaussian says."""
    network = Correction((places.n,), places.n_columns, WIDTHS)
    return Model(RECIPE, (places.n,), places.n, n_given=places.n_columns, network=network)


def versions_for(n: int, places: Places) -> int:
    """How often each of so many rows is shown."""
    wanted = SHOWN_ROWS // (2 if places.n > MANY_PLACES else 1)
    return max(LEAST_VERSIONS, min(MOST_VERSIONS, math.ceil(wanted / max(n, 1))))


def fitted_gaussian(
    places: Places, x: Tensor, there: Tensor, rows: NDArray[np.int64], held: Hidden
) -> AnyGaussian:
    """The Gaussian of some rows, shrunk as suits others."""
    some = torch.from_numpy(rows)
    rows_of = x[some]
    few = torch.arange(0, len(held.x), -(-len(held.x) // TRIED_ROWS))
    x, asked, seen = (
        part[few] for part in (held.x, places.spread(held.asked), places.spread(held.there))
    )

    def loss(found: AnyGaussian) -> float:
        missed = found.complete(x, seen) - x
        return float(torch.where(asked, missed, 0.0).square().sum())

    seen_there = places.spread(there[some])
    if places.n >= WIDE:
        return FactorGaussian.fit(rows_of, seen_there).shrunk_to(loss)
    return ConditionalGaussian.fit(rows_of, seen_there).shrunk_to(loss)


def weights_of(places: Places, gaussian: AnyGaussian, shown: Hidden) -> Tensor:
    """(p,) how much the error of each place weighs: what the Gaussian expects well, more."""
    asked = places.spread(shown.asked)
    missed = gaussian.complete(shown.x, places.spread(shown.there)) - shown.x
    count = asked.sum(0).clamp(min=1)
    variance = torch.where(asked, missed, 0.0).square().sum(0) / count
    found = 1 / variance.clamp(min=FINEST).sqrt()
    number = torch.from_numpy(places.is_number)[places.owner]
    found = torch.where(number, found, OF_CATEGORIES)
    found[places.n_values :] *= OF_RANKS
    return found


def batch_of(places: Places, gaussian: AnyGaussian, weights: Tensor, shown: Hidden) -> Batch:
    """Completed rows, and the whole ones to be learned."""
    seen, asked = places.spread(shown.there), places.spread(shown.asked)
    filled = gaussian.complete(shown.x, seen)
    weight = torch.where(asked, weights, UNASKED)
    return Batch(
        filled,
        weight / weight.mean().clamp(min=1e-12),
        given=(~shown.there).float(),
        clean=torch.where(asked, shown.x, filled),
    )
