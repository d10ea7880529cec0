"""Several tables of runs as one, with a column that says where each row came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.tables.arrays import codes, floats
from scalefit.tables.doubts import COLUMN_NOT_EVERYWHERE, RUNS_RENAMED
from scalefit.tables.runs import RunTable

SOURCE = "source"


def join(tables: Sequence[RunTable]) -> tuple[pa.Table, tuple[Note, ...]]:
    """One table of all rows in use, one below the other.

    Roles keep their names; one that every table derives is left out. With several tables there
    is a column `source`; where no column names the runs of one of them, each of its rows stays a
    run of its own. A run name that stands in two tables for different sizes gets the name of its
    source in front, so that two runs stay two.

    Args:
        tables: From `read`, at least one.

    Returns:
        The table, whose fields carry `role`, `unit` and the like, and doubts about the join.

    Raises:
        InputError: a role or column has different units or types in two tables.
    """
    # What every table derives is derived anew when the joined one is read.
    derived = frozenset.intersection(*(frozenset(table.derived) for table in tables))
    fields = _fields(tables, derived)
    labels = _labels([table.source for table in tables])
    clashing = _clashing(tables) if len(tables) > 1 else frozenset()
    parts = [
        _part(table, fields, label if len(tables) > 1 else "", clashing)
        for table, label in zip(tables, labels, strict=True)
    ]
    notes = []
    if clashing:
        names = ", ".join(repr(shown(name, 40)) for name in sorted(clashing)[:5])
        told = f"{len(clashing)} run names stand for several sizes in different sources: {names}"
        notes.append(RUNS_RENAMED.note(f"{told}; each has its source in front now"))
    lacking = [n for n in fields if any(n not in table.table.column_names for table in tables)]
    if lacking:
        told = f"some of the {len(tables)} sources lack {', '.join(map(shown, lacking[:8]))}"
        notes.append(COLUMN_NOT_EVERYWHERE.note(f"{told}; their cells are blank there"))
    return pa.concat_tables(parts), tuple(notes)


def _fields(tables: Sequence[RunTable], derived: frozenset[str]) -> dict[str, pa.Field[Any]]:
    """Every column of any table.

    Raises:
        InputError: two tables disagree on the unit or type of one.
    """
    fields: dict[str, pa.Field[Any]] = {}
    for table in tables:
        for name in (n for n in table.table.column_names if n not in derived):
            field = table.table.schema.field(name).with_nullable(True)
            known = fields.setdefault(name, field)
            one, other = (_unit(f) for f in (known, field))
            if one != other or known.type != field.type:
                raise InputError(
                    f"{shown(name)} is in {one or known.type} in {shown(tables[0].source, 80)}"
                    f" and in {other or field.type} in {shown(table.source, 80)}",
                    "convert one of them, or ingest them apart",
                )
    return fields


def _unit(field: pa.Field[Any]) -> str:
    facts: Mapping[bytes, bytes] = field.metadata or {}
    return facts.get(b"unit", b"").decode()


def _labels(sources: Sequence[str]) -> list[str]:
    """Names of sources, as short as keeps them apart."""
    names = [Path(source).name for source in sources]
    return names if len(set(names)) == len(names) else [shown(source, 200) for source in sources]


def _clashing(tables: Sequence[RunTable]) -> frozenset[str]:
    """Run names that stand for different N in different tables."""
    sizes: dict[str, tuple[int, float]] = {}
    found = set()
    for k, table in enumerate(tables):
        if not {"run", "N"} <= set(table.table.column_names):
            continue
        run, names = codes(table.table.column("run"))
        N = floats(table.table.column("N"))
        _, first = np.unique(run, return_index=True)
        for i in first:
            name, size = names[run[i]], float(N[i])
            before = sizes.setdefault(name, (k, size))
            if name.strip() and before[0] != k and before[1] != size:
                found.add(name)
    return frozenset(found)


def _part(
    table: RunTable,
    fields: Mapping[str, pa.Field[Any]],
    label: str,
    clashing: frozenset[str],
) -> pa.Table:
    columns: list[Any] = []
    for name, field in fields.items():
        if name in table.table.column_names:
            columns.append(table.table.column(name))
        else:
            columns.append(pa.nulls(table.rows, field.type))
        if name == "run" and clashing and name in table.table.column_names:
            names = [f"{label}:{n}" if n in clashing else n for n in columns[-1].to_pylist()]
            columns[-1] = pa.array(names, pa.string())
    whole = pa.table(columns, schema=pa.schema(list(fields.values())))
    if not label:
        return whole
    if SOURCE in fields:
        raise InputError(f"a column is called {SOURCE!r} already", "leave it out of --keep")
    return whole.append_column(SOURCE, pa.repeat(pa.scalar(label, pa.string()), table.rows))
