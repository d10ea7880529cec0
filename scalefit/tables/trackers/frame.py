"""Runs of any trackers to one table: a row for each run and step, a column for each name."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.observations import Array, IntArray
from scalefit.tables.arrays import column_of
from scalefit.tables.doubts import COUNTER_CARRIED, NAME_TAKEN, VALUE_INFINITE
from scalefit.tables.readers.base import MOST_ROWS, Loaded
from scalefit.tables.readers.typed import Typed
from scalefit.tables.trackers.base import Cell, Run, Series, as_float, is_number

MOST_COLUMNS = 20_000
# Columns that the frame itself makes; a setting or metric of such a name is renamed.
_OWN = ("run", "tracker", "log", "step")
# Loss and tokens are often logged by two calls, which W&B counts as two steps.
_COUNTS = re.compile(r"token|sample|sequence|example|flop|flos")
_RATES = re.compile(r"per|/s|sec|tps|loss|acc|batch|length")


@dataclass
class _Whole:
    """One run, put together from every log that tells of it."""

    tracker: str
    log: str
    key: str
    name: str
    config: dict[str, Cell] = field(default_factory=dict)
    history: dict[str, Series] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)

    def take(self, run: Run) -> None:
        """Add what another log says; where two logs differ the later one holds."""
        self.config |= {_clean(name): value for name, value in run.config.items()}
        self.final |= {_clean(name): value for name, value in run.final.items()}
        for name, (steps, values) in run.history.items():
            mine = self.history.setdefault(_clean(name), ([], []))
            mine[0].extend(steps)
            mine[1].extend(values)


@dataclass(frozen=True)
class OpenedLogs:
    """Runs as a table whose rows know their run and step.

    Attributes:
        title: What was opened, for messages.
        table: Columns `run`, `tracker`, `log`, settings, `step`, then metrics.
        digest: Hash of every file that was read.
    """

    title: str
    table: pa.Table
    digest: str
    notes: tuple[Note, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their order."""
        return tuple(self.table.column_names)

    def load(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str] = ()
    ) -> Loaded:
        """The named columns, numbers as float64 and texts as strings.

        Raises:
            CellError: a value is text that is no number.
        """
        return Typed(self.title, self.table, self._place).load(numbers, texts, na)

    def sha256(self) -> str:
        """Hash of every file that was read."""
        return self.digest

    def _place(self, row: int) -> str:
        """`run 'a', step 200 (row 7)`."""
        run = self.table.column("run")[row - 1].as_py()
        step = self.table.column("step")[row - 1].as_py()
        at = "" if math.isnan(step) else f", step {step:g}"
        return f"run {shown(run, 60)!r}{at} (row {row})"


class Frame:
    """Runs while they come in, log by log."""

    def __init__(self) -> None:
        """Start without a run."""
        self._runs: dict[tuple[str, str], _Whole] = {}
        self.notes: list[Note] = []

    def add(self, tracker: str, log: str, run: Run) -> None:
        """One more run, or more of one that is known."""
        fresh = _Whole(tracker, log, run.key, run.name)
        self._runs.setdefault((tracker, run.key), fresh).take(run)
        self.notes += run.notes

    def opened(self, title: str, digest: str) -> OpenedLogs:
        """The table of everything that came in.

        Raises:
            InputError: there is no run, no metric, or more rows or columns than can be held.
        """
        runs = list(self._runs.values())
        if not any(run.history or run.final or run.config for run in runs):
            raise InputError(f"{title}: the logs hold no value", "check that the runs logged any")
        table, notes = _table(runs, _labels(runs), title)
        return OpenedLogs(title, table, digest, tuple(dict.fromkeys((*self.notes, *notes))))


def _labels(runs: Sequence[_Whole]) -> list[str]:
    """A name for each run that no other has: its own where that will do, else with its log."""
    labels = [run.name or run.key for run in runs]
    for more in ("log", "tracker", "key"):
        count: dict[str, int] = {}
        for label in labels:
            count[label] = count.get(label, 0) + 1
        labels = [
            f"{label} ({getattr(run, more)})" if count[label] > 1 else label
            for run, label in zip(runs, labels, strict=True)
        ]
    return labels


def _table(
    runs: Sequence[_Whole], labels: Sequence[str], title: str
) -> tuple[pa.Table, list[Note]]:
    steps = [_steps(run) for run in runs]
    sizes = np.array([own.size for own in steps], np.int64)
    rows = int(sizes.sum())
    metrics = _union((*run.history, *run.final) for run in runs)
    settings = _union(run.config for run in runs)
    if rows > MOST_ROWS or len(metrics) + len(settings) > MOST_COLUMNS:
        raise InputError(
            f"{title} has {rows} rows and {len(metrics) + len(settings)} columns, more than"
            f" {MOST_ROWS} or {MOST_COLUMNS}",
            "give fewer logs at a time",
        )
    # Settings stand to the left of steps; a name that is both is a metric.
    names, renamed = _unique(settings, metrics)
    arrays: dict[str, pa.Array[Any]] = {
        "run": _repeated(labels, sizes),
        "tracker": _repeated([run.tracker for run in runs], sizes),
        "log": _repeated([run.log for run in runs], sizes),
    }
    for name, shown_as in names.items():
        arrays[shown_as] = _setting([run.config.get(name) for run in runs], sizes)
    arrays["step"] = column_of(np.concatenate(steps))
    infinite: list[str] = []
    carried: list[str] = []
    for name in metrics:
        parts = [_metric(r, name, own) for r, own in zip(runs, steps, strict=True)]
        if _is_counter(name, parts):
            before = _missing(parts)
            parts = [_carried(part, own) for part, own in zip(parts, steps, strict=True)]
            count = before - _missing(parts)
            carried += [f"{shown(name)!r} ({count})"] if count else []
        values = np.concatenate(parts)
        if np.isinf(values).any():
            infinite.append(f"{shown(name)!r} ({int(np.isinf(values).sum())})")
            values = np.where(np.isinf(values), np.nan, values)
        arrays[f"metric.{name}" if name in _OWN else name] = column_of(values)
    return pa.table(arrays), [*renamed, *_told(infinite, carried)]


