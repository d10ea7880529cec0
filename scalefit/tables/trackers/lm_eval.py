"""lm-evaluation-harness: `results_*.json`, one value and one standard error per task.

A column is `TASK/METRIC`, as in `hellaswag/acc,none`; files of one model in one folder are one run.

Source: files as lm-eval 0.4 writes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from scalefit.core.errors import InputError
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import TRACKERS, Log, Run, Tracker, as_float, is_number, whole
from scalefit.tables.trackers.nested import flat, parse_json

_SETTINGS = ("model_name", "n-shot")


def claims(source: Source) -> bool:
    """A JSON object called results*, which begins with the results."""
    if source.suffix != ".json" or source.path is None:
        return False
    head = source.head().lstrip()
    return source.path.name.startswith("results") and head.startswith(b"{") and (
        b'"results"' in head and b',none"' in head
    )  # fmt: skip


def read(log: Log) -> Iterator[Run]:
    """The model's results.

    Raises:
        InputError: the file is damaged, or holds no results.
    """
    found = parse_json(whole(log.source), log.source.name)
    results = found.get("results") if isinstance(found, dict) else None
    if not isinstance(results, dict):
        raise InputError(f"{log.source.name} has no results", "it is no file of lm-eval")
    final = {
        f"{task}/{metric}": as_float(value)
        for task, values in results.items()
        if isinstance(values, dict)
        for metric, value in values.items()
        if is_number(value)
    }
    config = flat({name: found.get(name) for name in _SETTINGS})
    own = found.get("config")
    config = flat(own if isinstance(own, dict) else {}) | config
    name = str(found.get("model_name") or log.place)
    yield Run(key=f"{log.folder}:{name}", name=name, config=config, final=final)


LM_EVAL = TRACKERS.add(Tracker(name="lm-eval", files="results_*.json", claims=claims, read=read))
