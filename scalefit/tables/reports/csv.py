"""CSV: the first table of a report, unrounded, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any, ClassVar

from scalefit.core.errors import InputError
from scalefit.core.numbers import parse_plain
from scalefit.core.records import dataclass
from scalefit.tables.reports.base import FORMATS, Report, first_table, literal

# Spreadsheets take a cell that begins so for a formula; some read the full-width forms too.
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Csv:
    """One row each, comma separated, UTF-8, lines ended by a newline."""

    name: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    def render(self, report: Report) -> bytes:
        """The table of the first section that has one.

        Raises:
            InputError: the report holds no table.
        """
        table = first_table(report)
        # Two columns may share a name, so rows are read by position.
        columns = [column.to_pylist() for column in table.columns]
        text = StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([cell(name) for name in table.column_names])
        writer.writerows([cell(value) for value in row] for row in zip(*columns, strict=True))
        return text.getvalue().encode("utf-8")


def cell(value: Any) -> str:
    """One value as CSV text: floats to the last bit, text never a live formula, null empty.

    >>> cell(-1.5), cell("-1.5"), cell("=1+1"), cell(None), cell(True)
    ('-1.5', '-1.5', "'=1+1", '', 'true')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    text = str(value)
    live = text.lstrip(" ").startswith(_STARTS_FORMULA) and not _is_number(text)
    return f"'{literal(text)}" if live else literal(text)


def _is_number(text: str) -> bool:
    """Whether `text` spells a plain number and nothing around it but spaces."""
    try:
        parse_plain(text)
    except InputError:
        return False
    return not text.startswith(("\t", "\r"))


CSV = FORMATS.add(Csv())
