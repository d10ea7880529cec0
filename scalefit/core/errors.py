"""What stops the work: an error means that there is no number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ALIKE = 0.7  # two slips in a word of six letters, or one in a word of four


class ScalefitError(Exception):
    """Anything scalefit refuses, with what to do next.

    Attributes:
        hint: What to type or change; may be empty.
        exit_code: Exit status of the command line, as the README lists them.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the message and the hint apart, so that the door prints them on two lines."""
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """As it stands, whatever it was made from: other processes hand errors back."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[ScalefitError], told: tuple[Any, ...], kept: dict[str, Any]) -> ScalefitError:
    error = kind.__new__(kind)
    error.args = told
    error.__dict__.update(kept)
    return error


class InputError(ScalefitError):
    """The data or an argument is wrong."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` may be a slip or the beginning of; empty if none is like it.

    >>> nearest("chinchila", ["chinchilla", "kaplan"]), nearest("boot", ["bootstrap"])
    ('chinchilla', 'bootstrap')
    >>> nearest("mle", ["mse", "t"])
    ''
    """
    from difflib import get_close_matches  # here, since most commands end without an error

    folded = {other.casefold(): other for other in known}
    bare = name.casefold()
    near = get_close_matches(bare, folded, n=1, cutoff=_ALIKE)
    begun = [other for other in folded if len(bare) > 1 and other.startswith(bare)]
    return folded[(near or sorted(begun, key=len)[:1])[0]] if near or begun else ""


class UnknownName(InputError):
    """No part of that name; offers the nearest known one."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        """Name what was asked for and what there is."""
        names = sorted(known)
        near = nearest(name, names)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(names)}"
        super().__init__(f"no {what} is called {name!r}", hint)


class ConfigError(InputError):
    """A key or a value in a config is wrong."""


class FitError(ScalefitError):
    """No usable estimate exists."""

    exit_code = 3


class GateFailed(ScalefitError):
    """A gate that the user asked for did not pass."""

    exit_code = 1


class OutputError(ScalefitError):
    """A file could not be written."""

    exit_code = 4


class MissingPackage(ScalefitError):
    """An optional package is not installed; the hint names the extra."""

    exit_code = 5
