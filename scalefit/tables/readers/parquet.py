"""Parquet files: only the wanted columns are read, and what they unpack to is bounded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa

from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.tables.readers.base import READERS, Loaded, Source
from scalefit.tables.readers.bounds import bounded, refuse_growth, told_as
from scalefit.tables.readers.typed import (
    Typed,
    flat_names,
    flattened,
    refuse_extensions,
    refuse_names,
    text_names,
    with_facts,
)

# What a footer may make its parser allocate: bytes of text and entries of lists.
_FOOTER_TEXT = 64 * 1024**2
_FOOTER_ITEMS = 4 * 1024**2
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class OpenedParquet:
    """A Parquet file whose footer has been read."""

    source: Source
    schema: pa.Schema

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their order, those inside a struct after its name and a dot."""
        return flat_names(self.schema)

    @property
    def notes(self) -> tuple[Note, ...]:
        """None: the footer says what the columns are."""
        return ()

    def sha256(self) -> str:
        """Hash of the bytes that were read."""
        return self.source.sha256()

    def load(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str] = ()
    ) -> Loaded:
        """The named columns.

        Raises:
            CellError: a cell of `numbers` is no number.
            InputError: the file is damaged, or unpacks to far more than its size.
        """
        table = self.table([*numbers, *texts])
        return Typed(self.source.name, table).load(numbers, texts, na)

    def table(self, wanted: Sequence[str]) -> pa.Table:
        """The wanted columns with the types of the file, structs taken apart.

        Raises:
            InputError: the file is damaged, or unpacks to far more than its size.
        """
        with told_as(self.source, "Parquet"):
            # Text comes as a dictionary, so that one long word many times over stays small.
            texts = set(text_names(self.schema)) & set(wanted)
            file = _file(self.source, sorted(texts))
            refuse_growth(self.source, 8 * file.metadata.num_rows * max(len(wanted), 1))
            found = bounded(
                self.source,
                file.iter_batches(_ROWS_AT_ONCE, columns=list(wanted), use_threads=False),
            )
            if not found:
                return flattened(self.schema.empty_table()).select(list(wanted))
            return with_facts(flattened(pa.Table.from_batches(found)), self.schema)


@dataclass(frozen=True)
class Parquet:
    """Parquet; columns inside a struct are named after it, with a dot."""

    name: str = "parquet"
    suffixes: tuple[str, ...] = (".parquet", ".pq")

    def sniff(self, head: bytes) -> bool:
        """Whether the four letters that begin every Parquet file are there."""
        return head.startswith(b"PAR1")

    def open(self, source: Source) -> OpenedParquet:
        """Read the footer.

        Raises:
            InputError: the file is damaged, has a column twice or a type that is not Arrow's.
        """
        with told_as(source, "Parquet"):
            schema = _file(source).schema_arrow
            refuse_extensions(source.name, schema)
            refuse_names(source.name, flat_names(schema))
        return OpenedParquet(source, schema)


PARQUET = READERS.add(Parquet())


def _file(source: Source, as_dictionary: Sequence[str] = ()) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(
        source.for_arrow(),
        read_dictionary=list(as_dictionary),
        thrift_string_size_limit=_FOOTER_TEXT,
        thrift_container_size_limit=_FOOTER_ITEMS,
    )
