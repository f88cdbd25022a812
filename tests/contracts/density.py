"""Whether a density is one: its total, and whether draws follow it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]
"""(n,) values to (n,) nats, for one variable."""


def points_like(draws: Tensor, unit: bool = False, most: int = 1000) -> tuple[Tensor, Tensor]:
    """(n,) points and how much each stands for, where such draws live.

    Draws that are all whole numbers are taken for counts: every number below ``most`` counts as
    one. Else the points lie close together around zero and far apart in the tails.
    """
    if bool((draws == draws.round()).all()):
        counts = torch.arange(2 if unit else most, dtype=torch.float64)
        return counts, torch.ones_like(counts)
    if unit:
        inside = torch.linspace(0, 1, 20_001, dtype=torch.float64)
        return inside, torch.full_like(inside, inside[1].item())
    u = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    return u.sinh(), u.cosh() * (u[1] - u[0])


@torch.no_grad()
def total(log_density: LogDensity, draws: Tensor, unit: bool = False, most: int = 1000) -> float:
    """The sum or integral of a density over all that can be drawn: 1 if it is proper."""
    points, shares = points_like(draws, unit, most)
    return float((log_density(points).exp() * shares).sum())


@torch.no_grad()
def largest_gap(
    log_density: LogDensity, draws: Tensor, unit: bool = False, most: int = 1000
) -> float:
    """The largest distance between the distribution of draws and that of the density."""
    points, shares = points_like(draws, unit, most)
    promised = (log_density(points).exp() * shares).cumsum(0)
    ordered = draws.double().sort().values
    observed = torch.searchsorted(ordered, points, right=True) / len(ordered)
    return float((promised - observed).abs().max())


def largest_chance_gap(n: int) -> float:
    """What ``largest_gap`` of n draws exceeds once in a million times, if they are right."""
    return 2.7 / n**0.5
