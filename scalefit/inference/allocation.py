"""The best split of compute into model size and data, for any law of the two."""

from __future__ import annotations

import numpy as np

from scalefit.core import flops
from scalefit.core.errors import FitError, InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import human
from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass
from scalefit.core.tails import t_quantile
from scalefit.inference import doubts
from scalefit.inference.fitting import Fit
from scalefit.inference.forecasts import LawError
from scalefit.inference.prediction import (
    MOST_SHOWN,
    Band,
    Trust,
    axes_of,
    distance_notes,
    farthest,
    loss_band,
    ratio_notes,
    trust_words,
    widened,
)
from scalefit.inference.uncertainty import Draws, Interval, interval
from scalefit.laws.base import Law
from scalefit.laws.dual import Dual

_SCAN = 161
_REACH = 18.0  # e-folds of N searched to either side of the square root of C/6
_HALVINGS = 70
_NARROW = 1e-7  # e-folds
_LINE = 0.9999
# Eight per cent of N* for every standard deviation of the budgets: the median of the tables that
# it was chosen on, computed in tests/statistics/test_splits.py.
ASSUMED_SPLIT = LawError(0.08, "assumed", 0)
_FLAT = 1e-9
_ONE_BUDGET = 0.5  # of log C: runs spread by less have one budget


@dataclass(frozen=True, repr=False)
class Allocation:
    """Compute-optimal settings for m budgets.

    Attributes:
        budget: Training FLOP, shape (m,).
        N: Parameters, shape (m,), with interval if the law is exactly right.
        D: Tokens, likewise.
        ratio: Tokens per parameter, likewise.
        N_headline: The same with the law's own error about the split.
        D_headline: Likewise.
        ratio_headline: Likewise.
        band: Loss at the optimum with its three intervals.
        near: N that wastes at most `waste` of the compute, shape (m, 2).
        waste: Share of compute that `near` allows to waste.
        exponent_N: d log N* / d log C at the middle budget, with interval.
        exponent_D: d log D* / d log C there.
        decades: Distance beyond the data, shape (m,): the farthest of the budget's, N's and D's.
        trust: A word for each budget.
        notes: Doubts about each budget.
        unbracketed: Share of draws without a best split at each budget, shape (m,).
        law_error: Where the loss's width comes from.
        split_error: Where the width of the headlines of N, D and their ratio comes from.
        level: Of every interval.
        method: That made them, in words.
        df: Its degrees of freedom.
        average: Laws and their weights, where several are averaged.
    """

    budget: Array
    N: Interval
    D: Interval
    ratio: Interval
    N_headline: Interval
    D_headline: Interval
    ratio_headline: Interval
    band: Band
    near: Array
    waste: float
    exponent_N: Interval
    exponent_D: Interval
    decades: Array
    trust: tuple[Trust, ...]
    notes: tuple[tuple[Note, ...], ...]
    unbracketed: Array
    law_error: LawError
    split_error: LawError
    level: float
    method: str
    df: float
    average: tuple[tuple[str, float], ...] = ()

    def __repr__(self) -> str:
        """The first budgets with N* and D*: the whole would fill a screen of arrays."""
        told = [
            f"{human(float(budget))} FLOP: refused"
            if self.trust[k] == "refused"
            else f"{human(float(budget))} FLOP: N* {human(float(self.N.value[k]))}, "
            f"D* {human(float(self.D.value[k]))}, {self.trust[k]}"
            for k, budget in enumerate(self.budget[:MOST_SHOWN])
        ]
        return f"Allocation({'; '.join([*told, *['...'] * (self.budget.size > MOST_SHOWN)])})"


