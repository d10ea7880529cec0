"""The point fit: starts in every basin, the best few solved to the end, one certificate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scalefit.core.errors import FitError, InputError
from scalefit.core.notes import Note
from scalefit.core.observations import Array, BoolArray, IntArray, Observations
from scalefit.core.records import dataclass, replace
from scalefit.inference import doubts
from scalefit.inference.batches import Steps, stepwise
from scalefit.inference.certificate import STATUSES, USABLE, Certificate, Status, certify
from scalefit.inference.native import NATIVE
from scalefit.inference.objectives import Gaussian, Huber, Objective, StudentT
from scalefit.inference.problem import Bounds, Problem, bind
from scalefit.inference.solver import Search, Solution, joined, polish, solve
from scalefit.inference.standing import ranks
from scalefit.inference.starts import candidates, widened
from scalefit.inference.trust_region import solve_in_trust_region
from scalefit.laws.base import Law

# Survivors of each round of the search and the evaluations each is given.
_LONG = 48  # evaluations after which a search that is well above the best stays there
_Rounds = tuple[tuple[int, int], ...]
_ROUNDS: _Rounds = ((192, 8), (64, 24), (16, _LONG), (8, 120))
# Searches that what is linear follows by itself arrive sooner: fewer of them, and longer.
_ROUNDS_OF_FOLLOWED: _Rounds = ((100, 24), (24, _LONG), (6, 120))
# Basins multiply with what bends a curve: of so many parameters more must survive.
_MANY, _ROUNDS_OF_MANY = 10, ((192, 12), (128, 32), (64, _LONG), (24, 120))
_KEPT_BUMPS = 8
_LAST = 400  # evaluations for the best of all, if it is not at its end by then
# More survive the first round where rows are few: so many rows in all their residuals, at most
# so many searches.
_FIRST_ROWS = 50_000
_MOST_FIRST = 800
_AGREEING = 3  # searches that draw one curve are evidence; more of them only crowd out others
_ONE_CURVE = 0.3  # apart nowhere by more than this share of the best one's residuals
_CURVE_ROWS, _FEW = 64, 4
_FAR = 1e9  # stands for a residual where the law leaves the doubles
_MOST_SEARCH_ROWS = 4096
_MOST_MINIMA = 4
_AGREE = 1e-6  # of the objective: ends nearer than this are one minimum
_RIVAL = 1e-2  # of the objective: what is further above the best is no rival of it
_WIDENED = 3  # of the simpler law's searches, what the law adds is tried beside so many
_STUBBORN = 3
_PATIENCE = 200, 2000  # evaluations for each stubborn search from the beginning


@dataclass(frozen=True, eq=False)
class Fit:
    """A law fitted to runs.

    Attributes:
        law: The law.
        runs: What it was fitted to.
        problem: The law bound to the runs: centring, box, what is fixed.
        objective: What was minimised, with every setting known.
        u: Search vector of the estimate, shape (p,).
        minima: It and the next best minima that its searches found, best first, shape (M, p).
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
    minima: Array
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


@stepwise
def fit(
    law: Law,
    runs: Observations,
    *,
    objective: Objective | None = None,
    fix: Mapping[str, float] | None = None,
    bound: Bounds | None = None,
    starts: Array | None = None,
    solver: str = "scalefit",
) -> Steps[Fit]:
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
    if not (runs.weight > 0).all():
        # A row of weight zero is a row left out: it moves no bound, no centre and no start.
        runs = runs.take(runs.weight > 0)
        if not runs.n:
            raise InputError("no run has a positive weight", "give weights above zero, or none")
    goal: Any = objective if objective is not None else StudentT()
    if isinstance(goal, Huber) and goal.delta is None:
        preliminary = yield from fit.steps(
            law, runs, objective=StudentT(), fix=fix, bound=bound, starts=starts
        )
        goal = goal.settled(preliminary.residual)
    if starts is None and runs.n > _MOST_SEARCH_ROWS:
        return (yield from _through_sample(law, runs, goal, fix, bound, solver))
    problem = bind(law, runs, log_target=goal.log_target, fix=fix, bound=bound)
    _check_rows(problem, runs)
    if isinstance(goal, StudentT) and problem.p * (goal.nu + 1) >= runs.n * goal.nu:
        normal = yield from fit.steps(
            law, runs, objective=Gaussian(), fix=fix, bound=bound, starts=starts, solver=solver
        )
        words = f"{runs.n} rows are too few for a t likelihood with {problem.p} free parameters"
        return replace(normal, notes=(*normal.notes, doubts.T_UNBOUNDED.note(words)))
    weight = runs.weight[None, :]
    first = starts
    if first is None:
        first = yield from _own_starts(law, runs, goal, fix or {}, bound or {})
    begin = problem.search(first)
    if solver == "scalefit":
        ends = yield from _search(problem, goal, weight, begin, keep_all=starts is not None)
        if starts is None and problem.p >= _MANY:
            ends = _bumped(problem, goal, runs, ends)
    else:
        from scalefit.inference.solvers import SOLVERS

        first = (
            begin if starts is not None else begin[_best(problem, goal, weight, begin, _STUBBORN)]
        )
        ends = SOLVERS.get(solver)().solve(problem, goal, runs.weight, first)
    if not np.isfinite(ends.value).any():
        raise FitError(
            f"{law.name}: no start gives a finite objective",
            "check the inputs' units, or give starts inside the law's bounds",
        )
    u, value, certificate = _concluded(problem, goal, weight, ends, polished=solver == "scalefit")
    for limit in _PATIENCE if solver == "scalefit" else ():
        if certificate.status in USABLE:
            break
        # The quick search ended nowhere: the stubborn one may still find the way, from where it
        # stands or from the beginning.
        first = begin[_best(problem, goal, weight, begin, _STUBBORN)]
        here = solve_in_trust_region(problem, goal, weight, u[None])
        there = solve_in_trust_region(problem, goal, weight, first, limit=limit)
        ends = joined([ends, here, there])
        u, value, certificate = _concluded(problem, goal, weight, ends, polished=True)
    residual = problem.residual(u[None])
    return Fit(
        law=law,
        runs=runs,
        problem=problem,
        objective=goal,
        u=u,
        minima=_minima(u, ends),
        theta=problem.theta(u[None])[0],
        value=value,
        scale=float(goal.scale(residual, weight)[0]),
        certificate=certificate,
        fixed=dict(fix or {}),
        notes=certificate.notes,
    )


