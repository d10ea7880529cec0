"""Evidence that an estimate is a minimum, and the status that follows from it.

Computed by code that shares nothing with the solver but the law: derivatives by complex step
instead of dual arrays, scores by differences of the penalty alone, sums by fsum. An optimiser's
own word counts for nothing here: on Chinchilla-like data the usual ones report success far from
the minimum (Besiroglu et al. 2024, arXiv:2404.10102).

Source of the score test: the relative offset of Bates & Watts 1981, Technometrics 23(2).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.observations import Array, BoolArray, IntArray
from scalefit.core.records import dataclass
from scalefit.inference import doubts
from scalefit.inference.blocks import slices, sum_over, triangle
from scalefit.inference.problem import Problem
from scalefit.inference.solver import Solution

Status = Literal[
    "converged",
    "at-bound",
    "weakly-identified",
    "multiple-minima",
    "not-identified",
    "not-converged",
]
STATUSES: tuple[Status, ...] = (
    "converged", "at-bound", "weakly-identified", "multiple-minima", "not-identified",
    "not-converged",
)  # fmt: skip
USABLE = frozenset(STATUSES[:4])
_STEP = 1e-30
_ONE_CURVE = 1e-9
_ONE_COLUMN_TWICE = 1e10
_CURVED_ROWS = 20_000
_TOGETHER = 1 << 14  # complex numbers in one array: a handful of them fit a level-2 cache
_PERFECT = 1e-8  # losses are float32 at best: runs this close to a law were computed from it


@dataclass(frozen=True)
class Certificate:
    """What the recomputation found.

    Attributes:
        status: The worst of all findings.
        score: Part of the score in the tangent space against its own noise; 1e-4 or less is good.
        kappa: Condition number of the column-scaled Jacobian of the free, unbound parameters.
        step_se: Largest remaining Newton step in standard errors; nan where not judged.
        hess_min: Smallest over largest eigenvalue of the scaled Hessian; nan where not judged.
        bounds: Parameters on a bound.
        wrong_side: Parameters on a bound although the objective falls away from it.
        starts: Searches that were run to the end.
        agree: How many of them reached the best objective to 1e-6.
        minima: Distinct minima within 1 % of the best, the best one included.
        reeval: Relative difference between the solver's objective and the recomputed one.
        deriv: Largest relative difference between exact and complex-step Jacobian.
        in_band: Rows within Huber's delta; -1 for other objectives.
        dof: Rows less free parameters.
        notes: The findings in words.
    """

    status: Status
    score: float
    kappa: float
    step_se: float
    hess_min: float
    bounds: tuple[str, ...]
    wrong_side: tuple[str, ...]
    starts: int
    agree: int
    minima: int
    reeval: float
    deriv: float
    in_band: int
    dof: int
    notes: tuple[Note, ...]


@np.errstate(all="ignore")  # what is not finite is judged as such
def certify(
    problem: Problem, objective: Any, u: Array, *, solver_value: float, ends: Solution, capped: bool
) -> Certificate:
    """Judge the estimate u of shape (p,); `ends` are all searches that were run to the end."""
    names = [problem.law.names[i] for i in problem.free]
    residual = _residual(problem, u)
    weight = problem.weight
    dof = problem.n - problem.p
    scale = _scale(objective, residual, weight)
    sums = _sums(problem, objective, u, residual, scale)
    on_low = _on(u, problem.low, problem)
    on_high = _on(u, problem.high, problem)
    bound = on_low | on_high
    noise = np.sqrt(sums.scores) + 1e-300
    wrong = (on_low & (sums.slope < -1e-4 * noise)) | (on_high & (sums.slope > 1e-4 * noise))
    free = sums.rotated[:-1][~bound]
    norm = np.sqrt((free**2).sum(axis=1))
    flat = bool((norm == 0).any())
    scaled = free / np.where(norm > 0, norm, 1.0)[:, None]
    singular = np.linalg.svd(scaled, compute_uv=False) if scaled.size else np.ones(1)
    kappa = np.inf if flat or singular[-1] == 0 else float(singular[0] / singular[-1])
    perfect = max(residual.max(), -residual.min()) <= _PERFECT * _size(problem)
    rounding = _rounding(problem, objective, scale)
    score = _score_test(scaled[norm > 0], sums.rotated[-1], max(dof, 1), rounding)
    in_band = -1
    threshold = getattr(objective, "threshold", None)
    if threshold is not None:
        in_band = int(((residual >= -threshold) & (residual <= threshold)).sum())
    judged = bool(scaled.size) and kappa <= _ONE_COLUMN_TWICE and not perfect
    judged = judged and not 0 <= in_band < 2 * problem.p
    step_se, hess_min = (
        _curvature(problem, objective, u, scale, sums, ~bound) if judged else (np.nan, np.nan)
    )
    # What sums of a few roundings of the target do to the objective is no disagreement.
    blur = 8e-16 * _size(problem) * sums.pull
    reeval = _reevaluated(objective, residual, weight, scale, solver_value, blur)
    starts, agree, minima, rival = _agreement(problem, objective, ends, u)
    found: list[tuple[Status, Note | None]] = [("converged", None)]
    bounds = tuple(n for n, b in zip(names, bound, strict=True) if b)
    wrong_side = tuple(n for n, b in zip(names, wrong, strict=True) if b)
    if bounds:
        found.append(("at-bound", doubts.AT_BOUND.note(_bound_words(problem, u, on_low, on_high))))
    if kappa > 1e8 or (math.isfinite(hess_min) and hess_min <= -1e-9):
        found.append(
            ("not-identified", doubts.NOT_IDENTIFIED.note(_trade_off(scaled, names, bound, kappa)))
        )
    elif kappa > 1e6:
        found.append(
            (
                "weakly-identified",
                doubts.WEAKLY_IDENTIFIED.note(_trade_off(scaled, names, bound, kappa)),
            )
        )
    failures = _failures(score, step_se, reeval, wrong_side, capped and not perfect)
    if failures:
        found.append(("not-converged", doubts.NOT_CONVERGED.note("; ".join(failures))))
    if rival:
        found.append(("multiple-minima", doubts.MULTIPLE_MINIMA.note(rival)))
    notes = [note for _, note in found if note]
    if agree < 3 and starts >= 3 and not rival:
        notes.append(
            doubts.FEW_STARTS_AGREE.note(
                f"{agree} of {starts} searches ended at the best objective"
            )
        )
    if dof <= 2:
        notes.append(doubts.FEW_DEGREES.note(f"{problem.n} rows and {problem.p} free parameters"))
    if 0 <= in_band < 2 * problem.p:
        notes.append(
            doubts.FEW_ROWS_IN_BAND.note(
                f"{in_band} of {problem.n} rows lie within delta = {threshold:g}"
            )
        )
    status = max((s for s, _ in found), key=STATUSES.index)
    return Certificate(
        status=status, score=score, kappa=kappa, step_se=step_se, hess_min=hess_min, bounds=bounds,
        wrong_side=wrong_side, starts=starts, agree=agree, minima=minima, reeval=reeval,
        deriv=sums.deriv, in_band=in_band, dof=dof, notes=tuple(notes),
    )  # fmt: skip


def _failures(
    score: float, step_se: float, reeval: float, wrong_side: tuple[str, ...], capped: bool
) -> list[str]:
    failures = []
    if not score <= 1e-2:
        failures.append(f"the score is {score:.1e} of its own noise, at a minimum it is below 1e-4")
    if step_se > 0.1:
        failures.append(f"the next Newton step would be {step_se:.2g} standard errors long")
    if not reeval <= 1e-9:
        failures.append(f"the objective recomputed differs by {reeval:.1e}")
    if wrong_side:
        failures.append(f"the objective falls away from the bound of {', '.join(wrong_side)}")
    if capped and not score <= 1e-4:
        failures.append("the search ended at its cap of evaluations")
    return failures


@dataclass(frozen=True, eq=False)
class _Sums:
    """What is asked of all rows at an estimate.

    Attributes:
        slope: Of the objective, shape (p,).
        scores: Sum over rows of the squares of their scores, shape (p,).
        rotated: Rows of root weight times Jacobian, and of root weight times psi, turned so that
            p + 1 numbers hold what n did: every inner product is as it was, shape (p + 1, p + 1).
        pull: Sum of weight times |psi|.
        deriv: Largest relative difference between the solver's Jacobian and complex steps.
    """

    slope: Array
    scores: Array
    rotated: Array
    pull: float
    deriv: float


def _sums(problem: Problem, objective: Any, u: Array, residual: Array, scale: float) -> _Sums:
    slope, scores, pull = np.zeros(problem.p), np.zeros(problem.p), 0.0
    apart, size = np.zeros(problem.p), np.full(problem.p, 1e-300)
    tall = np.empty((0, problem.p + 1))
    for some in slices(problem.n):
        part = problem.rows(some)
        psi = _score(objective, residual[some], scale)
        jacobian = complex_jacobian(part, u)
        rows = jacobian * part.weight * psi
        slope -= rows.sum(axis=1)
        scores += (rows**2).sum(axis=1)
        pull += float((part.weight * np.abs(psi)).sum())
        tall = triangle(tall, (np.vstack([jacobian, psi]) * np.sqrt(part.weight)).T)
        gap = np.abs(part.evaluate(u[None])[1][0] - jacobian)
        apart = np.maximum(apart, gap.max(axis=1))
        size = np.maximum(size, np.abs(jacobian).max(axis=1))
    return _Sums(slope, scores, tall.T, pull, float(np.max(apart / size)))


def complex_jacobian(problem: Problem, u: Array) -> Array:
    """Derivative of the prediction of the target in u, shape (p, n), by complex step.

    Source: Squire & Trapp 1998, SIAM Review 40(1).
    """
    moved = u + _STEP * 1j * np.eye(problem.p)
    return np.asarray(_predictions(problem, moved).imag / _STEP)


def _predictions(problem: Problem, u: Any) -> Any:
    """Predictions of the target, shape (B, n), at search vectors (B, p), real or complex."""
    theta = np.repeat(problem.fixed[None].astype(u.dtype), len(u), axis=0)
    theta[:, list(problem.free)] = np.where(problem.log, np.exp(np.where(problem.log, u, 0)), u)
    with np.errstate(all="ignore"):
        value = problem.law.predict(theta, problem.inputs)
        value = np.broadcast_to(value, (len(u), problem.n))
        return np.log(value) if problem.log_target else value


def _residual(problem: Problem, u: Array) -> Array:
    found = np.empty(problem.n)
    for some in slices(problem.n):
        part = problem.rows(some)
        found[some] = part.target - _predictions(part, u[None])[0]
    return found


def _scale(objective: Any, residual: Array, weight: Array) -> float:
    return float(objective.scale(residual[None], weight[None])[0])


def _score(objective: Any, residual: Array, scale: float) -> Array:
    """Derivative of each row's penalty, shape (n,), by central differences of the penalty."""
    step = 1e-5 * np.maximum(np.abs(residual), 1e-3 * max(scale, 1e-300))
    at = np.array([[scale]])
    up = objective.rho((residual + step)[None], at)[0]
    down = objective.rho((residual - step)[None], at)[0]
    return np.asarray((up - down) / (2 * step))


