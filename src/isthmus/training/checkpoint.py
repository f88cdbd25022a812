"""The state of a run on disk: one file, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from isthmus.core.errors import TrainingError
from isthmus.core.recipe import Recipe
from isthmus.core.sparse import is_sparse
from isthmus.core.types import Batch
from isthmus.training.plan import Settings
from isthmus.training.views import View

SCHEMA = "isthmus-training-1"
UNREADABLE = (
    SafetensorError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
    MemoryError,
)
"""What reading a damaged file, or one made to do harm, can raise."""


def write_whole(path: Path, content: bytes, check: Callable[[Path], None] | None = None) -> None:
    """Write beside, look at what was written, then rename: the file is there whole or not at all.

    Parameters
    ----------
    path : Path
    content : bytes
    check : callable, optional
        Raises if the file beside is not right; then nothing is left of it.
    """
    beside = path.with_name(f".{secrets.token_hex(8)}.partial")  # the longest names have no room
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_checkpoint(path: Path, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Save the state of a run.

    Parameters
    ----------
    path : Path
    facts : dict
        What JSON can hold.
    tensors : dict of str to Tensor
    """
    held = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    text = json.dumps(facts)
    metadata = {"schema": SCHEMA, "facts": text, "digest": _digest(text, held)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, save(held, metadata))
    except OSError as error:
        raise TrainingError(
            f"the training state '{path}' cannot be written: {error.strerror or error}."
        ) from error


def _digest(facts: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].dtype}{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def read_checkpoint(
    path: Path, identity: str | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``write_checkpoint`` saved.

    Raises
    ------
    TrainingError
        If the file is not the state of a run, or of another run than this one.
    """
    if not path.is_file():
        raise TrainingError(f"'{path}' cannot be read as a training state: it is not a file.")
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("schema") != SCHEMA:
                raise TrainingError(
                    f"'{path}' is not a training state of this version. Delete it to start anew."
                )
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        if _digest(metadata["facts"], tensors) != metadata["digest"]:
            raise ValueError("its content is damaged")
        facts = json.loads(metadata["facts"])
        if identity is not None and "identity" not in facts:
            raise ValueError("it does not say to which run it belongs")
    except UNREADABLE as error:
        raise TrainingError(
            f"'{path}' cannot be read as a training state ({error}). Delete it to start anew."
        ) from error
    if identity is not None and facts.get("identity") != identity:
        raise TrainingError(
            f"'{path}' holds the training of other data or other settings. Pass the same ones to "
            "go on with it; or delete it to start anew (--no-resume on the command line)."
        )
    return facts, tensors


def rng_state(device: torch.device) -> dict[str, Tensor]:
    """The state of the random numbers, of the processor and of the GPU in use."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_rng_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Put back what ``rng_state`` gave."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)


def joined(groups: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """Groups of tensors as one, for ``parted`` to undo."""
    return {f"{g}|{name}": tensor for g, named in groups.items() for name, tensor in named.items()}


def parted(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The groups that ``joined`` was given; those that were empty are left out."""
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, name = key.split("|", 1)
        groups.setdefault(group, {})[name] = tensor
    return groups


def identity_of(
    models: Sequence[nn.Module],
    recipe: Recipe,
    settings: Settings,
    data: Batch,
    held: Batch | None,
    views: Sequence[View],
    seeds: Sequence[int],
) -> str:
    """A hash of all that decides a run: models, recipe, settings, rows and who sees which."""
    digest = hashlib.sha256()
    shapes = {name: list(value.shape) for name, value in models[0].state_dict().items()}
    asked = {**settings.fingerprint(), "recipe": recipe.to_json(), "shapes": shapes}
    asked["seeds"] = [*seeds]
    digest.update(json.dumps(asked, sort_keys=True, default=str).encode())
    for parts in (data, held, *views):
        for part in parts or ():
            if is_sparse(part):
                digest.update(part.tobytes())
            elif part is not None:
                digest.update(part.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
