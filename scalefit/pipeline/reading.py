"""Commands about the runs themselves: what the columns are, what was left out, one table of all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import scalefit
from scalefit.config import Settings
from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import counted, shown
from scalefit.core.records import replace
from scalefit.pipeline import documents, steps
from scalefit.tables import columns as roles
from scalefit.tables import joining, units
from scalefit.tables.read import header
from scalefit.tables.reports import Report, Section
from scalefit.tables.runs import RunTable


def columns(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Which column plays which role, as TOML to paste into a config, and as a document.

    Only the names are read, so a table whose cells are wrong can still be mapped.

    Raises:
        InputError: the runs cannot be opened, or a role is ambiguous.
    """
    if not settings.runs.path:
        raise InputError("no runs are given", "give a path, - for standard input, or [runs] path")
    names, assignment = header(
        settings.runs.path,
        columns=dict(settings.runs.columns),
        reader=settings.runs.reader,
        remote=settings.runs.remote,
    )
    derived = roles.derivable(assignment.columns)
    unused = [name for name in names if name not in assignment.columns.values()]
    lines = ["[runs]", f"path = {_quoted(settings.runs.path)}", "", "[runs.columns]"]
    lines += [_mapped(role, name) for role, name in assignment.columns.items()]
    lines += [f"# {role} follows from others: {rule}" for role, rule in derived.items()]
    lines += [f"# {shown(note.message, 200)}" for note in assignment.notes]
    if unused:
        listed = ", ".join(shown(name, 40) for name in unused[:12])
        lines.append(f"# not used: {listed}{', ...' if len(unused) > 12 else ''}")
    document = {
        "schema": "scalefit.columns/1",
        "version": scalefit.__version__,
        "source": settings.runs.path,
        "columns": dict(assignment.columns),
        "derived": dict(derived),
        "unused": unused,
        "notes": documents.notes(assignment.notes),
    }
    return "\n".join(lines) + "\n", document


def _mapped(role: str, name: str) -> str:
    known = roles.ROLES.get(role)
    words = [known.meaning if known else "an input of a law"]
    if role == "N" and roles.size_definition(name) != "unknown":
        words.append(roles.size_definition(name))
    if role == "L":
        words.append(units.loss_unit(name).name)
    elif role in roles.COUNTS and units.split(name)[1] != 1:
        words.append(f"times {units.split(name)[1]:g}")
    key = role if role.isascii() else _quoted(role)
    return f"{key} = {_quoted(name)}  # {', '.join(words)}"


def _quoted(text: str) -> str:
    """A TOML string; its escapes are those of JSON, which leaves DEL alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def excluded_section(table: RunTable) -> Section | None:
    """Rows that are left out, by reason, with a table of every one; None where all are used."""
    if not table.excluded:
        return None
    reasons: dict[str, list[int]] = {}
    for one in table.excluded:
        reasons.setdefault(one.reason, []).append(one.row)
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    return Section(
        name="excluded",
        heading=f"{counted(len(table.excluded), 'row')} left out",
        header=("rows", "reason", "first of them"),
        rows=tuple(
            (str(len(rows)), reason, ", ".join(map(str, rows[:5])) + ", ..." * (len(rows) > 5))
            for reason, rows in ordered[:20]
        ),
        numeric=frozenset({0}),
        footer=() if len(ordered) <= 20 else (f"… and for {len(ordered) - 20} more reasons.",),
        table=pa.table(
            {
                "row": pa.array([one.row for one in table.excluded], pa.int64()),
                "reason": pa.array([one.reason for one in table.excluded], pa.string()),
            }
        ),
    )


def ingest(settings: Settings, paths: Sequence[str], keep: Sequence[str] = ()) -> Report:
    """One table of all runs: roles as columns, units in the metadata, and where each came from.

    Args:
        settings: How each source is read.
        paths: Sources in their order.
        keep: Further columns to carry along, where a source has them.

    Raises:
        InputError: a source cannot be read, or two of them give a role in different units.
    """
    if not paths:
        raise InputError("no runs are given", "give one or more paths")
    wanted = steps.reading(settings.runs)
    tables = []
    for path in paths:
        own = [name for name in keep if name in header(path, **_opening(settings))[0]]
        tables.append(steps.read(path, keep=tuple(own), **wanted))
    joined, notes = joining.join(tables)
    about = [
        {
            "source": Path(table.source).name,
            "sha256": table.sha256,
            "rows_read": table.rows_read,
            "rows_used": table.rows,
            "columns": dict(table.columns),
        }
        for table in tables
    ]
    lost = sum(len(table.excluded) for table in tables)
    document = {
        "schema": "scalefit.ingest/1",
        "version": scalefit.__version__,
        "sources": about,
        "rows": joined.num_rows,
        "columns": list(joined.column_names),
        "notes": documents.notes(notes),
    }
    stamped = joined.replace_schema_metadata(
        {
            "schema": "scalefit.runs/1",
            "scalefit": scalefit.__version__,
            "sources": json.dumps(about, sort_keys=True),
        }
    )
    section = Section(
        name="runs",
        heading=f"{counted(joined.num_rows, 'row')} from {counted(len(tables), 'source')}",
        lead=(f"{sum(t.rows_read for t in tables)} rows read, {lost} left out.",),
        header=("column", "unit", "filled in"),
        rows=tuple(_described(stamped, name) for name in stamped.column_names),
        numeric=frozenset({2}),
        table=stamped,
        notes=_once([*notes, *(note for table in tables for note in table.notes)]),
    )
    return Report(title="scalefit ingest", sections=(section,), document=document)


def _opening(settings: Settings) -> dict[str, Any]:
    return {"reader": settings.runs.reader, "remote": settings.runs.remote}


def _described(table: pa.Table, name: str) -> tuple[str, str, str]:
    facts = table.schema.field(name).metadata or {}
    column = table.column(name)
    return name, facts.get(b"unit", b"").decode(), str(len(column) - column.null_count)


def _once(notes: Sequence[Note]) -> tuple[Note, ...]:
    return tuple(dict.fromkeys(notes))


def with_excluded(report: Report, table: RunTable) -> Report:
    """The report with a section of the rows that are left out, if there are any."""
    section = excluded_section(table)
    return report if section is None else replace(report, sections=(*report.sections, section))
