"""Whether labels agree among neighbours in the code."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from isthmus.baselines.comparison import Row
from isthmus.core.errors import DataError
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.compare import OURS
from isthmus.tasks.plain import plain_codes, plain_name

NEIGHBOURS, FOLDS, MEASURE = 10, 5, "neighbours agree"


def agreement(model: Autoencoder, X: Any, labels: Any) -> list[Row]:
    """The share of rows whose label the ten nearest others in the code would guess.

    Parameters
    ----------
    model : Autoencoder
        Fitted.
    X : array-like, DataFrame or images
    labels : array of shape (n,)

    Returns
    -------
    list of Row
        For the model's code, and for PCA's.

    Raises
    ------
    DataError
        If there are too few rows of each label.
    """
    names = np.asarray([str(label) for label in np.asarray(labels).tolist()])
    if np.unique(names, return_counts=True)[1].min() < 2 or len(np.unique(names)) < 2:
        raise DataError("each label must stand on two rows at least, and there must be two labels.")
    codes = {OURS: model.transform(X)}
    if not model.plain_.patch:
        codes[plain_name(model)] = plain_codes(model, model._batch(X)[0]).numpy()
    found = []
    for method, code in codes.items():
        right = _guessed(code, names)
        error = float(right.std(ddof=1) / len(right) ** 0.5)
        found.append(Row(method, MEASURE, float(right.mean()), error))
    return found


def _guessed(codes: Any, names: Any) -> Any:
    """(n,) 1.0 where the neighbours in four fifths of the rows guess the label of a fifth."""
    folds = KFold(min(FOLDS, len(names)), shuffle=True, random_state=0)
    method = KNeighborsClassifier(min(NEIGHBOURS, len(names) - -(-len(names) // FOLDS) - 1))
    return (cross_val_predict(method, codes, names, cv=folds) == names).astype(float)
