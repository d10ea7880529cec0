"""JSON: the document of a report, exactly one, the same bytes each time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from scalefit.core.records import dataclass
from scalefit.tables.reports.base import FORMATS, Report


@dataclass(frozen=True)
class Json:
    """Sorted keys, finite numbers only, floats to the last bit, ASCII."""

    name: ClassVar[str] = "json"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def render(self, report: Report) -> bytes:
        """The document of the report."""
        return document_text(report.document, indent=2).encode("ascii") + b"\n"


def document_text(document: Mapping[str, Any], *, indent: int | None = None) -> str:
    r"""A document as ASCII text, every mark outside ASCII as a code.

    >>> document_text({"b": float("nan"), "a": (1, "\x1b")})
    '{"a":[1,"\\u001b"],"b":null}'
    """
    return json.dumps(
        plain(document),
        sort_keys=True,
        allow_nan=False,
        indent=indent,
        separators=(",", ": ") if indent else (",", ":"),
    )


def plain(value: Any) -> Any:
    """`value` in the types that JSON knows; a number that is not finite becomes None.

    Raises:
        TypeError: `value` holds something that has no place in a document.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        # float() drops the subclass np.float64, whose repr names its type.
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    raise TypeError(f"a {type(value).__name__} has no place in a document")


JSON = FORMATS.add(Json())
