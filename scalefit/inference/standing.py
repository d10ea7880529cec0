"""What the solver knows of an objective at search vectors: a few sums over the rows.

Rows and problems are taken in blocks that fit the cache, so neither many problems nor many rows
make a large array; each problem's sums are its own, so its bits do not depend on the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalefit.core.observations import Array, BoolArray, IntArray
from scalefit.core.records import dataclass, names_of
from scalefit.inference.blocks import ROWS, dot, slices
from scalefit.inference.native import NATIVE
from scalefit.inference.objectives import (
    SMALLEST_SCALE,
    AsymmetricHuber,
    Gaussian,
    Huber,
    Objective,
    SquaredError,
    StudentT,
)
from scalefit.inference.problem import Problem

_BLOCK = 32_768  # doubles per array of a block of problems: a handful fit a level-2 cache
_SMALL = 900_000  # multiplications that a BLAS calls small: its kernel for them is four times as
# fast on such thin matrices
_COLUMNS = 4  # that its kernel takes together
_HUBER, _STUDENT, _SQUARES = range(3)  # the objectives of native/module.c
_BEGIN = -1.0  # to it, the scale that a likelihood begins with
_LONG = 30  # rows from which a sum by itself is no dearer than the columns it would waste


@dataclass(frozen=True, eq=False)
class Standing:
    """An objective at a batch of search vectors.

    Attributes:
        value: The objective, shape (B,); not finite where the law leaves the doubles.
        size: Positive part of it that relative tests are relative to, shape (B,).
        state: Scale or threshold at which all this holds, shape (B,).
        gradient: Of the objective in u, shape (B, p).
        sharp: Its first-order curvature, shape (B, p, p).
        safe: Curvature of its majoriser, shape (B, p, p).
    """

    value: Array
    size: Array
    state: Array
    gradient: Array
    sharp: Array
    safe: Array

    def put(self, at: IntArray, other: Standing) -> None:
        """Take the values of another standing at the problems `at`."""
        for name in names_of(self):
            getattr(self, name)[at] = getattr(other, name)

    def take(self, chosen: BoolArray | IntArray) -> Standing:
        """Those of some problems."""
        return Standing(*(getattr(self, name)[chosen] for name in names_of(self)))


def assess(
    problem: Problem, objective: Objective, u: Array, weight: Array, state: Array
) -> Standing:
    """The objective at search vectors u, shape (B, p), with the best state near the one given.

    Args:
        problem: Law and runs.
        objective: What is minimised.
        u: Search vectors, shape (B, p).
        weight: Row weights, shape (B, n), or (1, n) if all problems share them.
        state: Of the objective, shape (B,).

    Returns:
        Its value is not finite where anything of it is not.
    """
    known = _compiled(problem, objective, u, weight, state)
    return known if known is not None else _by_numpy(problem, objective, u, weight, state)


def _by_numpy(
    problem: Problem, objective: Objective, u: Array, weight: Array, state: Array
) -> Standing:
    found = _in_blocks(problem, objective, u, weight, state)
    sound = np.isfinite(found.safe).all(axis=(1, 2)) & np.isfinite(found.sharp).all(axis=(1, 2))
    found.value[~(sound & np.isfinite(found.gradient).all(axis=1))] = np.inf
    return found


def ranks(problem: Problem, objective: Objective, u: Array, weight: Array) -> Array:
    """The objective at search vectors (B, p), or what grows with it, shape (B,)."""
    goal = _goal(objective)
    if goal is not None:
        begin = goal[1][1] if goal[0] == _HUBER else _BEGIN if goal[0] == _STUDENT else 1.0
        value, size, settled = np.empty((3, len(u)))
        if _told(problem, objective, u, weight, np.full(len(u), begin), (value, size, settled)):
            return value
    each = max(1, _BLOCK // problem.n)
    return np.concatenate(
        [
            objective.value(problem.of(slice(i, i + each)).residual(u[i : i + each]), weight)
            for i in range(0, max(1, len(u)), each)
        ]
    )


def compiled_task(problem: Problem, objective: Objective) -> tuple[Any, ...] | None:
    """What the compiled part has to know, as native/module.c reads it.

    None where that is not built, or the law or the objective is none that it knows.
    """
    goal = _goal(objective)
    if goal is None or problem.compiled is None:
        return None
    numbers, columns = problem.compiled
    return numbers, *goal, problem.log_target, columns, problem.target


def _goal(objective: Objective) -> tuple[int, Array] | None:
    """The objective's number in native/module.c, and its settings; None if it has none."""
    kind = type(objective)
    if isinstance(objective, Huber | AsymmetricHuber) and kind in (Huber, AsymmetricHuber):
        return _HUBER, np.array([getattr(objective, "over", 1.0), objective.threshold, 0.0])
    if isinstance(objective, StudentT) and kind is StudentT:
        return _STUDENT, np.array([objective.nu, SMALLEST_SCALE, objective.constant])
    return (_SQUARES, np.zeros(3)) if kind in (Gaussian, SquaredError) else None


