"""Comma or tab separated logs that may end in the middle of a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.tables.doubts import LOG_DAMAGED
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import History, as_float, is_number, whole
from scalefit.tables.trackers.nested import typed

LONGEST_HEADER = 1024**2


def whole_lines(source: Source) -> tuple[str, list[Note]]:
    """The text up to its last end of line: a number may have been cut after that.

    Raises:
        InputError: the file is too large, or is not UTF-8.
    """
    try:
        text = whole(source).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{source.name} is not UTF-8", "the file is damaged") from None
    end = max(text.rfind("\n"), text.rfind("\r")) + 1
    if end == len(text):
        return text, []
    # A whole last line has as many cells as the others, but nobody knows its last digits.
    told = f"{source.name} ends in the middle of a line; that line is not read"
    return text[:end], [LOG_DAMAGED.note(told)]


def header(source: Source, separator: str = ",") -> list[str]:
    """The cells of the first line, as far as the first bytes hold them; empty if it is no text."""
    first = source.head().removeprefix(b"\xef\xbb\xbf").splitlines()[:1]
    try:
        return next(csv.reader([b"".join(first).decode()], delimiter=separator), [])
    except (UnicodeDecodeError, csv.Error):
        return []


def records(text: str, name: str, separator: str = ",") -> Iterator[dict[str, str]]:
    """Cells by column name; blank ones are left out, and so are lines of another length.

    Raises:
        InputError: the text is not of this form.
    """
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        names = next(rows, [])
        for cells in rows:
            if len(cells) == len(names):
                yield {key: cell for key, cell in zip(names, cells, strict=True) if cell.strip()}
    except csv.Error as error:
        raise InputError(
            f"{name}, line {rows.line_num} cannot be read: {error}", "the file is damaged"
        ) from None


def add_cells(history: History, step: float, cells: dict[str, str]) -> None:
    """Every cell that spells a number; `nan` and `inf` are numbers, for loggers write them."""
    for name, cell in cells.items():
        value = _ODD.get(cell.strip().lower(), typed(cell.strip()))
        if is_number(value):
            history.add(name, step, as_float(value))


_ODD = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
