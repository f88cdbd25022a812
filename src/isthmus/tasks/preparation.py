"""From the user's rows to a model that is ready to be trained, and to the plain method."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing
from torch import Tensor

from isthmus.baselines import PCA
from isthmus.core.linear import principal_components
from isthmus.core.patches import known_rows, known_weight
from isthmus.core.ranges import positive_int
from isthmus.core.recipe import Recipe
from isthmus.core.types import Batch
from isthmus.core.wording import NO_PLACE, listed
from isthmus.data import Modality
from isthmus.model import Model
from isthmus.parts import CORRUPTIONS, LIKELIHOODS
from isthmus.parts.networks.dense import automatic_widths
from isthmus.tasks import parameters, plain
from isthmus.tasks import validation as checks
from isthmus.training.surroundings import own_randomness

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder

AUTOMATIC_VARIANCE, MOST_AUTOMATIC_DIM = 0.95, 64


class Prepared(NamedTuple):
    """All that a fit begins with."""

    kind: Modality
    recipe: Recipe
    batch: Batch
    models: list[Model]
    """The members, of which the first has the seed and the next ones those that follow it."""
    plain: PCA


def prepare(
    estimator: Autoencoder,
    X: Any,
    sample_weight: Any,
    seed: int,
    *,
    once: bool = True,
    holds: bool = False,
) -> Prepared:
    """Learn the schema of X, choose what the recipe left open, build the model.

    Rows that are equal are there ``once``, unless they shall stay as they are given; numbers far
    from all others stay so, unless the data ``holds`` them at bounds.

    Raises
    ------
    DataError, SpecError
        If X or a parameter of the estimator cannot be used.
    """
    recipe = parameters.recipe_of(estimator)
    kind, X, n = checks.checked_for_fit(estimator, X)
    weight = checks.weights_of(sample_weight, n)
    if weight is not None and not weight.all():
        used = np.flatnonzero(weight)
        checks.check_rows(len(used))
        X, weight = _safe_indexing(X, used), weight[used] / weight[used].mean()
    kind.holds = holds
    kind.fit(X, weight)
    apart = [name for name, what in kind.columns_described() or () if what == "text"]
    if apart:
        warnings.warn(f"left out: {listed(apart)} ({NO_PLACE})", stacklevel=3)
    checks.count_features(estimator, kind)
    recipe = checks.suited(recipe, kind)
    likelihood = LIKELIHOODS.build(recipe.likelihood, shape=kind.shape)
    kind.suit(likelihood.support)
    batch = checks.distinct(kind.batch(X), weight) if once else kind.batch(X)
    recipe = _sized(recipe, math.prod(likelihood.inputs(kind.shape)), len(batch.x))
    shown, weights = plain.shown(likelihood, batch)
    hidden = batch.weight is not None and batch.weight.ndim > 1
    gaps = hidden or any(CORRUPTIONS.build(p.corruption).hides for p in recipe.phases)
    own = estimator.encoder is not None or estimator.decoder is not None
    dim = 0 if own else _chosen_dim(estimator.latent_dim, shown, weights)
    models = []
    for i in range(positive_int(estimator.n_members, "n_members")):
        with own_randomness(seed + i):
            models.append(_built(estimator, recipe, kind.shape, dim, gaps))
    dim, patch = models[0].dim, models[0].network.stride if models[0].grid else 0
    return Prepared(kind, recipe, batch, models, PCA.fit(shown, dim, weights, patch))


def _sized(recipe: Recipe, values: int, rows: int) -> Recipe:
    """The recipe with the widths of a dense network, where they were left open."""
    network = recipe.network
    asked = network.options.get("widths", "auto")
    if network.kind != "mlp" or not (isinstance(asked, str) and asked == "auto"):
        return recipe
    widths = automatic_widths(values, rows)
    return replace(recipe, network=network.with_options(widths=widths))


def _built(
    estimator: Autoencoder, recipe: Recipe, shape: tuple[int, ...], dim: int, gaps: bool
) -> Model:
    if dim:
        return Model(recipe, shape, dim, gaps=gaps)
    network = checks.own_network(estimator.encoder, estimator.decoder, recipe, shape)
    checks.check_own_dim(estimator.latent_dim, network.dim)
    return Model(recipe, shape, network.dim, network=network, gaps=gaps)


def _chosen_dim(asked: Any, shown: Tensor, weight: Tensor | None) -> int:
    if asked != "auto":
        return positive_int(asked, "latent_dim")
    rows, weight = known_rows(shown, weight), known_weight(shown, weight)
    found = principal_components(rows, MOST_AUTOMATIC_DIM, weight)
    share = found.variance.cumsum(0) / found.total_variance.clamp(min=1e-30)
    return min(len(share), 1 + int((share < AUTOMATIC_VARIANCE).sum()))
