"""One primitive: a batch of weighted robust fits in a box, by Levenberg-Marquardt.

The point fit, its many starts, the bootstrap, the jackknife, hold-outs and profiles are all the
same call: problems that share rows and differ in row weights and start. Each problem keeps its
own damping and its own stop, and every sum runs over one contiguous axis, so a problem's bits do
not depend on the batch it stands in.

Where the target is linear in some parameters, a step is judged by what is left once those have
followed it: through the bent valleys of the others that is the difference between forty steps and
hundreds.

Sources: Moré 1978 (scaling by a running maximum); Marquardt 1963; the two curvatures follow
Huber & Ronchetti 2009, section 7.8: Newton's where it is safe, the majoriser's as the metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from scalefit.core.observations import Array, BoolArray, IntArray
from scalefit.core.records import dataclass, names_of
from scalefit.inference.blocks import slices, triangle
from scalefit.inference.native import NATIVE
from scalefit.inference.objectives import Objective
from scalefit.inference.problem import Problem
from scalefit.inference.standing import Standing, assess, compiled_task, rounding_gain
from scalefit.inference.systems import TURNS, least_in_box

_BEGIN = 1 << 20  # residuals looked at together before the first step
_DAMPING_COLD, _DAMPING_WARM = 0.3, 1e-3  # of the first step
_MOST_DAMPING = 1e12
# A far start that leaps drives a term's logarithm into the void, where no gradient brings it back.
_LONGEST_COLD = 2.0
_LIGHT_DAMPING = 1e-2
_STAGE_STEPS = 100
_SPARED = 0.03  # of the damping, for parameters that the target is linear in
_FIRM = 1e-9  # of a curvature, that keeps two parameters apart which do the same
_DUE = 1e-4  # of a step's gain, that it must bring itself
_LAST_BIT = float(np.finfo(float).eps)
_APART = 1e-3  # of a residual, between gradients whose difference is taken
# As native/search.h takes them.
_RULES = np.array(
    [
        *(_DAMPING_COLD, _DAMPING_WARM, _MOST_DAMPING, _LONGEST_COLD, _LIGHT_DAMPING),
        *(_STAGE_STEPS, _SPARED, _FIRM, _DUE, TURNS, _APART),
    ]
)


@dataclass(frozen=True, eq=False)
class Solution:
    """Where each problem of a batch ended.

    Attributes:
        u: Search vectors, shape (B, p).
        value: Objective there or one last, tiny step before, shape (B,).
        state: Scale or threshold of the objective there, shape (B,).
        converged: Whether the predicted gain fell below the tolerance, shape (B,).
        steps: Evaluations of the law, shape (B,).
    """

    u: Array
    value: Array
    state: Array
    converged: BoolArray
    steps: IntArray

    def take(self, chosen: IntArray | BoolArray) -> Solution:
        """Those of some problems."""
        return Solution(*(getattr(self, name)[chosen] for name in names_of(self)))


@dataclass(frozen=True, eq=False)
class Search:
    """A batch of searches, as `solve` is told of it."""

    problem: Problem
    objective: Any
    weight: Array
    start: Array
    cold: bool
    tolerance: float = 1e-12
    limit: int = 300


def solve(
    problem: Problem,
    objective: Any,
    weight: Array,
    start: Array,
    *,
    cold: bool,
    tolerance: float = 1e-12,
    limit: int = 300,
) -> Solution:
    """Minimise the objective for every problem of the batch.

    Args:
        problem: Law and runs; or a stack of B of them.
        objective: What to minimise.
        weight: Row weights, shape (B, n), or (1, n) if all problems share them.
        start: Search vectors, shape (B, p); clipped into the box.
        cold: Whether the starts may be far away: continuation then leads a robust objective
            from a mild threshold down to its own.
        tolerance: Predicted gain, relative to the objective, at which a problem is done.
        limit: Most evaluations per problem.
    """
    return solved(Search(problem, objective, weight, start, cold, tolerance, limit))


@np.errstate(all="ignore")  # what is not finite is judged as such
def solved(search: Search) -> Solution:
    """The same for a search that somebody asks for."""
    task = _Task(
        search.problem,
        search.objective,
        np.ascontiguousarray(search.weight),
        search.cold,
        search.tolerance,
        search.limit,
    )
    known = _compiled(task, search.start)
    return known if known is not None else _by_numpy(task, search.start)


def _compiled(task: _Task, start: Array) -> Solution | None:
    """The same by the compiled part, if that knows the law and the objective."""
    given = _given(task.problem, task.objective, task.weight)
    if NATIVE is None or given is None:
        return None
    u, (value, state) = np.array(start, order="C"), np.empty((2, len(start)))
    converged, steps = np.empty(len(start), dtype=bool), np.empty(len(start), dtype=np.int64)
    settings = task.cold, task.tolerance, task.limit
    NATIVE.solve(*given, *settings, u, value, state, converged, steps)
    return Solution(u, value, state, converged, steps)


def _given(problem: Problem, objective: Objective, weight: Array) -> tuple[Any, ...] | None:
    """What any compiled search is given; None where the compiled part does not know how."""
    described = compiled_task(problem, objective)
    if described is None:
        return None
    box = problem.low, problem.high, problem.fixed, problem.log, problem.affine
    return *described, _RULES, *box, weight


def _by_numpy(task: _Task, start: Array) -> Solution:
    objective = task.objective
    batch = _begin(task, start)
    converged = np.zeros(len(start), dtype=bool)
    live = np.flatnonzero(np.isfinite(batch.at.value))
    while live.size:
        step, gain, solved = _step(task, batch, live)
        size, rounding = batch.at.size[live], task.rounding(live, batch.at.state[live])
        last = objective.tighten(batch.at.state[live]) == batch.at.state[live]
        stuck = batch.damping[live] > _MOST_DAMPING
        loose = ~last & (
            stuck | (solved & ((gain <= 1e-3 * size) | (batch.stage[live] >= _STAGE_STEPS)))
        )
        # A heavily damped step gains little wherever it stands: that is no sign of a minimum.
        free = batch.damping[live] <= _LIGHT_DAMPING
        # Perfect data leave nothing but rounding, which no step can be seen to lower.
        done = (
            last
            & solved
            & ((free & (gain <= task.tolerance * size + rounding)) | (size <= rounding))
        )
        converged[live[done]] = True
        # The last step costs no evaluation: what it leaves is the square of what it takes.
        batch.u[live[done & free]] += step[done & free]
        _tighten(task, batch, live[loose])
        batch.damping[live[~solved & ~stuck]] *= 10.0
        go = solved & ~done & ~loose & ~stuck
        _advance(task, batch, live[go], step[go], gain[go], rounding[go])
        live = live[~(done | (stuck & last) | (batch.steps[live] >= task.limit))]
    _bring_back(task, batch, np.flatnonzero(~converged & (batch.merit < batch.at.value)))
    return Solution(batch.u, batch.at.value, batch.at.state, converged, batch.steps)


def joined(parts: Sequence[Solution]) -> Solution:
    """The solutions of several batches as those of one."""
    return Solution(
        *(np.concatenate([getattr(s, name) for s in parts]) for name in names_of(Solution))
    )


@dataclass
class _Batch:
    """Where every problem of a batch stands; rows are replaced as problems move.

    Attributes:
        u: Search vectors, shape (B, p).
        at: The objective there, at its present state.
        merit: What it comes to once the parameters that it is all but quadratic in have followed.
        scale: Running maximum of the diagonal of the safe curvature, shape (B, p).
        damping: Of the next step, shape (B,).
        growth: Of the damping if that step fails, shape (B,).
        steps: Evaluations so far, shape (B,).
        stage: Evaluations at the present state, shape (B,).
    """

    u: Array
    at: Standing
    merit: Array
    scale: Array
    damping: Array
    growth: Array
    steps: IntArray
    stage: IntArray


@dataclass(frozen=True, eq=False)
class _Task:
    """What a chunk is solved for; constant throughout."""

    problem: Problem
    objective: Objective
    weight: Array
    cold: bool
    tolerance: float
    limit: int

    @property
    def longest(self) -> float:
        """What a parameter's logarithm may move in a step."""
        return _LONGEST_COLD if self.cold else np.inf

    def share(self, at: IntArray | slice) -> Array:
        """Weights of the problems `at`."""
        return self.weight if self.weight.shape[0] == 1 else self.weight[at]

    @cached_property
    def _rows(self) -> Array:
        return self.problem.rounding(self.weight)

    def rounding(self, at: IntArray, state: Array) -> Array:
        """Gain that rounding alone could promise the problems `at`, shape (B,)."""
        rows = self._rows if len(self._rows) == 1 else self._rows[at]
        return rounding_gain(self.objective, state, rows)

    def assess(self, u: Array, at: IntArray | slice, state: Array) -> Standing:
        """The objective of the problems `at`; without value where any of it is not finite."""
        return assess(self.problem.of(at), self.objective, u, self.share(at), state)


