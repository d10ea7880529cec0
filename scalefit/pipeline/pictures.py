"""Pictures of a report: what the estimates say, handed to the figures as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalefit.core import flops
from scalefit.core.observations import Array
from scalefit.inference.allocation import best_size
from scalefit.inference.forecasts import noise_of
from scalefit.inference.prediction import axes_of, farthest, loss_band
from scalefit.pipeline.steps import Compared, Estimate
from scalefit.tables import figures
from scalefit.tables.reports import Figure

_GRID = 240


def fit_figures(estimate: Estimate, budgets: Sequence[float]) -> tuple[Figure, ...]:
    """Loss against scale, residuals, and for laws of N and D the surface with its frontier."""
    pictures = [curve_figure(estimate), residual_figure(estimate)]
    if estimate.law.inputs == ("N", "D"):
        pictures.insert(1, contour_figure(estimate, budgets))
    return tuple(pictures)


def curve_figure(estimate: Estimate) -> Figure:
    """Runs and the law along its scale: the efficient frontier for laws of N and D."""
    fit = estimate.fit
    runs = fit.runs
    low, high = float(runs.scale.min()), float(runs.scale.max())
    grid = np.geomspace(low, high * min(100.0, high / low), _GRID)
    points = figures.Points(
        scale=runs.scale, loss=runs.loss, size=runs.inputs.get("N") if "N" in runs.inputs else None
    )
    label = estimate.law.name
    place = _frontier(estimate, grid)
    if place is None:
        return figures.loss_against_scale(
            points, [], fitted=(low, high), scale=runs.scale_name, level=estimate.level
        )
    if estimate.law.inputs == ("N", "D"):
        label = f"{label}, best N and D"
    kept = np.isfinite(next(iter(place.values())))
    inputs = {name: values[kept] for name, values in place.items()}
    away = farthest(axes_of(runs, inputs, grid[kept]))
    band = loss_band(fit, estimate.draws, estimate.law_error, inputs, away, estimate.level)
    curve = figures.Curve(
        label, grid[kept], band.loss, low=band.headline.low, high=band.headline.high
    )
    return figures.loss_against_scale(
        points, [curve], fitted=(low, high), scale=runs.scale_name, level=estimate.level
    )


def _frontier(estimate: Estimate, grid: Array) -> dict[str, Array] | None:
    """Inputs along the scale; None where one scale does not determine them."""
    law = estimate.law
    if len(law.inputs) == 1 and estimate.roles[law.inputs[0]] == estimate.fit.runs.scale_name:
        return {law.inputs[0]: grid}
    if law.inputs == ("N", "D"):
        n = np.exp(best_size(law, estimate.fit.theta[None], grid)[0])
        return {"N": n, "D": flops.tokens_for(grid, n)}
    return None


def contour_figure(estimate: Estimate, budgets: Sequence[float]) -> Figure:
    """The loss surface with runs, frontier and the budgets asked for."""
    fit, runs = estimate.fit, estimate.fit.runs
    n, d = runs.inputs["N"], runs.inputs["D"]
    compute = np.geomspace(float(runs.scale.min()), max([float(runs.scale.max()), *budgets]), _GRID)
    best = np.exp(best_size(estimate.law, fit.theta[None], compute)[0])
    sound = np.isfinite(best)
    along = flops.tokens_for(compute[sound], best[sound])
    edges_n = [*n, *best[sound]]
    edges_d = [*d, *along]
    grid_n = np.geomspace(min(edges_n) / 1.6, max(edges_n) * 1.6, 90)
    grid_d = np.geomspace(min(edges_d) / 1.6, max(edges_d) * 1.6, 90)
    across = np.broadcast_to(grid_n, (90, 90)).ravel()
    up = np.repeat(grid_d, 90)
    loss = estimate.law.predict(fit.theta[None], [across, up])[0].reshape(90, 90)
    frontier = figures.Frontier(compute[sound], best[sound], along)
    return figures.contours(
        figures.Surface(grid_n, grid_d, loss),
        (n, d),
        frontier=frontier if sound.any() else None,
        optima=_optima(estimate, budgets),
        largest=float(runs.scale.max()),
        level=estimate.level,
    )


def _optima(estimate: Estimate, budgets: Sequence[float]) -> list[figures.Optimum]:
    from scalefit.pipeline.steps import allocate

    if not budgets:
        return []
    found = allocate(estimate, list(budgets), allow_unconverged=True, i_know=True)
    marked = []
    for k, budget in enumerate(found.budget):
        best, low, high = (
            float(end[k]) for end in (found.N.value, found.N_headline.low, found.N_headline.high)
        )
        line = np.geomspace(np.fmin(low, best / 30), np.fmax(high, best * 30), 60)
        marked.append(
            figures.Optimum(
                budget=float(budget),
                N=best,
                D=float(found.D.value[k]),
                N_low=low,
                N_high=high,
                line_N=line,
                line_D=flops.tokens_for(budget, line),
            )
        )
    return marked


def residual_figure(estimate: Estimate) -> Figure:
    """Residuals in % of the loss against the scale and the first input."""
    fit, runs = estimate.fit, estimate.fit.runs
    predicted = fit.law.predict(fit.theta[None], [runs.inputs[i] for i in fit.law.inputs])[0]
    against = {runs.scale_name: runs.scale}
    if "N" in runs.inputs:
        against["N"] = runs.inputs["N"]
    sigma = noise_of(fit, fit.scale, int((runs.weight > 0).sum()))
    return figures.residuals(
        figures.Residuals(
            percent=100 * (runs.loss / predicted - 1), row=runs.row, sigma=100 * sigma
        ),
        against,
    )


def forecast_figure(compared: Compared, level: float) -> Figure | None:
    """Forecast errors of the compared laws; None if there are no forecasts."""
    from scalefit.core.tails import t_quantile

    series = []
    for one in compared.comparison.laws:
        told = one.forecasts
        if not told.count:
            continue
        reach = np.array([t_quantile((1 + level) / 2, max(df, 1.0)) for df in told.df])
        # With the sign of the table beside it: actual less forecast.
        middle = 100 * told.error
        width = 100 * reach * np.sqrt(told.variance)
        series.append(
            figures.Forecasts(
                one.fit.law.name, told.decades, middle, low=middle - width, high=middle + width
            )
        )
    return figures.forecasts(series, level=level) if series else None