def _steps(run: _Whole) -> Array:
    """Every step at which something was written, ascending, shape (rows,); NaN if nothing was."""
    written = [np.array(steps) for steps, _ in run.history.values()]
    if not written:
        return np.full(1, np.nan)
    return np.unique(np.concatenate(written))


def _metric(run: _Whole, name: str, steps: Array) -> Array:
    """Values of one metric at `steps`, NaN where none was written, shape as `steps`."""
    values = np.full(steps.size, np.nan)
    if name in run.history:
        at, written = run.history[name]
        # Of several values at one step the last one stays.
        values[np.searchsorted(steps, np.array(at))] = written
    elif name in run.final:
        values[-1] = run.final[name]
    return values


def _setting(values: Sequence[Cell | None], sizes: IntArray) -> pa.Array[Any]:
    """One setting of every run, repeated for its rows: numbers if all are, else texts."""
    present = [value for value in values if value is not None]
    places = np.repeat(np.arange(sizes.size, dtype=np.int64), sizes)
    if all(isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**53 for v in present):
        whole: pa.Array[Any] = pa.array(values, pa.int64()).take(places)
        return whole
    if all(is_number(value) for value in present):
        numbers = np.array([np.nan if v is None else as_float(v) for v in values])
        # An infinite setting, such as no limit, is not the value of anything that is fitted.
        return column_of(np.repeat(np.where(np.isinf(numbers), np.nan, numbers), sizes))
    return _repeated([None if v is None else _words(v) for v in values], sizes)


def _words(value: Cell) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _repeated(words: Sequence[str | None], sizes: IntArray) -> pa.Array[Any]:
    places = np.repeat(np.arange(sizes.size, dtype=np.int64), sizes)
    clean = [None if word is None else _clean(word) for word in words]
    taken: pa.Array[Any] = pa.array(clean, pa.string()).take(places)
    return taken


def _clean(text: str) -> str:
    """`text` without halves of surrogate pairs, which Arrow cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    """Every name once, in the order in which they first appear."""
    return list(dict.fromkeys(name for some in names for name in some))


def _unique(settings: Sequence[str], metrics: Sequence[str]) -> tuple[dict[str, str], list[Note]]:
    """Settings to their column names; those that the frame or a metric has got are renamed."""
    taken = {*_OWN, *metrics}
    names = {name: f"config.{name}" if name in taken else name for name in settings}
    clash = [name for name in settings if name in metrics]
    if not clash:
        return names, []
    listed = ", ".join(repr(shown(name)) for name in clash[:5])
    return names, [
        NAME_TAKEN.note(f"settings that are metrics too are called config.NAME: {listed}")
    ]


def _is_counter(name: str, parts: Sequence[Array]) -> bool:
    """Whether a metric counts what was used up: by its name, and because it never falls."""
    words = name.casefold()
    if not _COUNTS.search(words) or _RATES.search(words):
        return False
    written = [part[np.isfinite(part)] for part in parts]
    return all((np.diff(part) >= 0).all() for part in written)


def _carried(values: Array, steps: Array) -> Array:
    """Missing values replaced by the one written last, shape as `values`.

    Not beyond the step at which another value was due, for then the log of the count was cut.
    """
    written = np.flatnonzero(~np.isnan(values))
    if not written.size:
        return values
    place = np.searchsorted(written, np.arange(values.size), side="right") - 1
    last = written[np.maximum(place, 0)]
    due = np.diff(steps[written]).max() if written.size > 1 else 0.0
    age = steps - steps[last]
    within = (place >= 0) & ((age <= 1) | (age < due) | (last < written[-1]))
    return np.where(within, values[last], np.nan)


def _missing(parts: Sequence[Array]) -> int:
    return sum(int(np.isnan(part).sum()) for part in parts)


def _told(infinite: Sequence[str], carried: Sequence[str]) -> list[Note]:
    notes = []
    if infinite:
        told = f"infinite values are read as missing: {', '.join(infinite[:5])}"
        notes.append(VALUE_INFINITE.note(told))
    if carried:
        told = f"where a count was not written its last value stands: {', '.join(carried[:5])}"
        notes.append(COUNTER_CARRIED.note(f"{told} rows"))
    return notes
