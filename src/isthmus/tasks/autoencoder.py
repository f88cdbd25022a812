"""The estimator that users type: fit once, then reduce, rebuild, score, sample, save."""

from __future__ import annotations

import math
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from isthmus.baselines import PCA
from isthmus.core.errors import NotFittedError
from isthmus.core.linear import principal_components
from isthmus.core.ranges import positive_int
from isthmus.core.recipe import Recipe
from isthmus.core.specs import Spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.tasks import parameters
from isthmus.tasks import validation as checks
from isthmus.tasks.modules import Decoder, Encoder
from isthmus.tasks.progress import progress_bar
from isthmus.training.loop import train
from isthmus.training.outcome import Outcome
from isthmus.training.surroundings import own_randomness

Array = NDArray[Any]
SpecLike = Spec | str | None

SPEC_PARAMETERS = ("network", "code", "prior", "likelihood", "corruption")
AUTOMATIC_VARIANCE, MOST_AUTOMATIC_DIM = 0.95, 64
NARROWED: ContextVar[int | None] = ContextVar("dims", default=None)
"""How many dimensions ``transform`` just kept, for scikit-learn to name a DataFrame's columns."""


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One model for every job: an encoder, a narrow code, and a decoder, trained together.

    It starts as PCA and keeps what training adds only if that is better on rows held out.

    Parameters
    ----------
    latent_dim : int or "auto"
        Dimensions of the code. "auto" takes as many as PCA needs for 95 % of the variance, at
        most 64.
    recipe : str or Recipe
        "autoencoder", "linear" (PCA), "denoising", "vae", or one of your own.
    network, code, prior, likelihood, corruption : str or Spec, optional
        In place of the recipe's: ``network=spec("mlp", widths=(256,))``. Options are nested
        parameters too: ``set_params(network__widths=(256,))``.
    penalties : list of str or Spec, optional
    encoder, decoder : torch.nn.Module, optional
        Your own modules, in place of a network. They are copied, trained, and found again as
        ``encoder_`` and ``decoder_``.
    epochs : int, optional
        By default enough for about 800 steps, 20 to 200 epochs.
    max_time : float or str, optional
        Seconds, or "90s", "2min", "1h": training takes that long at most, and less where it has
        run 400 epochs or validation gets no better.
    batch_size : int or "full", optional
    learning_rate, weight_decay, gradient_clip : float, optional
        The rate at its peak; it rises over a quarter of the run and falls to zero.
    optimizer : str
        "adamw", "adam", "sgd", "rmsprop", "lion" or "muon".
    validation : float
        Share of the rows held out to choose the best weights, 0 to 0.5, but at least 32 rows
        where that leaves three quarters; 0 keeps the last weights.
    patience : int, optional
        Epochs without improvement after which training goes back to the best weights at a lower
        rate, and after three times stops. By default an eighth of all, 6 to 25.
    random_state : int, RandomState or None
        The same seed gives the same model, bit for bit on one machine. None: a new one each time.
    device : str
        "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1".
    precision : "auto", "float32" or "bfloat16"
        Of the hidden layers while training; models are always used in float32.
    kind : "table" or "images", optional
        Guessed from the shape of X.
    resume : str or Path, optional
        A file in which training keeps its state; where it is there already, training goes on.
    verbose : bool
        Show progress, at a terminal.

    Attributes
    ----------
    model_ : Model
    encoder_, decoder_ : torch.nn.Module
        From (n, *shape) to the code and back, usable alone.
    latent_dim_ : int
    history_ : list of dict
        An entry per epoch: every part of the loss, in nats per value; the validation error.
    kept_ : "trained" or "start"
        "start" if training did not beat PCA on validation, so that PCA is what was kept.
    plain_ : PCA
        The plain method, fitted to the same rows.
    n_iter_ : int
        Epochs run.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X had column names.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from isthmus import Autoencoder
    >>> X = load_digits().data
    >>> ae = Autoencoder(latent_dim=8, epochs=5).fit(X)
    >>> ae.transform(X).shape
    (1797, 8)
    """

    def __init__(
        self,
        latent_dim: int | str = "auto",
        *,
        recipe: str | Recipe = "autoencoder",
        network: SpecLike = None,
        code: SpecLike = None,
        prior: SpecLike = None,
        likelihood: SpecLike = None,
        corruption: SpecLike = None,
        penalties: list[Spec | str] | None = None,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        epochs: int | None = None,
        max_time: float | str | None = None,
        batch_size: int | str | None = None,
        learning_rate: float | None = None,
        optimizer: str = "adamw",
        weight_decay: float | None = None,
        gradient_clip: float | None = None,
        validation: float = 0.05,
        patience: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
        precision: str = "auto",
        kind: str | None = None,
        resume: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.latent_dim = latent_dim
        self.recipe = recipe
        self.network = network
        self.code = code
        self.prior = prior
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalties = penalties
        self.encoder = encoder
        self.decoder = decoder
        self.epochs = epochs
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.validation = validation
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.kind = kind
        self.resume = resume
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or images of shape
            (n_samples, height, width) or (n_samples, height, width, channels)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional
            How often each row counts.

        Returns
        -------
        Autoencoder
            Itself, fitted.

        Raises
        ------
        DataError, SpecError, TrainingError
        """
        began = time.monotonic()
        settings = parameters.settings_of(self)
        recipe = parameters.recipe_of(self)
        share = parameters.validation_share(self.validation)
        kind, X = checks.checked_for_fit(self, X)
        weight = checks.weights_of(sample_weight, X)
        recipe = checks.suited(recipe, kind)
        kind.fit(X, checks.support_of(recipe), weight)
        batch = checks.distinct(kind.tensor(X), weight)
        model = self._built(recipe, batch, settings.seed)
        patch = model.network.stride if model.grid else 0
        plain = PCA.fit(batch.x, model.dim, batch.weight, patch)
        data, held = checks.split(batch, share if recipe.phases else 0.0, settings.seed)
        with progress_bar(self.verbose) as show:
            outcome = train(
                model,
                recipe,
                data,
                held,
                settings,
                on_progress=show,
                checkpoint=None if self.resume is None else Path(self.resume),
                began=began,
            )
        if outcome.kept == "start" and held is not None:
            model.start(batch.to(outcome.plan.device))
        model.eval()
        self.recipe_, self.kind_, self.model_, self.plain_ = recipe, kind, model, plain
        self.latent_dim_ = model.dim
        self._conclude(outcome)
        return self

    def _built(self, recipe: Recipe, batch: Batch, seed: int) -> Model:
        shape = tuple(batch.x.shape[1:])
        with own_randomness(seed):
            if self.encoder is None and self.decoder is None:
                return Model(recipe, shape, self._chosen_dim(batch))
            network = checks.own_network(self.encoder, self.decoder, recipe, shape)
            checks.check_own_dim(self.latent_dim, network.dim)
            return Model(recipe, shape, network.dim, network=network)

    def _chosen_dim(self, batch: Batch) -> int:
        if self.latent_dim != "auto":
            return positive_int(self.latent_dim, "latent_dim")
        found = principal_components(batch.x.flatten(1), MOST_AUTOMATIC_DIM, batch.weight)
        share = found.variance.cumsum(0) / found.total_variance.clamp(min=1e-30)
        return min(len(share), 1 + int((share < AUTOMATIC_VARIANCE).sum()))

    def _conclude(self, outcome: Outcome) -> None:
        self.history_ = outcome.history
        self.events_ = outcome.events
        self.kept_ = outcome.kept
        self.n_iter_ = max(1, outcome.epochs)
        self.validation_ = outcome.validation
        if outcome.interrupted:
            raise KeyboardInterrupt

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
        x, dtype = self._tensor(X)
        codes = self._out(self.model_.encode(x, dims=dims).flatten(1), dtype)
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

    def inverse_transform(self, Z: Any) -> Array:
        """Rows from codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, latent_dim)
            Or fewer columns: the first ones, the others are taken as zero, their mean at the
            start.

        Returns
        -------
        array of shape (n_samples, n_features), or images
            In the units and layout of the data.
        """
        self._check_fitted()
        z = checks.codes_of(Z, self.latent_dim_, self.model_.grid)
        return self.kind_.restore(self.model_.decode(z))

    def reconstruct(self, X: Any) -> Array:
        """Rows as they come back through the code, in the units and layout of the data."""
        x, _ = self._tensor(X)
        return self.kind_.restore(self._rebuilt(x))

    def _rebuilt(self, x: Tensor) -> Tensor:
        """(n, *shape) through the code and back, in the model's own units."""
        return self.model_.decode(self.model_.encode(x))

    def score_samples(self, X: Any) -> Array:
        """How well the model explains each row.

        Returns
        -------
        array of shape (n_samples,)
            Minus the nats that a row costs, in the model's own units: its distortion, and the
            rate of its code where the code has one. Higher is more like the training data.
        """
        x, dtype = self._tensor(X)
        return self._out(self.model_.score(Batch(x)), dtype)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of ``score_samples``: higher is better, as model selection expects."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def sample(self, n: int = 1, random_state: int | None = None) -> Array:
        """New rows, from codes drawn from the prior.

        Parameters
        ----------
        n : int
        random_state : int, optional
            By default the estimator's own: with a number, the same rows every time.

        Returns
        -------
        array of shape (n, n_features), or images
        """
        self._check_fitted()
        n = positive_int(n, "n")
        seed = parameters.seed_of(self.random_state if random_state is None else random_state)
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

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``network__widths`` and the like set an option of a part."""
        for name in [name for name in params if name.partition("__")[0] in SPEC_PARAMETERS]:
            part, nested, option = name.partition("__")
            if nested:
                now = Spec.from_json(params.pop(part, getattr(self, part)) or "auto")
                params.setdefault(part, now)
                params[part] = now.with_options(**{option: params.pop(name)})
        super().set_params(**params)
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with data "
                "first, or load a saved model with isthmus.load(path)."
            )

    def _tensor(self, X: Any) -> tuple[Tensor, np.dtype[Any]]:
        self._check_fitted()
        X = checks.checked_for_use(self, X)
        dtype = getattr(X, "dtype", None)
        is_float32 = isinstance(dtype, np.dtype) and dtype == np.float32
        return self.kind_.tensor(X), np.dtype(np.float32 if is_float32 else np.float64)

    def _out(self, result: Tensor, dtype: np.dtype[Any]) -> Array:
        out: Array = result.cpu().numpy().astype(dtype)
        return out

    def _device(self) -> torch.device:
        return next(self.model_.parameters()).device

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
