"""Forms in which one JSON document holds a table, turned into a list of records.

Besides records themselves, as `{"runs": [...]}` or by name, these are what pandas writes: columns
of cells by row (its default), lists of cells by column, and `columns` beside `data` (`split`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def records(document: Any) -> list[Any]:
    """The records of a document; the document alone where it has no such form."""
    if isinstance(document, dict) and document:
        for form in (_split, _wrapped, _lists, _mappings):
            found = form(document)
            if found is not None:
                return found
    return [document]


def _split(document: dict[str, Any]) -> list[Any] | None:
    """Names of columns beside rows of cells."""
    names, rows = document.get("columns"), document.get("data")
    if (
        not set(document) <= {"columns", "data", "index"}
        or not _texts(names)
        or not _lists_of(rows)
    ):
        return None
    assert isinstance(names, list)
    assert isinstance(rows, list)
    if any(len(row) != len(names) for row in rows) or len(set(names)) < len(names):
        return None
    return [dict(zip(names, row, strict=True)) for row in rows]


def _wrapped(document: dict[str, Any]) -> list[Any] | None:
    """A list of records under one key."""
    (first, *more) = document.values()
    if more or not isinstance(first, list) or not all(isinstance(one, dict) for one in first):
        return None
    return first or None


def _lists(document: dict[str, Any]) -> list[Any] | None:
    """A list of cells for each column."""
    columns = list(document.values())
    if not _lists_of(columns) or len({len(column) for column in columns}) > 1 or not columns[0]:
        return None
    if not all(_plain(column) for column in columns):
        return None
    return [dict(zip(document, row, strict=True)) for row in zip(*columns, strict=True)]


def _mappings(document: dict[str, Any]) -> list[Any] | None:
    """Cells by row for each column, or records by name; both have the same keys in every part.

    What is numbered by 0, 1, 2 are rows; anything else names columns.
    """
    parts = list(document.values())
    if len(parts) < 2 or not all(isinstance(part, dict) and part for part in parts):
        return None
    inner = list(parts[0])
    if any(set(part) != set(inner) or not _plain(part.values()) for part in parts):
        return None
    if all(name.isdecimal() for name in inner):
        return [{name: part[row] for name, part in document.items()} for row in inner]
    return [{"run": name, **part} for name, part in document.items()]


def _plain(cells: Any) -> bool:
    return not any(isinstance(cell, dict | list) for cell in cells)


def _texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(one, str) for one in found)


def _lists_of(found: Any) -> bool:
    return isinstance(found, Sequence) and bool(found) and all(isinstance(o, list) for o in found)
