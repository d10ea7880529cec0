"""Parts by name: filled at import and never after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from scalefit.core.errors import UnknownName


class Named(Protocol):
    """Anything that carries its own name."""

    @property
    def name(self) -> str:
        """Kebab-case name, unique in its registry."""
        ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Parts of one kind, found by name.

    >>> from types import SimpleNamespace
    >>> laws = Registry("law")
    >>> laws.add(SimpleNamespace(name="power")).name
    'power'
    >>> laws.get("powr")
    Traceback (most recent call last):
    scalefit.core.errors.UnknownName: no law is called 'powr'
    """

    def __init__(self, what: str) -> None:
        """Start empty; `what` is the word used in messages."""
        self.what = what
        self._parts: dict[str, T] = {}

    def add(self, part: T) -> T:
        """Take a part in and give it back, so that `add` can decorate a class."""
        if part.name in self._parts:
            raise ValueError(f"two {self.what}s are called {part.name!r}")
        self._parts[part.name] = part
        return part

    def get(self, name: str) -> T:
        """The part of that name.

        Raises:
            UnknownName: there is none; the hint offers the nearest.
        """
        try:
            return self._parts[name]
        except KeyError:
            raise UnknownName(self.what, name, self._parts) from None

    def names(self) -> tuple[str, ...]:
        """Every name, in the order in which the parts were added."""
        return tuple(self._parts)

    def values(self) -> tuple[T, ...]:
        """Every part, in the order in which they were added."""
        return tuple(self._parts.values())

    def __contains__(self, name: object) -> bool:
        """Whether a part of that name is known."""
        return name in self._parts

    def __iter__(self) -> Iterator[T]:
        """Every part, in the order in which they were added."""
        return iter(self._parts.values())
