"""What a model, or several together, say of rows: by the fastest way that gives the same bits."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.core.types import Batch
from isthmus.ensemble import Ensemble
from isthmus.model import Model
from isthmus.training.dense.answers import answers

AnyModel = Model | Ensemble


def encode(model: AnyModel, batch: Batch, dims: int | None = None) -> Tensor:
    """(n, dims, *grid) codes of rows, without noise; of several models those of the first."""
    if isinstance(model, Ensemble):
        return encode(model.models[0], batch, dims)
    by_hand = answers(model, batch.x)
    if by_hand is None:
        return model.encode(batch.x, batch.weight, dims=dims)
    return by_hand.encode(batch.x, batch.weight)[:, :dims]


def decode(model: AnyModel, z: Tensor) -> Tensor:
    """(n, *shape) rows of (n, dims, *grid) codes; of several models by the first."""
    if isinstance(model, Ensemble):
        return decode(model.models[0], z)
    by_hand = answers(model, z)
    return model.decode(z) if by_hand is None else by_hand.decode(z)


def rebuild(model: AnyModel, batch: Batch) -> Tensor:
    """(n, *shape) rows through the code and back; each of several models by its own code."""
    if isinstance(model, Ensemble):
        return model.together([rebuild(member, batch) for member in model.models])
    return decode(model, encode(model, batch))


def score(model: AnyModel, batch: Batch) -> Tensor:
    """(n,) minus the nats that each row costs; of several models their mean."""
    if isinstance(model, Ensemble):
        return torch.stack([score(member, batch) for member in model.models]).mean(0)
    by_hand = answers(model, batch.x)
    return model.score(batch) if by_hand is None else by_hand.score(batch)
