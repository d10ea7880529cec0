"""Delta method: slopes of a quantity times the cluster-robust covariance."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.records import dataclass
from scalefit.core.tails import t_quantile
from scalefit.inference.fitting import Fit
from scalefit.inference.solver import Solution
from scalefit.inference.uncertainty.base import METHODS, Interval
from scalefit.inference.uncertainty.sandwich import STEP, covariance_root


@METHODS.add
@dataclass(frozen=True)
class Delta:
    """First-order error propagation of a cluster-robust covariance, t with G - 1 degrees.

    It needs no refit: a quantity is looked at a hundredth of a standard error to either side of
    the estimate, along the columns of a root of the covariance.

    Source: Cameron & Miller 2015, Journal of Human Resources 50(2), section II.
    """

    name: ClassVar[str] = "delta"
    words: ClassVar[str] = "delta-method-t"

    def refits(self, fit: Fit, seed: int, start: int, stop: int) -> Solution:
        """Points to either side of the estimate: one replicate of 2p rows."""
        root = covariance_root(fit.problem, fit.objective, fit.u, fit.runs.weight, fit.runs.cluster)
        u = np.stack([fit.u + STEP * root.T, fit.u - STEP * root.T], axis=1)
        u = u.reshape(-1, fit.u.size)
        rows = np.full(len(u), fit.value)
        sound = np.asarray(np.isfinite(u).all(axis=1))
        return Solution(u, rows, rows, sound, np.zeros(len(u), dtype=np.int64))

    def count(self, runs: Observations) -> int:
        """One."""
        return 1

    def df(self, fit: Fit) -> float:
        """One less than the clusters."""
        return fit.runs.clusters - 1

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """Estimate -/+ t times the propagated standard error."""
        slope = (values[0::2] - values[1::2]) / (2 * STEP)
        se = np.sqrt((slope**2).sum(axis=0))
        reach = t_quantile((1 + level) / 2, df) * se
        return Interval(estimate, se, estimate - reach, estimate + reach)
