"""From what the user passed to what training takes, or an error in the user's words."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor, nn

from isthmus.core.errors import ColumnsError, DataError, ShapeError, SpecError
from isthmus.core.recipe import AUTO, Recipe
from isthmus.core.sparse import is_sparse
from isthmus.core.specs import Spec
from isthmus.core.types import Batch
from isthmus.core.wording import listed
from isthmus.data import Modality, modality
from isthmus.data.arrays import as_number
from isthmus.data.frames import as_frame, as_sheet
from isthmus.parts import CODES, LIKELIHOODS
from isthmus.parts.networks import Pair

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder

Array = NDArray[Any]
SMALLEST_VALIDATION = 32
FEWEST_ROWS = 2
LARGEST_CODE = 1e15
MANY_VALUES = 2**20
"""From which rows are told apart by hashes, which are sorted faster than their bytes."""


def suited(recipe: Recipe, kind: Modality) -> Recipe:
    """The recipe with what it left open decided by the kind of data."""

    def decided(asked: Spec, suggested: Spec) -> Spec:
        return suggested.with_options(**asked.options) if asked.kind == AUTO.kind else asked

    return replace(
        recipe,
        network=decided(recipe.network, kind.network()),
        likelihood=decided(recipe.likelihood, kind.likelihood()),
    )


def checked_for_fit(estimator: Autoencoder, X: Any) -> tuple[Modality, Any, int]:
    """The kind of data, the data in a form that it can read, and how many rows they are."""
    X = _collected(X)
    kind = modality(X, estimator.kind)
    X = kind.gather(X)
    if kind.kind == "table":
        X = _table(estimator, X, reset=True)
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    check_rows(n)
    return kind, X, n


def count_features(estimator: Autoencoder, kind: Modality) -> None:
    """What scikit-learn expects an estimator to know of images: how many values they have."""
    if kind.kind != "table":
        estimator.n_features_in_ = math.prod(kind.shape)


def _collected(X: Any) -> Any:
    """A query, not yet a table, as the table."""
    return X.collect() if hasattr(X, "collect") else X


def checked_for_use(estimator: Autoencoder, X: Any) -> Any:
    """The data in a form that the fitted kind can read."""
    X = estimator.kind_.gather(_collected(X))
    if estimator.kind_.kind != "table":
        return X
    return _table(estimator, X, reset=False)


def _table(estimator: Autoencoder, X: Any, reset: bool) -> Any:
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        return _frame(estimator, X, reset)
    if _holds_text(X):
        if reset:
            estimator.n_features_in_ = np.shape(X)[1]
        return X
    return _numbers(estimator, X, reset)


def _numbers(estimator: Autoencoder, X: Any, reset: bool) -> Any:
    """X as scikit-learn sees it, or an error of ours."""
    try:
        return validate_data(
            estimator,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            accept_sparse="csr",
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
        )
    except (ValueError, np.exceptions.DTypePromotionError) as error:
        if "features, but" in str(error):
            raise ColumnsError(str(error)) from error
        raise DataError(_without_numbers(X) or str(error)) from error


def _without_numbers(X: Any) -> str:
    """What to say of a DataFrame with columns that hold no numbers; empty where there are none."""
    if as_frame(X) is None:
        return ""
    sheet = as_sheet(X)
    kinds = [str(getattr(sheet.cells(j), "type", "bool")) for j in range(sheet.n_columns)]
    words = [sheet.called(j) for j, kind in enumerate(kinds) if kind != "bool"]
    if not words:
        return ""
    return (
        f"the model was fitted on an array of numbers, and there are none in {listed(words)}. Pass "
        "numbers, or fit a model on the DataFrame."
    )


def _frame(estimator: Autoencoder, X: Any, reset: bool) -> Any:
    if reset:
        from sklearn.utils.validation import _check_feature_names

        _check_feature_names(estimator, X, reset=True)
        estimator.n_features_in_ = X.shape[1]
    elif getattr(estimator.kind_, "labels", None) is not None:
        from sklearn.utils.validation import _check_feature_names

        _check_feature_names(estimator, X, reset=False)
    elif not hasattr(estimator, "feature_names_in_") or estimator.kind_.names is None:
        return _numbers(estimator, X, reset=False)
    return X


def _holds_text(X: Any) -> bool:
    """Whether an array has words in it, which a table takes as categories."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind not in "OUT":
        return False
    if X.dtype.kind != "O":
        return True
    return any(isinstance(value, str) and as_number(value) is None for value in X.flat)


def check_rows(n: int) -> None:
    """Refuse to learn from a single row."""
    if n == 1:
        raise DataError(f"found 1 row, but a fit needs at least {FEWEST_ROWS}.")


