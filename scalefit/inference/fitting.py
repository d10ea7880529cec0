"""The point fit: starts in every basin, the best few solved to the end, one certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalefit.core.errors import FitError, InputError
from scalefit.core.notes import Note
from scalefit.core.observations import Array, Observations
from scalefit.inference.certificate import USABLE, Certificate, Status, certify
from scalefit.inference.objectives import Huber, Objective, StudentT
from scalefit.inference.problem import Bounds, Problem, bind
from scalefit.inference.solver import Solution, joined, polish, solve
from scalefit.inference.starts import candidates
from scalefit.inference.trust_region import solve_in_trust_region
from scalefit.laws.base import Law

# Survivors of each round of the search and the evaluations each is given.
_ROUNDS = ((192, 12), (48, 40), (12, 400))
_MOST_SEARCH_ROWS = 4096
_STUBBORN = 3


@dataclass(frozen=True)
class Fit:
    """A law fitted to runs.

    Attributes:
        law: The law.
        runs: What it was fitted to.
        problem: The law bound to the runs: centring, box, what is fixed.
        objective: What was minimised, with every setting known.
        u: Search vector of the estimate, shape (p,).
        theta: Estimate for the inputs as they are, shape (P,).
        value: Objective at the estimate, recomputed.
        scale: Scale of the residuals of the target, in its units.
        certificate: Evidence of convergence and the status that follows from it.
        fixed: Parameters that were held.
        notes: Doubts about the estimate.
    """

    law: Law
    runs: Observations
    problem: Problem
    objective: Any
    u: Array
    theta: Array
    value: float
    scale: float
    certificate: Certificate
    fixed: Mapping[str, float]
    notes: tuple[Note, ...]

    @property
    def status(self) -> Status:
        """What the certificate allows."""
        return self.certificate.status

    @property
    def residual(self) -> Array:
        """Residuals of the target (log loss, or the loss), shape (n,)."""
        return np.asarray(self.problem.residual(self.u[None])[0])


def fit(
    law: Law,
    runs: Observations,
    *,
    objective: Objective | None = None,
    fix: Mapping[str, float] | None = None,
    bound: Bounds | None = None,
    starts: Array | None = None,
    solver: str = "scalefit",
) -> Fit:
    """The law's best parameters for the runs, with the evidence that they are.

    Args:
        law: The law.
        runs: Observations that hold the law's inputs.
        objective: What to minimise; Student-t with 4 degrees of freedom if not given.
        fix: Parameters held at a value.
        bound: Parameters kept between two values.
        starts: Parameter sets to start from, shape (S, P), instead of the law's own starts.
        solver: `scalefit`, or a reference back end: `scipy` or `lmfit`.

    Raises:
        InputError: the runs cannot determine the law at all: fewer rows than parameters, an
            input that never changes, a loss without logarithm.
        FitError: no start led anywhere finite.
    """
    goal: Any = objective if objective is not None else StudentT()
    if isinstance(goal, Huber) and goal.delta is None:
        preliminary = fit(law, runs, objective=StudentT(), fix=fix, bound=bound, starts=starts)
        goal = goal.settled(preliminary.residual)
    problem = bind(law, runs, log_target=goal.log_target, fix=fix, bound=bound)
    _check_rows(problem, runs)
    weight = runs.weight[None, :]
    begin = problem.search(starts if starts is not None else _own_starts(law, runs, goal))
    if solver == "scalefit":
        ends = _search(problem, goal, weight, begin, keep_all=starts is not None)
    else:
        from scalefit.inference.solvers import SOLVERS

        first = begin if starts is not None else _best(problem, goal, weight, begin, _STUBBORN)
        ends = SOLVERS.get(solver)().solve(problem, goal, runs.weight, first)
    if not np.isfinite(ends.value).any():
        raise FitError(
            f"{law.name}: no start gives a finite objective",
            "check the inputs' units, or give starts inside the law's bounds",
        )
    u, value, certificate = _concluded(problem, goal, weight, ends, polished=solver == "scalefit")
    if solver == "scalefit" and certificate.status not in USABLE:
        # The quick search ended nowhere: the stubborn one may still find the way.
        first = _best(problem, goal, weight, begin, _STUBBORN)
        again = solve_in_trust_region(
            problem, goal, weight, np.concatenate([first, u[None]]) if starts is None else first
        )
        both = joined([ends, again])
        u, value, certificate = _concluded(problem, goal, weight, both, polished=True)
    residual = problem.residual(u[None])
    return Fit(
        law=law,
        runs=runs,
        problem=problem,
        objective=goal,
        u=u,
        theta=problem.theta(u[None])[0],
        value=value,
        scale=float(goal.scale(residual, weight)[0]),
        certificate=certificate,
        fixed=dict(fix or {}),
        notes=certificate.notes,
    )


def _concluded(
    problem: Problem, goal: Any, weight: Array, ends: Solution, *, polished: bool
) -> tuple[Array, float, Certificate]:
    """The best of all searches, polished, with its objective and certificate."""
    best = int(np.argmin(np.where(np.isfinite(ends.value), ends.value, np.inf)))
    u = polish(problem, goal, weight, ends.u[best]) if polished else ends.u[best]
    value = float(goal.value(problem.residual(u[None]), weight)[0])
    certificate = certify(
        problem, goal, u, solver_value=value, ends=ends, capped=not bool(ends.converged[best])
    )
    return u, value, certificate


def _check_rows(problem: Problem, runs: Observations) -> None:
    used = int((runs.weight > 0).sum())
    if used < problem.p:
        raise InputError(
            f"{problem.law.name} has {problem.p} free parameters, but there are only {used} runs",
            "choose a law with fewer parameters, or hold some with --fix NAME=VALUE",
        )
    for name, values in zip(problem.law.inputs, problem.inputs, strict=True):
        if float(values.min()) == float(values.max()) and len(problem.law.inputs) == 1:
            raise InputError(
                f"{name} is the same in every run: no law of {name} can be fitted",
                "add runs at other scales",
            )


def _own_starts(law: Law, runs: Observations, goal: Any) -> Array:
    sample = runs
    if runs.n > _MOST_SEARCH_ROWS:
        # Basins show in a few thousand rows as well as in all of them.
        chosen = np.zeros(runs.n, dtype=bool)
        chosen[np.linspace(0, runs.n - 1, _MOST_SEARCH_ROWS).astype(int)] = True
        sample = runs.take(chosen)
    return candidates(law, sample, goal.log_target)


def _best(problem: Problem, goal: Any, weight: Array, u: Array, count: int) -> Array:
    """The `count` starts of lowest objective."""
    values = np.concatenate(
        [
            goal.value(problem.residual(part), weight)
            for part in np.array_split(u, max(1, len(u) // 64))
        ]
    )
    order = np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")
    return u[order[:count]]


def _search(
    problem: Problem, goal: Any, weight: Array, begin: Array, *, keep_all: bool
) -> Solution:
    """Successive halving over the starts; all of them to the end if they were asked for."""
    if keep_all:
        return solve(problem, goal, weight, begin, cold=True, limit=400)
    u = begin
    for keep, limit in _ROUNDS:
        u = _best(problem, goal, weight, u, keep) if len(u) > keep else u
        ends = solve(problem, goal, weight, u, cold=True, limit=limit)
        u = ends.u
    return ends
