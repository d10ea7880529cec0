"""What the law would have forecast at each earlier stage, and how wrong it was per decade."""

from __future__ import annotations

from typing import Literal

import numpy as np

from scalefit.core.observations import Array, BoolArray, IntArray, Observations
from scalefit.core.records import dataclass
from scalefit.core.sorting import distinct
from scalefit.core.tails import t_quantile
from scalefit.inference.fitting import Fit
from scalefit.inference.scales import budgets as budgets  # part of what a forecast is
from scalefit.inference.solver import solve
from scalefit.inference.starts import candidates

_LEAST_CURVATURE = 0.05  # in any direction, as a share of the mean's
# The field's value at one decade, assumed where none can be estimated.
# tests/statistics/test_prequential.py prints what public tables show.
ASSUMED_TAU = 0.02
# Scale of the prior of a law whose misfit is seen among the runs it was fitted to, and of one that
# shows none; between p-values of 0 and of the last the one turns into the other.
_SEEN, _UNSEEN, _NO_SIGN = 0.025, 0.003, 0.2
_PRIOR_TOP = 1.0
_FEWEST = 3


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Forecasts of whole budgets from the budgets below a cut; one entry per pair, shape (k,).

    Attributes:
        cut: Largest scale that was fitted.
        scale: Scale of the budget that was forecast (geometric mean of its runs).
        decades: Distance from the cut to it.
        error: Mean of log actual loss less log forecast.
        variance: Of that mean if the law is exactly right: parameters and run noise.
        rows: Runs in the budget.
        df: Degrees of freedom of the fit below the cut.
    """

    cut: Array
    scale: Array
    decades: Array
    error: Array
    variance: Array
    rows: IntArray
    df: Array

    @property
    def count(self) -> int:
        """Number of forecasts."""
        return int(self.error.size)

    def coverage(self, level: float) -> float:
        """Share of errors inside the interval that trusts the law; nan without forecasts."""
        if not self.count:
            return float("nan")
        reach = np.array([t_quantile((1 + level) / 2, max(df, 1.0)) for df in self.df])
        return float(np.mean(np.abs(self.error) <= reach * np.sqrt(self.variance)))


@dataclass(frozen=True)
class LawError:
    """Relative error of the law beyond the data.

    Attributes:
        tau: At one decade, relative to the loss; of the best split what `split_error` says.
        source: Whether the runs showed it or the field's value was assumed.
        forecasts: Forecasts it rests on.
    """

    tau: float
    source: Literal["estimated", "assumed"]
    forecasts: int


@dataclass(frozen=True, eq=False)
class Stages:
    """A fit gone back to: what it would have been below every cut that holds enough runs.

    Attributes:
        label: Budget of each run, shape (n,).
        cuts: Largest budget that was known at each stage, shape (K,).
        below: Runs that were known, shape (K, n).
        u: Search vectors then, shape (K, p).
        scale: Scales of the residuals then, shape (K,).
    """

    label: IntArray
    cuts: tuple[int, ...]
    below: BoolArray
    u: Array
    scale: Array


def stages(fit: Fit) -> Stages:
    """All earlier stages of the runs of a fit; there are none where budgets or runs are few."""
    label = budgets(fit.runs.scale)
    last = int(label.max(initial=0))
    cuts = tuple(c for c in range(2, last) if _enough(fit.runs, label <= c, fit.problem.p))
    below = label <= np.array(cuts, dtype=np.int64)[:, None]
    if not cuts:
        return Stages(label, cuts, below, np.empty((0, fit.problem.p)), np.empty(0))
    return Stages(label, cuts, below, *fits_below(fit, below))


def rolling_origin(fit: Fit, past: Stages | None = None) -> Forecasts:
    """Forecast every budget from the fits below every cut under it; `past` if they are known.

    Source: Tashman 2000, International Journal of Forecasting 16(4) (rolling origin).
    """
    runs, p = fit.runs, fit.problem.p
    past = past or stages(fit)
    label, below, u, scale = past.label, past.below, past.u, past.scale
    last = int(label.max(initial=0))
    if not past.cuts:
        empty = np.empty(0)
        return Forecasts(empty, empty, empty, empty, empty, np.empty(0, dtype=np.int64), empty)
    rows: list[tuple[float, ...]] = []
    residual, jacobian = fit.problem.evaluate(u)
    if not fit.problem.log_target:
        # Forecast errors are compared across budgets relative to the loss.
        predicted = fit.problem.target - residual
        residual = np.log(fit.problem.target) - np.log(np.maximum(predicted, 1e-300))
    for k, c in enumerate(past.cuts):
        covariance, noise = spread_below(fit, below[k], u[k], float(scale[k]), p)
        for b in range(c + 1, last + 1):
            at = (label == b) & (runs.weight > 0)
            if not at.any() or not np.isfinite(residual[k][at]).all():
                continue
            slope = jacobian[k][:, at].mean(axis=1)
            if not fit.problem.log_target:
                slope = (jacobian[k][:, at] / fit.problem.target[at]).mean(axis=1)
            target = float(np.exp(np.log(runs.scale[at]).mean()))
            cut = float(runs.scale[below[k]].max())
            variance = float(slope @ covariance @ slope) + noise**2 / int(at.sum())
            rows.append(
                (cut, target, max(0.0, np.log10(target / cut)), float(residual[k][at].mean()),
                 variance, int(at.sum()), float(below[k].sum() - p))
            )  # fmt: skip
    columns = np.array(rows, dtype=float).reshape(-1, 7).T
    return Forecasts(
        cut=columns[0],
        scale=columns[1],
        decades=columns[2],
        error=columns[3],
        variance=columns[4],
        rows=columns[5].astype(np.int64),
        df=columns[6],
    )


def _enough(runs: Observations, below: BoolArray, p: int) -> bool:
    groups = distinct(runs.cluster[below & (runs.weight > 0)]).size
    return int(groups) >= max(2 * p, 10)


def fits_below(fit: Fit, below: BoolArray) -> tuple[Array, Array]:
    """Search vectors (K, p) and scales (K,) of the fits below each cut."""
    starts, owner = [], []
    for k, mask in enumerate(below):
        part = fit.runs.take(mask)
        own = candidates(fit.law, part, fit.objective.log_target, most=512)
        own = fit.problem.search(own)
        values = fit.objective.value(fit.problem.residual(own), (mask * fit.runs.weight)[None])
        order = np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")[:6]
        starts.append(np.concatenate([fit.u[None], own[order]]))
        owner += [k] * (len(order) + 1)
    weight = below[owner] * fit.runs.weight
    ends = solve(fit.problem, fit.objective, weight, np.concatenate(starts), cold=True)
    best = np.array(
        [
            min(
                (j for j, o in enumerate(owner) if o == k),
                key=lambda j: ends.value[j] if np.isfinite(ends.value[j]) else np.inf,
            )
            for k in range(len(below))
        ]
    )
    residual = fit.problem.residual(ends.u[best])
    return ends.u[best], fit.objective.scale(residual, weight[best])


def spread_below(fit: Fit, below: BoolArray, u: Array, scale: float, p: int) -> tuple[Array, float]:
    """Cluster-robust covariance of u (p, p) below a cut, and the noise of one run (relative)."""
    problem, objective = fit.problem, fit.objective
    residual, jacobian = problem.evaluate(u[None])
    # A parameter on its bound stays there in every refit, as it does behind an interval.
    free = (u > problem.low) & (u < problem.high)
    jacobian = jacobian * free[:, None]
    weight = (below * fit.runs.weight)[None]
    state = objective.begin(residual, weight, cold=False)
    found = objective.measure(residual, weight, state)
    # A sandwich asks for psi'. A kink has it nowhere, so it is the slope over a band about each
    # residual, as wide as a density of so many rows can be told (Silverman 1986, section 3.4).
    reach = max(0.9 * scale * int(below.sum()) ** -0.2, 1e-12)
    above, under = (
        objective.measure(residual + by, weight, state).psi[0] for by in (reach, -reach)
    )
    rows = jacobian[0] * weight[0]
    inverse = _inverse(rows, jacobian[0], (above - under) / (2 * reach), found.safe[0])
    label = fit.runs.cluster[below]
    scores = np.zeros((p, int(label.max()) + 1))
    np.add.at(scores.T, label, (rows * found.psi[0]).T[below])
    groups = distinct(label).size
    meat = scores @ scores.T * groups / max(1, groups - int(free.sum()))
    return inverse @ meat @ inverse, noise_of(fit, scale, int(below.sum()))


def _inverse(rows: Array, jacobian: Array, sharp: Array, safe: Array) -> Array:
    """Inverse of rows * sharp @ jacobian.T, (p, p), from rows and Jacobian of shape (p, n).

    Where that is not clearly positive definite, its mean stands for each row's slope of psi, and
    in the last resort the parabola above the penalty.
    """
    plain = rows @ jacobian.T
    width = np.sqrt(np.maximum(np.diag(plain), 1e-300))
    value, vector = np.linalg.eigh(plain / np.outer(width, width))
    seen = value > 1e-12 * value[-1]
    white = vector[:, seen] / np.sqrt(value[seen]) / width[:, None]
    used = np.abs(rows).max(axis=0) > 0
    mean = float(sharp[used].mean())
    curved = white.T @ (rows * sharp) @ jacobian.T @ white
    if mean <= 0:
        curved = white.T @ (rows * safe) @ jacobian.T @ white
    elif float(np.linalg.eigvalsh(curved)[0]) < _LEAST_CURVATURE * mean:
        curved = mean * np.eye(int(seen.sum()))
    return np.asarray(white @ np.linalg.pinv(curved) @ white.T)


def noise_of(fit: Fit, scale: float, rows: int) -> float:
    """Standard deviation of one run about the law, relative to the loss.

    The objective's scale, as the standard deviation it stands for, with the usual correction for
    the parameters that were fitted.
    """
    objective = fit.objective
    factor = 1.0
    if objective.name == "t" and objective.nu > 2:
        factor = float(np.sqrt(objective.nu / (objective.nu - 2)))
    if not fit.problem.log_target:
        factor /= float(np.exp(np.mean(np.log(np.maximum(fit.problem.target, 1e-300)))))
    return scale * factor * float(np.sqrt(rows / max(1, rows - fit.problem.p)))


def law_error(forecasts: Forecasts, misfit: float = float("nan")) -> LawError:
    """Law error at one decade: its posterior root mean square under a half-Cauchy prior.

    The likelihood of each forecast error e at distance h with model variance v is
    N(e; 0, v + tau^2 h^3). Forecasts of one budget from several cuts hold the same surprise, so
    that together they count as one: a composite likelihood (Varin, Reid & Firth 2011). The prior
    is that of Gelman 2006 for a rarely measured scale. Its own scale depends on what the residuals
    say: laws that misfit the runs they know are off by a few per cent a decade further on, those
    of accuracies and of other far losses by much more; laws without a sign of it are nearly right.
    Coverage on tables that this was not chosen on: tests/statistics/test_prequential.py.

    Args:
        forecasts: Of each budget from below.
        misfit: P-value of the law's lack of fit to all runs; nan, where no test could be made,
            is no good sign.
    """
    away = forecasts.decades > 0
    if int(away.sum()) < _FEWEST:
        return LawError(ASSUMED_TAU, "assumed", int(away.sum()))
    tau = rate(
        forecasts.error[away], forecasts.variance[away], growth(forecasts.decades[away]),
        forecasts.scale[away], typical=typical_error(misfit), top=_PRIOR_TOP,
    )  # fmt: skip
    return LawError(tau, "estimated", int(away.sum()))


def typical_error(misfit: float) -> float:
    """Scale of the prior of a law's error at one decade, by the p-value of its lack of fit."""
    if not np.isfinite(misfit):
        return _SEEN
    return float(_SEEN * (_UNSEEN / _SEEN) ** min(misfit / _NO_SIGN, 1.0))


