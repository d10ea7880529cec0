"""`fit --by`: the same laws fitted to every group of a table, some at a time or in processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from scalefit.config import LawChoice, Settings
from scalefit.core.notes import Note
from scalefit.core.numbers import counted
from scalefit.core.records import dataclass
from scalefit.inference.batches import Refusal, Steps, together
from scalefit.inference.certificate import USABLE
from scalefit.inference.doubts import INTERRUPTED
from scalefit.pipeline import documents, steps
from scalefit.tables.reports import Section
from scalefit.tables.runs import RunTable

Watch = Callable[[int, int], None]
_MOST_SHOWN = 40
_REFUSED = "refused"
# Residuals of the searches that go together, some tenths of a second by NumPy alone; those of a
# point fit are about so many.
_TOGETHER, _SEARCHES = 1 << 17, 100
_EACH = 4  # shares for each process: none of them waits long for the last


@dataclass(frozen=True)
class Task:
    """What is done with each group; any process can do it by itself.

    Attributes:
        settings: Of the command.
        laws: To be fitted.
    """

    settings: Settings
    laws: tuple[LawChoice, ...]

    def __call__(self, some: Sequence[tuple[str, RunTable]]) -> list[dict[str, Any]]:
        """Some groups' fits as documents; a law that cannot be fitted has a reason instead."""
        asked = [(table, choice) for _, table in some for choice in self.laws]
        ends = iter(together([self._fit(table, choice) for table, choice in asked]))
        documented = []
        for name, table in some:
            fits = [_told(choice, next(ends)) for choice in self.laws]
            documented.append({"group": name, "rows": table.rows, "fits": fits})
        return documented

    def _fit(self, table: RunTable, choice: LawChoice) -> Steps[steps.Estimate]:
        return (yield from steps.estimate.steps(self.settings, table, choice, self.laws, jobs=1))

    def shares(
        self, tables: Mapping[str, RunTable], jobs: int
    ) -> Iterator[list[tuple[str, RunTable]]]:
        """The groups in order, as many at a time as are soon done together, some for every job."""
        most = len(tables) if jobs <= 1 else -(-len(tables) // (_EACH * jobs))
        method = steps.method_named(self.settings.uncertainty.name, self.settings.uncertainty.draws)
        share: list[tuple[str, RunTable]] = []
        size = 0
        for name, table in tables.items():
            refits = getattr(method, "draws", table.rows)
            own = len(self.laws) * table.rows * (_SEARCHES + refits)
            if share and (size + own > _TOGETHER or len(share) == most):
                yield share
                share, size = [], 0
            share.append((name, table))
            size += own
        yield share


def _told(choice: LawChoice, end: steps.Estimate | Refusal) -> dict[str, Any]:
    if isinstance(end, Refusal):
        return {"law": choice.name, "status": _REFUSED, "reason": str(end)}
    return documents.summary(end)


@dataclass(frozen=True)
class Fitted:
    """The groups that were fitted.

    Attributes:
        groups: Documents of the groups, in their order in the table.
        of: How many groups there are.
    """

    groups: tuple[Mapping[str, Any], ...]
    of: int

    @property
    def interrupted(self) -> bool:
        """Whether somebody stopped it before the end."""
        return len(self.groups) < self.of

    @property
    def refusal(self) -> str:
        """The reason for which every fit was refused, if it is one and the same; else empty."""
        reasons = {fit.get("reason", "") for group in self.groups for fit in group["fits"]}
        return reasons.pop() if len(reasons) == 1 else ""

    @property
    def usable(self) -> bool:
        """Whether any fit of any group can be used."""
        return any(fit["status"] in USABLE for group in self.groups for fit in group["fits"])


def fit_each(task: Task, tables: Mapping[str, RunTable], *, jobs: int, watch: Watch) -> Fitted:
    """Every group fitted; Ctrl-C ends it and keeps what is finished.

    Args:
        task: What to do with a group.
        tables: Group to its rows.
        jobs: Processes; they change no byte.
        watch: Told after each group how many of how many are finished.
    """
    done: list[Mapping[str, Any]] = []
    try:
        for some in _results(task, tables, jobs):
            for one in some:
                done.append(one)
                watch(len(done), len(tables))
    except KeyboardInterrupt:
        if not done:
            raise
    return Fitted(tuple(done), len(tables))


def _results(
    task: Task, tables: Mapping[str, RunTable], jobs: int
) -> Iterator[list[dict[str, Any]]]:
    if jobs <= 1:
        yield from (task(share) for share in task.shares(tables, jobs))
        return
    with steps.workers(jobs) as parallel:
        yield from parallel(task, [(share,) for share in task.shares(tables, jobs)])


def document(fitted: Fitted, by: str, table: RunTable, seed: int) -> dict[str, Any]:
    """`scalefit.groups/1`: every group with the fits of every law."""
    return {
        **documents.header("scalefit.groups/1", table, None, seed),
        "by": by,
        "groups": list(fitted.groups),
        "finished": len(fitted.groups),
        "of": fitted.of,
    }


def sections(fitted: Fitted, by: str, laws: Sequence[str]) -> tuple[Section, ...]:
    """How the laws fared, and, where there are few groups, each fit."""
    told = [_standing(fitted, law) for law in laws]
    notes: tuple[Note, ...] = ()
    if fitted.interrupted:
        words = f"stopped after {len(fitted.groups)} of {fitted.of} groups, which are kept"
        notes = (INTERRUPTED.note(words),)
    whole = Section(
        name="groups",
        heading=f"{counted(len(fitted.groups), 'group')} by {by}",
        header=("law", "fits", "converged", "other usable", "not usable", "refused"),
        rows=tuple(told),
        numeric=frozenset(range(1, 6)),
        table=parameters_table(fitted),
        notes=notes,
        footer=("Every parameter of every group: -o FILE.parquet, .csv or .json.",),
    )
    rows = tuple(
        (group["group"], fit["law"], fit["status"], str(group["rows"]), _parameters_in_words(fit))
        for group in fitted.groups
        for fit in group["fits"]
    )
    if len(rows) > _MOST_SHOWN:
        return (whole,)
    each = Section(
        name="fits",
        heading="Each fit",
        header=(by, "law", "status", "rows", "parameters"),
        rows=rows,
        numeric=frozenset({3}),
    )
    return (whole, each)


def _standing(fitted: Fitted, law: str) -> tuple[str, ...]:
    status = Counter(
        fit["status"] for group in fitted.groups for fit in group["fits"] if fit["law"] == law
    )
    usable = sum(status[name] for name in USABLE) - status["converged"]
    bad = status.total() - usable - status["converged"] - status[_REFUSED]
    counts = (status.total(), status["converged"], usable, bad, status[_REFUSED])
    return (law, *(str(count) for count in counts))


def _parameters_in_words(fit: Mapping[str, Any]) -> str:
    if fit["status"] == _REFUSED:
        return str(fit["reason"])
    return ", ".join(f"{name} {p['value']:.4g}" for name, p in fit["parameters"].items())


def parameters_table(fitted: Fitted) -> pa.Table:
    """One row for each parameter of each law of each group; one row for a refused fit."""
    kinds: dict[str, pa.DataType] = {
        "group": pa.string(), "law": pa.string(), "status": pa.string(), "rows": pa.int64(),
        "objective": pa.float64(), "sigma": pa.float64(), "parameter": pa.string(),
        "value": pa.float64(), "se": pa.float64(), "low": pa.float64(), "high": pa.float64(),
        "at_bound": pa.bool_(), "reason": pa.string(),
    }  # fmt: skip
    rows = [row for group in fitted.groups for fit in group["fits"] for row in _rows(group, fit)]
    return pa.table(
        {key: pa.array([r.get(key) for r in rows], kind) for key, kind in kinds.items()}
    )


def _rows(group: Mapping[str, Any], fit: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    start = {"group": group["group"], "law": fit["law"], "status": fit["status"],
             "rows": group["rows"]}  # fmt: skip
    if fit["status"] == _REFUSED:
        yield {**start, "reason": fit["reason"]}
        return
    start |= {"objective": fit["objective"]["value"], "sigma": fit["sigma"]}
    for name, told in fit["parameters"].items():
        kept = {key: told[key] for key in ("value", "se", "low", "high", "at_bound")}
        yield {**start, "parameter": name, **kept}
