"""How far earlier stages were wrong about the best split, by how far off their middle it lay."""

from __future__ import annotations

import numpy as np

from scalefit.core.observations import Array, BoolArray
from scalefit.core.records import replace
from scalefit.core.sorting import distinct
from scalefit.inference.allocation import ASSUMED_SPLIT, best_size, off_middle, on_one_line
from scalefit.inference.fitting import Fit
from scalefit.inference.forecasts import LawError, Stages, rate, spread_below, stages
from scalefit.inference.uncertainty.sandwich import STEP, around

_PRIOR_TOP = 0.5
_FEWEST = 3
_LEAST_SHARE = 0.1


def split_error(fit: Fit, past: Stages | None = None) -> LawError:
    """Error rate of log N* per standard deviation of the budgets, as a posterior r.m.s.

    A law that bends otherwise than the runs is off about the slope of log N* in log C, so that
    its error grows with the distance from the middle of the budgets, not from their end, and the
    less the wider they are spread.

    Every stage's fit says where the best split of each larger budget lies; the fit to all runs,
    for which that budget is inside, says where it was. What the larger runs took from the
    stage's own variance is what a right law would be off by. `past` are the stages if known.

    Source: variance of the difference of nested estimates, Hausman 1978, Econometrica 46(6).
    """
    found = _forecasts(fit, past)
    if len(found) < _FEWEST:
        return replace(ASSUMED_SPLIT, forecasts=len(found))
    error, variance, decades, scale = np.array(found).T
    return LawError(rate(error, variance, decades, scale, top=_PRIOR_TOP), "estimated", len(found))


def _forecasts(fit: Fit, past: Stages | None) -> list[tuple[float, float, float, float]]:
    """Error of log N*, its variance, the distance and the budget of every forecast."""
    runs, p = fit.runs, fit.problem.p
    if fit.law.inputs != ("N", "D") or runs.scale_name != "C" or on_one_line(runs):
        return []
    past = past or stages(fit)
    label, below = past.label, past.below
    middle = np.array([np.exp(np.log(runs.scale[label == b]).mean()) for b in distinct(label)])
    everything = np.ones(runs.n, dtype=bool)
    now, known = _sizes(fit, fit.u, everything, fit.scale, middle, p)
    rows = []
    for k, c in enumerate(past.cuts):
        then, variance = _sizes(fit, past.u[k], below[k], float(past.scale[k]), middle, p)
        left = np.maximum(variance - known, _LEAST_SHARE * variance)
        away = off_middle(middle, runs.scale[below[k]])
        for b in range(c + 1, middle.size):
            if away[b] > 0 and np.isfinite([now[b], then[b], left[b]]).all():
                rows.append((now[b] - then[b], left[b], away[b], middle[b]))
    return [(float(e), float(v), float(h), float(s)) for e, v, h, s in rows]


def _sizes(
    fit: Fit, u: Array, below: BoolArray, scale: float, at: Array, p: int
) -> tuple[Array, Array]:
    """Log N* of budgets of shape (m,) and its variance, for the fit to some of the runs."""
    covariance, _ = spread_below(fit, below, u, scale, p)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    # What the runs below a cut hardly fix may lie further off than the law's own range.
    moved = np.clip(around(u, root), fit.problem.low, fit.problem.high)
    theta = fit.problem.theta(np.concatenate([u[None], moved]))
    size = best_size(fit.law, theta, at)
    return size[0], (((size[1:] - size[:1]) / STEP) ** 2).sum(axis=0)
