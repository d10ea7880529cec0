"""Which laws the runs rule out, and which they cannot tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.numbers import per_cent
from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.inference import doubts
from scalefit.inference.breaks import LEAST_GAIN, breaks_of, objections
from scalefit.inference.criteria import aicc, bic, effective_aicc, effective_share
from scalefit.inference.fitting import Fit
from scalefit.inference.forecasts import Forecasts
from scalefit.inference.gates import (
    GATES,
    Points,
    Verdict,
    candidates,
    default_ahead,
    judge,
    structure_p,
    trimmed_rms,
)

_UNDECIDED = 6.0  # of AICc: below it the better law is not better enough to name
_ROUNDING = 1e-9  # of it
RULED_OUT = 10.0  # of AICc: a law so far behind has no weight
_ONE_CURVE = 1e-3  # of the typical residual, or of the loss by 1e-9


@dataclass(frozen=True)
class Ranked:
    """One law among the compared.

    Attributes:
        fit: Its fit.
        gates: What each gate says.
        aicc: Corrected Akaike criterion from the likelihood that was fitted; inf if the runs are
            too few for it.
        bic: Schwarz's criterion, shown only.
        delta: AICc less the least among adequate laws, for as many runs as the rows are worth;
            breaks that the runs do not ask for lead simpler laws by 6 at most.
        weight: Akaike weight among adequate laws; 0 for the others.
        forecasts: Its rolling-origin forecasts.
        same_as: The simpler law that draws the same curve, if there is one; it is counted there.
        left_out: Forecasts of each budget from all the others, where they were asked for.
        groups_out: The same of each group of runs, where the runs have groups.
    """

    fit: Fit
    gates: tuple[Verdict, ...]
    aicc: float
    bic: float
    delta: float
    weight: float
    forecasts: Forecasts
    same_as: str = ""
    left_out: Forecasts | None = None
    groups_out: Forecasts | None = None

    @property
    def adequate(self) -> bool:
        """Whether every gate passed."""
        return all(verdict.passed for verdict in self.gates)

    @property
    def counted(self) -> bool:
        """Whether it is adequate and a curve of its own."""
        return self.adequate and not self.same_as

    @property
    def rmse(self) -> float:
        """Root mean square forecast error, relative; nan without forecasts."""
        if not self.forecasts.count:
            return float("nan")
        return float(np.sqrt(np.mean(self.forecasts.error**2)))


@dataclass(frozen=True)
class Comparison:
    """Laws ranked, best first, the verdict in words, and doubts about it.

    Attributes:
        laws: Adequate laws first, by the criterion.
        verdict: In words.
        notes: Doubts.
        rank: The criterion.
        share: How much of an independent run each row is worth.
        disagreeing: Names of the best-fitting and the best-forecasting law where they differ and
            AICc does not part them; an average then covers both.
    """

    laws: tuple[Ranked, ...]
    verdict: str
    notes: tuple[Note, ...]
    rank: str = "aicc"
    share: float = 1.0
    disagreeing: tuple[str, ...] = field(default_factory=tuple)


def compare(
    fits: Sequence[Fit],
    forecasts: Sequence[Forecasts],
    *,
    ahead: Points | None = None,
    rank: str = "aicc",
) -> Comparison:
    """Rank laws that were fitted to the same runs with the same objective.

    Args:
        fits: One per law.
        forecasts: Rolling-origin forecasts of each, in the same order.
        ahead: Points to be predicted; gates look as far.
        rank: `aicc`, or `extrapolation`: least forecast error, and the fewest parameters within
            one standard error of it.
    """
    verdicts = [judge(fit, fits, ahead) for fit in fits]
    adequate = np.array([all(v.passed for v in judged) for judged in verdicts])
    twins = _twins(fits, adequate, ahead)
    counted = adequate & np.array([fit.law.name not in twins for fit in fits])
    known = np.isfinite([aicc(fit) for fit in fits])
    # Over the laws with a shape in their residuals as well: leaving them out would argue in a
    # circle, that noise is white because the law that follows its every turn says so.
    share = effective_share(candidates(fits))
    scores = np.where(known, [effective_aicc(fit, share) for fit in fits], np.inf)
    due, undue = _due(fits, scores, counted)
    delta, weight = _weights(due, counted)
    ranked = [
        Ranked(fit, judged, float(a), bic(fit), float(d), float(w), f, twins.get(fit.law.name, ""))
        for fit, judged, a, d, w, f in zip(
            fits, verdicts, scores, delta, weight, forecasts, strict=True
        )
    ]
    ranked.sort(key=_RANKS[rank](ranked))
    words, notes, disagreeing = _verdict(ranked, rank)
    if share < 1:
        rows = ranked[0].fit.runs.n
        notes += (
            doubts.CORRELATED_ROWS.note(
                f"rows that lie together err alike: {rows} rows are worth about {share * rows:.0f} "
                "independent runs, and AICc and weights count them so"
            ),
        )
    shaped = [r.fit.law.name for r in ranked if r.weight > 0 and structure_p(r.fit) <= 0.01]
    if shaped:
        notes += (
            doubts.RESIDUAL_SHAPE.note(f"the residuals of {', '.join(shaped)} still have a shape"),
        )
    notes += undue + _late_breaks(ranked)
    return Comparison(tuple(ranked), words, notes, rank, share, disagreeing)


def _late_breaks(ranked: Sequence[Ranked]) -> tuple[Note, ...]:
    return tuple(
        doubts.LATE_BREAK.note(
            f"{one.fit.law.name} breaks at {found.position:.3g}, in the last half decade of the "
            "runs: treat the slope beyond as unmeasured"
        )
        for one in ranked
        if one.weight > 0 and one.fit.law.breaks
        for found in breaks_of(one.fit)
        if found.late
    )


def _twins(fits: Sequence[Fit], adequate: Array, ahead: Points | None) -> dict[str, str]:
    """Laws that draw the curve of a law with fewer parameters: name to that law's name."""
    good = [fit for fit, passed in zip(fits, adequate, strict=True) if passed]
    good.sort(key=lambda fit: (len(fit.law.parameters), fit.law.text != "", fit.law.name))
    found: dict[str, str] = {}
    for k, fit in enumerate(good):
        for simpler in good[:k]:
            if simpler.law.name not in found and _one_curve(fit, simpler, ahead):
                found[fit.law.name] = simpler.law.name
                break
    return found


