"""W&B offline runs: `run-ID.wandb`, records of protocol buffers in LevelDB's log framing.

A file is blocks of 32 KiB; a record is cut where a block ends. Header of a piece: CRC-32 of kind
and data, length, kind (1 whole, 2 first, 3 middle, 4 last). A run that is still writing, or has
crashed, ends in the middle of a record.

Source: the LevelDB log format; field numbers of wandb's own records, read in version 0.31.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache

from scalefit.core.errors import InputError
from scalefit.tables.doubts import LOG_DAMAGED
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import (
    TRACKERS,
    Cell,
    History,
    Log,
    Run,
    Tracker,
    as_float,
    is_number,
    stream,
)
from scalefit.tables.trackers.nested import flat, parse_json
from scalefit.tables.trackers.wire import Malformed, as_bytes, as_text, fields

MAGIC = b":W&B"
_BLOCK = 32 * 1024
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
# Pictures and tables are kept in files beside the log, so no record of numbers is this large.
_LARGEST = 64 * 1024**2
# Field numbers of a record, and within its parts.
_HISTORY, _SUMMARY, _CONFIG, _RUN = 2, 3, 5, 17
_UPDATE, _REMOVE = 1, 2
_KEY, _NESTED, _JSON = 1, 2, 16
_ID, _PROJECT, _RUN_CONFIG, _RUN_SUMMARY, _GROUP, _NAME = 1, 3, 4, 5, 6, 8


def claims(source: Source) -> bool:
    """By the first four bytes."""
    return source.head().startswith(MAGIC)


def read(log: Log) -> Iterator[Run]:
    """The one run of the file, as far as it was written.

    Raises:
        InputError: the file is no W&B log, or no record of it is whole.
    """
    records = _Records(log.source)
    story = _Story()
    for record in records:
        try:
            story.take(record)
        except (Malformed, InputError):
            records.bad += 1
    if not story.seen:
        raise InputError(
            f"{log.source.name} holds no whole record of a W&B run", "the file is damaged or new"
        )
    notes = []
    if records.bad or records.torn:
        lost = f"{records.bad} damaged records" if records.bad else "a record cut at the end"
        told = f"{log.source.name}: {lost}; {story.seen} whole records were read"
        notes.append(LOG_DAMAGED.note(told))
    key = story.labels.get(_ID) or log.stem.removeprefix("run-")
    labels = {"project": story.labels.get(_PROJECT), "group": story.labels.get(_GROUP)}
    yield Run(
        key=key,
        name=story.labels.get(_NAME) or key,
        config={k: v for k, v in labels.items() if v} | story.config,
        history=story.history.series,
        final=story.summary,
        notes=tuple(notes),
    )


class _Records:
    """Whole records in their order; counts what had to be passed over.

    Attributes:
        bad: Pieces with a wrong checksum or out of order.
        torn: Whether the file ends inside a record.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.bad = 0
        self.torn = False

    def __iter__(self) -> Iterator[bytes]:
        pieces: list[bytes] = []
        size = 0
        for kind, data in self._pieces():
            if (kind in (_WHOLE, _FIRST)) == bool(pieces) or size + len(data) > _LARGEST:
                # A first piece without a last one, or the other way round, is a hole.
                self.bad += 1
                pieces, size = [], 0
                if kind not in (_WHOLE, _FIRST):
                    continue
            if kind == _WHOLE:
                yield data
                continue
            pieces.append(data)
            size += len(data)
            if kind == _LAST:
                yield b"".join(pieces)
                pieces, size = [], 0
        self.torn = self.torn or bool(pieces)

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        with closing(stream(self.source)) as file:
            # The first block begins with a header of 7 bytes: the magic, a number, the version.
            block, start = file.read(_BLOCK), 7
            while block:
                yield from self._block(block, start)
                block, start = file.read(_BLOCK), 0

    def _block(self, block: bytes, at: int) -> Iterator[tuple[int, bytes]]:
        while at + 7 <= len(block):
            crc, length, kind = struct.unpack_from("<IHB", block, at)
            if not (crc or length or kind):
                # Room that was reserved and never written.
                return
            end = at + 7 + length
            if end > len(block):
                if len(block) < _BLOCK:
                    self.torn = True
                else:
                    self.bad += 1
                return
            data = block[at + 7 : end]
            if not _WHOLE <= kind <= _LAST or zlib.crc32(data, zlib.crc32(bytes([kind]))) != crc:
                # The length may be wrong too, so the rest of the block is lost.
                self.bad += 1
                return
            yield kind, data
            at = end
        if at < len(block) < _BLOCK:
            self.torn = True


