"""What a kind of data must be able to do for a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.specs import Spec

Array = NDArray[Any]
SUPPORTS = ("real", "unit")


class Modality(ABC):
    """A kind of data: learns its schema in one pass, then turns rows into tensors and back."""

    kind: ClassVar[str]
    shape: tuple[int, ...]
    """One row of x."""
    support: str
    """"real": standardised; "unit": within 0 to 1."""
    names: list[str] | None
    """Column names, where there are any."""
    scale: Array
    """How much of the user's unit one unit of x is; broadcasts against a row of x."""

    @abstractmethod
    def fit(self, X: Any, support: str = "real", weight: Array | None = None) -> None:
        """Learn the schema.

        Parameters
        ----------
        X : array-like or DataFrame
            The user's rows, all finite.
        support : "real" or "unit"
            What the likelihood can explain: any number, or numbers within 0 to 1.
        weight : array of shape (n,), optional
            How often each row counts; rows of weight 0 are not looked at.

        Raises
        ------
        DataError
            If there are gaps, infinite values, or anything that is not a number.
        EmptyError
            If there are no rows or no columns.
        """

    @abstractmethod
    def tensor(self, X: Any) -> Tensor:
        """(n, *shape) float32 and finite, from the user's rows.

        Raises
        ------
        ColumnsError, ShapeError
            If X is not laid out as it was in ``fit``.
        DataError
            If a value cannot be used.
        """

    @abstractmethod
    def restore(self, x: Tensor) -> Array:
        """The user's units and layout, from (n, *shape)."""

    def frame(self, x: Tensor) -> dict[str, Array] | None:
        """Like ``restore``, as columns by name; None where columns have no names."""
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
