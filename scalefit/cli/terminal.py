"""A report on the terminal: plain words and tables that fit the line."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from io import StringIO
from textwrap import wrap
from typing import IO, TYPE_CHECKING

from scalefit.core.numbers import shown

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from scalefit.core.notes import Note
    from scalefit.tables.reports.base import Report, Section

_NARROWEST, _USUAL, _WIDEST = 40, 80, 120
_WORDS_WIDEST = 88
_NARROWEST_TEXT = 12
_GAP = 2
_STYLES = {"note": "cyan", "warning": "yellow", "refusal": "bold red"}
_ASCII = {
    "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "±": "+/-", "≥": ">=", "≤": "<=", "≈": "~",
    "→": "->", "·": "*", "’": "'", "‘": "'", "“": '"', "”": '"', "α": "alpha", "β": "beta",
    "γ": "gamma", "δ": "delta", "κ": "kappa", "σ": "sigma", "τ": "tau", "θ": "theta", "─": "-",
    "Δ": "Delta",
}  # fmt: skip


def show(report: Report, *, stream: IO[str]) -> None:
    """Print a report: sections as tables, doubts with their code and severity.

    A stream that is no terminal, `NO_COLOR` or `TERM=dumb` gets no escape bytes; `FORCE_COLOR`
    asks for them. A stream that cannot carry UTF-8 gets ASCII. Figures are left to the page.

    Args:
        report: What to print.
        stream: Open text stream, such as standard output.
    """
    from rich.console import Console

    coloured = _coloured(stream)
    printer = _Printer(
        Console(
            file=StringIO(),
            width=_width(stream),
            force_terminal=coloured,
            force_interactive=False,
            color_system="standard" if coloured else None,
            no_color=not coloured,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        ),
        ascii_only=not (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf"),
    )
    printer.report(report)
    stream.write(printer.text())


class _Printer:
    """Lays a report out line by line; all text enters through `words`, so none is mark-up."""

    def __init__(self, console: Console, *, ascii_only: bool) -> None:
        """Print to the console's own buffer."""
        self.console = console
        self.ascii_only = ascii_only

    def text(self) -> str:
        """What was printed, without blanks at the ends of lines."""
        printed = self.console.file
        assert isinstance(printed, StringIO)
        lines = (line.rstrip() for line in printed.getvalue().split("\n"))
        whole = "\n".join(lines)
        return whole.replace("─", "-") if self.ascii_only else whole

    def safe(self, text: str) -> str:
        """`text` in letters that the stream can carry and that move no cursor."""
        visible = shown(text, longest=len(text) * 10 + 1)
        if not self.ascii_only:
            return visible
        return "".join(c if c.isascii() else _ASCII.get(c) or _ascii_letter(c) for c in visible)

    def print(self, what: RenderableType = "", *, indent: int = 0) -> None:
        """One block, folded where a word is longer than the line."""
        from rich.padding import Padding

        self.console.print(Padding(what, (0, 0, 0, indent)), overflow="fold")

    def words(self, text: str, style: str = "", *, indent: int = 0) -> None:
        """A paragraph, wrapped at a width that reads well."""
        from rich.text import Text

        narrow = min(self.console.width, _WORDS_WIDEST) - indent
        lines = Text(self.safe(text), style=style, overflow="fold").wrap(self.console, narrow)
        for line in lines:
            self.print(line, indent=indent)

    def report(self, report: Report) -> None:
        """Title, doubts about the whole, sections."""
        if report.title:
            self.words(report.title, "bold")
        self.notes(report.notes)
        for section in report.sections:
            self.print()
            self.section(section)

    def section(self, section: Section) -> None:
        """Heading, sentences, table, sentences, doubts."""
        self.words(section.heading, "bold")
        for text in section.lead:
            self.words(text)
        if section.header:
            self.print()
            self.table(section)
        if section.footer:
            self.print()
        for text in section.footer:
            self.words(text, "dim")
        self.notes(section.notes)

    def notes(self, notes: Sequence[Note]) -> None:
        """Each note as a line with its severity and code, and its message below."""
        for note in notes:
            self.print()
            self.words(f"{note.severity}: {note.code}", _STYLES[note.severity])
            self.words(note.message, indent=2)

    def table(self, section: Section) -> None:
        """A table if its numbers fit on the line beside some text, else one block per row."""
        from rich.cells import cell_len

        rows = [[self.safe(text) for text in row] for row in (section.header, *section.rows)]
        natural = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
        least = [
            width if place in section.numeric else min(width, _NARROWEST_TEXT)
            for place, width in enumerate(natural)
        ]
        if sum(least) + _GAP * (len(least) - 1) <= self.console.width:
            room = self.console.width - _GAP * (len(least) - 1)
            self.print(_side_by_side(rows, _widths(natural, least, room), section.numeric))
        else:
            self.stacked(rows)

    def stacked(self, rows: Sequence[Sequence[str]]) -> None:
        """Each row as lines of head and value, with a blank line between rows."""
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text

        head, *body = rows
        widest = min(max(map(cell_len, head)), self.console.width // 3)
        for number, row in enumerate(body):
            if number:
                self.print()
            block = Table.grid(padding=(0, _GAP, 0, 0))
            block.add_column(width=widest, overflow="fold")
            block.add_column(overflow="fold")
            for name, text in zip(head, row, strict=True):
                block.add_row(Text(name, style="dim"), Text(text))
            self.print(block)


def _side_by_side(
    rows: Sequence[Sequence[str]], widths: Sequence[int], numeric: frozenset[int]
) -> Table:
    """Columns with a rule below their heads: numbers whole and flush right, text in lines."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        # The divider of this box is a blank of its own.
        padding=(0, _GAP - 1, 0, 0),
    )
    for place, name in enumerate(rows[0]):
        flush = place in numeric
        table.add_column(
            Text(name, style="bold"),
            justify="right" if flush else "left",
            overflow="fold",
            width=widths[place],
        )
    for row in rows[1:]:
        table.add_row(*(Text(_in_lines(text, widths[k])) for k, text in enumerate(row)))
    return table


def _widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """A width for each column: the least, and each cell left over where lines are most."""
    widths = list(least)
    for _ in range(room - sum(least)):
        lines = [want / has if want > has else 0 for want, has in zip(natural, widths, strict=True)]
        if not any(lines):
            break
        widths[lines.index(max(lines))] += 1
    return widths


def _in_lines(text: str, width: int) -> str:
    """Text in lines of so many letters, parted at blanks and hyphens; longer words are folded."""
    return "\n".join(wrap(text, width, break_long_words=False)) if len(text) > width else text


def _coloured(stream: IO[str]) -> bool:
    """Whether escape bytes are welcome."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def _width(stream: IO[str]) -> int:
    """Columns to fill: those of the terminal within reason, 80 anywhere else."""
    if not stream.isatty():
        return _USUAL
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = _USUAL
    # A terminal that does not know its size says 0.
    return min(max(columns or _USUAL, _NARROWEST), _WIDEST)


def _ascii_letter(letter: str) -> str:
    """The plain letter below an accent, or the code of what has none."""
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode("ascii")
    return plain or letter.encode("unicode_escape").decode("ascii")
