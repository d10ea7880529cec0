"""What stops the work: an error means that there is no number."""

from __future__ import annotations

from collections.abc import Iterable


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


class InputError(ScalefitError):
    """The data or an argument is wrong."""


class UnknownName(InputError):
    """No part of that name; offers the nearest known one."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        """Name what was asked for and what there is."""
        from difflib import get_close_matches  # here, since most commands end without an error

        names = sorted(known)
        near = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
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
