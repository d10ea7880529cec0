"""Compressed files: unpacked whole and checked to the last byte before anything is read."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.records import dataclass, replace
from scalefit.tables.readers.base import KEPT_WHOLE, Source
from scalefit.tables.readers.bounds import most_unpacked, too_large

_PIECE = 1024**2
_DAMAGE = (OSError, EOFError, ValueError, zlib.error, pa.ArrowException)


@dataclass(frozen=True)
class _Packing:
    """One way of compression."""

    name: str
    suffixes: tuple[str, ...]
    magic: bytes
    pieces: Callable[[Source], Iterator[bytes]]


def unpacked(source: Source) -> Source:
    """The source itself, or what is in it if its name (or, without one, its start) says packed.

    Returns:
        A source whose suffix is the one before that of the compression. Up to 64 MiB are kept
        in memory, more lie in a temporary file that goes when the source does.

    Raises:
        InputError: the file is cut, fails its checksum, has bytes after its end, or unpacks to
            more than 16 GiB or than 200 times its size.
    """
    head = source.head()
    named = next((p for p in _PACKINGS if source.suffix in p.suffixes), None)
    packing = named or next(
        (p for p in _PACKINGS if not source.suffix and p.magic and head.startswith(p.magic)), None
    )
    if packing is None or not head:
        return source
    if not head.startswith(packing.magic):
        raise InputError(
            f"{source.name} is not packed with {packing.name}, though its name says so",
            f"take {source.suffix} off its name",
        )
    try:
        most = most_unpacked(source.stamp[0])
        data, spill = gathered(packing.pieces(source), source.name, most)
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(
            f"{source.name} cannot be unpacked ({packing.name}): {_reason(error)}",
            "the file is damaged or cut short; copy it again",
        ) from None
    inner = Path(Path(source.name).stem).suffix.lower() if named else ""
    path = Path(spill.name) if spill is not None else source.path
    size = len(data) if data is not None else spill.tell()
    return replace(
        source, suffix=inner, path=path, data=data, stamp=(size, 0), packed=source, hold=spill
    )


def gathered(pieces: Iterable[bytes], name: str, most: int) -> tuple[bytes | None, Any]:
    """All pieces in memory up to 64 MiB, else in a temporary file that is gone once let go.

    Raises:
        InputError: they are more than `most` bytes together.
    """
    kept: Any = io.BytesIO()
    spill: Any = None
    for piece in pieces:
        target = kept if spill is None else spill
        if target.tell() + len(piece) > most:
            raise too_large(name, most)
        if spill is None and kept.tell() + len(piece) > KEPT_WHOLE:
            import tempfile

            # It lives as long as the source that holds it, so no block can close it.
            spill = tempfile.NamedTemporaryFile(prefix="scalefit-")  # noqa: SIM115
            spill.write(kept.getbuffer())
            kept, target = io.BytesIO(), spill
        target.write(piece)
    if spill is None:
        return kept.getvalue(), None
    spill.flush()
    return None, spill


def _file(source: Source) -> BinaryIO:
    if source.data is not None:
        return io.BytesIO(source.data)
    assert source.path is not None
    return source.path.open("rb")


def _reason(error: Exception) -> str:
    told = str(error).split("\n")[0]
    if isinstance(error, EOFError) or "Truncated" in told:
        return "it ends too early"
    return told[:120] or type(error).__name__


def _gzip(source: Source) -> Iterator[bytes]:
    import gzip  # here, as is every way of compression: few files are compressed, and one way

    # It checks length and CRC of every member and refuses what follows the last one.
    with _file(source) as file, gzip.GzipFile(fileobj=file) as members:
        while piece := members.read(_PIECE):
            yield piece


def _streams(module: str, name: str) -> Callable[[Source], Iterator[bytes]]:
    """Pieces of one or more streams in a row; the file objects of Python pass over a bad tail."""

    def pieces(source: Source) -> Iterator[bytes]:
        found = import_module(module)
        new, damage = getattr(found, name), getattr(found, "LZMAError", OSError)
        with _file(source) as file:
            rest = file.read(_PIECE)
            while rest:
                stream = new()
                while not stream.eof:
                    if stream.needs_input and not rest:
                        raise EOFError
                    given, rest = (rest, file.read(_PIECE)) if stream.needs_input else (b"", rest)
                    try:
                        piece = stream.decompress(given, _PIECE)
                    except damage as error:
                        raise ValueError(str(error)) from None
                    yield piece
                rest = stream.unused_data + rest

    return pieces


def _zstandard(source: Source) -> Iterator[bytes]:
    # Python 3.11 has no zstandard of its own.
    given: Any = source.for_arrow()
    opened = pa.OSFile(given, "rb") if isinstance(given, str) else given
    with pa.CompressedInputStream(opened, "zstd") as stream:
        while piece := stream.read(_PIECE):
            yield piece


_PACKINGS = (
    _Packing("gzip", (".gz", ".gzip"), b"\x1f\x8b", _gzip),
    _Packing("bzip2", (".bz2",), b"BZh", _streams("bz2", "BZ2Decompressor")),
    _Packing("xz", (".xz",), b"\xfd7zXZ", _streams("lzma", "LZMADecompressor")),
    _Packing("zstandard", (".zst", ".zstd"), b"\x28\xb5\x2f\xfd", _zstandard),
)
PACKED_SUFFIXES: Mapping[str, str] = {s: p.name for p in _PACKINGS for s in p.suffixes}
