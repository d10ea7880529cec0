"""What every reference back end shares: the task it is given, and the judgement of where it ended.

A library is handed plain least squares with a callable loss. The word it gives of its own success
is not passed on: the score of each end point against its own noise decides (Bates & Watts 1981).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import singledispatch
from typing import Any, ClassVar, Protocol

import numpy as np

from scalefit.core.errors import InputError
from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.core.registry import Registry
from scalefit.core.sorting import median
from scalefit.inference.objectives import Gaussian, Huber, SquaredError, StudentT
from scalefit.inference.problem import Problem
from scalefit.inference.solver import Solution

TOLERANCE = 1e-15
MOST_EVALUATIONS = 5000
_ROUNDS = 100
_GOOD_SCORE = 1e-4
_EDGE = 1e-6


class Solver(Protocol):
    """Minimises an objective from every start."""

    name: ClassVar[str]

    def solve(self, problem: Problem, objective: Any, weight: Array, start: Array) -> Solution:
        """Where each start of shape (S, p) ends, the rows weighted by `weight` of shape (n,)."""
        ...


SOLVERS: Registry[Any] = Registry("solver")


@dataclass(frozen=True, eq=False)
class Task:
    """One least-squares problem as a library takes it.

    Attributes:
        problem: Law and runs.
        factor: What each residual is multiplied by, shape (n,).
        loss: Of z = (residual / scale)^2: value and two derivatives, shape (3, n), as
            `scipy.optimize.least_squares` defines it; None for plain squares.
        scale: The residual at which z is one.
    """

    problem: Problem
    factor: Array
    loss: Any
    scale: float

    def residual(self, u: Array) -> Array:
        """Shape (n,)."""
        return np.asarray(self.factor * self.problem.residual(u[None])[0])

    def jacobian(self, u: Array) -> Array:
        """Exact derivative of the residual, shape (n, p)."""
        return np.asarray(-(self.problem.evaluate(u[None])[1][0] * self.factor).T)


Minimise = Callable[[Task, Array], tuple[Array, int]]


@singledispatch
def task(objective: Any, problem: Problem, weight: Array, residual: Array) -> Task:
    """The objective as a task, at its best scale for residuals of shape (n,).

    Raises:
        InputError: no reference back end knows the objective.
    """
    raise InputError(
        f"the reference solvers do not know the objective {objective.name}",
        "leave --solver at scalefit",
    )


@task.register(Gaussian)
@task.register(SquaredError)
def _squares(objective: Any, problem: Problem, weight: Array, residual: Array) -> Task:
    return Task(problem, np.sqrt(weight), None, 1.0)


@task.register
def _huber(objective: Huber, problem: Problem, weight: Array, residual: Array) -> Task:
    def loss(z: Array) -> Array:
        inside = z <= 1
        root = np.sqrt(np.where(inside, 1.0, z))
        value = np.where(inside, z, 2 * root - 1)
        bend = np.where(inside, 0.0, -0.5 / root**3)
        return np.asarray(weight * np.stack([value, 1 / root, bend]))

    return Task(problem, np.ones_like(weight), loss, objective.threshold)


@task.register
def _student(objective: StudentT, problem: Problem, weight: Array, residual: Array) -> Task:
    nu = objective.nu

    def loss(z: Array) -> Array:
        share = (nu + 1) / (nu + z)
        value = (nu + 1) * np.log1p(z / nu)
        return np.asarray(weight * np.stack([value, share, -share / (nu + z)]))

    scale = float(objective.scale(residual[None], weight[None])[0])
    return Task(problem, np.ones_like(weight), loss, scale)


def solve_each(
    problem: Problem, objective: Any, weight: Array, start: Array, minimise: Minimise
) -> Solution:
    """Minimise from each start in turn, anew at each new scale until the objective stops falling.

    Args:
        problem: Law and runs.
        objective: What to minimise.
        weight: Row weights, shape (n,).
        start: Search vectors, shape (S, p); clipped into the box.
        minimise: The library's end point for a task and a start, with the evaluations it took.
    """
    # Libraries warn of overflow in steps that they then refuse.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        ends = [
            _one(problem, objective, weight, np.clip(u, problem.low, problem.high), minimise)
            for u in start
        ]
    return Solution(
        u=np.stack([u for u, *_ in ends]),
        value=np.array([value for _, value, *_ in ends]),
        state=np.array([state for *_, state, _, _ in ends]),
        converged=np.array([converged for *_, converged, _ in ends]),
        steps=np.array([steps for *_, steps in ends], dtype=np.int64),
    )


def _one(
    problem: Problem, objective: Any, weight: Array, start: Array, minimise: Minimise
) -> tuple[Array, float, float, bool, int]:
    u = start
    value, size, state = _valued(problem, objective, weight, u)
    steps = 1
    if not math.isfinite(value):
        return u, math.inf, state, False, steps
    for _ in range(_ROUNDS):
        trial, taken = minimise(task(objective, problem, weight, problem.residual(u[None])[0]), u)
        steps += taken
        trial = _on_edge(problem, objective, weight, np.clip(trial, problem.low, problem.high))
        found, new_size, new_state = _valued(problem, objective, weight, trial)
        if not found < value:
            break
        fall, u, value, size, state = value - found, trial, found, new_size, new_state
        if fall <= 1e-15 * size:
            break
    return u, value, state, score(problem, objective, weight, u) <= _GOOD_SCORE, steps


def _valued(
    problem: Problem, objective: Any, weight: Array, u: Array
) -> tuple[float, float, float]:
    """Objective as the solver counts it, the positive part of it, and its scale."""
    residual = problem.residual(u[None])
    if not np.isfinite(residual).all():
        return math.inf, math.inf, math.nan
    one = weight[None]
    found = objective.measure(residual, one, objective.begin(residual, one, cold=False))
    return float(found.value[0]), float(found.size[0]), float(found.state[0])


def _on_edge(problem: Problem, objective: Any, weight: Array, u: Array) -> Array:
    """The point, its parameters moved onto a bound that an interior method only nears."""
    for edge in (problem.low, problem.high):
        near = np.isfinite(edge) & (np.abs(u - edge) <= _EDGE * np.maximum(np.abs(edge), 1.0))
        moved = np.where(near, edge, u)
        if (
            _valued(problem, objective, weight, moved)[0]
            <= _valued(problem, objective, weight, u)[0]
        ):
            u = moved
    return u


def score(problem: Problem, objective: Any, weight: Array, u: Array) -> float:
    """Part of the score in the tangent space against its own noise; 1e-4 or less at a minimum.

    Parameters that press against a bound are left out.
    """
    residual, jacobian = problem.evaluate(u[None])
    one = weight[None]
    found = objective.measure(residual, one, objective.begin(residual, one, cold=False))
    root = np.sqrt(weight)
    psi = root * found.psi[0]
    rows = jacobian[0] * root
    slope = -(rows @ psi)
    pressed = ((u <= problem.low) & (slope > 0)) | ((u >= problem.high) & (slope < 0))
    rows = rows[~pressed]
    norm = np.sqrt((rows**2).sum(axis=1))
    rows = rows[norm > 0] / norm[norm > 0][:, None]
    if not rows.size:
        return 0.0
    inside = float(np.linalg.norm(np.linalg.qr(rows.T)[0].T @ psi)) / math.sqrt(len(rows))
    dof = max(int((weight > 0).sum()) - problem.p, 1)
    # Rounding of the target to twelve digits is all that perfect data leave.
    least = 1e-12 * float(np.abs(problem.target).max()) * float(median(root * found.safe[0]))
    return inside / max(float(np.linalg.norm(psi)) / math.sqrt(dof), least, 1e-300)
