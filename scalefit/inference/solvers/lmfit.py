"""lmfit's Minimizer, with the law's exact Jacobian and the box as bounds of its parameters."""

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
class LmfitSolver:
    """`lmfit.Minimizer.least_squares`.

    Source: Newville et al., LMFIT, doi:10.5281/zenodo.11813.
    """

    name: ClassVar[str] = "lmfit"

    def solve(self, problem: Problem, objective: Any, weight: Array, start: Array) -> Solution:
        """Where each start ends."""
        return solve_each(problem, objective, weight, start, _minimise)


def _minimise(task: Task, start: Array) -> tuple[Array, int]:
    from lmfit import Minimizer, Parameters

    names = [f"u{k}" for k in range(start.size)]
    parameters = Parameters()
    for name, value, low, high in zip(
        names, start, task.problem.low, task.problem.high, strict=True
    ):
        parameters.add(name, value=float(value), min=float(low), max=float(high))

    def vector(moved: Any) -> Array:
        return np.array([moved[name].value for name in names], dtype=float)

    # A step out of the doubles must come back as infinite, not as an error.
    search = Minimizer(
        lambda moved: task.residual(vector(moved)), parameters, nan_policy="propagate"
    )
    found = search.minimize(
        method="least_squares",
        jac=lambda moved: task.jacobian(vector(moved)),
        x_scale="jac",
        ftol=TOLERANCE,
        xtol=TOLERANCE,
        gtol=TOLERANCE,
        max_nfev=MOST_EVALUATIONS,
        loss=task.loss or "linear",
        f_scale=task.scale,
    )
    return vector(found.params), int(found.nfev)
