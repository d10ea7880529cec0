"""Columns that have types already, from Arrow, Parquet, JSON or memory, to those wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.tables.arrays import column_of, floats
from scalefit.tables.readers.base import CellError, Loaded
from scalefit.tables.readers.cells import human_note, is_human, number

# What pyarrow itself knows; a type of any other name would be somebody's code.
_KNOWN_EXTENSIONS = frozenset(
    {"arrow.json", "arrow.uuid", "arrow.bool8", "arrow.opaque", "arrow.fixed_shape_tensor"}
)


@dataclass(frozen=True, eq=False)
class Typed:
    """A table with types, and how to say where a cell of it stands.

    Attributes:
        title: Name of the source, for messages.
        table: Its columns, struct columns already taken apart.
        place: Words for where a row stands; rows count from 1.
    """

    title: str
    table: pa.Table
    place: Callable[[int], str] = lambda row: f"row {row}"

    def load(self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str]) -> Loaded:
        """The named columns, numbers as float64 and texts as strings.

        A field's metadata goes with its column, so a unit that the source states is kept.

        Raises:
            CellError: a value is infinite, or text that is no number.
            InputError: a column of `texts` is neither number nor text.
        """
        notes: list[Note] = []
        arrays: list[pa.Array[Any] | pa.ChunkedArray[Any]] = []
        fields: list[pa.Field[Any]] = []
        for name in numbers:
            arrays.append(column_of(self._floats(name, na, notes)))
            fields.append(pa.field(name, pa.float64(), metadata=self._facts(name)))
        for name in texts:
            arrays.append(self._text(name))
            fields.append(pa.field(name, pa.string(), metadata=self._facts(name)))
        table = pa.table(arrays, schema=pa.schema(fields))
        return Loaded(table, tuple(notes), self.place, self._cell)

    def _facts(self, name: str) -> Any:
        return self.table.schema.field(name).metadata

    def _cell(self, row: int, column: str) -> str:
        return str(self.table.column(column)[row - 1].as_py())

    def _floats(self, name: str, na: Collection[str], notes: list[Note]) -> Array:
        column = _plain(self.table.column(name))
        kind = column.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            values = floats(column.cast(pa.float64(), safe=False))
        elif pa.types.is_null(kind):
            values = np.full(len(column), np.nan)
        elif _is_text(kind):
            values = self._parsed(name, column, na, notes)
        else:
            raise CellError(
                f"{self.title}, column {shown(name)!r}: {shown(str(kind), 40)} is no number",
                "cast it to float64, or map another column with --col",
                name,
            )
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0]) + 1
            raise CellError(
                f"{self.title}, {self.place(row)}, column {shown(name)!r}:"
                f" {values[row - 1]} is not finite",
                "a run that diverged has no loss: leave it null",
                name,
            )
        return values

    def _parsed(
        self, name: str, column: pa.ChunkedArray[Any], na: Collection[str], notes: list[Note]
    ) -> Array:
        cells = ["" if cell is None else cell for cell in column.to_pylist()]
        values = np.full(len(cells), math.nan)
        for row, cell in enumerate(cells, start=1):
            try:
                values[row - 1] = number(cell, na)
            except InputError as error:
                where = f"{self.title}, {self.place(row)}, column {shown(name)!r}: {error}"
                raise CellError(where, error.hint, name) from None
        readable = [i for i, cell in enumerate(cells) if is_human(cell)]
        if readable:
            notes.append(human_note(name, cells[readable[0]], values[readable[0]], len(readable)))
        return values

    def _text(self, name: str) -> pa.ChunkedArray[Any]:
        column = _plain(self.table.column(name))
        try:
            text: Any = column.cast(pa.string())
            filled: pa.ChunkedArray[Any] = text.fill_null("")
            return filled
        except pa.ArrowException:
            raise InputError(
                f"{self.title}, column {shown(name)!r}: {shown(str(column.type), 40)} is neither"
                " number nor text",
                "cast it, or leave it out",
            ) from None


def flat_names(schema: pa.Schema) -> tuple[str, ...]:
    """Names of the columns, those inside a struct after its name and a dot.

    >>> flat_names(pa.schema({"L": pa.float64(), "config": pa.struct({"lr": pa.float64()})}))
    ('L', 'config.lr')
    """
    return tuple(name for item in schema for name, _ in _leaves(item, ""))


def text_names(schema: pa.Schema) -> tuple[str, ...]:
    """Names of the columns that hold text, as `flat_names` gives them."""
    return tuple(
        name for item in schema for name, kind in _leaves(item, "") if pa.types.is_string(kind)
    )


def flattened(table: pa.Table) -> pa.Table:
    """The table with every struct column taken apart into its fields."""
    while any(pa.types.is_struct(item.type) for item in table.schema):
        table = table.flatten()
    return table


def with_facts(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the metadata that the fields of `schema` carry, by name."""
    facts: dict[str, Any] = {item.name: item.metadata for item in schema if item.metadata}
    fields = [
        item.with_metadata(facts[item.name]) if item.name in facts else item
        for item in table.schema
    ]
    return table.cast(pa.schema(fields))


def refuse_names(title: str, names: Iterable[str]) -> None:
    """Refuse a name that two columns share.

    Raises:
        InputError: one does.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{title}: two columns are called {shown(name)!r}", "rename one")
        seen.add(name)


def refuse_extensions(title: str, schema: pa.Schema) -> None:
    """Refuse types that only somebody's code could read.

    Raises:
        InputError: a field has an extension type that Arrow does not define itself.
    """
    for item in schema:
        facts = item.metadata or {}
        name = facts.get(b"ARROW:extension:name", b"").decode("utf-8", "replace")
        name = name or getattr(item.type, "extension_name", "")
        if name and name not in _KNOWN_EXTENSIONS:
            raise InputError(
                f"{title}, column {shown(item.name)!r}: the type {shown(name, 40)!r} is not"
                " Arrow's own and is not read",
                "write the column as float64 or text",
            )


def _leaves(item: pa.Field[Any], before: str) -> Iterable[tuple[str, pa.DataType]]:
    name = f"{before}{item.name}"
    if not pa.types.is_struct(item.type):
        return [(name, item.type)]
    children = [item.type.field(i) for i in range(item.type.num_fields)]
    return [leaf for child in children for leaf in _leaves(child, f"{name}.")]


def _plain(column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """The column without dictionary and extension, as far as it has them."""
    kind: Any = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = column.cast(kind.storage_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column


def _is_text(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
