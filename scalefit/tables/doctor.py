"""The data doctor: what a careful reader of the table would ask before any fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from scalefit.core import flops
from scalefit.core.notes import Note
from scalefit.core.numbers import counted, human, shown
from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass
from scalefit.core.sorting import distinct, median
from scalefit.tables import doubts
from scalefit.tables.arrays import Mask, alike, codes, floats
from scalefit.tables.columns import inputs_to_map
from scalefit.tables.histories import RISE, ends
from scalefit.tables.runs import RunTable
from scalefit.tables.select import numbers, settings

_SAME_SCALE = 0.02
_BUDGET_WIDTH = 0.1
_FEWEST_SCALES = 5
_FEWEST_SIZES = 5
_GRID = 0.8
_GAP_DECADES = 2.5
_OUTLYING = 6.0
# Correlation of neighbours from which rows follow one another. Simulated with plans of 5 to 10
# sizes, 95 % stay below 0.16; of checkpoints whose luck drifts over ten, 90 % lie above 0.24.
_TRAILING = 0.25
_LARGE_NOISE = 0.01  # of the loss; seeds of one setting differ by 0.1 to 0.8 %
_BOUNDED = frozenset(
    {"acc", "accuracy", "f1", "em", "bleu", "rouge", "score", "winrate", "auc", "mcc", "mmlu"}
)
_SENSE = {"N": (1e3, 1e14), "D": (1e5, 1e16), "L": (0.0, 20.0)}
# A surface of six terms needs no more rows than this, evenly spaced, to lie where it should.
_ROWS_FOR_SURFACE = 50_000


@dataclass(frozen=True, eq=False)
class _Chart:
    """What the examinations look at.

    Attributes:
        values: Numeric role to its values, shape (rows,).
        given: Roles that were not derived.
        run: A number for each run name, shape (rows,); None where no column plays the role.
        names: Run names by that number.
        row: Number of each row in the source.
        definition: What the name of the N column says of embeddings.
        setting: A number for each row, equal where runs were made alike in every column read.
        copies: For each row, whether an earlier one agrees with it in every column.
        metric: Name of the column that plays L.
        unread: Columns of the source that were not read.
        offered: Those of them that may hold numbers.
        surface: Residuals of log loss from a smooth robust surface and the variance share that
            an ordinary one explains; None where there is too little to draw it from.
    """

    values: Mapping[str, Array]
    given: frozenset[str]
    run: IntArray | None
    names: tuple[str, ...]
    row: IntArray
    definition: str
    setting: IntArray
    copies: Mask
    metric: str
    unread: tuple[str, ...]
    offered: tuple[str, ...]
    surface: tuple[Array, float] | None

    def rows(self, where: Mask | IntArray, most: int = 8) -> str:
        """Words such as `rows 3, 5, 8, ...` for a mask or places."""
        found = self.row[where]
        listed = ", ".join(str(int(row)) for row in found[:most])
        return f"row{'s' if found.size > 1 else ''} {listed}{', ...' if found.size > most else ''}"

    def axes(self) -> tuple[str, ...]:
        """The roles that span the design: N and D, else whichever input there is."""
        if {"N", "D"} <= set(self.values):
            return "N", "D"
        return tuple(role for role in ("C", "N", "D", "x") if role in self.values)[:1]

    def scale(self) -> Array | None:
        """Compute, or the only input."""
        for role in ("C", *self.axes()):
            if role in self.values:
                return self.values[role]
        return None


def examine(runs: RunTable) -> tuple[Note, ...]:
    """What looks wrong or weak in a table, beyond the notes it already carries.

    Args:
        runs: From `read`, with at least one row.

    Returns:
        Notes with numbers and rows, in the order of the examinations below.
    """
    if not runs.rows:
        return ()
    # Values near the ends of a double overflow in ratios; the magnitudes are reported anyway.
    with np.errstate(all="ignore"):
        chart = _chart(runs)
        return tuple(note for look in _EXAMINATIONS for note in look(chart))


def _chart(runs: RunTable) -> _Chart:
    columns = runs.table.column_names
    numeric = [f.name for f in runs.table.schema if f.metadata and str(f.type) == "double"]
    values = {role: floats(runs.table.column(role)) for role in numeric}
    run, names = codes(runs.table.column("run")) if "run" in columns else (None, ())
    facts = runs.table.schema.field("N").metadata if "N" in columns else {}
    chart = _Chart(
        values=values,
        given=frozenset(values) - frozenset(runs.derived),
        run=run,
        names=names,
        row=runs.row,
        definition=(facts or {}).get(b"definition", b"").decode(),
        setting=alike([np.zeros(runs.rows), *(numbers(runs, role) for role in settings(runs))]),
        copies=_copies(runs),
        metric=runs.columns.get("L", ""),
        unread=runs.unread,
        offered=runs.offered,
        surface=None,
    )
    return _Chart(**{**vars(chart), "surface": _surface(chart)})


def _copies(runs: RunTable) -> Mask:
    keys = []
    for name in runs.table.column_names:
        column = runs.table.column(name)
        keys.append(floats(column) if str(column.type) == "double" else codes(column)[0])
    order = np.lexsort(keys)
    same = np.ones(max(runs.rows - 1, 0), np.bool_)
    for key in keys:
        sorted_key = key[order]
        blank = np.isnan(sorted_key[1:]) & np.isnan(sorted_key[:-1])
        same &= (sorted_key[1:] == sorted_key[:-1]) | blank
    copies = np.zeros(runs.rows, np.bool_)
    copies[order[1:][same]] = True
    return copies


def _surface(chart: _Chart) -> tuple[Array, float] | None:
    """Residuals from a quadratic in the logs by least absolute deviations, and R squared."""
    axes = chart.axes()
    if "L" not in chart.values or not axes:
        return None
    logs = [_standard(np.log(chart.values[role])) for role in axes]
    whole = np.log(chart.values["L"])
    step = -(-whole.size // _ROWS_FOR_SURFACE)
    design, loss = np.stack(list(_terms([log[::step] for log in logs])), axis=-1), whole[::step]
    if loss.size < 2 * design.shape[1] + 2:
        return None
    plain = loss - design @ np.linalg.lstsq(design, loss, rcond=None)[0]
    total = float(((loss - loss.mean()) ** 2).sum())
    # Adjusted for the number of terms, which alone explain a share of any noise.
    freedom = (loss.size - 1) / (loss.size - design.shape[1])
    explained = 1 - freedom * float((plain**2).sum()) / total if total > 0 else 1.0
    residual, theta = plain, np.zeros(design.shape[1])
    for _ in range(30):
        # Reweighting by 1/|r| turns least squares into least absolute deviations.
        root = 1 / np.sqrt(np.maximum(np.abs(residual), 1e-6))
        theta = np.linalg.lstsq(design * root[:, None], loss * root, rcond=None)[0]
        residual = loss - design @ theta
    # Term by term, so that the surface of very many rows is never a matrix.
    for weight, term in zip(theta, _terms(logs), strict=True):
        whole = whole - weight * term
    return whole, explained


def _terms(logs: Sequence[Array]) -> Iterator[Array]:
    """One, each logarithm, and their products two by two."""
    yield np.ones(logs[0].size)
    yield from logs
    yield from (a * b for i, a in enumerate(logs) for b in logs[i:])


def _cubes(logs: Sequence[Array]) -> Iterator[Array]:
    """Products of the logarithms three by three."""
    for i, a in enumerate(logs):
        for j, b in enumerate(logs[i:], start=i):
            yield from (a * b * c for c in logs[j:])


def _standard(values: Array) -> Array:
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0), np.float64)


def _spread(residual: Array, terms: int = 0) -> float:
    """Standard deviation of the bulk, from the median absolute deviation.

    Least absolute deviations go through as many rows as the surface has terms, which so say
    nothing of the scatter: the smallest are left out.
    """
    off = np.sort(np.abs(residual - median(residual)))
    return 1.4826 * float(median(off[terms:]))


def _term_count(axes: int) -> int:
    """Terms of a quadratic in so many logs."""
    return (axes + 1) * (axes + 2) // 2


def _sense(chart: _Chart) -> Iterator[Note]:
    for role, (low, high) in _SENSE.items():
        if role not in chart.given:
            continue
        odd = (chart.values[role] < low) | (chart.values[role] > high)
        if odd.any():
            example = human(float(chart.values[role][odd][0]))
            yield doubts.OUT_OF_RANGE.note(
                f"{role} is outside {human(low)} to {human(high)} in {int(odd.sum())} of"
                f" {odd.size} rows, such as {example} in {chart.rows(np.flatnonzero(odd)[:1])};"
                " check its unit"
            )


def _gaps(chart: _Chart) -> Iterator[Note]:
    for role in ("N", "D", "C", "x", "L"):
        if role not in chart.given or chart.row.size < 4:
            continue
        values = chart.values[role]
        decades = np.sort(np.log10(values))
        jumps = np.diff(decades)
        at = int(np.argmax(jumps))
        rest = np.delete(jumps, at)
        # A ladder with wide steps all along mixes no units.
        if jumps[at] < _GAP_DECADES or jumps[at] < 3 * rest.max(initial=0.0):
            continue
        edge = 10 ** (decades[at] + jumps[at] / 2)
        few = values < edge if (values < edge).sum() <= values.size / 2 else values > edge
        yield doubts.MAGNITUDE_GAP.note(
            f"no {role} lies between {human(10 ** decades[at])} and {human(10 ** decades[at + 1])}"
            f" ({jumps[at]:.1f} decades); {chart.rows(few)} may be in another unit"
        )


def _design(chart: _Chart) -> Iterator[Note]:
    if chart.axes() != ("N", "D"):
        return
    number = alike([chart.values["N"], chart.values["D"]])
    counts = np.bincount(number)
    first = np.empty(counts.size, np.int64)
    first[number[::-1]] = np.arange(number.size)[::-1]
    pairs = np.log(np.stack([chart.values["N"][first], chart.values["D"][first]], -1))
    if len(pairs) < 3 or (np.ptp(pairs, axis=0) < _SAME_SCALE).any():
        return
    r = float(np.corrcoef(pairs.T)[0, 1])
    ratio = chart.values["D"] / chart.values["N"]
    low, high = float(ratio.min()), float(ratio.max())
    if abs(r) > 0.95:
        yield doubts.SIZE_TIED_TO_DATA.note(
            f"log N and log D are correlated by {r:.3f} over {len(pairs)} settings, with"
            f" {human(low)} to {human(high)} tokens per parameter; size and data cannot"
            " be told apart: add runs at a quarter and four times the size"
        )


def _scales(chart: _Chart) -> Iterator[Note]:
    for role in chart.axes():
        logs = np.sort(np.log(chart.values[role]))
        count, at = 1, logs[0]
        while count < _FEWEST_SCALES and logs[-1] > at + _SAME_SCALE:
            at = logs[np.searchsorted(logs, at + _SAME_SCALE, side="right")]
            count += 1
        if count < _FEWEST_SCALES:
            span = (logs[-1] - logs[0]) / np.log(10)
            yield doubts.FEW_SCALES.note(
                f"{role} takes {count} distinct value{'s' if count > 1 else ''} over {span:.1f}"
                f" decades; at least {_FEWEST_SCALES} are needed to check the shape of a curve"
            )


def _budgets(chart: _Chart) -> list[IntArray]:
    """Places of the rows of each budget, if the table is made of budgets of several sizes."""
    C, N = chart.values["C"], chart.values["N"]
    if _is_grid(chart):
        return []
    order = np.argsort(C, kind="stable")
    edges = np.flatnonzero(np.diff(np.log(C[order])) > _BUDGET_WIDTH / 2) + 1
    groups = np.split(order, edges)
    found = [
        group
        for group in groups
        if distinct(N[group]).size >= 3
        and np.ptp(np.log(N[group])) > np.log(2)
        and np.ptp(np.log(C[group])) < _BUDGET_WIDTH
    ]
    return found if len(found) >= 2 and sum(map(len, found)) >= chart.row.size / 2 else []


def _is_grid(chart: _Chart) -> bool:
    """Whether nearly every N was trained on every D; equal compute is chance on such a grid."""
    if "D" not in chart.given:
        return False
    N, D = chart.values["N"], chart.values["D"]
    places = distinct(N).size * distinct(D).size
    return int(alike([N, D]).max()) + 1 > _GRID * places


def _isoflop(chart: _Chart) -> Iterator[Note]:
    if not {"N", "C", "L"} <= set(chart.values):
        return
    edge, few = [], []
    for group in _budgets(chart):
        N, loss = chart.values["N"][group], chart.values["L"][group]
        budget = human(float(median(chart.values["C"][group])))
        best = N[np.argmin(loss)]
        if best in (N.min(), N.max()):
            edge.append(f"{budget} ({'smallest' if best == N.min() else 'largest'}, {human(best)})")
        if distinct(N).size < _FEWEST_SIZES:
            few.append(f"{budget} ({distinct(N).size})")
    if edge:
        yield doubts.ISOFLOP_EDGE.note(
            f"the lowest loss is at the end of the sweep of {counted(len(edge), 'budget')}:"
            f" {', '.join(edge[:6])}; train beyond that end"
        )
    if few:
        yield doubts.ISOFLOP_FEW.note(
            f"{_count(len(few), 'budget')} short of {_FEWEST_SIZES} sizes: {', '.join(few[:6])}"
        )


def _budget_gaps(chart: _Chart) -> Iterator[Note]:
    if not {"N", "C", "L"} <= set(chart.values):
        return
    budgets = [float(median(chart.values["C"][group])) for group in _budgets(chart)]
    steps = np.diff(np.log10(budgets))
    # Three steps tell what is usual; a ladder need not be exact to be a ladder.
    if steps.size < 3:
        return
    usual = float(median(steps))
    wide = np.flatnonzero((steps > 1.7 * usual) & (steps > 0.3))
    if wide.size:
        between = ", ".join(f"{human(budgets[k])} and {human(budgets[k + 1])}" for k in wide[:4])
        yield doubts.BUDGET_GAP.note(
            f"budgets mostly lie {usual:.2g} decades apart, but none lies between {between};"
            " were these runs lost or left out?"
        )


def _twice(chart: _Chart) -> Iterator[Note]:
    if chart.copies.any():
        count = int(chart.copies.sum())
        yield doubts.DUPLICATE_ROWS.note(
            f"{_count(count, 'row')} the same as an earlier one in every column read:"
            f" {chart.rows(chart.copies)};"
            " take them out, or read the column that tells them apart"
        )


def _names(chart: _Chart) -> Iterator[Note]:
    if chart.run is None or "N" not in chart.values:
        return
    order = np.lexsort((chart.values["N"], chart.run))
    run, N = chart.run[order], chart.values["N"][order]
    mixed = distinct(run[1:][(run[1:] == run[:-1]) & (N[1:] != N[:-1])])
    if mixed.size:
        rows = chart.rows(chart.run == mixed[0], 4)
        yield doubts.RUN_OF_MANY_SIZES.note(
            f"one run name stands for several N in {counted(mixed.size, 'case')}, such as"
            f" {shown(chart.names[mixed[0]], 40)!r} ({rows}); map the column that names a run"
        )


def _trajectories(chart: _Chart) -> Iterator[Note]:
    if chart.run is not None:
        runs, counts = np.unique(chart.run, return_counts=True)
        if counts.max() > 1:
            yield doubts.CHECKPOINTS.note(
                f"{chart.row.size} rows belong to {counted(runs.size, 'run')}, up to {counts.max()}"
                " each; only runs are independent: keep --cluster run, or use --last"
            )
        return
    if not {"N", "D"} <= set(chart.values) or chart.row.size < 20:
        return
    N, D = chart.values["N"], chart.values["D"]
    order = np.argsort(N, kind="stable")
    same = N[order][1:] == N[order][:-1]
    grows = D[order][1:] > D[order][:-1]
    sizes = distinct(N).size
    if chart.row.size / sizes < 10 or not grows[same].mean() > 0.95 or "L" not in chart.values:
        return
    # A plan of sizes and tokens may be sorted so too, but its runs err each on its own.
    logs = [_standard(np.log(chart.values[role][order])) for role in ("N", "D")]
    design = np.stack([*_terms(logs), *_cubes(logs)], axis=-1)
    loss = np.log(chart.values["L"][order])
    residual = loss - design @ np.linalg.lstsq(design, loss, rcond=None)[0]
    bound = 3 * _spread(residual)
    pairs = np.clip(np.stack([residual[1:][same], residual[:-1][same]]), -bound, bound)
    if pairs.std(axis=1).min() > 0 and np.corrcoef(pairs)[0, 1] > _TRAILING:
        yield doubts.CHECKPOINTS.note(
            f"{chart.row.size} rows look like checkpoints of {sizes} runs: D grows row by row at"
            " equal N, and neighbours err alike; map the run with --col run=NAME"
        )


def _rounding(chart: _Chart) -> Iterator[Note]:
    if chart.surface is None:
        return
    loss = chart.values["L"]
    decimals = next((d for d in range(9) if np.array_equal(np.round(loss, d), loss)), None)
    if decimals is None:
        return
    noise = _spread(chart.surface[0], _term_count(len(chart.axes()))) * float(median(loss))
    rounding = 10.0**-decimals / np.sqrt(12)
    if rounding > 0.2 * noise:
        yield doubts.ROUNDED_LOSS.note(
            f"the loss has {decimals} decimals: rounding alone scatters it by {rounding:.1g},"
            f" beside {noise:.1g} off a smooth surface; export more digits"
        )


def _ends(chart: _Chart) -> Iterator[Note]:
    clock = next((chart.values[r] for r in ("step", "D") if r in chart.values), None)
    if chart.run is None or clock is None or "L" not in chart.values:
        return
    found = ends(chart.run, clock, chart.values["L"])
    bad = np.flatnonzero(found.diverged())
    if bad.size:
        first = bad[0]
        name = shown(chart.names[found.run[first]], 40)
        yield doubts.DIVERGED_END.note(
            f"{_count(bad.size, 'run')} at the end over {RISE:.0%} above the lowest loss"
            f" of the run, such as {name!r} ({found.lowest[first]:.4g}, then"
            f" {found.last[first]:.4g}): {chart.rows(found.final[bad])};"
            " leave such runs out with --drop-diverged"
        )


def _outliers(chart: _Chart) -> Iterator[Note]:
    if chart.surface is None:
        return
    residual = chart.surface[0]
    spread = _spread(residual, _term_count(len(chart.axes())))
    # Noise-free data leave rounding as the only spread; that makes no outlier.
    if spread < 1e-9:
        return
    z = (residual - median(residual)) / spread
    far = np.abs(z) > _OUTLYING
    # If many rows are far off, the surface is wrong, not the rows.
    if far.any() and far.mean() <= 0.05:
        worst = np.flatnonzero(far)[np.argsort(-np.abs(z[far]), kind="stable")]
        yield doubts.OUTLYING_LOSS.note(
            f"{_count(int(far.sum()), 'loss')} over {_OUTLYING:g} deviations ({spread:.2%}) off"
            f" a smooth surface, worst {z[worst[0]]:+.0f}: {chart.rows(worst)}; look at these runs"
        )


def _trend(chart: _Chart) -> Iterator[Note]:
    scale = chart.scale()
    if scale is None or "L" not in chart.values or chart.row.size < 5:
        return
    loss = np.log(chart.values["L"])
    if np.ptp(loss) == 0 or np.ptp(scale) == 0:
        return
    r = float(np.corrcoef(_ranks(scale), _ranks(loss))[0, 1])
    if r > 0.3:
        yield doubts.LOSS_RISES.note(
            f"the loss grows with scale (rank correlation {r:+.2f}); is L the right column?"
        )
    elif chart.surface is not None and chart.row.size >= 10 and chart.surface[1] < 0.1:
        yield doubts.NO_SIGNAL.note(
            f"{' and '.join(chart.axes())} explain {max(chart.surface[1], 0):.1%} of the variance"
            " of the log loss"
        )


def _count(count: int, noun: str) -> str:
    """`1 row is` or `3 rows are`."""
    if count == 1:
        return f"1 {noun} is"
    return f"{count} {noun}{'es' if noun.endswith('s') else 's'} are"


def _ranks(values: Array) -> Array:
    """Ranks with ties shared, shape (rows,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _definition(chart: _Chart) -> Iterator[Note]:
    if chart.definition != "unknown" or chart.values["N"].min() >= 1e9:
        return
    yield doubts.SIZE_UNDEFINED.note(
        "it is not known whether N counts embeddings, which moves exponents below 1e9;"
        " say so by the column's name: params_total or params_nonembed"
    )


def _replicates(chart: _Chart) -> Iterator[Note]:
    if not chart.axes() or "L" not in chart.values:
        return
    own = ~chart.copies
    inverse = np.unique(chart.setting[own], return_inverse=True)[1]
    counts = np.bincount(inverse)
    again = counts > 1
    if not again.any():
        return
    logs = np.log(chart.values["L"][own])
    mean = np.bincount(inverse, logs) / counts
    freedom = int((counts - 1).sum())
    noise = float(np.sqrt(((logs - mean[inverse]) ** 2).sum() / freedom))
    told = (
        f"{_count(int(again.sum()), 'setting')} run more than once ({freedom} degrees of freedom);"
        f" runs of one setting differ by {noise:.2%} in loss"
    )
    if noise > _LARGE_NOISE and chart.unread:
        names = ", ".join(shown(name, 40) for name in chart.unread[:4])
        told += f"; if a column that is not read ({names}{', ...' * (len(chart.unread) > 4)})"
        told += " tells them apart, map it with --col group=NAME"
    yield doubts.REPLICATES.note(told)


def _tuning(chart: _Chart) -> Iterator[Note]:
    scale = chart.scale()
    if scale is None or "tries" not in chart.values:
        return
    known = np.isfinite(chart.values["tries"])
    tries = chart.values["tries"][known]
    if known.sum() < 5 or np.ptp(tries) == 0 or np.ptp(scale[known]) == 0:
        return
    r = float(np.corrcoef(_ranks(scale[known]), _ranks(tries))[0, 1])
    if abs(r) > 0.5:
        order = np.argsort(scale[known], kind="stable")
        ends = [float(median(part)) for part in np.array_split(tries[order], 3)]
        yield doubts.TUNING_VARIES.note(
            f"tries go with scale (rank correlation {r:+.2f}): about {ends[0]:g} behind a small"
            f" run, {ends[-1]:g} behind a large one; best-of-k alone bends the curve"
        )


def _counted(chart: _Chart) -> Iterator[Note]:
    if not {"N", "D", "C"} <= chart.given or chart.row.size < 5:
        return
    ratio = np.log(chart.values["C"] / flops.six_nd(chart.values["N"], chart.values["D"]))
    if float(ratio.std()) > 0.1:
        yield doubts.INPUT_SCATTER.note(
            f"C / 6ND scatters by {float(ratio.std()):.0%} from row to row: some input is estimated"
        )


def _inputs(chart: _Chart) -> Iterator[Note]:
    if chart.scale() is None:
        yield doubts.NO_INPUT.note(
            "no column plays N, D, C or x, so no law has anything to go by;"
            f" {inputs_to_map(chart.offered, chart.given)}"
        )


def _metric(chart: _Chart) -> Iterator[Note]:
    words = set(re.split(r"[^a-z0-9]+", chart.metric.casefold()))
    hit = sorted(words & _BOUNDED)
    if hit and not words & {"loss", "bpb", "ppl", "perplexity"}:
        yield doubts.BOUNDED_METRIC.note(
            f"{shown(chart.metric, 40)!r} looks like a bounded metric ({hit[0]}): simple laws hold"
            " for few of them, and a break beyond the data cannot be excluded"
        )


_EXAMINATIONS: tuple[Callable[[_Chart], Iterator[Note]], ...] = (
    _inputs, _sense, _gaps, _definition, _twice, _names, _trajectories, _ends, _design, _scales,
    _isoflop, _budget_gaps, _trend, _outliers, _rounding, _replicates, _tuning, _counted, _metric,
)  # fmt: skip
