"""The wire format of protocol buffers, as far as logs need it.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Malformed(Exception):
    """A message that is no protocol buffer; the reader counts it and goes on."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an integer, or the bytes of anything else.

    Raises:
        Malformed: a field runs past the end, or has a kind that is not used any more.
    """
    at, end = 0, len(message)
    while at < end:
        # Nearly all keys and lengths are one byte, and calls cost more than anything else here.
        key = message[at]
        if key < 0x80:
            at += 1
        else:
            key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size = message[at] if at < end else 0x80
            if size < 0x80:
                at += 1
            else:
                size, at = _varint(message, at)
        elif kind == _FIXED64:
            size = 8
        elif kind == _FIXED32:
            size = 4
        else:
            raise Malformed
        if size > end - at:
            raise Malformed
        yield key >> 3, message[at : at + size]
        at += size


def part(message: bytes, number: int) -> bytes:
    """Bytes of the last field of that number; empty if there is none.

    Raises:
        Malformed: the message or the field is not what it should be.
    """
    found = b""
    for at, value in fields(message):
        if at == number:
            found = as_bytes(value)
    return found


def as_bytes(value: int | bytes) -> bytes:
    """A field that must hold bytes.

    Raises:
        Malformed: it holds an integer.
    """
    if isinstance(value, int):
        raise Malformed
    return value


def as_text(value: int | bytes) -> str:
    """A field that must hold text; what is not UTF-8 is replaced.

    Raises:
        Malformed: it holds an integer.
    """
    return as_bytes(value).decode("utf-8", "replace")


def signed(value: int) -> int:
    """A varint as a signed 64-bit integer."""
    return value - 2**64 if value >= 2**63 else value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    try:
        value = message[at]
        at += 1
        if value < 0x80:
            return value, at
        value &= 0x7F
        for shift in range(7, 70, 7):
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, at
    except IndexError:
        pass
    raise Malformed
