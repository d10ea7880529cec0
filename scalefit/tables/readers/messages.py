"""What the messages of an Arrow stream say that they unpack to, before anything is unpacked.

Arrow makes room for whatever length a compressed buffer claims, so the claims are added up first.
The layout is that of the Arrow columnar format, version 1 (Message.fbs), in flatbuffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

_MAGIC = b"ARROW1\0\0"
_HEADER, _BATCH_OF_DICTIONARY = 2, 1
_BUFFERS, _COMPRESSION = 2, 3


def claimed_sizes(opened: Any) -> Iterator[int]:
    """Bytes that each message with data claims to unpack to.

    Args:
        opened: An Arrow input of a file or a stream, at its start.

    Raises:
        ArrowException, OSError: the stream is broken.
        ValueError: a message is.
    """
    if opened.read(len(_MAGIC)) != _MAGIC:
        opened.seek(0)
    for message in pa.ipc.MessageReader.open_stream(opened):
        if message.type in ("record batch", "dictionary"):
            yield _claimed(bytes(message.metadata), message.type == "dictionary", message.body)


def _claimed(metadata: bytes, dictionary: bool, body: Any) -> int:
    try:
        batch = _follow(metadata, _follow(metadata, 0), _HEADER)
        if dictionary:
            batch = _follow(metadata, batch, _BATCH_OF_DICTIONARY)
        if not _field(metadata, batch, _COMPRESSION):
            return int(body.size)
        return sum(_unpacked(body, *place) for place in _buffers(metadata, batch))
    except struct.error:
        raise ValueError("a message is damaged") from None


def _buffers(metadata: bytes, batch: int) -> Iterator[tuple[int, int]]:
    at = _follow(metadata, batch, _BUFFERS)
    (count,) = struct.unpack_from("<I", metadata, at)
    return struct.iter_unpack("<qq", metadata[at + 4 : at + 4 + 16 * count])


def _unpacked(body: Any, offset: int, length: int) -> int:
    """A compressed buffer begins with its length; -1 says that it is not compressed after all."""
    if length < 8:
        return length
    (claimed,) = struct.unpack("<q", body.slice(offset, 8).to_pybytes())
    if claimed < -1:
        raise ValueError(f"a buffer claims {claimed} bytes")
    return length if claimed == -1 else int(claimed)


def _follow(data: bytes, table: int, field: int | None = None) -> int:
    """Where a reference leads: the root of the buffer, or that of a field of a table."""
    at = table if field is None else table + _field(data, table, field)
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, field: int) -> int:
    """How far after the start of its table a field stands; 0 where it is not there."""
    slots = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, slots)
    slot = 4 + 2 * field
    return int(struct.unpack_from("<H", data, slots + slot)[0]) if slot < size else 0
