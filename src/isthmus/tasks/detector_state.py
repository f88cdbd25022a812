"""A fitted detector as plain data and tensors, beside those of its model, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.baselines.neighbours import CLOSE
from isthmus.core.errors import ModelFileError
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.detect import AnomalyDetector
from isthmus.tasks.image_rows import from_state as looks_of
from isthmus.tasks.members import members_of
from isthmus.tasks.references import Looked, References
from isthmus.tasks.strangeness import Strangeness
from isthmus.tasks.trimming import FEWEST_KEPT, FEWEST_ROWS, SEVERAL

PARAMETERS = ("false_alarms", "contamination", "epochs", "max_time", "random_state", "device")
IMAGES = "images."
"""Begins the names of arrays that say how images become rows."""
SCALES = {"standard", "range", "spread", "normal"}


def to_saved(detector: AnomalyDetector) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What JSON can hold, and tensors."""
    references, strangeness = detector.references_, detector.strangeness_
    seed = detector.random_state
    config = {
        "parameters": {name: getattr(detector, name) for name in PARAMETERS}
        | {"random_state": int(seed) if isinstance(seed, (int, np.integer)) else None},
        "weights": strangeness.weights,
        "close": list(strangeness.close),
        "offset": detector.offset_,
        "set_apart": detector.set_apart_,
    }
    arrays = {
        "rows": references.looked.rows,
        "rebuilt": references.looked.rebuilt,
        "folds": references.folds,
        "kept": detector.kept_,
        "known": detector.known_,
    }
    if references.groups is not None:
        arrays["groups"] = references.groups
    if detector.images_ is not None:
        config["images"], looks = detector.images_.state()
        arrays |= {f"{IMAGES}{name}": array for name, array in looks.items()}
    return config, {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def from_saved(
    model: Autoencoder,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    encoder: nn.Module | None = None,
) -> AnomalyDetector:
    """The detector whose model this is.

    Raises
    ------
    ModelFileError
        If the parts do not fit each other.
    """
    parameters = {name: config["parameters"][name] for name in PARAMETERS}
    detector = AnomalyDetector(**parameters)
    detector._check()
    if model.kind_.kind != "table":
        raise ModelFileError("a detector is of a table, its model is not.")
    detector.model_ = model
    detector._take_names()
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    detector.images_ = None
    if "images" in config:
        looks = {name: array for name, array in arrays.items() if name.startswith(IMAGES)}
        looks = {name.removeprefix(IMAGES): array for name, array in looks.items()}
        detector.images_ = looks_of(config["images"], looks, encoder)
        detector.encoder = detector.images_.encoder
        if detector.images_.width != detector.n_features_in_:
            raise ModelFileError("the model of a detector of images is not one of their rows.")
    check(model, arrays, config["weights"])
    looked = Looked(arrays["rows"], arrays["rebuilt"])
    references = References(model.model_, looked, arrays["folds"], arrays.get("groups"))
    kept, known = arrays["kept"], arrays["known"]
    detector.strangeness_ = Strangeness(
        looked.rows[kept].astype(np.float64),
        detector._places(),
        looked.rebuilt[:, kept].astype(np.float64),
        references.folds[kept],
        close=closeness(config["close"]),
        weights={name: float(weight) for name, weight in config["weights"].items()},
        of_references=known[kept],
    )
    detector._know(references, kept, known)
    detector.offset_ = float(config["offset"])
    apart = config.get("set_apart")
    detector.set_apart_ = None if apart is None else str(apart)
    return detector


def closeness(found: Any) -> tuple[int, ...]:
    """Of how many neighbours distances are means."""
    if found not in (list(CLOSE), list(SEVERAL)):
        raise ModelFileError("the detector asks for neighbours that none of ours has.")
    return tuple(found)


def check(model: Autoencoder, arrays: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Refuse parts that do not fit the model or each other."""
    d = math.prod(model.model_.likelihood.inputs(model.model_.shape))
    r, k = len(arrays["rows"]), len(arrays["rebuilt"])
    shapes = {
        "rows": (np.float32, (r, d)),
        "rebuilt": (np.float32, (k, r, d)),
        "folds": (np.int64, (r,)),
        "kept": (np.bool_, (r,)),
        "known": (np.float64, (r,)),
    }
    if "groups" in arrays:
        shapes["groups"] = (np.int64, (r,))
    for name, (kind, shape) in shapes.items():
        found = arrays[name]
        if found.dtype != kind or found.shape != shape or not np.isfinite(found).all():
            raise ModelFileError(f"the {name} of the detector do not fit its model.")
    folds = arrays["folds"]
    few = r < FEWEST_ROWS or arrays["kept"].sum() < FEWEST_KEPT
    if k != max(2, members_of(model)) or few or not ((folds >= 0) & (folds < k)).all():
        raise ModelFileError("the members of the detector do not fit its references.")
    if (
        set(weights) != SCALES
        or not np.isclose(sum(weights.values()), 1)
        or min(weights.values()) < 0
    ):
        raise ModelFileError("the weights of the detector are not those of its scales.")
