"""What would have been forecast at every earlier stage of real projects, and how it turned out."""

import csv
from dataclasses import dataclass, replace

import numpy as np

from scalefit.core.tails import t_quantile
from scalefit.inference.certificate import USABLE
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import law_error, rolling_origin
from scalefit.inference.prediction import axes_of, farthest, loss_band
from scalefit.inference.residuals import misfit
from scalefit.inference.scales import budgets
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")
FEWEST_RUNS, FEWEST_BUDGETS = 10, 3
HEADER = (
    "table", "cut", "runs_below", "scale", "decades", "rows", "error", "se_law", "se_new",
    "se_headline", "reach", "df", "tau", "tau_source", "refused",
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """Forecasts of runs above a cut, one entry per run or per budget, shape (k,).

    Attributes:
        table: Where it comes from.
        decades: Distance in compute beyond the cut; headlines grow with the farthest of it and of
            the inputs.
        error: Log of actual over forecast.
        exact: Half-width of the interval of the mean that trusts the law.
        plain: Half-width of the interval for one new run that trusts the law.
        headline: Half-width of the headline.
        reach: Quantile of t that all hold.
        df: Its degrees of freedom.
        refused: Whether it lies further beyond the cut than the data below it span.
    """

    table: np.ndarray
    decades: np.ndarray
    error: np.ndarray
    exact: np.ndarray
    plain: np.ndarray
    headline: np.ndarray
    reach: np.ndarray
    df: np.ndarray
    refused: np.ndarray

    def given(self):
        """Those that scalefit gives unasked; from further ahead it refuses."""
        return replace(self, **{k: v[~self.refused] for k, v in self.__dict__.items()})

    def covered(self, width, chosen=None):
        """Share of the errors within the half-widths."""
        inside = np.abs(self.error) <= width
        return float(inside[slice(None) if chosen is None else chosen].mean())


def stages(name, runs):
    """Rows of the table of forecasts: every run above every cut, forecast from below it alone."""
    rows = []
    for found, drawn, above in usable_stages(runs):
        rows += _stage(name, above, found, drawn, law_error(rolling_origin(found), misfit(found)))
    return rows


def usable_stages(runs):
    """Fit, refits and the runs to come of every earlier stage that would have said anything."""
    label = budgets(runs.scale)
    for cut in range(FEWEST_BUDGETS - 1, int(label.max())):
        part = runs.take(label <= cut)
        if part.clusters < FEWEST_RUNS:
            continue
        found = fit(LAW, part)
        drawn = draw(found, Jackknife())
        if found.status in USABLE and not drawn.refused:
            yield found, drawn, runs.take(label > cut)


def _stage(name, above, found, drawn, error):
    scale, *inputs = axes_of(found.runs, above.inputs, above.scale)
    away = farthest([scale, *inputs])
    band = loss_band(found, drawn, error, above.inputs, away, 0.95)
    miss = np.log(above.loss / band.loss)
    reach = t_quantile(0.975, drawn.df)
    return [
        (
            name, scale.high, found.runs.n, float(above.scale[i]), float(scale.decades[i]), 1,
            float(miss[i]), float(band.exact.se[i]), float(band.new_run.se[i]),
            float(band.headline.se[i]), reach, drawn.df, error.tau, error.source,
            int(scale.decades[i] > scale.span),
        )
        for i in range(above.n)
    ]  # fmt: skip


def told(rows):
    """Those rows as arrays."""
    columns = dict(zip(HEADER, zip(*rows, strict=True), strict=True))
    reach = np.array(columns["reach"])
    return Told(
        table=np.array(columns["table"]),
        decades=np.array(columns["decades"]),
        error=np.array(columns["error"]),
        exact=reach * np.array(columns["se_law"]),
        plain=reach * np.array(columns["se_new"]),
        headline=reach * np.array(columns["se_headline"]),
        reach=reach,
        df=np.array(columns["df"]),
        refused=np.array(columns["refused"], dtype=bool),
    )


def write(rows, path):
    """The table of every forecast, for anyone to open."""
    write_csv(HEADER, rows, path)


def write_csv(header, rows, path):
    """Rows under their header; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        for row in rows:
            out.writerow([f"{v:.8g}" if isinstance(v, float) else v for v in row])