def _through_sample(
    law: Law,
    runs: Observations,
    goal: Any,
    fix: Mapping[str, float] | None,
    bound: Bounds | None,
    solver: str,
) -> Steps[Fit]:
    """The fit of very many rows: basins show in a few thousand as well as in all of them."""
    chosen = np.zeros(runs.n, dtype=bool)
    chosen[np.linspace(0, runs.n - 1, _MOST_SEARCH_ROWS).astype(int)] = True
    how: dict[str, Any] = {"objective": goal, "fix": fix, "bound": bound, "solver": solver}
    sample = yield from fit.steps(law, runs.take(chosen), **how)
    whole = yield from fit.steps(law, runs, starts=sample.theta[None], **how)
    searched = sample.certificate
    certificate = replace(
        whole.certificate,
        status=max(whole.status, searched.status, key=STATUSES.index)
        if searched.status == "multiple-minima"
        else whole.status,
        starts=searched.starts,
        agree=searched.agree,
        minima=searched.minima,
    )
    rivals = tuple(n for n in searched.notes if n.code in ("multiple-minima", "few-starts-agree"))
    return replace(whole, certificate=certificate, notes=(*whole.notes, *rivals))


def _concluded(
    problem: Problem, goal: Any, weight: Array, ends: Solution, *, polished: bool
) -> tuple[Array, float, Certificate]:
    """The best of all searches, polished, with its objective and certificate."""
    best = int(np.argmin(np.where(np.isfinite(ends.value), ends.value, np.inf)))
    u = problem.ordered(ends.u[best : best + 1])[0]
    u = polish(problem, goal, weight, u) if polished else u
    value = float(goal.value(problem.residual(u[None]), weight)[0])
    certificate = certify(
        problem, goal, u, solver_value=value, ends=ends, capped=not bool(ends.converged[best])
    )
    return u, value, certificate


def _bumped(problem: Problem, goal: Any, runs: Observations, ends: Solution) -> Solution:
    """Those searches, and the best of others that begin where resamples ended."""
    from scalefit.inference.restarts import bumped

    lowest = int(np.argmin(np.where(np.isfinite(ends.value), ends.value, np.inf)))
    weight, first = runs.weight[None], bumped(problem, goal, runs, ends.u[lowest : lowest + 1])
    if not len(first):
        return ends
    more = solve(problem, goal, weight, first, cold=False, limit=_LAST)
    return joined([ends, more.take(_best(problem, goal, weight, more.u, _KEPT_BUMPS))])


def _minima(u: Array, ends: Solution) -> Array:
    """The estimate, and the next best places where searches ended, each objective once."""
    found = ends.take(ends.converged & np.isfinite(ends.value))
    found = found.take(np.argsort(found.value, kind="stable"))
    value = found.value
    later = np.diff(value, prepend=np.inf) > _AGREE * np.abs(value)
    return np.concatenate([u[None], found.u[later][: _MOST_MINIMA - 1]])


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


def _own_starts(
    law: Law, runs: Observations, goal: Any, fix: Mapping[str, float], bound: Bounds
) -> Steps[Array]:
    """Parameters to start from: the law's own, and those that the law within it leads to."""
    own = candidates(law, runs, goal.log_target)
    within = law.within
    if within is None or fix.keys() >= set(within.names):
        return own
    fix = {name: value for name, value in fix.items() if name in within.names}
    bound = {name: ends for name, ends in bound.items() if name in within.names}
    problem = bind(within, runs, log_target=goal.log_target, fix=fix, bound=bound)
    begin = problem.search((yield from _own_starts(within, runs, goal, fix, bound)))
    weight = runs.weight[None, :]
    ends = yield from _search(problem, goal, weight, begin, keep_all=False)
    best = ends.u[_best(problem, goal, weight, ends.u, _WIDENED)]
    return np.concatenate([widened(law, problem.theta(best), runs, goal.log_target), own])


