"""The plain method that a user would pick instead: PCA of what the network sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from isthmus.baselines import PCA
from isthmus.core.types import Batch
from isthmus.model import like
from isthmus.parts import Likelihood

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder


def plain_name(model: Autoencoder) -> str:
    """The name of the plain method with as large a code."""
    what = " of patches" if model.plain_.patch else " of one-hot" if has_places(model) else ""
    return f"PCA{what} ({len(model.plain_.axes)})"


def mean_name(model: Autoencoder) -> str:
    """The name of the plainest method of all."""
    return "the mean or mode" if has_places(model) else "the mean"


def has_places(model: Autoencoder) -> bool:
    """Whether some columns are categories, shown by a place for each level."""
    shape = model.model_.shape
    return model.model_.likelihood.inputs(shape) != shape


def shown(likelihood: Likelihood, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """(n, *inputs) rows as PCA sees them, and the weights of rows or of what it sees."""
    weight = batch.weight
    if weight is not None and weight.ndim > 1:
        weight = likelihood.embed_weight(weight)
    return likelihood.embed(batch.x), weight


def plain_codes(model: Autoencoder, batch: Batch) -> Tensor:
    """(n, components) codes of whole rows."""
    return model.plain_.codes(*shown(model.model_.likelihood, batch))


def plain_rebuilt(model: Autoencoder, batch: Batch) -> Tensor:
    """(n, *shape) rows as PCA gives them back, in the model's own units."""
    likelihood = model.model_.likelihood
    return likelihood.unembed(model.plain_.reconstruct(*shown(likelihood, batch)))


def mean_rebuilt(model: Autoencoder, batch: Batch) -> Tensor:
    """(n, *shape) the mean of what was fitted on, or the commonest level, for every row."""
    plain = model.plain_
    mean = PCA(plain.mean, plain.axes[:0], plain.patch)
    likelihood = model.model_.likelihood
    return likelihood.unembed(mean.reconstruct(*shown(likelihood, batch)))


def errors(model: Autoencoder, rebuilt: Tensor, batch: Batch) -> Tensor:
    """(n, *shape) error of every value: 0 where it is missing, so that nothing is known of it."""
    found = model.model_.likelihood.error(rebuilt, batch.x).double()
    if batch.weight is None:
        return found
    return found * (like(batch.weight, found) > 0)


def row_errors(model: Autoencoder, rebuilt: Tensor, batch: Batch) -> Tensor:
    """(n,) errors of rows, per value that is there on average: their mean is that of all values."""
    found = errors(model, rebuilt, batch).flatten(1).sum(1)
    return found / there(batch).flatten(1).sum(1).mean().clamp(min=1e-12)


def there(batch: Batch) -> Tensor:
    """(n, *shape) 1 where a value is there."""
    whole = batch.x.new_ones(batch.x.shape).double()
    return whole if batch.weight is None else whole * (like(batch.weight, whole) > 0)
