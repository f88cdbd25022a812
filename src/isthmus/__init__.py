"""Isthmus: one autoencoder, every job, and an honest word on whether it beats the plain method."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {
    "AnomalyDetector": "isthmus.tasks.detect",
    "Archive": "isthmus.codecs.archive",
    "Autoencoder": "isthmus.tasks.autoencoder",
    "Denoiser": "isthmus.tasks.denoise",
    "ImageCodec": "isthmus.codecs.images",
    "Imputer": "isthmus.tasks.impute",
    "Restorer": "isthmus.tasks.restore",
    "compare": "isthmus.tasks.compare",
    "load": "isthmus.loading",
    "Phase": "isthmus.core.recipe",
    "Recipe": "isthmus.core.recipe",
    "Spec": "isthmus.core.specs",
    "spec": "isthmus.core.specs",
}

__all__ = [
    "AnomalyDetector",
    "Archive",
    "Autoencoder",
    "Denoiser",
    "ImageCodec",
    "Imputer",
    "Phase",
    "Recipe",
    "Restorer",
    "Spec",
    "compare",
    "load",
    "spec",
]

if TYPE_CHECKING:
    from isthmus.codecs.archive import Archive
    from isthmus.codecs.images import ImageCodec
    from isthmus.core.recipe import Phase, Recipe
    from isthmus.core.specs import Spec, spec
    from isthmus.loading import load
    from isthmus.tasks.autoencoder import Autoencoder
    from isthmus.tasks.compare import compare
    from isthmus.tasks.denoise import Denoiser
    from isthmus.tasks.detect import AnomalyDetector
    from isthmus.tasks.impute import Imputer
    from isthmus.tasks.restore import Restorer


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'isthmus' has no attribute '{name}'")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
