"""Levanter's and Marin's `tracker_metrics.jsonl`: lines with `config` and `summary`.

Source: the form that interface notes on Marin give; no release on PyPI writes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from scalefit.core.errors import InputError
from scalefit.tables.doubts import LOG_DAMAGED
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import TRACKERS, Cell, Log, Run, Tracker, as_float, is_number
from scalefit.tables.trackers.cut import whole_lines
from scalefit.tables.trackers.nested import flat, parse_json


def claims(source: Source) -> bool:
    """By the name alone: lines of such objects under another name are a table, one run each."""
    return source.path is not None and source.path.name == "tracker_metrics.jsonl"


def read(log: Log) -> Iterator[Run]:
    """The run of the folder; a later line adds to the earlier ones.

    Raises:
        InputError: no line is a JSON object.
    """
    text, notes = whole_lines(log.source)
    config: dict[str, Cell] = {}
    summary: dict[str, float] = {}
    read, bad = 0, 0
    for line in filter(str.strip, text.split("\n")):
        try:
            entry = parse_json(line, log.source.name)
        except InputError:
            entry = None
        if not isinstance(entry, dict):
            bad += 1
            continue
        read += 1
        config |= flat(_mapping(entry, "config"))
        row = flat(_mapping(entry, "summary"))
        summary |= {name: as_float(value) for name, value in row.items() if is_number(value)}
    if not read:
        raise InputError(f"{log.source.name} holds no line of JSON", "the file is damaged or empty")
    if bad:
        notes = [*notes, LOG_DAMAGED.note(f"{log.source.name}: {bad} lines are no JSON objects")]
    yield Run(key=log.folder, name=log.place, config=config, final=summary, notes=tuple(notes))


def _mapping(entry: dict[str, object], name: str) -> dict[str, object]:
    found = entry.get(name)
    return found if isinstance(found, dict) else {}


LEVANTER = TRACKERS.add(
    Tracker(name="levanter", files="tracker_metrics.jsonl", claims=claims, read=read)
)
