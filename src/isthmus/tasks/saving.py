"""A fitted estimator to a folder and back."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import isthmus
from isthmus.baselines import PCA
from isthmus.core.errors import AbilityError, ModelFileError, SpecError
from isthmus.core.recipe import Recipe
from isthmus.core.specs import Spec
from isthmus.core.strict_json import strict
from isthmus.data import modality_from_state
from isthmus.ensemble import Ensemble, describe
from isthmus.model import Model
from isthmus.tasks import validation as checks
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.card import alarms_told, card
from isthmus.training.directory import (
    as_tensors,
    first_line,
    load_directory,
    save_directory,
    under,
    understood,
)
from isthmus.training.outcome import Found
from isthmus.training.plan import device_of

OWN_MODULES = ("encoder", "decoder")
NOT_SAVED = ("resume", "verbose")
SPARE_TENSORS, SPARE_VALUES = 64, 4096
FILLED = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)
"""Makers of tensors that are told a size."""


def save(
    estimator: Autoencoder,
    path: Path,
    detector: tuple[dict[str, Any], dict[str, torch.Tensor]] | None = None,
) -> str:
    """Write a fitted estimator, and a detector whose model it is; see ``Autoencoder.save``."""
    state, arrays = estimator.kind_.state()
    config = {
        "library": {"isthmus": isthmus.__version__, "torch": torch.__version__},
        "estimator": {"class": type(estimator).__name__, "parameters": _parameters(estimator)},
        "recipe": estimator.recipe_.to_json(),
        "model": describe(estimator.model_),
        "data": {"kind": estimator.kind_.kind, "state": state},
        "fitted": {
            "own_modules": estimator.encoder is not None,
            "state": list(estimator.model_.state_dict()),
            "n_features_in": estimator.n_features_in_,
            "feature_names_in": _names(estimator),
            "kept": estimator.kept_,
            "n_iter": estimator.n_iter_,
            "history": strict(estimator.history_),
            "events": estimator.events_,
            "validation": strict(estimator.validation_),
            "members": _members(estimator),
        },
    }
    tensors = {f"model.{name}": t for name, t in estimator.model_.state_dict().items()}
    tensors |= as_tensors(arrays, "data.")
    tensors |= {f"plain.{name}": t for name, t in estimator.plain_.tensors().items()}
    alarms = None
    if detector is not None:
        told: dict[str, Any] = strict(detector[0])
        config["detector"] = told
        tensors |= {f"detector.{name}": t for name, t in detector[1].items()}
        alarms = alarms_told(told, detector[1])
    return save_directory(path, config, tensors, lambda identity: card(estimator, identity, alarms))


def load(
    path: str | Path,
    *,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    device: str = "auto",
) -> Any:
    """An estimator from the folder that ``save`` wrote; see ``isthmus.load``."""
    place = device_of(device)
    passed: dict[str, Any] = {"encoder": encoder, "decoder": decoder}
    for name, module in passed.items():
        if not isinstance(module, nn.Module | None):
            raise SpecError(f"{name} must be a torch.nn.Module, got {type(module).__name__}.")
    config, tensors = load_directory(Path(path))
    if "codec" in config:
        raise AbilityError(
            f"'{path}' compresses images: use it with isthmus compress, decompress and evaluate. "
            "For all else fit another model with: isthmus fit DATA"
        )
    if "imputer" in config:
        if encoder is not None or decoder is not None:
            raise AbilityError(
                f"'{path}' is an imputer, with networks of this library. Leave encoder and decoder "
                "out."
            )
        from isthmus.tasks.imputer_state import from_saved as imputer_from_saved

        with understood(path):
            return imputer_from_saved(config, tensors, place)
    with understood(path):
        own, told = config["fitted"]["own_modules"], config.get("detector")
        backbone = told is not None and told.get("images", {}).get("encoder") is True
        needed = ["encoder"] * (own or backbone) + ["decoder"] * own
        check_modules(path, needed, passed)
        modules = passed if own else {}
        estimator = Autoencoder(**{**_revived(config["estimator"]["parameters"]), **modules})
        _restore(estimator, config, tensors, place)
        if told is not None:
            from isthmus.tasks.detector_state import from_saved

            return from_saved(estimator, told, under(tensors, "detector."), encoder)
    return estimator


def check_modules(
    path: str | Path, needed: list[str], given: Mapping[str, nn.Module | None]
) -> None:
    """Refuse to load without the modules of the user's own that a model needs, or with others."""
    passed = [name for name, module in given.items() if module is not None]
    if passed == needed:
        return
    if not needed:
        raise AbilityError(
            f"'{path}' was fitted with a network of this library, not with modules of its "
            "user's. Leave encoder and decoder out."
        )
    raise AbilityError(
        f"'{path}' was fitted with modules of its user's. Pass them: "
        f"load(path, {', '.join(f'{name}=...' for name in needed)})."
    )


def load_autoencoder(path: str | Path, **options: Any) -> Autoencoder:
    """As ``load``; of a detector, its model.

    Raises
    ------
    AbilityError
        Also where it is a detector of images, whose model is one of what they look like.
    """
    found = load(path, **options)
    if isinstance(found, Autoencoder):
        return found
    if hasattr(found, "stack_"):
        raise AbilityError(
            f"'{path}' fills missing cells and has no codes of rows. Fit a model that has with: "
            "isthmus fit DATA"
        )
    if found.images_ is not None:
        raise AbilityError(
            f"'{path}' finds anomalies among images and has no codes of them. Fit a model that "
            "has with: isthmus fit DATA"
        )
    model: Autoencoder = found.model_
    return model


