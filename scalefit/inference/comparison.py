"""Which laws the runs rule out, and which they cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.observations import Array
from scalefit.core.registry import Registry
from scalefit.inference import doubts
from scalefit.inference.certificate import USABLE
from scalefit.inference.fitting import Fit
from scalefit.inference.forecasts import Forecasts

_UNDECIDED = 6.0  # of AICc: below it the better law is not better enough to name
_NEGLIGIBLE = 10.0


@dataclass(frozen=True)
class Verdict:
    """What one gate says of one law."""

    gate: str
    passed: bool
    detail: str


class Gate(Protocol):
    """A condition that a law must meet before it is ranked."""

    name: ClassVar[str]

    def judge(self, fit: Fit, rivals: Sequence[Fit]) -> Verdict:
        """Pass or fail, with the numbers."""
        ...


GATES: Registry[Any] = Registry("gate")


@GATES.add
@dataclass(frozen=True)
class EnoughData:
    """Three independent runs more than parameters, and enough distinct scales on each axis."""

    name: ClassVar[str] = "enough-data"

    def judge(self, fit: Fit, rivals: Sequence[Fit]) -> Verdict:
        """One input asks for as many distinct values as parameters, several for three each."""
        p, runs = fit.problem.p, fit.runs
        needed = min(p, len(fit.law.parameters)) if len(fit.law.inputs) == 1 else 3
        scales = {
            name: int(np.unique(np.round(np.log(values), 6)).size)
            for name, values in runs.inputs.items()
        }
        few = [name for name, count in scales.items() if count < needed]
        passed = runs.clusters >= p + 3 and not few
        seen = ", ".join(f"{count} of {name}" for name, count in scales.items())
        return Verdict(
            self.name,
            passed,
            f"{runs.clusters} independent runs for {p} parameters (at least {p + 3}); distinct "
            f"values: {seen} (at least {needed})",
        )


@GATES.add
@dataclass(frozen=True)
class Converged:
    """The certificate allows the estimate to be used."""

    name: ClassVar[str] = "converged"

    def judge(self, fit: Fit, rivals: Sequence[Fit]) -> Verdict:
        """A status from converged to multiple-minima passes."""
        return Verdict(self.name, fit.status in USABLE, f"status {fit.status}")


@GATES.add
@dataclass(frozen=True)
class ResidualScale:
    """The law misses the runs by not much more than the best candidate does."""

    name: ClassVar[str] = "residual-scale"
    factor: float = 3.0

    def judge(self, fit: Fit, rivals: Sequence[Fit]) -> Verdict:
        """Root mean square log residual, without the worst tenth, against the least of all."""
        own = trimmed_rms(fit)
        least = min(trimmed_rms(rival) for rival in rivals)
        return Verdict(
            self.name,
            own <= max(self.factor * least, 1e-9),
            f"typical residual {100 * own:.2g} % of the loss; the closest law's is "
            f"{100 * least:.2g} %",
        )


def trimmed_rms(fit: Fit) -> float:
    """Root mean square of the log residuals without the largest tenth."""
    predicted = fit.law.predict(fit.theta[None], [fit.runs.inputs[i] for i in fit.law.inputs])[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.sort(np.abs(np.log(fit.runs.loss) - np.log(predicted)))
    kept = size[: max(1, int(np.ceil(0.9 * size.size)))]
    return float(np.sqrt(np.mean(kept**2)))


@dataclass(frozen=True)
class Ranked:
    """One law among the compared.

    Attributes:
        fit: Its fit.
        gates: What each gate says.
        aicc: Corrected Akaike criterion from the likelihood that was fitted; inf if the runs are
            too few for it.
        delta: AICc less the least among adequate laws.
        weight: Akaike weight among adequate laws; 0 for the others.
        forecasts: Its rolling-origin forecasts.
    """

    fit: Fit
    gates: tuple[Verdict, ...]
    aicc: float
    delta: float
    weight: float
    forecasts: Forecasts

    @property
    def adequate(self) -> bool:
        """Whether every gate passed."""
        return all(verdict.passed for verdict in self.gates)

    @property
    def rmse(self) -> float:
        """Root mean square forecast error, relative; nan without forecasts."""
        if not self.forecasts.count:
            return float("nan")
        return float(np.sqrt(np.mean(self.forecasts.error**2)))


@dataclass(frozen=True)
class Comparison:
    """Laws ranked by AICc, the verdict in words, and doubts about it."""

    laws: tuple[Ranked, ...]
    verdict: str
    notes: tuple[Note, ...]


def aicc(fit: Fit) -> float:
    """AICc of a fit; its scale counts as a parameter.

    Source: Hurvich & Tsai 1989, Biometrika 76(2).
    """
    residual = fit.residual[None]
    weight = fit.runs.weight[None]
    likelihood = float(fit.objective.log_likelihood(residual, weight)[0])
    n = int((fit.runs.weight > 0).sum())
    k = fit.problem.p + 1
    if n <= k + 1:
        return float("inf")
    return 2 * k - 2 * likelihood + 2 * k * (k + 1) / (n - k - 1)


def compare(fits: Sequence[Fit], forecasts: Sequence[Forecasts]) -> Comparison:
    """Rank laws that were fitted to the same runs with the same objective.

    Args:
        fits: One per law.
        forecasts: Rolling-origin forecasts of each, in the same order.
    """
    verdicts = [tuple(gate().judge(fit, fits) for gate in GATES) for fit in fits]
    scores = np.array([aicc(fit) for fit in fits])
    adequate = np.array([all(v.passed for v in judged) for judged in verdicts])
    delta, weight = _weights(scores, adequate)
    ranked = [
        Ranked(fit, judged, float(a), float(d), float(w), f)
        for fit, judged, a, d, w, f in zip(
            fits, verdicts, scores, delta, weight, forecasts, strict=True
        )
    ]
    ranked.sort(key=lambda r: (not r.adequate, r.aicc, len(r.fit.law.parameters), r.fit.law.name))
    words, notes = _verdict(ranked)
    return Comparison(tuple(ranked), words, notes)


def _weights(scores: Array, adequate: Array) -> tuple[Array, Array]:
    usable = adequate & np.isfinite(scores)
    if not usable.any():
        return np.full(scores.shape, np.nan), np.zeros(scores.shape)
    delta = scores - scores[usable].min()
    raw = np.where(usable & (delta <= _NEGLIGIBLE), np.exp(-np.clip(delta, 0, 700) / 2), 0.0)
    return delta, raw / raw.sum()


def _verdict(ranked: list[Ranked]) -> tuple[str, tuple[Note, ...]]:
    good = [r for r in ranked if r.adequate and np.isfinite(r.aicc)]
    if not good:
        return "no law is adequate: none may be extrapolated", ()
    near = [r for r in good if r.delta <= _UNDECIDED]
    far = [r for r in good if r.delta > _UNDECIDED]
    notes: list[Note] = []
    if len(near) > 1:
        names = ", ".join(r.fit.law.name for r in near)
        words = f"cannot tell apart: {names} (AICc within {near[-1].delta:.1f})"
        notes.append(doubts.UNDECIDED.note(words))
    else:
        words = f"{near[0].fit.law.name} is preferred"
        if far:
            words += f" over {far[0].fit.law.name} by {far[0].delta:.1f} of AICc"
    ruled = [r.fit.law.name for r in far if r.delta > _NEGLIGIBLE]
    ruled += [r.fit.law.name for r in ranked if not r.adequate]
    if ruled:
        words += f"; ruled out: {', '.join(ruled)}"
    forecast = [r for r in good if np.isfinite(r.rmse)]
    if len(forecast) > 1:
        best = min(forecast, key=lambda r: r.rmse)
        if best.fit.law.name != good[0].fit.law.name:
            notes.append(
                doubts.RANKINGS_DISAGREE.note(
                    f"{good[0].fit.law.name} has the least AICc, but {best.fit.law.name} forecast "
                    f"larger budgets best (error {100 * best.rmse:.2g} % against "
                    f"{100 * good[0].rmse:.2g} %)"
                )
            )
    return words, tuple(notes)
