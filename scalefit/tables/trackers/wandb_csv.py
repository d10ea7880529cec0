"""CSV files that W&B's web page exports: charts, one column per run, and the table of runs.

A chart has columns `RUN - METRIC`, and where it shows a band `RUN - METRIC__MIN` and `__MAX`; each
becomes rows of its run. The table of runs has a line per run; tags such as `budget=1e18` become
settings.

Source: the form of exported files as seen in public repositories; the page itself writes them, so
no package here can.
"""

from __future__ import annotations

from collections.abc import Iterator

from scalefit.core.errors import InputError
from scalefit.core.records import replace
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
from scalefit.tables.trackers.cut import add_cells, header, records, whole_lines
from scalefit.tables.trackers.nested import typed

_BETWEEN = " - "
_BANDS = ("__MIN", "__MAX")
# A table of runs has the first two; any of the others tells it from a table that happens to.
_RUN_TABLE = {"Name", "State"}
_RUN_WORDS = {"Runtime", "Created", "Tags", "Notes", "User", "Sweep", "Hostname", "ID", "Group"}


def claims(source: Source) -> bool:
    """By the header."""
    return source.suffix == ".csv" and (_is_chart(names := header(source)) or _is_table(names))


def read(log: Log) -> Iterator[Run]:
    """The runs in a chart or a table.

    Raises:
        InputError: the table is no text.
    """
    text, notes = whole_lines(log.source)
    names, rows = header(log.source), records(text, log.source.name)
    if not names:
        raise InputError(f"{log.source.name} has no header", "export it again")
    runs = _table(log, rows) if _is_table(names) else _chart(log, names[0], rows)
    for place, run in enumerate(runs):
        yield run if place else replace(run, notes=tuple(notes))


def _is_chart(names: list[str]) -> bool:
    values = [name for name in names[1:] if _BETWEEN in name]
    banded = any(name.endswith(_BANDS) for name in values)
    return bool(values) and len(values) == len(names) - 1 and (banded or names[0] == "Step")


def _is_table(names: list[str]) -> bool:
    return set(names) >= _RUN_TABLE and bool(_RUN_WORDS & set(names))


def _chart(log: Log, axis: str, rows: Iterator[dict[str, str]]) -> Iterator[Run]:
    histories: dict[str, History] = {}
    for place, row in enumerate(rows):
        across = row.pop(axis, "")
        step = typed(across) if axis == "Step" else place
        at = as_float(step) if is_number(step) else float("nan")
        for column, cell in row.items():
            run, _, metric = column.rpartition(_BETWEEN)
            if metric.endswith(_BANDS) and metric[: -len("__MIN")]:
                continue
            cells = {metric: cell} if axis == "Step" else {metric: cell, axis: across}
            add_cells(histories.setdefault(run, History()), at, cells)
    for name, history in histories.items():
        yield Run(key=f"{log.folder}:{name}", name=name, history=history.series)


def _table(log: Log, rows: Iterator[dict[str, str]]) -> Iterator[Run]:
    for row in rows:
        name = row.pop("Name", "")
        tags: dict[str, Cell] = {}
        for tag in row.get("Tags", "").split(","):
            key, equals, value = tag.strip().partition("=")
            if equals and key:
                tags[key] = typed(value)
        settings = {column: typed(cell) for column, cell in row.items()}
        yield Run(key=f"{log.folder}:{name}", name=name, config=tags | settings)


WANDB_CSV = TRACKERS.add(
    Tracker(name="wandb-csv", files="exported charts and run tables", claims=claims, read=read)
)
