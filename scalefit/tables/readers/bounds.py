"""What a file of Arrow's kinds may unpack to, and the errors where it is damaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.numbers import shown
from scalefit.tables.readers.base import KEPT_WHOLE, LARGEST, Source

LONGEST_FIELD = 64 * 1024
# A file that grows more than this is a bomb, once it is larger than an ordinary table.
MOST_GROWTH = 200


def most_unpacked(size: int) -> int:
    """Bytes that a file of `size` bytes may unpack to."""
    return min(LARGEST, max(KEPT_WHOLE, MOST_GROWTH * size))


def refuse_growth(source: Source, size: int) -> None:
    """Refuse a file whose content is far larger than itself.

    Raises:
        InputError: `size` is more than the file may unpack to.
    """
    most = most_unpacked(source.stamp[0])
    if size > most:
        raise too_large(source.name, most)


def too_large(name: str, most: int) -> InputError:
    """The error that a source unpacks to more than `most` bytes."""
    return InputError(
        f"{name} unpacks to over {most // 1024**2} MiB, more than 64 MiB and {MOST_GROWTH} times"
        " its own size, so it is taken for a bomb",
        "unpack the columns you need into a CSV file if you trust it",
    )


@contextmanager
def told_as(source: Source, what: str) -> Iterator[None]:
    """Turn what Arrow says of a damaged file into an InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, MemoryError, OverflowError, ValueError) as error:
        reason = shown(str(error).split("\n")[0], 120) or type(error).__name__
        raise InputError(
            f"{source.name} cannot be read as {what}: {reason}",
            "the file is damaged; write it again",
        ) from None


def bounded(source: Source, batches: Iterable[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Batches that were validated whole, without dictionaries, of bounded size.

    Raises:
        InputError: they are larger than the file may unpack to, or hold a text over 64 KiB.
        ArrowException: they are damaged.
    """
    found: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        # Offsets that point past a buffer would end the process at the first look.
        batch.validate(full=True)
        size += sum(_unpacked_size(column) for column in batch.columns)
        refuse_growth(source, size)
        columns = [_plain(column) for column in batch.columns]
        for name, column in zip(batch.schema.names, columns, strict=True):
            _refuse_long(source, name, column)
        found.append(pa.RecordBatch.from_arrays(columns, names=batch.schema.names))
    return found


def _unpacked_size(column: Any) -> int:
    """Bytes of a column once its dictionary, if it has one, is written out."""
    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    words: Any = column.dictionary
    if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
        return int(column.indices.nbytes + words.nbytes + 8 * len(column))
    import pyarrow.compute as pc

    lengths = pc.binary_length(words).fill_null(0)
    return int(pc.sum(lengths.take(column.indices).cast(pa.int64())).as_py() or 0)


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _refuse_long(source: Source, name: str, column: Any) -> None:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return
    import pyarrow.compute as pc

    if (pc.max(pc.binary_length(column)).as_py() or 0) > LONGEST_FIELD:
        raise InputError(
            f"{source.name}, column {shown(name)!r} holds a text longer than 64 KiB",
            "leave the column out",
        )
