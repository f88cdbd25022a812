"""The estimator that users type: fit once, then reduce, rebuild, score, sample, save."""

from __future__ import annotations

import numbers
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from torch import nn

from isthmus.core.recipe import Recipe
from isthmus.core.specs import Spec
from isthmus.ensemble import Ensemble
from isthmus.tasks import parameters
from isthmus.tasks import validation as checks
from isthmus.tasks.fitted import Fitted
from isthmus.tasks.preparation import prepare
from isthmus.training.loop import train
from isthmus.training.outcome import Found, together
from isthmus.training.progress import progress_bar
from isthmus.training.views import View

SpecLike = Spec | str | None

SPEC_PARAMETERS = ("network", "code", "prior", "likelihood", "corruption")


class Autoencoder(Fitted):
    """One model for every job: an encoder, a narrow code, and a decoder, trained together.

    It starts as PCA and keeps what training adds only if that is better on rows held out.

    Parameters
    ----------
    latent_dim : int or "auto"
        Dimensions of the code. "auto" takes as many as PCA needs for 95 % of the variance, at
        most 64.
    recipe : str or Recipe
        One of your own, or "autoencoder", "linear" (PCA), "denoising", "masked", "sparse-l1",
        "sparse-topk", "contractive", "vae", "beta-vae", "iwae", "info-vae", "wae", "adversarial",
        "vq-vae", "fsq", "laplace", "negative-binomial", "nested", "robust"; ``isthmus info
        --recipes`` says where each comes from.
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
    n_members : int
        How many models are trained, each from a seed of its own, to answer together with their
        mean; codes are those of the first. Small dense networks are trained in one pass. Modules
        of your own begin in each as you passed them.
    kind : "table" or "images", optional
        Guessed from the shape of X.
    resume : str or Path, optional
        A file in which training keeps its state; where it is there already, training goes on.
    verbose : bool
        Show progress, at a terminal.

    Attributes
    ----------
    model_ : Model, or Ensemble of several
    members_ : list of Autoencoder
        Each usable alone, where they are several: how far they differ says how unsure they are,
        except where training did not beat PCA and that is what they all are.
    encoder_, decoder_ : torch.nn.Module
        From (n, *shape) to the code and back, usable alone.
    latent_dim_ : int
    history_ : list of dict
        An entry per epoch: every part of the loss, in nats per value; the validation error. Of
        several members their mean.
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
        n_members: int = 1,
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
        self.n_members = n_members
        self.kind = kind
        self.resume = resume
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on rows.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features); or images: an
            array of shape (n_samples, height, width) or (n_samples, height, width, channels), a
            list of arrays or of pictures of Pillow's, of any sizes, or paths of image files, in a
            list or as the one column of a table
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
        return self._fit(X, sample_weight)

    def _fit(
        self,
        X: Any,
        sample_weight: Any = None,
        views_of: Callable[[int], Sequence[View]] | None = None,
    ) -> Self:
        """As ``fit``; with views of so many rows, one for each member, rows stay as they came, and
        numbers far from all others are held.
        """
        began = time.monotonic()
        settings = parameters.settings_of(self)
        share = parameters.validation_share(self.validation)
        kind, recipe, batch, models, plain = prepare(
            self, X, sample_weight, settings.seed, once=views_of is None, holds=views_of is not None
        )
        data, held = checks.split(batch, share if recipe.phases else 0.0, settings.seed)
        with progress_bar(self.verbose) as show:
            outcomes = train(
                models,
                recipe,
                data,
                held,
                settings,
                views=views_of and views_of(len(data.x)),
                on_progress=show,
                checkpoint=None if self.resume is None else Path(self.resume),
                began=began,
            )
        for model, outcome in zip(models, outcomes, strict=True):
            if outcome.kept == "start" and held is not None:
                model.start(batch.to(outcome.plan.device))
            model.eval()
        self.recipe_, self.kind_, self.plain_ = recipe, kind, plain
        self.model_ = Ensemble(models).eval() if len(models) > 1 else models[0]
        self.latent_dim_ = models[0].dim
        self._conclude([outcome.found for outcome in outcomes])
        if any(outcome.interrupted for outcome in outcomes):
            raise KeyboardInterrupt
        return self

    def _conclude(self, found: list[Found]) -> None:
        """Take over what training gave, of each member and of all."""
        self.found_ = found
        self.history_, self.events_, self.kept_, self.validation_ = together(found)
        self.n_iter_ = max(1, max(len(one.history) for one in found))

    @property
    def members_(self) -> list[Autoencoder]:
        """The members, each an estimator of its own; of a single model, itself."""
        self._check_fitted()
        if not isinstance(self.model_, Ensemble):
            return [self]
        members = []
        for i, (model, found) in enumerate(zip(self.model_.models, self.found_, strict=True)):
            seed: Any = self.random_state
            seed = int(seed) + i if isinstance(seed, numbers.Integral) else None
            member = clone(self).set_params(n_members=1, random_state=seed, resume=None)
            member.recipe_, member.kind_, member.plain_ = self.recipe_, self.kind_, self.plain_
            member.model_, member.latent_dim_ = model, self.latent_dim_
            member.n_features_in_ = self.n_features_in_
            if hasattr(self, "feature_names_in_"):
                member.feature_names_in_ = self.feature_names_in_
            member._conclude([found])
            members.append(member)
        return members

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        device: str = "auto",
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> Autoencoder:
        """A fitted model from a Hugging Face hub, checked as ``isthmus.load`` checks a folder.

        Parameters
        ----------
        name_or_path : str or Path
            "user/name"; or a folder, where there is one.
        revision : str, optional
            A branch, a tag or a commit; by default "main".
        token : str, optional
            By default that of ``hf auth login`` or HF_TOKEN, if any.
        cache_dir : str or Path, optional
            Where files are kept that were fetched; by default where huggingface_hub keeps them.
        device : str
        encoder, decoder : torch.nn.Module, optional
            As in ``isthmus.load``.

        Returns
        -------
        Autoencoder
            Fitted; it answers to the bit as the one that was pushed.

        Raises
        ------
        AbilityError
            If huggingface_hub is not installed, or own modules are needed.
        ModelFileError
            If there is no such model, the hub cannot be reached and the model was not fetched
            before, or it is truncated, changed, or newer than the library.
        """
        from isthmus.tasks.hub import fetch

        return fetch(
            name_or_path,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            device=device,
            encoder=encoder,
            decoder=decoder,
        )

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
