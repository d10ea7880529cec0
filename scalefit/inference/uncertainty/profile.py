"""Profile likelihood: how far a quantity can go before the runs object."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, BoolArray, IntArray, Observations
from scalefit.core.records import dataclass
from scalefit.core.tails import t_quantile
from scalefit.inference.fitting import Fit
from scalefit.inference.solver import Solution
from scalefit.inference.uncertainty.base import METHODS, Interval

Quantity = Callable[[Array], Array]
_SLOPE_STEP = 1e-5
_MOST_ROUNDS = 60
_DONE = 1e-7
_TOUCH = 1e-9
_MATTERS = 1e-3


@METHODS.add
@dataclass(frozen=True)
class Profile:
    """Signed root of the profile likelihood, with open ends reported as open.

    An interval holds every value that some law has whose likelihood falls by less than the
    Student-t allowance below the best one's. Ends that no fall closes before a parameter reaches
    its bound are infinite. It assumes one noise for all rows.

    Source: Bates & Watts 1988, section 6.1; ends by steps along the edge of the likelihood region
    as in Venzon & Moolgavkar 1988, Applied Statistics 37(1).
    """

    name: ClassVar[str] = "profile"
    words: ClassVar[str] = "profile-likelihood-t"

    def refits(self, fit: Fit, seed: int, start: int, stop: int) -> Solution:
        """The estimate twice: the method searches instead of drawing."""
        u = np.repeat(fit.u[None], 2, axis=0)
        value = np.repeat(fit.value, 2)
        return Solution(u, value, value, np.ones(2, dtype=bool), np.zeros(2, dtype=np.int64))

    def count(self, runs: Observations) -> int:
        """One."""
        return 1

    def df(self, fit: Fit) -> float:
        """Of the t allowance: rows less free parameters."""
        return degrees(fit)

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """None: draws do not say how far a quantity can go."""
        none = np.full(estimate.shape, np.nan)
        return Interval(estimate, none, none, none)

    def search(self, fit: Fit, of: Quantity, level: float) -> Interval:
        """Interval of a quantity that is a function of the parameters.

        Args:
            fit: At a minimum.
            of: The quantity, shape (R, m), from parameters of shape (R, P).
            level: Such as 0.95.
        """
        estimate = np.asarray(of(fit.theta[None]))[0]
        ends = np.array(
            [
                [extreme(fit, _only(of, k), side, level) for k in range(estimate.size)]
                for side in (-1.0, 1.0)
            ]
        )
        reach = t_quantile((1 + level) / 2, degrees(fit))
        # An open end has no standard error of its own; the other side's stands for both.
        width = np.where(np.isfinite(ends), np.abs(ends - estimate), np.nan)
        with np.errstate(invalid="ignore"):
            known = np.isfinite(width).sum(axis=0)
            se = np.where(known > 0, np.nansum(width, axis=0) / np.maximum(known, 1), np.nan)
        return Interval(estimate, se / reach, ends[0], ends[1])


def _only(of: Quantity, k: int) -> Quantity:
    return lambda theta: np.asarray(of(theta))[:, k]


def degrees(fit: Fit) -> float:
    """Rows less free parameters."""
    return float(max(1, int((fit.runs.weight > 0).sum()) - fit.problem.p))


def allowance(fit: Fit, level: float) -> float:
    """Fall of the log-likelihood at which an interval ends: exact for normal noise."""
    df = degrees(fit)
    t = t_quantile((1 + level) / 2, df)
    return float(fit.runs.weight.sum()) / 2 * math.log1p(t**2 / df)


def first_order_reach(fit: Fit, level: float) -> Array:
    """How far each search coordinate may go if the likelihood is a parabola, shape (p,)."""
    metric = _metric(fit, _movable(fit, np.zeros(fit.u.size)))
    return np.sqrt(2 * allowance(fit, level) * np.maximum(np.diag(metric), 0))


@dataclass(frozen=True)
class _Region:
    """Parameters whose likelihood is not too low."""

    fit: Fit
    best: float
    allowed: float

    def fall(self, u: Array) -> Array:
        """Fall of the log-likelihood less what is allowed, shape (B,): negative inside."""
        residual = self.fit.problem.residual(u)
        likelihood = self.fit.objective.log_likelihood(residual, self.fit.runs.weight[None])
        fall = self.best - likelihood - self.allowed
        return np.where(np.isfinite(fall), fall, np.inf)

    def boxed(self, u: Array) -> Array:
        """The nearest point of the box."""
        return np.clip(u, self.fit.problem.low, self.fit.problem.high)

    def edge(self, step: Array) -> Array | None:
        """Where the way from the estimate along a step leaves the region; None if it does not."""
        ways = self.fit.u + np.outer(2.0 ** np.arange(-8.0, 21.0), step)
        outside = np.flatnonzero(self.fall(self.boxed(ways)) > 0)
        if not outside.size:
            return None
        far = 2.0 ** (float(outside[0]) - 8.0)
        low, high = far / 2 if outside[0] else 0.0, far
        for _ in range(5):
            # Sixteen points at once: five rounds leave a millionth of the way.
            tries = np.linspace(low, high, 17)
            over = self.fall(self.boxed(self.fit.u + np.outer(tries, step))) > 0
            first = int(np.argmax(over)) if over.any() else 16
            low, high = tries[max(first - 1, 0)], tries[first]
        return self.boxed(self.fit.u + (low + high) / 2 * step)


def extreme(fit: Fit, of: Quantity, side: float, level: float) -> float:
    """The largest (side 1) or smallest (side -1) value that the runs allow; infinite if open.

    From the first-order end of the region, steps along its edge follow the part of the quantity's
    slope that the likelihood does not resist, until that part is nothing.
    """
    problem = fit.problem
    residual, weight = fit.residual[None], fit.runs.weight[None]
    best = float(fit.objective.log_likelihood(residual, weight)[0])
    region = _Region(fit, best, allowance(fit, level))
    here = float(of(fit.theta[None])[0])
    slope = side * _slope(fit, of, fit.u)
    metric = _metric(fit, _movable(fit, slope))
    along = metric @ slope
    length = math.sqrt(max(float(slope @ along), 0.0))
    if length == 0:
        return side * math.inf if _stopped(fit, fit.u, slope).any() else here
    unit = math.sqrt(2 * region.allowed) / length
    u = region.edge(unit * along)
    if u is None:
        return side * math.inf
    value = side * float(of(problem.theta(u[None]))[0])
    size = 1.0
    for _ in range(_MOST_ROUNDS):
        step = _tangent(fit, u, side * _slope(fit, of, u), metric)
        if step is None:
            break
        moved = region.edge(region.boxed(u + size * step * unit) - fit.u)
        if moved is None:
            return side * math.inf
        gained = side * float(of(problem.theta(moved[None]))[0]) - value
        if gained > 0:
            u, value = moved, value + gained
            size = min(2 * size, 1.0)
            if gained <= _DONE * abs(value - side * here):
                break
        else:
            size /= 4
            if size < 1e-6:
                break
    # Where the way on leads through a bound, the bound made this end and not the runs.
    push = side * _slope(fit, of, u)
    weighty = np.abs(push) * np.sqrt(np.maximum(np.diag(metric), 0)) > _MATTERS * length
    return side * math.inf if (_stopped(fit, u, push) & weighty).any() else side * value


def _movable(fit: Fit, slope: Array) -> BoolArray:
    """Parameters off their bounds, and those that the slope takes off them, shape (p,)."""
    low, high = fit.u <= fit.problem.low, fit.u >= fit.problem.high
    return ~(low | high) | (low & (slope > 0)) | (high & (slope < 0))


def _metric(fit: Fit, movable: BoolArray) -> Array:
    """Inverse curvature of the log-likelihood, zero for what may not move, shape (p, p)."""
    residual, jacobian = fit.problem.evaluate(fit.u[None])
    weight = fit.runs.weight[None]
    found = fit.objective.measure(
        residual, weight, fit.objective.begin(residual, weight, cold=False)
    )
    rows = jacobian[0] * np.where(movable, 1.0, 0.0)[:, None]
    safe = (rows * weight[0] * np.maximum(found.safe[0], 0)) @ rows.T
    # A likelihood's curvature is in units of its scale already; that of squares is not.
    unit = 1.0 if fit.objective.name == "t" else fit.scale**2
    width = np.sqrt(np.maximum(np.diag(safe), 1e-300))
    scaled = safe / np.outer(width, width)
    inverse = np.linalg.pinv(scaled, rcond=1e-14) / np.outer(width, width) * unit
    # What rounding leaves of a direction without width would be as long as the width is small.
    return np.where(np.outer(movable, movable), inverse, 0.0)


def _slope(fit: Fit, of: Quantity, u: Array) -> Array:
    """Slope of the quantity in u, shape (p,), by central differences of many points at once."""
    step = _SLOPE_STEP * np.maximum(np.abs(u), 1.0)
    ways = np.concatenate([u + np.diag(step), u - np.diag(step)])
    values = np.asarray(of(fit.problem.theta(ways)), dtype=float)
    slope = (values[: u.size] - values[u.size :]) / (2 * step)
    return np.where(np.isfinite(slope), slope, 0.0)


def _tangent(fit: Fit, u: Array, slope: Array, metric: Array) -> Array | None:
    """The part of the quantity's slope along the edge of the region; None where there is none."""
    residual, jacobian = fit.problem.evaluate(u[None])
    weight = fit.runs.weight[None]
    found = fit.objective.measure(
        residual, weight, fit.objective.begin(residual, weight, cold=False)
    )
    free = ~_stopped(fit, u, slope)
    resisted = np.where(free, -(jacobian[0] @ (weight[0] * found.psi[0])), 0.0)
    slope, metric = np.where(free, slope, 0.0), metric * np.outer(free, free)
    across = float(resisted @ metric @ resisted)
    if across <= 0:
        return None
    step = metric @ (slope - resisted * float(resisted @ metric @ slope) / across)
    return np.asarray(step)


def _stopped(fit: Fit, u: Array, slope: Array) -> BoolArray:
    """Parameters on their bound that the slope would push further, shape (p,)."""
    low, high = u <= fit.problem.low + _TOUCH, u >= fit.problem.high - _TOUCH
    return (low & (slope < 0)) | (high & (slope > 0))
