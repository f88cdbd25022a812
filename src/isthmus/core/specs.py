"""A part named by its kind and options, and the registry that builds it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from isthmus.core.errors import SpecError, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Spec:
    """A kind and its options: ``Spec("gaussian", {"prior": "normal"})``.

    Parameters
    ----------
    kind : str
        A name in a registry.
    options : mapping
        Keyword arguments of the part's constructor; values are what JSON can hold, or specs.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_json(), sort_keys=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return Spec, (self.kind, dict(self.options))

    def with_options(self, **options: Any) -> Spec:
        """The same kind with some options replaced."""
        return Spec(self.kind, {**self.options, **options})

    def to_json(self) -> dict[str, Any]:
        """``{"kind": ..., option: value}``."""
        return {"kind": self.kind, **{name: _plain(value) for name, value in self.options.items()}}

    @staticmethod
    def from_json(data: Any) -> Spec:
        """Read a spec from a name, a mapping with ``kind``, or a spec.

        Raises
        ------
        SpecError
            If it is none of these.
        """
        if isinstance(data, Spec):
            return data
        if isinstance(data, str):
            return Spec(data)
        if isinstance(data, Mapping) and isinstance(data.get("kind"), str):
            options = {str(k): _revived(v) for k, v in data.items() if k != "kind"}
            return Spec(data["kind"], options)
        raise SpecError(
            f"expected the name of a part, or spec(name, option=value), got {type(data).__name__}."
        )


def spec(kind: str, **options: Any) -> Spec:
    """``Spec`` with its options as keywords: ``spec("noise", scale=0.2)``."""
    return Spec(kind, options)


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _revived(value: Any) -> Any:
    if isinstance(value, Mapping) and "kind" in value:
        return Spec.from_json(value)
    if isinstance(value, list):
        return tuple(_revived(v) for v in value)
    return value


class Registry(Generic[T]):
    """Names to constructors of one axis; a constructor's signature is its schema.

    Parameters
    ----------
    axis : str
        What the entries are, for messages: "code", "likelihood".
    """

    def __init__(self, axis: str) -> None:
        self.axis = axis
        self._entries: dict[str, Callable[..., T]] = {}

    def register(self, kind: str) -> Callable[[type[T]], type[T]]:
        """A class decorator that enters the class under ``kind``."""

        def enter(cls: type[T]) -> type[T]:
            self._entries[kind] = cls
            return cls

        return enter

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, kind: object) -> bool:
        return kind in self._entries

    def __getitem__(self, kind: str) -> Callable[..., T]:
        if kind not in self._entries:
            raise SpecError(f"there is no {self.axis} '{kind}'. {nearest(kind, self._entries)}")
        return self._entries[kind]

    def options(
        self, kind: str, given: frozenset[str] = frozenset()
    ) -> dict[str, inspect.Parameter]:
        """The options of a kind, less those that the model itself fills in."""
        parameters = inspect.signature(self[kind]).parameters
        return {name: p for name, p in parameters.items() if name not in given}

    def check(self, spec: Spec, given: frozenset[str] = frozenset()) -> None:
        """Raise ``SpecError`` if the kind or one of the options does not exist."""
        known = self.options(spec.kind, given)
        for name in spec.options:
            if name not in known:
                raise SpecError(
                    f"{self.axis} '{spec.kind}' has no option '{name}'. {nearest(name, known)}"
                )

    def build(self, spec: Spec | str, **given: Any) -> T:
        """Construct the part that ``spec`` names.

        Parameters
        ----------
        spec : Spec or str
        **given
            What the model knows (dimensions, levels): passed where the constructor asks for it,
            left out where it does not.

        Raises
        ------
        SpecError
            If the kind or an option is unknown, or a value is refused.
        """
        spec = Spec.from_json(spec)
        cls = self[spec.kind]
        self.check(spec, frozenset(given))
        wanted = inspect.signature(cls).parameters
        filled = {name: value for name, value in given.items() if name in wanted}
        try:
            return cls(**filled, **spec.options)
        except (TypeError, ValueError) as error:
            if isinstance(error, SpecError):
                raise
            raise SpecError(f"{self.axis} '{spec.kind}': {error}") from error
