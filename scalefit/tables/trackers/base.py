"""What a tracker is, what it reads from, and the run that it yields."""

from __future__ import annotations

import io
import math
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import field
from itertools import islice
from pathlib import Path, PurePath
from typing import BinaryIO, TypeAlias

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.core.registry import Registry
from scalefit.tables.readers.base import Source, open_source

Cell: TypeAlias = float | int | str | bool
# Doubles packed, for a long run has millions of them.
Series: TypeAlias = "tuple[array[float], array[float]]"

# A text that has to be held whole, such as one JSON document, may be this long.
MOST_TEXT = 64 * 1024**2
_LONGEST_LINE = 64 * 1024
_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class History:
    """Metrics of one run while they are collected: name to steps and values."""

    def __init__(self) -> None:
        """Start empty."""
        self.series: dict[str, Series] = {}

    def add(self, name: str, step: float, value: float) -> None:
        """One value of one metric; a later one of the same step replaces it."""
        steps, values = self.series.setdefault(name, (array("d"), array("d")))
        # A step without a finite number is no step: all such values share one row.
        steps.append(step if math.isfinite(step) else math.nan)
        values.append(value)

    def add_row(self, step: float, row: Mapping[str, object]) -> None:
        """Every number of `row`; what is no number is no metric."""
        for name, value in row.items():
            if is_number(value):
                self.add(name, step, as_float(value))


@dataclass(frozen=True)
class Run:
    """One run, or the part of one that a single log tells.

    Attributes:
        key: What all logs of this run share and those of no other: an id, or a folder.
        name: What people call it.
        config: Settings by name, nested names joined by dots.
        history: Metric to its steps and its values, in the order in which they were written.
        final: Metric to the one value that was written without a step.
        notes: Doubts about this log.
    """

    key: str
    name: str
    config: Mapping[str, Cell] = field(default_factory=dict)
    history: Mapping[str, Series] = field(default_factory=dict)
    final: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


class Log:
    """A file that a tracker claimed, and what stands beside it.

    Attributes:
        source: The file.
        place: Words for the folder it is in, relative to where the search began.
        beside_hashes: Hash of every other file that was read, by its path.
    """

    def __init__(self, source: Source, place: str) -> None:
        """Nothing but the file itself is opened yet."""
        self.source = source
        self.place = place
        self.beside_hashes: dict[str, str] = {}

    @property
    def folder(self) -> str:
        """The folder of the file, the same for all files in it."""
        return str(self.source.path.parent) if self.source.path else "-"

    @property
    def stem(self) -> str:
        """Name of the file without its last suffix."""
        return PurePath(self.source.name).stem

    def beside(self, *parts: str) -> Source | None:
        """The regular file at that path below the folder of the log, or None."""
        if self.source.path is None:
            return None
        path = self.source.path.parent.joinpath(*parts)
        if path == self.source.path or not path.is_file():
            return None
        return self._read(path)

    def below(self, name: str, most: int = 100_000) -> Iterator[tuple[str, Source]]:
        """Regular files in the folder `name` beside the log: path within it, and the file.

        Raises:
            InputError: there are more than `most`.
        """
        if self.source.path is None:
            return
        root = self.source.path.parent / name
        files = (path for path in root.rglob("*") if path.is_file())
        found = sorted(islice(files, most + 1)) if root.is_dir() else []
        if len(found) > most:
            raise InputError(f"{root} holds more than {most} files", "keep only what you need")
        for path in found:
            yield path.relative_to(root).as_posix(), self._read(path)

    def hashes(self) -> dict[str, str]:
        """Hash of every file that was read, by its path.

        Raises:
            InputError: one changed while it was read.
        """
        name = str(self.source.path) if self.source.path else self.source.name
        return {**self.beside_hashes, name: self.source.sha256()}

    def _read(self, path: Path) -> Source:
        found = open_source(path)
        self.beside_hashes[str(path)] = found.sha256()
        return found


@dataclass(frozen=True)
class Tracker:
    """One kind of log.

    Attributes:
        name: In kebab case.
        files: The files it is known by, in words.
        claims: Whether a file is a log of this kind, from its name, its first bytes and its
            neighbours; it must be cheap and sure.
        read: The runs in a log that was claimed. It raises nothing but InputError.
    """

    name: str
    files: str
    claims: Callable[[Source], bool]
    read: Callable[[Log], Iterable[Run]]


TRACKERS: Registry[Tracker] = Registry("tracker")


def is_number(value: object) -> bool:
    """Whether `value` is a number and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_float(value: object) -> float:
    """A number as a double; an integer beyond its range becomes infinite."""
    assert isinstance(value, int | float)
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def stream(source: Source) -> BinaryIO:
    """The bytes as a file to read from; the caller closes it."""
    if source.data is not None:
        return io.BytesIO(source.data)
    assert source.path is not None
    return source.path.open("rb")


def whole(source: Source, most: int = MOST_TEXT) -> bytes:
    """All bytes of a file that has to be held whole.

    Raises:
        InputError: it is larger than `most`.
    """
    if source.stamp[0] > most:
        raise InputError(
            f"{source.name} has {source.stamp[0]} bytes, more than {most}",
            "keep only what you need",
        )
    with closing(stream(source)) as file:
        return file.read(most)


def lines(source: Source) -> Iterator[tuple[int, str]]:
    """Lines of a console log with their numbers, without colours and carriage returns.

    A progress bar writes many states into one line; each is a line here. Bytes that are not UTF-8
    are replaced, for one broken word must not hide the rest.
    """
    with closing(stream(source)) as file:
        number = 0
        while raw := file.readline(_LONGEST_LINE):
            number += 1
            if b"\x1b" not in raw and b"\r" not in raw:
                yield number, raw.decode("utf-8", "replace").rstrip("\n")
                continue
            for part in _CODES.sub("", raw.decode("utf-8", "replace")).split("\r"):
                if part.strip():
                    yield number, part.rstrip("\n")


def beginning(source: Source, size: int) -> bytes:
    """The first bytes, at most `size` of them."""
    with closing(stream(source)) as file:
        return file.read(size)
