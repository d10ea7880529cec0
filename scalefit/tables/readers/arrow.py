"""Arrow IPC files, streams and Feather: validated whole before a value is looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa

from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.tables.readers.base import READERS, Loaded, Source
from scalefit.tables.readers.bounds import bounded, refuse_growth, told_as
from scalefit.tables.readers.messages import claimed_sizes
from scalefit.tables.readers.typed import (
    Typed,
    flat_names,
    flattened,
    refuse_extensions,
    refuse_names,
    with_facts,
)

_FILE, _STREAM = b"ARROW1", b"\xff\xff\xff\xff"


@dataclass(frozen=True, eq=False)
class OpenedArrow:
    """An Arrow file or stream whose schema has been read."""

    source: Source
    schema: pa.Schema

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their order, those inside a struct after its name and a dot."""
        return flat_names(self.schema)

    @property
    def notes(self) -> tuple[Note, ...]:
        """None: the schema says what the columns are."""
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
        wanted = {*numbers, *texts}
        tops = [item.name for item in self.schema if wanted & set(flat_names(pa.schema([item])))]
        with told_as(self.source, "Arrow"):
            refuse_growth(self.source, sum(claimed_sizes(_input(self.source))))
            found = bounded(self.source, (b.select(tops) for b in _batches(self.source)))
            empty = self.schema.empty_table().select(tops)
            table = pa.Table.from_batches(found) if found else empty
            table = with_facts(flattened(table), self.schema)
        return Typed(self.source.name, table).load(numbers, texts, na)


@dataclass(frozen=True)
class Arrow:
    """Arrow IPC files and streams, and Feather (version 2)."""

    name: str = "arrow"
    suffixes: tuple[str, ...] = (".arrow", ".feather", ".ipc", ".arrows")

    def sniff(self, head: bytes) -> bool:
        """Whether the mark of a file or of a stream stands at the start."""
        return head.startswith((_FILE, _STREAM))

    def open(self, source: Source) -> OpenedArrow:
        """Read the schema.

        Raises:
            InputError: the file is damaged, has a column twice or a type that is not Arrow's.
        """
        with told_as(source, "Arrow"):
            schema = _reader(source).schema
            refuse_extensions(source.name, schema)
            refuse_names(source.name, flat_names(schema))
        return OpenedArrow(source, schema)


ARROW = READERS.add(Arrow())


def _reader(source: Source) -> Any:
    options = pa.ipc.IpcReadOptions(use_threads=False)
    if source.head().startswith(_FILE):
        return pa.ipc.open_file(_input(source), options=options)
    return pa.ipc.open_stream(_input(source), options=options)


def _input(source: Source) -> Any:
    given: Any = source.for_arrow()
    # Not mapped into memory: a file that is cut while it is mapped ends the process.
    return pa.OSFile(given, "rb") if isinstance(given, str) else given


def _batches(source: Source) -> Iterator[Any]:
    reader = _reader(source)
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(i) for i in range(reader.num_record_batches))
    return iter(reader)
