"""OLMo-core's metric files: `metrics_step100.json`, `metrics.json`, with `config.json` beside them.

Source: the callbacks of ai2-olmo-core 3.0 that save metrics and configs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scalefit.core.errors import InputError
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
from scalefit.tables.trackers.nested import parse_json
from scalefit.tables.trackers.plain_yaml import settings_beside

_STEP = re.compile(r"metrics_step(\d{1,15})\.json")
_KEYS = re.compile(rb'"(train/CE loss|throughput/total tokens|optim/|eval/[^"]*CE loss)')


def claims(source: Source) -> bool:
    """A `metrics*.json` of one level with OLMo-core's names."""
    if source.path is None:
        return False
    named = source.path.name == "metrics.json" or _STEP.fullmatch(source.path.name)
    return bool(named) and _KEYS.search(source.head()) is not None


def read(log: Log) -> Iterator[Run]:
    """The metrics at one step, or without a step the last ones.

    Raises:
        InputError: the file is damaged.
    """
    found = parse_json(whole(log.source), log.source.name)
    if not isinstance(found, dict):
        raise InputError(f"{log.source.name} holds no JSON object", "it is no file of metrics")
    row = {name: as_float(value) for name, value in found.items() if is_number(value)}
    step = _STEP.fullmatch(log.source.path.name) if log.source.path else None
    history = History()
    if step:
        history.add_row(float(step[1]), row)
    config, notes = settings_beside(log, "config.json")
    yield Run(
        key=log.folder,
        name=log.place,
        config=config,
        history=history.series,
        final={} if step else row,
        notes=tuple(notes),
    )


OLMO_CORE = TRACKERS.add(
    Tracker(name="olmo-core", files="metrics_step*.json, metrics.json", claims=claims, read=read)
)
