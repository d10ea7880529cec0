"""Markdown: the story as text that reads well as it is and rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar
from unicodedata import combining, east_asian_width

from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.tables.reports.base import FORMATS, Report, Section, facts, literal

# What starts code, emphasis, links, tags, entities, cells, maths, footnotes or templates; `_` only
# at the edge of a word, so that final_loss stays readable in the source.
_INLINE = re.compile(
    r"[\\`*\[\]<|~$]|\{(?=[{%])|(?<![^\W_])_|_(?![^\W_])|&(?=#|\w)|:(?=//)|(?i:(?<=www))\.|@(?=\w)"
)
_AT_START = re.compile(r"^(#|\+|-|=|>|:|\d+(?=[.)]))")
_KEBAB = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True)
class Markdown:
    """Headings, paragraphs, pipe tables; pictures are links into a folder beside the file.

    Attributes:
        figures: Folder of the pictures, relative to the file.
    """

    name: ClassVar[str] = "markdown"
    suffixes: ClassVar[tuple[str, ...]] = (".md", ".markdown")
    figures: str = "figures"

    def render(self, report: Report) -> bytes:
        """The whole story."""
        blocks = [f"# {escaped(report.title or 'scalefit report')}", *_notes(report.notes)]
        for section in report.sections:
            blocks += self._section(section)
        if report.manifest:
            blocks.append("## How this was made")
            blocks.append("\n".join(_table(("what", "value"), facts(report.manifest))))
        return ("\n\n".join(blocks) + "\n").encode("utf-8")

    def _section(self, section: Section) -> Iterator[str]:
        """Blocks of one section, in reading order."""
        yield f"## {escaped(section.heading)}"
        yield from (paragraph(words) for words in section.lead)
        if section.header:
            yield "\n".join(_table(section.header, section.rows, section.numeric))
        yield from (paragraph(words) for words in section.footer)
        yield from _notes(section.notes)
        for figure in section.figures:
            yield f"![{escaped(figure.caption)}]({self.figures}/{_address(figure.name)}.svg)"


def escaped(text: str) -> str:
    r"""`text` so that Markdown shows it letter by letter, on one line.

    >>> escaped("a|b *c* final_loss")
    'a\\|b \\*c\\* final_loss'
    """
    return _INLINE.sub(lambda found: "\\" + found[0], literal(text))


def paragraph(text: str) -> str:
    r"""`text` as a paragraph: nothing at its start makes it a heading, a list or a rule.

    >>> paragraph("1. not a list")
    '1\\. not a list'
    """
    words = escaped(text.strip(" "))
    start = _AT_START.match(words)
    if not start:
        return words
    if start[0].isdigit():
        return f"{start[0]}\\{words[start.end() :]}"
    return f"\\{words}"


def _notes(notes: Sequence[Note]) -> Iterator[str]:
    """Notes as one list, the weightiest first word in each."""
    if notes:
        yield "\n".join(f"- **{n.severity}** {_code(n.code)}: {escaped(n.message)}" for n in notes)


def _code(code: str) -> str:
    """A note's code as code if it is one, else as plain letters."""
    return f"`{code}`" if _KEBAB.fullmatch(code) else escaped(code)


def _address(name: str) -> str:
    """`name` with everything that could end or leave a link address coded."""
    return "".join(
        c if c.isascii() and (c.isalnum() or c in "-_.") else "%" + c.encode("utf-8").hex("%")
        for c in name.encode("utf-8", "replace").decode("utf-8")
    )


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], numeric: frozenset[int] = frozenset()
) -> Iterator[str]:
    """Lines of a pipe table, columns aligned in the source."""
    body = [[escaped(text) for text in row] for row in (header, *rows)]
    widths = [max(3, *map(_width, column)) for column in zip(*body, strict=True)]

    def line(cells: Sequence[str]) -> str:
        """One row, numbers flush right."""
        padded = (
            " " * (width - _width(text)) + text
            if place in numeric
            else text + " " * (width - _width(text))
            for place, (text, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    yield line(body[0])
    rules = ("-" * (w - 1) + (":" if place in numeric else "-") for place, w in enumerate(widths))
    yield f"| {' | '.join(rules)} |"
    yield from map(line, body[1:])


def _width(text: str) -> int:
    """Columns that `text` takes in an editor with a fixed-width font."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


MARKDOWN = FORMATS.add(Markdown())