class _Story:
    """A run while its records come in."""

    def __init__(self) -> None:
        self.seen = 0
        self.labels: dict[int, str] = {}
        self.config: dict[str, Cell] = {}
        self.summary: dict[str, float] = {}
        self.history = History()

    def take(self, record: bytes) -> None:
        for number, part in fields(record):
            if number == _HISTORY:
                self._history(as_bytes(part))
            elif number == _SUMMARY:
                self._summary(as_bytes(part))
            elif number == _CONFIG:
                self._config(as_bytes(part))
            elif number == _RUN:
                self._run(as_bytes(part))
        self.seen += 1

    def _history(self, part: bytes) -> None:
        row: dict[str, float] = {}
        for name, text in _items(part):
            row |= _numbers(name, text)
        step = row.pop("_step", None)
        if step is None:
            # Old versions write the step beside the items.
            steps = [v for n, v in fields(part) if n == 2 for n, v in fields(as_bytes(v)) if n == 1]
            step = float(steps[-1]) if steps and isinstance(steps[-1], int) else float("nan")
        for name, value in row.items():
            self.history.add(name, step, value)

    def _summary(self, part: bytes) -> None:
        for name, text in _items(part):
            # A summary follows every step; what has a history is not looked at again.
            if name not in self.history.series and not _inner(name):
                self.summary |= _numbers(name, text)

    def _config(self, part: bytes) -> None:
        found = {name: parse_json(text, "a value") for name, text in _items(part) if text}
        self.config |= {k: v for k, v in flat(found).items() if not _inner(k)}
        for name, _ in _items(part, _REMOVE):
            self.config.pop(name, None)

    def _run(self, part: bytes) -> None:
        for number, value in fields(part):
            if number == _RUN_CONFIG:
                self._config(as_bytes(value))
            elif number == _RUN_SUMMARY:
                self._summary(as_bytes(value))
            elif number in (_ID, _PROJECT, _GROUP, _NAME):
                self.labels[number] = as_text(value)


def _items(part: bytes, kind: int = _UPDATE) -> Iterator[tuple[str, bytes]]:
    """Name and JSON of each item of a history, summary or config; nested keys joined by dots."""
    for number, item in fields(part):
        if number != kind:
            continue
        names: list[bytes] = []
        text = b""
        for at, value in fields(as_bytes(item)):
            if at == _JSON:
                text = as_bytes(value)
            elif at in (_KEY, _NESTED):
                names.append(as_bytes(value))
        yield _decoded(b".".join(names)), text


@lru_cache(maxsize=4096)
def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _numbers(name: str, text: bytes) -> dict[str, float]:
    """The numbers of an item by name: one, or those in a nested value."""
    try:
        # Nearly every item is one plain number, and this takes a fifth of the time of JSON.
        return {name: float(text)}
    except ValueError:
        found = flat({name: parse_json(text, "a value") if text else None})
    return {key: as_float(value) for key, value in found.items() if is_number(value)}


def _inner(name: str) -> bool:
    """Whether a name is W&B's own book-keeping."""
    return name == "_step" or name.startswith("_wandb")


WANDB = TRACKERS.add(
    Tracker(name="wandb", files="run-*.wandb (offline runs)", claims=claims, read=read)
)
