"""Parts by name: filled when they are asked for, by the modules that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from scalefit.core.errors import UnknownName


def modules_of(path: Iterable[str]) -> list[str]:
    """Names of the modules of a package, in order, from its `__path__`.

    As `pkgutil.iter_modules`, which takes longer to import and to ask than what it finds.
    """
    files = (file for folder in path for file in Path(folder).iterdir())
    return sorted({file.stem for file in files if file.suffix == ".py"} - {"__init__"})


def import_all(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, in order: what it adds to a registry is there then."""
    for name in modules_of(path):
        import_module(f"{package}.{name}")


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

    def __init__(self, what: str, package: str = "") -> None:
        """Start empty; `what` is the word used in messages.

        With the name of a package, every module of it that adds a part is found by itself: the one
        called like the part where one is asked for by name, else all of them.
        """
        self.what = what
        self._package = package
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
        if name not in self:
            raise UnknownName(self.what, name, self._parts)
        return self._parts[name]

    def names(self) -> tuple[str, ...]:
        """Every name, in the order in which the parts were added; of a package in their own."""
        self._fill()
        return tuple(self._parts)

    def values(self) -> tuple[T, ...]:
        """Every part, in the order of `names`."""
        self._fill()
        return tuple(self._parts.values())

    def __contains__(self, name: object) -> bool:
        """Whether a part of that name is known."""
        if name in self._parts:
            return True
        own = str(name).replace("-", "_")
        if self._package and own.isidentifier():
            home = import_module(self._package)
            if own in modules_of(home.__path__):
                import_module(f"{self._package}.{own}")
        if name not in self._parts:
            self._fill()
        return name in self._parts

    def __iter__(self) -> Iterator[T]:
        """Every part, in the order of `names`."""
        return iter(self.values())

    def _fill(self) -> None:
        """Import what the package holds, once."""
        if self._package:
            home, self._package = import_module(self._package), ""
            import_all(home.__name__, home.__path__)
            self._parts = dict(sorted(self._parts.items()))
