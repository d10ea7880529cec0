"""MLflow's file store: `mlruns/EXPERIMENT/RUN/` with `meta.yaml`, `metrics/`, `params/`, `tags/`.

A metric is a file of lines `timestamp value step`; a slash in its name makes a folder.

Source: the folder that MLflow 3.17 writes when it is allowed to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scalefit.tables.doubts import LOG_DAMAGED
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import TRACKERS, Cell, History, Log, Run, Tracker, whole
from scalefit.tables.trackers.mlflow import settings_of
from scalefit.tables.trackers.plain_yaml import parse_yaml

_RUN = re.compile(rb"^run_(id|uuid):", re.MULTILINE)
_LONGEST_SETTING = 1024**2


def claims(source: Source) -> bool:
    """A `meta.yaml` that names a run; that of an experiment names none."""
    named = source.path is not None and source.path.name == "meta.yaml"
    return named and _RUN.search(source.head()) is not None


def read(log: Log) -> Iterator[Run]:
    """The run of the folder, unless it was deleted.

    Raises:
        InputError: a file is too large.
    """
    meta, _ = parse_yaml(whole(log.source, _LONGEST_SETTING).decode("utf-8", "replace"))
    # Deleted runs stay on disk with another lifecycle stage.
    if meta.get("lifecycle_stage") == "deleted":
        return
    config: dict[str, Cell] = {}
    names: dict[str, str] = {}
    for folder in ("tags", "params"):
        for key, source in log.below(folder):
            value = whole(source, _LONGEST_SETTING).decode("utf-8", "replace").rstrip("\n")
            names[key] = value
            config |= settings_of(key, value)
    history, bad = _metrics(log)
    told = f"{log.place}: {bad} lines of metrics are not `timestamp value step` and are left out"
    key = str(meta.get("run_id") or meta.get("run_uuid") or log.folder)
    yield Run(
        key=key,
        name=names.get("mlflow.runName") or str(meta.get("run_name") or key),
        config=config,
        history=history.series,
        notes=(LOG_DAMAGED.note(told),) if bad else (),
    )


def _metrics(log: Log) -> tuple[History, int]:
    """The metrics, and the number of lines that are none, such as one cut at the end."""
    history, bad = History(), 0
    for key, source in log.below("metrics"):
        text = whole(source).decode("utf-8", "replace")
        # A last line without an end was cut, perhaps within its step.
        end = text.rfind("\n") + 1
        bad += end < len(text)
        for line in text[:end].splitlines():
            try:
                _, value, step, *_ = line.split()
                history.add(key, float(step), float(value))
            except ValueError:
                bad += 1
    return history, bad


MLFLOW_FILES = TRACKERS.add(
    Tracker(name="mlflow-files", files="mlruns/*/*/meta.yaml", claims=claims, read=read)
)
