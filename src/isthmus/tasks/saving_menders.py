"""A fitted mender of images to a folder and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import isthmus
from isthmus.core.errors import ModelFileError
from isthmus.core.specs import Spec
from isthmus.core.strict_json import strict
from isthmus.core.wording import counted
from isthmus.parts.damages import DAMAGES
from isthmus.parts.unet import UNet
from isthmus.tasks.denoise import Denoiser
from isthmus.tasks.mending import DECIDED, Mender, told_of
from isthmus.tasks.restore import Restorer
from isthmus.training.directory import save_directory
from isthmus.training.noise import NoiseLevel
from isthmus.training.plan import device_of

CLASSES: dict[str, type[Mender]] = {"Denoiser": Denoiser, "Restorer": Restorer}
NOT_SAVED = ("damage", "network", "resume", "verbose")
MOST_WIDTH, MOST_SIZES, MOST_DEPTH = 1024, 6, 16
USE = {
    "Denoiser": "isthmus denoise path/to/this/folder noisy/ -o clean/",
    "Restorer": "isthmus restore path/to/this/folder images/ -o restored/",
}


def save(mender: Mender, path: Path) -> str:
    """Write a fitted mender; see ``Mender.save``."""
    parameters = {n: v for n, v in mender.get_params().items() if n not in NOT_SAVED}
    seed = parameters["random_state"]
    noise = getattr(mender, "noise_", None)
    config = {
        "library": {"isthmus": isthmus.__version__, "torch": torch.__version__},
        "mender": {
            "class": type(mender).__name__,
            "parameters": {
                **parameters,
                "random_state": seed if isinstance(seed, int | None) else None,
            },
            "architecture": mender.architecture_,
            "damage": None if mender.damage_ is None else mender.damage_.to_json(),
            "fitted": {
                "channels": mender.channels_,
                "range": list(mender.range_),
                "n_images": mender.n_images_,
                "kept": mender.kept_,
                "noise": None if noise is None else asdict(noise),
                "validation": strict(mender.validation_),
                "history": strict(mender.history_),
            },
        },
    }
    tensors = dict(mender.model_.state_dict())
    return save_directory(path, config, tensors, lambda identity: _card(mender, identity))


def restored(config: Mapping[str, Any], tensors: Mapping[str, Tensor], device: str) -> Mender:
    """A fitted mender from what a model directory holds."""
    told = config["mender"]
    if told["class"] not in CLASSES:
        raise ModelFileError(f"there is no class '{told['class']}' that mends images.")
    kind = CLASSES[told["class"]]
    damage = None if told["damage"] is None else Spec.from_json(told["damage"])
    known = kind().get_params().keys() - {*NOT_SAVED}
    parameters = {n: v for n, v in told["parameters"].items() if n in known}
    mender = kind(damage=damage, **parameters)
    fitted = told["fitted"]
    mender.damage_ = damage
    mender.channels_ = int(fitted["channels"])
    low, high = (float(end) for end in fitted["range"])
    if not low < high or mender.channels_ not in (1, 3):
        raise ModelFileError("the images of the model are none that there can be.")
    mender.range_ = (low, high)
    mender.n_images_, mender.kept_ = int(fitted["n_images"]), str(fitted["kept"])
    mender.validation_, mender.history_ = dict(fitted["validation"]), list(fitted["history"])
    if isinstance(mender, Denoiser):
        mender.noise_ = None if fitted["noise"] is None else NoiseLevel(**fitted["noise"])
    mender.architecture_ = _checked(told["architecture"], mender, damage)
    options = {n: v for n, v in mender.architecture_.items() if n not in DECIDED}
    mender.network = Spec("unet", options) if options else None
    network = UNet(**mender.architecture_)
    network.load_state_dict(dict(tensors))
    mender.model_ = network.to(device_of(device)).eval()
    return mender


def _checked(told: Mapping[str, Any], mender: Mender, damage: Spec | None) -> dict[str, Any]:
    """An architecture that there can be, and that fits the damage."""
    built = None if damage is None else DAMAGES.build(damage)
    factor = 1 if built is None else built.factor
    hides = built is not None and built.hides
    widths = tuple(int(width) for width in told.get("widths", (1,)))
    depth = int(told.get("depth", 1))
    possible = (
        0 < len(widths) <= MOST_SIZES
        and all(0 < width <= MOST_WIDTH for width in widths)
        and 0 < depth <= MOST_DEPTH
        and told.get("reach", 1) in range(1, MOST_DEPTH)
        and told["channels"] == mender.channels_
        and told["shown"] == mender.channels_ + hides
        and (told["fold"], told["unfold"]) == ((2, 2) if factor == 1 else (1, factor))
    )
    if not possible:
        raise ModelFileError("the network of the model is none that there can be.")
    return {**told, **({"widths": widths} if "widths" in told else {})}


def _card(mender: Mender, identity: str) -> str:
    weights = sum(p.numel() for p in mender.model_.parameters())
    name = type(mender).__name__
    damage = "noise that was estimated" if mender.damage_ is None else mender.damage_.kind
    return f"""---
library_name: isthmus
tags: [image-restoration]
---
# {name}

Undoes: {damage}. For {told_of(mender.channels_)} images; fitted on
{counted(mender.n_images_, "image")}. {weights:,} parameters. {_worth(mender)}

## Use

```python
from isthmus import load

model = load("path/to/this/folder")
whole = model.transform(images)
```

```bash
{USE[name]}
```

## Identity

`{identity}` (SHA-256), isthmus {isthmus.__version__}.
"""


def _worth(mender: Mender) -> str:
    if not mender.validation_:
        return "No images were held out."
    before, after = mender.validation_["before"], mender.validation_["after"]
    if mender.kept_ == "start":
        return f"Training made it no better than the linear filter it began as, {before:.2f} dB."
    return f"On images held out, {after:.2f} dB; {before:.2f} as the linear filter it began as."
