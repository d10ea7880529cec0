"""One primitive: a batch of weighted robust fits in a box, by Levenberg-Marquardt.

The point fit, its many starts, the bootstrap, the jackknife, hold-outs and profiles are all the
same call: problems that share rows and differ in row weights and start. Each problem keeps its
own damping and its own stop, and every sum runs over one contiguous axis, so a problem's bits do
not depend on the batch it stands in.

Sources: Moré 1978 (scaling by a running maximum); Marquardt 1963; the two curvatures follow
Huber & Ronchetti 2009, section 7.8: Newton's where it is safe, the majoriser's as the metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from scalefit.core.observations import Array
from scalefit.inference.objectives import Measure, Objective
from scalefit.inference.problem import Problem

_BoolArray = NDArray[np.bool_]
_CHUNK = 32_768  # doubles per array of a chunk: what a level-2 cache holds with room to spare
_FROZEN = 1e30
_MOST_DAMPING = 1e12
# A far start that leaps drives a term's logarithm into the void, where no gradient brings it back.
_LONGEST_COLD = 2.0
_LIGHT_DAMPING = 1e-2
_STAGE_STEPS = 100


@dataclass(frozen=True)
class Solution:
    """Where each problem of a batch ended.

    Attributes:
        u: Search vectors, shape (B, p).
        value: Objective, shape (B,).
        state: Scale or threshold of the objective there, shape (B,).
        converged: Whether the predicted gain fell below the tolerance, shape (B,).
        steps: Evaluations of the law, shape (B,).
    """

    u: Array
    value: Array
    state: Array
    converged: _BoolArray
    steps: NDArray[np.int64]


def solve(
    problem: Problem,
    objective: Objective,
    weight: Array,
    start: Array,
    *,
    cold: bool,
    tolerance: float = 1e-12,
    limit: int = 300,
) -> Solution:
    """Minimise the objective for every problem of the batch.

    Args:
        problem: Law and runs.
        objective: What to minimise.
        weight: Row weights, shape (B, n), or (1, n) if all problems share them.
        start: Search vectors, shape (B, p); clipped into the box.
        cold: Whether the starts may be far away: continuation then leads a robust objective
            from a mild threshold down to its own.
        tolerance: Predicted gain, relative to the objective, at which a problem is done.
        limit: Most evaluations per problem.
    """
    size = max(1, _CHUNK // max(1, problem.n))
    parts = [
        _solve_chunk(
            problem,
            objective,
            weight if weight.shape[0] == 1 else weight[i : i + size].astype(float),
            start[i : i + size],
            cold=cold,
            tolerance=tolerance,
            limit=limit,
        )
        for i in range(0, start.shape[0], size)
    ]
    return joined(parts)


def joined(parts: Sequence[Solution]) -> Solution:
    """The solutions of several batches as those of one."""
    return Solution(
        *(np.concatenate([getattr(s, f.name) for s in parts]) for f in fields(Solution))
    )


@dataclass
class _Batch:
    """Where every problem of a chunk stands; rows are replaced as problems move.

    Attributes:
        u: Search vectors, shape (B, p).
        value: Objective, shape (B,), at the present state.
        size: What relative tests are relative to, shape (B,).
        state: Scale or threshold of the objective, shape (B,).
        gradient: Of the objective in u, shape (B, p).
        sharp: Its first-order curvature, shape (B, p, p).
        safe: Curvature of its majoriser, shape (B, p, p).
        scale: Running maximum of the diagonal of `safe`, shape (B, p).
        damping: Of the next step, shape (B,).
        growth: Of the damping if that step fails, shape (B,).
        steps: Evaluations so far, shape (B,).
        stage: Evaluations at the present state, shape (B,).
        rounding: Gain that rounding of the target alone could promise, shape (B,).
        blur: What rounding of the target does to the objective, shape (B,).
    """

    u: Array
    value: Array
    size: Array
    state: Array
    gradient: Array
    sharp: Array
    safe: Array
    scale: Array
    damping: Array
    growth: Array
    steps: NDArray[np.int64]
    stage: NDArray[np.int64]
    rounding: Array
    blur: Array

    def put(
        self,
        problem: Problem,
        at: NDArray[np.int64],
        found: Measure,
        jacobian: Array,
        weight: Array,
    ) -> None:
        """Take what an objective found at the search vectors of the problems `at`."""
        self.rounding[at] = rounding_gain(problem, found, weight)
        self.blur[at] = _blur(problem, found, weight)
        self.value[at], self.size[at], self.state[at] = found.value, found.size, found.state
        self.gradient[at], self.sharp[at], self.safe[at] = _slopes(found, jacobian, weight)


@dataclass(frozen=True)
class _Task:
    """What a chunk is solved for; constant throughout."""

    problem: Problem
    objective: Objective
    weight: Array
    longest: float

    def share(self, at: NDArray[np.int64]) -> Array:
        """Weights of the problems `at`."""
        return self.weight if self.weight.shape[0] == 1 else self.weight[at]


def _solve_chunk(
    problem: Problem,
    objective: Objective,
    weight: Array,
    start: Array,
    *,
    cold: bool,
    tolerance: float,
    limit: int,
) -> Solution:
    task = _Task(problem, objective, weight, _LONGEST_COLD if cold else np.inf)
    batch, sound = _begin(task, start, cold=cold)
    converged = np.zeros(len(start), dtype=bool)
    live = np.flatnonzero(sound)
    while live.size:
        step, gain, solved = _step(task, batch, live)
        last = objective.tighten(batch.state[live]) == batch.state[live]
        stuck = batch.damping[live] > _MOST_DAMPING
        loose = ~last & (
            stuck
            | (solved & ((gain <= 1e-3 * batch.size[live]) | (batch.stage[live] >= _STAGE_STEPS)))
        )
        # A heavily damped step gains little wherever it stands: that is no sign of a minimum.
        free = batch.damping[live] <= _LIGHT_DAMPING
        size, rounding = batch.size[live], batch.rounding[live]
        # Perfect data leave nothing but rounding, which no step can be seen to lower.
        done = last & solved & ((free & (gain <= tolerance * size + rounding)) | (size <= rounding))
        converged[live[done]] = True
        _tighten(task, batch, live[loose])
        batch.damping[live[~solved & ~stuck]] *= 10.0
        go = solved & ~done & ~loose & ~stuck
        _advance(task, batch, live[go], step[go], gain[go])
        live = live[~(done | (stuck & last) | (batch.steps[live] >= limit))]
    return Solution(batch.u, batch.value, batch.state, converged, batch.steps)


def _begin(task: _Task, start: Array, *, cold: bool) -> tuple[_Batch, _BoolArray]:
    """The batch at its starts, and which starts are sound."""
    problem, objective = task.problem, task.objective
    u = np.clip(start, problem.low, problem.high)
    count = len(u)
    residual, jacobian = problem.evaluate(u)
    found = objective.measure(
        residual, task.weight, objective.begin(residual, task.weight, cold=cold)
    )
    gradient, sharp, safe = _slopes(found, jacobian, task.weight)
    batch = _Batch(
        u=u,
        value=found.value.copy(),
        size=found.size.copy(),
        state=found.state.copy(),
        gradient=gradient,
        sharp=sharp,
        safe=safe.copy(),
        scale=np.diagonal(safe, axis1=1, axis2=2).copy(),
        damping=np.full(count, 0.3 if cold else 1e-3),
        growth=np.full(count, 2.0),
        steps=np.ones(count, dtype=np.int64),
        stage=np.zeros(count, dtype=np.int64),
        rounding=rounding_gain(problem, found, task.weight),
        blur=_blur(problem, found, task.weight),
    )
    sound = np.isfinite(found.value) & np.isfinite(residual).all(axis=1)
    return batch, sound


def rounding_gain(problem: Problem, found: Measure, weight: Array) -> Array:
    """Gain that rounding of the target alone could promise, shape (B,): perfect data end here."""
    return 1e-28 * np.asarray((weight * found.safe * _rounded(problem) ** 2).sum(axis=-1))


def _blur(problem: Problem, found: Measure, weight: Array) -> Array:
    reach = weight * np.abs(found.psi) * _rounded(problem)
    seen = 1e-16 * np.asarray(reach.sum(axis=-1))
    return np.asarray(np.maximum(1e-13 * found.size, np.minimum(seen, 1e-4 * found.size)))


def _rounded(problem: Problem) -> Array:
    """What rounding is relative to: a loss near 1 has a logarithm near 0, rounded all the same."""
    size = np.abs(problem.target)
    return np.maximum(size, 1.0) if problem.log_target else size


def _slopes(found: Measure, jacobian: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Gradient (B, p) and the two curvatures (B, p, p) of the objective in u."""
    gradient = -np.matmul(jacobian, (weight * found.psi)[:, :, None])[:, :, 0]
    across = np.swapaxes(jacobian, 1, 2)
    sharp = np.matmul(jacobian * (weight * found.sharp)[:, None, :], across)
    safe = (
        sharp
        if found.safe is found.sharp
        else np.matmul(jacobian * (weight * found.safe)[:, None, :], across)
    )
    return gradient, sharp, safe


