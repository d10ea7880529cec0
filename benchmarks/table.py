"""One table of all that was measured, for a terminal of 80 columns and in Markdown."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Promise:
    """A limit on a ratio.

    Attributes:
        ratio: What was measured.
        limit: What was promised; infinite where the ratio is only told.
        at_least: Whether the ratio must reach the limit; else it must not exceed it.
        of: Ratio of what to what, in words.
        best: What the ratio would be if nothing were done but what no program can do without; nan
            where that is not known.
        why: What stands between, in words, if it is missed.
    """

    ratio: float
    limit: float
    at_least: bool
    of: str
    best: float = math.nan
    why: str = ""

    @property
    def kept(self) -> bool:
        """Whether the measurement keeps it."""
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    @property
    def distance(self) -> float:
        """What the ratio must still be multiplied or divided by; 1 or less if it is kept."""
        return self.limit / self.ratio if self.at_least else self.ratio / self.limit

    @property
    def words(self) -> str:
        """As the table says it when it is missed."""
        told = (
            f"missed: {self.of} is {number(self.ratio)}, promised "
            f"{'at least' if self.at_least else 'at most'} {self.limit:g}: "
            f"{number(self.distance)} times short"
        )
        if not math.isnan(self.best):
            told += f"; at the limit it would be {number(self.best)}"
        return f"{told}; {self.why}" if self.why else told


@dataclass(frozen=True)
class Line:
    """One tool at one work.

    Attributes:
        tool: Its name.
        whole: Seconds of the whole process; nan where there is none.
        each: Seconds per refit, or per fit; nan where there is none.
        memory: Peak in MB.
        above: Objective over the best known, less one.
        worse: Share of refits that are worse than the best known by more than the block's gate.
        promise: What this line is held to.
        scaled: Whether times come from fewer refits or starts than the work has.
    """

    tool: str
    whole: float = math.nan
    each: float = math.nan
    memory: float = math.nan
    above: float = math.nan
    worse: float = math.nan
    promise: Promise | None = None
    scaled: bool = False


@dataclass(frozen=True)
class Block:
    """One work and every tool at it.

    Attributes:
        title: The work in words.
        lines: The tools.
        notes: What a reader must know to believe it.
    """

    title: str
    lines: list[Line]
    notes: list[str] = field(default_factory=list)


HEADER = ("tool", "whole", "each", "MB", "above", "worse", "ratio", "promise")
WIDTHS = (21, 9, 9, 6, 6, 6, 6, 9)
LEGEND = (
    "whole: processor seconds of the whole process, start of Python to exit; each: per refit or "
    "fit; MB: peak memory; above: objective over the best known, less one; worse: share of refits "
    "worse than the best known by more than the gate in the title; ratio: as the promise beside "
    "it counts it, the median of pairs run in turn. ~: from fewer refits or starts, scaled."
)


def number(value: float) -> str:
    """Three figures, without an exponent where people would not write one.

    >>> number(57.123), number(0.0471), number(12345.0), number(float("nan"))
    ('57.1', '0.0471', '12,345', '')
    """
    if math.isnan(value):
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """A time with its unit.

    >>> seconds(0.0000471), seconds(12.34), seconds(0.5)
    ('47.1 us', '12.3 s', '0.5 s')
    """
    if math.isnan(value):
        return ""
    for unit, size in (("s", 0.1), ("ms", 1e-4), ("us", 1e-7)):
        if value >= size:
            return f"{number(value / {'s': 1, 'ms': 1e-3, 'us': 1e-6}[unit])} {unit}"
    return f"{number(value * 1e9)} ns"


def cells(line: Line) -> tuple[str, ...]:
    """The line as text, one entry per column."""
    mark = "~" if line.scaled else ""
    promise = line.promise
    return (
        line.tool,
        mark + seconds(line.whole) if line.whole == line.whole else "",
        mark + seconds(line.each) if line.each == line.each else "",
        "" if math.isnan(line.memory) else f"{line.memory:.0f}",
        "" if math.isnan(line.above) else f"{max(line.above, 0):.0e}" if line.above else "0",
        "" if math.isnan(line.worse) else _percent(line.worse),
        "" if promise is None else number(promise.ratio),
        "" if promise is None else _bound(promise),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"


def _bound(promise: Promise) -> str:
    if math.isinf(promise.limit):
        return ""
    sign = ("≥" if promise.at_least else "≤") + f"{promise.limit:g}"
    return sign + (" kept" if promise.kept else " no")


def terminal(blocks: list[Block]) -> str:
    """The table in 80 columns."""
    rows = [_row(HEADER), "─" * 78]
    for block in blocks:
        rows += ["", *wrapped(block.title, 78)]
        rows += [_row(cells(line)) for line in block.lines]
        for note in notes(block):
            rows += wrapped(note, 76, indent="  ")
    return "\n".join([*rows, "", *wrapped(LEGEND, 78)])


def notes(block: Block) -> list[str]:
    """The block's own notes, and a line for each promise that is missed."""
    missed = [
        f"{line.tool}: {line.promise.words}"
        for line in block.lines
        if line.promise and not line.promise.kept
    ]
    return [*block.notes, *missed]


def _row(texts: tuple[str, ...]) -> str:
    first, *rest = texts
    row = (first if len(first) <= WIDTHS[0] else first[: WIDTHS[0] - 1] + "…").ljust(WIDTHS[0])
    for text, width in zip(rest, WIDTHS[1:], strict=True):
        row += text.rjust(width + 1)
    return row.rstrip()


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """The text in lines of at most that width."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width - len(indent):
            lines.append(indent + line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, indent + line]


def markdown(blocks: list[Block]) -> str:
    """The same table for a page."""
    rows = [
        "| " + " | ".join(("work and " + HEADER[0], *HEADER[1:])) + " |",
        "| --- |" + " ---: |" * (len(HEADER) - 1),
    ]
    told = []
    for block in blocks:
        rows.append(f"| **{block.title}** |" + " |" * (len(HEADER) - 1))
        rows += ["| " + " | ".join(cells(line)) + " |" for line in block.lines]
        told += [f"- {block.title}: {note}" for note in notes(block)]
    return "\n".join([*rows, "", LEGEND, "", *told]) + "\n"
