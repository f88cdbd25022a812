"""Everything that can go wrong, as a tree.

IsthmusError
├── DataError           what was passed cannot be read or used        (also a ValueError)
│   ├── ColumnsError    other columns than the model was fitted on
│   ├── ShapeError      other shapes than the model was fitted on
│   ├── NumbersError    values that are not numbers           (also a TypeError)
│   └── EmptyError      no rows, no columns, no files
├── SpecError           an option, a kind or a recipe that does not exist  (also a ValueError)
├── AbilityError        this model cannot do that; the message says which could
├── NotFittedError      used before ``fit``                   (also scikit-learn's)
├── TrainingError       training failed: diverged, or cannot be resumed
├── ModelFileError      a saved model that cannot be trusted or read
│   ├── TamperedError   its content is not what its hash says
│   ├── TruncatedError  files or bytes are missing
│   └── NewerError      written by a newer version than this one
└── CompressedError     compressed bytes that cannot be trusted or read
    └── OtherModelError they were written with another model
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from sklearn.exceptions import NotFittedError as SklearnNotFittedError


class IsthmusError(Exception):
    """The root of all errors that this library raises on purpose."""


class DataError(IsthmusError, ValueError):
    """The data cannot be read or used."""


class ColumnsError(DataError):
    """The table has other columns than the model was fitted on."""


class ShapeError(DataError):
    """The rows have another shape than the model was fitted on."""


class NumbersError(DataError, TypeError):
    """The data hold values that are not numbers."""


class EmptyError(DataError):
    """There is nothing to work on."""


class SpecError(IsthmusError, ValueError):
    """A part, an option or a recipe of that name does not exist."""


class AbilityError(IsthmusError):
    """The model has not the part that this job needs."""


class NotFittedError(IsthmusError, SklearnNotFittedError):
    """The estimator was used before it was fitted."""


class TrainingError(IsthmusError):
    """Training failed or cannot be resumed."""


class ModelFileError(IsthmusError):
    """A saved model cannot be read."""


class TamperedError(ModelFileError):
    """The content of a saved model does not match its hash."""


class TruncatedError(ModelFileError):
    """A saved model lacks files or bytes."""


class NewerError(ModelFileError):
    """A saved model was written by a newer version of the library."""


class CompressedError(IsthmusError):
    """Compressed bytes cannot be read, or are not what was written."""


class OtherModelError(CompressedError):
    """Compressed bytes were written with another model than the one at hand."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that offers the closest known name, or lists them all."""
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known: {', '.join(names)}." if names else "None are known."
