"""Why a row is strange, in the units of the data."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from isthmus.core.types import Batch
from isthmus.data.frames import as_sheet
from isthmus.data.scipy_sparse import is_sparse
from isthmus.tasks.references import owners
from isthmus.tasks.strangeness import STRANGER

if TYPE_CHECKING:
    from isthmus.tasks.detect import AnomalyDetector

AROUND = 20
"""References like a row but for one column, of which that column is told."""
LEAST_SHARE = 0.05
"""Of the blame of a row, that makes a column worth naming."""
WHOLE, LONG = 1e3, 1e6
"""Numbers between these are told without a fraction, and larger ones by their power of ten."""
HALF, USUAL = 0.5, 2.0
"""Of what is most unlike in an image, and times as unlike as usual, from which a place is named."""
MINUTE, DAY = 60, 86_400
PRECISION = 2e-7
"""Of single precision, in which rows are kept."""
MOSTLY = 0.5
"""Share of midnights from which a column is one of days: what fills its gaps may be none."""


class Reason(NamedTuple):
    """One column of a row, beside what it is in rows that are otherwise like it."""

    column: str
    value: Any
    """As the user wrote it; None where it is missing."""
    expected: Any
    spread: float | None
    """A standard deviation, of numbers."""
    blame: float
    """Nats by which the row would be less strange without the column."""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.column} missing, expected {shown(self.expected)}"
        spread = "" if self.spread is None else f" ± {shown(float(f'{self.spread:.2g}'))}"
        return f"{self.column} {shown(self.value)}, expected {shown(self.expected)}{spread}"


class Region(NamedTuple):
    """A part of an image that is unlike the same part of others, in pixels; ends are left out."""

    left: int
    right: int
    top: int
    bottom: int
    unlike: float
    """How many times as much as usual, where it is most."""

    def __str__(self) -> str:
        place = f"x {self.left} to {self.right}, y {self.top} to {self.bottom}"
        return f"{place}, {self.unlike:.3g} times as unlike others as usual"


def regions(unlike: NDArray[np.float32], most: int) -> list[Region]:
    """The parts of an image that are to blame, the worst first.

    Parameters
    ----------
    unlike : array of shape (height, width)
        1 where all is as usual.
    most : int
    """
    least = max(HALF * float(unlike.max()), USUAL)
    named, _ = label(unlike > least)
    found = [
        Region(x.start, x.stop, y.start, y.stop, float(unlike[y, x].max()))
        for y, x in find_objects(named)
    ]
    return sorted(found, key=lambda region: -region.unlike)[:most]


def shown(value: Any) -> str:
    """A value in a sentence: a number to four digits or to the whole number, a time to the second,
    midnight as the day.
    """
    if isinstance(value, float):
        return f"{value:.0f}" if WHOLE <= abs(value) < LONG else f"{value:.4g}"
    if isinstance(value, datetime):
        return str(value.date()) if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, time):
        return value.isoformat("seconds")
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return f"{seconds:.4g} s" if abs(seconds) < MINUTE else str(timedelta(0, round(seconds)))
    return str(value)


def reasons(detector: AnomalyDetector, X: Any, most: int = 3) -> list[list[Reason]]:
    """For each row the columns that make it strange, the worst first.

    Parameters
    ----------
    detector : AnomalyDetector
        Fitted.
    X : as in its ``fit``
    most : int
        Columns that are named of a row.

    Returns
    -------
    list of list of Reason
    """
    kind: Any = detector.model_.kind_
    blame = detector.explain_scores(X)[:, kind.places]
    batch = detector._batch(X)
    references = detector.references_
    rows = references.whole(batch).rows
    own = detector._compared(rows)
    asked = [(i, j) for i in range(len(rows)) for j in worst(blame[i], most)]
    if not asked:
        return [[] for _ in rows]
    around = [like_it(detector, rows[i], int(own[i]), j) for i, j in asked]
    middle = np.stack([near.mean(0) for near in around]).astype(np.float32)
    apart = np.stack([near.std(0) for near in around]).astype(np.float32)
    expected, above = table(detector, middle), table(detector, middle + apart)
    values, days = written(X, kind), of_days(detector)
    names = [name for name, _ in kind.columns_described()]
    found: list[list[Reason]] = [[] for _ in rows]
    for at, (i, j) in enumerate(asked):
        usual, more = expected[j][at], above[j][at]
        usual = nearest_day(usual) if j in days else usual
        spread = more - usual if isinstance(usual, float) else None
        name, value = names[kind.places[j]], values[j][i]
        value = None if value is None or value != value else value
        if spread is None and value is not None and value == usual:
            continue  # it is to blame only together with others, and says nothing by itself
        found[i].append(Reason(name, value, usual, spread, float(blame[i, j])))
    return found


def blamed(detector: AnomalyDetector, batch: Batch) -> NDArray[np.float64]:
    """(n, n_features_in) how much of the strangeness of each row is each column's."""
    kind: Any = detector.model_.kind_
    owner = owners(detector.model_.model_.likelihood, len(kind.places))
    groups = [np.flatnonzero(owner == j) for j in range(len(kind.places))]
    blame = np.zeros((len(batch.x), detector.n_features_in_))
    for part, looked in detector.references_.look(batch):
        own = detector._compared(looked.rows)
        for i, row in enumerate(looked.rows.astype(np.float64)):
            told = detector.strangeness_.without(row, int(own[i]), groups)
            blame[part.start + i, kind.places] = told
    return blame


