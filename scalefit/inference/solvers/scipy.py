"""SciPy's trust-region reflective least squares, with the law's exact Jacobian."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.inference.problem import Problem
from scalefit.inference.solver import Solution
from scalefit.inference.solvers.base import (
    MOST_EVALUATIONS,
    SOLVERS,
    TOLERANCE,
    Task,
    solve_each,
)


@SOLVERS.add
@dataclass(frozen=True)
class ScipySolver:
    """`scipy.optimize.least_squares`, method trf.

    Source: Branch, Coleman & Li 1999, SIAM Journal on Scientific Computing 21(1).
    """

    name: ClassVar[str] = "scipy"

    def solve(self, problem: Problem, objective: Any, weight: Array, start: Array) -> Solution:
        """Where each start ends."""
        return solve_each(problem, objective, weight, start, _minimise)


def _minimise(task: Task, start: Array) -> tuple[Array, int]:
    from scipy.optimize import least_squares

    found = least_squares(
        task.residual,
        start,
        jac=task.jacobian,
        bounds=(task.problem.low, task.problem.high),
        method="trf",
        x_scale="jac",
        ftol=TOLERANCE,
        xtol=TOLERANCE,
        gtol=TOLERANCE,
        max_nfev=MOST_EVALUATIONS,
        loss=task.loss or "linear",
        f_scale=task.scale,
    )
    return np.asarray(found.x, dtype=float), int(found.nfev)
