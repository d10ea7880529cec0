"""Where each replicate starts: a search of its own.

A replicate that starts at the point estimate can be trapped in its basin, and then an interval
says more of the first search than of the runs. Here every replicate has the normal equations of
the whole grid from one small matrix product (variable projection: Golub & Pereyra 1973), and so
its own best start in every basin. Where basins are many those few are not enough: which of them
resamples end in is found out by thorough searches of some replicates, and tried in all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scalefit.core.observations import Array, BoolArray, IntArray, Observations
from scalefit.core.records import names_of, replace
from scalefit.core.sorting import distinct
from scalefit.inference import streams
from scalefit.inference.batches import Steps, stepwise
from scalefit.inference.problem import Problem
from scalefit.inference.solver import Search, Solution, joined, solve
from scalefit.inference.starts import Screen, screens

_MOST_ROWS = 2048  # with more rows a replicate's basins are those of the estimate
_ENTRIES = 1 << 16  # systems solved together
_TOGETHER = 1 << 22  # weights of rows, each replicate's repeated for all its starts
_BASINS = 3  # of a replicate's own
# Survivors of each round of a replicate's search, and the evaluations it gives.
_ROUNDS = ((6, 8), (1, 40))
# Replicates searched thoroughly, from so many basins each, and with so many evaluations for each.
_SCOUTS, _SCOUTED_BASINS, _SCOUTED_LIMIT = 60, 40, 60
_TOLD, _CURVES = 4, 80  # ends that each of them tells of, and curves among them that are tried
_TRIED_LIMIT = 24  # evaluations for each of those in each of them
_ARRIVED, _MISSED = 0.01, 0.1  # above the best: as good as there, and as bad as anywhere
_KNOWN = 16  # of those ends every replicate starts from so many
_ONE_CURVE = 0.3  # ends apart nowhere by more than this share of the estimate's residuals
# Evaluations for the best of them. One that creeps along a valley has arrived, as far as a resample
# can tell, where a round lowers its objective by less than this share.
_LAST, _CREEPING = (100, 100, 400), 1e-3
# Resamples whose ends the point fit begins from, each searched from so many basins.
_BUMPS, _BUMPED_BASINS, _BUMPED_LIMIT = 40, 16, 30
_KEPT_BYTES = 8 << 20
_NEIGHBOUR = 0.6  # of the logarithm of an exponent: two and a half steps of its grid
# Of so many rows for each parameter every second start tells where a basin is, if what is left
# there is so many times what is left in the estimate's.
_TELLING, _CLEARLY = 20, 1.5
_CLOSE = 1e-10  # predicted gain, relative to the objective: the last step leaves its square


def scouts(count: int) -> list[int]:
    """Which of so many replicates are searched thoroughly, spread over all of them."""
    return [int(k) for k in np.linspace(0, count - 1, min(count, _SCOUTS))]


@stepwise
def refit(
    problem: Problem,
    objective: Any,
    runs: Observations,
    weight: Array,
    known: Array,
    *,
    valley: bool,
) -> Steps[Solution]:
    """Minimise the objective for every set of row weights, each from its own search.

    Args:
        problem: Law and runs.
        objective: What to minimise.
        runs: What the problem was bound to.
        weight: Row weights of each replicate, shape (B, n).
        known: Starts of every replicate besides its own, the estimate first, shape (M, p).
        valley: Whether the estimate lies in a long valley, as where sizes and tokens all but lie
            on a line: resamples then have minima all along it.
    """
    # A large array that is freed teaches glibc to keep what smaller ones give back. Else every
    # block of rows is handed to the kernel and faulted in anew: half of the time of a first refit.
    np.empty(_KEPT_BYTES, dtype=np.uint8)
    grids = _grids(problem, objective, runs, known, valley=valley)
    basins = _basins(grids)
    if basins > 1:
        u = _own(problem, grids, weight, known, min(_BASINS, basins))
        beside = np.repeat(known[None], len(u), axis=0)
        found = _halved(problem, objective, weight, np.concatenate([beside, u], axis=1))
        if not valley:
            return found
        # What looks best after a few steps need not be, so that the estimate goes to its end too.
        ends = yield _from(problem, objective, weight, known[:1])
        return _better(found, np.arange(len(weight)), ends)
    ends = yield _from(problem, objective, weight, known[:1])
    # What is second best for the runs is the best for many a resample.
    for rival in known[1:]:
        others = yield _from(problem, objective, weight, rival)
        lower = np.flatnonzero(others.converged & (others.value < ends.value))
        _put(ends, lower, others.take(lower))
    if not grids:
        return ends
    held = [problem.free.index(i) for i in grids[0].held]
    # Where a replicate's best exponents are the estimate's or their neighbours on the grid, its
    # basin is the estimate's own.
    told = _told(grids[0], weight, known[0, held])
    again = np.flatnonzero(~told | ~ends.converged)
    if again.size:
        u = _own(problem, grids, weight[again], known, 1)[:, 0]
        other = ~_neighbours(u[:, held], known[0, held]) | ~ends.converged[again]
        again, u = again[other], u[other]
    if not again.size:
        return ends
    other_ends = yield _from(problem, objective, weight[again], u)
    return _better(ends, again, other_ends)


def _told(grid: Screen, weight: Array, estimate: Array) -> BoolArray:
    """Which replicates every second start tells to be in the estimate's basin, shape (B,).

    Args:
        grid: Of a law with one basin.
        weight: Of each replicate's rows, shape (B, n).
        estimate: Exponents of the estimate.
    """
    few = weight.shape[1] < _TELLING * len(grid.solved + grid.held)
    coarse = grid.thinned()
    near = _neighbours(coarse.theta[:, coarse.held], estimate)
    if few or near.all() or not near.any():
        return np.zeros(len(weight), dtype=bool)
    told = []
    for i in range(0, len(weight), _some(coarse)):
        left = coarse.left(coarse.sums(weight[i : i + _some(coarse)]))
        least = left[:, near].min(axis=1)
        found = np.isfinite(least) & (least > 0)
        told.append(found & (left[:, ~near].min(axis=1) >= _CLEARLY * least))
    return np.concatenate(told)


def _neighbours(exponents: Array, estimate: Array) -> BoolArray:
    """Which exponents, shape (K, h), are the estimate's or neighbours of them on a grid."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(np.log(exponents / estimate)).max(axis=1) <= _NEIGHBOUR)


