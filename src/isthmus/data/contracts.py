"""What a kind of data must be able to do for a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.specs import Spec
from isthmus.core.types import Batch

Array = NDArray[Any]
Floats = NDArray[np.float64]
Support = str | tuple[str, ...]
SUPPORTS = ("real", "unit", "count")
OF_LEVELS = "level"
"""The support of categories, which only columns with levels have."""


class Modality(ABC):
    """A kind of data: learns its schema in one pass, then turns rows into tensors and back."""

    kind: ClassVar[str]
    shape: tuple[int, ...]
    """One row of x, after ``fit``."""
    support: Support
    """"real": standardised; "unit": within 0 to 1; "count": as it is, whole numbers from 0 on; a
    tuple has one for each column of a table."""
    names: list[str] | None
    """Column names, where there are any."""
    scale: Array
    """How much of the user's unit one unit of x is; broadcasts against a row of x."""
    holds: bool = False
    """Set before ``fit``: whether numbers of a table are to be held at bounds where they are so far
    from all others that these would look alike."""

    @classmethod
    def gather(cls, X: Any) -> Any:
        """X with all of it in memory, once for all that is done with it: files are read."""
        return X

    @abstractmethod
    def fit(self, X: Any, weight: Array | None = None) -> None:
        """Learn the schema in one pass: types, levels, sizes, ranges and moments.

        It is then ready for the support of its own ``likelihood()``.

        Parameters
        ----------
        X : array-like or DataFrame
            The user's rows.
        weight : array of shape (n,), optional
            How often each row counts; rows of weight 0 are not looked at.

        Raises
        ------
        DataError
            If something in it cannot be used.
        EmptyError
            If there are no rows or no columns.
        """

    @abstractmethod
    def suit(self, support: Support) -> None:
        """After ``fit``: bring ``batch`` and ``restore`` to what a likelihood can explain.

        Parameters
        ----------
        support : "real", "unit", "count", or a tuple of these
            A tuple has one for each column of a table.

        Raises
        ------
        DataError
            If the data cannot be brought to it: numbers below 0 are no counts, for example.
        """

    @abstractmethod
    def batch(self, X: Any) -> Batch:
        """The user's rows as tensors.

        Returns
        -------
        Batch
            x of shape (n, *shape), float32 and finite, 0 where a value is missing; weight of
            that shape (images: (n, 1, height, width)), 0 where missing and else 1, or None where
            nothing is missing; unknown, where a category has a level that was not seen in ``fit``.

        Raises
        ------
        ColumnsError, ShapeError
            If X is not laid out as it was in ``fit``.
        DataError
            If a value cannot be used.
        """

    @abstractmethod
    def restore(self, x: Tensor, like: Any = None) -> Any:
        """What the user had, in the user's units and layout.

        Parameters
        ----------
        x : Tensor of shape (n, *shape)
        like : DataFrame, optional
            Answer in a DataFrame of its library; else of the library that was fitted on.

        Returns
        -------
        array or DataFrame
            An array where arrays were fitted on. Where a DataFrame was, a DataFrame with the
            same columns and types; an Arrow table where its library is not installed.
        """

    def columns_described(self) -> list[tuple[str, str]] | None:
        """Name and kind of each column, for reports: "number", "category", "date", "count",
        "text"; None where there are no columns.
        """
        return None

    @abstractmethod
    def likelihood(self) -> Spec:
        """The likelihood that suits these data."""

    @abstractmethod
    def network(self) -> Spec:
        """The network that suits these data."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """All that was learned: what JSON can hold, and arrays."""

    @classmethod
    @abstractmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, Array]) -> Modality:
        """What ``state`` gave, fitted again.

        Raises
        ------
        ModelFileError
            If something is missing or does not fit together.
        """
