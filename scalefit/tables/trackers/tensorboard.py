"""TensorBoard event files: `events.out.tfevents.*`, `Event` messages in TFRecord framing.

A record is its length (8 bytes), a checksum of the length, the data, a checksum of the data; both
are masked CRC-32C. Scalars are read in the old form (`simple_value`) and the new one (a tensor),
settings from the hparams plugin, from JSON texts such as those of the Hugging Face trainer, and
from `hparams.yaml` beside the file, as Lightning writes it.

Source: the TFRecord format, and the field numbers of tensorboard's own messages.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.tables.doubts import LOG_DAMAGED
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import TRACKERS, Cell, History, Log, Run, Tracker, stream
from scalefit.tables.trackers.crc32c import crc32c
from scalefit.tables.trackers.nested import flat, parse_json
from scalefit.tables.trackers.plain_yaml import settings_beside
from scalefit.tables.trackers.wire import Malformed, as_bytes, as_text, fields, part, signed

_NAME = re.compile(r"events\.out\.tfevents\.")
_LARGEST = 64 * 1024**2
_BATCH = 4096
# What SummaryWriter.add_hparams calls the folder that it makes within the folder of the run.
_STAMP = re.compile(r"\d{9,}(\.\d+)?")
_JSON_TEXT = "/text_summary"
# Kinds of tensor elements: name of the type, its bytes, the field of unpacked values.
_FLOAT, _DOUBLE, _INT32, _STRING, _INT64, _HALF, _BFLOAT16 = 1, 2, 3, 7, 9, 19, 14


@dataclass(frozen=True)
class _Said:
    """What one event says.

    Attributes:
        scalars: Tag and value.
        settings: From the hparams plugin or a JSON text.
    """

    step: int
    scalars: tuple[tuple[str, float], ...]
    settings: dict[str, Cell]


def claims(source: Source) -> bool:
    """By the name, or by the version that the first record holds."""
    if source.path is not None and _NAME.search(source.path.name):
        return True
    return source.head()[21:].startswith(b"brain.Event:")


def read(log: Log) -> Iterator[Run]:
    """What the file adds to the run of its folder.

    Raises:
        InputError: the file holds no whole event.
    """
    folder, place = _run_folder(log)
    frames = _Frames(log.source)
    history, settings = History(), dict[str, Cell]()
    for said in _checked(frames):
        settings |= said.settings
        for tag, value in said.scalars:
            history.add(tag, said.step, value)
    if not frames.whole:
        raise InputError(f"{log.source.name} holds no whole event", "the file is damaged or empty")
    beside, notes = settings_beside(log, "hparams.yaml")
    yield Run(
        key=folder,
        name=place,
        config={**beside, **settings},
        history=history.series,
        notes=(*notes, *_damage(log, frames)),
    )


def _damage(log: Log, frames: _Frames) -> list[Note]:
    if not (frames.bad or frames.torn):
        return []
    lost = f"{frames.bad} damaged records" if frames.bad else "a record cut at the end"
    return [LOG_DAMAGED.note(f"{log.source.name}: {lost}; {frames.whole} whole ones were read")]


def _run_folder(log: Log) -> tuple[str, str]:
    """Key and name of the run: the folder, or the one above if add_hparams made the folder."""
    folder = Path(log.folder)
    above = log.place.rpartition("/")[0]
    if _STAMP.fullmatch(folder.name) and any(folder.parent.glob("events.out.tfevents.*")):
        return str(folder.parent), above or folder.parent.name
    return log.folder, log.place


def _checked(frames: _Frames) -> Iterator[_Said]:
    """What the events say, each with its checksum tried; pictures and graphs are passed over."""
    meaning = _Meaning()
    waiting: list[tuple[_Said, bytes, int]] = []
    for data, crc in frames:
        try:
            said = meaning.of(data)
        except (Malformed, InputError):
            frames.bad += 1
            continue
        frames.whole += 1
        if said.scalars or said.settings:
            waiting.append((said, data, crc))
        if len(waiting) == _BATCH:
            yield from _sound(waiting, frames)
            waiting = []
    yield from _sound(waiting, frames)


def _sound(waiting: list[tuple[_Said, bytes, int]], frames: _Frames) -> Iterator[_Said]:
    sums = crc32c([data for _, data, _ in waiting])
    for (said, _, crc), found in zip(waiting, sums.tolist(), strict=True):
        if _masked(found) == crc:
            yield said
        else:
            frames.bad += 1
            frames.whole -= 1


class _Frames:
    """Records with their checksums, in their order.

    Attributes:
        bad: Records with a wrong checksum, or that are no events.
        whole: Events that were understood.
        torn: Whether the file ends inside a record.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.bad = self.whole = 0
        self.torn = False

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        with closing(stream(self.source)) as file:
            left = self.source.stamp[0]
            while head := file.read(12):
                left -= len(head)
                if len(head) < 12:
                    self.torn = True
                    return
                (length,), (crc,) = struct.unpack("<Q", head[:8]), struct.unpack("<I", head[8:])
                if _masked_of_length(head[:8]) != crc:
                    # Without the length nobody knows where the next record starts.
                    self.bad += 1
                    return
                # A length beyond the end is a record that was not written to its end.
                if length + 4 > left:
                    self.torn = True
                    return
                left -= length + 4
                if length > _LARGEST:
                    file.seek(length + 4, 1)
                    continue
                yield from self._one(file, length)

    def _one(self, file: BinaryIO, length: int) -> Iterator[tuple[bytes, int]]:
        body = file.read(length + 4)
        if len(body) < length + 4:
            self.torn = True
            return
        yield body[:length], struct.unpack("<I", body[length:])[0]


