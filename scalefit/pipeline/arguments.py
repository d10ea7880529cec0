"""What users of the library hand over, checked where it comes in: a slip is told in their words.

Messages are written once, in the words of the command line; whoever calls a verb in Python reads
them in the words of Python.
"""

from __future__ import annotations

import functools
import numbers
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scalefit.core.errors import InputError, ScalefitError
from scalefit.core.numbers import parse_human, shown
from scalefit.core.observations import Array
from scalefit.laws.base import Law
from scalefit.laws.text import named
from scalefit.tables.runs import RunTable

# Of a value: what is quoted, and what holds no space; a comma only before a further pair.
_VALUE = r"""(?:'[^']*'|"[^"]*"|[^\s,;()'"]|,(?=\w+=))+"""
# A command stays as it is; else a flag, and what may be its value.
_FLAG = re.compile(
    rf"scalefit [a-z]+ [^;,()]*|--(?P<flag>[a-z][a-z-]*)(?:(?P<space> )(?P<value>{_VALUE}))?"
)
_SWITCHES = frozenset({"last", "drop-diverged", "remote", "i-know", "allow-unconverged"})
_PAIRED = {"col": "columns", "fix": "fix", "bound": "bound", "at": ""}
_LISTED = frozenset({"na", "keep"})
_COUNTED = frozenset({"smooth", "level", "draws", "seed", "jobs"})
_NAMED = frozenset({"law", "x", "objective", "interval", "cluster", "solver", "reader"})
# After a flag that stands for itself the sentence goes on.
_WORDS = frozenset({"and", "or", "at", "is", "has", "needs", "to"})


def spoken(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with its errors in the words of Python."""

    @functools.wraps(verb)
    def said(*given: Any, **named: Any) -> Any:
        try:
            return verb(*given, **named)
        except ScalefitError as error:
            error.args = (in_python(str(error)),)
            error.hint = in_python(error.hint)
            raise

    return said


def in_python(text: str) -> str:
    """A message with the arguments of Python in place of the flags of the command line.

    >>> in_python("leave such rows out: --where 'N > 0', or ask for it: --col N=params")
    "leave such rows out: where='N > 0', or ask for it: columns={'N': 'params'}"
    >>> in_python("leave out --fix or --bound, see scalefit explain at-bound")
    'leave out fix or bound, see scalefit explain at-bound'
    """
    return _FLAG.sub(_argument, text).replace("} columns={", ", ")


def _argument(found: re.Match[str]) -> str:
    flag, written = found["flag"], found["value"] or ""
    if flag is None:
        return found[0]
    name = _PAIRED.get(flag, flag.replace("-", "_"))
    rest = f"{found['space'] or ''}{written}"
    if flag in _SWITCHES:
        return f"{name}=True{rest}"
    bare = written.rstrip(".:?")
    tail = written[len(bare) :]
    try:
        value = "".join(shlex.split(bare))
    except ValueError:
        return found[0]
    if flag in _PAIRED and "=" in value:
        pairs = [value] if flag == "col" else value.split(",")
        told = ", ".join(_pair(flag, *pair.split("=", 1)) for pair in pairs if "=" in pair)
        return f"{name}={{{told}}}{tail}" if name else f"{{{told}}}{tail}"
    if flag in _LISTED and value:
        return f"{name}=[{value!r}]{tail}"
    quoted = flag == "where" and bare[:1] in {"'", '"'}
    if quoted or (flag in _NAMED and value and value not in _WORDS):
        return f"{name}={value!r}{tail}"
    if flag in _COUNTED and re.fullmatch(r"[\d.]+", value):
        return f"{name}={value}{tail}"
    known = name and flag in {*_PAIRED, *_LISTED, *_COUNTED, *_NAMED, "where"}
    return f"{name}{rest}" if known else found[0]


def _pair(flag: str, name: str, value: str) -> str:
    """A name and its value, as Python writes them: placeholders as they are, columns quoted."""
    if flag == "bound":
        value = f"({value.replace(':', ', ')})"
    return f"{name!r}: {value!r}" if flag == "col" else f"{name!r}: {value}"


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


def name(what: str, value: object, example: str) -> str:
    """A name as one.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, str):
        raise InputError(f"{what} is {kind(value)}, must be a name", f"write {example}")
    return value


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
        if found.dtype.kind in "bc":
            raise TypeError("NumPy would make numbers of them")
        found = found.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
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
