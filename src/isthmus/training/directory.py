"""A saved model: a folder in the Hugging Face layout, without pickle, whole or not at all.

``config.json`` says what the model is, ``model.safetensors`` holds its numbers, ``README.md`` is
its card. The identity is a SHA-256 of the first two; docs/formats/model-directory.md has the
details.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from isthmus.core.errors import (
    ModelFileError,
    NewerError,
    ShapeError,
    TamperedError,
    TruncatedError,
)

FORMAT, SCHEMA = "isthmus-model", 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
LARGEST_CONFIG = 64 * 2**20
UNUSABLE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)
"""What a config that is not one of ours can lead to."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From each older schema to the next one; a model of any past version goes through them all."""


def save_directory(
    path: Path, config: dict[str, Any], tensors: dict[str, Tensor], card: Callable[[str], str]
) -> str:
    """Write a model beside, then rename it into place.

    Parameters
    ----------
    path : Path
        A folder; a saved model that is there already is replaced, anything else is kept.
    config : dict
        What JSON can hold.
    tensors : dict of str to Tensor
    card : callable
        Writes the card, given the identity.

    Returns
    -------
    str
        The identity: a SHA-256, in hexadecimal.

    Raises
    ------
    ModelFileError
        If something else is at ``path``.
    """
    path = _usable(path).absolute()
    _recover(path)
    if path.exists() and not _is_model(path) and not _is_empty(path):
        raise ModelFileError(
            f"'{path}' exists and is not a saved model; choose another name, or remove it."
        )
    weights = save_tensors(
        {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    )
    config = {
        **config,
        "format": FORMAT,
        "schema": SCHEMA,
        "weights_bytes": len(weights),
    }
    config = json.loads(json.dumps(config, allow_nan=False))
    config["identity"] = identity(config, weights)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        (beside / WEIGHTS).write_bytes(weights)
        (beside / CARD).write_text(card(config["identity"]), encoding="utf-8")
        (beside / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        _settle(beside)
        _replace(beside, path)
    except OSError as error:
        raise ModelFileError(f"'{path}' cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return str(config["identity"])


def _usable(path: Path) -> Path:
    """The path, if the system can look there at all."""
    try:
        path.exists()
    except OSError as error:
        raise ModelFileError(f"cannot look at '{path}': {error.strerror}.") from error
    if "\0" in str(path):
        raise ModelFileError(f"'{path}' is no name that a folder can have.")
    return path


def _settle(folder: Path) -> None:
    """Wait until all of a folder is on the disk, so that a rename never outruns its content."""
    for file in folder.iterdir():
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())


def _replace(new: Path, path: Path) -> None:
    """Put the new folder in the place of the old one, with what its user kept in that one."""
    if not path.exists() or _is_empty(path):
        new.replace(path)
        return
    old = _set_aside(path)
    path.rename(old)
    new.rename(path)
    for entry in old.iterdir():
        if entry.name not in (CONFIG, WEIGHTS, CARD):
            entry.rename(path / entry.name)
    shutil.rmtree(old, ignore_errors=True)


def _set_aside(path: Path) -> Path:
    path = path.absolute()
    return path.with_name(f".{path.name}.old")


def _recover(path: Path) -> None:
    """Finish a replacement that was cut off between its renames."""
    old = _set_aside(path)
    if not old.is_dir():
        return
    if not path.exists():
        old.rename(path)
    elif _is_model(path):
        for entry in old.iterdir():
            if entry.name not in (CONFIG, WEIGHTS, CARD) and not (path / entry.name).exists():
                entry.rename(path / entry.name)
        shutil.rmtree(old, ignore_errors=True)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _is_model(path: Path) -> bool:
    try:
        return _read_config(path).get("format") == FORMAT
    except (ModelFileError, OSError):
        return False


def identity(config: dict[str, Any], weights: bytes) -> str:
    """A SHA-256 over the weights and over the config without its own ``identity``."""
    plain = {name: value for name, value in config.items() if name != "identity"}
    digest = hashlib.sha256(weights)
    digest.update(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())
    return digest.hexdigest()


def load_directory(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a saved model, after checking that it is whole and what its identity says.

    Returns
    -------
    config : dict
    tensors : dict of str to Tensor

    Raises
    ------
    NewerError, TruncatedError, TamperedError, ModelFileError
    """
    path, config = _found(path)
    schema = config.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or not 0 <= schema < 10**6:
        raise TamperedError(f"'{path / CONFIG}' has no valid schema version.")
    if schema > SCHEMA:
        raise NewerError(
            f"'{path}' was saved with format version {schema}, this library reads up to {SCHEMA}. "
            "Update it: pip install -U isthmus."
        )
    try:
        weights = _read_weights(path, config)
    except OSError as error:
        raise ModelFileError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise ModelFileError(
            f"'{path / WEIGHTS}' is larger than the memory that is left."
        ) from error
    if identity(config, weights) != config.get("identity"):
        raise TamperedError(
            f"the content of '{path}' is not what its identity says: it was changed or damaged "
            "after it was saved. Restore it from where it came."
        )
    try:
        tensors = load_tensors(weights)
    except SafetensorError as error:
        raise TamperedError(f"'{path / WEIGHTS}' is not a safetensors file: {error}.") from error
    return upgraded(config), tensors


def read_config(path: Path) -> dict[str, Any]:
    """What the config of a saved model says, not yet held against its identity.

    Raises
    ------
    ModelFileError
        If there is no saved model.
    """
    return _found(path)[1]


def _found(path: Path) -> tuple[Path, dict[str, Any]]:
    """Where a saved model is, and its config."""
    path = _usable(path)
    if not path.exists() and _set_aside(path).is_dir():
        path = _set_aside(path)
    if not path.exists():
        raise ModelFileError(f"there is no model at '{path}'.")
    if not path.is_dir():
        raise ModelFileError(f"'{path}' is a file; a saved model is a folder with {CONFIG}.")
    config = _read_config(path)
    if config.get("format") != FORMAT:
        raise ModelFileError(f"'{path}' is not a model saved by this library.")
    return path, config


def _read_config(path: Path) -> dict[str, Any]:
    file = path / CONFIG
    if not file.is_file():
        raise TruncatedError(f"'{path}' has no {CONFIG}: it is not a whole saved model.")
    if file.stat().st_size > LARGEST_CONFIG:
        raise TamperedError(f"'{file}' is larger than any config can be.")
    try:
        config = json.loads(
            file.read_text(encoding="utf-8"), object_pairs_hook=_once, parse_constant=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise TruncatedError(f"'{file}' is not whole JSON ({error}).") from error
    except OSError as error:
        raise ModelFileError(f"'{file}' cannot be read: {error.strerror or error}.") from error
    if not isinstance(config, dict):
        raise TamperedError(f"'{file}' does not hold a JSON object.")
    return config


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, each of whose names stands there once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _read_weights(path: Path, config: dict[str, Any]) -> bytes:
    file = path / WEIGHTS
    expected = config.get("weights_bytes")
    if not isinstance(expected, int):
        raise TamperedError(f"'{path / CONFIG}' does not say how large {WEIGHTS} is.")
    if not file.is_file():
        raise TruncatedError(f"'{path}' has no {WEIGHTS}: it is not a whole saved model.")
    size = file.stat().st_size
    if size < expected:
        raise TruncatedError(f"'{file}' has {size} of {expected} bytes: it was cut short.")
    if size > expected:
        raise TamperedError(f"'{file}' has {size} bytes, expected {expected}.")
    return file.read_bytes()


@contextmanager
def understood(path: str | Path) -> Iterator[None]:
    """Where what a config says is put to use: whatever fails there is the config's fault.

    Raises
    ------
    TamperedError
    """
    try:
        yield
    except ShapeError:  # of modules that the user passed
        raise
    except UNUSABLE as error:
        raise TamperedError(
            f"'{path}' does not describe a model that this version can build: {first_line(error)}"
        ) from error


def first_line(error: Exception) -> str:
    """Of what a library has to say."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """The config in today's schema."""
    while config["schema"] < SCHEMA:
        step = UPGRADES.get(config["schema"])
        if step is None:
            raise ModelFileError(f"models of format version {config['schema']} cannot be read.")
        config = {**step(config), "schema": config["schema"] + 1}
    return config


def as_tensors(arrays: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    """NumPy arrays as tensors under a prefix."""
    return {f"{prefix}{name}": torch.as_tensor(array) for name, array in arrays.items()}


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
