"""What a reader is, where its bytes come from, and which reader a source needs."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from scalefit.core.digests import sha256
from scalefit.core.errors import InputError, nearest
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.records import dataclass
from scalefit.core.registry import Registry

HEAD = 64 * 1024
# Up to here a file is read once and kept, so that hash, checks and values see the same bytes.
KEPT_WHOLE = 64 * 1024**2
LARGEST = 16 * 1024**3
MOST_ROWS = 10**8
# Small enough to stay in the cache while it is hashed, checked and counted.
_CHUNK = 256 * 1024


class CellError(InputError):
    """One cell is wrong.

    Attributes:
        column: Name of its column in the source.
    """

    def __init__(self, message: str, hint: str, column: str) -> None:
        """Keep the column, so that a role nobody asked for can do without it."""
        super().__init__(message, hint)
        self.column = column


@dataclass(frozen=True, eq=False)
class Loaded:
    """The wanted columns of a source.

    Attributes:
        table: Under the names of the source; numbers as float64 with NaN where a cell is blank,
            texts as strings.
        notes: Doubts about the cells.
        place: Words for where a row stands, such as `line 18 (row 17)`; rows count from 1.
        cell: The text of a cell by row and column name, as it was written.
    """

    table: pa.Table
    notes: tuple[Note, ...]
    place: Callable[[int], str]
    cell: Callable[[int, str], str]


class Opened(Protocol):
    """A source whose format is known and whose column names have been read."""

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their order, each once."""
        ...

    @property
    def notes(self) -> tuple[Note, ...]:
        """Doubts about the shape of the source."""
        ...

    def load(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str] = ()
    ) -> Loaded:
        """Exactly the named columns, every row, nothing changed in silence.

        Raises:
            CellError: a cell of `numbers` is no number.
            InputError: the source is malformed.
        """
        ...

    def sha256(self) -> str:
        """Hash of the bytes that were read, in hexadecimal."""
        ...


