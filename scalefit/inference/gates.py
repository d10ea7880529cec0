"""Conditions that a law must meet before it is ranked, each with its reason in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np

from scalefit.core.numbers import counted, per_cent
from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass
from scalefit.core.registry import Registry
from scalefit.core.sorting import distinct, median
from scalefit.inference.breaks import is_there
from scalefit.inference.certificate import USABLE
from scalefit.inference.criteria import (
    STRUCTURE_LEVEL,
    effective_aicc,
    effective_share,
    log_residual,
    serial_aicc,
    von_neumann_p,
)
from scalefit.inference.evidence import ENOUGH_REPEATS, MOST_SCATTER, TIMES_NOISE, pure_error
from scalefit.inference.fitting import Fit
from scalefit.inference.profile import deviance_at, prediction_se
from scalefit.inference.residuals import misfit

Points = Mapping[str, Array]
_FALLING = frozenset({"x", "N", "D", "C"})  # inputs of which more should never hurt
_PATHS, _STEPS = 48, 33
_NEGLIGIBLE = 10.0  # of AICc: a law so far behind has no weight left
# Of AICc under carried errors, for a break: its place is searched for, and a drift imitates one.
# Simulated with a correlation of 0.9 and no break, 10 is exceeded in a third of sets, 25 in 5 %; a
# break in the last half decade of 15 runs gains 30 and more (tests/units/inference/test_gates.py).
_BREAK_SHOWS = 25.0
_OPEN_FACTOR = 2.0
_CRITICAL = 3.84  # of twice a log-likelihood, one quantity at 95 %
_CERTAIN = 12.0  # standard errors within a factor of two


@dataclass(frozen=True)
class Verdict:
    """What one gate says of one law."""

    gate: str
    passed: bool
    detail: str


class Gate(Protocol):
    """A condition that a law must meet before it is ranked."""

    name: ClassVar[str]

    def judge(self, fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> Verdict:
        """Pass or fail, with the numbers; `ahead` are points to be predicted."""
        ...


GATES: Registry[Any] = Registry("gate")


def judge(fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> tuple[Verdict, ...]:
    """What every gate says of a law, given all candidates (itself among them)."""
    return tuple(gate().judge(fit, rivals, ahead) for gate in GATES)


@GATES.add
@dataclass(frozen=True)
class EnoughData:
    """Three independent runs more than parameters, and enough distinct scales on each axis."""

    name: ClassVar[str] = "enough-data"

    def judge(self, fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> Verdict:
        """One input asks for as many distinct values as parameters, several for three each."""
        p, runs = fit.problem.p, fit.runs
        needed = min(p, len(fit.law.parameters)) if len(fit.law.inputs) == 1 else 3
        scales = {
            name: int(distinct(np.round(np.log(values), 6)).size)
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

    def judge(self, fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> Verdict:
        """A status from converged to multiple-minima passes."""
        return Verdict(self.name, fit.status in USABLE, f"status {fit.status}")


@GATES.add
@dataclass(frozen=True)
class ResidualScale:
    """The law misses the runs by not much more than replicates, or the best candidate, do."""

    name: ClassVar[str] = "residual-scale"
    factor: float = 3.0
    most: float = MOST_SCATTER
    above_replicates: float = TIMES_NOISE
    fewest: int = ENOUGH_REPEATS

    def judge(self, fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> Verdict:
        """Root mean square log residual, without the worst tenth, against the least of all.

        Both per degree of freedom: a law with as many parameters as runs misses none of them.
        Where runs repeat the same setting, their own scatter is the measure instead. A loss in nats
        has a measure of its own too: validation losses scatter by 0.3 to 0.8 % about a law that
        fits (method.md 1.6), so that laws which all miss are not saved by each other's company.
        """
        own = typical_miss(fit)
        known = pure_error(fit.runs)
        if known.df >= self.fewest:
            spread = float(np.sqrt(np.mean(log_residual(fit) ** 2)))
            return Verdict(
                self.name,
                spread <= self.above_replicates * known.sd,
                f"residual {per_cent(spread)} of the loss; repeated runs scatter by "
                f"{per_cent(known.sd)} ({known.df} degrees of freedom)",
            )
        least = min(typical_miss(rival) for rival in rivals)
        told = f"typical residual {per_cent(own)} of the loss"
        if not np.isfinite(own):
            told = "as many parameters as runs, so that no residual is left to judge"
        if fit.runs.nats and np.isfinite(own) and own > self.most:
            return Verdict(
                self.name,
                False,
                f"{told}; where a law fits, losses in nats scatter by less than "
                f"{100 * self.most:.2g} % (published: 0.3 to 0.8 %)",
            )
        return Verdict(
            self.name,
            own <= max(self.factor * least, 1e-9),
            f"{told}; the closest law's is {per_cent(least)}",
        )


@GATES.add
@dataclass(frozen=True)
class Monotone:
    """More never hurts, from the smallest run to the target, where the runs themselves fall."""

    name: ClassVar[str] = "monotone"

    def judge(self, fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> Verdict:
        """The law may rise by no more than its own typical residual."""
        if not runs_fall(fit.runs):
            return Verdict(self.name, True, "the runs themselves turn: nothing is required")
        rise = largest_rise(fit, ahead)
        return Verdict(
            self.name,
            rise <= max(trimmed_rms(fit), 1e-9),
            f"rises by {per_cent(rise)} on the way to the target"
            if rise > 1e-9
            else "falls all the way to the target",
        )


@GATES.add
@dataclass(frozen=True)
class Breaks:
    """The slope that is extended is known: no break is overlooked, none lies near the end."""

    name: ClassVar[str] = "breaks"
    fewest: int = 4

    def judge(self, fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> Verdict:
        """Distinct scales beyond the last break; one amid or before the runs extends nothing.

        Laws without breaks fail where one break is far better than all of them, even if errors
        carry over from neighbour to neighbour, so that a slow drift of the noise is no break, nor
        is a bend that a floor explains; and where the break keeps the rules of `breaks.is_there`.
        """
        if not fit.law.breaks:
            return self._without(fit, rivals)
        last, beyond = _last_break(fit)
        return Verdict(
            self.name,
            beyond >= self.fewest,
            f"{counted(beyond, 'scale')} beyond the last break at {last:.3g} "
            f"(at least {self.fewest})",
        )

    def _without(self, fit: Fit, rivals: Sequence[Fit]) -> Verdict:
        others = [r for r in rivals if r is not fit and r.law.inputs == fit.law.inputs]
        sound = [
            r for r in others
            if all(gate().judge(r, [r]).passed for gate in (EnoughData, Converged))
        ]  # fmt: skip
        nearest = min([fit, *(r for r in sound if not r.law.breaks)], key=serial_aicc)
        for rival in sound:
            if len(rival.law.breaks) != 1:
                continue
            gain = serial_aicc(nearest) - serial_aicc(rival)
            if gain > _BREAK_SHOWS and is_there(rival, nearest):
                last, beyond = _last_break(rival)
                return Verdict(
                    self.name,
                    False,
                    f"the runs break at {last:.3g}, {counted(beyond, 'scale')} from their end: "
                    f"{rival.law.name} is better by {gain:.0f} of AICc than {nearest.law.name}, "
                    "even if neighbours err alike",
                )
        return Verdict(self.name, True, "the law has no breaks, and the runs show none")


def _last_break(fit: Fit) -> tuple[float, int]:
    """Where the last break lies, and how many distinct scales lie beyond it."""
    last = max(float(fit.theta[fit.law.index(name)]) for name, _ in fit.law.breaks)
    (x,) = fit.runs.inputs.values()
    return last, int((distinct(x) >= last).sum())


@GATES.add
@dataclass(frozen=True)
class Structure:
    """The residuals have no shape left that another candidate explains."""

    name: ClassVar[str] = "residual-structure"

    def judge(self, fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> Verdict:
        """A shape counts against a law only if a law without one is far better by AICc.

        Otherwise it is taken for noise that neighbours share: the rows are then worth fewer
        runs, in AICc as in the weights.
        """
        own = structure_p(fit)
        words = f"(p = {own:.2g})"
        if own > STRUCTURE_LEVEL:
            return Verdict(self.name, True, f"no shape in the residuals {words}")
        good = candidates(rivals)
        share = effective_share(good)
        margin = effective_aicc(fit, share) - _NEGLIGIBLE
        for rival in good:
            if structure_p(rival) > STRUCTURE_LEVEL and effective_aicc(rival, share) < margin:
                return Verdict(
                    self.name,
                    False,
                    f"shape in the residuals {words}, and {rival.law.name} has none",
                )
        return Verdict(
            self.name, True, f"shape in the residuals {words} that no better law is without"
        )


@GATES.add
@dataclass(frozen=True)
class ClosedProfile:
    """The runs rule out half and double the predicted loss."""

    name: ClassVar[str] = "closed-profile"

    def judge(self, fit: Fit, rivals: Sequence[Fit], ahead: Points | None = None) -> Verdict:
        """Twice the fall in log-likelihood with the farthest prediction held there."""
        if fit.status not in USABLE or not np.isfinite(fit.value):
            return Verdict(self.name, True, "not judged: there is no minimum to start from")
        at = {name: values[-1:] for name, values in (ahead or default_ahead(fit.runs)).items()}
        # A profile is walked only where the curvature leaves any doubt.
        closed = _CERTAIN * prediction_se(fit, at) < np.log(_OPEN_FACTOR)
        if not closed:
            found = deviance_at(fit, at, np.log([1 / _OPEN_FACTOR, _OPEN_FACTOR]))
            closed = bool((found > _CRITICAL).all())
        words = "the runs rule out half and double the predicted loss"
        return Verdict(
            self.name,
            closed,
            words if closed else "the runs allow half or double the predicted loss",
        )


def candidates(fits: Sequence[Fit]) -> list[Fit]:
    """The laws that meet the gates that come before the shape of residuals."""
    first = (EnoughData, Converged, ResidualScale)
    return [fit for fit in fits if all(gate().judge(fit, fits).passed for gate in first)]


def trimmed_rms(fit: Fit) -> float:
    """Root mean square of the log residuals without the largest tenth."""
    size = np.sort(np.abs(log_residual(fit)))
    kept = size[: max(1, int(np.ceil(0.9 * size.size)))]
    return float(np.sqrt(np.mean(kept**2)))


def typical_miss(fit: Fit) -> float:
    """The same per degree of freedom; infinite where none is left."""
    n = int((fit.runs.weight > 0).sum())
    if n <= fit.problem.p:
        return float("inf")
    return trimmed_rms(fit) * float(np.sqrt(n / (n - fit.problem.p)))


def runs_fall(runs: Observations) -> bool:
    """Whether the median loss falls from each third of the scales to the next."""
    order = np.argsort(runs.scale, kind="stable")
    thirds = np.array_split(runs.loss[order], 3)
    medians = [float(median(part)) for part in thirds if part.size]
    return all(later < earlier for earlier, later in pairwise(medians))


def default_ahead(runs: Observations, decades: float = 1.0) -> dict[str, Array]:
    """A point beyond the largest run: by a decade of scale, or half the span if that is less."""
    span = float(np.log10(runs.scale.max() / runs.scale.min()))
    top = int(np.argmax(runs.scale))
    shared = len([n for n in runs.inputs if n in _FALLING]) or 1
    factor = 10 ** (min(decades, span / 2) / shared)
    return {
        name: values[top : top + 1] * (factor if name in _FALLING else 1.0)
        for name, values in runs.inputs.items()
    }


def largest_rise(fit: Fit, ahead: Points | None = None) -> float:
    """Largest rise of log loss as one input grows from a run's value to the farthest target."""
    law, runs = fit.law, fit.runs
    ends = {**default_ahead(runs), **(ahead or {})}
    some = distinct(np.linspace(0, runs.n - 1, min(_PATHS, runs.n)).astype(int))
    worst = 0.0
    for name in law.inputs:
        if name not in _FALLING:
            continue
        top = max(float(np.max(ends[name])), float(runs.inputs[name].max()))
        bottom = runs.inputs[name].min() if len(law.inputs) == 1 else runs.inputs[name][some]
        path = np.geomspace(bottom, top, _STEPS, axis=0).reshape(_STEPS, -1)
        inputs = [
            path.ravel() if other == name
            else np.broadcast_to(runs.inputs[other][some], path.shape).ravel()
            for other in law.inputs
        ]  # fmt: skip
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(law.predict(fit.theta[None], inputs)[0]).reshape(path.shape)
        rise = log - np.minimum.accumulate(log, axis=0)
        worst = max(worst, float(np.max(np.nan_to_num(rise, nan=np.inf))))
    return worst


def structure_p(fit: Fit) -> float:
    """Probability of residuals as ordered as these if they had no shape.

    One input: von Neumann's ratio along it (one-sided). Several: what products of the log inputs
    explain beyond the law.
    """
    if len(fit.law.inputs) == 1:
        return von_neumann_p(fit)
    found = misfit(fit)
    return found if np.isfinite(found) else 1.0
