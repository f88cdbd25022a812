"""The plain methods for missing cells, that a user would pick instead of an imputer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import KNNImputer, SimpleImputer

Array = NDArray[np.float64]
MEAN = "the mean or mode"
Filler = Callable[[Array], Array]
"""(n, d) rows, NaN where missing, to the same without gaps."""


def plain_fillers(rows: Array) -> dict[str, Filler]:
    """By name: the mean, the nearest rows, and regressions in turn, as scikit-learn has them.

    Parameters
    ----------
    rows : array of shape (r, d)
        NaN where missing; numbers of one scale, a place for each level of a category but one, so
        that the largest mean is that of the mode.
    """
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    made = {
        MEAN: SimpleImputer(keep_empty_features=True),
        "KNNImputer": KNNImputer(keep_empty_features=True),
        "IterativeImputer": IterativeImputer(keep_empty_features=True, random_state=0),
    }
    found: dict[str, Filler] = {}
    for name, imputer in made.items():
        found[name] = partial(_quiet, imputer.transform)
        _quiet(imputer.fit, rows)
    return found


def _quiet(run: Callable[[Array], Any], rows: Array) -> Any:
    """Without a word on how far iterations converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return run(rows)