@lru_cache(maxsize=4096)
def _masked_of_length(length: bytes) -> int:
    """Events of one kind have one length, so its checksum is not computed again and again."""
    return _masked(int(crc32c([length])[0]))


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class _Meaning:
    """Events to what they say; only the first event of a tag names its plugin."""

    def __init__(self) -> None:
        self.plugins: dict[str, str] = {}

    def of(self, event: bytes) -> _Said:
        step, scalars = 0, list[tuple[str, float]]()
        settings: dict[str, Cell] = {}
        for number, value in fields(event):
            if number == 2 and isinstance(value, int):
                step = signed(value)
            elif number == 5:
                for at, entry in fields(as_bytes(value)):
                    if at == 1:
                        self._entry(as_bytes(entry), scalars, settings)
        return _Said(step, tuple(scalars), settings)

    def _entry(
        self, entry: bytes, scalars: list[tuple[str, float]], settings: dict[str, Cell]
    ) -> None:
        """One value of a summary: tag 1, simple value 2, tensor 8, metadata 9."""
        tag, simple, tensor = "", b"", None
        metadata = b""
        for number, value in fields(entry):
            if number == 1:
                tag = as_text(value)
            elif number == 2:
                simple = as_bytes(value)
            elif number == 8:
                tensor = as_bytes(value)
            elif number == 9:
                metadata = as_bytes(value)
        if metadata:
            plugin = part(metadata, 1)
            self.plugins[tag] = as_text(part(plugin, 1))
            if self.plugins[tag] == "hparams":
                settings |= _hparams(part(plugin, 2))
                return
        if len(simple) == 4:
            scalars.append((tag, struct.unpack("<f", simple)[0]))
        elif tensor is not None and tag.endswith(_JSON_TEXT):
            settings |= _json_settings(tensor)
        elif tensor is not None and self.plugins.get(tag, "scalars") == "scalars":
            scalars += [(tag, value) for value in _scalar(tensor)]


def _scalar(tensor: bytes) -> list[float]:
    """The one number of a tensor: none if it holds another count, or no numbers."""
    kind, content = 0, b""
    values: list[float] = []
    for number, value in fields(tensor):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 4:
            content = as_bytes(value)
        elif number == 5:
            values += _unpacked(as_bytes(value), "<f4")
        elif number == 6:
            values += _unpacked(as_bytes(value), "<f8")
        elif number in (7, 10):
            values += _integers(value)
        elif number == 13:
            values += [_half(bits, kind) for bits in _integers(value)]
    formats = {_FLOAT: "<f4", _DOUBLE: "<f8", _INT32: "<i4", _INT64: "<i8", _HALF: "<f2"}
    if content and kind in formats:
        values += _unpacked(content, formats[kind])
    return values if len(values) == 1 else []


def _half(bits: float, kind: int) -> float:
    """A number of 16 bits, which is kept as an integer."""
    word = int(bits) & 0xFFFF
    if kind == _BFLOAT16:
        return float(struct.unpack("<f", struct.pack("<I", word << 16))[0])
    return float(struct.unpack("<e", struct.pack("<H", word))[0])


def _unpacked(data: bytes, kind: str) -> list[float]:
    if len(data) % np.dtype(kind).itemsize:
        raise Malformed
    return [float(value) for value in np.frombuffer(data, kind)]


def _integers(value: int | bytes) -> list[float]:
    """Packed or single varints; only one is of use, so a long list is not unpacked."""
    if isinstance(value, int):
        return [float(signed(value))]
    if len(value) > 10:
        return [0.0, 0.0]
    # Packed varints have no keys; with one in front each becomes a field.
    return [float(signed(v)) for _, v in fields(b"\x08" + value) if isinstance(v, int)]


def _json_settings(tensor: bytes) -> dict[str, Cell]:
    """Settings from a text (field 8) that is one JSON object."""
    text = part(tensor, 8).strip()
    if not text.startswith(b"{"):
        return {}
    try:
        found = parse_json(text, "a text")
    except InputError:
        return {}
    return flat(found) if isinstance(found, dict) else {}


def _hparams(content: bytes) -> dict[str, Cell]:
    """Settings of `session_start_info` (field 3): a map from names to JSON-like values."""
    found: dict[str, Cell] = {}
    for number, entry in fields(part(content, 3)):
        if number != 1:
            continue
        name = as_text(part(as_bytes(entry), 1))
        for kind, value in fields(part(as_bytes(entry), 2)):
            if kind == 2 and isinstance(value, bytes) and len(value) == 8:
                found[name] = float(struct.unpack("<d", value)[0])
            elif kind == 3:
                found[name] = as_text(value)
            elif kind == 4:
                found[name] = bool(value)
    return found


TENSORBOARD = TRACKERS.add(
    Tracker(name="tensorboard", files="events.out.tfevents.*", claims=claims, read=read)
)