def _step(task: _Task, batch: _Batch, at: NDArray[np.int64]) -> tuple[Array, Array, _BoolArray]:
    """Damped step inside the box, the gain the model predicts for it, and whether it exists."""
    problem = task.problem
    u, gradient, damping, scale = (
        batch.u[at],
        batch.gradient[at],
        batch.damping[at],
        batch.scale[at],
    )
    sharp = batch.sharp[at]
    frozen = ((u <= problem.low) & (gradient > 0)) | ((u >= problem.high) & (gradient < 0))
    floor = 0.01 * scale.max(axis=1, keepdims=True)
    metric = np.maximum(0.01 * scale, 1e-10 * floor)
    system = sharp + damping[:, None, None] * batch.safe[at]
    diagonal = np.arange(u.shape[1])
    system[:, diagonal, diagonal] += damping[:, None] * metric + np.where(frozen, _FROZEN, 0.0)
    step, solved = solve_positive(system, np.where(frozen, 0.0, -gradient))
    reach = np.abs(step[:, problem.log]).max(axis=1, initial=0.0)
    step *= np.minimum(1.0, task.longest / np.maximum(reach, 1e-300))[:, None]
    step = np.where(frozen, 0.0, np.clip(u + step, problem.low, problem.high) - u)
    bend = np.matmul(sharp, step[:, :, None])[:, :, 0]
    gain = -(_dot(gradient, step) + _dot(step, bend) / 2)
    nothing = (step == 0).all(axis=1)
    return step, np.where(nothing, 0.0, gain), solved & (nothing | (gain > 0))


