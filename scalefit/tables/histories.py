"""Runs of several rows: which row ends a run, which runs blew up, and a loss less noisy."""

from __future__ import annotations

import numpy as np

from scalefit.core.errors import InputError
from scalefit.core.numbers import counted, shown
from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass
from scalefit.tables.arrays import Mask, codes
from scalefit.tables.doubts import LAST_ROW_MISSING, LOSS_SMOOTHED, RUNS_DIVERGED
from scalefit.tables.draft import Draft

# A run ends diverged if its last loss is so much above its lowest, over so many rows.
RISE = 0.1
FEWEST_ROWS = 5


@dataclass(frozen=True, eq=False)
class Ends:
    """The last row of each run beside its lowest, for the runs that have rows.

    Attributes:
        run: Number of each run, shape (runs,).
        rows: How many rows it has.
        final: Place of its last row.
        last: Loss there; NaN where it is missing.
        lowest: Least loss of the run.
    """

    run: IntArray
    rows: IntArray
    final: IntArray
    last: Array
    lowest: Array

    def diverged(self) -> Mask:
        """Which runs end over 10 % above their lowest loss, or end without one."""
        with np.errstate(invalid="ignore"):
            risen = (self.rows >= FEWEST_ROWS) & (self.last > (1 + RISE) * self.lowest)
        return np.asarray(risen | (np.isnan(self.last) & ~np.isnan(self.lowest)), np.bool_)


def ends(run: IntArray, clock: Array, loss: Array) -> Ends:
    """The ends of runs whose rows are told apart by a clock; ties go by place.

    Args:
        run: A number for each row that tells its run, shape (rows,).
        clock: Steps, tokens or place of each row; NaN counts as the start.
        loss: Of each row; NaN where it is missing.
    """
    order = in_order(run, clock)
    if not order.size:
        none = np.zeros(0, np.int64)
        return Ends(none, none, none, np.zeros(0), np.zeros(0))
    starts = np.flatnonzero(np.diff(run[order], prepend=run[order[0]] - 1))
    counts = np.diff(np.append(starts, order.size))
    lowest = np.fmin.reduceat(loss[order], starts)
    final = order[starts + counts - 1]
    return Ends(run[order[starts]], counts, final, loss[final], lowest)


def in_order(run: IntArray, clock: Array) -> IntArray:
    """Places of the rows sorted by run, then clock, then place."""
    return np.lexsort((np.where(np.isnan(clock), -np.inf, clock), run)).astype(np.int64)


def only_last(draft: Draft) -> Draft:
    """The draft with the last row in use of each run, by step, else by tokens, else by place.

    Raises:
        InputError: no column names the runs.
    """
    run, labels, clock = _runs_of(draft, "--last")
    places = np.flatnonzero(draft.used)
    found = ends(run[places], clock[places], np.zeros(places.size))
    kept = np.zeros(run.size, np.bool_)
    kept[places[found.final]] = True
    missing = _ends_missing(draft, run, clock, kept)
    notes = []
    if missing:
        listed = ", ".join(shown(labels[i], 40) for i in missing[:5])
        told = f"an earlier row stands for the last, which has no loss, in {len(missing)} of"
        notes.append(LAST_ROW_MISSING.note(f"{told} {counted(len(labels), 'run')}: {listed}"))
    late = np.flatnonzero(draft.used & ~kept)
    reason = {int(i) + 1: f"not the last row of run {shown(labels[run[i]])!r}" for i in late}
    return draft.without(~kept, reason).noting(*notes)


def _ends_missing(draft: Draft, run: IntArray, clock: Array, kept: Mask) -> list[int]:
    """Runs whose last row was left out for a missing value while an earlier one stays."""
    gone = _without_value(draft)
    places = np.flatnonzero(draft.used | gone)
    final = places[ends(run[places], clock[places], np.zeros(places.size)).final]
    standing = set(run[kept].tolist())
    return [int(run[i]) for i in final if gone[i] and int(run[i]) in standing]


