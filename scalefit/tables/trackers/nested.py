"""JSON documents, and nested settings as flat names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scalefit.core.errors import InputError
from scalefit.core.numbers import parse_plain
from scalefit.tables.trackers.base import Cell

# An integer with a zero in front is a label, and one of more digits no exact double.
_INT = re.compile(r"-?(0|[1-9][0-9]{0,14})", re.ASCII)
_DEEPEST = 32
_LONGEST_LIST = 4096


def parse_json(text: str | bytes, where: str) -> Any:
    """The value a JSON text holds; NaN and Infinity are taken, as Python's writers spell them.

    Raises:
        InputError: it is no JSON, or nested too deeply. `where` names it.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{where} is nested too deeply", "this is no log") from None
    except UnicodeDecodeError:
        raise InputError(f"{where} is not UTF-8", "copy the file again") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}, line {error.lineno}, column {error.colno} is no JSON: {error.msg}",
            "the file is damaged or cut; copy it again",
        ) from None
    except ValueError:
        raise InputError(f"{where} holds a number of too many digits", "mend it") from None


def typed(text: str) -> Cell:
    """A text as the number it spells, or as it is; for trackers that write every value as text.

    >>> typed("3e-4"), typed("12"), typed("1e400"), typed("adamw")
    (0.0003, 12, '1e400', 'adamw')
    """
    if _INT.fullmatch(text):
        return int(text)
    try:
        return parse_plain(text)
    except InputError:
        return text


def flat(settings: Mapping[str, Any]) -> dict[str, Cell]:
    """Nested settings by names joined by dots; a list becomes its JSON, null is left out.

    >>> flat({"model": {"width": 64, "norm": None}, "betas": [0.9, 0.95], "name": "a"})
    {'model.width': 64, 'betas': '[0.9, 0.95]', 'name': 'a'}
    """
    found: dict[str, Cell] = {}
    # Siblings come back in their order because the last one is pushed first.
    stack: list[tuple[str, Any, int]] = [("", settings, 0)]
    while stack:
        name, value, depth = stack.pop()
        if isinstance(value, Mapping) and depth < _DEEPEST:
            dot = f"{name}." if name else ""
            stack += [(f"{dot}{key}", own, depth + 1) for key, own in reversed(list(value.items()))]
        elif isinstance(value, bool | int | float | str):
            found[name] = value
        elif isinstance(value, list | tuple):
            text = json.dumps(value, default=str)
            if len(text) <= _LONGEST_LIST:
                found[name] = text
    return found
