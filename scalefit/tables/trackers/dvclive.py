"""DVCLive and DVC: `metrics.json`, histories in `plots/metrics/**.tsv`, settings in `params.yaml`.

A slash in a metric's name makes a folder of histories and a nested name in `metrics.json`.

Source: files written by DVCLive 3.49.
"""

from __future__ import annotations

from collections.abc import Iterator

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import (
    TRACKERS,
    History,
    Log,
    Run,
    Tracker,
    as_float,
    is_number,
    whole,
)
from scalefit.tables.trackers.cut import add_cells, records, whole_lines
from scalefit.tables.trackers.nested import flat, parse_json, typed
from scalefit.tables.trackers.plain_yaml import settings_beside

_PLOTS = "plots/metrics"
_SETTINGS = ("params.yaml", "params.json", "../params.yaml", "../params.json")


def claims(source: Source) -> bool:
    """A `metrics.json` with DVCLive's plots, or with DVC's own files, beside it."""
    if source.path is None or source.path.name != "metrics.json":
        return False
    folder = source.path.parent
    return any((folder / name).exists() for name in (_PLOTS, "dvc.yaml", ".dvc"))


def read(log: Log) -> Iterator[Run]:
    """The run of the folder.

    Raises:
        InputError: `metrics.json` is damaged.
    """
    found = parse_json(whole(log.source), log.source.name)
    if not isinstance(found, dict):
        raise InputError(f"{log.source.name} holds no JSON object", "it is no summary of metrics")
    final = {k.replace(".", "/"): as_float(v) for k, v in flat(found).items() if is_number(v)}
    final.pop("step", None)
    history, notes = _history(log)
    config, more = settings_beside(log, *_SETTINGS)
    # The folder of DVCLive is called dvclive in every run; the one above names the run.
    above = log.place.rpartition("/")[0]
    yield Run(
        key=log.folder,
        name=above if log.place.endswith("/dvclive") else log.place,
        config=config,
        history=history.series,
        final=final,
        notes=(*notes, *more),
    )


def _history(log: Log) -> tuple[History, list[Note]]:
    history, notes = History(), list[Note]()
    for name, source in log.below(_PLOTS):
        if not name.endswith(".tsv"):
            continue
        text, more = whole_lines(source)
        notes += more
        metric = name.removesuffix(".tsv")
        # The column is called as the last part of the metric's name.
        column = metric.rpartition("/")[2]
        for row in records(text, source.name, "\t"):
            step = typed(row.get("step", ""))
            at = as_float(step) if is_number(step) else float("nan")
            add_cells(history, at, {metric: row.get(column, "")})
    return history, notes


DVCLIVE = TRACKERS.add(
    Tracker(name="dvclive", files="metrics.json, plots/metrics/**.tsv", claims=claims, read=read)
)
