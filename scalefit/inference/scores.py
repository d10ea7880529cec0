"""How good forecasts were: error, bias, calibration, CRPS and coverage, by distance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scalefit.core.observations import Array, BoolArray, IntArray
from scalefit.core.records import dataclass, names_of
from scalefit.core.sorting import distinct
from scalefit.inference.fitting import Fit
from scalefit.inference.forecasts import Forecasts, budgets, fits_below, spread_below

DISTANCES: Mapping[str, tuple[float, float]] = {
    "inside": (-1.0, 0.0),
    "to 0.5 decades": (0.0, 0.5),
    "0.5 to 1.5 decades": (0.5, 1.5),
    "beyond 1.5 decades": (1.5, np.inf),
}
# A standard error of the log loss: a factor of 22,000 either way says nothing of a loss.
BOUNDLESS = 10.0


@dataclass(frozen=True)
class Score:
    """Some forecasts in numbers, all relative to the loss.

    Attributes:
        forecasts: How many.
        rmse: Root mean square error.
        mean_error: Actual less forecast.
        z: Root mean square of error over standard error, if the law is exactly right: near 1 if
            the intervals that trust the law mean what they say.
        crps: Mean continuous ranked probability score of those forecasts as normal laws; nan if
            one of them had no bounds, for the mean would be of that one alone.
        coverage: Share inside the interval that trusts the law.
        boundless: How many had a standard error as good as infinite.
    """

    forecasts: int
    rmse: float
    mean_error: float
    z: float
    crps: float
    coverage: float
    boundless: int


def score(told: Forecasts, level: float) -> Score:
    """Scores of all the forecasts; nan where there are none."""
    if not told.count:
        nan = float("nan")
        return Score(0, nan, nan, nan, nan, nan, 0)
    se = np.sqrt(np.maximum(told.variance, 1e-300))
    wild = ~(se <= BOUNDLESS)
    return Score(
        forecasts=told.count,
        rmse=float(np.sqrt(np.mean(told.error**2))),
        mean_error=float(np.mean(told.error)),
        z=float(np.sqrt(np.mean((told.error / se) ** 2))),
        crps=float("nan") if wild.any() else float(np.mean(crps_normal(told.error, se))),
        coverage=told.coverage(level),
        boundless=int(wild.sum()),
    )


def score_by_distance(told: Forecasts, level: float) -> dict[str, Score]:
    """Scores by the distance beyond what was fitted, for distances that occur."""
    found = {}
    for words, (low, high) in DISTANCES.items():
        chosen = (told.decades > low) & (told.decades <= high)
        if chosen.any():
            found[words] = score(_taken(told, chosen), level)
    return found


def _taken(told: Forecasts, chosen: BoolArray) -> Forecasts:
    return Forecasts(**{name: getattr(told, name)[chosen] for name in names_of(Forecasts)})


def crps_normal(error: Array, sd: Array) -> Array:
    """CRPS of a normal forecast whose outcome missed its mean by `error`.

    Source: Gneiting & Raftery 2007, JASA 102(477), eq. 21.
    """
    from scipy.special import ndtr

    z = error / sd
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(sd * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi)))


def leave_one_out(fit: Fit) -> Forecasts:
    """Each whole budget forecast from all the others, the smallest and the largest included."""
    return _left_out(fit, budgets(fit.runs.scale))


def leave_one_group_out(fit: Fit) -> Forecasts | None:
    """Each group of runs forecast from all the others; None where runs know of no groups."""
    if "group" not in fit.runs.beside:
        return None
    return _left_out(fit, np.unique(fit.runs.beside["group"], return_inverse=True)[1])


def _left_out(fit: Fit, label: IntArray) -> Forecasts:
    """Mean error of the rows of each label, by the fit to all the others."""
    runs, p = fit.runs, fit.problem.p
    count = int(label.max(initial=0)) + 1
    kept = [
        b
        for b in range(count)
        if count > 2 and distinct(runs.cluster[label != b]).size >= p + 3
        and ((label == b) & (runs.weight > 0)).any()
    ]  # fmt: skip
    if not kept:
        empty = np.empty(0)
        return Forecasts(empty, empty, empty, empty, empty, np.empty(0, dtype=np.int64), empty)
    others = np.array([label != b for b in kept])
    u, scale = fits_below(fit, others)
    rows = []
    residual, jacobian = fit.problem.evaluate(u)
    if not fit.problem.log_target:
        predicted = np.maximum(fit.problem.target - residual, 1e-300)
        residual = np.log(np.maximum(fit.problem.target, 1e-300)) - np.log(predicted)
        jacobian = jacobian / predicted[:, None, :]
    for k, b in enumerate(kept):
        at = (label == b) & (runs.weight > 0)
        if not np.isfinite(residual[k][at]).all():
            continue
        covariance, noise = spread_below(fit, others[k], u[k], float(scale[k]), p)
        slope = jacobian[k][:, at].mean(axis=1)
        here = float(np.exp(np.log(runs.scale[at]).mean()))
        rest = runs.scale[others[k]]
        away = max(0.0, float(np.log10(here / rest.max())), float(np.log10(rest.min() / here)))
        rows.append(
            (
                float(rest.max()), here, away, float(residual[k][at].mean()),
                float(slope @ covariance @ slope) + noise**2 / int(at.sum()), int(at.sum()),
                float(others[k].sum() - p),
            )
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