def _one_curve(one: Fit, other: Fit, ahead: Points | None) -> bool:
    """Whether two laws of the same inputs agree at the runs and at the points ahead."""
    runs = one.runs
    if one.law.inputs != other.law.inputs or runs.n != other.runs.n:
        return False
    points = {**default_ahead(runs), **(ahead or {})}
    inputs = [np.append(runs.inputs[name], points[name]) for name in one.law.inputs]
    with np.errstate(divide="ignore", invalid="ignore"):
        log = [np.log(f.law.predict(f.theta[None], inputs)[0]) for f in (one, other)]
    apart = float(np.max(np.abs(log[0] - log[1])))
    return apart <= max(_ONE_CURVE * trimmed_rms(other), 1e-9)


def _due(fits: Sequence[Fit], scores: Array, counted: Array) -> tuple[Array, tuple[Note, ...]]:
    """Scores in which breaks that the runs do not ask for lead every simpler law by 6 at most.

    A break adds three parameters, and its place is searched for: with few runs it follows the
    noise, or stands in for a floor, at a gain that AICc takes for evidence. Such a law may be as
    good as those without, and is averaged with them, but it rules none of them out.

    Source: method.md 1.6, the rules for breaks.
    """
    due, notes = scores.copy(), []
    usable = counted & np.isfinite(scores)
    breaks = np.array([len(fit.law.breaks) for fit in fits])
    for k in np.argsort(breaks, kind="stable"):
        simpler = np.flatnonzero(usable & (breaks < breaks[k]))
        if not usable[k] or not simpler.size:
            continue
        best = simpler[np.argmin(due[simpler])]
        lead = due[best] - due[k]
        against = objections(fits[k], fits) if lead > LEAST_GAIN else ()
        if against:
            due[k] = due[best] - LEAST_GAIN
            notes.append(
                doubts.BREAK_NOT_ASKED_FOR.note(
                    f"{fits[k].law.name} leads {fits[best].law.name} by {lead:.1f} of AICc, but "
                    f"{against[0]}: the lead counts as {LEAST_GAIN:.0f}"
                )
            )
    return due, tuple(notes)


def _weights(scores: Array, counted: Array) -> tuple[Array, Array]:
    usable = counted & np.isfinite(scores)
    if not usable.any():
        return np.full(scores.shape, np.nan), np.zeros(scores.shape)
    delta = scores - scores[usable].min()
    raw = np.where(usable & (delta <= RULED_OUT), np.exp(-np.clip(delta, 0, 700) / 2), 0.0)
    return delta, raw / raw.sum()


Key = tuple[bool, float, int, str]


class _ByAicc:
    """Adequate laws first, by AICc."""

    def __init__(self, ranked: Sequence[Ranked]) -> None:
        """Nothing is needed of the others."""

    def __call__(self, one: Ranked) -> Key:
        """Sort key."""
        fit = one.fit
        return (not one.counted, one.delta if one.counted else one.aicc,
                len(fit.law.parameters), fit.law.name)  # fmt: skip