def _begin(task: _Task, start: Array) -> _Batch:
    """The batch at its starts; a start that is not sound has no finite value."""
    u = np.clip(start, task.problem.low, task.problem.high)
    size = max(1, _BEGIN // task.problem.n)
    states = []
    for i in range(0, len(u), size):
        part = slice(i, i + size)
        residual = task.problem.of(part).residual(u[part])
        states.append(task.objective.begin(residual, task.share(part), cold=task.cold))
    every = np.arange(len(u))
    at = task.assess(u, every, np.concatenate(states))
    scale = np.diagonal(at.safe, axis1=1, axis2=2).copy()
    if task.cold:
        damping = np.full(len(u), _DAMPING_COLD)
    else:
        # Where few rows have a curvature, as near an L1 fit, Newton's step leaves what it knows.
        sharp = np.diagonal(at.sharp, axis1=1, axis2=2)
        lost = 1 - (sharp / np.maximum(scale, 1e-300)).mean(axis=1)
        damping = np.clip(np.nan_to_num(lost) ** 4, _DAMPING_WARM, _DAMPING_COLD)
    return _Batch(
        u=u,
        at=at,
        merit=_merit(task, every, u, at),
        scale=scale,
        damping=damping,
        growth=np.full(len(u), 2.0),
        steps=np.ones(len(u), dtype=np.int64),
        stage=np.zeros(len(u), dtype=np.int64),
    )


def _step(task: _Task, batch: _Batch, at: IntArray) -> tuple[Array, Array, BoolArray]:
    """Damped step inside the box, the gain the model predicts for it, and whether it exists."""
    problem = task.problem.of(at)
    u, gradient, damping, scale = (
        batch.u[at],
        batch.at.gradient[at],
        batch.damping[at],
        batch.scale[at],
    )
    sharp = batch.at.sharp[at]
    floor = 0.01 * scale.max(axis=1, keepdims=True)
    metric = np.maximum(0.01 * scale, 1e-10 * floor)
    system = _damped(problem, sharp, batch.at.safe[at], damping[:, None, None])
    diagonal = np.arange(u.shape[1])
    system[:, diagonal, diagonal] += damping[:, None] * metric
    step, solved = least_in_box(system, -gradient, problem.low - u, problem.high - u)
    reach = np.abs(step[:, problem.log]).max(axis=1, initial=0.0)
    step *= np.minimum(1.0, task.longest / np.maximum(reach, 1e-300))[:, None]
    step = np.clip(u + step, problem.low, problem.high) - u
    bend = np.matmul(sharp, step[:, :, None])[:, :, 0]
    gain = -(_dot(gradient, step) + _dot(step, bend) / 2)
    # The last bits of a step go where rounding sends them: near the minimum its gain may lose that.
    bits = _LAST_BIT * np.abs(u)
    steep = np.diagonal(sharp, axis1=1, axis2=2)
    blur = _dot(np.abs(gradient), bits) + problem.p * _dot(np.abs(steep), bits**2)
    return step, np.maximum(gain, 0.0), solved & (gain >= -blur)


def _damped(problem: Problem, sharp: Array, safe: Array, damping: Array) -> Array:
    """The sharp curvature and a share of the safe one, shape (B, p, p), that shortens steps.

    What the target is linear in needs no leash but where the objective itself is not quadratic.
    """
    if not problem.affine.any():
        return np.asarray(sharp + damping * safe)
    spared = np.where(problem.affine, _SPARED, 1.0)
    system = safe * (damping * (1 + np.outer(spared, spared)))
    system += sharp * (1 - damping)
    return np.asarray(system)


def _merit(task: _Task, at: IntArray, u: Array, found: Standing) -> Array:
    """What the objective comes to once the parameters that the target is linear in followed, (B,).

    A step through a bent valley leaves its floor at once, and they bring it back: judged without
    them only tiny steps would do.
    """
    if not task.problem.affine.any():
        return found.value.copy()
    return found.value - _following(task.problem.of(at), u, found)[1]


def _following(problem: Problem, u: Array, at: Standing) -> tuple[Array, Array]:
    """Steps, shape (B, p), of the parameters that the target is linear in, and their gains, (B,).

    The majoriser never promises more than it keeps.

    Source: variable projection; Golub & Pereyra 1973; Ruhe & Wedin 1980, SIAM Review 22(3).
    """
    which, step = np.flatnonzero(problem.affine), np.zeros(u.shape)
    system, gradient = at.safe[:, which[:, None], which], at.gradient[:, which]
    firm = system.copy()
    firm[:, np.arange(which.size), np.arange(which.size)] *= 1 + _FIRM
    low, high = problem.low[..., which] - u[:, which], problem.high[..., which] - u[:, which]
    part, solved = least_in_box(firm, -gradient, low, high)
    bend = np.matmul(system, part[:, :, None])[:, :, 0]
    gain = -(_dot(gradient, part) + _dot(part, bend) / 2)
    step[:, which] = part
    return step, np.where(solved & (gain > 0), gain, 0.0)


def _bring_back(task: _Task, batch: _Batch, at: IntArray) -> None:
    """The problems `at` to where the parameters that the target is linear in have followed."""
    if not at.size:
        return
    here, problem = batch.at.take(at), task.problem.of(at)
    trial = np.clip(
        batch.u[at] + _following(problem, batch.u[at], here)[0], problem.low, problem.high
    )
    found = task.assess(trial, at, here.state)
    lower = found.value < here.value
    batch.u[at[lower]] = trial[lower]
    batch.at.put(at[lower], found.take(lower))


def _dot(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(axis=-1))


def _tighten(task: _Task, batch: _Batch, at: IntArray) -> None:
    """Bring the objective of the problems `at` one stage nearer to itself."""
    if not at.size:
        return
    state = task.objective.tighten(batch.at.state[at])
    found = task.assess(batch.u[at], at, state)
    batch.at.put(at, found)
    batch.merit[at] = _merit(task, at, batch.u[at], found)
    batch.damping[at] = np.minimum(batch.damping[at], 0.1)
    batch.growth[at], batch.stage[at] = 2.0, 0


def _advance(
    task: _Task, batch: _Batch, at: IntArray, step: Array, gain: Array, rounding: Array
) -> None:
    """Try the steps of the problems `at`; take those that pay and set the damping."""
    if not at.size:
        return
    trial = batch.u[at] + step
    found = task.assess(trial, at, batch.at.state[at])
    sound = np.isfinite(found.value)
    value, size, before = batch.at.value[at], batch.at.size[at], batch.merit[at]
    after = _merit(task, at, trial, found)
    # What following alone would gain here is no merit of the step.
    promised = np.maximum(gain - (value - before), _DUE * gain)
    # No derivative is steeper than its parabola allows: psi^2 <= 2 rho safe(0).
    seen = 1e-2 * np.sqrt(2 * size * rounding)
    blur = np.maximum(1e-13 * size, np.minimum(seen, 1e-4 * size))
    with np.errstate(invalid="ignore"):
        ratio = np.where(sound, (before - after) / np.maximum(promised, 1e-300), -1.0)
    took = sound & ((after < before) | (found.value < value))
    # A gain at rounding level cannot be seen in the objective; the step is still the better one.
    unseen = sound & (gain <= blur) & (found.value <= value + 10 * blur)
    took |= unseen
    new = at[took]
    batch.u[new] = trial[took]
    batch.at.put(new, found.take(took))
    batch.merit[new] = after[took]
    diagonal = np.diagonal(batch.at.safe[new], axis1=1, axis2=2)
    batch.scale[new] = np.maximum(batch.scale[new], diagonal)
    batch.steps[at] += 1
    batch.stage[at] += 1
    factor = np.where(unseen | (ratio > 0.75), 0.15, np.where(ratio > 0.25, 1.0, batch.growth[at]))
    batch.damping[at] = np.maximum(batch.damping[at] * factor, 1e-15)
    batch.growth[at] = np.where(took, 3.0, 2 * batch.growth[at])


@np.errstate(all="ignore")  # what is not finite is judged as such
def polish(
    problem: Problem, objective: Objective, weight: Array, start: Array, rounds: int = 200
) -> Array:
    """Undamped Newton steps from a solved problem, shape (p,), until rounding ends them.

    Where every row counts with positive curvature the step comes from a QR factorisation of the
    Jacobian, which keeps the digits that normal equations lose.
    """
    given = _given(problem, objective, np.ascontiguousarray(weight))
    if NATIVE is None or given is None:
        return _polish_by_numpy(problem, objective, weight, start, rounds)
    u = np.array(start)
    NATIVE.polish(*given, rounds, u)
    return u


def _polish_by_numpy(
    problem: Problem, objective: Objective, weight: Array, start: Array, rounds: int
) -> Array:
    here, last = _stand(problem, objective, start.copy(), weight), np.inf
    for _ in range(rounds):
        state = objective.begin(here.residual, weight, cold=False)
        step, size = _newton(problem, objective, here.u, weight, state)
        most = here.value + 1e-12 * size
        there, length = _moved(problem, objective, here, weight, step, most)
        if there is None or not length < 0.95 * last:
            # Where the law bends, the first-order curvature may be a small part of the whole.
            step = _whole_newton(problem, objective, here.u, weight, state)
            there, length = _moved(problem, objective, here, weight, step, most)
        if there is None or not length < 0.95 * last:
            break
        here, last = there, length
        if length < 1e-16:
            break
    return here.u


@dataclass(frozen=True, eq=False)
class _Stand:
    """A search vector, its residuals (1, n) and the objective there."""

    u: Array
    residual: Array
    value: float


def _stand(problem: Problem, objective: Objective, u: Array, weight: Array) -> _Stand:
    residual = problem.residual(u[None])
    return _Stand(u, residual, float(objective.value(residual, weight)[0]))


def _length(u: Array, step: Array) -> float:
    """The greatest share of its parameter that a step moves."""
    width = np.where(np.abs(u) > 0, np.abs(u), 1.0)
    return float(np.max(np.abs(step) / width, initial=0.0))


def _moved(
    problem: Problem, objective: Objective, here: _Stand, weight: Array, step: Array, most: float
) -> tuple[_Stand | None, float]:
    """Where a step leads inside the box, and how long it is.

    None where the objective would be more than `most`.
    """
    length = _length(here.u, step)
    if not np.isfinite(step).all():
        return None, length
    trial = np.clip(here.u + step, problem.low, problem.high)
    there = _stand(problem, objective, trial, weight)
    return there if there.value <= most else None, length


def _newton(
    problem: Problem, objective: Objective, u: Array, weight: Array, state: Array
) -> tuple[Array, float]:
    """Step -H^-1 g, shape (p,), with the sharp curvature; and the objective's size."""
    gradient, system, size = np.zeros(u.size), np.zeros((u.size, u.size)), 0.0
    tall: Array | None = np.empty((0, u.size + 1))
    for some in slices(problem.n):
        residual, jacobian = problem.rows(some).evaluate(u[None])
        share = weight[:, some]
        found = objective.measure(residual, share, state)
        curvature, right = share[0] * found.sharp[0], share[0] * found.psi[0]
        gradient -= jacobian[0] @ right
        system += (jacobian[0] * curvature) @ jacobian[0].T
        size += float(found.size[0])
        if tall is not None and (curvature > 0).all():
            root = np.sqrt(curvature)
            tall = triangle(tall, np.vstack([jacobian[0] * root, right / root]).T)
        else:
            tall = None
    frozen = ((u <= problem.low) & (gradient > 0)) | ((u >= problem.high) & (gradient < 0))
    step, free = np.zeros_like(u), np.flatnonzero(~frozen)
    step[free] = (
        _by_normal_equations(system[np.ix_(free, free)], gradient[free])
        if tall is None
        else _by_least_squares(tall[:, free], tall[:, -1])
    )
    return step, size


def _whole_newton(
    problem: Problem, objective: Objective, u: Array, weight: Array, state: Array
) -> Array:
    """Step -H^-1 g, shape (p,), with the law's own bend in H, by differences of exact gradients."""
    here = assess(problem, objective, u[None], weight, state)
    gradient, safe = here.gradient[0], np.diagonal(here.safe[0])
    # So far apart that a typical residual changes by a thousandth of itself.
    apart = _APART * np.sqrt(here.size / (problem.n * np.maximum(safe, 1e-300)))
    width = np.maximum(np.abs(u), 1.0)
    apart = np.clip(apart, 1e-9 * width, 1e-5 * width)
    around = np.concatenate([u + np.diag(apart), u - np.diag(apart)])
    found = assess(problem, objective, around, weight, np.repeat(state, len(around))).gradient
    up, down = found[: u.size], found[u.size :]
    curvature = (up - down) / (2 * apart[:, None])
    frozen = ((u <= problem.low) & (gradient > 0)) | ((u >= problem.high) & (gradient < 0))
    step, free = np.zeros_like(u), np.flatnonzero(~frozen)
    system = (curvature + curvature.T)[np.ix_(free, free)] / 2
    step[free] = _by_normal_equations(system, gradient[free])
    return step


def _by_least_squares(columns: Array, right: Array) -> Array:
    """Keeps the digits that normal equations lose."""
    norm = np.sqrt((columns**2).sum(axis=0))
    norm = np.where(norm > 0, norm, 1.0)
    try:
        return np.asarray(np.linalg.lstsq(columns / norm, right, rcond=None)[0] / norm)
    except np.linalg.LinAlgError:
        return np.zeros(norm.size)


def _by_normal_equations(system: Array, gradient: Array) -> Array:
    norm = np.sqrt(np.abs(np.diag(system)))
    norm = np.where(norm > 0, norm, 1.0)
    try:
        return np.asarray(np.linalg.solve(system / np.outer(norm, norm), -gradient / norm) / norm)
    except np.linalg.LinAlgError:
        return np.zeros_like(gradient)
