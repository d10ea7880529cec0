"""Everything that is looked at on every fit, and the doubts that follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.numbers import apart, human
from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass, replace
from scalefit.core.tails import t_quantile
from scalefit.inference import doubts
from scalefit.inference.allocation import on_one_line
from scalefit.inference.certificate import USABLE
from scalefit.inference.evidence import (
    ENOUGH_REPEATS,
    MOST_SCATTER,
    TIMES_NOISE,
    Kinship,
    PureError,
    groupings,
    kinships,
    pure_error,
)
from scalefit.inference.fitting import Fit
from scalefit.inference.forecasts import noise_of
from scalefit.inference.headlines import headlines
from scalefit.inference.identifiability import Spectrum, spectrum
from scalefit.inference.residuals import Residuals, examined
from scalefit.inference.sensitivity import (
    Influence,
    Pull,
    Variant,
    culprits,
    influences,
    row_words,
    sensitivity_box,
)
from scalefit.inference.uncertainty.base import Draws, Quantity, draw
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.inference.uncertainty.profile import Profile, degrees, first_order_reach

_SINGULAR = 1e10  # of the scaled J'J: beyond it nothing is separate any more
_ILL = 3e4
_TIED = 0.99
_UNEVEN = 0.01
_SHAPED = 0.05
_NAMED = 12
_LEAST_WIDTH = 5e-5  # of the loss: what rounds to 0.00 %
_WARY = 2.0  # first-order distances within which a bound calls for a closer look
_MOST_ROWS = 200_000  # beyond it the refits below would take longer than the fit


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """What was looked at on one fit.

    Attributes:
        pure: Noise floor from replicates.
        kin: How alike rows of a group err.
        residuals: Residuals from every side; None where the fit is not usable.
        spectrum: Stiff and sloppy directions; None likewise.
        influence: Each headline with the runs that pull at it.
        box: The headlines under other choices.
        notes: Doubts that follow.
    """

    pure: PureError
    kin: tuple[Kinship, ...]
    residuals: Residuals | None
    spectrum: Spectrum | None
    influence: tuple[Influence, ...]
    box: tuple[Variant, ...]
    notes: tuple[Note, ...]


def diagnose(fit: Fit, draws: Draws, level: float) -> Diagnostics:
    """Look at a fit from every side.

    Args:
        fit: The estimate.
        draws: Its refits; those of a jackknife are used again.
        level: Of intervals that a note compares.
    """
    pure = pure_error(fit.runs)
    if fit.status not in USABLE or fit.runs.n > _MOST_ROWS:
        return Diagnostics(pure, (), None, None, (), (), tuple(_one_line(fit)))
    residuals, directions = examined(fit), spectrum(fit)
    kin = _kin(fit, residuals)
    left_out = draws if isinstance(draws.method, Jackknife) else draw(fit, Jackknife())
    found = influences(fit, left_out, headlines(fit))
    box = sensitivity_box(fit, found, residuals)
    notes = [
        *_identified(fit, directions),
        *_open(fit, level),
        *_influential(found),
        *_objectives(fit, found, box, residuals),
        *_scatter(residuals),
        *_shape(residuals),
        *_large_scatter(fit, pure),
        *_alike(fit, left_out, kin, level),
    ]
    return Diagnostics(pure, kin, residuals, directions, found, box, tuple(notes))


def inseparable(fit: Fit) -> bool:
    """Whether the runs cannot tell the parameters apart at all."""
    if fit.status not in USABLE or fit.runs.n > _MOST_ROWS:
        return bool(tuple(_one_line(fit)))
    found = _identified(fit, spectrum(fit))
    return any(note.code == doubts.COLLINEAR_DESIGN.name for note in found)


def _kin(fit: Fit, residuals: Residuals) -> tuple[Kinship, ...]:
    if not np.isfinite(residuals.scatter.p_value):
        return ()
    return tuple(kinships(fit).values())


def _one_line(fit: Fit) -> Iterator[Note]:
    if {"N", "D"} <= set(fit.law.inputs) and on_one_line(fit.runs):
        yield doubts.COLLINEAR_DESIGN.note(
            "the runs lie on one line in (log N, log D): what belongs to size and what to data "
            "cannot be separated by any method; the loss along the line is all they show (--law "
            "power-floor --x C)"
        )


def _identified(fit: Fit, found: Spectrum) -> Iterator[Note]:
    line = list(_one_line(fit))
    if not line and found.condition > _SINGULAR:
        line = [
            doubts.COLLINEAR_DESIGN.note(
                f"{' and '.join(found.sloppy)} cannot be separated (condition "
                f"{found.condition:.1e}): these runs fix only their combination"
            )
        ]
    yield from line
    if not line and (found.condition > _ILL or abs(found.tie) > _TIED):
        yield doubts.TRADE_OFF.note(
            f"{' and '.join(found.pair)} are nearly one parameter in these runs (r = "
            f"{found.tie:+.4g}, condition {found.condition:.1e}): predictions amid them are fine, "
            "the separate values are not"
        )


def _open(fit: Fit, level: float) -> Iterator[Note]:
    """Parameters whose likelihood does not fall before their range ends."""
    if degrees(fit) <= 2:
        return
    reach = first_order_reach(fit, level)
    for k, i in enumerate(fit.problem.free):
        name = fit.law.parameters[i].name
        low, high = fit.problem.low[k], fit.problem.high[k]
        near = fit.u[k] - _WARY * reach[k] <= low or fit.u[k] + _WARY * reach[k] >= high
        if not (near or name in fit.certificate.bounds):
            continue
        found = Profile().search(fit, _column(i), level)
        ends = [float(found.low[0]), float(found.high[0])]
        if not any(math.isinf(end) for end in ends):
            continue
        words = ["anything below" if math.isinf(ends[0]) else f"{human(ends[0])} to"]
        words.append("anything above" if math.isinf(ends[1]) else human(ends[1]))
        told = "any value at all" if all(map(math.isinf, ends)) else " ".join(words)
        yield doubts.OPEN_PROFILE.note(
            f"the runs allow {name} from {told}: do not quote {name} ({human(fit.theta[i])})"
        )


def _column(i: int) -> Quantity:
    return lambda theta: theta[:, i : i + 1]


def _influential(found: Sequence[Influence]) -> Iterator[Note]:
    """One note for each cluster that decides, on the headline that it moves most."""
    moved: dict[int, tuple[Influence, Pull]] = {}
    for one in found:
        for pull in one.pulls[:1]:
            best = moved.get(pull.cluster)
            if pull.decides and (best is None or pull.share > best[1].share):
                moved[pull.cluster] = (one, pull)
    for one, pull in moved.values():
        before, after = apart(one.value, pull.without)
        yield doubts.INFLUENTIAL_RUN.note(
            f"without {row_words(pull.rows)} {one.headline.name} changes from {before} to {after} "
            f"({pull.share:.0%} of its variance): decide about that run before you decide about "
            "the model"
        )


def _objectives(
    fit: Fit, found: Sequence[Influence], box: Sequence[Variant], residuals: Residuals
) -> Iterator[Note]:
    """One note where the objectives disagree, on the headline where they do so most."""
    asked = [variant for variant in box if variant.name.startswith("objective ")]
    shifts = np.nan_to_num([[abs(s) for s in variant.shifts] for variant in asked])
    if not shifts.size or shifts.max() <= 1:
        return
    quoted = [k for k, one in enumerate(found) if one.headline.quoted]
    k = max(quoted, key=lambda place: float(shifts[:, place].max()))
    one = found[k]
    # People ask for tokens per parameter, whatever else moves further.
    told = [one, *(i for i in found if i.headline.name == "tokens_per_parameter" and i is not one)]
    names = ", ".join(variant.name.removeprefix("objective ") for variant in asked)
    theta = np.stack([variant.theta for variant in asked])
    words = f"{names} disagree on {_side_by_side(told, theta)}"
    blamed = culprits(fit, one, residuals)
    if blamed is None:
        words += "; no few rows are to blame, the scatter as a whole is no normal one"
    else:
        words += f"; without {row_words(fit.runs.row[blamed[0]], _NAMED)} they say "
        words += _side_by_side(told, blamed[1])
    yield doubts.OBJECTIVES_DISAGREE.note(words)


def _side_by_side(found: Sequence[Influence], theta: Array) -> str:
    """Headlines at several parameter sets: `beta 0.37 / 0.61`."""
    return " and ".join(
        f"{one.headline.name} {' / '.join(apart(*map(float, one.headline.of(theta))))}"
        for one in found
    )


def _scatter(residuals: Residuals) -> Iterator[Note]:
    check = residuals.scatter
    if check.p_value < _UNEVEN:
        where, ratio = ("small", check.ratio) if check.ratio > 1 else ("large", 1 / check.ratio)
        yield doubts.UNEVEN_SCATTER.note(
            f"scatter is {ratio:.2g} times larger in {where} runs (p = {check.p_value:.2g}): "
            "intervals that assume one noise for all are off; the jackknife's are not"
        )


def _shape(residuals: Residuals) -> Iterator[Note]:
    check = residuals.structure
    if check.p_value < _SHAPED:
        yield doubts.LACK_OF_FIT.note(
            f"residuals still have shape (p = {check.p_value:.2g}, {check.ratio:.0%} of their "
            "variance): expect bias of the size of that pattern, growing with distance"
        )


def _large_scatter(fit: Fit, pure: PureError) -> Iterator[Note]:
    """Scatter beyond what runs of one setting show, or beyond what is published."""
    sigma = noise_of(fit, fit.scale, int((fit.runs.weight > 0).sum()))
    if pure.df >= ENOUGH_REPEATS:
        if sigma > TIMES_NOISE * pure.sd:
            yield doubts.LARGE_SCATTER.note(
                f"runs scatter by {sigma:.2%} about the law, runs of one setting by only "
                f"{pure.sd:.2%}: the law misses what they have in common"
            )
    elif sigma > MOST_SCATTER:
        yield doubts.LARGE_SCATTER.note(
            f"runs scatter by {sigma:.2%} of the loss about the law; where laws of validation "
            "losses held, it was 0.3 to 0.8 %"
        )


def _alike(fit: Fit, left_out: Draws, kin: Sequence[Kinship], level: float) -> Iterator[Note]:
    """Rows of one group that are taken as independent, but share their error."""
    labels = groupings(fit.runs)
    for one in kin:
        if one.by == fit.runs.cluster_name or not one.shown:
            continue
        words = f"rows of one {one.by} share their error (intra-class correlation "
        words += f"{one.correlation:.2f} over {one.groups} groups)"
        widths = _widths(fit, left_out, labels[one.by], level)
        if widths is not None:
            words += (
                f": the interval of the loss ahead is +-{widths[0]:.2%} by "
                f"{fit.runs.cluster_name}, +-{widths[1]:.2%} by {one.by}"
            )
        flag = "size" if one.by == "N" else one.by
        yield doubts.CLUSTERED_RESIDUALS.note(f"{words}; use --cluster {flag}")


def _widths(fit: Fit, left_out: Draws, label: IntArray, level: float) -> tuple[float, float] | None:
    """Half-widths of the loss ahead with clusters as they are and with others."""
    ahead = headlines(fit)[-1:]
    _, cluster = np.unique(label, return_inverse=True)
    other = replace(fit, runs=replace(fit.runs, cluster=cluster.astype(np.int64)))
    pairs = []
    for which, made in ((fit, left_out), (other, draw(other, Jackknife()))):
        (one,) = influences(which, made, ahead)
        pairs.append(t_quantile((1 + level) / 2, which.runs.clusters - 1) * one.se)
    # A bound may fix the loss: then no width says anything of the rows.
    told = np.isfinite(pairs).all() and max(pairs) >= _LEAST_WIDTH
    return (pairs[0], pairs[1]) if told else None
