"""Where to start: what is linear is solved for on a grid of what is not.

A law declares which parameters are linear in the loss, or affine in the log of the loss above
its floor. Over a grid of the others those are solved for exactly, so that the search begins in
every basin worth a look (variable projection: Golub & Pereyra 1973). Where a law is a product of
shapes, such as breaks, a far finer grid is screened first: every shape is computed once, and each
set of them is a block of one Gram matrix.
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import combinations, combinations_with_replacement, product

import numpy as np

from scalefit.core.observations import Array, BoolArray, IntArray, Observations
from scalefit.core.records import dataclass, replace
from scalefit.core.sorting import distinct
from scalefit.inference.native import MOST_COLUMNS, NATIVE
from scalefit.inference.problem import Problem, bind
from scalefit.inference.systems import least_in_box, solve_entries
from scalefit.laws.base import Law, Parameter, rescaled

_MOST = 4096
_MOST_SCREENED = 1 << 18
_TOGETHER = 1 << 17  # doubles per array while many sets are completed: they fit the cache
_TOGETHER_PLACES = 2  # neighbours on the grid that stand for one basin
_FIRM = 1e-10  # of a square, beyond which two columns that agree are told apart no further
_KEPT = 100  # sets of starts for all sets of positions together, and at least one for each


def candidates(law: Law, runs: Observations, log_target: bool, most: int = _MOST) -> Array:
    """Starting parameters, shape (K, P) with K <= `most`, for the inputs as they are."""
    problem = bind(law, runs, log_target=log_target and bool((runs.loss > 0).all()))
    held = [i for i in range(len(law.parameters)) if i not in _solved(law)]
    theta = np.ones((1, len(law.parameters)))
    return problem.theta(_completed(problem, runs, theta, held, most))


def widened(law: Law, simpler: Array, runs: Observations, log_target: bool) -> Array:
    """Starting parameters, shape (K, P), from those of the law within, shape (S, P').

    The first S are the simpler curves themselves, so that no law ends above the one within it;
    beside each of them what the law adds then stands at every one of its own starts.
    """
    problem = bind(law, runs, log_target=log_target and bool((runs.loss > 0).all()))
    names = law.within.names if law.within else ()
    added = [i for i, name in enumerate(law.names) if name not in names]
    held = [i for i in added if i not in _solved(law)]
    theta = np.ones((len(simpler), len(law.parameters)))
    theta[:, [law.index(name) for name in names]] = simpler
    theta[:, [i for i in added if i not in held]] = 0.0
    theta = rescaled(law, theta, problem.units)
    theta[:, held] = 1.0  # where a slope is zero its break is nowhere: amid the data is as good
    beside = _completed(problem, runs, theta, held, _MOST)
    return problem.theta(np.concatenate([_to_search(problem, theta), beside]))


def _solved(law: Law) -> list[int]:
    """Numbers of the parameters that are solved for: the log-affine ones, else the linear ones."""
    affine = [i for i, p in enumerate(law.parameters) if p.log_linear]
    return affine or [i for i, p in enumerate(law.parameters) if p.linear]


def _completed(
    problem: Problem, runs: Observations, theta: Array, held: list[int], most: int
) -> Array:
    """Search vectors: each theta with a grid of the held parameters, the rest solved for."""
    law, solved = problem.law, _solved(problem.law)
    affine = any(law.parameters[i].log_linear for i in solved)
    shapes = {law.index(name) for p in law.parameters for name in p.shaped_by}
    screened = bool(shapes) and shapes <= set(held)
    grid = _grid(problem, runs, held, _MOST_SCREENED if screened else most)
    if screened:
        grid = grid.take(_promising(problem, runs, grid, solved, most))
    if law.terms is not None and solved and not affine and len(theta) == 1:
        theta = _summed(problem, runs, grid, solved)
        return _to_search(problem, np.clip(theta, *_corners(problem)))
    theta = np.repeat(theta, len(grid.index), axis=0)
    theta[:, held] = np.tile(grid.values(), (len(theta) // len(grid.index), 1))
    if solved:
        solve, size = _log_affine if affine else _linear, max(1, _TOGETHER // problem.n)
        parts = [theta[begin : begin + size] for begin in range(0, len(theta), size)]
        theta = np.concatenate([solve(problem, runs, part, solved) for part in parts])
    return _to_search(problem, np.clip(theta, *_corners(problem)))


def _to_search(problem: Problem, centred: Array) -> Array:
    with np.errstate(divide="ignore"):
        u = np.where(problem.log, np.log(np.where(problem.log, centred, 1.0)), centred)
    return np.clip(u, problem.low, problem.high)


def _corners(problem: Problem) -> tuple[Array, Array]:
    low = np.where(problem.log, np.exp(np.where(problem.log, problem.low, 0.0)), problem.low)
    with np.errstate(over="ignore"):
        high = np.where(problem.log, np.exp(np.where(problem.log, problem.high, 0.0)), problem.high)
    return low, high


@dataclass(frozen=True, eq=False)
class _Grid:
    """Sets of starts of some parameters.

    Attributes:
        held: Numbers of the parameters.
        levels: The starts of each of them, in centred units.
        index: Which start each set takes of each parameter, shape (K, held).
    """

    held: list[int]
    levels: list[Array]
    index: IntArray

    def values(self) -> Array:
        """The starts themselves, shape (K, held)."""
        values = np.empty(self.index.shape)
        for j, level in enumerate(self.levels):
            values[:, j] = level[self.index[:, j]]
        return values

    def take(self, chosen: IntArray) -> _Grid:
        """Some of the sets."""
        return replace(self, index=self.index[chosen])

    def number(self, some: list[int]) -> IntArray:
        """Number of each set among all combinations of some of the parameters, shape (K,)."""
        number = np.zeros(len(self.index), dtype=np.int64)
        for j in (self.held.index(i) for i in some):
            number = number * len(self.levels[j]) + self.index[:, j]
        return number

    def combinations(self, some: list[int]) -> Array:
        """All combinations of some of the parameters, in the order of their numbers."""
        levels = [self.levels[self.held.index(i)] for i in some]
        return np.array(list(product(*levels)), dtype=float)


def _grid(problem: Problem, runs: Observations, held: list[int], most: int) -> _Grid:
    """Products of the starts of the held parameters, thinned evenly.

    Positions on one axis are taken in increasing order: their labels are arbitrary.
    """
    parameters = [problem.law.parameters[i] for i in held]
    levels = [np.array(_starts(p, problem, runs)) for p in parameters]
    seen: dict[str, list[int]] = {}
    for j, parameter in enumerate(parameters):
        if parameter.relative_to in problem.law.inputs:
            seen.setdefault(parameter.relative_to, []).append(j)
    together = [js for js in seen.values() if len({parameters[j].starts for j in js}) == 1]
    joint = {j for js in together for j in js}
    alone = [j for j in range(len(held)) if j not in joint]
    axes = [np.arange(len(levels[j]))[:, None] for j in alone]
    axes += [np.array(list(combinations(range(len(levels[js[0]])), len(js)))) for js in together]
    chosen = _thinned([len(axis) for axis in axes], most)
    index = np.empty((len(chosen), len(held)), dtype=np.int64)
    for js, axis, at in zip([*([j] for j in alone), *together], axes, chosen.T, strict=True):
        index[:, js] = axis[at]
    return _Grid(held, levels, index)


def _starts(parameter: Parameter, problem: Problem, runs: Observations) -> list[float]:
    """Starts of a parameter in centred units, smallest first."""
    starts = np.array(sorted(parameter.starts))
    if parameter.relative_to == "loss":
        starts = starts * float(runs.loss.min())
    elif parameter.relative_to:
        values = problem.inputs[problem.law.inputs.index(parameter.relative_to)]
        lowest, highest = float(values.min()), float(values.max())
        starts = lowest * (highest / lowest) ** starts
    return [float(v) for v in starts]


def _thinned(sizes: list[int], most: int) -> IntArray:
    """Indices into axes of those sizes, shape (K, axes): all of them, or `most` spread evenly."""
    total = math.prod(sizes)
    stride = 1
    if total > most:
        # A golden-section stride visits the whole product evenly; coprime, it never repeats.
        stride = int(total * 0.6180339887498949) | 1
        while math.gcd(stride, total) != 1:
            stride += 2
    flat = (np.arange(min(total, most)) * stride) % total
    return np.stack(np.unravel_index(flat, sizes), axis=1) if sizes else np.zeros((1, 0), dtype=int)


def _summed(problem: Problem, runs: Observations, grid: _Grid, linear: list[int]) -> Array:
    """As `_linear` for a sum of powers, each of which is computed once for all sets."""
    (screen,) = _power_screens(problem, runs, grid, linear)
    total = (runs.weight * screen.weight).sum()
    theta = screen.theta.copy()
    theta[:, linear] = _non_negative(*screen.normal(runs.weight / total))
    return theta


def _linear(problem: Problem, runs: Observations, theta: Array, linear: list[int]) -> Array:
    """Non-negative least squares for the linear parameters at each held set.

    Weights 1/loss^2 make it the first-order equivalent of least squares on the log loss.
    """
    zero = theta.copy()
    zero[:, linear] = 0.0
    base = _predict(problem, zero)
    columns = []
    for i in linear:
        one = zero.copy()
        one[:, i] = 1.0
        columns.append(_predict(problem, one) - base)
    design = np.stack(columns, axis=1)
    # A subnormal loss has no square.
    rough = runs.weight / (
        np.maximum(runs.loss, 1e-150) ** 2 if problem.log_target else np.ones(problem.n)
    )
    weight = rough / rough.sum()
    right = np.matmul(design, (weight * (runs.loss - base))[:, :, None])[:, :, 0]
    normal = np.matmul(design * weight, np.swapaxes(design, 1, 2))
    result = zero.copy()
    result[:, linear] = _non_negative(normal, right)
    return result


def _predict(problem: Problem, theta: Array) -> Array:
    fused = problem.fused
    with np.errstate(all="ignore"):
        value = (
            problem.law.predict(theta, problem.inputs)
            if fused is None
            else fused.value(theta, problem.logs)
        )
    return np.nan_to_num(
        np.broadcast_to(value, (theta.shape[0], problem.n)), nan=0.0, posinf=1e100, neginf=0.0
    )


def _non_negative(normal: Array, right: Array) -> Array:
    """Minimisers of x'Nx/2 - r'x over x >= 0, shape (K, m)."""
    diagonal = np.einsum("kii->ki", normal)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = normal / scale[:, :, None] / scale[:, None, :] + _FIRM * np.eye(right.shape[1])
    none = np.zeros(right.shape)
    x, _ = least_in_box(scaled, right / scale, none, none + np.inf)
    return x / scale


def _log_affine(problem: Problem, runs: Observations, theta: Array, affine: list[int]) -> Array:
    """Least squares on log(loss - floor) for the parameters that are affine there."""
    log = np.array([problem.law.parameters[i].log for i in affine])
    base, design = _log_columns(problem, theta, affine, affine)
    floor = theta[:, _floors(problem.law)].sum(axis=1)[:, None]
    target, weight = _above(runs, floor)
    normal = np.matmul(design * weight[:, None, :], np.swapaxes(design, 1, 2))
    right = np.matmul(design, (weight * (target - base))[:, :, None])[:, :, 0]
    x = _least(normal, right)
    result = theta.copy()
    result[:, affine] = np.where(log, np.exp(np.clip(x, -700, 700)), x)
    return result


@dataclass(frozen=True, eq=False)
class Screen:
    """Sets of starts, the rest of whose parameters solve one weighted linear problem.

    Attributes:
        columns: What a unit of a coefficient adds to the target, shape (S, n).
        target: What the columns add up to, shape (n,).
        weight: Of each row's square, besides its own weight, shape (n,).
        place: Numbers of the columns of each set, shape (K, m).
        held: Numbers of the parameters that the grid is over.
        solved: Numbers of the parameters that the coefficients are, m of them.
        positive: Whether coefficients must be positive.
        floored: Whether the first of them is a floor, which may be zero.
        theta: Centred parameters of each set but for those, shape (K, P).
        group: Number of the basin that each set stands for, shape (K,).
    """

    columns: Array
    target: Array
    weight: Array
    place: IntArray
    held: list[int]
    solved: list[int]
    positive: bool
    floored: bool
    theta: Array
    group: IntArray

    @cached_property
    def _pair(self) -> IntArray:
        """Number of each product of two columns among those that sets need, shape (S+1, S+1)."""
        last = len(self.columns)
        table = np.full((last + 1, last + 1), -1)
        with_target = np.column_stack([self.place, np.full(len(self.place), last)])
        for i, j in combinations_with_replacement(range(with_target.shape[1]), 2):
            table[with_target[:, i], with_target[:, j]] = 0
        table = np.maximum(table, table.T)
        upper = np.triu(table == 0)
        table[upper] = np.arange(int(upper.sum()))
        return np.asarray(np.maximum(table, table.T))

    @cached_property
    def _pairs(self) -> tuple[IntArray, IntArray]:
        """Numbers of the two columns of each of those products, shape (Q,) each."""
        i, j = np.nonzero(np.triu(self._pair >= 0))
        return i, j

    @cached_property
    def _products(self) -> Array:
        """Those products times the weight of each row, shape (n, Q)."""
        rows = np.concatenate([self.columns, self.target[None]])
        i, j = self._pairs
        return np.ascontiguousarray((rows[i] * rows[j] * self.weight).T)

    def sums(self, weight: Array) -> Array:
        """Every product that a set needs, summed over rows of weight (B, n): shape (B, Q)."""
        return _times(weight, self._products)

    def thinned(self) -> Screen:
        """Every second start of each parameter that the grid is over."""
        kept = np.ones(len(self.theta), dtype=bool)
        for i in self.held:
            level = self.theta[:, i]
            kept &= np.isin(level, distinct(level)[::2])
        place = self.place[kept]
        used = distinct(place.ravel())
        return replace(
            self,
            columns=self.columns[used],
            place=np.searchsorted(used, place),
            theta=self.theta[kept],
            group=self.group[kept],
        )

    def normal(self, weight: Array) -> tuple[Array, Array]:
        """Normal matrices, shape (K, m, m), and right sides, (K, m), for row weights (n,)."""
        rows = np.concatenate([self.columns, self.target[None]])
        gram = _times(rows * (self.weight * weight), rows.T)
        return gram[self.place[:, :, None], self.place[:, None, :]], gram[self.place, -1]

    def left(self, sums: Array) -> Array:
        """What every set leaves of the weighted squares, shape (B, K), as `coefficients` has it."""
        if not self.positive:
            sums = self._without(sums, self.place[0, ~self._apart])
        return self._solved(sums, self._entries_left, None)

    @cached_property
    def _apart(self) -> BoolArray:
        """Whether sets differ in each of their columns, shape (m,)."""
        return np.asarray((self.place != self.place[0]).any(axis=0))

    def _without(self, sums: Array, common: IntArray) -> Array:
        """The same sums once every column has lost what those in all sets explain of it.

        What stands in all sets is then eliminated once, not once for each of them.
        """
        i, j = self._pairs
        left = np.where(i == j, 1 + _FIRM, 1.0) * sums
        for k in common:
            row = self._pair[k]
            left -= left[:, row[i]] * (left[:, row[j]] / left[:, row[k], None])
        return left

    def coefficients(self, sums: Array, place: IntArray) -> tuple[Array, Array]:
        """Solutions (m, B, K) of sets, and what they leave of the weighted squares, (B, K).

        Args:
            sums: As `sums` gives them, shape (B, Q).
            place: Columns of the sets, shape (m, K), or (m, B, K) of each replicate.
        """
        x = np.empty((len(place), len(sums), place.shape[-1]))
        return x, self._solved(sums, self._entries(place), x)

    def _entries(self, place: IntArray) -> IntArray:
        """Number of each sum that the systems of sets are made of, shape (1 or B, E, K).

        The lower triangles row by row, then the right sides.
        """
        if place.ndim == 2:
            place = place[:, None]
        pair, last, m = self._pair, len(self.columns), len(place)
        lower = [pair[place[i], place[j]] for i in range(m) for j in range(i + 1)]
        return np.ascontiguousarray(
            np.stack([*lower, *(pair[place[i], last] for i in range(m))], axis=1)
        )

    @cached_property
    def _entries_left(self) -> IntArray:
        """Those of every set, without the columns that all of them have."""
        return self._entries(self.place.T if self.positive else self.place.T[self._apart])

    def _solved(self, sums: Array, number: IntArray, x: Array | None) -> Array:
        """What sets leave of the weighted squares, (B, K); their solutions into x, (m, B, K).

        Args:
            sums: As `sums` gives them, shape (B, Q).
            number: As `_entries` gives it, for all replicates or for each.
            x: Where solutions are put, if they are wanted.
        """
        m = _columns(number.shape[1])
        square = int(self._pair[-1, -1])
        if NATIVE is not None and m <= MOST_COLUMNS:
            left = np.empty((len(sums), number.shape[2]))
            rows = np.ascontiguousarray(sums)
            NATIVE.screen(rows, number, square, _FIRM, m, self.positive, self.floored, left, x)
            return left
        return self._solved_by_numpy(sums, number, x)

    def _solved_by_numpy(self, sums: Array, number: IntArray, x: Array | None) -> Array:
        m, shape = _columns(number.shape[1]), (len(sums), number.shape[2])
        parts = [
            np.take_along_axis(sums, number[:, k], axis=1)
            if len(number) > 1
            else sums.take(number[0, k], axis=1)
            for k in range(number.shape[1])
        ]
        entry, right = np.empty((m, m, *shape)), np.stack(parts[-m:])
        for i in range(m):
            for j in range(i + 1):
                entry[i, j] = parts[i * (i + 1) // 2 + j]
            entry[i, i] *= 1 + _FIRM
        found, _ = solve_entries(entry, right)
        if self.floored and m > 1:
            # Where the floor would be negative the best curve has none.
            without, _ = solve_entries(entry[1:, 1:], right[1:])
            none = found[0] <= 0
            found = np.concatenate(
                [np.where(none, 0.0, found[:1]), np.where(none, without, found[1:])]
            )
        if x is not None:
            x[:] = found
        left = sums[:, int(self._pair[-1, -1]), None] - (found * right).sum(axis=0)
        if self.positive:
            left = np.where((found[int(self.floored) :] > 0).all(axis=0), left, np.inf)
        return np.asarray(left)

    def completed(self, problem: Problem, chosen: IntArray, x: Array) -> Array:
        """Search vectors, shape (..., p), of chosen sets (...) with their coefficients (m, ...)."""
        theta = self.theta[chosen]
        log = np.array([problem.law.parameters[i].log for i in self.solved])
        # A coefficient of the log of the loss is the log of an amplitude.
        grown = np.exp(np.clip(x, -700, 700))
        x, grown = np.moveaxis(x, 0, -1), np.moveaxis(grown, 0, -1)
        theta[..., self.solved] = x if self.positive else np.where(log, grown, x)
        flat = theta.reshape(-1, theta.shape[-1])
        # A start is no result. Rounded, it does not show how many threads a product ran on.
        return np.round(_to_search(problem, flat), 6).reshape(*chosen.shape, -1)


def _times(a: Array, b: Array) -> Array:
    """A product of matrices; the compiled one leaves no thread of a BLAS waiting for more."""
    if NATIVE is None:
        return np.asarray(a @ b)
    found = np.empty((len(a), b.shape[1]))
    NATIVE.products(np.ascontiguousarray(a), np.ascontiguousarray(b), found)
    return found


def _columns(entries: int) -> int:
    """Columns of systems of so many numbers: m (m + 1) / 2 in a triangle and m on the right."""
    return (math.isqrt(8 * entries + 9) - 3) // 2


def screens(problem: Problem, runs: Observations) -> list[Screen]:
    """The law's grid as linear problems; none where it is no sum of powers and has no breaks.

    Parameters that are held at a value or tied to a box are not respected: it is for free ones.
    """
    law, solved = problem.law, _solved(problem.law)
    held = [i for i in range(len(law.parameters)) if i not in solved]
    if not held:  # a line has one minimum, and every start leads there
        return []
    if law.terms is not None:
        return _power_screens(problem, runs, _grid(problem, runs, held, _MOST), solved)
    shapes = {law.index(name) for p in law.parameters for name in p.shaped_by}
    if not shapes or not shapes <= set(held):
        return []
    return _break_screens(problem, runs, _grid(problem, runs, held, _MOST_SCREENED), solved)


def _power_screens(
    problem: Problem, runs: Observations, grid: _Grid, linear: list[int]
) -> list[Screen]:
    """The only one: all amplitudes, and the floor if there is one, for every set of exponents."""
    law = problem.law
    theta = np.zeros((len(grid.index), len(law.parameters)))
    theta[:, grid.held] = grid.values()
    terms = {term.amplitude: term for term in law.terms or ()}
    columns: list[Array] = []
    place = np.empty((len(theta), len(linear)), dtype=np.int64)
    for j, i in enumerate(linear):
        by = [k for _, k in terms[i].powers] if i in terms else []
        number = grid.number(by)
        _, first, which = np.unique(number, return_index=True, return_inverse=True)
        place[:, j] = sum(len(part) for part in columns) + which
        one = theta[first]
        one[:, i] = 1.0
        columns.append(_predict(problem, one))
    # A subnormal loss has no square.
    least = np.maximum(runs.loss, 1e-150)
    shares = 1 / least**2 if problem.log_target else np.ones(problem.n)
    group = np.zeros(len(theta), dtype=np.int64)
    return [
        Screen(
            np.concatenate(columns), runs.loss, shares, place, grid.held, linear, True,
            linear[0] not in terms, theta, group,
        )
    ]  # fmt: skip


def _break_screens(
    problem: Problem, runs: Observations, grid: _Grid, affine: list[int]
) -> list[Screen]:
    """One for each floor: above it the log of the loss is linear once the breaks stand."""
    law = problem.law
    columns, place = _shapes(problem, grid, affine)
    floors = _floors(law)
    level, sums = grid.number(floors), grid.combinations(floors).sum(axis=1)
    theta = np.ones((len(grid.index), len(law.parameters)))
    theta[:, grid.held] = grid.values()
    places = [i for i in grid.held if law.parameters[i].relative_to in law.inputs]
    group = replace(grid, index=grid.index // _TOGETHER_PLACES).number(places)
    return [
        Screen(
            columns, *_above(runs, np.array([floor])), place[level == k], grid.held, affine,
            False, False, theta[level == k], group[level == k],
        )
        for k, floor in enumerate(sums)
    ]  # fmt: skip


def _promising(
    problem: Problem, runs: Observations, grid: _Grid, affine: list[int], most: int
) -> IntArray:
    """The best few sets of starts for each set of positions: at most `most`, best first.

    The best overall would often be neighbours in one basin.
    """
    level = grid.number(_floors(problem.law))
    score = np.empty(len(level))
    number = np.empty(len(level), dtype=np.int64)
    for k, one in enumerate(_break_screens(problem, runs, grid, affine)):
        score[level == k] = one.left(one.sums(runs.weight[None]))[0]
        number[level == k] = one.group
    order = np.lexsort((score, number))
    _, first, sets = np.unique(number[order], return_index=True, return_inverse=True)
    rank = np.arange(len(order)) - first[sets]
    chosen = order[rank < max(1, _KEPT // len(first))]
    return np.asarray(chosen[np.argsort(score[chosen], kind="stable")][:most])


def _shapes(problem: Problem, grid: _Grid, affine: list[int]) -> tuple[Array, IntArray]:
    """Every shape of every affine parameter, shape (S, n), and which of them each set has."""
    law = problem.law
    middle = np.ones(len(law.parameters))
    middle[grid.held] = grid.values()[0]
    columns: list[Array] = []
    place = np.empty((len(grid.index), len(affine)), dtype=np.int64)
    for j, i in enumerate(affine):
        shape = [law.index(name) for name in law.parameters[i].shaped_by]
        some = grid.combinations(shape)
        theta = np.repeat(middle[None], len(some), axis=0)
        theta[:, shape] = some
        place[:, j] = sum(len(part) for part in columns) + grid.number(shape)
        columns.append(_log_columns(problem, theta, affine, [i])[1][:, 0])
    return np.concatenate(columns), place


def _floors(law: Law) -> list[int]:
    return [i for i, p in enumerate(law.parameters) if p.linear and not p.log_linear]


def _above(runs: Observations, floor: Array) -> tuple[Array, Array]:
    """Log of the loss above a floor, and weights that make its errors those of the log loss."""
    above = np.maximum(runs.loss - floor, 1e-6 * runs.loss)
    return np.log(above), runs.weight * (above / runs.loss) ** 2


def _log_columns(
    problem: Problem, theta: Array, affine: list[int], chosen: list[int]
) -> tuple[Array, Array]:
    """Log(loss - floor) with the affine parameters at zero, and what a unit of some adds to it.

    Shapes (K, n) and (K, chosen, n).
    """
    law = problem.law
    log = np.array([p.log for p in law.parameters])
    zero = theta.copy()
    zero[:, _floors(law)] = 0.0
    zero[:, affine] = np.where(log[affine], 1.0, 0.0)
    base = np.log(np.maximum(_predict(problem, zero), 1e-300))
    columns = []
    for i in chosen:
        one = zero.copy()
        one[:, i] = np.e if log[i] else 1.0
        columns.append(np.log(np.maximum(_predict(problem, one), 1e-300)) - base)
    return base, np.stack(columns, axis=1)


def _least(normal: Array, right: Array) -> Array:
    """Solutions of normal equations, shape (K, m), each column at its own scale."""
    size = np.sqrt(np.maximum(np.einsum("kii->ki", normal), 1e-300))
    scaled = normal / size[:, :, None] / size[:, None, :] + 1e-10 * np.eye(right.shape[1])
    return np.asarray(np.linalg.solve(scaled, (right / size)[:, :, None])[:, :, 0] / size)
