"""Anomalies: what does not belong, how sure that is, and which columns say so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from torch import nn

from isthmus.baselines.neighbours import CLOSE
from isthmus.core import ranges
from isthmus.core.errors import NotFittedError, SpecError
from isthmus.core.ranges import seed_of
from isthmus.core.types import Batch
from isthmus.data import Modality, modality
from isthmus.data.gathering import as_images
from isthmus.tasks import parameters
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.calibration import Tail, in_shares, selected
from isthmus.tasks.drift import Drift, drift
from isthmus.tasks.image_rows import ImageRows, refuse_images, stacked
from isthmus.tasks.members import MEMBERS, members, members_of, passed
from isthmus.tasks.reasons import blamed, reasons, regions
from isthmus.tasks.references import Looked, References, first_of_equal, owners
from isthmus.tasks.strangeness import STRANGER, Strangeness
from isthmus.tasks.trimming import (
    SEVERAL,
    TRIMMED,
    check_rows,
    groups_to_add,
    numbers_of,
    ordinary,
    some_of_each,
)
from isthmus.training.views import NOBODY, View, cut, leaving_out

Array = NDArray[Any]
MOST_ROWS, MOST_REFERENCES = 20_000, 4096
"""Of those fitted on, that members are trained on, and that rows are compared with."""


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Finds what does not belong, at a rate of false alarms that is kept, and says why.

    Rows are compared with those fitted on: by their distance to the nearest of them, in four
    scales of the columns, and in what autoencoders that take noise away make of them. How much
    each way counts is found without labels. Every row fitted on is scored by what was learned of
    the others, so it may be scored like any other. Images become rows first, by the codes of their
    patches (see ``ImageRows``).

    Parameters
    ----------
    model : Autoencoder, str or Path, optional
        A fitted one or its folder, in place of those that are trained here. Pass ``fit`` rows that
        it has not seen.
    encoder : torch.nn.Module, optional
        Images are looked at through it: a frozen backbone, from (n, channels, height, width), 0 to
        1, to (n, k, rows, columns) or (n, k).
    false_alarms : float
        The share of ordinary rows that ``predict`` may call an anomaly, 0 to 0.5.
    contamination : float or "auto", optional
        The share of anomalies among the rows fitted on, 0 to 0.5, where they are not all
        ordinary: ``predict`` calls so many of them anomalies. "auto" where it is not known. In
        both cases rows are compared with the least strange ones, and p-values are shares of all.
    epochs : int, optional
    max_time : float or str, optional
        Of training: seconds, or "90s", "2min".
    random_state : int, RandomState or None
    device : str
    resume : str or Path, optional
        A file in which training keeps its state; where it is there already, training goes on.
    verbose : bool

    Attributes
    ----------
    model_ : Autoencoder
        Four members, each of which has not seen a quarter of the rows.
    images_ : ImageRows or None
        How images become rows.
    set_apart_ : str or None
        A column that is not looked at where it is found: on the command line, that of groups.
    weights_ : dict of str to float
        How much each scale counts.
    offset_ : float
        The score of ``score_samples`` below which a row is an anomaly.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X had column names.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from isthmus import AnomalyDetector
    >>> X = load_digits().data
    >>> detector = AnomalyDetector(epochs=5).fit(X[:1000])
    >>> detector.pvalues(X[1000:]).shape
    (797,)
    """

    def __init__(
        self,
        model: Autoencoder | str | Path | None = None,
        *,
        encoder: nn.Module | None = None,
        false_alarms: float = 0.01,
        contamination: float | str | None = None,
        epochs: int | None = None,
        max_time: float | str | None = None,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
        resume: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.false_alarms = false_alarms
        self.contamination = contamination
        self.epochs = epochs
        self.max_time = max_time
        self.random_state = random_state
        self.device = device
        self.resume = resume
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> Self:
        """Learn what ordinary rows are like.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features); or images
            Ordinary rows, at least eight; or with ``contamination`` some that are not. Images as
            ``Autoencoder.fit`` takes them.
        y : ignored
        groups : array-like of shape (n_samples,), optional
            What rows belong to, where several are of one machine, patient or object: those of one
            are alike, and new rows will be of others. Without it, false alarms are then more than
            said.

        Returns
        -------
        AnomalyDetector
            Itself, fitted.

        Raises
        ------
        DataError, SpecError, TrainingError
        """
        self._check()
        seed = seed_of(self.random_state)
        draws = np.random.default_rng(seed)
        folds: NDArray[np.int64] = np.zeros(0, np.int64)
        numbers: NDArray[np.int64] | None = None

        def views(n: int) -> list[View]:
            nonlocal folds, numbers
            check_rows(n)
            numbers = numbers_of(groups, n)
            folds = cut(n, MEMBERS, MOST_ROWS, draws, numbers)
            return leaving_out(folds, MEMBERS)

        given = passed(self)
        X = X.collect() if hasattr(X, "collect") else X
        X, groups = some_of_each(X, groups, MOST_ROWS, draws)
        X = self._looked_at(X)
        self.model_ = given or members(self, X, seed, views)
        batch, _ = self.model_._batch(X)
        if self.model is not None:
            check_rows(len(batch.x))
            numbers = numbers_of(groups, len(batch.x))
            folds = draws.permutation(len(batch.x)) % max(2, members_of(self.model_))
        self._take_names()
        few = np.sort(draws.permutation(np.flatnonzero(folds != NOBODY))[:MOST_REFERENCES])
        batch = batch.rows(torch.from_numpy(few))
        numbers = None if numbers is None else numbers[few]
        self._learn(References.of(self.model_.model_, batch, folds[few], numbers), seed)
        return self

    def _check(self) -> None:
        parameters.rate("false_alarms", self.false_alarms)
        if self.contamination is not None and self.contamination != "auto":
            parameters.rate("contamination", self.contamination)
        if self.model is not None and not isinstance(self.model, (Autoencoder, str, Path)):
            raise SpecError(
                f"model must be a fitted Autoencoder or the folder of one, got {self.model!r}."
            )
        # It may be anything, whatever its type says.
        encoder: Any = self.encoder
        if encoder is not None and not isinstance(encoder, nn.Module):
            found = type(encoder).__name__
            raise SpecError(f"encoder must be a torch.nn.Module, got {found}.")
        if encoder is not None and self.model is not None:
            raise SpecError("a model looks at tables, an encoder at images. Pass one of the two.")

    def _looked_at(self, X: Any) -> Any:
        """Images as rows, once it is learned how to look at them; tables as they are."""
        self.images_ = None
        self.set_apart_: str | None = None
        if self.model is not None:
            refuse_images(X)
            return X
        if modality(X).kind == "images":
            X = as_images(X)
            check_rows(len(X))
            self.images_ = ImageRows.fit(X, self.encoder)
            return self.images_.rows(X)
        if self.encoder is not None:
            raise SpecError("an encoder looks at images, but X is a table. Leave encoder out.")
        return X

    def _take_names(self) -> None:
        self.n_features_in_ = self.model_.n_features_in_
        if hasattr(self.model_, "feature_names_in_"):
            self.feature_names_in_ = self.model_.feature_names_in_

    def _learn(self, references: References, seed: int) -> None:
        """What is ordinary, of references, and where the threshold lies."""
        rows, rebuilt = (part.astype(np.float64) for part in references.looked)
        kept = np.ones(len(rows), bool)
        if self.contamination is not None:
            kept = ordinary(rows, self._places(), self._said() or TRIMMED, seed)
        self.strangeness_ = Strangeness(
            rows[kept],
            self._places(),
            rebuilt[:, kept],
            references.folds[kept],
            seed,
            groups=None if references.groups is None else references.groups[kept],
            close=CLOSE if self.contamination is None else SEVERAL,
        )
        known = np.zeros(len(rows))
        known[kept] = self.strangeness_.of_references
        if not kept.all():
            folds = references.folds[~kept]
            known[~kept] = self.strangeness_.score(rows[~kept], rebuilt[:, ~kept], folds)
        self._know(references, kept, known)
        self.offset_ = -self.tail_.reached(self.false_alarms)
        said = self._said()
        if said is not None:
            self.offset_ = float(np.percentile(-known, 100 * said))

    def _said(self) -> float | None:
        """The share of anomalies, where it was given as a number."""
        given = self.contamination
        return None if given is None or isinstance(given, str) else float(given)

    def _know(self, references: References, kept: NDArray[np.bool_], known: Array) -> None:
        """The references, which of them rows are compared with, and the scores of all."""
        self.references_, self.kept_, self.known_ = references, kept, known
        self.tail_ = Tail(known, in_nats=True)
        self.weights_ = self.strangeness_.weights

    def _compared(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """(n,) which of the rows that others are compared with each row is, or ``STRANGER``."""
        own = self.references_.numbers(rows)
        place = np.where(self.kept_, np.cumsum(self.kept_) - 1, STRANGER)
        return np.where(own == STRANGER, STRANGER, place[own])

    def _places(self) -> NDArray[np.bool_]:
        """(d,) which of the values that the network sees are places of a category."""
        owner = self._owners()
        found: NDArray[np.bool_] = np.bincount(owner)[owner] > 1
        return found

    def _owners(self) -> NDArray[np.int64]:
        return owners(self.model_.model_.likelihood, math.prod(self.model_.kind_.shape))

    def _strange(self, batch: Batch) -> Array:
        """(n,) nats; a row that is a reference has the score that the others gave it."""
        found = np.zeros(len(batch.x))
        for part, looked in self.references_.look(batch):
            own = self.references_.numbers(looked.rows)
            known = own != STRANGER
            scores = np.zeros(len(own))
            scores[known] = self.known_[own[known]]
            if not known.all():
                rows = looked.rows[~known].astype(np.float64)
                rebuilt = looked.rebuilt[:, ~known].astype(np.float64)
                scores[~known] = self.strangeness_.score(rows, rebuilt)
            found[part] = scores
        return found

    def score_samples(self, X: Any) -> Array:
        """How ordinary each row is.

        Returns
        -------
        array of shape (n_samples,)
            Minus the strangeness, in nats: 0 is as ordinary as can be, and an ordinary row has
            less than -5 about once in a hundred. The same for a row whatever else was passed.
        """
        return -self._strange(self._batch(X))

    def decision_function(self, X: Any) -> Array:
        """``score_samples`` less the threshold: below 0 a row is an anomaly."""
        found: Array = self.score_samples(X) - self.offset_
        return found

    def predict(self, X: Any) -> Array:
        """-1 for anomalies, 1 for all else.

        Returns
        -------
        array of int of shape (n_samples,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def pvalues(self, X: Any) -> Array:
        """The share of ordinary rows that are as strange.

        Of ordinary rows, a share p has p-values up to p: calling those up to 0.01 anomalies
        gives 1 % of false alarms.

        Returns
        -------
        array of shape (n_samples,)
            Above 0, at most 1.
        """
        batch = self._batch(X)
        return in_shares(self.tail_(self._strange(batch)))

    def select(self, X: Any, fdr: float = 0.1) -> NDArray[np.bool_]:
        """The rows to look at, of which about a share ``fdr`` at most is ordinary.

        Parameters
        ----------
        X : as in ``fit``
        fdr : float
            The false discovery rate, 0 to 1.

        Returns
        -------
        array of bool of shape (n_samples,)
        """
        return selected(self.pvalues(X), parameters.rate("fdr", fdr, most=1.0))

    def explain_scores(self, X: Any) -> Array:
        """How much of the strangeness of a row is each column's.

        Returns
        -------
        array of shape (n_samples, n_features_in_)
            By how many nats a row would be less strange, were the column not looked at; 0 for
            columns that have no place in the model. Of images, (n_samples, height, width), or of
            sizes that differ an array of arrays: how unlike the same part of other images each
            place looks, 1 being usual.
        """
        self._check_fitted()
        if self.images_ is not None:
            return stacked(self.images_.unlike(X))
        return blamed(self, self._batch(X))

    def reasons(self, X: Any, most: int = 3) -> list[list[Any]]:
        """Why rows are strange: the columns to blame, beside what they are in rows like these.

        Parameters
        ----------
        X : as in ``fit``
        most : int
            Columns that are named of a row, or places of an image.

        Returns
        -------
        list of list of Reason, or of Region
            ``str`` of one is "pressure 9.1, expected 4.2 ± 0.3", or of images "x 40 to 52, y 8 to
            20, 6.1 times as unlike others as usual".
        """
        self._check_fitted()
        most = ranges.positive_int(most, "most")
        if self.images_ is not None:
            return [regions(one, most) for one in self.images_.unlike(X)]
        return reasons(self, X, most)

    def drift(self, X: Any, error: float = 0.01) -> Drift:
        """Whether rows, in the order of time, are still like those fitted on.

        Parameters
        ----------
        X : as in ``fit``
            In the order in which they came.
        error : float
            The probability of a drift that is told by chance, and of a burst, however many rows
            there are, 0 to 0.5.

        Returns
        -------
        Drift
            Of which ``since`` is the row from which on rows have drifted, or None, and ``bursts``
            are times in which alarms crowded and that ended. It is not ``judged`` by a detector
            that was fitted with groups.
        """
        error = parameters.rate("error", error)
        return self.drift_of(self._strange(self._batch(X)), error)

    def drift_of(self, scores: Array, error: float = 0.01) -> Drift:
        """``drift`` of rows whose strangeness is known: minus ``score_samples``.

        A detector that was fitted with groups does not judge it.
        """
        if self.references_.groups is not None:
            return Drift(np.zeros(len(scores)), None, [], judged=False)
        return drift(scores, self.known_, self.false_alarms, error)

    def update(self, X: Any, groups: Any = None) -> Self:
        """Take further ordinary rows into account; the members stay as they are.

        Parameters
        ----------
        X : as in ``fit``
            With ``contamination``, those that are anomalies by the threshold are left out.
        groups : array-like of shape (n_samples,)
            Of a detector that was fitted with groups: what rows belong to, none of them known yet.

        Returns
        -------
        AnomalyDetector
            Itself. It compares with 4,096 rows at most: of more, a part is drawn.
        """
        batch = self._batch(X)
        rows, rebuilt = self.references_.whole(batch)
        new = self.references_.numbers(rows) == STRANGER
        new &= first_of_equal(rows)
        told = groups_to_add(self.references_.groups, groups, len(rows))
        if self.contamination is not None:
            new &= -self._strange(batch) >= self.offset_
        seed = seed_of(self.random_state)
        draws = np.random.default_rng([seed, len(self.references_.folds), len(rows)])
        more = Looked(rows[new], rebuilt[:, new])
        of_more = None if told is None else told[new]
        threshold = self.offset_
        self._learn(self.references_.with_more(more, of_more, MOST_REFERENCES, draws), seed)
        if self._said() is not None:
            self.offset_ = threshold  # anomalies were left out: their share is no longer there
        return self

    def save(self, path: str | Path) -> str:
        """Save to a folder, without pickle; see ``isthmus.load``.

        Returns
        -------
        str
            The identity of the detector, a SHA-256 of its content.
        """
        from isthmus.tasks.detector_state import to_saved
        from isthmus.tasks.saving import save

        self._check_fitted()
        return save(self.model_, Path(path), to_saved(self))

    def _check_fitted(self) -> None:
        if not hasattr(self, "strangeness_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with data "
                "first, or load a saved detector with isthmus.load(path)."
            )

    @property
    def kind_(self) -> Modality:
        """The kind of data that it looks at."""
        return self.model_.kind_ if self.images_ is None else self.images_.kind

    def _batch(self, X: Any) -> Batch:
        self._check_fitted()
        if self.images_ is not None:
            return self.model_._batch(self.images_.rows(X))[0]
        refuse_images(X)
        return self.model_._batch(X)[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        return tags
