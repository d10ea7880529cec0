"""How much worse the law fits when one prediction of it is held elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.records import replace
from scalefit.inference.fitting import Fit
from scalefit.inference.objectives import Gaussian
from scalefit.inference.solver import solve

_PULL = 1e5  # weight of the held prediction, in whole sets of runs
_LADDER = (0.15, 0.4, 1.0)
_MOST_STEPS = 60


def prediction_se(fit: Fit, point: Mapping[str, Array]) -> float:
    """Standard error of the log loss at a point (inputs of shape (1,)), to first order.

    Infinite where the runs leave a direction of the parameters without any curvature.
    """
    at = replace(
        fit.problem,
        inputs=tuple(
            np.asarray(point[name], dtype=float) / fit.problem.units[name]
            for name in fit.law.inputs
        ),
        target=np.zeros(1),
        weight=np.ones(1),
    )
    return _se_along(fit, at.evaluate(fit.u[None])[1][0][:, 0])


def parameter_se(fit: Fit, name: str) -> float:
    """Standard error of a parameter as it is searched (its log, if so), to first order; 0 if held.

    Infinite as above.
    """
    number = fit.law.index(name)
    if number not in fit.problem.free:
        return 0.0
    return _se_along(fit, np.eye(fit.problem.p)[fit.problem.free.index(number)])


def _se_along(fit: Fit, slope: Array) -> float:
    """Standard error of a quantity with that slope in the search vector, shape (p,)."""
    problem, objective = fit.problem, fit.objective
    residual, jacobian = problem.evaluate(fit.u[None])
    weight = fit.runs.weight[None]
    measure = objective.measure(residual, weight, objective.begin(residual, weight, cold=False))
    rows = jacobian[0] * np.sqrt(weight * np.maximum(measure.safe, 0))
    width = np.sqrt(np.maximum((rows**2).sum(axis=1), 1e-300))
    left, size, _ = np.linalg.svd(rows / width[:, None], full_matrices=False)
    if (size <= 1e-12 * size[0]).any():
        return float("inf")
    along = left.T @ (slope / width)
    # The curvature of a t likelihood is in units of its scale already; that of squares is not.
    unit = 1.0 if objective.name == "t" else fit.scale
    return float(np.sqrt(((along / size) ** 2).sum()) * unit)


def deviance_at(fit: Fit, point: Mapping[str, Array], shifts: Array) -> Array:
    """Twice the fall in log-likelihood with the log loss at a point moved by each shift.

    The runs keep the weights that the objective gives them at the estimate, so that outliers stay
    outliers; the point is held by a pseudo-run of great weight. Each shift is approached in steps,
    each from where the last one ended. The value is that of the curve that was reached: infinite
    where no curve of the law goes there.

    Args:
        fit: At a minimum.
        point: Inputs of the law, shape (1,) each.
        shifts: Shape (s,).
    """
    problem, objective = fit.problem, fit.objective
    inputs = [np.asarray(point[name], dtype=float) for name in fit.law.inputs]
    value = float(fit.law.predict(fit.theta[None], inputs)[0, 0])
    if not (np.isfinite(value) and value > 0):
        return np.zeros(shifts.shape)
    residual = problem.residual(fit.u[None])
    weight = fit.runs.weight[None]
    measure = objective.measure(residual, weight, objective.begin(residual, weight, cold=False))
    robust = fit.runs.weight * np.maximum(measure.safe[0], 0)
    robust = robust / robust.sum()
    base = float(objective.log_likelihood(residual, weight)[0])
    found = np.empty(shifts.shape)
    for k, shift in enumerate(shifts):
        u = fit.u[None]
        for part in _LADDER:
            target = value * np.exp(part * shift)
            held = replace(
                problem,
                inputs=tuple(
                    np.append(own, at / problem.units[name])
                    for name, own, at in zip(fit.law.inputs, problem.inputs, inputs, strict=True)
                ),
                target=np.append(problem.target, np.log(target) if problem.log_target else target),
                weight=np.append(robust, _PULL),
            )
            u = solve(held, Gaussian(), held.weight[None], u, cold=True, limit=_MOST_STEPS).u
        there = float(fit.law.predict(problem.theta(u), inputs)[0, 0])
        reached = abs(np.log(max(there, 1e-300) / value) - shift) <= 0.05 * abs(shift)
        worse = base - float(objective.log_likelihood(problem.residual(u), weight)[0])
        found[k] = 2 * worse if reached else np.inf
    return found
