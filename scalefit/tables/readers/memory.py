"""Tables that are in memory already: anything that speaks the Arrow C stream interface."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.observations import Array
from scalefit.tables.arrays import column_of, floats
from scalefit.tables.readers.base import CellError, Loaded
from scalefit.tables.readers.cells import human_note, is_human, number


@dataclass(frozen=True)
class Memory:
    """An Arrow table as a source."""

    table: pa.Table

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their order."""
        return tuple(self.table.column_names)

    @property
    def notes(self) -> tuple[Note, ...]:
        """None: a table in memory has its shape."""
        return ()

    def load(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str] = ()
    ) -> Loaded:
        """The named columns, numbers as float64 and texts as strings.

        Raises:
            CellError: a value is infinite, or text that is no number.
        """
        notes: list[Note] = []
        arrays: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {}
        for name in numbers:
            arrays[name] = column_of(self._floats(name, na, notes))
        for name in texts:
            arrays[name] = _as_text(self.table.column(name), name)
        return Loaded(pa.table(arrays), tuple(notes), lambda row: f"row {row}", self._cell)

    def sha256(self) -> str:
        """Hash of the table as one Arrow stream."""
        sink = pa.BufferOutputStream()
        whole = self.table.combine_chunks().replace_schema_metadata(None)
        with pa.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_table(whole)
        return hashlib.sha256(sink.getvalue()).hexdigest()

    def _cell(self, row: int, column: str) -> str:
        return str(self.table.column(column)[row - 1].as_py())

    def _floats(self, name: str, na: Collection[str], notes: list[Note]) -> Array:
        column = self.table.column(name)
        kind = column.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            values = floats(column.cast(pa.float64(), safe=False))
        elif pa.types.is_null(kind):
            values = np.full(len(column), np.nan)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            values = self._parsed(name, na, notes)
        else:
            raise CellError(
                f"table, column {shown(name)!r}: {kind} is no number",
                "cast it to float64, or map another column",
                name,
            )
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0]) + 1
            raise CellError(
                f"table, row {row}, column {shown(name)!r}: {values[row - 1]} is not finite",
                "a run that diverged has no loss: leave it null",
                name,
            )
        return values

    def _parsed(self, name: str, na: Collection[str], notes: list[Note]) -> Array:
        cells = ["" if cell is None else cell for cell in self.table.column(name).to_pylist()]
        values = np.full(len(cells), math.nan)
        for row, cell in enumerate(cells, start=1):
            try:
                values[row - 1] = number(cell, na)
            except InputError as error:
                where = f"table, row {row}, column {shown(name)!r}: {error}"
                raise CellError(where, error.hint, name) from None
        readable = [i for i, cell in enumerate(cells) if is_human(cell)]
        if readable:
            notes.append(human_note(name, cells[readable[0]], values[readable[0]], len(readable)))
        return values


def open_memory(given: Any) -> Memory:
    """A table in memory, from any object with `__arrow_c_stream__`.

    Raises:
        InputError: the object is no table, is damaged, or has a column name twice.
    """
    try:
        table = given if isinstance(given, pa.Table) else pa.table(given)
        table.validate(full=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"the table in memory cannot be read: {error}", "pass pa.Table") from None
    twice = {name for name in table.column_names if table.column_names.count(name) > 1}
    if twice:
        raise InputError(f"two columns are called {shown(min(twice))!r}", "rename one of them")
    return Memory(table)


def _as_text(column: pa.ChunkedArray[Any], name: str) -> pa.ChunkedArray[Any]:
    try:
        text: Any = column.cast(pa.string())
        filled: pa.ChunkedArray[Any] = text.fill_null("")
        return filled
    except pa.ArrowException:
        raise InputError(
            f"table, column {shown(name)!r}: {column.type} is neither number nor text",
            "cast it, or leave it out",
        ) from None
