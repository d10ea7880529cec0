"""Dataclasses that cost next to nothing until they are used.

`dataclasses` reads the annotations of each class and writes, compiles and runs functions for it: a
third of what importing the library took. Here constructor, comparison, text and guard are shared
code, and what `dataclasses` itself asks of a class is made when somebody asks.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, Field, FrozenInstanceError
from threading import RLock
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "names_of", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:

    def dataclass(
        cls: Any = None, /, *, frozen: bool = False, eq: bool = True, repr: bool = True
    ) -> Any:
        """As `dataclasses.dataclass`, of whose settings it takes these three."""

        def made(cls: Any) -> Any:
            shared: dict[str, Any] = {"__init__": _fill}
            if frozen:
                shared |= {"__setattr__": _set_once, "__delattr__": _refuse}
            if eq:
                shared |= {"__eq__": _equal, "__hash__": _hash if frozen else None}
            if repr:
                shared["__repr__"] = _text
            for name, function in shared.items():
                if name not in vars(cls):
                    setattr(cls, name, function)
            for name, make in _LATER.items():
                setattr(cls, name, _Later(cls, name, make))
            return cls

        return made if cls is None else made(cls)

    def replace(record: Any, /, **changes: Any) -> Any:
        """As `dataclasses.replace`."""
        held = record.__dict__
        return type(record)(**{name: held[name] for name in names_of(record)} | changes)


def names_of(record: Any) -> tuple[str, ...]:
    """Names of the fields of a record or of its class, in order."""
    return tuple(record.__record__)


class _Later:
    """Stands in a class for what is made when somebody asks."""

    def __init__(self, cls: type, name: str, make: Any) -> None:
        self.cls, self.name, self.make = cls, name, make

    def __get__(self, instance: object, owner: type) -> Any:
        with _making:
            if vars(self.cls)[self.name] is self:
                made = self.make(self.cls)
                setattr(self.cls, self.name, made)
        return getattr(owner, self.name)


_making = RLock()  # a class is made after those it derives from
_NONE: Any = object()


def _record(cls: Any) -> dict[str, tuple[Any, Any]]:
    """Each field's default, or _NONE, and what makes one, or None."""
    found: dict[str, tuple[Any, Any]] = {}
    for base in cls.__mro__[:0:-1]:
        if "__record__" in vars(base):
            found |= base.__record__
    for name, annotation in cls.__annotations__.items():
        if str(annotation).removeprefix("typing.").startswith("ClassVar"):
            continue
        default: Any = vars(cls).get(name, _NONE)
        factory: Any = None
        if isinstance(default, Field):
            default, factory = default.default, default.default_factory
            default = _NONE if default is MISSING else default
            factory = None if factory is MISSING else factory
        found[name] = default, factory
    return found


def _fields(cls: Any) -> Any:
    _ = cls.__record__  # before the defaults leave the class
    dataclasses.dataclass(cls, init=False, eq=False, repr=False)
    return cls.__dataclass_fields__


def _signature(cls: Any) -> Any:
    from inspect import Parameter, Signature, get_annotations, signature

    if vars(cls)["__init__"] is not _fill:
        whole = signature(cls.__init__)
        return whole.replace(parameters=list(whole.parameters.values())[1:])
    annotations: dict[str, Any] = {}
    for base in cls.__mro__[::-1]:
        annotations |= get_annotations(base)
    parameters = []
    for name, (default, factory) in cls.__record__.items():
        shown = _Made() if factory else Parameter.empty if default is _NONE else default
        kind, annotation = Parameter.POSITIONAL_OR_KEYWORD, annotations[name]
        parameters.append(Parameter(name, kind, default=shown, annotation=annotation))
    return Signature(parameters)


class _Made:
    """Stands in a signature for a default that is made anew each time."""

    def __repr__(self) -> str:
        return "<factory>"


_LATER = {
    "__record__": _record,
    "__dataclass_fields__": _fields,
    "__match_args__": names_of,
    "__signature__": _signature,
}


def _fill(self: Any, *args: Any, **kwargs: Any) -> None:
    """The constructor: a value for each field, by place or by name, or its default."""
    fields, values = self.__record__, self.__dict__
    if len(args) > len(fields):
        raise TypeError(f"{type(self).__name__} takes {len(fields)} values, not {len(args)}")
    values.update(zip(fields, args, strict=False))
    for name in kwargs:
        if name in values or name not in fields:
            wrong = "is given twice" if name in fields else "is no field"
            raise TypeError(f"{type(self).__name__}: {name!r} {wrong}")
    values.update(kwargs)
    if len(values) < len(fields):
        for name, (default, factory) in fields.items():
            if name not in values:
                if default is _NONE and factory is None:
                    raise TypeError(f"{type(self).__name__}: {name!r} is missing")
                values[name] = factory() if factory else default
    begin = getattr(self, "__post_init__", None)
    if begin:
        begin()


def _set_once(self: Any, name: str, value: Any) -> None:
    """What a constructor may do, and nobody after it."""
    if name in self.__dict__ or name not in self.__record__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _refuse(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _values(record: Any) -> tuple[Any, ...]:
    fields = dataclasses.fields(record)
    return tuple(getattr(record, field.name) for field in fields if field.compare)


def _equal(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _text(self: Any) -> str:
    fields = (f for f in dataclasses.fields(self) if f.repr)
    inside = (f"{f.name}={getattr(self, f.name)!r}" for f in fields)
    return f"{self.__class__.__qualname__}({', '.join(inside)})"