def _some(grid: Screen) -> int:
    """Replicates that are screened together."""
    return max(1, _ENTRIES // len(grid.place))


def scouted(
    problem: Problem,
    objective: Any,
    runs: Observations,
    weigh: Callable[[], Array],
    known: Array,
    *,
    valley: bool,
) -> Array:
    """Starts of every replicate, shape (S, p): the estimate, and what brings a few replicates home.

    Those few are searched from every basin. Of all the ends that draw different curves each is
    then tried in each of the few, and those are kept that together bring most of them to their
    best: how low a start stands in a replicate does not tell where it leads.

    Args:
        problem: Law and runs.
        objective: What to minimise.
        runs: What the problem was bound to.
        weigh: Gives the row weights of the few, shape (K, n), if they are wanted.
        known: Minima of the point fit, best first, shape (M, p).
        valley: As in `refit`.
    """
    grids = _grids(problem, objective, runs, known, valley=valley)
    basins = _basins(grids)
    if basins < 2:
        return known
    weight = weigh()
    few = np.arange(len(weight))[:, None]
    u = _own(problem, grids, weight, known, min(_SCOUTED_BASINS, basins))
    u = np.concatenate([np.repeat(known[None], len(u), axis=0), u], axis=1)
    first = _all_from(problem, objective, weight, u, _SCOUTED_LIMIT)
    value = _finite(first.value).reshape(len(weight), -1)
    rank = np.argsort(value, axis=1, kind="stable")[:, :_TOLD]
    told = first.u.reshape(u.shape)[few, rank]
    # The best end of each replicate, then the second best of each.
    ends = np.concatenate([known, told.swapaxes(0, 1).reshape(-1, problem.p)])
    ends = _apart(problem, ends)
    beside = np.repeat(ends[None], len(weight), axis=0)
    again = _all_from(problem, objective, weight, beside, _TRIED_LIMIT)
    tried = _finite(again.value).reshape(len(weight), -1)
    best = np.minimum(value.min(axis=1), tried.min(axis=1))
    state = first.state.reshape(len(weight), -1)[few[:, 0], rank[:, 0]]
    size = objective.measure(problem.residual(told[:, 0]), weight, state).size
    gap = (tried - best[:, None]) / np.maximum(size, 1e-300)[:, None]
    gap = np.where(gap > _ARRIVED, np.minimum(gap, _MISSED), 0.0)
    chosen, least = [0], gap[:, 0]
    while len(chosen) < _KNOWN:
        gain = np.maximum(least[:, None] - gap, 0.0).sum(axis=0)
        if not gain.max() > 0:
            break
        chosen.append(int(np.argmax(gain)))
        least = np.minimum(least, gap[:, chosen[-1]])
    return np.asarray(ends[chosen])


def bumped(problem: Problem, objective: Any, runs: Observations, known: Array) -> Array:
    """Starts of the point fit, shape (S, p), from where searches of resamples ended.

    A resample moves the hills between basins, so that its searches find ways that those of the
    runs do not. None where the law has no grid, or one basin.

    Args:
        problem: Law and runs.
        objective: What to minimise.
        runs: What the problem was bound to.
        known: Best end so far, shape (1, p).

    Source: Tibshirani & Knight 1999, Model search by bootstrap "bumping", JCGS 8(4).
    """
    grids = _grids(problem, objective, runs, known, valley=False)
    basins = _basins(grids)
    if basins < 2:
        return known[:0]
    weight = runs.weight * streams.counts(0, streams.BUMPED, 0, _BUMPS, runs.n)
    u = _own(problem, grids, weight, known, min(_BUMPED_BASINS, basins))
    u = np.concatenate([np.repeat(known[None], len(u), axis=0), u], axis=1)
    ends = _all_from(problem, objective, weight, u, _BUMPED_LIMIT)
    rank = np.argsort(_finite(ends.value).reshape(u.shape[:2]), axis=1, kind="stable")[:, :_TOLD]
    return np.asarray(ends.u.reshape(u.shape)[np.arange(len(u))[:, None], rank]).reshape(
        -1, problem.p
    )


def _finite(value: Array) -> Array:
    return np.where(np.isfinite(value), value, np.finfo(float).max)


def _apart(problem: Problem, u: Array) -> Array:
    """The first few of u, shape (k, p), none of which draws the curve of one before it."""
    curves = problem.residual(u)
    near = _ONE_CURVE * float(np.sqrt(np.mean(curves[0] ** 2)))
    kept: list[int] = []
    for k in range(len(u)):
        if len(kept) < _CURVES and not (np.abs(curves[kept] - curves[k]).max(axis=1) <= near).any():
            kept.append(k)
    return u[kept]


def _grids(
    problem: Problem, objective: Any, runs: Observations, known: Array, *, valley: bool
) -> list[Screen]:
    """The grids of the law, where they hold: few rows, and no parameter held or tied.

    Along a valley each start of the first exponent stands for a basin of its own.
    """
    free = problem.p == len(problem.law.parameters)
    if not free or problem.n > _MOST_ROWS:
        return []
    # Rows that the estimate holds for outliers must not decide where a search begins.
    residual = problem.residual(known[:1])
    state = objective.begin(residual, runs.weight[None], cold=False)
    safe = objective.measure(residual, runs.weight[None], state).safe[0]
    grids = [replace(grid, weight=grid.weight * safe) for grid in screens(problem, runs)]
    if valley and _basins(grids) == 1 and len(grids[0].held) > 1:
        (grid,) = grids
        along = np.unique(grid.theta[:, grid.held[0]], return_inverse=True)[1]
        return [replace(grid, group=along)]
    return grids


def _basins(grids: Sequence[Screen]) -> int:
    """Basins that the sets of the grids stand for."""
    return len({int(g) for grid in grids for g in distinct(grid.group)})


def _own(
    problem: Problem, grids: Sequence[Screen], weight: Array, known: Array, most: int
) -> Array:
    """As `own_starts`; the estimate stands where no set fits a replicate."""
    u = own_starts(problem, grids, weight, most)
    return np.asarray(np.where(np.isfinite(u).all(axis=2, keepdims=True), u, known[0]))


def own_starts(problem: Problem, grids: Sequence[Screen], weight: Array, most: int) -> Array:
    """The best start of each of the `most` best basins, shape (B, most, p), best first.

    Not finite where no set of the grid fits a replicate at all.
    """
    size = min(_some(grid) for grid in grids)
    sums = [grid.sums(weight) for grid in grids]
    return np.concatenate(
        [
            _block_starts(problem, grids, [part[i : i + size] for part in sums], most)
            for i in range(0, len(weight), size)
        ]
    )


def _block_starts(
    problem: Problem, grids: Sequence[Screen], sums: Sequence[Array], most: int
) -> Array:
    left = np.concatenate([g.left(part) for g, part in zip(grids, sums, strict=True)], axis=1)
    chosen = _best_of_groups(left, np.concatenate([grid.group for grid in grids]), most)
    found = np.take_along_axis(left, chosen, axis=1)
    u = np.full((*chosen.shape, problem.p), np.nan)
    begin = 0
    for grid, part in zip(grids, sums, strict=True):
        mine = (chosen >= begin) & (chosen < begin + len(grid.place)) & np.isfinite(found)
        if mine.any():
            which = np.where(mine, chosen - begin, 0)
            x, _ = grid.coefficients(part, np.moveaxis(grid.place[which], -1, 0))
            u[mine] = grid.completed(problem, which[mine], x[:, mine])
        begin += len(grid.place)
    return u


def _best_of_groups(left: Array, group: IntArray, most: int) -> IntArray:
    """Numbers of the best set of each of the `most` best groups, shape (B, most), best first."""
    if most == 1:
        return np.asarray(np.argmin(left, axis=1)[:, None])
    order = np.argsort(group, kind="stable")
    _, first = np.unique(group[order], return_index=True)
    lowest = np.minimum.reduceat(left[:, order], first, axis=1)
    top = np.argsort(lowest, axis=1, kind="stable")[:, :most]
    sizes = np.diff(np.append(first, len(order)))
    members = order[np.minimum(first[:, None] + np.arange(sizes.max()), len(order) - 1)]
    outside = np.arange(sizes.max()) >= sizes[:, None]
    some = np.take_along_axis(left, members[top].reshape(len(left), -1), axis=1)
    some = np.where(outside[top], np.inf, some.reshape(*top.shape, -1))
    best = np.argmin(some, axis=2)[..., None]
    return np.asarray(np.take_along_axis(members[top], best, axis=2)[..., 0])


def _from(problem: Problem, objective: Any, weight: Array, u: Array) -> Search:
    """Of each replicate from its row of u, or of all from the only one."""
    start = np.broadcast_to(u, (len(weight), problem.p))
    return Search(problem, objective, weight, start, cold=False, tolerance=_CLOSE)


def _all_from(problem: Problem, objective: Any, weight: Array, u: Array, limit: int) -> Solution:
    """Each replicate solved from all of its rows of u, shape (B, k, p)."""
    each = u.shape[1]
    some = max(1, _TOGETHER // (each * problem.n))
    parts = [
        solve(
            problem,
            objective,
            np.repeat(weight[begin : begin + some], each, axis=0),
            u[begin : begin + some].reshape(-1, problem.p),
            cold=False,
            tolerance=_CLOSE,
            limit=limit,
        )
        for begin in range(0, len(u), some)
    ]
    return joined(parts)


def _better(ends: Solution, at: IntArray, others: Solution) -> Solution:
    """The lower one of two ends of the replicates `at`; one that converged before one that not."""
    rank = np.where(others.converged, others.value, np.inf)
    mine = np.where(ends.converged[at], ends.value[at], np.inf)
    wins = rank < mine
    _put(ends, at[wins], others.take(wins))
    return ends


def _halved(problem: Problem, objective: Any, weight: Array, u: Array) -> Solution:
    """Successive halving over the starts of every replicate, shape (B, k, p)."""
    count = len(weight)
    for keep, limit in _ROUNDS:
        each = u.shape[1]
        ends = _all_from(problem, objective, weight, u, limit)
        value = ends.value.reshape(count, each)
        order = np.argsort(value, axis=1, kind="stable")
        ranked = np.take_along_axis(value, order, axis=1)
        # A start that ends where a better one ended has nothing more to say.
        twin = np.diff(ranked, axis=1, prepend=-np.inf) <= 1e-9 * np.abs(ranked)
        order = np.take_along_axis(order, np.argsort(twin, axis=1, kind="stable"), axis=1)
        at = order[:, :keep] + np.arange(count)[:, None] * each
        u = ends.u[at]
    best = ends.take(at[:, 0])
    for limit in _LAST:
        slow = np.flatnonzero(~best.converged)
        if not slow.size:
            break
        further = solve(
            problem,
            objective,
            weight[slow],
            best.u[slow],
            cold=False,
            tolerance=_CLOSE,
            limit=limit,
        )
        residual = problem.residual(further.u)
        size = objective.measure(residual, weight[slow], further.state).size
        further.converged[:] |= best.value[slow] - further.value <= _CREEPING * size
        _put(best, slow, further)
    return best


def _put(ends: Solution, at: IntArray, others: Solution) -> None:
    for name in names_of(Solution):
        getattr(ends, name)[at] = getattr(others, name)
