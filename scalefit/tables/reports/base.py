"""What a report is made of. The hall writes the words; a format only lays them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from scalefit.core.notes import Note
from scalefit.core.registry import Registry


@dataclass(frozen=True)
class Figure:
    """One picture as SVG text, with the words that belong to it.

    Attributes:
        name: File stem, such as `loss-against-compute`.
        caption: One or two sentences that say what to see; also the alternative text.
        svg: A complete `<svg>` element without XML prolog.
    """

    name: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Section:
    """One part of the story.

    Attributes:
        name: File stem and anchor, such as `parameters`.
        heading: Shown above it.
        lead: Sentences before the table; plain text, never mark-up.
        header: Column heads of the table for people; empty if there is none.
        rows: Cells of that table as text, each row as long as the header.
        numeric: Which columns are set flush right, by position.
        table: The same facts for machines, unrounded, with units in the field metadata.
        figures: Pictures after the table.
        notes: Doubts about just this part.
        footer: Sentences after the table: method, level, degrees of freedom.
    """

    name: str
    heading: str
    lead: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numeric: frozenset[int] = frozenset()
    table: pa.Table | None = None
    figures: tuple[Figure, ...] = ()
    notes: tuple[Note, ...] = ()
    footer: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole story: sections for people, and the document for machines.

    Attributes:
        title: One line.
        sections: In reading order.
        document: The JSON document of contract.md; finite numbers or None only.
        notes: Doubts about the whole.
        manifest: Version, seed, settings and hash of the input: enough to make it again.
    """

    title: str
    sections: tuple[Section, ...]
    document: Mapping[str, Any]
    notes: tuple[Note, ...] = ()
    manifest: Mapping[str, Any] | None = None


class Format(Protocol):
    """Lays a report out as bytes; `suffixes` are the file endings that choose it."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    def render(self, report: Report) -> bytes:
        """The whole file."""
        ...


FORMATS: Registry[Format] = Registry("report format")


def format_for(path: Path) -> Format:
    """The format that a file's suffix asks for.

    Raises:
        UnknownName: no format has that suffix.
    """
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes:
            return known
    return FORMATS.get(path.suffix.lstrip(".") or path.name)