class _ByExtrapolation:
    """Adequate laws first: the simplest within one standard error of the least forecast error.

    Source: Breiman et al. 1984, section 3.4.3 (the one-standard-error rule).
    """

    def __init__(self, ranked: Sequence[Ranked]) -> None:
        """Find the limit within which laws count as equally good."""
        scored = [r for r in ranked if r.counted and r.forecasts.count]
        self.limit = float("-inf")
        if scored:
            best = min(scored, key=lambda r: r.rmse)
            squares = best.forecasts.error**2
            # Forecasts from one cut share their fit: cuts, not forecasts, are independent.
            _, cut = np.unique(best.forecasts.cut, return_inverse=True)
            mean = np.bincount(cut, squares) / np.bincount(cut)
            spread = float(mean.std(ddof=1) / np.sqrt(mean.size)) if mean.size > 1 else 0.0
            self.limit = float(np.sqrt(best.rmse**2 + spread))

    def __call__(self, one: Ranked) -> Key:
        """Sort key: those within the limit by number of parameters, the rest by error."""
        fit, error = one.fit, one.rmse
        size = len(fit.law.parameters)
        if not np.isfinite(error):
            error = float("inf")
        elif error <= self.limit:
            error = -1.0 / size
        return (not one.counted, error, size, fit.law.name)


_RANKS: Mapping[str, type[_ByAicc] | type[_ByExtrapolation]] = {
    "aicc": _ByAicc,
    "extrapolation": _ByExtrapolation,
}
RANKS = tuple(_RANKS)


def _verdict(ranked: list[Ranked], rank: str) -> tuple[str, tuple[Note, ...], tuple[str, ...]]:
    good = [r for r in ranked if r.counted and np.isfinite(r.aicc)]
    if not good:
        note = doubts.NO_ADEQUATE_LAW.note(
            "no candidate describes the runs: auto extends none of them, and a law that goes on "
            "alone does so at your own risk"
        )
        return "no law is adequate: none may be extrapolated", (note,), ()
    by_fit = sorted(good, key=lambda r: r.delta)
    near = [r for r in by_fit if r.delta <= _UNDECIDED + _ROUNDING]
    far = by_fit[len(near) :]
    beaten = [r for r in far if _beaten(r, by_fit)]
    ahead = [r for r in far if r not in beaten and r.rmse < by_fit[0].rmse]
    notes: list[Note] = []
    if rank == "extrapolation":
        words = f"{good[0].fit.law.name} is preferred by its forecasts of larger budgets"
    elif len(near) > 1:
        words = f"cannot tell apart: {_names(near)} (AICc within {near[-1].delta:.1f})"
        notes.append(doubts.UNDECIDED.note(words))
    else:
        words = f"{near[0].fit.law.name} {'fits best' if ahead else 'is preferred'}"
        if far:
            words += f", by {far[0].delta:.1f} of AICc over {far[0].fit.law.name}"
    behind = [r for r in far if r not in beaten and r not in ahead]
    if behind and rank == "aicc" and len(near) > 1:
        words += f"; less supported, by {behind[0].delta:.1f} and more: {_names(behind)}"
    if ahead and rank == "aicc":
        words += f"; forecast larger budgets better, and are not ruled out: {_names(ahead)}"
    ruled = [r.fit.law.name for r in beaten if rank == "aicc"]
    ruled += [r.fit.law.name for r in ranked if not r.adequate]
    if ruled:
        words += f"; ruled out: {', '.join(ruled)}"
    same = [f"{r.fit.law.name} is the curve of {r.same_as}" for r in ranked if r.same_as]
    if same:
        words += f"; counted once: {', '.join(same)}"
    return words, *_disagreement(by_fit, notes)


def _names(laws: Sequence[Ranked]) -> str:
    return ", ".join(r.fit.law.name for r in laws)


def _beaten(one: Ranked, others: Sequence[Ranked]) -> bool:
    """Whether a law that fits far better has also forecast larger budgets no worse."""
    return any(
        one.delta - other.delta > RULED_OUT and not one.rmse < other.rmse for other in others
    )


def _disagreement(
    by_fit: list[Ranked], notes: list[Note]
) -> tuple[tuple[Note, ...], tuple[str, ...]]:
    """Whether the best forecaster is another law than the best fit, and a rival by AICc."""
    forecast = [r for r in by_fit if np.isfinite(r.rmse)]
    if len(forecast) < 2:
        return tuple(notes), ()
    first, best = by_fit[0], min(forecast, key=lambda r: r.rmse)
    if best.fit.law.name == first.fit.law.name:
        return tuple(notes), ()
    parted = best.delta > _UNDECIDED + _ROUNDING
    told = f"{per_cent(best.rmse)} against {per_cent(first.rmse)}"
    held = (
        "AICc parts them, so that an average is not widened" if parted else "an average holds both"
    )
    notes.append(
        doubts.RANKINGS_DISAGREE.note(
            f"{first.fit.law.name} has the least AICc, but {best.fit.law.name} forecast larger "
            f"budgets best (error {told}); {held}"
        )
    )
    return tuple(notes), () if parted else (first.fit.law.name, best.fit.law.name)


__all__ = [
    "GATES",
    "RANKS",
    "Comparison",
    "Ranked",
    "Verdict",
    "aicc",
    "compare",
    "trimmed_rms",
]
