"""Tables that are in memory already: anything that speaks the Arrow C stream interface."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa

from scalefit.core.digests import sha256
from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.tables.readers.base import Loaded
from scalefit.tables.readers.typed import Typed, flat_names, flattened, refuse_names


@dataclass(frozen=True, eq=False)
class Memory:
    """An Arrow table as a source."""

    table: pa.Table

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their order."""
        return flat_names(self.table.schema)

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
        return Typed("table", flattened(self.table)).load(numbers, texts, na)

    def sha256(self) -> str:
        """Hash of the table as one Arrow stream."""
        sink = pa.BufferOutputStream()
        whole = self.table.combine_chunks().replace_schema_metadata(None)
        with pa.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_table(whole)
        written = sink.getvalue()
        digest = sha256(written.size)
        digest.update(written)
        return str(digest.hexdigest())


def open_memory(given: Any) -> Memory:
    """A table in memory: an object with `__arrow_c_stream__`, columns by name, or rows by name.

    Raises:
        InputError: the object is no table, is damaged, or has a column name twice.
    """
    try:
        if isinstance(given, pa.Table):
            table = given
        else:
            table = pa.Table.from_pylist(given) if isinstance(given, list) else pa.table(given)
        table.validate(full=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"the table in memory cannot be read: {error}", "pass pa.Table") from None
    refuse_names("the table in memory", flat_names(table.schema))
    return Memory(table)
