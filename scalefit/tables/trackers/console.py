"""Logs that training programs print: what one line says, and the run that the lines add up to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.tables.doubts import ROUNDED_LOG
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import Cell, History, Log, Run, Tracker, beginning, lines

# Programs print their settings, and warnings of every library, before the first step.
_SEARCHED = 1024**2
_SUFFIXES = (".log", ".txt", ".out", ".err", "")


@dataclass
class Heard:
    """What was understood so far of a log.

    Attributes:
        config: Settings that the program printed.
    """

    config: dict[str, Cell] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def add(self, step: float, values: Mapping[str, float]) -> None:
        """Metrics of one step."""
        for name, value in values.items():
            self.history.add(name, step, value)


def console_tracker(
    name: str,
    files: str,
    mark: str,
    hear: Callable[[Heard, str], None],
    *,
    finish: Callable[[Heard], None] = lambda heard: None,
    rounded: str = "",
) -> Tracker:
    """A tracker for console logs.

    Args:
        name: In kebab case.
        files: What logs these are, in words.
        mark: Pattern of a line that no other program prints.
        hear: Takes one line in.
        finish: Adds what only the whole log tells.
        rounded: What is printed with few digits; empty where nothing is.
    """
    pattern = re.compile(mark.encode())

    def claims(source: Source) -> bool:
        if source.suffix not in _SUFFIXES:
            return False
        head = source.head()
        # A binary file has NUL bytes at once, and is not worth a longer look.
        return b"\0" not in head[:1024] and bool(
            pattern.search(head) or pattern.search(beginning(source, _SEARCHED))
        )

    def read(log: Log) -> Iterator[Run]:
        heard = Heard()
        for _, line in lines(log.source):
            hear(heard, line)
        finish(heard)
        if not heard.history.series:
            raise InputError(f"{log.source.name} holds no step of {name}", "the file is damaged")
        notes: tuple[Note, ...] = ()
        if rounded:
            notes = (ROUNDED_LOG.note(f"{log.source.name}: {name} prints {rounded}"),)
        key = f"{log.folder}/{log.source.name}"
        yield Run(key, log.stem, heard.config, heard.history.series, notes=notes)

    return Tracker(name=name, files=files, claims=claims, read=read)


def number(text: str) -> float | None:
    """A number as programs print it, with commas in thousands; None for anything else."""
    try:
        return float(text.strip().replace(",", ""))
    except ValueError:
        return None


_FACTORS = {"K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}


def short_number(text: str) -> float | None:
    """A number with a size suffix, such as 3.07K; None for anything else.

    >>> short_number("3.07K"), short_number("0.0003"), short_number("n/a")
    (3070.0, 0.0003, None)
    """
    bare = text.strip()
    factor = _FACTORS.get(bare[-1:], 1.0)
    value = number(bare[:-1] if factor != 1.0 else bare)
    if value is None or not math.isfinite(value):
        return value
    # Decimal points move without rounding where the product is a whole number.
    return float(round(value * factor)) if factor != 1.0 else value
