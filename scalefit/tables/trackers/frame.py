"""Runs of any trackers to one table: a row for each run and step, a column for each name."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import counted, shown
from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass, replace
from scalefit.tables.arrays import column_of
from scalefit.tables.columns import fold
from scalefit.tables.doubts import (
    COUNTER_CARRIED,
    LOGGED_TWICE,
    NAME_TAKEN,
    NAMES_JOINED,
    VALUE_INFINITE,
)
from scalefit.tables.readers.base import MOST_ROWS, Loaded
from scalefit.tables.readers.typed import Typed
from scalefit.tables.trackers.base import Cell, Run, Series, as_float, is_number

# A column, and what is to be told of it.
Column: TypeAlias = "tuple[pa.Array[Any], list[Note]]"
MOST_COLUMNS = 20_000
# Columns that the frame itself makes; a setting or metric of such a name is renamed.
_OWN = ("run", "tracker", "log", "step")
# Loss and tokens are often logged by two calls, which W&B counts as two steps.
_COUNTS = re.compile(r"token|sample|sequence|example|flop|flos")
_LOSSES = re.compile(r"loss|bpb|ppl|perplexity")
_FEWEST = 3
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
            mine = self.history.setdefault(_clean(name), (array("d"), array("d")))
            mine[0].extend(steps)
            mine[1].extend(values)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Runs with the rows they take: one for each step at which anything was written.

    Attributes:
        labels: A name for each run.
        steps: Steps of each run, ascending; one NaN for a run without steps.
    """

    runs: tuple[_Whole, ...]
    labels: tuple[str, ...]
    steps: tuple[Array, ...]

    @property
    def sizes(self) -> IntArray:
        """Rows of each run, shape (runs,)."""
        return np.array([own.size for own in self.steps], np.int64)

    def place(self, row: int) -> str:
        """`run 'a', step 200 (row 7)`; rows count from 1."""
        ends = np.cumsum(self.sizes)
        run = int(np.searchsorted(ends, row))
        step = self.steps[run][row - 1 - int(ends[run])]
        at = "" if math.isnan(step) else f", step {step:g}"
        return f"run {shown(self.labels[run], 60)!r}{at} (row {row})"

    def step(self) -> Column:
        """The steps, one run after the other."""
        return column_of(np.concatenate(self.steps)), []

    def words(self, values: Sequence[str | None]) -> Column:
        """A text of each run, repeated for its rows."""
        clean = [None if value is None else _clean(value) for value in values]
        return pa.array(clean, pa.string()).take(self._places()), []

    def setting(self, name: str) -> Column:
        """One setting of every run, repeated for its rows: numbers if all are, else texts."""
        values = [run.config.get(name) for run in self.runs]
        present = [value for value in values if value is not None]
        if all(isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**53 for v in present):
            return pa.array(values, pa.int64()).take(self._places()), []
        if all(is_number(value) for value in present):
            numbers = np.array([np.nan if v is None else as_float(v) for v in values])
            # An infinite setting, such as no limit, is not the value of anything that is fitted.
            numbers = np.where(np.isinf(numbers), np.nan, numbers)
            return column_of(np.repeat(numbers, self.sizes)), []
        return self.words([None if value is None else _words(value) for value in values])

    def metric(self, name: str) -> Column:
        """One metric of every run at its steps, NaN where it was not written."""
        pairs = list(zip(self.runs, self.steps, strict=True))
        parts = [_metric(run, name, own) for run, own in pairs]
        notes: list[Note] = []
        if _is_counter(name, parts):
            before = _missing(parts)
            parts = [_carried(part, own) for part, own in zip(parts, self.steps, strict=True)]
            if count := before - _missing(parts):
                rows = counted(count, "row")
                told = f"{shown(name)!r} was not written in {rows}; its last value stands"
                notes.append(COUNTER_CARRIED.note(told))
        values = np.concatenate(parts)
        infinite = np.isinf(values)
        if infinite.any():
            rows = counted(int(infinite.sum()), "row")
            told = f"{shown(name)!r} is infinite in {rows}, read as missing"
            notes.append(VALUE_INFINITE.note(told))
        return column_of(np.where(infinite, np.nan, values)), notes

    def _places(self) -> IntArray:
        return np.repeat(np.arange(len(self.runs), dtype=np.int64), self.sizes)


