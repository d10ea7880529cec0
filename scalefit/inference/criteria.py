"""AICc from the likelihood that was fitted, and how many runs the rows are worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.sorting import median
from scalefit.inference.evidence import kinships
from scalefit.inference.fitting import Fit

STRUCTURE_LEVEL = 0.01  # method.md 1.6: residuals are called ordered below it
_LEAST_SPARE = 0.1
_CARRIED = np.linspace(0, 0.98, 50)  # correlations of neighbours that are tried


def log_likelihood(fit: Fit) -> float:
    """Largest log-likelihood over the objective's scale, at the estimate."""
    return float(fit.objective.log_likelihood(fit.residual[None], fit.runs.weight[None])[0])


def aicc(fit: Fit) -> float:
    """AICc of a fit; its scale counts as a parameter; infinite where the runs are too few.

    Source: Hurvich & Tsai 1989, Biometrika 76(2).
    """
    n, k = _rows(fit), fit.problem.p + 1
    if n <= k + 1:
        return float("inf")
    return 2 * k - 2 * log_likelihood(fit) + 2 * k * (k + 1) / (n - k - 1)


def bic(fit: Fit) -> float:
    """Schwarz's criterion: shown beside AICc, ranks nothing."""
    return (fit.problem.p + 1) * float(np.log(_rows(fit))) - 2 * log_likelihood(fit)


def effective_aicc(fit: Fit, share: float) -> float:
    """AICc when each row is worth `share` of an independent run; the plain AICc at 1.

    Where rows are worth fewer runs than parameters can be told from, the correction stays finite
    but grows with every parameter.
    """
    n, k = share * _rows(fit), fit.problem.p + 1
    correction = 2 * k * (k + 1) / max(n - k - 1, _LEAST_SPARE)
    return 2 * k - 2 * share * log_likelihood(fit) + correction


def serial_aicc(fit: Fit) -> float:
    """AICc where errors may carry over from one row to the next along the scale; plain if less.

    Each law is thus judged under the noise that is kindest to it: a smooth misfit may pass for
    noise that drifts, at the price of one more parameter.

    Source: first-order autoregression, its exact likelihood (Box & Jenkins 1970, section 7.1).
    """
    plain, runs = aicc(fit), fit.runs
    kept = runs.weight > 0
    n, k = _rows(fit), fit.problem.p + 2
    if runs.clusters < runs.n or n <= k + 1:
        return plain
    order = np.argsort(runs.scale[kept], kind="stable")
    r, weight = fit.residual[kept][order], runs.weight[kept][order]
    carried = _CARRIED[:, None]
    first = r[:1] * np.sqrt(1 - carried**2)
    fresh = np.concatenate([first, r[1:] - carried * r[:-1]], axis=1)
    told = fit.objective.log_likelihood(fresh, np.repeat(weight[None], _CARRIED.size, axis=0))
    best = float(np.max(told + np.log(1 - _CARRIED**2) / 2))
    return min(plain, 2 * k - 2 * best + 2 * k * (k + 1) / (n - k - 1))


def _rows(fit: Fit) -> int:
    return int((fit.runs.weight > 0).sum())


def effective_share(fits: Sequence[Fit]) -> float:
    """How much of an independent run each row is worth, in the mean over laws.

    Counted are rows of one cluster that err alike, of one model size or setting where that is no
    chance by any of the laws (p < 0.05), and for laws of one input neighbours along it (p <= 0.01).

    Source: Kish 1965 (design effect 1 + (m - 1) rho); Bartlett 1946 (n (1 - r)/(1 + r)).
    """
    if not fits:
        return 1.0
    kin = float(np.mean(_design_effects(fits)))
    serial = float(np.mean([_along_the_scale(fit) for fit in fits]))
    return (1 - serial) / (1 + serial) / kin


def _along_the_scale(fit: Fit) -> float:
    if len(fit.law.inputs) > 1 or von_neumann_p(fit) > STRUCTURE_LEVEL:
        return 0.0
    return serial_correlation(fit)


def _design_effects(fits: Sequence[Fit]) -> list[float]:
    """What errors shared within clusters, or by runs of one size or setting, cost each law, or 1.

    Rows of one cluster are declared to go together, so how much they do is only estimated. Runs of
    one size or setting are not: every law must find that they do, for one that misses how the loss
    goes with size takes its own misfit for a shared error.
    """
    kin = [kinships(fit) for fit in fits]
    found = [[own.get(fit.runs.cluster_name) for fit, own in zip(fits, kin, strict=True)]]
    for by in ("N", "setting"):
        alike = [
            own.get(by) if len(fit.law.inputs) > 1 else None
            for fit, own in zip(fits, kin, strict=True)
        ]
        if all(one.shown for one in alike if one is not None):
            found.append(alike)
    return [
        max((one.design_effect for one in each if one is not None), default=1.0)
        for each in zip(*found, strict=True)
    ]


def log_residual(fit: Fit) -> Array:
    """Log loss less its prediction, whatever the objective's target, shape (n,)."""
    predicted = fit.law.predict(fit.theta[None], [fit.runs.inputs[i] for i in fit.law.inputs])[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.log(np.maximum(fit.runs.loss, 1e-300)) - np.log(predicted)
    return found


def ordered_residual(fit: Fit) -> Array:
    """One residual per cluster, along the scale."""
    runs = fit.runs
    count = np.bincount(runs.cluster)
    r = np.bincount(runs.cluster, log_residual(fit)) / count
    at = np.bincount(runs.cluster, np.log(runs.scale)) / count
    return np.asarray(r[np.argsort(at, kind="stable")])


def serial_correlation(fit: Fit) -> float:
    """Correlation of neighbouring residuals along the scale, 0 to 0.99; outliers are held in."""
    r = ordered_residual(fit)
    if r.size < 4 or not np.isfinite(r).all() or not r.any():
        return 0.0
    reach = 4 * float(median(np.abs(r))) / 0.6745
    r = np.clip(r, -reach, reach) if reach > 0 else r
    return float(np.clip((r[1:] * r[:-1]).sum() / (r**2).sum(), 0.0, 0.99))


def von_neumann_p(fit: Fit) -> float:
    """Probability of residuals as ordered along the scale as these, were their order chance.

    The ratio is that of their ranks, so that one outlier does not hide the order of the rest.

    Source: von Neumann 1941, Annals of Mathematical Statistics 12(4); ranks: Bartels 1982,
    JASA 77(377).
    """
    from scipy.special import ndtr

    r = ordered_residual(fit)
    n = r.size
    if n < 5 or not np.isfinite(r).all() or float(np.abs(r).max()) < 1e-9:
        return 1.0
    rank = np.argsort(np.argsort(r, kind="stable"), kind="stable") - (n - 1) / 2
    ratio = float((np.diff(rank) ** 2).sum() / (rank**2).sum())
    spread = np.sqrt(4 * (n - 2) * (5 * n**2 - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2))
    return float(ndtr((ratio - 2) / spread))
