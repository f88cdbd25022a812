"""For every kind of likelihood: options that it needs, and rows as it wants them."""

from __future__ import annotations

from itertools import cycle, islice

import torch
from torch import Tensor

from isthmus.core.specs import Spec, spec
from isthmus.parts import LIKELIHOODS

LEVELS = 3
"""Of every category here."""


def for_tables_only(kind: str) -> bool:
    """Whether it must be told what each column holds."""
    return "levels" in LIKELIHOODS.options(kind)


def suited(kind: str, columns: int) -> Spec:
    """The likelihood with the options that it cannot do without."""
    if not for_tables_only(kind):
        return spec(kind)
    if "columns" not in LIKELIHOODS.options(kind):
        return spec(kind, levels=(LEVELS,) * columns)
    kinds = tuple(islice(cycle(("number", "category", "count")), columns))
    levels = tuple(LEVELS if column == "category" else 0 for column in kinds)
    return spec(kind, columns=kinds, levels=levels, counts="negative-binomial")


def domains(likelihood: Spec, columns: int) -> list[str]:
    """What lies in each column: "real", "unit", "count" or "category"."""
    if "columns" in likelihood.options:
        counts = domain_of(Spec.from_json(likelihood.options.get("counts", "gaussian")).kind)
        names = {"number": "real", "category": "category", "count": counts}
        return [names[column] for column in likelihood.options["columns"]]
    if "levels" in likelihood.options:
        return ["category"] * columns
    return [domain_of(likelihood.kind)] * columns


def domain_of(kind: str) -> str:
    """Where the x of a likelihood of numbers lies."""
    support = LIKELIHOODS[kind].support  # type: ignore[attr-defined]
    assert isinstance(support, str)
    return support


def values(domain: str, *size: int) -> Tensor:
    """Some of them, drawn, in double precision."""
    if domain == "category":
        return torch.randint(LEVELS, size).double()
    if domain == "count":
        return torch.poisson(3 * torch.rand(size, dtype=torch.float64).exp())
    if domain == "unit":
        return torch.rand(size, dtype=torch.float64)
    return torch.randn(size, dtype=torch.float64)


def rows(likelihood: Spec, n: int, shape: tuple[int, ...]) -> Tensor:
    """(n, *shape) drawn, in double precision."""
    if len(shape) > 1:
        return values(domain_of(likelihood.kind), n, *shape)
    return torch.stack([values(d, n) for d in domains(likelihood, shape[0])], 1)