def _stiffness(objective: Any, residual: Array, scale: float) -> Array:
    """Second derivative of each row's penalty, shape (n,), likewise."""
    step = 2e-4 * np.maximum(np.abs(residual), max(scale, 1e-300))
    around = np.stack([residual - step, residual, residual + step])
    down, here, up = objective.rho(around, np.full((3, 1), scale))
    return np.asarray((up - 2 * here + down) / step**2)


def _on(u: Array, edge: Array, problem: Problem) -> np.ndarray:
    finite = np.isfinite(edge)
    place = np.where(finite, edge, 0.0)
    width = np.minimum(problem.high - problem.low, np.maximum(np.abs(place), 1.0))
    return finite & (np.abs(u - place) <= 1e-6 * width)


def _size(problem: Problem) -> float:
    """What rounding of the target is relative to; a loss near 1 has a logarithm near 0."""
    return max(float(np.abs(problem.target).max()), 1.0 if problem.log_target else 0.0)


def _rounding(problem: Problem, objective: Any, scale: float) -> float:
    """What rounding of the target to twelve digits does to psi.

    Perfect data leave rounding alone, which lies in the tangent space as well as beside it.
    """
    small = np.array([0.1 * scale])
    stiffness = float(_score(objective, small, scale)[0] / small[0])
    return 1e-12 * _size(problem) * stiffness


