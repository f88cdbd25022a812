"""The parameters of an estimator: checked, and turned into settings and a recipe."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

from isthmus.core.errors import SpecError
from isthmus.core.ranges import number, positive, positive_int, seconds, seed_of
from isthmus.core.recipe import Recipe
from isthmus.core.specs import Registry, Spec
from isthmus.parts import CODES, CORRUPTIONS, LIKELIHOODS, NETWORKS, PENALTIES, PRIORS
from isthmus.recipes import recipe as named_recipe
from isthmus.training.plan import Settings

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder

T = TypeVar("T")


def rate(name: str, value: Any, most: float = 0.5) -> float:
    """The value, if it is a share above 0 that is possible."""
    found = number(value, name)
    if not 0 < found <= most:
        raise SpecError(f"{name} must be above 0 and at most {most}, got {value!r}.")
    return found


def settings_of(estimator: Autoencoder) -> Settings:
    """The settings of training, checked.

    Raises
    ------
    SpecError
        If one is out of its range.
    """
    size = estimator.batch_size
    if isinstance(size, str):
        if size != "full":
            raise SpecError(f"batch_size must be a whole number or 'full', got {size!r}.")
    elif size is not None:
        size = positive_int(size, "batch_size")
    resume = estimator.resume
    if resume is not None and estimator.random_state is None:
        raise SpecError(
            "random_state=None draws a new seed each time, so there is nothing to go on with. "
            "Set random_state to a number to use resume."
        )
    if resume is not None and not isinstance(resume, (str, PathLike)):
        raise SpecError(f"resume must be the path of a file, got {resume!r}.")
    settings = Settings(
        epochs=_given(positive_int, estimator.epochs, "epochs"),
        max_time=seconds(estimator.max_time),
        batch_size=size,
        learning_rate=_given(positive, estimator.learning_rate, "learning_rate"),
        optimizer=estimator.optimizer,
        weight_decay=_given(
            partial(positive, or_zero=True), estimator.weight_decay, "weight_decay"
        ),
        gradient_clip=_given(positive, estimator.gradient_clip, "gradient_clip"),
        patience=_given(positive_int, estimator.patience, "patience"),
        seed=seed_of(estimator.random_state),
        device=estimator.device,
        precision=estimator.precision,
    )
    settings.check()
    return settings


def _given(check: Callable[[Any, str], T], value: Any, name: str) -> T | None:
    return None if value is None else check(value, name)


def validation_share(value: Any) -> float:
    """The share of the rows to hold out, 0 to 0.5."""
    known = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not known or not 0 <= float(value) <= 0.5:
        raise SpecError(f"validation must be a share from 0 to 0.5, got {value!r}.")
    return float(value)


def recipe_of(estimator: Autoencoder) -> Recipe:
    """The recipe with the user's parts in place of its own, every name and option checked."""

    def given(value: Any) -> Spec | None:
        return None if value is None else Spec.from_json(value)

    penalties = estimator.penalties
    if penalties is not None and not isinstance(penalties, (list, tuple)):
        raise SpecError(f"penalties must be a list of names or specs, got {penalties!r}.")
    chosen = named_recipe(estimator.recipe).with_parts(
        network=given(estimator.network),
        code=given(estimator.code),
        prior=given(estimator.prior),
        likelihood=given(estimator.likelihood),
        corruption=given(estimator.corruption),
        penalties=None if penalties is None else tuple(Spec.from_json(p) for p in penalties),
    )
    if not chosen.phases and (estimator.corruption is not None or penalties):
        raise SpecError(
            "this recipe is not trained, so it takes neither corruption nor penalties. "
            "Leave them out, or choose another recipe."
        )
    named: list[tuple[Registry[Any], Spec]] = [
        (NETWORKS, chosen.network),
        (CODES, chosen.code),
        (LIKELIHOODS, chosen.likelihood),
    ]
    for phase in chosen.phases:
        named += [(CORRUPTIONS, phase.corruption), *((PENALTIES, p) for p in phase.penalties)]
    for registry, spec in named:
        if spec.kind != "auto":
            registry.check(spec)
    prior = chosen.code.options.get("prior")
    if prior is None:
        return chosen
    prior = Spec.from_json(prior)
    if prior.kind == "auto":
        prior = _usual_prior(chosen.code).with_options(**prior.options)
    PRIORS.check(prior)
    return replace(chosen, code=chosen.code.with_options(prior=prior))


def _usual_prior(code: Spec) -> Spec:
    """The prior of a code that names none: its own, or that of the code within it."""
    options = CODES.options(code.kind)
    default = options["prior"].default if "prior" in options else None
    if default is None and "code" in options:
        return _usual_prior(Spec.from_json(code.options.get("code", options["code"].default)))
    return Spec.from_json(default or "normal")
