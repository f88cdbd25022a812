"""A fitted detector as plain data and tensors, beside those of its model, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.baselines.neighbours import CLOSE
from isthmus.core.errors import ModelFileError
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.detect import AnomalyDetector, members_of
from isthmus.tasks.references import Looked, References
from isthmus.tasks.strangeness import Strangeness
from isthmus.tasks.trimming import FEWEST_KEPT, FEWEST_ROWS, SEVERAL

PARAMETERS = ("false_alarms", "contamination", "epochs", "max_time", "random_state", "device")
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
    }
    arrays = {
        "rows": references.looked.rows,
        "rebuilt": references.looked.rebuilt,
        "folds": references.folds,
        "kept": detector.kept_,
        "known": detector.known_,
    }
    return config, {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def from_saved(
    model: Autoencoder, config: Mapping[str, Any], tensors: Mapping[str, Tensor]
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
    check(model, arrays, config["weights"])
    looked = Looked(arrays["rows"], arrays["rebuilt"])
    references = References(model.model_, looked, arrays["folds"])
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
