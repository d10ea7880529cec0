"""Draws of the parameters, and the intervals that a method makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.records import dataclass
from scalefit.core.registry import Registry
from scalefit.inference import doubts, evidence
from scalefit.inference.batches import Steps, alone, stepwise
from scalefit.inference.fitting import Fit
from scalefit.inference.restarts import refit, scouted, scouts
from scalefit.inference.solver import Solution, joined

if TYPE_CHECKING:
    from typing_extensions import TypeIs

_MOST_FAILED = 0.2
_NOTED_FAILED = 0.05
# Condition number from which resamples of a law of several exponents have minima far apart: of
# such designs up to a sixth of the refits from the estimate alone ended above their own.
_MOST_KAPPA = 90
_SPAN = 1000  # replicates of one task: enough to fill a batch, few enough to share out


Quantity = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Interval:
    """A number with its interval.

    Attributes:
        value: Estimate.
        se: Standard error on the scale the interval was formed on; nan if there is none.
        low: Lower end; nan if there is none, infinite where nothing limits it.
        high: Upper end, likewise.
    """

    value: Array
    se: Array
    low: Array
    high: Array


class Method(Protocol):
    """Weighs the runs for each refit, and makes intervals of what the refits say."""

    name: ClassVar[str]
    words: ClassVar[str]

    def weights(self, runs: Observations, seed: int, start: int, stop: int) -> Array:
        """Row weights of replicates `start` to `stop`, shape (stop - start, n)."""
        ...

    def count(self, runs: Observations) -> int:
        """Number of replicates."""
        ...

    def df(self, fit: Fit) -> float:
        """Degrees of freedom of the interval; infinite where none are used."""
        ...

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """Interval of a quantity, from its estimate (m,) and its value in each refit (R, m).

        `number` (R,) says which refit each row of the values is: some may be missing.
        """
        ...


class OwnRefits(Protocol):
    """A method that does more to the runs than weigh them, and so makes its refits itself."""

    name: ClassVar[str]
    words: ClassVar[str]

    def refits(self, fit: Fit, seed: int, start: int, stop: int) -> Solution:
        """Search vectors of replicates `start` to `stop`; each may have several rows, as many."""
        ...

    def count(self, runs: Observations) -> int:
        """As in `Method`."""
        ...

    def df(self, fit: Fit) -> float:
        """As in `Method`."""
        ...

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """As in `Method`."""
        ...


class Searching(OwnRefits, Protocol):
    """A method that looks for the ends of each quantity instead of drawing."""

    def search(self, fit: Fit, of: Quantity, level: float) -> Interval:
        """Interval of a quantity, shape (m,); ends that nothing limits are infinite."""
        ...


class Heavy(Protocol):
    """A method that knows another one to stand in for it where there are very many runs."""

    def lighter(self, runs: Observations) -> Method | OwnRefits:
        """The method for these runs; itself if they are not too many."""
        ...


class Sparing(Protocol):
    """A method each of whose refits looks at far fewer rows than there are."""

    def rows(self, runs: Observations) -> int:
        """Of one refit."""
        ...


# What a method can do shows in its verbs; asking a Protocol takes Python longer than a small refit.
def _refits(method: Any) -> TypeIs[OwnRefits]:
    return hasattr(method, "refits")


def _searches(method: Any) -> TypeIs[Searching]:
    return hasattr(method, "search")


def _is_heavy(method: Any) -> TypeIs[Heavy]:
    return hasattr(method, "lighter")


def _is_sparing(method: Any) -> TypeIs[Sparing]:
    return hasattr(method, "rows")


Fan = Callable[["Refit", Sequence[tuple[int, int]]], list[Solution]]
METHODS: Registry[Any] = Registry("interval method", "scalefit.inference.uncertainty")


@dataclass(frozen=True, eq=False)
class Draws:
    """Parameters in every refit.

    Attributes:
        fit: What was refitted.
        theta: Shape (R, P), the refits that converged, in order of replicate number.
        number: Which refit each row of theta is, shape (R,).
        estimate: The fit itself, shape (P,).
        method: What made them.
        df: Degrees of freedom of intervals.
        clusters: Independent units.
        tried: Refits tried.
        failed: Numbers of the replicates that did not converge.
        notes: Doubts about the intervals; a refusal means that there are none.
    """

    fit: Fit
    theta: Array
    number: IntArray
    estimate: Array
    method: Method | OwnRefits
    df: float
    clusters: int
    tried: int
    failed: tuple[int, ...]
    notes: tuple[Note, ...]

    @property
    def refused(self) -> bool:
        """Whether intervals are withheld."""
        return any(note.severity == "refusal" for note in self.notes)


@dataclass(frozen=True)
class Refit:
    """Some refits of a fit: a task that any process can do by itself."""

    fit: Fit
    method: Method | OwnRefits
    seed: int

    @cached_property
    def known(self) -> Array:
        """Starts of every replicate, shape (S, p), whatever the span."""
        fit, method = self.fit, self.method
        if _refits(method):
            return fit.minima

        def weigh() -> Array:
            some = scouts(method.count(fit.runs))
            each = [method.weights(fit.runs, self.seed, k, k + 1) for k in some]
            return np.asarray(np.concatenate(each) * fit.runs.weight)

        told = fit.problem, fit.objective, fit.runs, weigh, fit.minima
        return scouted(*told, valley=self._valley)

    @property
    def _valley(self) -> bool:
        """Whether minima of resamples lie far from the estimate, along a valley."""
        certificate = self.fit.certificate
        long = bool(certificate.bounds) or not certificate.kappa <= _MOST_KAPPA
        return long and self.fit.law.terms is not None

    def __call__(self, span: tuple[int, int]) -> Solution:
        """Replicates from the first number up to the second, each from a search of its own."""
        return alone(self.steps(span))

    def steps(self, span: tuple[int, int]) -> Steps[Solution]:
        """The same, in steps."""
        if _refits(self.method):
            return self.method.refits(self.fit, self.seed, *span)
        fit = self.fit
        weight = self.method.weights(fit.runs, self.seed, *span) * fit.runs.weight
        told = fit.problem, fit.objective, fit.runs, weight, self.known
        return (yield from refit.steps(*told, valley=self._valley))


@stepwise
def draw(
    fit: Fit, method: Method | OwnRefits, *, seed: int = 0, fan: Fan | None = None
) -> Steps[Draws]:
    """Refit the law to every reweighted set of runs, each from a search of its own.

    Replicates are keyed by their number, never by worker or chunk: the same seed gives the same
    bytes in any order and for any number of jobs.

    Args:
        fit: The estimate.
        method: Which weights each refit gives to the runs.
        seed: Of the method's streams.
        fan: Applies a task to spans of replicates, in order; one after the other if not given.
    """
    runs, problem = fit.runs, fit.problem
    method = method.lighter(runs) if _is_heavy(method) else method
    count = method.count(runs)
    notes = list(_design_notes(fit))
    rows = method.rows(runs) if _is_sparing(method) else runs.n
    size = max(1, min(_SPAN, (1 << 22) // max(1, rows)))
    spans = [(begin, min(count, begin + size)) for begin in range(0, count, size)]
    task = Refit(fit, method, seed)
    if count:
        _ = task.known  # once, not in every process
    if fan is not None:
        parts = fan(task, spans)
    else:
        parts = []
        for span in spans:
            parts.append((yield from task.steps(span)))
    found = joined(parts)
    u, good = found.u, found.converged
    failed = np.flatnonzero(~good.reshape(count, -1).all(axis=1))
    share = failed.size / max(1, count)
    if share > _NOTED_FAILED:
        doubt = doubts.NO_INTERVAL if share > _MOST_FAILED else doubts.FAILED_REPLICATES
        notes.append(doubt.note(f"{failed.size} of {count} refits did not converge"))
    return Draws(
        fit=fit,
        theta=problem.theta(problem.ordered(u[good])),
        number=np.flatnonzero(good).astype(np.int64),
        estimate=fit.theta,
        method=method,
        df=method.df(fit),
        clusters=runs.clusters,
        tried=count,
        failed=tuple(int(k) for k in failed),
        notes=tuple(notes),
    )


def _design_notes(fit: Fit) -> list[Note]:
    """Refusals that the runs themselves call for, whatever the method."""
    runs, p = fit.runs, fit.problem.p
    notes = []
    if runs.clusters < p + 3:
        notes.append(
            doubts.FEW_RUNS.note(
                f"{runs.clusters} independent runs for {p} free parameters and the noise: no "
                f"interval; the fewest for this law is {p + 3}"
            )
        )
    notes += evidence.rows_that_are_no_runs(fit)
    return notes


def interval(
    draws: Draws,
    estimate: Array,
    values: Array,
    level: float,
    *,
    log: bool,
    of: Quantity | None = None,
) -> Interval:
    """Interval of a quantity at the level, by the method that made the draws.

    Args:
        draws: What the values were computed from.
        estimate: The quantity at the fit, shape (m,).
        values: The quantity at each draw, shape (R, m).
        level: Such as 0.95.
        log: Whether to form it on the logarithm, for positive quantities.
        of: The quantity, shape (B, m), from parameters (B, P), for methods that search.

    Returns:
        Ends on the quantity's own scale, se on the scale it was formed on; nan where withheld.
    """
    estimate = np.atleast_1d(np.asarray(estimate, dtype=float))
    values = np.asarray(values, dtype=float).reshape(-1, estimate.size)
    none = np.full(estimate.shape, np.nan)
    if draws.refused or values.shape[0] < 2:
        return Interval(estimate, none, none, none)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if _searches(draws.method):
            found = _searched(draws.fit, draws.method, of, estimate, level, log)
        else:
            base, moved = (np.log(estimate), np.log(values)) if log else (estimate, values)
            found = draws.method.interval(base, moved, draws.number, level, draws.df)
        if not log:
            return Interval(estimate, found.se, found.low, found.high)
        # An end at minus infinity is open, not zero.
        low = np.where(np.isneginf(found.low), -np.inf, np.exp(found.low))
    return Interval(estimate, found.se, low, np.exp(found.high))


def _searched(
    fit: Fit, method: Searching, of: Quantity | None, estimate: Array, level: float, log: bool
) -> Interval:
    """By search, on the logarithm if asked; none where the quantity is not known as a function."""
    if of is None:
        none = np.full(estimate.shape, np.nan)
        return Interval(estimate, none, none, none)
    known = of
    return method.search(fit, (lambda theta: np.log(known(theta))) if log else known, level)
