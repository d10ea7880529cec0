"""MLflow's SQLite store: `mlflow.db`, tables `runs`, `metrics`, `params`, `tags`.

Source: the schema that MLflow 3.17 writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

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
)
from scalefit.tables.trackers.database import Database, has_tables, opened
from scalefit.tables.trackers.nested import typed

# MLflow keeps infinity as the largest double.
_INFINITE = 1.7976931348623157e308
_TRUTH = {"True": True, "False": False}


def claims(source: Source) -> bool:
    """A database with MLflow's four tables."""
    return has_tables(source, "runs", "metrics", "params", "experiments")


def read(log: Log) -> Iterator[Run]:
    """Every run that was not deleted.

    Raises:
        InputError: the database is damaged or of an unknown version.
    """
    with opened(log) as database:
        experiments = dict(database.rows("experiments", ["experiment_id", "name"]))
        asked = ["run_uuid", "name", "experiment_id", "lifecycle_stage"]
        runs = [row for row in database.rows("runs", asked) if row[3] != "deleted"]
        histories = _metrics(database)
        settings = _settings(database)
    for run, name, experiment, _ in runs:
        within = {"experiment": str(experiments.get(experiment, experiment))}
        yield Run(
            key=str(run),
            name=str(name or run),
            config=within | settings.get(str(run), {}),
            history=histories.get(str(run), History()).series,
        )


def settings_of(key: str, value: str) -> dict[str, Cell]:
    """One parameter or tag, which MLflow keeps as text; tags of its own are no settings."""
    return {} if key.startswith("mlflow.") else {key: _TRUTH.get(value, typed(value))}


def _metrics(database: Database) -> dict[str, History]:
    histories: dict[str, History] = {}
    asked = ["run_uuid", "key", "value", "step", "is_nan"]
    for run, key, value, step, is_nan in database.rows("metrics", asked):
        if not (is_number(value) and is_number(step)):
            continue
        number = math.nan if is_nan else as_float(value)
        if abs(number) == _INFINITE:
            number = math.copysign(math.inf, number)
        histories.setdefault(str(run), History()).add(str(key), as_float(step), number)
    return histories


def _settings(database: Database) -> dict[str, dict[str, Cell]]:
    """Tags and parameters by run; a parameter wins over a tag of the same name."""
    found: dict[str, dict[str, Cell]] = {}
    for table in ("tags", "params"):
        if table in database.tables():
            for run, key, value in database.rows(table, ["run_uuid", "key", "value"]):
                found.setdefault(str(run), {}).update(settings_of(str(key), str(value)))
    return found


MLFLOW = TRACKERS.add(Tracker(name="mlflow", files="mlflow.db (SQLite)", claims=claims, read=read))
