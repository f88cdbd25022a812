"""Missing cells: what they would hold, how sure that is, and draws of what they may hold."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from isthmus.baselines.comparison import Comparison
from isthmus.core.errors import DataError, NotFittedError, ShapeError, SpecError
from isthmus.core.ranges import positive_int, seconds, seed_of
from isthmus.core.wording import NO_PLACE, listed
from isthmus.data.frames import as_frame, as_sheet
from isthmus.data.mending import levels_of, mended
from isthmus.data.scipy_sparse import is_sparse
from isthmus.data.tables import Table
from isthmus.tasks import validation as checks
from isthmus.tasks.filling import Asked, Filler
from isthmus.tasks.imputer_fit import Cells, learn
from isthmus.tasks.parameters import rate
from isthmus.tasks.places import there_of
from isthmus.tasks.stacking import WAYS, Stack
from isthmus.training.outcome import Found, together
from isthmus.training.plan import Settings
from isthmus.training.progress import progress_bar

Array = NDArray[Any]
Mask = NDArray[np.bool_]
FEWEST_ROWS = 8
MEMBERS, FEW_ROWS_MEMBERS, FEW_ROWS = 4, 8, 1000
SPARSE = (
    "X is a sparse matrix, whose zeros are values: it has no missing cells. Pass X.toarray() if it "
    "has."
)


@dataclass(frozen=True)
class Intervals:
    """Between which values, or among which levels, missing cells lie."""

    low: Any
    """As X came: the lower bound where a number was missing."""
    high: Any
    """The upper bound."""
    levels: dict[str, list[list[Any] | None]] = field(default_factory=dict)
    """By the name of each category with gaps, a list for each row: the levels that are likely where
    it has a gap, else None."""


class Imputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fills the missing cells of tables of numbers and categories, and says how sure it is.

    It begins as the regression of what is missing of a row on what is there, by a Gaussian of whole
    rows. Networks mend what that says, and the nearest rows are looked at; cells that were held out
    decide, column by column, how much each of these counts and how far it may be off.

    Parameters
    ----------
    n_members : int, optional
        Parts into which rows are cut, 2 to 16: each member has not seen one of them. By default 8
        of fewer than 1,000 rows, else 4.
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
    kind_ : Table
        What is known of the columns.
    stack_ : Stack
        The members, and how much each way to fill a gap counts.
    cells_ : list
        How far cells of each column lie from what is expected of them.
    filler_ : Filler
        What fills gaps.
    weights_ : dict of str to dict
        By column, how much the mean, the Gaussian, the network and neighbours count.
    found_ : list
        What the training of each member gave: its history, events and validation.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X had column names.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import Imputer
    >>> X = load_iris().data
    >>> X[::7, 2] = np.nan
    >>> filled = Imputer(epochs=2).fit_transform(X)
    >>> bool(np.isnan(filled).any())
    False
    """

    kind: ClassVar[str] = "table"

    def __init__(
        self,
        *,
        n_members: int | None = None,
        epochs: int | None = None,
        max_time: float | str | None = None,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
        resume: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_members = n_members
        self.epochs = epochs
        self.max_time = max_time
        self.random_state = random_state
        self.device = device
        self.resume = resume
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn how columns go together.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            At least eight rows, which may have gaps.
        y : ignored

        Returns
        -------
        Imputer
            Itself, fitted.

        Raises
        ------
        DataError, SpecError, TrainingError
        """
        settings = self._checked()
        if is_sparse(X):
            raise DataError(SPARSE)
        kind, X, n = checks.checked_for_fit(self, X)
        assert isinstance(kind, Table)
        if n < FEWEST_ROWS:
            raise DataError(f"found {n} rows, but an imputer needs at least {FEWEST_ROWS}.")
        kind.holds = True
        kind.fit(X)
        self._say_left_out(kind)
        with progress_bar(self.verbose) as show:
            learned = learn(
                kind,
                kind.batch(X),
                min(self._members(n), n // 4),
                settings,
                None if self.resume is None else Path(self.resume),
                show,
            )
        self.kind_: Table = kind
        self._take(learned.stack, learned.cells, learned.found)
        return self

    def _members(self, n: int) -> int:
        """How many there are for so many rows."""
        return self.n_members or (FEW_ROWS_MEMBERS if n < FEW_ROWS else MEMBERS)

    def _checked(self) -> Settings:
        if self.n_members is not None and positive_int(self.n_members, "n_members", 16) < 2:
            raise SpecError("n_members must be at least 2: each is judged by what it has not seen.")
        if self.resume is not None and self.random_state is None:
            raise SpecError("resume needs a seed: set random_state to a number.")
        settings = Settings(
            epochs=None if self.epochs is None else positive_int(self.epochs, "epochs"),
            max_time=seconds(self.max_time),
            seed=seed_of(self.random_state),
            device=self.device,
        )
        settings.check()
        return settings

    def _say_left_out(self, kind: Table) -> None:
        described = kind.columns_described()
        text = [name for name, what in described if what == "text"]
        if text:
            warnings.warn(f"left out: {listed(text)} ({NO_PLACE})", stacklevel=3)
        empty = [
            described[j][0]
            for j, known in zip(kind.places, kind.spread.known, strict=True)
            if not known
        ]
        if empty:
            warnings.warn(
                f"no value of {listed(empty)} was ever seen: what is missing there stays so",
                stacklevel=3,
            )

    def _take(self, stack: Stack, cells: list[Cells], found: list[Found]) -> None:
        """Take over what a fit or a file gave."""
        self.stack_, self.cells_, self.found_ = stack, cells, found
        self.filler_ = Filler(self.kind_, stack, cells)
        self.history_, self.events_, self.kept_, self.validation_ = together(found)
        self.n_iter_ = max(1, max(len(one.history) for one in found))

    @property
    def weights_(self) -> dict[str, dict[str, float]]:
        """By column, how much each way to fill a gap counts."""
        self._check_fitted()
        return {
            name: dict(zip(WAYS, column.tolist(), strict=True))
            for name, column in zip(self._names(), self.stack_.weights.T, strict=True)
        }

    def _names(self) -> list[str]:
        """Of the columns that have a place."""
        described = self.kind_.columns_described()
        return [described[j][0] for j in self.kind_.places]

    def transform(self, X: Any, mask: Any = None) -> Any:
        """Rows with their missing cells filled; all others stay as they are.

        Parameters
        ----------
        X : as in ``fit``
        mask : array-like or DataFrame of bool of shape (n_samples, n_features), optional
            True where a cell shall be filled besides those that are missing.

        Returns
        -------
        array or DataFrame of shape (n_samples, n_features)
            As X came. A number is what is expected, a category its likeliest level. Cells of a
            column of which no value was ever seen, and of columns left out, stay missing.
        """
        asked = self._asked(X, mask)
        return mended(self.kind_, asked.X, self.filler_.values(asked), asked.gaps)

    def sample(self, X: Any, n: int = 1, mask: Any = None, random_state: Any = None) -> list[Any]:
        """Rows with their missing cells drawn, several times: what they may hold together.

        How far the draws of a cell lie from each other says how unsure it is.

        Parameters
        ----------
        X : as in ``fit``
        n : int
            How many draws.
        mask : as in ``transform``
        random_state : int, optional
            By default the estimator's own.

        Returns
        -------
        list of n arrays or DataFrames
            Each as ``transform`` returns one.
        """
        n = positive_int(n, "n")
        asked = self._asked(X, mask)
        seed = seed_of(self.random_state if random_state is None else random_state)
        return [
            mended(self.kind_, asked.X, self.filler_.drawn(asked, [seed % 2**63, i]), asked.gaps)
            for i in range(n)
        ]

    def intervals(self, X: Any, coverage: float = 0.9, mask: Any = None) -> Intervals:
        """Between which values missing cells lie, that often.

        Parameters
        ----------
        X : as in ``fit``
        coverage : float
            The share of missing cells that hold what is said of them, above 0 and below 1.
        mask : as in ``transform``

        Returns
        -------
        Intervals
            ``low`` and ``high``, as X came; of categories the likely ``levels``.
        """
        if not 0 < rate("coverage", coverage, most=1.0) < 1:
            raise SpecError(f"coverage must be above 0 and below 1, got {coverage!r}.")
        asked = self._asked(X, mask)
        low, high, likely = self.filler_.bounds(asked, coverage)
        tables = [mended(self.kind_, asked.X, part, asked.gaps) for part in (low, high)]
        return Intervals(tables[0], tables[1], self._levels(likely, asked.gaps))

    def compare(self, X: Any, share: float | None = None) -> Comparison:
        """Hold it against what else would fill gaps, on cells of X that are hidden for it.

        Parameters
        ----------
        X : as in ``fit``
            Rows that were not used in the fit.
        share : float, optional
            Of the cells that are there, how many to hide, 0 to 1. By default as many as X misses,
            at least a tenth and at most a half.

        Returns
        -------
        Comparison
            The error of what was filled in: by column, of a number the squared error over its
            variance, of a category 1 where it is wrong; and over all columns in units of what the
            mean or mode makes of each. That, scikit-learn's KNNImputer and its IterativeImputer are
            fitted to the rows that this model keeps.
        """
        from isthmus.tasks.judge_cells import judge_cells

        return judge_cells(self, X, share)

    def save(self, path: str | Path) -> str:
        """Save to a folder, without pickle; see ``isthmus.load``.

        Returns
        -------
        str
            The identity of the imputer, a SHA-256 of its content.
        """
        from isthmus.tasks.imputer_state import save

        self._check_fitted()
        return save(self, Path(path))

    # ------------------------------------------------------------ how cells are filled

    def _asked(self, X: Any, mask: Any) -> Asked:
        """Rows, and which of their cells to fill."""
        self._check_fitted()
        if is_sparse(X):
            raise DataError(SPARSE)
        X = checks.checked_for_use(self, X)
        batch = self.kind_.batch(X)
        there = there_of(batch)
        gaps = ~there
        if batch.unknown is not None:
            gaps = gaps & ~batch.unknown
        if mask is not None:
            more = torch.from_numpy(self._mask(X, mask, len(there)))
            gaps, there = gaps | more, there & ~more
        gaps = gaps & torch.from_numpy(np.array(self.kind_.spread.known))
        return Asked(X, batch, there, gaps.numpy())

    def _mask(self, X: Any, mask: Any, n: int) -> Mask:
        """(n, places) of a mask of all columns."""
        frame = as_frame(mask) if hasattr(mask, "columns") else None
        try:
            found = np.asarray(mask if frame is None else frame.to_numpy())
        except (ValueError, TypeError) as error:
            raise ShapeError("the mask cannot be read as an array of true and false.") from error
        if found.shape != (n, self.n_features_in_):
            raise ShapeError(f"the mask has shape {found.shape}, X {(n, self.n_features_in_)}.")
        if found.dtype != np.bool_ and not np.isin(found, (0, 1)).all():
            raise DataError("a mask holds true and false only: true where a cell is to be filled.")
        return found.astype(bool)[:, self.kind_._found(as_sheet(X))]

    def _levels(self, likely: dict[int, Mask], gaps: Mask) -> dict[str, list[list[Any] | None]]:
        found: dict[str, list[list[Any] | None]] = {}
        names = self._names()
        for j, among in likely.items():
            if gaps[:, j].any():
                known = levels_of(self.kind_, j)
                found[names[j]] = [
                    [known[i] for i in np.flatnonzero(row)] if gap else None
                    for row, gap in zip(among, gaps[:, j], strict=True)
                ]
        return found

    def _check_fitted(self) -> None:
        if not hasattr(self, "stack_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with data "
                "first, or load a saved imputer with isthmus.load(path)."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags
