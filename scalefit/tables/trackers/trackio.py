"""Trackio's SQLite databases: one file per project, metrics and settings as JSON.

Source: the schema that Trackio 0.43 writes; earlier ones have no run_id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.tables.doubts import LOG_DAMAGED
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import TRACKERS, History, Log, Run, Tracker, as_float, is_number
from scalefit.tables.trackers.database import Database, has_tables, opened
from scalefit.tables.trackers.nested import flat, parse_json


def claims(source: Source) -> bool:
    """A database with the tables `metrics` and `configs`."""
    return has_tables(source, "metrics", "configs")


def read(log: Log) -> Iterator[Run]:
    """Every run of the project.

    Raises:
        InputError: the database is damaged or of an unknown version.
    """
    with opened(log) as database:
        key = "run_id" if "run_id" in database.columns("metrics") else "run_name"
        names, histories, bad = _metrics(database, key)
        settings = _settings(database, key)
    notes: tuple[Note, ...] = ()
    if bad:
        told = f"{log.source.name}: {bad} rows hold no JSON object and are left out"
        notes = (LOG_DAMAGED.note(told),)
    for run, history in histories.items():
        config = {k: v for k, v in flat(settings.get(run, {})).items() if not k.startswith("_")}
        yield Run(
            key=f"{log.folder}/{log.source.name}:{run}",
            name=names[run],
            config={"project": log.stem, **config},
            history=history.series,
            notes=notes,
        )
        notes = ()


def _metrics(database: Database, key: str) -> tuple[dict[str, str], dict[str, History], int]:
    """Names and histories by run, and the number of rows that hold none."""
    names: dict[str, str] = {}
    histories: dict[str, History] = {}
    bad = 0
    for run, name, step, text in database.rows("metrics", [key, "run_name", "step", "metrics"]):
        names[str(run)] = str(name)
        row = _object(text)
        if row is None:
            bad += 1
            continue
        at = as_float(step) if is_number(step) else float("nan")
        histories.setdefault(str(run), History()).add_row(at, flat(row))
    return names, histories, bad


def _settings(database: Database, key: str) -> dict[str, dict[str, Any]]:
    rows = database.rows("configs", [key, "config"])
    return {str(run): _object(text) or {} for run, text in rows}


def _object(text: Any) -> dict[str, Any] | None:
    """A JSON object, which Trackio keeps as text or as bytes; None if it is none."""
    if not isinstance(text, str | bytes):
        return None
    try:
        found = parse_json(text, shown(str(text), 20))
    except InputError:
        return None
    return found if isinstance(found, dict) else None


TRACKIO = TRACKERS.add(
    Tracker(name="trackio", files="PROJECT.db (SQLite)", claims=claims, read=read)
)