def _restore(
    estimator: Autoencoder, config: Mapping[str, Any], tensors: dict[str, Any], device: torch.device
) -> None:
    fitted, shape = config["fitted"], tuple(config["model"]["shape"])
    recipe = Recipe.from_json(config["recipe"])
    arrays = {name: t.numpy() for name, t in under(tensors, "data.").items()}
    estimator.recipe_ = recipe
    estimator.kind_ = modality_from_state(config["data"]["state"], arrays)
    if estimator.kind_.shape != shape:
        raise ModelFileError("the rows of the model are not those of its data.")
    dim = int(config["model"]["latent_dim"])
    network = None
    estimator.latent_dim_ = dim
    gaps, members = bool(config["model"]["gaps"]), len(fitted.get("members") or [fitted])
    models = []
    with torch.random.fork_rng(devices=[]), NoLargerThan(tensors):
        for _ in range(members):
            if fitted["own_modules"]:
                network = checks.own_network(estimator.encoder, estimator.decoder, recipe, shape)
            models.append(Model(recipe, shape, dim, network=network, gaps=gaps))
    estimator.model_ = Ensemble(models) if members > 1 else models[0]
    try:
        saved = under(tensors, "model.")
        if fitted["own_modules"]:
            saved = _renamed(saved, fitted["state"], list(estimator.model_.state_dict()))
        estimator.model_.load_state_dict(saved)
    except RuntimeError as error:
        raise ModelFileError(f"the weights do not fit the model: {first_line(error)}") from error
    estimator.model_.to(device).eval()
    estimator.plain_ = PCA.from_tensors(under(tensors, "plain."))
    estimator.n_features_in_ = int(fitted["n_features_in"])
    if fitted["feature_names_in"] is not None:
        estimator.feature_names_in_ = np.array(fitted["feature_names_in"], dtype=object)
    estimator._conclude([found_from(entry) for entry in fitted.get("members") or [fitted]])


class NoLargerThan(TorchFunctionMode):
    """Makes no tensor that the saved ones cannot fill, whatever a config asks for.

    It looks at what is asked for, before there is memory behind it.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.most = max([SPARE_VALUES, *(t.numel() for t in tensors.values())])
        self.left = len(tensors) * 4 + SPARE_TENSORS

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        values = _asked(func, args, kwargs)
        self.left -= values is not None
        if self.left < 0 or (values or 0) > self.most:
            raise ModelFileError(
                "the weights do not fit the model: it asks for more than there are."
            )
        return func(*args, **kwargs)


def _asked(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float | None:
    """How many values a new tensor shall have; None where none is made."""
    if func in FILLED:
        size = kwargs.get("size", args[0] if args else ())
        return float(math.prod(size if isinstance(size, (tuple, list)) else args))
    if func is torch.arange:
        return max(abs(float(end)) for end in args)
    if func in (torch.repeat_interleave, torch.Tensor.repeat_interleave):
        return int(torch.as_tensor(args[1]).sum())
    return None


def _members(estimator: Autoencoder) -> list[dict[str, Any]]:
    """What training gave for each of several members; none where there is one."""
    found: list[dict[str, Any]] = strict([asdict(one) for one in estimator.found_])
    return found if len(found) > 1 else []


def found_from(entry: Mapping[str, Any]) -> Found:
    """What training gave, back from plain data."""
    return Found(
        history=[_numbers(epoch) for epoch in entry["history"]],
        kept=entry["kept"],
        events=[str(event) for event in entry["events"]],
        validation=_numbers(entry["validation"]),
    )


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Back from ``strict``: NaN for null."""
    return {name: math.nan if value is None else value for name, value in entry.items()}


def _renamed(
    tensors: dict[str, torch.Tensor], saved: list[str], present: list[str]
) -> dict[str, torch.Tensor]:
    """The tensors under today's names: Keras numbers its generators anew in every process."""
    if len(saved) != len(present) or sorted(saved) == sorted(present):
        return tensors
    return {now: tensors[before] for before, now in zip(saved, present, strict=True)}


def _parameters(estimator: Autoencoder) -> dict[str, Any]:
    found = estimator.get_params(deep=False)
    return {
        name: _plain(value)
        for name, value in found.items()
        if name not in (*OWN_MODULES, *NOT_SAVED)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return {"spec": value.to_json()}
    if isinstance(value, Recipe):
        return {"recipe": value.to_json()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.random.RandomState):
        return None
    return value


def _revived(parameters: Mapping[str, Any]) -> dict[str, Any]:
    known = inspect.signature(Autoencoder).parameters.keys() - {*OWN_MODULES, *NOT_SAVED}

    def revive(value: Any) -> Any:
        if isinstance(value, list):
            return [revive(v) for v in value]
        if isinstance(value, Mapping) and "spec" in value:
            return Spec.from_json(value["spec"])
        if isinstance(value, Mapping) and "recipe" in value:
            return Recipe.from_json(value["recipe"])
        return value

    return {name: revive(value) for name, value in parameters.items() if name in known}


def _names(estimator: Autoencoder) -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]