def _score_test(scaled: Array, psi: Array, dof: int, rounding: float) -> float:
    if not scaled.size:
        return 0.0
    # Columns that repeat others span nothing of their own: a QR would make a direction up.
    q, size, _ = np.linalg.svd(scaled.T, full_matrices=False)
    q = q[:, size > size[0] / _ONE_COLUMN_TWICE]
    inside = float(np.linalg.norm(q.T @ psi)) / math.sqrt(q.shape[1])
    outside = max(float(np.linalg.norm(psi)) / math.sqrt(dof), rounding, 1e-300)
    return inside / outside


def _curvature(
    problem: Problem,
    objective: Any,
    u: Array,
    scale: float,
    sums: _Sums,
    free: BoolArray,
) -> tuple[float, float]:
    """Remaining Newton step in standard errors, and the Hessian's least relative eigenvalue.

    The score is that of all rows; the Hessian of very many is that of rows spread evenly.
    """
    at = np.flatnonzero(free)
    share = max(1, problem.n // _CURVED_ROWS)
    some = problem.rows(slice(None, None, share))
    spread = np.sqrt((sums.rotated[at] ** 2).sum(axis=1))
    width = np.maximum(np.abs(u[at]), 1.0)
    steps = np.minimum(
        1e-4 * scale / np.maximum(spread, 1e-300) * math.sqrt(problem.n), 1e-4 * width
    )
    steps = np.maximum(np.where(np.isfinite(steps), steps, 1e-6), 1e-9 * width)
    residual = some.target - _predictions(some, u[None])[0]
    stiffness = _stiffness(objective, residual, scale)
    pull = some.weight * _score(objective, residual, scale)
    slopes = complex_jacobian(some, u)[at]
    hessian = (slopes * (some.weight * stiffness)) @ slopes.T
    hessian = share * (hessian - _law_bends(some, u, at, steps, pull))
    norm = np.sqrt(np.abs(np.diag(hessian)))
    if not np.isfinite(hessian).all() or (norm == 0).any():
        return np.nan, np.nan
    scaled = hessian / np.outer(norm, norm)
    values = np.linalg.eigvalsh(scaled)
    try:
        inverse = np.linalg.inv(scaled) / np.outer(norm, norm)
    except np.linalg.LinAlgError:
        return np.nan, float(values[0] / values[-1])
    # Row by row: of a sum of scores that the inverse all but cancels rounding may leave nothing.
    moves = (slopes * pull).T @ inverse
    error = np.sqrt(np.maximum(share * (moves**2).sum(axis=0), 1e-300))
    least = 1e-14 * np.maximum(np.abs(u[at]), 1e-8)
    remaining = np.abs(inverse @ sums.slope[at]) / np.maximum(error, least)
    return float(np.max(remaining)), float(values[0] / values[-1])


def _law_bends(problem: Problem, u: Array, at: IntArray, steps: Array, pull: Array) -> Array:
    """Second derivatives of the prediction in the parameters `at`, pull (n,) on each row: (k, k).

    Differences of complex steps: each pair of parameters is looked at once.
    """
    j, k = np.triu_indices(at.size)
    unit = np.eye(problem.p)[at]
    bends, each = np.empty(len(j)), max(1, _TOGETHER // problem.n)
    for i in range(0, len(j), each):
        one, other = j[i : i + each], k[i : i + each]
        move, aside = steps[one, None] * unit[one], _STEP * 1j * unit[other]
        up, down = _predictions(problem, u + move + aside), _predictions(problem, u - move + aside)
        bends[i : i + each] = ((up - down).imag @ pull) / (2 * _STEP * steps[one])
    whole = np.zeros((at.size, at.size))
    whole[j, k] = whole[k, j] = bends
    return whole


def _reevaluated(
    objective: Any, residual: Array, weight: Array, scale: float, solver_value: float, blur: float
) -> float:
    """Relative difference beyond `blur` of the objective summed anew, row by row, with fsum."""
    at = np.array([[scale]])
    again = math.fsum(
        math.fsum(weight[some] * objective.rho(residual[None, some], at)[0])
        for some in slices(residual.size)
    )
    size = max(abs(again), abs(solver_value), float(weight.sum()) * 1e-20)
    return max(0.0, abs(again - solver_value) - blur) / size if size > 0 else 0.0


def _agreement(
    problem: Problem, objective: Any, ends: Solution, u: Array
) -> tuple[int, int, int, str]:
    """Searches, how many agree with the best, distinct minima near it, and a rival in words."""
    values = np.where(np.isfinite(ends.value), ends.value, np.inf)
    best = float(values.min())
    # A likelihood has no natural zero, so that differences are compared with its size.
    weight = problem.weight[None, :]
    here = problem.residual(u[None])
    state = objective.begin(here, weight, cold=False)
    size = abs(
        float(
            sum_over(
                problem.n,
                lambda some: objective.measure(here[:, some], weight[:, some], state).size,
            )[0]
        )
    )
    gap = (values - best) / max(size, 1e-300)
    # On perfect data objectives differ by rounding alone; there one curve is one answer.
    each = max(1, _TOGETHER // problem.n)
    pieces = [ends.u[i : i + each] for i in range(0, len(ends.u), each)]
    apart = np.concatenate([_each_apart(problem.residual(some), here) for some in pieces])
    gap = np.where(apart <= _ONE_CURVE, 0.0, gap)
    agree = int((gap <= 1e-6).sum())
    noise = float(np.linalg.norm(here)) / math.sqrt(problem.n) + 1e-12
    minima: list[Array] = [here]
    rival = ""
    for k in np.argsort(gap):
        if not (1e-6 < gap[k] <= 1e-2) or not ends.converged[k]:
            continue
        other = problem.residual(ends.u[k : k + 1])
        if any(_apart(other, m) <= 0.1 * noise for m in minima):
            continue
        minima.append(other)
        if gap[k] <= 1e-4 and not rival:
            rival = (
                f"a second minimum lies {gap[k]:.1e} above the best, relative, and predicts the "
                f"runs up to {100 * _apart(other, here):.2g} % otherwise"
            )
    if agree == 1 and values.size > 100 and (gap <= 1e-4).sum() > 1 and not rival:
        rival = f"only one of {values.size} searches reached the best objective"
    return int(values.size), agree, len(minima), rival


def _apart(a: Array, b: Array) -> float:
    return float(_each_apart(a, b).max())


def _each_apart(a: Array, b: Array) -> Array:
    """The greatest difference in each row of a, shape (B,), from the only row of b."""
    parts = [np.abs(a[:, some] - b[:, some]).max(axis=1) for some in slices(a.shape[1])]
    return np.asarray(np.max(parts, axis=0))


def _bound_words(problem: Problem, u: Array, low: BoolArray, high: BoolArray) -> str:
    words = []
    theta = problem.centred(u[None])[0]
    for k, i in enumerate(problem.free):
        if low[k] or high[k]:
            name = problem.law.names[i]
            side = "lower" if low[k] else "upper"
            plain = f" ({theta[i]:.4g})" if not problem.law.parameters[i].units else ""
            words.append(f"{name} sits on its {side} bound{plain}")
    return "; ".join(words)


def _trade_off(scaled: Array, names: list[str], bound: BoolArray, kappa: float) -> str:
    """The flattest direction in words."""
    kept = [n for n, b in zip(names, bound, strict=True) if not b]
    if not scaled.size:
        return "nothing is left to identify"
    _, _, directions = np.linalg.svd(scaled.T, full_matrices=False)
    weakest = np.abs(directions[-1])
    named = [kept[i] for i in np.argsort(-weakest) if weakest[i] > 0.3]
    return f"{' and '.join(named)} trade off against each other (condition number {kappa:.1e})"
