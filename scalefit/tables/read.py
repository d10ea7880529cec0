"""A file, standard input or a table in memory to a RunTable: checked once, here."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import counted, human, shown
from scalefit.core.observations import Array, IntArray
from scalefit.core.records import replace
from scalefit.tables import columns as roles
from scalefit.tables import status
from scalefit.tables import where as filters
from scalefit.tables.arrays import Mask, column_of, floats
from scalefit.tables.columns import CORE, ROLES, Assignment
from scalefit.tables.doubts import (
    COLUMN_UNREAD,
    LOSS_CONSTANT,
    MISSING_CELLS,
    SUBNORMAL,
)
from scalefit.tables.draft import Draft
from scalefit.tables.histories import only_last, smoothed, without_diverged
from scalefit.tables.readers import FOLDERS
from scalefit.tables.readers.base import (
    MOST_ROWS,
    CellError,
    Loaded,
    Opened,
    Source,
    choose,
    open_source,
)
from scalefit.tables.readers.cells import is_subnormal
from scalefit.tables.readers.memory import open_memory
from scalefit.tables.readers.packed import unpacked
from scalefit.tables.readers.plugins import brought, named
from scalefit.tables.readers.remote import open_remote, scheme_of
from scalefit.tables.runs import Exclusion, RunTable
from scalefit.tables.units import loss_unit

# Only below this is it worth looking whether a value is subnormal.
_SMALL = 1e-300
_NO_ROW = np.zeros(1, np.bool_)
_LOSS_END = 1e150
_NUMBER_LIKE = r"[-+.\s$€£¥]*\d"
_SHORT_ENOUGH = 100_000
_LOOKED_AT = 1000  # cells of a column, to see whether it holds words
_TABLES = (".csv", ".tsv", ".tab", ".parquet", ".arrow", ".feather")


def read(
    source: str | Path | Any,
    *,
    columns: Mapping[str, str] | None = None,
    where: str | None = None,
    keep: Sequence[str] = (),
    na: Collection[str] = (),
    last: bool = False,
    smooth: int = 0,
    drop_diverged: bool = False,
    reader: str = "",
    remote: bool = False,
) -> RunTable:
    """Runs from a table, with every row either in use or excluded for a reason.

    Args:
        source: Path of a table (CSV, TSV, JSON, Parquet, Arrow; compressed or not), of a tracker's
            log or of a folder with such logs or Parquet files, `-` for standard input, an object
            with `__arrow_c_stream__` such as a pyarrow, pandas or Polars table, a mapping of
            column names to values, or a list of rows, each a mapping.
        columns: Role to column name, as in `{"N": "params"}`; other roles are found by name.
        where: Keep only rows that meet this condition, such as `loss < 4 and not diverged`.
        keep: Further columns to carry along, for instance to cluster by.
        na: Words that stand for a missing number.
        last: Keep only the last row of each run, by step, else by tokens, else by place.
        smooth: Replace each loss by the mean over so many rows of its run, up to its own.
        drop_diverged: Leave out runs that end over 10 % above their lowest loss, or without one.
        reader: Name of the reader to use; found by content and suffix if empty.
        remote: Allow an address (`s3://`, `gs://`, `abfss://`, `hf://`), which opens the network.

    Returns:
        The table; `rows_read` is always `rows` plus the number of excluded rows.

    Raises:
        InputError: the source cannot be read, a cell is no number, a value that must be positive
            is not, a role is ambiguous, or no row is left.
    """
    _refuse_settings(columns, where, keep, na)
    opened, name, title = _open(source, reader, remote)
    condition = filters.parse(where) if where else None
    draft = _drafted(opened, title, columns, condition, keep, na)
    if condition:
        known = _known(draft, condition)
        met = filters.matches(condition, known)
        if not met.any():
            raise InputError(
                f"{draft.title}: no row meets --where {shown(condition.text)}", filters.held(known)
            )
        draft = draft.without(~met, f"--where {condition.text}")
    draft = _without_missing(_without_failed(draft))
    if drop_diverged:
        draft = without_diverged(draft)
    if smooth:
        _refuse_values(draft, ("L",))
        draft = smoothed(draft, smooth)
    if last:
        draft = only_last(draft)
    draft = _without_weightless(draft)
    _refuse_values(draft, CORE)
    return _finished(draft, opened, name, keep)


def _refuse_settings(columns: object, where: object, keep: object, na: object) -> None:
    """Nothing, if settings are what they must be.

    Raises:
        InputError: one is of another type.
    """
    for name, given, good, example in (
        ("columns", columns, isinstance(columns, Mapping | None), "columns={'N': 'params'}"),
        ("where", where, isinstance(where, str | None), "where='loss < 4'"),
        ("keep", keep, not isinstance(keep, str), "keep=['optimizer']"),
        ("na", na, not isinstance(na, str), "na=['n/a']"),
    ):
        if not good:
            raise InputError(
                f"{name} may not be of type {type(given).__name__}", f"write {example}"
            )


def header(
    source: str | Path | Any,
    *,
    columns: Mapping[str, str] | None = None,
    reader: str = "",
    remote: bool = False,
) -> tuple[tuple[str, ...], Assignment]:
    """Column names of a source and their roles, without a look at the cells.

    Raises:
        InputError: the source cannot be opened, or a role is ambiguous.
    """
    opened, _, _ = _open(source, reader, remote)
    return opened.names, roles.assign(opened.names, columns)


def _open(source: str | Path | Any, reader: str, remote: bool) -> tuple[Opened, str, str]:
    """The opened source, its name for the record, and its name for messages."""
    if isinstance(source, str | Path):
        return _open_path(source, reader, remote)
    if hasattr(source, "__arrow_c_stream__"):
        return open_memory(source), "memory", "table"
    plain = isinstance(source, list) and source and all(isinstance(row, Mapping) for row in source)
    if isinstance(source, Mapping) or plain:
        return open_memory(source), "memory", "table"
    raise InputError(
        f"{type(source).__name__} is no table",
        "give a path, -, a pyarrow, pandas or Polars table, or columns as {'N': [...], ...}",
    )


def _open_path(given: str | Path, reader: str, remote: bool) -> tuple[Opened, str, str]:
    """A folder of a table or of logs, one log, or else a table."""
    if str(given) not in ("", "-") and _is_folder(Path(given)):
        title = shown(str(given), 200)
        return _open_folder(Path(given), title), str(given), title
    fetch = remote and scheme_of(str(given))
    raw = unpacked(open_remote(str(given)) if fetch else open_source(given))
    log = None if reader or not may_be_log(raw) else _open_log(raw)
    chosen = named(reader) if reader else None
    return log or (chosen or choose(raw, brought)).open(raw), str(given), raw.name


def _open_folder(folder: Path, title: str) -> Opened:
    for reader in FOLDERS:
        if reader.claims(folder):
            return reader.open(folder)
    from scalefit.tables.trackers import open_folder

    return open_folder(folder, title)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        # The opening of the file says what is wrong with such a path.
        return False


def may_be_log(source: Source) -> bool:
    """Whether a tracker may have written a file; False spares a table the import of them all.

    Of the formats of tables trackers write only CSV, and that under a name or with a header of
    their own. A promise holds this against the logs of every tracker.
    """
    if source.suffix not in _TABLES or source.path is None:
        return True
    first = source.head().split(b"\n", 1)[0]
    return source.path.name == "metrics.csv" or b" - " in first or b"State" in first


def _open_log(source: Source) -> Opened | None:
    from scalefit.tables.trackers import claimant, open_log

    tracker = claimant(source)
    return open_log(source, tracker) if tracker else None


def _drafted(
    opened: Opened,
    title: str,
    asked: Mapping[str, str] | None,
    condition: filters.Filter | None,
    keep: Sequence[str],
    na: Collection[str],
) -> Draft:
    assignment = roles.assign(opened.names, asked)
    if not assignment.columns:
        raise roles.missing("L", _numeric(opened, opened.names))
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
    notes += roles.derivations(rules)
    units |= {role: ROLES[role].unit for role in derived}
    return Draft(
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
            try:
                roles.find(name, [*names, *assignment.columns], "")
            except InputError as error:
                hint = f"{error.hint}; a word needs quotes: '{shown(name)}'"
                raise InputError(str(error), hint) from None
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
        stated = _stated(loaded.table.schema.field(name), role)
        values[role], units[role], told = roles.convert(role, name, raw, stated)
        notes += told
    name = assignment.columns.get("L", "")
    if {"L", "loss_se"} <= set(values) and _stated(loaded.table.schema.field(name), "L") is None:
        # The error is in the unit of the loss, so it is turned as the loss was.
        raw = floats(loaded.table.column(name))
        values["loss_se"] = values["loss_se"] * loss_unit(name).scale(raw)
    return values, units, notes


def _stated(field: pa.Field[Any], role: str) -> str | None:
    """The unit that a table of ours carries in its metadata, if the role is still the same."""
    facts = field.metadata or {}
    same = facts.get(b"role") == role.encode() and b"unit" in facts
    return facts[b"unit"].decode("utf-8", "replace") if same else None


def _known(draft: Draft, condition: filters.Filter) -> dict[str, filters.Values]:
    """What each column of a condition holds."""
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
    return known


def _words(column: pa.ChunkedArray[Any]) -> filters.Values:
    return np.array(column.to_pylist(), object)


def _without_failed(draft: Draft) -> Draft:
    """Rows of failed runs go out; rows read mid-schedule stay and are told of."""
    told: dict[str, tuple[str, Sequence[object]]] = {
        role: (draft.column(role), draft.loaded.table.column(draft.column(role)).to_pylist())
        for role in ("status", "schedule_done")
        if role in draft.assignment.columns
    }
    if not told:
        return draft
    _, words = told.get("status", ("", ()))
    gone = status.failed(words) & draft.used if words else np.zeros(draft.used.size, np.bool_)
    seen = {role: values[draft.used] for role, values in draft.values.items()}
    notes = status.censored_notes(gone[draft.used], seen)
    reason = {i + 1: f"status is {shown(str(words[i]), 40)}" for i in np.flatnonzero(gone).tolist()}
    draft = draft.without(gone, reason).noting(*notes)
    return draft.noting(*status.unfinished_notes(told, draft.used))


def _without_missing(draft: Draft) -> Draft:
    """Rows in which a value that is needed is NaN go out, counted by column."""
    needed = [r for r in draft.values if r in CORE or r in draft.assignment.asked]
    for role in needed:
        if role == "weight" or role in draft.derived:
            continue
        raw = floats(draft.loaded.table.column(draft.column(role)))
        # The least of values is NaN where one is, and is found without a mask of every row.
        gone = np.isnan(raw) & draft.used if np.isnan(raw.min(initial=1)) else _NO_ROW
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


def _without_weightless(draft: Draft) -> Draft:
    """Rows of weight 0 go out; that every weight is 0 is refused where weights are used."""
    if "weight" not in draft.values:
        return draft
    idle = draft.used & (draft.values["weight"] == 0)
    if not idle.any() or not (draft.used & (draft.values["weight"] > 0)).any():
        return draft
    return draft.without(idle, f"column {shown(draft.column('weight'))!r} is 0")


def _refuse_values(draft: Draft, checked: Sequence[str]) -> None:
    """What must be positive is, among the roles that are checked.

    Raises:
        InputError: it is not; names the first such row.
    """
    if not draft.used.any():
        raise InputError(f"{draft.title}: no row is left", "loosen --where")
    for role in (r for r in checked if r in draft.values and r not in draft.derived):
        bad = _not_positive_rows(draft, role)
        if bad.any():
            raise _not_positive(draft, role, int(np.flatnonzero(bad)[0]) + 1, int(bad.sum()))
    for role in draft.derived.keys() & {*checked}:
        bad = _not_positive_rows(draft, role)
        if bad.any():
            row = int(np.flatnonzero(bad)[0]) + 1
            place = draft.loaded.place(row)
            raise InputError(f"{draft.title}, {place}: 6ND is out of reach of a double", "check N")


def _not_positive_rows(draft: Draft, role: str) -> Mask:
    """Rows in use where a role is not positive or too large; a bare False where none can be."""
    values, end = draft.values[role], _end(role)
    if values.min(initial=1) > 0 and values.max(initial=1) < end:
        return _NO_ROW
    return draft.used & ~((values < end) & (values > 0))


def _end(role: str) -> float:
    """What a role must stay below: a loss has a square, of which many are summed."""
    return _LOSS_END if role == "L" else np.inf


def _not_positive(draft: Draft, role: str, row: int, count: int) -> InputError:
    name = draft.column(role)
    cell = draft.loaded.cell(row, name).strip()
    wanted = "positive" if draft.values[role][row - 1] <= 0 else f"below {human(_end(role))}"
    more = f", and {counted(count - 1, 'row')} more" if count > 1 else ""
    kept = "> 0" if wanted == "positive" else f"< {human(_end(role))}"
    return InputError(
        f"{draft.title}, {draft.loaded.place(row)}, column {shown(name)!r}:"
        f" '{shown(cell)}' must be {wanted}{more}",
        f"mend it, or leave such rows out: {filters.flag(f'{filters.column(name)} {kept}')}",
    )


def _finished(draft: Draft, opened: Opened, name: str, keep: Sequence[str]) -> RunTable:
    every = bool(draft.used.all())
    rows = np.arange(1, draft.used.size + 1) if every else np.flatnonzero(draft.used) + 1
    arrays: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {}
    fields: list[pa.Field[Any]] = []
    mask: Any = None if every else column_of(draft.used.astype(np.float64)).cast(pa.bool_())
    for role, values in draft.values.items():
        arrays[role] = column_of(values if every else values[rows - 1])
        fields.append(_field(role, pa.float64(), draft))
    for role in draft.assignment.columns:
        if _is_text(role):
            whole = draft.loaded.table.column(draft.column(role))
            arrays[role] = whole if every else whole.filter(mask)
            fields.append(_field(role, pa.string(), draft))
    for column in keep:
        # A column that plays a role is carried already, under the role's name.
        if column in draft.assignment.columns.values():
            continue
        if column in arrays:
            raise InputError(f"column {shown(column)!r} has the name of a role", "rename it")
        whole = draft.loaded.table.column(column)
        arrays[column] = whole if every else whole.filter(mask)
        fields.append(pa.field(column, arrays[column].type, nullable=False))
    facts: dict[str | bytes, str | bytes] = {
        "names": json.dumps(list(opened.names)),
        "words": json.dumps(_words_of(opened, draft)),
    }
    table = pa.table(list(arrays.values()), schema=pa.schema(fields, metadata=facts))
    runs = RunTable(
        table=table,
        columns=dict(draft.assignment.columns),
        derived=dict(draft.derived),
        source=name,
        sha256=opened.sha256(),
        rows_read=int(draft.used.size),
        row=rows.astype(np.int64, copy=False),
        excluded=tuple(Exclusion(row, draft.reasons[row]) for row in sorted(draft.reasons)),
        notes=draft.notes,
    )
    return replace(runs, notes=(*runs.notes, *_value_notes(runs)))


def _words_of(opened: Opened, draft: Draft) -> list[str]:
    """Columns of words among those that hints might offer for a role that none plays.

    Of very long tables none is named: a hint is not worth another pass over them.
    """
    if draft.used.size > _SHORT_ENOUGH:
        return []
    unread = [n for n in opened.names if n not in draft.assignment.columns.values()]
    played = {*draft.values}
    if "L" not in played:
        asked = unread
    else:
        bare = () if "x" in played else roles.BUDGETED
        asked = [n for role in bare if role not in played for n in roles.hinted(role, unread)]
    numeric = _numeric(opened, asked)
    return [name for name in dict.fromkeys(asked) if name not in numeric]


def _numeric(opened: Opened, names: Sequence[str]) -> list[str]:
    """Those of the columns in which some cell begins as a number does, if not a well-spelt one."""
    if not names:
        return []
    try:
        table = opened.load([], list(dict.fromkeys(names)), ()).table
    except InputError:
        # One of them is neither numbers nor text.
        return [n for one in names for n in _numeric(opened, [one])] if len(names) > 1 else []
    return [
        name
        for name in table.column_names
        if any(
            re.match(_NUMBER_LIKE, str(cell))
            for cell in table.column(name)[:_LOOKED_AT].to_pylist()
        )
    ]


def _field(role: str, kind: pa.DataType, draft: Draft) -> pa.Field[Any]:
    source = draft.derived.get(role) or draft.column(role)
    facts = {"role": role, "unit": draft.units.get(role, ""), "source": source}
    if role == "N" and role not in draft.derived:
        before = draft.loaded.table.schema.field(source).metadata or {}
        stated = before.get(b"definition", b"").decode("utf-8", "replace")
        facts["definition"] = stated or roles.size_definition(source)
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