class Reader(Protocol):
    """One format."""

    @property
    def name(self) -> str:
        """Kebab-case name of the format."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """File suffixes in lower case, with the dot."""
        ...

    def sniff(self, head: bytes) -> bool:
        """Whether these first bytes can be nothing but this format."""
        ...

    def open(self, source: Source) -> Opened:
        """Read the names of the columns, not the data.

        Raises:
            InputError: the source is not of this format.
        """
        ...


READERS: Registry[Reader] = Registry("reader")


class FolderReader(Protocol):
    """One layout of a folder that is read as one table."""

    @property
    def name(self) -> str:
        """Kebab-case name of the layout."""
        ...

    def claims(self, folder: Path) -> bool:
        """Whether what lies in the folder can be nothing but this layout."""
        ...

    def open(self, folder: Path) -> Opened:
        """Read the names of the columns, not the data.

        Raises:
            InputError: the folder is not of this layout.
        """
        ...


FOLDERS: Registry[FolderReader] = Registry("folder reader")


@dataclass(frozen=True)
class Source:
    """Bytes to read: a regular file, or what is in memory already.

    Attributes:
        name: As the user wrote it, or `standard input`.
        suffix: In lower case with the dot, without that of a compression; empty for standard
            input.
        path: The file; None for standard input.
        data: All bytes, or None where the file is too large to keep.
        stamp: Size and time of change when it was opened.
        packed: The compressed source that these bytes were taken from, if there is one.
        hold: Whatever must live as long as the source does, such as a temporary file.
    """

    name: str
    suffix: str
    path: Path | None
    data: bytes | None
    stamp: tuple[int, int]
    packed: Source | None = None
    hold: Any = field(default=None, compare=False, repr=False)

    def chunks(self) -> Iterator[bytes]:
        """All bytes in their order, a piece at a time."""
        if self.data is not None:
            yield from (self.data[i : i + _CHUNK] for i in range(0, len(self.data), _CHUNK))
            return
        assert self.path is not None
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def head(self) -> bytes:
        """The first 64 KiB."""
        return self._head

    # Whoever may claim a file looks at its head, and every tracker may.
    @cached_property
    def _head(self) -> bytes:
        if self.data is not None:
            return self.data[:HEAD]
        assert self.path is not None
        with self.path.open("rb") as file:
            return file.read(HEAD)

    def for_arrow(self) -> str | pa.BufferReader:
        """What Arrow opens by itself, without a thing of Python's in it.

        A thread of Arrow may let go of the last piece when Python is ending already. If that piece
        is Python's, the thread asks for the interpreter, is ended, and takes the process along.
        """
        if self.data is None:
            return str(self.path)
        own = pa.allocate_buffer(len(self.data))
        pa.FixedSizeBufferWriter(own).write(self.data)
        return pa.BufferReader(own)

    def sha256(self) -> str:
        """Hash of all bytes as they lie on the disk, in hexadecimal.

        Raises:
            InputError: the file changed since it was opened.
        """
        if self.packed is not None:
            return self.packed.sha256()
        digest = sha256(self.stamp[0])
        for chunk in self.chunks():
            digest.update(chunk)
        self.refuse_change()
        return str(digest.hexdigest())

    def refuse_change(self) -> None:
        """Refuse a file that is not what it was when it was opened.

        Raises:
            InputError: its size or time of change differ.
        """
        if self.packed is not None:
            self.packed.refuse_change()
            return
        kept = self.data is not None or self.path is None
        if not kept and _stamp(self.path.stat()) != self.stamp:  # type: ignore[union-attr]
            raise InputError(f"{self.name} changed while it was read", "read a copy of it")


def open_source(given: str | Path) -> Source:
    """A source for a path, or for standard input if `given` is `-`.

    Raises:
        InputError: it is a URL, missing, not a regular file, not readable or over 16 GiB.
    """
    if str(given) == "-":
        data = sys.stdin.buffer.read(LARGEST + 1)
        _refuse_large(len(data), "standard input")
        return Source("standard input", "", None, data, (len(data), 0))
    name, path = shown(str(given), 200), Path(given)
    if not str(given):
        raise InputError("the path is empty", "give a CSV file, or - for standard input")
    refuse_address(str(given))
    try:
        status = path.stat()
        _refuse_irregular(status, name)
        _refuse_large(status.st_size, name)
        data = path.read_bytes() if status.st_size <= KEPT_WHOLE else None
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise InputError(*_unreadable(error, name, path)) from None
    return Source(name, path.suffix.lower(), path, data, _stamp(status))


def choose(source: Source, brought: Callable[[], Iterable[Reader]] = tuple) -> Reader:
    """The reader that this source needs: by its first bytes, else by its suffix, else text.

    Args:
        source: What is to be read.
        brought: Gives readers of other packages; asked only where none of ours claims the source.

    Raises:
        InputError: the source is empty, or of a known kind that is no table.
    """
    head = source.head()
    if not head:
        raise InputError(f"{source.name} is empty", "give a table with a header and one run a row")
    for reader in READERS:
        if reader.sniff(head):
            return reader
    for magic, what, hint in _FOREIGN:
        if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(magic):
            raise InputError(f"{source.name} is {what}, not a table", hint)
    for reader in READERS:
        if source.suffix in reader.suffixes:
            return reader
    if source.suffix:
        for reader in brought():
            if reader.sniff(head) or source.suffix in reader.suffixes:
                return reader
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    wanted = ".json" if text.startswith((b"{", b"[")) else ".csv"
    return next(reader for reader in READERS if wanted in reader.suffixes)


def refuse_address(given: str) -> None:
    """Refuse what is no path on this machine.

    Raises:
        InputError: it is a URL.
    """
    scheme, found, _ = given.partition("://")
    named = found and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme)
    if named or given.startswith(("file:", "\\\\")):
        raise InputError(
            f"{shown(given, 200)} is an address, and no network is opened unasked",
            "download it and give its path, or say --remote for s3, gs, abfss and hf addresses",
        )


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _refuse_irregular(status: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name} is a folder", "give the file inside it")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name} is not a regular file", "pipe its content in and give - as path")


def _refuse_large(size: int, name: str) -> None:
    if size > LARGEST:
        raise InputError(f"{name} is larger than 16 GiB", "keep only the columns you need")


def _unreadable(error: OSError | ValueError, name: str, path: Path) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        # Path.exists may itself fail on odd names, so the neighbours are only looked for here.
        return f"there is no file {name}", _neighbour(path)
    if isinstance(error, PermissionError):
        return f"{name} may not be read", "check its permissions"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"{name} cannot be opened: {reason}", "check the path"


def _neighbour(path: Path) -> str:
    try:
        beside = [p.name for p in path.parent.iterdir()]
    except OSError:
        return "check the path"
    near = nearest(path.name, beside)
    return f"did you mean {shown(near)!r}?" if near else "check the path"


_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "a PNG picture", "give the numbers behind it"),
    (b"\xff\xd8\xff", "a JPEG picture", "give the numbers behind it"),
    (b"GIF8", "a GIF picture", "give the numbers behind it"),
    (b"%PDF", "a PDF document", "export the table from its source"),
    (b"\x7fELF", "a program (ELF)", "give a CSV file"),
    (b"\x1f\x8b", "packed with gzip", "let its name end in .gz, or unpack it"),
    (b"BZh", "packed with bzip2", "let its name end in .bz2, or unpack it"),
    (b"\xfd7zXZ", "packed with xz", "let its name end in .xz, or unpack it"),
    (b"\x28\xb5\x2f\xfd", "packed with zstandard", "let its name end in .zst, or unpack it"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "unzip it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV"),
    (b"FEA1", "a Feather file of version 1", "write it anew with pyarrow.feather"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\x93NUMPY", "a numpy array", "write it with a header as CSV"),
    (b"\x80\x04", "a Python pickle", "scalefit never opens pickles; write the table as CSV"),
    (b"<!DOCTYPE", "a web page", "download the file itself"),
    (b"<html", "a web page", "download the file itself"),
    (b"<?xml", "XML", "export the table as CSV"),
)
