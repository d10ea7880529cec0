"""What the residuals of a fit say: outliers, leverage, uneven or structured scatter, tails."""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement

import numpy as np

from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass, replace
from scalefit.core.sorting import median
from scalefit.core.tails import chi_square_tail, f_tail, normal_tail
from scalefit.inference.fitting import Fit
from scalefit.inference.objectives import Gaussian, StudentT
from scalefit.inference.problem import Problem

PERFECT = 1e-9  # residuals this small are rounding, of which nothing can be said
_OUTLYING = 5.0
_TAILS = (2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 50.0)
_FEWEST = 8


@dataclass(frozen=True)
class Check:
    """One test of the residuals; nan where it could not be made.

    Attributes:
        statistic: What was computed.
        p_value: How often residuals without the fault reach it.
        ratio: Size of the fault in plain terms, as the test says.
    """

    statistic: float
    p_value: float
    ratio: float = float("nan")


NO_CHECK = Check(float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class Residuals:
    """Residuals of the log loss, looked at from every side.

    Attributes:
        relative: Residuals of the log loss, shape (n,).
        leverage: Share of its own fitted value that each row determines, shape (n,).
        standard: Residuals in robust standard deviations, corrected for leverage, shape (n,).
        outliers: Places of rows beyond five of them, worst first.
        scatter: Score test of |residual| on the log of the scale; ratio: scatter of the smaller
            third of the runs over that of the larger third.
        order: Rank von Neumann test along the scale; ratio: 2 for none, less for runs of one sign.
        structure: F test of curvature beyond the law, its p-value combined with that of the
            inputs' acting together; ratio: share of the variance that all of it explains.
        tail: Degrees of freedom of the best Student t; infinite for normal tails.
    """

    relative: Array
    leverage: Array
    standard: Array
    outliers: IntArray
    scatter: Check
    order: Check
    structure: Check
    tail: float


def log_problem(fit: Fit) -> Problem:
    """The problem with the log loss as its target, whatever the fit's objective works on."""
    if fit.problem.log_target:
        return fit.problem
    return replace(fit.problem, target=np.log(np.maximum(fit.runs.loss, 1e-300)), log_target=True)


def examined(fit: Fit) -> Residuals:
    """The residuals of a fit and what stands out in them.

    Sources: Koenker 1981, Journal of Econometrics 17(1) (scatter); Bartels 1982, Journal of the
    American Statistical Association 77(377) (order).
    """
    residual, jacobian = evaluated(fit)
    leverage = leverage_of(jacobian, fit.runs.weight)
    spread = 1.4826 * float(median(np.abs(residual)))
    n, p = residual.size, fit.problem.p
    spread *= float(np.sqrt(n / max(1, n - p)))
    free = np.sqrt(np.maximum(1 - leverage, 1e-6))
    judged = spread > PERFECT and n >= _FEWEST
    standard = residual / (spread * free) if spread > PERFECT else np.zeros(n)
    far = np.flatnonzero(np.abs(standard) > _OUTLYING)
    return Residuals(
        relative=residual,
        leverage=leverage,
        standard=standard,
        outliers=far[np.argsort(-np.abs(standard[far]), kind="stable")].astype(np.int64),
        scatter=_scatter(fit, np.abs(residual) / free) if judged else NO_CHECK,
        order=_order(fit, residual) if judged else NO_CHECK,
        structure=structure_of(fit, residual, jacobian) if judged else NO_CHECK,
        tail=_tail(residual, fit.runs.weight) if judged else float("nan"),
    )


def evaluated(fit: Fit) -> tuple[Array, Array]:
    """Residuals of the log loss (n,), and its derivatives (p, n)."""
    residual, jacobian = log_problem(fit).evaluate(fit.u[None])
    return residual[0], jacobian[0]


def misfit(fit: Fit) -> float:
    """P-value of the test that `structure_of` is; nan where it cannot be made.

    Residuals that are rounding, or that leave the doubles, show no shape.
    """
    residual, jacobian = evaluated(fit)
    if not np.isfinite(residual).all() or np.abs(residual).max() < PERFECT:
        return 1.0
    return structure_of(fit, residual, jacobian).p_value


def leverage_of(jacobian: Array, weight: Array) -> Array:
    """Diagonal of the hat matrix, shape (n,), from a Jacobian (p, n) and row weights (n,)."""
    root = np.sqrt(weight)
    rows = (jacobian * root).T
    size = np.sqrt((rows**2).sum(axis=0))
    q, width, _ = np.linalg.svd(rows / np.where(size > 0, size, 1.0), full_matrices=False)
    return np.asarray((q[:, width > 1e-10 * width[0]] ** 2).sum(axis=1))


def _by_cluster(fit: Fit, values: Array) -> Array:
    """Mean over the rows of each cluster: rows of one run are one piece of evidence."""
    cluster = fit.runs.cluster
    return np.asarray(np.bincount(cluster, values) / np.bincount(cluster))


def _scatter(fit: Fit, size: Array) -> Check:
    size, scale = _by_cluster(fit, size), _by_cluster(fit, np.log(fit.runs.scale))
    if scale.std() == 0 or size.std() == 0 or size.size < _FEWEST:
        return NO_CHECK
    r = float(np.corrcoef(scale, size)[0, 1])
    statistic = size.size * r**2
    order = np.argsort(scale, kind="stable")
    third = max(2, size.size // 3)
    small, large = float(size[order[:third]].mean()), float(size[order[-third:]].mean())
    ratio = small / max(large, 1e-300)
    return Check(statistic, chi_square_tail(statistic), ratio)


def _order(fit: Fit, residual: Array) -> Check:
    values, scale = _by_cluster(fit, residual), _by_cluster(fit, np.log(fit.runs.scale))
    n = values.size
    if n < _FEWEST:
        return NO_CHECK
    rank = np.argsort(np.argsort(values[np.argsort(scale, kind="stable")], kind="stable"))
    centred = rank - rank.mean()
    ratio = float((np.diff(rank.astype(float)) ** 2).sum() / (centred**2).sum())
    variance = 4 * (n - 2) * (5 * n**2 - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2)
    z = (ratio - 2) / np.sqrt(variance)
    return Check(float(z), 2 * normal_tail(abs(z)), ratio)


def structure_of(fit: Fit, residual: Array, jacobian: Array) -> Check:
    """Whether products of the log inputs, beyond what the law can do, explain residuals.

    All products are tested jointly, and those of two different inputs also by themselves: how
    inputs act together is where laws of several inputs differ, and two or more squares that
    explain nothing would hide it. The two p-values are combined.

    What is explained are the scores that the objective makes of the residuals: a bad run counts no
    more than in the fit, and a sound one in full.

    Args:
        fit: The estimate.
        residual: Of the log loss, shape (n,).
        jacobian: Its derivatives, shape (p, n).

    Sources: Schrader & Hettmansperger 1980, Biometrika 67(1) (tests from M-estimates); Tukey 1949,
    Biometrics 5(3) (one degree of freedom for what is not additive); Liu & Xie 2020, JASA 115(529)
    (combining dependent tests).
    """
    joint = _explained(fit, residual, jacobian, _curvature(fit))
    if len(fit.law.inputs) == 1 or not np.isfinite(joint.p_value):
        return joint
    across = _explained(fit, residual, jacobian, _interaction(fit))
    if not np.isfinite(across.p_value):
        return joint
    return replace(joint, p_value=_combined(np.array([joint.p_value, across.p_value])))


def _combined(p_values: Array) -> float:
    """Cauchy combination: the mean of Cauchy quantiles is nearly Cauchy however they depend."""
    # Held off 0 and 1, where a quantile is infinite and one test alone would decide.
    mean = float(np.mean(np.tan((0.5 - np.clip(p_values, 1e-15, 0.99)) * np.pi)))
    return float(np.arctan2(1.0, mean) / np.pi)


def _explained(fit: Fit, residual: Array, jacobian: Array, extra: Array) -> Check:
    """F test of added columns, shape (q, n), beside the law's own."""
    root = np.sqrt(fit.runs.weight)
    inside = basis((jacobian * root).T)
    rows = (extra * root).T
    rows = rows - inside @ (inside.T @ rows)
    kept = (rows**2).sum(axis=0) > 1e-10 * ((extra * root) ** 2).sum(axis=1)
    outside = basis(rows[:, kept])
    n, p, q = residual.size, inside.shape[1], outside.shape[1]
    if not q or fit.runs.clusters - p - q < 3:
        return NO_CHECK
    right = root * _score(fit, residual)
    right = right - inside @ (inside.T @ right)
    total = float(right @ right)
    if total <= 0:
        return NO_CHECK
    share = float(((outside.T @ right) ** 2).sum()) / total
    if fit.runs.clusters == n:
        statistic = (share / q) / ((1 - share) / (n - p - q))
        return Check(statistic, f_tail(q, n - p - q, statistic), share)
    return _clustered(fit, outside * right[:, None], p, share)


def _clustered(fit: Fit, scores: Array, p: int, share: float) -> Check:
    """The same by scores summed over clusters (Hotelling's T squared); the fit took p degrees."""
    groups, q = fit.runs.clusters, scores.shape[1]
    summed = np.zeros((groups, q))
    np.add.at(summed, fit.runs.cluster, scores)
    total = summed.sum(axis=0)
    spread = summed - total / groups
    statistic = float(total @ np.linalg.pinv(spread.T @ spread) @ total) * (groups - 1) / groups
    statistic *= (groups - q) / ((groups - 1) * q)
    return Check(statistic, f_tail(q, groups - p - q, statistic), share)


def _curvature(fit: Fit) -> Array:
    """Products of two log inputs, and for one input its square and cube, shape (q, n)."""
    logs = [np.log(fit.runs.inputs[name]) for name in fit.law.inputs]
    logs = [(v - v.mean()) / max(float(v.std()), 1e-300) for v in logs]
    if len(logs) == 1:
        return np.stack([logs[0] ** 2, logs[0] ** 3])
    return np.stack([a * b for a, b in combinations_with_replacement(logs, 2)])


def _interaction(fit: Fit) -> Array:
    """Products of two different log inputs, shape (q, n)."""
    logs = [np.log(fit.runs.inputs[name]) for name in fit.law.inputs]
    return np.stack([(a - a.mean()) * (b - b.mean()) for a, b in combinations(logs, 2)])


def _score(fit: Fit, residual: Array) -> Array:
    """Derivative of the objective in each residual, shape (n,): the residual for least squares."""
    objective = fit.objective if fit.problem.log_target else Gaussian()
    row, weight = residual[None], fit.runs.weight[None]
    found = objective.measure(row, weight, objective.begin(row, weight, cold=False))
    return np.asarray(found.psi[0])


def basis(rows: Array) -> Array:
    """Orthonormal basis of the columns, shape (n, rank)."""
    if not rows.size:
        return np.zeros((rows.shape[0], 0))
    size = np.sqrt((rows**2).sum(axis=0))
    q, width, _ = np.linalg.svd(rows / np.where(size > 0, size, 1.0), full_matrices=False)
    return np.asarray(q[:, width > 1e-8 * max(float(width[0]), 1e-300)])


def _tail(residual: Array, weight: Array) -> float:
    best, found = -np.inf, float("inf")
    for nu in (*_TAILS, float("inf")):
        kind = StudentT(nu) if np.isfinite(nu) else Gaussian()
        value = float(kind.log_likelihood(residual[None], weight[None])[0])
        if value > best:
            best, found = value, nu
    return found
