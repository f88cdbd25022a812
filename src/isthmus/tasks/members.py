"""The autoencoders that look at rows for a detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.core.errors import AbilityError
from isthmus.core.specs import spec
from isthmus.ensemble import Ensemble
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.training.views import View

if TYPE_CHECKING:
    from isthmus.tasks.detect import AnomalyDetector

MEMBERS = 4
NOISE = 1.0
"""Standard deviations, that members learn to take away."""
EPOCHS_ON_IMAGES = 1
"""Of members that begin as components of the rows of images, and are no better for more."""


def passed(detector: AnomalyDetector) -> Autoencoder | None:
    """The model that the user passed, if any.

    Raises
    ------
    AbilityError, NotFittedError
        If it cannot look at tables.
    """
    found = detector.model
    if isinstance(found, (str, Path)):
        from isthmus.tasks.saving import load_autoencoder

        found = load_autoencoder(found, device=detector.device)
    if found is not None:
        found._check_fitted()
        if found.kind_.kind != "table":
            raise AbilityError(
                "the model is of images, whose anomalies are found without one. Leave model out, "
                "or pass a backbone as encoder."
            )
    return found


def members(
    detector: AnomalyDetector, X: Any, seed: int, views_of: Callable[[int], list[View]]
) -> Autoencoder:
    """Four that take noise away, each trained on the rows that are in its view."""
    on_images = detector.images_ is not None and detector.epochs is None
    return Autoencoder(
        recipe="denoising",
        corruption=spec("noise", scale=NOISE),
        validation=0.0,
        n_members=MEMBERS,
        epochs=EPOCHS_ON_IMAGES if on_images else detector.epochs,
        max_time=detector.max_time,
        random_state=seed,
        device=detector.device,
        resume=detector.resume,
        verbose=detector.verbose,
    )._fit(X, views_of=views_of)


def members_of(model: Autoencoder) -> int:
    """How many models answer together."""
    return len(model.model_.models) if isinstance(model.model_, Ensemble) else 1