@dataclass(frozen=True)
class OpenedLogs:
    """Runs as a table whose columns are made when they are wanted: logs have hundreds.

    Attributes:
        title: What was opened, for messages.
        columns: Name to what makes the column: `run`, `tracker`, `log`, settings, `step`, metrics.
        place: Words for where a row stands.
        digest: Hash of every file that was read.
    """

    title: str
    columns: Mapping[str, Callable[[], Column]]
    place: Callable[[int], str]
    digest: str
    notes: tuple[Note, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their order."""
        return tuple(self.columns)

    @property
    def table(self) -> pa.Table:
        """Every column."""
        return self._made(self.names)[0]

    def load(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str] = ()
    ) -> Loaded:
        """The named columns, numbers as float64 and texts as strings.

        Raises:
            CellError: a value is text that is no number.
        """
        table, notes = self._made((*numbers, *texts))
        loaded = Typed(self.title, table, self.place).load(numbers, texts, na)
        return replace(loaded, notes=(*loaded.notes, *notes))

    def sha256(self) -> str:
        """Hash of every file that was read."""
        return self.digest

    def _made(self, names: Sequence[str]) -> tuple[pa.Table, list[Note]]:
        made = {name: self.columns[name]() for name in names}
        notes = [note for _, own in made.values() for note in own]
        return pa.table({name: column for name, (column, _) in made.items()}), notes


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
        joined = _joined(runs)
        grid = _Grid(tuple(runs), tuple(_labels(runs)), tuple(map(_steps, runs)))
        columns, notes = _columns(grid, title)
        told = tuple(dict.fromkeys((*self.notes, *joined, *notes, *_twins(grid))))
        return OpenedLogs(title, columns, grid.place, digest, told)


def _joined(runs: Sequence[_Whole]) -> list[Note]:
    """Give a setting or metric the one name under which it was first seen; a note says which."""
    metrics = _spellings([[*run.history, *run.final] for run in runs])
    settings = _spellings([list(run.config) for run in runs])
    for run in runs:
        run.config = {settings.get(name, name): value for name, value in run.config.items()}
        run.history = {metrics.get(name, name): value for name, value in run.history.items()}
        run.final = {metrics.get(name, name): value for name, value in run.final.items()}
    if not metrics and not settings:
        return []
    listed = [f"{shown(old)!r} as {shown(new)!r}" for old, new in (metrics | settings).items()]
    return [NAMES_JOINED.note(f"one name in several spellings: {', '.join(listed[:5])}")]


def _spellings(runs: Sequence[Sequence[str]]) -> dict[str, str]:
    """Names that are written differently elsewhere, to the spelling that was seen first.

    A run that has two spellings means two things by them, so these are left alone. So are single
    letters, whose case tells them apart.
    """
    first: dict[str, str] = {}
    apart: set[str] = set()
    for names in runs:
        own: dict[str, str] = {}
        for name in names:
            key = fold(name) if len(name) > 1 else name
            if own.setdefault(key, name) != name:
                apart.add(key)
            first.setdefault(key, name)
    every = _union(runs)
    keys = {name: fold(name) if len(name) > 1 else name for name in every}
    return {name: first[k] for name, k in keys.items() if first[k] != name and k not in apart}


def _twins(grid: _Grid) -> list[Note]:
    """A note if runs of two trackers are one run, as far as their losses tell."""
    seen: dict[tuple[float, int, float], int] = {}
    twins: list[tuple[int, int]] = []
    for place, run in enumerate(grid.runs):
        for name, (steps, values) in run.history.items():
            # A single value may agree by chance, and TensorBoard keeps single precision only.
            if len(values) < _FEWEST or not _LOSSES.search(name.casefold()):
                continue
            with np.errstate(over="ignore"):
                end = (steps[-1], len(values), float(np.float32(values[-1])))
            other = seen.setdefault(end, place)
            if grid.runs[other].tracker != run.tracker:
                twins.append((other, place))
    if not twins:
        return []
    first, second = twins[0]
    told = " and ".join(
        f"{shown(grid.labels[i], 60)!r} ({grid.runs[i].tracker})" for i in (first, second)
    )
    pairs = len({second for _, second in twins})
    return [LOGGED_TWICE.note(f"{pairs} runs seem to be logged by two trackers, such as {told}")]


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


def _columns(grid: _Grid, title: str) -> tuple[dict[str, Callable[[], Column]], list[Note]]:
    """Every column by its name; settings stand to the left of steps, metrics to the right.

    Raises:
        InputError: there are more rows or columns than can be held.
    """
    metrics = _union((*run.history, *run.final) for run in grid.runs)
    settings = _union(run.config for run in grid.runs)
    rows, width = int(grid.sizes.sum()), len(metrics) + len(settings)
    if rows > MOST_ROWS or width > MOST_COLUMNS:
        raise InputError(
            f"{title} has {rows} rows and {width} columns, more than {MOST_ROWS} or {MOST_COLUMNS}",
            "give fewer logs at a time",
        )
    columns: dict[str, Callable[[], Column]] = {
        "run": partial(grid.words, grid.labels),
        "tracker": partial(grid.words, [run.tracker for run in grid.runs]),
        "log": partial(grid.words, [run.log for run in grid.runs]),
    }
    taken = {*_OWN, *metrics}
    for name in settings:
        columns[_free(name, "config", taken)] = partial(grid.setting, name)
    columns["step"] = grid.step
    for name in metrics:
        columns[_free(name, "metric", set(columns))] = partial(grid.metric, name)
    return columns, _clashes(settings, metrics)


def _free(name: str, prefix: str, taken: set[str]) -> str:
    """The name, with a prefix where another column has it."""
    while name in taken:
        name = f"{prefix}.{name}"
    taken.add(name)
    return name


def _clashes(settings: Sequence[str], metrics: Sequence[str]) -> list[Note]:
    clash = [name for name in settings if name in set(metrics)]
    if not clash:
        return []
    listed = ", ".join(repr(shown(name)) for name in clash[:5])
    return [NAME_TAKEN.note(f"settings that are metrics too are called config.NAME: {listed}")]


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


def _words(value: Cell) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _clean(text: str) -> str:
    """`text` without halves of surrogate pairs, which Arrow cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    """Every name once, in the order in which they first appear."""
    return list(dict.fromkeys(name for some in names for name in some))


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
    return np.where(np.isnan(values) & within, values[last], values)


def _missing(parts: Sequence[Array]) -> int:
    return sum(int(np.isnan(part).sum()) for part in parts)
