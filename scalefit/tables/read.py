"""A file, standard input or a table in memory to a RunTable: checked once, here."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.observations import Array, IntArray
from scalefit.tables import columns as roles
from scalefit.tables import status
from scalefit.tables import where as filters
from scalefit.tables.arrays import Mask, codes, column_of, floats
from scalefit.tables.columns import CORE, ROLES, Assignment
from scalefit.tables.doubts import (
    COLUMN_UNREAD,
    LAST_ROW_MISSING,
    LOSS_CONSTANT,
    MISSING_CELLS,
    SUBNORMAL,
)
from scalefit.tables.readers.base import (
    MOST_ROWS,
    CellError,
    Loaded,
    Opened,
    choose,
    open_source,
)
from scalefit.tables.readers.cells import is_subnormal
from scalefit.tables.readers.memory import open_memory
from scalefit.tables.runs import Exclusion, RunTable

# Only below this is it worth looking whether a value is subnormal.
_SMALL = 1e-300


@dataclass(frozen=True)
class _Draft:
    """Everything about the rows while it is still being decided which of them stay.

    Attributes:
        values: Numeric role to its values in the unit of the role, shape (rows_read,).
        units: Numeric role to that unit.
        used: Which rows are still in use, shape (rows_read,).
        reasons: Row number, counted from 1, to why it is left out.
    """

    title: str
    assignment: Assignment
    loaded: Loaded
    values: Mapping[str, Array]
    units: Mapping[str, str]
    derived: Mapping[str, str]
    used: Mask
    reasons: Mapping[int, str]
    notes: tuple[Note, ...]

    def without(self, dropped: Mask, reason: Mapping[int, str] | str) -> _Draft:
        """The same with the rows of `dropped` left out, if they were in use."""
        gone = np.flatnonzero(dropped & self.used) + 1
        told = {int(r): reason if isinstance(reason, str) else reason[int(r)] for r in gone}
        used = self.used & ~dropped
        return replace(self, used=used, reasons={**self.reasons, **told})

    def noting(self, *notes: Note) -> _Draft:
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def column(self, role: str) -> str:
        """What the values of a role are called in the source."""
        return self.assignment.columns.get(role, role)


def read(
    source: str | Path | Any,
    *,
    columns: Mapping[str, str] | None = None,
    where: str | None = None,
    keep: Sequence[str] = (),
    na: Collection[str] = (),
    last: bool = False,
) -> RunTable:
    """Runs from a table, with every row either in use or excluded for a reason.

    Args:
        source: Path of a CSV or TSV file, `-` for standard input, or an object with
            `__arrow_c_stream__` such as a pyarrow, pandas or Polars table.
        columns: Role to column name, as in `{"N": "params"}`; other roles are found by name.
        where: Keep only rows that meet this condition, such as `loss < 4 and not diverged`.
        keep: Further columns to carry along, for instance to cluster by.
        na: Words that stand for a missing number.
        last: Keep only the last row of each run, by step, else by tokens, else by place.

    Returns:
        The table; `rows_read` is always `rows` plus the number of excluded rows.

    Raises:
        InputError: the source cannot be read, a cell is no number, a value that must be positive
            is not, a role is ambiguous, or no row is left.
    """
    opened, name, title = _open(source)
    condition = filters.parse(where) if where else None
    draft = _drafted(opened, title, columns, condition, keep, na)
    if condition:
        draft = draft.without(~_meets(draft, condition), f"--where {condition.text}")
    draft = _without_missing(_without_failed(draft))
    if last:
        draft = _only_last(draft)
    _refuse_values(draft)
    return _finished(draft, opened, name, keep)


def _open(source: str | Path | Any) -> tuple[Opened, str, str]:
    """The opened source, its name for the record, and its name for messages."""
    if isinstance(source, str | Path):
        raw = open_source(source)
        return choose(raw).open(raw), str(source), raw.name
    if hasattr(source, "__arrow_c_stream__"):
        return open_memory(source), "memory", "table"
    raise InputError(
        f"{type(source).__name__} is no table", "give a path, -, or a pyarrow, pandas or Polars one"
    )


def _drafted(
    opened: Opened,
    title: str,
    asked: Mapping[str, str] | None,
    condition: filters.Filter | None,
    keep: Sequence[str],
    na: Collection[str],
) -> _Draft:
    assignment = roles.assign(opened.names, asked)
    if not assignment.columns:
        raise roles.missing("L", opened.names)
    wanted = [roles.find(name, opened.names, "") for name in keep]
    if condition:
        wanted += _named(condition, assignment, opened.names)
    assignment, loaded = _load(opened, assignment, wanted, na)
    rows = loaded.table.num_rows
    if not rows:
        raise InputError(f"{title} has a header and no rows", "give one run a row")
    if rows > MOST_ROWS:
        raise InputError(f"{title} has {rows} rows, more than {MOST_ROWS}", "give fewer")
    values, units, notes = _converted(assignment, loaded)
    derived, rules = roles.derive(values)
    units |= {role: ROLES[role].unit for role in derived}
    return _Draft(
        title=title,
        assignment=assignment,
        loaded=loaded,
        values=values | derived,
        units=units,
        derived=rules,
        used=np.ones(rows, np.bool_),
        reasons={},
        notes=(*opened.notes, *assignment.notes, *loaded.notes, *notes),
    )


def _load(
    opened: Opened, assignment: Assignment, wanted: Sequence[str], na: Collection[str]
) -> tuple[Assignment, Loaded]:
    """The columns, giving up roles that nobody asked for where their cells are no numbers."""
    texts = {name for role, name in assignment.columns.items() if _is_text(role)}
    numbers = {name for role, name in assignment.columns.items() if not _is_text(role)}
    texts = (texts | set(wanted)) - numbers
    order = [name for name in opened.names if name in numbers]
    try:
        return assignment, opened.load(order, [n for n in opened.names if n in texts], na)
    except CellError as error:
        hit = {r for r, n in assignment.columns.items() if n == error.column and not _is_text(r)}
        if hit & (assignment.asked | {*CORE, "weight"}):
            raise
        left = {r: name for r, name in assignment.columns.items() if r not in hit}
        note = COLUMN_UNREAD.note(f"{error}; so nothing plays the role {', '.join(sorted(hit))}")
        fewer = replace(assignment, columns=left, notes=(*assignment.notes, note))
        return _load(opened, fewer, wanted, na)


def _is_text(role: str) -> bool:
    return role in ROLES and ROLES[role].text


def _named(condition: filters.Filter, assignment: Assignment, names: Sequence[str]) -> list[str]:
    """Columns of the source that the condition needs; a role stands for its column.

    Raises:
        InputError: a name is neither column nor role.
    """
    needed = []
    for name in condition.names.values():
        if name in names:
            needed.append(name)
        elif name not in assignment.columns and name not in ("N", "D", "C"):
            roles.find(name, [*names, *assignment.columns], "")
    return needed


def _converted(
    assignment: Assignment, loaded: Loaded
) -> tuple[dict[str, Array], dict[str, str], list[Note]]:
    values: dict[str, Array] = {}
    units: dict[str, str] = {}
    notes: list[Note] = []
    for role, name in assignment.columns.items():
        if _is_text(role):
            continue
        raw = floats(loaded.table.column(name))
        values[role], units[role], told = roles.convert(role, name, raw)
        notes += told
    perplexity = assignment.columns.get("L", "") and units.get("L") == "nats per token"
    if perplexity and "loss_se" in values:
        raw = floats(loaded.table.column(assignment.columns["L"]))
        if not np.array_equal(raw, values["L"], equal_nan=True):
            # The error of a logarithm is the relative error of what it is taken of.
            values["loss_se"] = values["loss_se"] / raw
    return values, units, notes


def _meets(draft: _Draft, condition: filters.Filter) -> Mask:
    known: dict[str, filters.Values] = {}
    for name in condition.names.values():
        if name in draft.loaded.table.column_names:
            column = draft.loaded.table.column(name)
            numeric = pa.types.is_floating(column.type)
            known[name] = floats(column) if numeric else _words(column)
        elif name in draft.values:
            known[name] = draft.values[name]
        elif name in draft.assignment.columns:
            known[name] = _words(draft.loaded.table.column(draft.assignment.columns[name]))
        else:
            raise roles.missing(name, draft.loaded.table.column_names)
    return filters.matches(condition, known)


def _words(column: pa.ChunkedArray[Any]) -> filters.Values:
    return np.array(column.to_pylist(), object)


def _without_failed(draft: _Draft) -> _Draft:
    """Rows of failed runs go out; rows read mid-schedule stay and are told of."""
    told = {
        role: draft.loaded.table.column(draft.column(role)).to_pylist()
        for role in ("status", "schedule_done")
        if role in draft.assignment.columns
    }
    words = told.get("status", ())
    gone = status.failed(words) & draft.used if words else np.zeros(draft.used.size, np.bool_)
    seen = {role: values[draft.used] for role, values in draft.values.items()}
    notes = status.censored_notes(gone[draft.used], seen)
    reason = {int(i) + 1: f"status is {shown(str(words[i]), 40)}" for i in np.flatnonzero(gone)}
    draft = draft.without(gone, reason).noting(*notes)
    early = status.unfinished(words, told.get("schedule_done"))
    return draft.noting(*status.unfinished_notes(early, draft.used))


def _without_missing(draft: _Draft) -> _Draft:
    """Rows in which a value that is needed is NaN go out, counted by column."""
    needed = [r for r in draft.values if r in CORE or r in draft.assignment.asked]
    for role in needed:
        if role == "weight" or role in draft.derived:
            continue
        raw = floats(draft.loaded.table.column(draft.column(role)))
        gone = np.isnan(raw) & draft.used
        if not gone.any():
            continue
        name, count = shown(draft.column(role)), int(gone.sum())
        if count == int(draft.used.sum()):
            raise InputError(
                f"{draft.title}, column {name!r}: all {count} cells in use are blank or NaN",
                "map another column with --col, or leave such rows out with --where",
            )
        rows = _listed(np.flatnonzero(gone) + 1)
        draft = draft.without(gone, f"column {name!r} is blank or NaN").noting(
            MISSING_CELLS.note(f"{name!r} is missing in {count} of {gone.size}, left out: {rows}")
        )
    return draft


def _only_last(draft: _Draft) -> _Draft:
    if "run" not in draft.assignment.columns:
        raise InputError("--last needs to know which rows are one run", "type --col run=NAME")
    run, labels = codes(draft.loaded.table.column(draft.column("run")))
    place = np.arange(run.size, dtype=np.float64)
    clock = next((draft.values[r] for r in ("step", "D") if r in draft.values), place)
    clock = np.where(np.isnan(clock), -np.inf, clock)
    # Sorted by run, then clock, then place: the last row of a run ends its block.
    order = np.lexsort((place, clock, run))
    used = order[draft.used[order]]
    final = np.append(run[used][1:] != run[used][:-1], np.ones(min(used.size, 1), np.bool_))
    kept = np.zeros(run.size, np.bool_)
    kept[used[final]] = True
    missing = _ends_missing(draft, run, order, kept)
    notes = []
    if missing:
        listed = ", ".join(shown(labels[i], 40) for i in missing[:5])
        told = f"{len(missing)} runs are stood for by an earlier row, their last has no loss"
        notes.append(LAST_ROW_MISSING.note(f"{told}: {listed}"))
    late = np.flatnonzero(draft.used & ~kept)
    reason = {int(i) + 1: f"not the last row of run {shown(labels[run[i]])!r}" for i in late}
    return draft.without(~kept, reason).noting(*notes)


def _ends_missing(draft: _Draft, run: IntArray, order: IntArray, kept: Mask) -> list[int]:
    """Runs whose last row was left out for a missing value while an earlier one stays."""
    gone = np.zeros(run.size, np.bool_)
    gone[[r - 1 for r, reason in draft.reasons.items() if "blank or NaN" in reason]] = True
    seen = order[draft.used[order] | gone[order]]
    final = np.append(run[seen][1:] != run[seen][:-1], np.ones(min(seen.size, 1), np.bool_))
    standing = set(run[kept].tolist())
    return [int(run[i]) for i in seen[final] if gone[i] and int(run[i]) in standing]


def _refuse_values(draft: _Draft) -> None:
    """What must be positive is.

    Raises:
        InputError: it is not; names the first such row.
    """
    if not draft.used.any():
        raise InputError(f"{draft.title}: no row is left", "loosen --where")
    for role in (r for r in CORE if r in draft.values and r not in draft.derived):
        bad = draft.used & ~(np.isfinite(draft.values[role]) & (draft.values[role] > 0))
        if bad.any():
            raise _not_positive(draft, role, int(np.flatnonzero(bad)[0]) + 1, int(bad.sum()))
    for role in draft.derived:
        bad = draft.used & ~(np.isfinite(draft.values[role]) & (draft.values[role] > 0))
        if bad.any():
            row = int(np.flatnonzero(bad)[0]) + 1
            place = draft.loaded.place(row)
            raise InputError(f"{draft.title}, {place}: 6ND is out of reach of a double", "check N")


def _not_positive(draft: _Draft, role: str, row: int, count: int) -> InputError:
    name = draft.column(role)
    cell = draft.loaded.cell(row, name).strip()
    wanted = "positive" if draft.values[role][row - 1] <= 0 else "a finite number"
    more = f", and {count - 1} rows more" if count > 1 else ""
    ticked = name if name.isidentifier() else f"`{name}`"
    return InputError(
        f"{draft.title}, {draft.loaded.place(row)}, column {shown(name)!r}:"
        f" '{shown(cell)}' must be {wanted}{more}",
        f"mend it, or leave such rows out: --where '{ticked} > 0'",
    )


def _finished(draft: _Draft, opened: Opened, name: str, keep: Sequence[str]) -> RunTable:
    chosen = np.flatnonzero(draft.used)
    arrays: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {}
    fields: list[pa.Field[Any]] = []
    mask: Any = column_of(draft.used.astype(np.float64)).cast(pa.bool_())
    for role, values in draft.values.items():
        arrays[role] = column_of(values if draft.used.all() else values[chosen])
        fields.append(_field(role, pa.float64(), draft))
    for role in draft.assignment.columns:
        if _is_text(role):
            arrays[role] = draft.loaded.table.column(draft.column(role)).filter(mask)
            fields.append(_field(role, pa.string(), draft))
    for column in keep:
        # A column that plays a role is carried already, under the role's name.
        if column in draft.assignment.columns.values():
            continue
        if column in arrays:
            raise InputError(f"column {shown(column)!r} has the name of a role", "rename it")
        arrays[column] = draft.loaded.table.column(column).filter(mask)
        fields.append(pa.field(column, arrays[column].type, nullable=False))
    names = json.dumps(list(opened.names))
    table = pa.table(list(arrays.values()), schema=pa.schema(fields, metadata={"names": names}))
    runs = RunTable(
        table=table,
        columns=dict(draft.assignment.columns),
        derived=dict(draft.derived),
        source=name,
        sha256=opened.sha256(),
        rows_read=int(draft.used.size),
        row=(chosen + 1).astype(np.int64),
        excluded=tuple(Exclusion(row, draft.reasons[row]) for row in sorted(draft.reasons)),
        notes=draft.notes,
    )
    return replace(runs, notes=(*runs.notes, *_value_notes(runs)))


def _field(role: str, kind: pa.DataType, draft: _Draft) -> pa.Field[Any]:
    source = draft.derived.get(role) or draft.column(role)
    facts = {"role": role, "unit": draft.units.get(role, ""), "source": source}
    if role == "N" and role not in draft.derived:
        facts["definition"] = roles.size_definition(source)
    return pa.field(role, kind, nullable=False, metadata=facts)


def _value_notes(runs: RunTable) -> list[Note]:
    notes: list[Note] = []
    values = {r: floats(runs.table.column(r)) for r in CORE if r in runs.table.column_names}
    for role, column in values.items():
        if column.min() >= _SMALL:
            continue
        tiny = [row for row, v in zip(runs.row, column, strict=True) if is_subnormal(v)]
        if tiny:
            notes.append(SUBNORMAL.note(f"{role} is subnormal in {_listed(np.array(tiny))}"))
    loss = values.get("L")
    if loss is not None and loss.size > 1 and (loss == loss[0]).all():
        notes.append(LOSS_CONSTANT.note(f"all {loss.size} losses are {loss[0]:g}"))
    if not runs.derived and {"N", "D", "C"} <= set(values):
        notes += roles.against_6nd(values["N"], values["D"], values["C"])
    return notes


def _listed(rows: IntArray, most: int = 8) -> str:
    """`row 3` or `rows 3, 5, 8, ...`, counted from 1."""
    listed = ", ".join(str(int(row)) for row in rows[:most])
    return f"row{'s' if len(rows) > 1 else ''} {listed}{', ...' if len(rows) > most else ''}"