def allocate(
    fit: Fit,
    draws: Draws,
    error: LawError,
    budgets: Array,
    *,
    split: LawError = ASSUMED_SPLIT,
    level: float = 0.95,
    waste: float = 0.01,
    i_know: bool = False,
) -> Allocation:
    """Best model size and token count for each compute budget, with intervals.

    Args:
        fit: A law in N and D.
        draws: Its refits; each is solved on its own.
        error: The law's error at one decade.
        budgets: Training FLOP, shape (m,), positive.
        split: The law's error about log N*, as `split_error` finds it; else the field's value.
        level: Of the intervals.
        waste: Share of compute that the near-optimal range may waste.
        i_know: Answer even further beyond the data than the data span.

    Raises:
        InputError: the law does not use just N and D, or a budget is not positive.
        FitError: the runs lie on one line in log N and log D; the law has no best split.

    Source: constraint C = 6ND, Kaplan et al. 2020, section 2.1.
    """
    law = fit.law
    if law.inputs != ("N", "D"):
        raise InputError(
            f"{law.name} is a law of {', '.join(law.inputs)}: a best split needs a law of N and D",
            "use --law chinchilla, or coupled",
        )
    budgets = np.atleast_1d(np.asarray(budgets, dtype=float))
    if not budgets.size:
        raise InputError("no budget is given", "give training FLOP, such as 1e22")
    bad = budgets[~(np.isfinite(budgets) & (budgets > 0))]
    if bad.size:
        raise InputError(
            f"the budget is {bad[0]:g}, must be positive and finite", "give training FLOP, as 1e22"
        )
    refuse_one_line(fit)
    estimate = best_size(law, fit.theta[None], budgets)[0]
    if np.isnan(estimate).any():
        bad = budgets[np.isnan(estimate)]
        raise FitError(
            f"{law.name} has no best split of {bad[0]:.3g} FLOP: its loss falls to the edge of the "
            "search",
            doubts.OPTIMUM_AT_EDGE.remedy,
        )
    sizes = best_size(law, draws.theta, budgets)
    sound = np.isfinite(sizes).all(axis=1)
    kept = Draws(**{**draws.__dict__, "theta": draws.theta[sound], "number": draws.number[sound]})
    half = budgets / flops.PER_PARAMETER_TOKEN
    n, n_draws = np.exp(estimate), np.exp(sizes[sound])
    d, d_draws = half / n, half / n_draws
    axes = axes_of(fit.runs, {"N": n, "D": d}, budgets)
    away = farthest(axes)
    middle = float(np.exp(np.log(budgets).mean()))
    slope, slopes = _exponent(law, fit.theta[None], middle), _exponent(law, kept.theta, middle)
    ratio = d / n
    exact_N = interval(kept, n, n_draws, level, log=True, of=lambda t: _split(law, t, budgets)[0])
    exact_D = interval(kept, d, d_draws, level, log=True, of=lambda t: _split(law, t, budgets)[1])
    exact_ratio = interval(
        kept, ratio, d_draws / n_draws, level, log=True,
        of=lambda t: np.divide(*reversed(_split(law, t, budgets))),
    )  # fmt: skip
    reach = t_quantile((1 + level) / 2, draws.df)
    doubt = (split.tau * off_middle(budgets, fit.runs.scale)) ** 2
    notes = tuple(
        tuple(distance_notes(axes, k, i_know=i_know) + ratio_notes(fit.runs, float(ratio[k])))
        for k in range(budgets.size)
    )
    return Allocation(
        budget=budgets,
        N=exact_N,
        D=exact_D,
        ratio=exact_ratio,
        N_headline=widened(exact_N, reach, doubt),
        D_headline=widened(exact_D, reach, doubt),
        # D/N falls twice as fast as N rises.
        ratio_headline=widened(exact_ratio, reach, 4 * doubt),
        band=_optimal_band(fit, kept, error, n, d, n_draws, away, level),
        near=_near(law, fit.theta, budgets, estimate, waste),
        waste=waste,
        exponent_N=interval(
            kept, slope, slopes[:, None], level, log=False,
            of=lambda t: _exponent(law, t, middle)[:, None],
        ),
        exponent_D=interval(
            kept, 1 - slope, 1 - slopes[:, None], level, log=False,
            of=lambda t: 1 - _exponent(law, t, middle)[:, None],
        ),
        decades=away,
        trust=trust_words(axes, notes),
        notes=notes,
        unbracketed=np.isnan(sizes).mean(axis=0) if len(sizes) else np.zeros(budgets.shape),
        law_error=error,
        split_error=split,
        level=level,
        method=draws.method.words,
        df=draws.df,
    )  # fmt: skip


def _split(law: Law, theta: Array, budgets: Array) -> tuple[Array, Array]:
    """Best N and D for each parameter set and budget, shape (R, m) each."""
    n = np.exp(best_size(law, theta, budgets))
    return n, flops.tokens_for(budgets, n)


def refuse_one_line(fit: Fit) -> None:
    """Refuse runs whose log N and log D lie on one line.

    Raises:
        FitError: they do.
    """
    if on_one_line(fit.runs):
        raise FitError(
            "the runs lie on one line in (log N, log D): the effects of size and data cannot be "
            "told apart, so there is no best split to report",
            doubts.COLLINEAR_DESIGN.remedy,
        )


def off_middle(budgets: Array, scale: Array) -> Array:
    """How far budgets (m,) lie from the middle of the runs' own (n,), in standard deviations.

    Of their logarithms; this is what the leverage of a regression of log N* on log C grows by.
    """
    known = np.log(scale)
    return np.asarray(np.abs(np.log(budgets) - known.mean()) / max(known.std(), _ONE_BUDGET))