def _dot(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(axis=-1))


def _tighten(task: _Task, batch: _Batch, at: NDArray[np.int64]) -> None:
    """Bring the objective of the problems `at` one stage nearer to itself."""
    if not at.size:
        return
    share = task.share(at)
    residual, jacobian = task.problem.evaluate(batch.u[at])
    found = task.objective.measure(residual, share, task.objective.tighten(batch.state[at]))
    batch.put(task.problem, at, found, jacobian, share)
    batch.damping[at] = np.minimum(batch.damping[at], 0.1)
    batch.growth[at], batch.stage[at] = 2.0, 0


def _advance(task: _Task, batch: _Batch, at: NDArray[np.int64], step: Array, gain: Array) -> None:
    """Try the steps of the problems `at`; take those that pay and set the damping."""
    if not at.size:
        return
    share = task.share(at)
    trial = batch.u[at] + step
    residual, jacobian = task.problem.evaluate(trial)
    found = task.objective.measure(residual, share, batch.state[at])
    sound = np.isfinite(residual).all(axis=1) & np.isfinite(found.value)
    before, blur = batch.value[at], batch.blur[at]
    with np.errstate(invalid="ignore"):
        ratio = np.where(sound, (before - found.value) / np.maximum(gain, 1e-300), -1.0)
    took = sound & (found.value < before)
    # A gain at rounding level cannot be seen in the objective; the step is still the better one.
    unseen = sound & (gain <= blur) & (found.value <= before + 10 * blur)
    took |= unseen
    new = at[took]
    batch.u[new] = trial[took]
    part = Measure(*(getattr(found, f.name)[took] for f in fields(Measure)))
    share = share if share.shape[0] == 1 else share[took]
    batch.put(task.problem, new, part, jacobian[took], share)
    batch.scale[new] = np.maximum(batch.scale[new], np.diagonal(batch.safe[new], axis1=1, axis2=2))
    batch.steps[at] += 1
    batch.stage[at] += 1
    factor = np.where(unseen | (ratio > 0.75), 0.15, np.where(ratio > 0.25, 1.0, batch.growth[at]))
    batch.damping[at] = np.maximum(batch.damping[at] * factor, 1e-15)
    batch.growth[at] = np.where(took, 3.0, 2 * batch.growth[at])


