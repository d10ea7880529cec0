"""Breaks in a power law: where they are, how sure that is, and whether the runs ask for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.core.sorting import distinct
from scalefit.inference.criteria import effective_aicc, effective_share, log_residual
from scalefit.inference.fitting import Fit
from scalefit.inference.forecasts import fits_below
from scalefit.inference.profile import parameter_se

FEWEST_SCALES = 4
LEAST_GAIN = 6.0
LATE = 0.5  # decades below the largest scale: the slope beyond such a break is hardly measured


@dataclass(frozen=True, eq=False)
class Break:
    """One break of a fitted law.

    Attributes:
        position: Input at which it lies.
        se: Standard error of its natural logarithm; infinite where the runs do not place it.
        scales: Distinct scales before it (after the break below) and after it.
        inside: Whether its 95 % interval lies within the runs.
        begun: Whether the lower end of that interval does.
        late: Whether it lies in the last half decade.
    """

    position: float
    se: float
    scales: tuple[int, int]
    inside: bool
    begun: bool
    late: bool


def breaks_of(fit: Fit) -> tuple[Break, ...]:
    """Every break of a law of one input, in order."""
    x = distinct(next(iter(fit.runs.inputs.values())))
    found = []
    at = sorted(float(fit.theta[fit.law.index(name)]) for name, _ in fit.law.breaks)
    names = sorted(
        (name for name, _ in fit.law.breaks), key=lambda n: float(fit.theta[fit.law.index(n)])
    )
    for k, (name, place) in enumerate(zip(names, at, strict=True)):
        below = at[k - 1] if k else 0.0
        above = at[k + 1] if k + 1 < len(at) else np.inf
        se = parameter_se(fit, name)
        reach = 1.96 * se
        begun = np.log(x[0]) < np.log(place) - reach
        inside = begun and np.log(place) + reach < np.log(x[-1])
        found.append(
            Break(
                position=place,
                se=se,
                scales=(
                    int(((x > below) & (x < place)).sum()),
                    int(((x >= place) & (x < above)).sum()),
                ),
                inside=bool(inside),
                begun=bool(begun),
                late=bool(np.log10(x[-1] / place) < LATE),
            )
        )
    return tuple(found)


def interior_error(fit: Fit) -> float:
    """Root mean square error at every other scale, foretold from the scales between them."""
    x = next(iter(fit.runs.inputs.values()))
    label = np.unique(np.round(np.log(x), 9), return_inverse=True)[1]
    odd = label % 2 == 1
    masks = np.stack([odd, ~odd])
    if min(distinct(label[m]).size for m in masks) <= fit.problem.p:
        return float("nan")
    u, _ = fits_below(fit, masks)
    squares: list[Array] = []
    for k, mask in enumerate(masks):
        predicted = fit.problem.theta(u[k : k + 1])
        loss = fit.law.predict(predicted, [x[~mask]])[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            squares.append((np.log(fit.runs.loss[~mask]) - np.log(loss)) ** 2)
    return float(np.sqrt(np.mean(np.concatenate(squares))))


def objections(fit: Fit, rivals: Sequence[Fit]) -> tuple[str, ...]:
    """Why the breaks of a law are not supported by the runs; empty if they are.

    Source: method.md 1.6: AICc falls by more than 6, four scales on both sides, the place is
    fixed inside the runs, and scales that were left out are foretold better.
    """
    found = []
    for one in breaks_of(fit):
        if min(one.scales) < FEWEST_SCALES:
            found.append(
                f"the break at {one.position:.3g} has {one.scales[0]} scales below and "
                f"{one.scales[1]} above"
            )
        elif not one.inside:
            found.append(f"the place of the break at {one.position:.3g} is not fixed by the runs")
    simpler = _simpler(fit, rivals)
    if simpler is not None:
        share = effective_share([fit])  # noise as the broken law leaves it
        gain = effective_aicc(simpler, share) - effective_aicc(fit, share)
        if gain <= LEAST_GAIN:
            found.append(f"AICc gains {gain:.1f} over {simpler.law.name}, not more than 6")
        elif not interior_error(fit) < interior_error(simpler):
            found.append(f"scales left out are foretold no better than by {simpler.law.name}")
    return tuple(found)


def is_there(fit: Fit, without: Fit) -> bool:
    """Whether the one break of a law is in the runs, so that a law without it overlooks it.

    The rules are those of `objections`, but beyond a break near the end there may be too few scales
    to measure a slope, or to close its place from above. That forbids to extend the broken law, and
    is no reason to extend one that passes over what the scales below already show. A bend before
    the fourth scale extends nothing: it may be a floor, or one odd run.

    Args:
        fit: A law with one break.
        without: The law without breaks that comes nearest to it.
    """
    (one,) = breaks_of(fit)
    below, above = one.scales
    placed = one.inside if above >= FEWEST_SCALES else one.begun
    return below >= FEWEST_SCALES and placed and interior_error(fit) < interior_error(without)


def _simpler(fit: Fit, rivals: Sequence[Fit]) -> Fit | None:
    """The best rival with one break fewer that this law holds."""
    fewer = len(fit.law.breaks) - 1
    held = [r for r in rivals if r.law.name in fit.law.holds and len(r.law.breaks) == fewer]
    if not held:
        return None
    return min(held, key=lambda r: float(np.sum(log_residual(r) ** 2)))
