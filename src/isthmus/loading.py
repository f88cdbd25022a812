"""A saved model of any kind, from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from isthmus.codecs.models import restored
from isthmus.core.errors import AbilityError
from isthmus.tasks.saving import load as load_estimator
from isthmus.tasks.saving_menders import restored as restored_mender
from isthmus.training.directory import load_directory, read_config, understood


def load(
    path: str | Path,
    *,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    device: str = "auto",
) -> Any:
    """Read a saved model.

    Parameters
    ----------
    path : str or Path
        The folder that ``save`` wrote.
    encoder, decoder : torch.nn.Module, optional
        Modules of the same architecture as at the fit, where it was done with your own: no class
        is ever imported because a file says so. The encoder of a detector comes with its weights.
    device : str
        Where it shall compute.

    Returns
    -------
    Autoencoder, AnomalyDetector, Imputer, ImageCodec, Denoiser or Restorer
        Fitted; it answers to the bit as the one that was saved.

    Raises
    ------
    ModelFileError
        If the folder is not a saved model, or is truncated, changed, or newer than the library.
    AbilityError
        If it was fitted with own modules and they are not passed.
    SpecError
        If what is passed for them is no module.
    """
    place = Path(path)
    told = read_config(place)
    if "codec" not in told and "mender" not in told:
        return load_estimator(place, encoder=encoder, decoder=decoder, device=device)
    if encoder is not None or decoder is not None:
        raise AbilityError(
            f"'{path}' has networks of this library alone. Leave encoder and decoder out."
        )
    config, tensors = load_directory(place)
    with understood(path):
        if "codec" in config:
            return restored(config, tensors)
        return restored_mender(config, tensors, device)