def solve_positive(system: Array, right: Array) -> tuple[Array, _BoolArray]:
    """Solve positive definite systems by Cholesky, unrolled over the batch.

    Args:
        system: Shape (B, p, p).
        right: Shape (B, p).

    Returns:
        Solutions of shape (B, p), and whether each system was positive definite.
    """
    p = right.shape[1]
    lower = np.zeros_like(system)
    sound = np.ones(right.shape[0], dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for j in range(p):
            pivot = system[:, j, j] - _dot(lower[:, j, :j], lower[:, j, :j])
            sound &= pivot > 1e-15 * np.abs(system[:, j, j])
            root = np.sqrt(np.where(pivot > 0, pivot, 1.0))
            lower[:, j, j] = root
            for i in range(j + 1, p):
                cross = _dot(lower[:, i, :j], lower[:, j, :j])
                lower[:, i, j] = (system[:, i, j] - cross) / root
        solution = np.zeros_like(right)
        for j in range(p):
            rest = _dot(lower[:, j, :j], solution[:, :j])
            solution[:, j] = (right[:, j] - rest) / lower[:, j, j]
        for j in reversed(range(p)):
            rest = _dot(lower[:, j + 1 :, j], solution[:, j + 1 :])
            solution[:, j] = (solution[:, j] - rest) / lower[:, j, j]
    sound &= np.isfinite(solution).all(axis=1)
    return np.where(sound[:, None], solution, 0.0), sound


def polish(
    problem: Problem, objective: Objective, weight: Array, start: Array, rounds: int = 200
) -> Array:
    """Undamped Newton steps from a solved problem, shape (p,), until rounding ends them.

    Where every row counts with positive curvature the step comes from a QR factorisation of the
    Jacobian, which keeps the digits that normal equations lose.
    """
    u = start.copy()
    last = np.inf
    for _ in range(rounds):
        residual, jacobian = problem.evaluate(u[None])
        found = objective.measure(residual, weight, objective.begin(residual, weight, cold=False))
        gradient = -(jacobian[0] @ (weight[0] * found.psi[0]))
        frozen = ((u <= problem.low) & (gradient > 0)) | ((u >= problem.high) & (gradient < 0))
        step = np.zeros_like(u)
        step[~frozen] = _newton(jacobian[0][~frozen], found, weight[0], gradient[~frozen])
        width = np.where(np.abs(u) > 0, np.abs(u), 1.0)
        length = float(np.max(np.abs(step) / width, initial=0.0))
        trial = np.clip(u + step, problem.low, problem.high)
        if not np.isfinite(trial).all() or length >= 0.95 * last:
            break
        after = problem.residual(trial[None])
        if (
            not objective.value(after, weight)[0]
            <= objective.value(residual, weight)[0] + 1e-12 * (found.size[0])
        ):
            break
        u, last = trial, length
        if length < 1e-16:
            break
    return u


def _newton(jacobian: Array, found: Measure, weight: Array, gradient: Array) -> Array:
    """Step -H^-1 g with the sharp curvature, through QR if all of it is positive."""
    curvature = weight * found.sharp[0]
    norm = np.sqrt((jacobian**2).sum(axis=1))
    norm = np.where(norm > 0, norm, 1.0)
    scaled = jacobian / norm[:, None]
    try:
        if (curvature > 0).all():
            root = np.sqrt(curvature)
            right = weight * found.psi[0] / root
            return np.asarray(np.linalg.lstsq((scaled * root).T, right, rcond=None)[0] / norm)
        system = (scaled * curvature) @ scaled.T
        return np.asarray(np.linalg.solve(system, -gradient / norm) / norm)
    except np.linalg.LinAlgError:
        return np.zeros_like(gradient)
