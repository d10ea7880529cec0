"""Hugging Face's trainer: `trainer_state.json` with its `log_history`.

Checkpoints of one run (`checkpoint-500/`) are one run; the model's `config.json` beside gives its
shape, and the header of `model.safetensors` its exact number of parameters.

Source: files written by transformers 5, and the format of safetensors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import PurePath
from typing import Any

from scalefit.core.errors import InputError
from scalefit.tables.readers.base import Source, open_source
from scalefit.tables.trackers.base import (
    TRACKERS,
    Cell,
    History,
    Log,
    Run,
    Tracker,
    as_float,
    is_number,
    stream,
    whole,
)
from scalefit.tables.trackers.nested import flat, parse_json
from scalefit.tables.trackers.plain_yaml import settings_beside

_CHECKPOINT = re.compile(r"checkpoint-\d+")
_LARGEST_HEADER = 16 * 1024**2
_FINAL = ("total_flos", "num_input_tokens_seen")
_SETTINGS = ("train_batch_size", "max_steps", "num_train_epochs", "trial_params")


def claims(source: Source) -> bool:
    """By the name, or by the list that it is about."""
    head = source.head()
    named = source.path is not None and source.path.name == "trainer_state.json"
    return head.lstrip().startswith(b"{") and (named or b'"log_history"' in head)


def read(log: Log) -> Iterator[Run]:
    """The run, as far as this state tells of it.

    Raises:
        InputError: the state is damaged, or has no history.
    """
    state = parse_json(whole(log.source), log.source.name)
    entries = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{log.source.name} has no log_history", "it is no state of a trainer")
    history = History()
    for entry in entries:
        if isinstance(entry, dict):
            row = flat(entry)
            step = row.pop("step", None)
            history.add_row(as_float(step) if is_number(step) else math.nan, row)
    model, notes = settings_beside(log, "config.json")
    config = model | flat({name: state.get(name) for name in _SETTINGS})
    key, name = _run_folder(log)
    # A checkpoint counts up to its own step, so the state of the run itself must not be replaced.
    at = state.get("global_step")
    for counter in _FINAL:
        if is_number(at) and is_number(state.get(counter)) and state[counter] > 0:
            history.add(counter, as_float(at), as_float(state[counter]))
    yield Run(
        key=key,
        name=name,
        config=config | _parameters(log),
        history=history.series,
        notes=tuple(notes),
    )


def _run_folder(log: Log) -> tuple[str, str]:
    """Key and name of the run: the folder, or the one above a checkpoint."""
    folder = PurePath(log.folder)
    if not _CHECKPOINT.fullmatch(folder.name):
        return log.folder, log.place
    above = log.place.rpartition("/")[0]
    return str(folder.parent), above or folder.parent.name or log.place


def _parameters(log: Log) -> dict[str, Cell]:
    """Number of parameters that a safetensors file beside holds; tied weights are in it once."""
    # Not through the log, which hashes what it reads: gigabytes of weights, of which only the
    # header is read.
    path = log.source.path.with_name("model.safetensors") if log.source.path else None
    if path is None or not path.is_file():
        return {}
    try:
        shapes = _header(open_source(path))
        return {"num_params": sum(math.prod(map(int, shape)) for shape in shapes)}
    except (InputError, TypeError, ValueError, AttributeError, OverflowError):
        return {}


def _header(source: Source) -> list[Any]:
    with closing(stream(source)) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_LARGEST_HEADER, source.stamp[0]):
            return []
        found = parse_json(file.read(length), source.name)
    return [entry["shape"] for name, entry in found.items() if name != "__metadata__"]


TRANSFORMERS = TRACKERS.add(
    Tracker(name="transformers", files="trainer_state.json", claims=claims, read=read)
)