def growth(decades: Array) -> Array:
    """Size of the law's error at a distance beyond the data, as a multiple of that at one decade.

    A law holds level and slope of the loss at the edge of its data. If from there on the true slope
    wanders from the law's as a random walk, the error grows with the power 3/2 of the distance.
    Earlier forecasts on the tables it was chosen on are likelier so than with a slope that is wrong
    from the edge on (power 1): tests/statistics/test_prequential.py.

    Source: integrated Wiener process, Wahba 1978, J. R. Statist. Soc. B 40(3).
    """
    return np.asarray(decades, dtype=float) ** 1.5


def rate(
    error: Array,
    variance: Array,
    distance: Array,
    scale: Array,
    *,
    top: float,
    typical: float = np.inf,
) -> float:
    """Posterior root mean square of an error per unit of distance.

    Args:
        error: Of each forecast, shape (k,).
        variance: Of each if the law is exactly right, shape (k,).
        distance: Of each, shape (k,), positive.
        scale: Of what was forecast, shape (k,): equal ones count together as one.
        top: End of the prior.
        typical: Scale of the half-Cauchy prior; flat if not given.
    """
    # Even in the cube root, fine where a rate is small and reaching far enough for a large one.
    root = np.linspace(0, 1, 1201)
    tau = top * root**3
    _, same, count = np.unique(np.round(np.log(scale), 6), return_inverse=True, return_counts=True)
    spread = variance[:, None] + tau[None, :] ** 2 * distance[:, None] ** 2
    each = -0.5 * (np.log(spread) + error[:, None] ** 2 / spread)
    log_density = (each / count[same.ravel()][:, None]).sum(axis=0) - np.log1p((tau / typical) ** 2)
    density = root**2 * np.exp(log_density - log_density.max())
    return float(np.sqrt((density * tau**2).sum() / density.sum()))
