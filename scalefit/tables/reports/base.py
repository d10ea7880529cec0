"""What a report is made of. The hall writes the words; a format only lays them out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.records import dataclass
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


@dataclass(frozen=True, eq=False)
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
        InputError: it has none.
        UnknownName: no format has that suffix.
    """
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes:
            return known
    if not path.suffix and path.name not in FORMATS:
        endings = ", ".join(known.suffixes[0] for known in FORMATS)
        raise InputError(
            f"{shown(path.name)!r} has no suffix to choose a format by", f"end it with {endings}"
        )
    return FORMATS.get(path.suffix.lstrip(".") or path.name)


def literal(text: str) -> str:
    r"""`text` whole, with control, direction and zero-width marks as codes.

    >>> literal("a\u202eb\n")
    'a\\u202eb\\n'
    """
    return shown(text, longest=sys.maxsize)


def first_table(report: Report) -> pa.Table:
    """The table for machines of the first section that has one.

    Raises:
        InputError: no section has a table, so there is nothing to write.
    """
    for section in report.sections:
        if section.table is not None:
            return section.table
    raise InputError(
        "this report holds no table", "write it as .md, .html or .json, which need none"
    )


def facts(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """A manifest as pairs of words in its own order, nested keys joined by dots.

    >>> facts({"seed": 0, "runs": {"path": "runs.csv", "rows": [1, 2]}})
    (('seed', '0'), ('runs.path', 'runs.csv'), ('runs.rows', '1, 2'))
    """
    pairs: list[tuple[str, str]] = []
    for key, value in manifest.items():
        if isinstance(value, Mapping):
            pairs += [(f"{key}.{inner}", words) for inner, words in facts(value)]
        elif isinstance(value, (list, tuple)):
            pairs.append((str(key), ", ".join(str(item) for item in value)))
        else:
            pairs.append((str(key), "none" if value is None else str(value)))
    return tuple(pairs)
