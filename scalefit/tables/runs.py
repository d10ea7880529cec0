"""A table of runs as it was read: Arrow columns, what they mean, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from scalefit.core.notes import Note
from scalefit.core.numbers import counted
from scalefit.core.observations import BoolArray, IntArray
from scalefit.core.records import dataclass, replace
from scalefit.tables.arrays import codes


@dataclass(frozen=True)
class Exclusion:
    """One row that is not used, and why.

    Attributes:
        row: Number of the row in the source, counted from 1 below the header.
        reason: In words, with the column and the value.
    """

    row: int
    reason: str


@dataclass(frozen=True, repr=False)
class RunTable:
    """Runs, one row each (or one row per checkpoint), and where they came from.

    Attributes:
        table: Arrow table. A column that plays a role is named by the role (`N`, `D`, `C`, `L`,
            `run`, `group`, ...) and numeric roles are float64 without nulls; the other columns
            keep their own names and types. The field metadata of a role holds `role`, `unit` and
            `source` (the column's name in the file, or the rule it was derived by).
        columns: Role to the name of its column in the file; derived roles are not in it.
        derived: Role to the rule it was derived by, such as `C` to `6ND`.
        source: Path as given, `-` for standard input, or `memory`.
        sha256: Of the bytes that were read.
        rows_read: Data rows in the source.
        row: Number of each row of `table` in the source, counted from 1, shape (rows,).
        excluded: Rows of the source that are not in `table`.
        notes: Doubts about the data that arose while it was read.
    """

    table: pa.Table
    columns: Mapping[str, str]
    derived: Mapping[str, str]
    source: str
    sha256: str
    rows_read: int
    row: IntArray
    excluded: tuple[Exclusion, ...] = ()
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        """How many rows of what, and the roles that are played."""
        rows = f"{counted(self.rows, 'row')} of {self.source}"
        out = f", {len(self.excluded)} excluded" if self.excluded else ""
        return f"RunTable({rows}{out}: {', '.join(self.table.column_names)})"

    @property
    def unread(self) -> tuple[str, ...]:
        """Columns of the source that are not in the table."""
        known = {*self.columns.values(), *self.table.column_names}
        return tuple(name for name in self._listed("names") if name not in known)

    @property
    def offered(self) -> tuple[str, ...]:
        """Those of them that may play a role: not those that are seen to hold words."""
        words = self._listed("words")
        return tuple(name for name in self.unread if name not in words)

    def _listed(self, fact: str) -> list[str]:
        found: list[str] = json.loads((self.table.schema.metadata or {}).get(fact.encode(), b"[]"))
        return found

    @property
    def rows(self) -> int:
        """Rows in use."""
        return int(self.table.num_rows)


def taken(table: RunTable, chosen: BoolArray) -> RunTable:
    """Some rows of a table."""
    return replace(table, table=table.table.filter(pa.array(chosen)), row=table.row[chosen])


def labels(table: RunTable, column: str) -> list[str]:
    """The text of a column, which may have been read under its role's name."""
    played = next((role for role, name in table.columns.items() if name == column), column)
    place, words = codes(table.table.column(played))
    return [words[k] for k in place]


def split(table: RunTable, column: str) -> dict[str, RunTable]:
    """The rows of each value of a column, in the order in which values appear."""
    names = np.array(labels(table, column), dtype=object)
    return {name: taken(table, names == name) for name in dict.fromkeys(names.tolist())}