def _compiled(
    problem: Problem, objective: Objective, u: Array, weight: Array, state: Array
) -> Standing | None:
    """`assess` by the compiled part, if that knows how."""
    value, size, settled = np.empty((3, len(u)))
    gradient = np.empty((len(u), problem.p))
    sharp, safe = np.empty((2, len(u), problem.p, problem.p))
    filled = value, size, settled, gradient, sharp, safe
    known = _told(problem, objective, u, weight, state, filled)
    return Standing(*filled) if known else None


def _told(
    problem: Problem,
    objective: Objective,
    u: Array,
    weight: Array,
    state: Array,
    filled: tuple[Array, ...],
) -> bool:
    """Whether the compiled part knows how to fill in a standing, or its first three arrays."""
    task = compiled_task(problem, objective)
    if NATIVE is None or task is None:
        return False
    weight, state = np.ascontiguousarray(weight), np.ascontiguousarray(state)
    left_out = (None,) * (6 - len(filled))
    NATIVE.assess(*task, problem.centred(u), weight, state, *filled, *left_out)
    return True


def _in_blocks(
    problem: Problem, objective: Objective, u: Array, weight: Array, state: Array
) -> Standing:
    size = max(1, _BLOCK // problem.n)
    parts = [
        _assess_block(
            problem.of(slice(i, i + size)),
            objective,
            u[i : i + size],
            weight if weight.shape[0] == 1 else weight[i : i + size],
            state[i : i + size],
        )
        for i in range(0, max(1, len(u)), size)
    ]
    if len(parts) == 1:
        return parts[0]
    return Standing(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names_of(Standing))
    )


def _assess_block(
    problem: Problem, objective: Objective, u: Array, weight: Array, state: Array
) -> Standing:
    with np.errstate(all="ignore"):
        rows = max(1, min(ROWS, _SMALL // (problem.p * (2 * problem.p + 1))))
        if problem.n <= rows:
            residual, jacobian = problem.derivatives(u)
            state = objective.settle(residual, weight, state) if objective.settles else state
            return _sums(objective, residual, jacobian, weight, state)
        if objective.settles:
            state = objective.settle(problem.residual(u), weight, state)
        theta, total = problem.centred(u), None
        for some in slices(problem.n, rows):
            part = problem.rows(some).derivatives_at(theta)
            found = _sums(objective, *part, weight[:, some], state)
            total = found if total is None else _added(total, found)
        assert total is not None
        return total


def _added(a: Standing, b: Standing) -> Standing:
    sums = {name: getattr(a, name) + getattr(b, name) for name in names_of(Standing)}
    return Standing(**{**sums, "state": a.state})


def _sums(
    objective: Objective, residual: Array, jacobian: Array, weight: Array, state: Array
) -> Standing:
    """Every sum over rows that a step needs, in one product of small matrices per problem."""
    found = objective.measure(residual, weight, state)
    p = len(jacobian)
    same = found.safe is found.sharp
    left = np.empty(((p if same else 2 * p) + 1, *residual.shape))
    np.multiply(jacobian, weight * found.safe, out=left[:p])
    if not same:
        np.multiply(jacobian, weight * found.sharp, out=left[p:-1])
    np.multiply(weight, found.psi, out=left[-1])
    product = _products(left, jacobian)
    return Standing(
        value=found.value,
        size=found.size,
        state=np.asarray(found.state),
        gradient=-product[:, -1],
        sharp=product[:, :p] if same else product[:, p:-1],
        safe=product[:, :p],
    )


def _products(left: Array, jacobian: Array) -> Array:
    """Row sums of left (m, B, n) times jacobian (p, B, n), shape (B, m, p).

    The left is one or two curvatures times the Jacobian, p planes each, and then one plane more.
    A BLAS multiplies thin matrices four columns at a time and wastes what is left of four: those
    columns are summed by themselves, and only where symmetry does not know them.
    """
    m, (p, batch, n) = len(left), jacobian.shape
    fours = p - p % _COLUMNS if n >= _LONG else p
    product = np.empty((batch, m, p))
    right = jacobian[:fours].transpose(1, 2, 0)
    np.matmul(left.transpose(1, 0, 2), right, out=product[:, :, :fours])
    if fours == p:
        return product
    for row in range(m):
        if row == m - 1 or row % p >= fours:
            product[:, row, fours:] = dot(left[row], jacobian[fours:]).T
    for first in range(0, m - 1, p):
        block = product[:, first : first + p]
        block[:, :fours, fours:] = block[:, fours:, :fours].transpose(0, 2, 1)
    return product


def rounding_gain(objective: Objective, state: Array, rows: Array) -> Array:
    """Gain that rounding of the target alone could promise, shape (B,): perfect data end here.

    Each row's curvature is at most what it is at a residual of zero.

    Args:
        objective: What is minimised.
        state: Of the objective, shape (B,).
        rows: `Problem.rounding` of the row weights, shape (B,) or (1,).
    """
    nothing = np.zeros((len(state), 1))
    return np.asarray(1e-28 * objective.measure(nothing, nothing, state).safe[:, 0] * rows)