def worst(blame: NDArray[np.float64], most: int) -> list[int]:
    """The columns worth naming, the worst first."""
    order = np.argsort(-blame, kind="stable")[:most]
    least = LEAST_SHARE * max(float(blame.clip(min=0).sum()), 1e-12)
    return [int(j) for j in order if blame[j] > least]


def like_it(detector: AnomalyDetector, row: Any, own: int, column: int) -> NDArray[np.float64]:
    """(20, d) the references nearest to a row, other than itself, whatever they are in one
    column.
    """
    strangeness = detector.strangeness_
    name = max(strangeness.near, key=lambda scale: strangeness.weights[scale])
    near, scale = strangeness.near[name], strangeness.scales[name]
    owner = owners(detector.model_.model_.likelihood, len(detector.model_.kind_.places))  # type: ignore[attr-defined]
    others = owner[strangeness.used] != column
    moved = scale(row[None, strangeness.used].astype(np.float64))
    squares = ((near.rows - moved)[:, others] ** 2).sum(1)
    if own != STRANGER:
        squares[own] = np.inf
    few = np.argsort(squares, kind="stable")[: min(AROUND, len(squares) - (own != STRANGER))]
    return detector.references_.looked.rows[detector.kept_][few].astype(np.float64)


def table(detector: AnomalyDetector, embedded: NDArray[np.float32]) -> list[list[Any]]:
    """Columns in the user's units, of rows as the network sees them; those left out are not."""
    model, kind = detector.model_.model_, detector.model_.kind_
    rows = model.likelihood.unembed(torch.from_numpy(embedded))
    restored = kind.restore(rows.view(len(embedded), *model.shape))
    if isinstance(restored, np.ndarray) and restored.dtype.kind == "f":
        return [[float(value) for value in column] for column in restored.T]
    sheet = as_sheet(restored)
    return [listed(sheet.cells(j)) for j in kind.places]  # type: ignore[attr-defined]


def of_days(detector: AnomalyDetector) -> set[int]:
    """The columns with a place in x that hold days, which are instants at midnight."""
    model, kind = detector.model_.model_, detector.model_.kind_
    described = kind.columns_described() or []
    dates = [i for i, j in enumerate(kind.places) if described[j][1] == "date"]  # type: ignore[attr-defined]
    if not dates:
        return set()
    known = torch.from_numpy(detector.references_.looked.rows[detector.kept_])
    x = model.likelihood.unembed(known).flatten(1).numpy().astype(np.float64)[:, dates]
    seconds = x * kind.scale[dates] + kind.offset[dates]  # type: ignore[attr-defined]
    away = np.abs(seconds - DAY * np.rint(seconds / DAY))
    midnight = away <= np.minimum(PRECISION * kind.scale[dates] * (1 + np.abs(x)), DAY / 8)
    return {dates[i] for i in np.flatnonzero(midnight.mean(0) > MOSTLY)}


def nearest_day(value: Any) -> Any:
    """The midnight nearest to an instant."""
    if not isinstance(value, datetime):
        return value
    return datetime.combine((value + timedelta(hours=12)).date(), time(), value.tzinfo)


def written(X: Any, kind: Any) -> list[list[Any]]:
    """Columns as the user wrote them; those left out are not."""
    X = kind.gather(X)
    X = X.toarray() if is_sparse(X) else X
    sheet = as_sheet(X, as_objects=kind.columns is not None)
    return [listed(sheet.cells(place)) for place in kind._found(sheet)]


def listed(cells: Any) -> list[Any]:
    """A column as Python's own values."""
    found: list[Any] = cells.to_pylist() if hasattr(cells, "to_pylist") else cells.tolist()
    return found