def _best(problem: Problem, goal: Any, weight: Array, u: Array, count: int) -> IntArray:
    """Numbers of the `count` lowest of u, but few of those that draw one and the same curve."""
    value = ranks(problem, goal, u, weight)
    order = np.argsort(np.where(np.isfinite(value), value, np.inf), kind="stable")[: 4 * count]
    rows = problem.rows(slice(None, None, max(1, problem.n // _CURVE_ROWS)))
    curve = np.concatenate([rows.residual(u[order[i : i + 64]]) for i in range(0, len(order), 64)])
    curve = np.clip(curve, -_FAR, _FAR)
    near = _ONE_CURVE * float(np.sqrt(np.mean(curve[0] ** 2)))
    return np.asarray(order[_distinct(curve, near, count)])


def _distinct(curve: Array, near: float, count: int) -> IntArray:
    """Numbers of the first `count` curves, shape (K, n), but few of those that are the same.

    Args:
        curve: The curves, best first.
        near: Two are the same where they are nowhere further apart.
        count: How many are wanted.
    """
    if NATIVE is not None:
        chosen = np.empty(count, dtype=np.int64)
        return chosen[: NATIVE.distinct(curve, near, _AGREEING, chosen)]
    # One column for each curve: a maximum over rows then takes many of them at once.
    curve = np.ascontiguousarray(curve.T)
    company = np.zeros(curve.shape[1], dtype=int)
    kept: list[int] = []
    few = curve[:: max(1, len(curve) // _FEW)]  # where those are apart the curves are
    for k in range(len(company)):
        if company[k] < _AGREEING:
            kept.append(k)
            if len(kept) == count:
                break
            at = k + np.flatnonzero((np.abs(few[:, k:] - few[:, k, None]) <= near).all(axis=0))
            company[at] += np.abs(curve[:, at] - curve[:, k, None]).max(axis=0) <= near
    return np.array(kept)


def _beaten(problem: Problem, goal: Any, weight: Array, ends: Solution) -> BoolArray:
    """Which searches are well above a minimum that several have reached, shape (S,)."""
    value = np.where(np.isfinite(ends.value), ends.value, np.inf)
    best = slice(int(np.argmin(value)), int(np.argmin(value)) + 1)
    if not np.isfinite(value[best]).all():
        return np.zeros(value.shape, dtype=bool)
    measured = goal.measure(problem.residual(ends.u[best]), weight, ends.state[best])
    gap = (value - value[best]) / np.maximum(np.abs(measured.size), 1e-300)
    agreed = int((ends.converged & (gap <= _AGREE)).sum()) >= _AGREEING
    return np.asarray((gap > _RIVAL) & agreed)


def _search(
    problem: Problem, goal: Any, weight: Array, begin: Array, *, keep_all: bool
) -> Steps[Solution]:
    """Successive halving over the starts; all of them to the end if they were asked for."""

    def search(start: Array, limit: int) -> Search:
        return Search(problem, goal, weight, start, cold=True, limit=limit)

    if keep_all:
        return (yield search(begin, _LAST))
    # On the grid of a sum of powers all but the exponents is solved for: few starts are enough.
    exact = problem.law.terms is not None and problem.p == len(problem.law.parameters)
    many = min(_MOST_FIRST, _FIRST_ROWS // problem.n)
    if exact:
        rounds, many = _ROUNDS[1:], 0
    elif problem.p >= _MANY:
        rounds = _ROUNDS_OF_MANY
    elif problem.affine.any():
        rounds, many = _ROUNDS_OF_FOLLOWED, 0
    else:
        rounds = _ROUNDS
    u = begin[_best(problem, goal, weight, begin, max(rounds[0][0], many))]
    ends = yield search(u, rounds[0][1])
    if exact:
        ends = ends.take(~_beaten(problem, goal, weight, ends))
    for keep, limit in rounds[1:]:
        ends = ends.take(_best(problem, goal, weight, ends.u, keep))
        # Beginning anew, mild at first, may lead out of a small basin; from an exact grid what has
        # converged is where it belongs.
        short = ~ends.converged | (not exact)
        if short.any():
            longer = yield search(ends.u[short], limit)
            ends = joined([ends.take(~short), longer])
        if limit == _LONG:
            ends = ends.take(~_beaten(problem, goal, weight, ends))
    u = ends.u
    value = np.where(np.isfinite(ends.value), ends.value, np.inf)
    best = np.arange(len(u)) == np.argmin(value)
    if ends.converged[best].all():
        return ends
    last = yield search(u[best], _LAST)
    return joined([last, ends.take(~best)])
