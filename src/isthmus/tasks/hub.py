"""A saved model to a Hugging Face hub and back: the folder that ``save`` writes, no more."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

import isthmus
from isthmus.core.errors import AbilityError, IsthmusError, ModelFileError
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.saving import load_autoencoder, save
from isthmus.training.directory import CARD, CONFIG, LARGEST_CONFIG, WEIGHTS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LARGEST = {CONFIG: LARGEST_CONFIG, WEIGHTS: 16 * 2**30}
"""Bytes of the files that are fetched. The card is for people: nothing here reads it."""


def push(
    estimator: Autoencoder,
    repo_id: str,
    *,
    token: str | bool | None = None,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str = "Save the model",
) -> str:
    """Write a fitted estimator to a hub; see ``Autoencoder.push_to_hub``."""
    api = _api(token)
    from huggingface_hub import CommitOperationAdd

    with tempfile.TemporaryDirectory() as place, _in_words(api, repo_id, revision):
        folder = Path(place) / "model"
        save(estimator, folder)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if private and not api.model_info(repo_id).private:
            raise ModelFileError(
                f"'{repo_id}' is on the hub already and everyone can read it. Make it private "
                f"there first, at {api.endpoint}/{repo_id}/settings, or choose another name."
            )
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        # One commit for all files: whoever reads meanwhile gets the old model or the new one.
        done = api.create_commit(
            repo_id,
            [CommitOperationAdd(name, folder / name) for name in (CONFIG, WEIGHTS, CARD)],
            commit_message=commit_message,
            revision=revision,
        )
        return str(done.commit_url)


def fetch(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    device: str = "auto",
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Autoencoder:
    """Read a model from a folder or a hub; see ``Autoencoder.from_pretrained``."""
    name = os.fspath(name_or_path)
    if isinstance(name_or_path, Path) or Path(name).exists():
        return load_autoencoder(name, device=device, encoder=encoder, decoder=decoder)
    if name.count("/") != 1:
        raise ModelFileError(
            f"there is no folder '{name}', and it is no name on the hub either: "
            "those are written 'user/name'."
        )
    api = _api(token)
    with _in_words(api, name, revision):
        folder = _downloaded(api, name, revision, cache_dir)
    try:
        return load_autoencoder(folder, device=device, encoder=encoder, decoder=decoder)
    except ModelFileError as error:
        raise type(error)(f"'{name}' on the hub: {error}") from None


def _downloaded(api: HfApi, name: str, revision: str | None, cache_dir: str | Path | None) -> Path:
    """The folder in the cache that holds one commit of the model."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        _check_size(api, name, CONFIG, revision)
        config = Path(api.hf_hub_download(name, CONFIG, revision=revision, cache_dir=cache_dir))
        # The weights of the same commit, whatever is pushed meanwhile.
        commit = config.parent.name
        _check_size(api, name, WEIGHTS, commit)
        api.hf_hub_download(name, WEIGHTS, revision=commit, cache_dir=cache_dir)
    except Exception as error:
        earlier = _cached(name, revision, cache_dir) if _out_of_reach(error) else None
        if earlier is None:
            raise
        if not isinstance(error, OfflineModeIsEnabled):
            warnings.warn(
                f"the hub at {api.endpoint} cannot be reached: this is '{name}' as it was when "
                "it was last fetched.",
                stacklevel=4,
            )
        return earlier
    return config.parent


def _cached(name: str, revision: str | None, cache_dir: str | Path | None) -> Path | None:
    """The folder of the commit that was fetched last, if it is whole."""
    from huggingface_hub import try_to_load_from_cache

    found = [
        try_to_load_from_cache(name, file, cache_dir=cache_dir, revision=revision)
        for file in LARGEST
    ]
    paths = [Path(path) for path in found if isinstance(path, str)]
    return paths[0].parent if len(paths) == len(LARGEST) else None


def _out_of_reach(error: Exception) -> bool:
    """Whether the hub did not answer, or is in trouble itself."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    status = _status(error)
    if status is not None:
        return status >= 500
    return isinstance(error, (_network_error(), ConnectionError, LocalEntryNotFoundError))


def _network_error() -> type[Exception]:
    """The root of what the client's HTTP library raises: every major version has another one."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    root: type[Exception] = HTTPError
    return root


def _status(error: Exception) -> int | None:
    status: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return status


def _check_size(api: HfApi, name: str, file: str, revision: str | None) -> None:
    """Refuse a file before it is downloaded if it is larger than a model of ours can be."""
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(name, file, revision=revision, endpoint=api.endpoint)
    size = api.get_hf_file_metadata(url=url).size
    if size is None or size > LARGEST[file]:
        found = "of unknown size" if size is None else f"{size:,} bytes"
        raise ModelFileError(
            f"{file} of '{name}' is {found}, at most {LARGEST[file]:,} are fetched."
        )


def _api(token: str | bool | None) -> HfApi:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise AbilityError(
            "models are pushed and fetched through huggingface_hub, which is not installed. "
            'Install it: pip install "isthmus[hub]".'
        ) from error
    return HfApi(token=token, library_name="isthmus", library_version=isthmus.__version__)


@contextmanager
def _in_words(api: HfApi, name: str, revision: str | None) -> Iterator[None]:
    """Whatever goes wrong at a hub, as an error of this library."""
    from huggingface_hub.errors import XetDownloadError

    try:
        yield
    except IsthmusError:
        raise
    except (_network_error(), XetDownloadError, OSError, ValueError, RuntimeError) as error:
        # Without the trace of the client, which is long and about its own requests.
        raise ModelFileError(_words(error, api.endpoint, name, revision)) from None


def _words(error: Exception, hub: str, name: str, revision: str | None) -> str:
    from huggingface_hub import errors

    log_in = "Log in with `hf auth login`, or pass token=..."
    apart = "or work with a folder: save and load."
    said = str(getattr(error, "server_message", None) or error).strip().partition("\n")[0]
    status = _status(error)
    if isinstance(error, errors.HFValidationError):
        return f"'{name}' is no name on a hub, where they are written 'user/name': {said}"
    if isinstance(error, errors.GatedRepoError):
        return (
            f"the owner of '{name}' lets in only those who asked. Ask at {hub}/{name}, and then: "
            + log_in
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"'{name}' has no revision '{revision}'. Name a branch, a tag or a commit of it."
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"there is no folder '{name}', and no model of that name at {hub} that you may see. "
            f"Check the name; if the model is private: {log_in}"
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"'{name}' is at {hub}, but is not a model saved by this library."
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE is set, so the hub is not asked about '{name}'. Unset it, {apart}"
    if isinstance(error, errors.LocalTokenNotFoundError):
        return f"there is no token on this machine. {log_in}"
    if status in (401, 403):
        return f"the hub at {hub} does not let you do that with '{name}' ({said}). {log_in}"
    if status is not None and status < 500:
        return f"the hub at {hub} refused '{name}' with status {status}: {said}"
    if isinstance(error, OSError) and error.errno is not None and not _out_of_reach(error):
        return f"'{error.filename}' cannot be written: {error.strerror}."
    if _out_of_reach(error):
        return f"the hub at {hub} cannot be reached ({said}). Check the connection, {apart}"
    return f"the hub at {hub} gave an answer that makes no sense for '{name}': {said}"
