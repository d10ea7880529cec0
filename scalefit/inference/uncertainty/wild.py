"""Wild cluster bootstrap: residuals kept in place, their signs and sizes drawn by cluster."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.records import dataclass
from scalefit.inference.fitting import Fit
from scalefit.inference.residuals import leverage_of
from scalefit.inference.solver import Solution, joined
from scalefit.inference.streams import WILD, drawn
from scalefit.inference.uncertainty.base import METHODS, Interval
from scalefit.inference.uncertainty.percentiles import check_draws
from scalefit.inference.uncertainty.sandwich import STEP, around, covariance_root
from scalefit.inference.uncertainty.targets import fitted_target, refit_to_targets

_WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])


@METHODS.add
@dataclass(frozen=True)
class WildCluster:
    """Webb weights by cluster, leverage corrected, studentised; keeps the design whole.

    Replicate 0 is the estimate itself. Each replicate has p more rows, a little to the side of
    its refit along a root of its own cluster-robust covariance, so that every quantity has a
    standard error in every replicate.

    Attributes:
        draws: Number of replicates.

    Source: Cameron, Gelbach & Miller 2008, Review of Economics and Statistics 90(3); Webb 2023,
    Canadian Journal of Economics 56(3) (six points).
    """

    name: ClassVar[str] = "wild"
    words: ClassVar[str] = "wild-cluster-bootstrap-t"
    draws: int = 999

    def __post_init__(self) -> None:
        """Refuse a number of replicates that gives no quantiles or no end."""
        check_draws(self.draws)

    def refits(self, fit: Fit, seed: int, start: int, stop: int) -> Solution:
        """Refits to the law's losses with residuals times their cluster's weight."""
        runs, base = fit.runs, fitted_target(fit)
        jacobian = fit.problem.evaluate(fit.u[None])[1][0]
        free = np.maximum(1 - leverage_of(jacobian, runs.weight), 0.05)
        residual = fit.residual / free

        def target(b: int) -> Array:
            if b == 0:
                return fit.problem.target
            weight = _WEBB[drawn(seed, WILD, b, runs.clusters, _WEBB.size)]
            return np.asarray(base + residual * weight[runs.cluster])

        ends = refit_to_targets(fit, target, start, stop)
        parts = [_with_sides(fit, ends, k, target(b)) for k, b in enumerate(range(start, stop))]
        return joined(parts)

    def count(self, runs: Observations) -> int:
        """As many as asked for, and the estimate."""
        return self.draws + 1

    def df(self, fit: Fit) -> float:
        """One less than the clusters."""
        return fit.runs.clusters - 1

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """Percentile t: quantiles of (replicate - estimate) / its own standard error."""
        # The last row may be missing, but there are far more replicates than rows to each.
        block = -(-(int(number.max()) + 1) // (self.draws + 1))
        rows = np.full(((self.draws + 1) * block, estimate.size), np.nan)
        rows[number] = values
        whole = rows.reshape(-1, block, estimate.size)
        se = np.sqrt((((whole[:, 1:] - whole[:, :1]) / STEP) ** 2).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (whole[1:, 0] - whole[:1, 0]) / se[1:]
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.nanquantile(np.where(np.isfinite(ratio), ratio, np.nan), tails, axis=0)
        return Interval(estimate, se[0], estimate - high * se[0], estimate - low * se[0])


def _with_sides(fit: Fit, ends: Solution, k: int, target: Array) -> Solution:
    """Refit k and the points around it, all of one standing."""
    u = ends.u[k]
    own = fit.problem.residual(u[None])[0] + target - fit.problem.target
    root = covariance_root(
        fit.problem, fit.objective, u, fit.runs.weight, fit.runs.cluster, residual=own
    )
    rows = np.concatenate([u[None], around(u, root)])
    sound = bool(ends.converged[k]) and bool(np.isfinite(rows).all())
    count = len(rows)
    return Solution(
        u=rows,
        value=np.repeat(ends.value[k], count),
        state=np.repeat(ends.state[k], count),
        converged=np.full(count, sound),
        steps=np.repeat(ends.steps[k], count),
    )
