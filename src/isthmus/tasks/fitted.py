"""What can be done with a trained model: reduce, rebuild, score, sample, save."""

from __future__ import annotations

import math
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from isthmus.core.errors import NotFittedError
from isthmus.core.ranges import positive_int, seed_of
from isthmus.core.types import Batch
from isthmus.data import Modality
from isthmus.ensemble import Ensemble
from isthmus.model import Model
from isthmus.tasks import answers
from isthmus.tasks import validation as checks
from isthmus.tasks.modules import Decoder, Encoder
from isthmus.training.surroundings import own_randomness

Array = NDArray[Any]

NARROWED: ContextVar[int | None] = ContextVar("dims", default=None)
"""How many dimensions ``transform`` just kept, for scikit-learn to name a DataFrame's columns."""


class Fitted(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that holds a trained model; ``fit`` is its subclass's."""

    model_: Model | Ensemble
    kind_: Modality
    latent_dim_: int

    @property
    def _n_features_out(self) -> int:
        return self.latent_dim_ * math.prod(self.model_.grid)

    @property
    def encoder_(self) -> nn.Module:
        """From (n, *shape) to (n, latent_dim), deterministic, in the model's own units."""
        check_is_fitted(self)
        return Encoder(self.model_).eval()

    @property
    def decoder_(self) -> nn.Module:
        """From (n, latent_dim) to (n, *shape), the expected value, in the model's own units."""
        check_is_fitted(self)
        return Decoder(self.model_).eval()

    def transform(self, X: Any, dims: int | None = None) -> Array:
        """Codes of rows, without noise.

        Parameters
        ----------
        X : as in ``fit``
        dims : int, optional
            Keep the first so many.

        Returns
        -------
        array of shape (n_samples, latent_dim)
            One row per row, the same whatever else was passed. Codes on a grid are flattened.
        """
        self._check_fitted()
        dims = None if dims is None else positive_int(dims, "dims", self.latent_dim_)
        batch, dtype = self._batch(X)
        z = answers.encode(self.model_, batch, dims)
        codes = self._out(z.flatten(1), dtype)
        if _get_output_config("transform", self)["dense"] != "default":
            NARROWED.set(dims)
        return codes

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the columns that ``transform`` returns: autoencoder0, autoencoder1, ...

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        array of str
        """
        names: Array = super().get_feature_names_out(input_features)
        dims = NARROWED.get()
        NARROWED.set(None)
        return names if dims is None else names[: dims * math.prod(self.model_.grid)]

    def inverse_transform(self, Z: Any) -> Any:
        """Rows from codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, latent_dim)
            Or fewer columns: the first ones, the others are taken as zero, their mean at the
            start.

        Returns
        -------
        array of shape (n_samples, n_features), DataFrame, or images
            In the units, columns, types and layout of the data.
        """
        self._check_fitted()
        z = checks.codes_of(Z, self.latent_dim_, self.model_.grid)
        return self.kind_.restore(answers.decode(self.model_, z))

    def reconstruct(self, X: Any) -> Any:
        """Rows as they come back through the code; what was missing is filled.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        array, DataFrame or images
            As X came: a DataFrame of the same library, with its columns and types; where images
            are of unequal sizes, an array of shape (n_samples,) that holds an array for each. A
            dense array for a sparse matrix.
        """
        self._check_fitted()
        X = self.kind_.gather(X)
        batch, _ = self._batch(X)
        return self.kind_.restore(self._rebuilt(batch), like=X)

    def _rebuilt(self, batch: Batch) -> Tensor:
        """(n, *shape) through the code and back, in the model's own units."""
        return answers.rebuild(self.model_, batch)

    def score_samples(self, X: Any) -> Array:
        """How well the model explains each row.

        Returns
        -------
        array of shape (n_samples,)
            Minus the nats that a row costs, in the model's own units: its distortion, and the
            rate of its code where the code has one. Higher is more like the training data.
        """
        batch, dtype = self._batch(X)
        return self._out(answers.score(self.model_, batch), dtype)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of ``score_samples``: higher is better, as model selection expects."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def sample(self, n: int = 1, random_state: int | None = None) -> Any:
        """New rows: what is expected of codes drawn from the prior.

        Parameters
        ----------
        n : int
        random_state : int, optional
            By default the estimator's own: with a number, the same rows every time.

        Returns
        -------
        array of shape (n, n_features), DataFrame, or images
        """
        self._check_fitted()
        n = positive_int(n, "n")
        seed = seed_of(self.random_state if random_state is None else random_state)
        with own_randomness(seed, self._device()):
            return self.kind_.restore(self.model_.sample(n))

    def save(self, path: str | Path) -> str:
        """Save to a folder, without pickle; see ``isthmus.load``.

        Returns
        -------
        str
            The identity of the model, a SHA-256 of its content.
        """
        from isthmus.tasks.saving import save

        self._check_fitted()
        return save(self, Path(path))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        token: str | bool | None = None,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str = "Save the model",
    ) -> str:
        """Save to a Hugging Face hub what ``save`` writes; needs ``pip install "isthmus[hub]"``.

        Parameters
        ----------
        repo_id : str
            "user/name"; it is made if it is not there.
        token : str, optional
            By default that of ``hf auth login`` or HF_TOKEN.
        private : bool, optional
            Whether only you may see it; by default what the hub does for its owner.
        revision : str, optional
            A branch, made if it is not there; by default "main".
        commit_message : str

        Returns
        -------
        str
            The address of the commit.

        Raises
        ------
        AbilityError
            If huggingface_hub is not installed.
        ModelFileError
            If the hub cannot be reached or refuses.
        """
        from isthmus.tasks.hub import push

        self._check_fitted()
        return push(
            self,
            repo_id,
            token=token,
            private=private,
            revision=revision,
            commit_message=commit_message,
        )

    def _check_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with data "
                "first, or load a saved model with isthmus.load(path)."
            )

    def _batch(self, X: Any) -> tuple[Batch, np.dtype[Any]]:
        self._check_fitted()
        X = checks.checked_for_use(self, X)
        dtype = getattr(X, "dtype", None)
        is_float32 = isinstance(dtype, np.dtype) and dtype == np.float32
        return self.kind_.batch(X), np.dtype(np.float32 if is_float32 else np.float64)

    def _out(self, result: Tensor, dtype: np.dtype[Any]) -> Array:
        out: Array = result.cpu().numpy().astype(dtype)
        return out

    def _device(self) -> torch.device:
        return next(self.model_.parameters()).device

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        return tags
