"""A recipe: data that names a composition, in one or more phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from isthmus.core.errors import SpecError, nearest
from isthmus.core.ranges import number, positive, positive_int
from isthmus.core.specs import Spec, spec

AUTO = spec("auto")
"""Stands for a part that the data choose."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training under one loss.

    loss = fit * nll + beta * rate + aux + the penalties, each with its own weight.

    Parameters
    ----------
    fit, beta : float
        Weights of distortion and rate.
    corruption : Spec
        What the encoder gets to see.
    penalties : tuple of Spec
    share : float
        Share of the training budget, relative to the other phases.
    samples : int
        Draws of the code for each row. With more than one, the loss is importance weighted
        (Burda, Grosse & Salakhutdinov 2015, https://arxiv.org/abs/1509.00519).
    trim : float
        Share of the rows of a batch, those with the largest losses, that is left out: 0 to 0.5
        (Rousseeuw 1984, https://doi.org/10.1080/01621459.1984.10477105).
    """

    fit: float = 1.0
    beta: float = 1.0
    corruption: Spec = spec("none")
    penalties: tuple[Spec, ...] = ()
    share: float = 1.0
    samples: int = 1
    trim: float = 0.0

    def __post_init__(self) -> None:
        for name in ("fit", "beta", "share"):
            positive(getattr(self, name), name, or_zero=name != "share")
        positive_int(self.samples, "samples")
        if not 0 <= number(self.trim, "trim") <= 0.5:
            raise SpecError(f"trim must be a share from 0 to 0.5, got {self.trim!r}.")
        if not all(isinstance(penalty, Spec) for penalty in self.penalties):
            raise SpecError(f"penalties must be a tuple of specs, got {self.penalties!r}.")
        kinds = [penalty.kind for penalty in self.penalties]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise SpecError(f"the penalty '{kind}' is there twice. Leave one out.")

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "fit": self.fit,
            "beta": self.beta,
            "corruption": self.corruption.to_json(),
            "penalties": [penalty.to_json() for penalty in self.penalties],
            "share": self.share,
            "samples": self.samples,
            "trim": self.trim,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Phase:
        """Read what ``to_json`` wrote."""
        _refuse_unknown(data, Phase)
        given = dict(data)
        if "corruption" in given:
            given["corruption"] = Spec.from_json(given["corruption"])
        if "penalties" in given:
            given["penalties"] = tuple(Spec.from_json(p) for p in given["penalties"])
        return Phase(**given)


@dataclass(frozen=True)
class Recipe:
    """A composition, as data: JSON in, JSON out.

    Parameters
    ----------
    network, code, likelihood : Spec
        ``spec("auto")`` where the kind of data is to choose.
    phases : tuple of Phase
        What is minimised, one after the other; none at all leaves the model as it starts.
    paper : str
        Where the composition comes from.
    """

    network: Spec = AUTO
    code: Spec = spec("point")
    likelihood: Spec = AUTO
    phases: tuple[Phase, ...] = (Phase(beta=0.0),)
    paper: str = ""

    def with_parts(
        self,
        *,
        network: Spec | None = None,
        code: Spec | None = None,
        prior: Spec | None = None,
        likelihood: Spec | None = None,
        corruption: Spec | None = None,
        penalties: tuple[Spec, ...] | None = None,
    ) -> Recipe:
        """The same recipe with the given parts in place of its own."""
        code = _over(self.code, code)
        if prior is not None:
            own = code.options.get("prior")
            prior = prior if own is None else _over(Spec.from_json(own), prior)
            code = code.with_options(prior=prior)
        phases = self.phases
        if corruption is not None:
            phases = tuple(
                replace(phase, corruption=_over(phase.corruption, corruption)) for phase in phases
            )
        if penalties is not None:
            phases = tuple(replace(phase, penalties=penalties) for phase in phases)
        return replace(
            self,
            network=_over(self.network, network),
            code=code,
            likelihood=_over(self.likelihood, likelihood),
            phases=phases,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "network": self.network.to_json(),
            "code": self.code.to_json(),
            "likelihood": self.likelihood.to_json(),
            "phases": [phase.to_json() for phase in self.phases],
            "paper": self.paper,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Recipe:
        """Read what ``to_json`` wrote.

        Raises
        ------
        SpecError
            If an entry is unknown or has not the form of a spec.
        """
        _refuse_unknown(data, Recipe)
        given = dict(data)
        for part in ("network", "code", "likelihood"):
            if part in given:
                given[part] = Spec.from_json(given[part])
        if "phases" in given:
            given["phases"] = tuple(Phase.from_json(phase) for phase in given["phases"])
        return Recipe(**given)


def _over(own: Spec, asked: Spec | None) -> Spec:
    """The part asked for; options without a kind go to the recipe's own part."""
    if asked is None:
        return own
    return own.with_options(**asked.options) if asked.kind == AUTO.kind else asked


def _refuse_unknown(data: Mapping[str, Any], cls: type[Any]) -> None:
    known = [f.name for f in fields(cls)]
    for name in data:
        if name not in known:
            raise SpecError(f"{cls.__name__} has no '{name}'. {nearest(name, known)}")