def on_one_line(runs: Observations) -> bool:
    """Whether log N and log D of the runs lie on one line, so that nothing tells them apart."""
    n, d = np.log(runs.inputs["N"]), np.log(runs.inputs["D"])
    if n.std() <= _FLAT or d.std() <= _FLAT:
        return True
    return abs(float(np.corrcoef(n, d)[0, 1])) > _LINE


def best_size(law: Law, theta: Array, budgets: Array) -> Array:
    """Log N* for each parameter set and budget, shape (R, m); nan where the loss has no valley.

    A scan over the whole budget line finds the lowest valley; then the exact derivative along the
    line is brought to zero by chords and halves, down to rounding (Dowell & Jarratt 1971).
    """
    if not len(theta):
        return np.empty((0, budgets.size))
    middle = np.log(budgets / flops.PER_PARAMETER_TOKEN) / 2
    offsets = np.linspace(-_REACH, _REACH, _SCAN)
    loss = np.stack(
        [
            _along(law, theta, np.repeat(budget, _SCAN), centre + offsets)[0]
            for budget, centre in zip(budgets, middle, strict=True)
        ],
        axis=1,
    )
    lowest = np.argmin(np.where(np.isfinite(loss), loss, np.inf), axis=-1)
    inside = (lowest > 0) & (lowest < _SCAN - 1)
    at = np.clip(lowest, 1, _SCAN - 2)
    low, high = middle + offsets[at - 1], middle + offsets[at + 1]
    below, above = (_along(law, theta, budgets, end)[1] for end in (low, high))
    for k in range(_HALVINGS):
        # Now and then a half, for a curve whose chords come from one side alone.
        at = _chord(low, high, below, above) if k % 3 < 2 else (low + high) / 2
        slope = _along(law, theta, budgets, at)[1]
        wide = high - low > _NARROW
        up, down = wide & (slope < 0), wide & ~(slope < 0)
        # The end that stays counts half, so that the next chord passes beyond the minimum.
        below = np.where(up, slope, np.where(down, below / 2, below))
        above = np.where(down, slope, np.where(up, above / 2, above))
        low, high = np.where(up, at, low), np.where(down, at, high)
        if not wide.any():
            break
    # What a chord leaves is of the order of the square of its length.
    ends = [_along(law, theta, budgets, end)[1] for end in (low, high)]
    return np.where(inside, _chord(low, high, *ends), np.nan)


def _chord(low: Array, high: Array, below: Array, above: Array) -> Array:
    """Where the line through two slopes crosses zero; halfway where it does not, between them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        at = low - below * (high - low) / (above - below)
    return np.where((low <= at) & (at <= high), at, (low + high) / 2)


def _along(law: Law, theta: Array, budgets: Array, u: Array) -> tuple[Array, Array]:
    """Loss and its derivative in log N along the budget line C = 6ND, shape (R, m)."""
    n = np.exp(np.broadcast_to(u, (len(theta), budgets.size)))
    d = flops.tokens_for(budgets, n)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = {name: theta[:, i, None] for i, name in enumerate(law.names)}
        found = law.loss(Dual(n, {0: n}), Dual(d, {0: -d}), **values)
    return np.asarray(found.value), np.asarray(found.partials[0])


def _exponent(law: Law, theta: Array, budget: float) -> Array:
    """D log N* / d log C at a budget, shape (R,), by a difference over half an e-fold."""
    step = 0.25
    around = budget * np.exp([-step, step])
    size = best_size(law, theta, around)
    return np.asarray((size[:, 1] - size[:, 0]) / (2 * step))


def _optimal_band(
    fit: Fit,
    draws: Draws,
    error: LawError,
    n: Array,
    d: Array,
    n_draws: Array,
    away: Array,
    level: float,
) -> Band:
    # The loss is flat in N at the optimum, so the estimate's own (N, D) serves every draw: the
    # difference is of second order and the question is what this run would score.
    return loss_band(fit, draws, error, {"N": n, "D": d}, away, level)


def _near(law: Law, theta: Array, budgets: Array, best: Array, waste: float) -> Array:
    """N below and above N* whose loss equals the optimum of (1 - waste) C, shape (m, 2)."""
    less = budgets * (1 - waste)
    one = theta[None]
    allowed = _along(law, one, less, best_size(law, one, less)[0])[0]
    ends = []
    for side in (-1.0, 1.0):
        inner, outer = best.copy(), best + side * _REACH
        for _ in range(_HALVINGS):
            half = (inner + outer) / 2
            good = _along(law, one, budgets, half)[0][0] <= allowed[0]
            inner, outer = np.where(good, half, inner), np.where(good, outer, half)
        ends.append(np.exp(inner))
    return np.stack(ends, axis=1)
