"""Frozen dataclasses whose comparison, text and guard are shared code.

`dataclasses` writes and compiles six functions for each frozen class, and until Python 3.13 each by
itself: a third of what importing the library took. Only the constructor has to be written for each.
"""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        cls: Any = None, /, *, frozen: bool = False, eq: bool = True, repr: bool = True
    ) -> Any:
        """As `dataclasses.dataclass`, of whose settings it takes these three."""

        def made(cls: Any) -> Any:
            if not frozen:
                return dataclasses.dataclass(cls, eq=eq, repr=repr)
            shared = {"__setattr__": _set_once, "__delattr__": _refuse}
            if eq:
                shared |= {"__eq__": _equal, "__hash__": _hash}
            if repr:
                shared["__repr__"] = _text
            for name, function in shared.items():
                if name not in vars(cls):
                    setattr(cls, name, function)
            found = dataclasses.dataclass(cls, eq=False, repr=False)
            found.__record_fields__ = frozenset(field.name for field in dataclasses.fields(found))
            return found

        return made if cls is None else made(cls)


def _values(record: Any) -> tuple[Any, ...]:
    return tuple(
        getattr(record, field.name) for field in dataclasses.fields(record) if field.compare
    )


def _set_once(self: Any, name: str, value: Any) -> None:
    """What the constructor does, and nobody after it."""
    if name in self.__dict__ or name not in self.__record_fields__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _refuse(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _equal(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _text(self: Any) -> str:
    fields = (f for f in dataclasses.fields(self) if f.repr)
    inside = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields)
    return f"{self.__class__.__qualname__}({inside})"