def without_diverged(draft: Draft) -> Draft:
    """The draft without the runs that end diverged or without a loss, each row told why.

    Raises:
        InputError: no column names the runs, or none is a loss.
    """
    run, labels, clock = _runs_of(draft, "--drop-diverged")
    loss = _loss_of(draft, "--drop-diverged")
    # A row that --where left out ends nothing; one without a loss may be the end of a run.
    places = np.flatnonzero(draft.used | (_without_value(draft) & np.isnan(loss)))
    found = ends(run[places], clock[places], loss[places])
    bad = np.flatnonzero(found.diverged())
    if not bad.size:
        return draft
    reasons: dict[int, str] = {}
    for k in bad:
        last = "no loss" if np.isnan(found.last[k]) else f"{found.last[k]:.4g}"
        reasons[int(found.run[k])] = (
            f"run {shown(labels[found.run[k]])!r} diverged:"
            f" {last} at its end, {found.lowest[k]:.4g} at its lowest"
        )
    dropped = np.isin(run, found.run[bad]) & draft.used
    told = {int(i) + 1: reasons[int(run[i])] for i in np.flatnonzero(dropped)}
    names = ", ".join(repr(shown(labels[found.run[k]], 40)) for k in bad[:8])
    more = ", ..." if bad.size > 8 else ""
    what = f"{bad.size} of {found.run.size} runs are left out as diverged: {names}{more}"
    return draft.without(dropped, told).noting(RUNS_DIVERGED.note(what))


def smoothed(draft: Draft, window: int) -> Draft:
    """The draft with each loss replaced by the mean of it and the rows before it in its run.

    Args:
        draft: Its rows in use are smoothed.
        window: How many rows the mean is over, at most; fewer at the start of a run.

    Raises:
        InputError: no column names the runs, none is a loss, or the window is under 2.
    """
    if window < 2:
        raise InputError(f"--smooth is {window}, must be 2 rows or more", "write --smooth 10")
    run, _, clock = _runs_of(draft, "--smooth")
    loss = _loss_of(draft, "--smooth").copy()
    places = np.flatnonzero(draft.used)
    order = places[in_order(run[places], clock[places])]
    starts = np.flatnonzero(np.diff(run[order], prepend=-1))
    for part in np.split(order, starts[1:]):
        loss[part] = _trailing_mean(loss[part], window)
    told = f"the loss is the mean over {window} rows up to its own, within each run"
    return draft.valued("L", loss).noting(LOSS_SMOOTHED.note(told))


def _trailing_mean(values: Array, window: int) -> Array:
    sums = np.cumsum(np.concatenate([[0.0], values]))
    start = np.maximum(np.arange(values.size) + 1 - window, 0)
    counts = np.arange(values.size) + 1 - start
    return np.asarray((sums[1:] - sums[start]) / counts, np.float64)


def _runs_of(draft: Draft, why: str) -> tuple[IntArray, tuple[str, ...], Array]:
    """Number of each row's run, the names by that number, and the clock of each row."""
    if "run" not in draft.assignment.columns:
        raise InputError(f"{why} needs to know which rows are one run", "type --col run=NAME")
    run, labels = codes(draft.loaded.table.column(draft.column("run")))
    place = np.arange(run.size, dtype=np.float64)
    return run, labels, next((draft.values[r] for r in ("step", "D") if r in draft.values), place)


def _without_value(draft: Draft) -> Mask:
    """Rows that were left out because a value is missing."""
    gone = np.zeros(draft.used.size, np.bool_)
    gone[[r - 1 for r, reason in draft.reasons.items() if "blank or NaN" in reason]] = True
    return gone


def _loss_of(draft: Draft, why: str) -> Array:
    if "L" not in draft.values:
        raise InputError(f"{why} needs a loss", "type --col L=NAME")
    return draft.values["L"]