def weights_of(sample_weight: Any, n: int) -> Array | None:
    """(n,) row weights of mean 1, or None where all are equal."""
    if sample_weight is None:
        return None
    rows = np.empty((n, 1))
    weight: Array = check_sample_weight(
        sample_weight, rows, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.sum() > 0:
        raise DataError("sample_weight is zero everywhere; at least one row must count.")
    scaled: Array = weight / weight.mean()
    return scaled


def distinct(batch: Batch, weight: Array | None) -> Batch:
    """Every different row once, in an order of its own, weighed by how often it counts.

    So a row repeated and a row weighed twice are the same to the model, the order of the rows
    does not matter, and no row is both trained on and held out.
    """
    _, index, inverse = np.unique(_keys(batch), return_index=True, return_inverse=True)
    if weight is None and len(index) == len(inverse):
        return batch.kept(torch.from_numpy(index))
    counts = np.bincount(inverse.ravel(), weights=weight, minlength=len(index))
    counted = counts > 0
    index, counts = index[counted], counts[counted]
    once = batch.kept(torch.from_numpy(index))
    equal = np.ptp(counts) <= 1e-12 * counts.max()
    return once if equal else _weighed(once, counts / counts.mean())


def _keys(batch: Batch) -> Array:
    """(n,) something that is the same for equal rows only."""
    x, cells = batch.x, batch.weight
    if is_sparse(x):
        keys = np.empty(len(x), dtype=object)
        keys[:] = x.keys()
        return keys
    rows = (x.flatten(1) + 0.0).contiguous()  # + 0.0: one zero, not two
    if cells is not None:
        rows = torch.cat([rows, cells.expand_as(x).flatten(1)], 1)
    values = rows.numpy()
    hashed = _hashed(values) if values.size >= MANY_VALUES else None
    if hashed is not None:
        return hashed
    return values.view(np.dtype((np.void, values.itemsize * values.shape[1]))).ravel()


def _hashed(values: Array) -> Array | None:
    """(n,) for each row a number that only equal rows share; None, where that failed."""
    words = values.view(np.uint32).astype(np.uint64)
    factors = np.random.default_rng(0).integers(2**63, size=values.shape[1], dtype=np.uint64)
    keys: Array = words @ (2 * factors + 1)
    order = np.argsort(keys, kind="stable")
    alike = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    return keys if np.array_equal(values[order[alike]], values[order[alike + 1]]) else None


def _weighed(batch: Batch, counts: Array) -> Batch:
    """The batch with its rows weighed, and its missing values as they were."""
    weight = torch.as_tensor(counts, dtype=torch.float32)
    if batch.weight is not None:
        weight = batch.weight * weight.view(-1, *[1] * (batch.weight.ndim - 1))
    return batch._replace(weight=weight)


def split(batch: Batch, share: float, seed: int) -> tuple[Batch, Batch | None]:
    """Rows to train on and rows held out, drawn by ``seed``.

    At least 32 rows are held out where that leaves three quarters of the data.
    """
    n = len(batch.x)
    held = max(round(n * share), min(SMALLEST_VALIDATION, n // 4))
    if share == 0 or held < FEWEST_ROWS:
        return batch, None
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return batch.kept(order[held:]), batch.kept(order[:held])


def codes_of(Z: Any, dim: int, grid: tuple[int, ...]) -> Tensor:
    """(n, dims, *grid) from the user's two-dimensional array of codes."""
    codes = check_array(Z, dtype=np.float64, input_name="Z")
    if np.abs(codes).max() > LARGEST_CODE:
        raise DataError(
            f"the codes hold values up to {np.abs(codes).max():.3g}, beyond all that a model "
            "makes. Pass what transform gave."
        )
    positions = int(np.prod(grid, dtype=int))
    if codes.shape[1] > dim * positions or codes.shape[1] % positions:
        raise ShapeError(
            f"codes have {dim * positions} columns in this model, got {codes.shape[1]}."
        )
    z = torch.tensor(codes, dtype=torch.float32)
    return z.view(len(z), -1, *grid)


def own_network(encoder: Any, decoder: Any, recipe: Recipe, shape: tuple[int, ...]) -> Pair:
    """The user's own modules as a network; they are copied, as scikit-learn expects."""
    for module, name in ((encoder, "encoder"), (decoder, "decoder")):
        if not isinstance(module, nn.Module):
            raise SpecError(
                f"{name} must be a torch.nn.Module (pass both encoder and decoder), "
                f"got {type(module).__name__}."
            )
    likelihood = LIKELIHOODS.build(recipe.likelihood, shape=shape)
    code = CODES.build(recipe.code, dim=1)
    encoder, decoder = copy.deepcopy((encoder, decoder))
    inputs, params = likelihood.inputs(shape), likelihood.params(shape)
    return Pair(encoder, decoder, inputs, params, code.n_params)


def check_own_dim(asked: Any, found: int) -> None:
    """Refuse a ``latent_dim`` that is not what the user's encoder returns."""
    if asked not in ("auto", found):
        raise ShapeError(f"latent_dim is {asked}, but the encoder returns codes of {found}.")
