"""What users of the library hand over, checked where it comes in: a slip is told in their words."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalefit.core.errors import InputError
from scalefit.core.numbers import parse_human, shown
from scalefit.core.observations import Array
from scalefit.laws.base import Law
from scalefit.laws.text import named
from scalefit.tables.runs import RunTable


def kind(value: object) -> str:
    """What a thing is, as a sentence names it.

    >>> kind([1]), kind(None)
    ('of type list', 'None')
    """
    return "None" if value is None else f"of type {type(value).__name__}"


def require_runs(runs: object) -> None:
    """Nothing, if these are runs as `read` gives them.

    Raises:
        InputError: they are not.
    """
    if not isinstance(runs, RunTable):
        raise InputError(
            f"the runs are {kind(runs)}, must be a table of runs",
            "read them first: scalefit.read(PATH or a table); runs come before laws",
        )


def law_of(law: object) -> Law:
    """The law itself, or that of a name.

    Raises:
        UnknownName: no law has the name.
        InputError: it is neither.
    """
    if isinstance(law, Law):
        return law
    if law == "auto":
        raise InputError(
            "auto is an average of laws and has no parameters of its own",
            "rank laws with scalefit.compare; the command averages: scalefit predict --law auto",
        )
    if not isinstance(law, str):
        hint = "give one name, such as 'chinchilla'; scalefit.compare takes several"
        raise InputError(f"the law is {kind(law)}, must be a name or a Law", hint)
    return named(law)


def require_mapping(what: str, given: object, example: str) -> None:
    """Nothing, if a thing maps names to values, or is None.

    Raises:
        InputError: it does not.
    """
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"{what} is {kind(given)}, must map names to values", f"write {example}")


def held(fix: object, bound: object) -> None:
    """Nothing, if `fix` maps to numbers and `bound` to pairs of them.

    Raises:
        InputError: one does not.
    """
    require_mapping("fix", fix, "fix={'alpha': 0.34}")
    require_mapping("bound", bound, "bound={'alpha': (0.2, 0.5)}")
    for name, value in dict(fix or {}).items():  # type: ignore[call-overload]
        number(f"fix of {name}", value)
    for name, ends in dict(bound or {}).items():  # type: ignore[call-overload]
        if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
            raise InputError(
                f"bound of {name} is {shown(repr(ends))}, must be two numbers",
                f"write bound={{'{name}': (LOW, HIGH)}}",
            )
        for end in ends:
            number(f"bound of {name}", end)


def number(what: str, value: object) -> float:
    """A number as one.

    Raises:
        InputError: it is none.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise InputError(f"{what} is {shown(repr(value))}, must be a number")
    return float(value)


def whole(what: str, value: object, least: int = 0) -> int:
    """A whole number of at least so much.

    Raises:
        InputError: it is none, or less.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{what} is {shown(repr(value))}, must be a whole number from {least}")
    return int(value)


def values(what: str, given: Any) -> Array:
    """Numbers, or words for them such as `7B`, as an array of one axis.

    Raises:
        InputError: one is no number, or there is more than one axis.
    """
    if isinstance(given, str):
        return np.array([parse_human(given)])
    try:
        found = np.atleast_1d(np.asarray(given))
        if found.dtype.kind in "US":
            return np.array([parse_human(word) for word in found.tolist()])
        found = found.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{what} is {shown(repr(given))}, must be numbers", "write them as 7e9, or '7B'"
        ) from None
    if found.ndim > 1:
        raise InputError(f"{what} has shape {found.shape}, must be a list of numbers")
    if not found.size:
        raise InputError(f"{what} holds no number", "give at least one")
    return found


def points_of(given: object) -> dict[str, Array]:
    """Each input to its values at m points, one value standing for all of them.

    Raises:
        InputError: this is no mapping, a value is no number, or lengths differ.
    """
    if not isinstance(given, Mapping):
        raise InputError(
            f"the points are {kind(given)}, must map each input to its values",
            "write {'N': [7e9, 7e10], 'D': [1.4e11, 1.4e12]}",
        )
    found = {str(name): values(str(name), given[name]) for name in given}
    most = max((v.size for v in found.values()), default=0)
    lengths = {name: v.size for name, v in found.items() if v.size not in (1, most)}
    if lengths:
        told = ", ".join(f"{v.size} of {name}" for name, v in found.items())
        raise InputError(f"the inputs of the points differ in length: {told}", "give as many each")
    return {name: np.broadcast_to(v, (most,)).copy() for name, v in found.items()}
