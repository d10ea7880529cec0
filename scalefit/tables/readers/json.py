"""JSON: one object a line, a list of them, or one document; nested keys are joined by dots."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.records import dataclass
from scalefit.tables.readers import shapes
from scalefit.tables.readers.base import KEPT_WHOLE, READERS, Loaded, Source
from scalefit.tables.readers.typed import Typed

LONGEST_RECORD = 16 * 1024**2
LONGEST_FIELD = 64 * 1024
LONGEST_NAME = 1024
MOST_NAMES = 200_000
_DEEPEST = 50
_RECORDS = 'write one object a line, such as {"N": 1e6, "L": 3.2}'

# One record: the names of its cells in their order, each with its text; None for null.
Record = dict[str, str | None]


class _Wrong(Exception):
    """A record cannot be used; the message lacks only its place."""


@dataclass(frozen=True)
class OpenedJson:
    """JSON whose keys have been collected.

    Attributes:
        source: The bytes.
        names: Every key of any record, in the order in which they appear.
    """

    source: Source
    names: tuple[str, ...]

    @property
    def notes(self) -> tuple[Note, ...]:
        """None: a key that a record lacks is a missing value."""
        return ()

    def sha256(self) -> str:
        """Hash of the bytes that were read."""
        return self.source.sha256()

    def load(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str] = ()
    ) -> Loaded:
        """The named keys; numbers go from text to double by the rule of every other cell.

        Raises:
            CellError: a value of `numbers` is no number.
            InputError: the text is not JSON.
        """
        wanted = [*numbers, *texts]
        columns: dict[str, list[str | None]] = {name: [] for name in wanted}
        places: list[int] = []
        for place, record in _records(self.source):
            places.append(place)
            for name in wanted:
                columns[name].append(record.get(name))
        what = _unit(self.source)
        table = pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})

        def place_of(row: int) -> str:
            return f"{what} {places[row - 1]} (row {row})"

        return Typed(self.source.name, table, place_of).load(numbers, texts, na)


@dataclass(frozen=True)
class Json:
    """JSON lines, a list of objects, or one document; nested keys are joined by dots."""

    name: str = "json"
    suffixes: tuple[str, ...] = (".json", ".jsonl", ".ndjson")

    def sniff(self, head: bytes) -> bool:
        """Never sure: the logs of a tracker may be JSON too."""
        return False

    def open(self, source: Source) -> OpenedJson:
        """Collect the keys of all records.

        Raises:
            InputError: the text is not JSON, or holds something else than objects.
        """
        names: dict[str, None] = {}
        for _, record in _records(source):
            names.update(dict.fromkeys(record))
            if len(names) > MOST_NAMES:
                raise InputError(f"{source.name} has over {MOST_NAMES} keys", "drop some")
        if not names:
            raise InputError(f"{source.name} holds no record", _RECORDS)
        return OpenedJson(source, tuple(names))


JSON = READERS.add(Json())


def looks_like(head: bytes) -> bool:
    """Whether text begins as JSON records do."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"["))


def _unit(source: Source) -> str:
    """What a record of the source is: a `line` of its own, or a `record` of one document."""
    data = source.data
    if data is None or not looks_like(source.head()):
        return "line"
    body = data.removeprefix(b"\xef\xbb\xbf").strip()
    if body.startswith(b"["):
        return "record"
    first = body[: max(0, body.find(b"\n"))].rstrip()
    # A line that goes on below is the beginning of a document, not a record.
    return "record" if first.endswith((b"{", b"[", b",")) else "line"


def _records(source: Source) -> Iterator[tuple[int, Record]]:
    """Each record with its line, or with its place in the list, counted from 1.

    Raises:
        InputError: the text is not JSON, a key stands twice, or a record is no object.
    """
    what = _unit(source)
    found = _listed(source) if what == "record" else _lines(source)
    for place, record in found:
        try:
            yield place, _flat(record)
        except _Wrong as error:
            raise InputError(f"{source.name}, {what} {place} {error}", _RECORDS) from None


def _listed(source: Source) -> Iterator[tuple[int, Any]]:
    data = source.data
    if data is None:
        size = f"{source.name} is one document of over {KEPT_WHOLE // 1024**2} MiB"
        raise InputError(size, "write one object a line instead")
    document = _parsed(source, data, 1, "")
    found = document if isinstance(document, list) else shapes.records(document)
    return iter(enumerate(found, start=1))


def _lines(source: Source) -> Iterator[tuple[int, Any]]:
    """What each line holds, with its number; a single line may hold a whole table."""
    held: list[tuple[int, Any]] = []
    for place, one in enumerate(_each_line(source)):
        if not place:
            held = [one]
            continue
        yield from held
        yield one
        held = []
    for line, document in held:
        yield from ((line, record) for record in shapes.records(document))


def _each_line(source: Source) -> Iterator[tuple[int, Any]]:
    rest, line = b"", 0
    for chunk in source.chunks():
        *whole, rest = (rest + chunk).split(b"\n")
        for text in whole:
            line += 1
            if text.strip():
                yield line, _parsed(source, text, line, f"line {line} ")
        if len(rest) > LONGEST_RECORD:
            raise InputError(f"{source.name}, line {line + 1} is over 16 MiB", _RECORDS)
    if rest.strip():
        yield line + 1, _parsed(source, rest, line + 1, f"line {line + 1} ")


def _parsed(source: Source, data: bytes, line: int, place: str) -> Any:
    where = f"{source.name}, {place}".rstrip(", ")
    try:
        text = data.decode("utf-8-sig" if line == 1 else "utf-8")
        return _DECODER.decode(text)
    except UnicodeDecodeError as error:
        at = line + data[: error.start].count(b"\n")
        told = f"{source.name}, line {at} holds a byte that is not UTF-8"
        raise InputError(told, "write the file in UTF-8") from None
    except json.JSONDecodeError as error:
        at = line + error.lineno - 1
        told = f"{source.name}, line {at}, letter {error.colno} is not JSON: {error.msg}"
        raise InputError(told, _RECORDS) from None
    except _Wrong as error:
        raise InputError(f"{where} {error}", _RECORDS) from None
    except (RecursionError, ValueError):
        raise InputError(f"{where} cannot be read: it is nested too deeply", "flatten it") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Wrong(f"has the key {shown(twice)!r} twice")
    return found


# Numbers stay text: Python would read 1e400 as infinity and 1e-400 as zero without a word.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=str
)


def _flat(record: Any) -> Record:
    """The cells of one record.

    Raises:
        _Wrong: it is no object, or two paths give the same name.
    """
    if not isinstance(record, dict):
        raise _Wrong(f"holds {shown(json.dumps(record), 30)}, not an object")
    cells: Record = {}
    _fill(cells, record, "", 0)
    return cells


def _fill(cells: Record, record: dict[str, Any], before: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise _Wrong(f"is nested more than {_DEEPEST} deep")
    for key, value in record.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            _fill(cells, value, f"{name}.", depth + 1)
            continue
        if name in cells:
            raise _Wrong(f"has the key {shown(name)!r} twice")
        if len(name) > LONGEST_NAME:
            raise _Wrong(f"has a key over {LONGEST_NAME} letters")
        cells[name] = _text(value)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = json.dumps(value)
    if text is not None and len(text) > LONGEST_FIELD:
        raise _Wrong("holds a value longer than 64 KiB")
    return text
