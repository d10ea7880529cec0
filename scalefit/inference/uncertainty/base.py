"""Draws of the parameters, and the intervals that a method makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.observations import Array, Observations
from scalefit.core.registry import Registry
from scalefit.inference import doubts
from scalefit.inference.fitting import Fit
from scalefit.inference.solver import Solution, joined, solve

_MOST_FAILED = 0.2
_NOTED_FAILED = 0.05
_SPAN = 1000  # replicates of one task: enough to fill a batch, few enough to share out
_CLOSE = 1e-10  # predicted gain, relative to the objective, from which one last step leaves nothing


@dataclass(frozen=True)
class Interval:
    """A number with its interval.

    Attributes:
        value: Estimate.
        se: Standard error on the scale the interval was formed on; nan if there is none.
        low: Lower end; nan if there is none.
        high: Upper end; nan if there is none.
    """

    value: Array
    se: Array
    low: Array
    high: Array


class Method(Protocol):
    """Weighs the runs for each refit, and makes intervals of what the refits say."""

    name: ClassVar[str]

    def weights(self, runs: Observations, seed: int, start: int, stop: int) -> Array:
        """Row weights of replicates `start` to `stop`, shape (stop - start, n)."""
        ...

    def count(self, runs: Observations) -> int:
        """Number of replicates."""
        ...

    def df(self, runs: Observations) -> float:
        """Degrees of freedom of the interval; infinite where none are used."""
        ...

    def interval(self, estimate: Array, values: Array, level: float, df: float) -> Interval:
        """Interval of a quantity, from its estimate (m,) and its value in each refit (R, m)."""
        ...


Fan = Callable[["Refit", Sequence[tuple[int, int]]], list[Solution]]
METHODS: Registry[Any] = Registry("interval method")


@dataclass(frozen=True)
class Draws:
    """Parameters in every refit.

    Attributes:
        theta: Shape (R, P), the refits that converged, in order of replicate number.
        estimate: The fit itself, shape (P,).
        method: What made them.
        df: Degrees of freedom of intervals.
        clusters: Independent units.
        tried: Refits tried.
        failed: Numbers of the replicates that did not converge.
        notes: Doubts about the intervals; a refusal means that there are none.
    """

    theta: Array
    estimate: Array
    method: Method
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
    method: Method
    seed: int

    def __call__(self, span: tuple[int, int]) -> Solution:
        """Replicates from the first number up to the second, each from the estimate on."""
        runs = self.fit.runs
        weight = self.method.weights(runs, self.seed, *span) * runs.weight
        start = np.repeat(self.fit.u[None, :], span[1] - span[0], axis=0)
        return solve(
            self.fit.problem, self.fit.objective, weight, start, cold=False, tolerance=_CLOSE
        )


def draw(fit: Fit, method: Method, *, seed: int = 0, fan: Fan | None = None) -> Draws:
    """Refit the law to every reweighted set of runs, starting from the estimate.

    Replicates are keyed by their number, never by worker or chunk: the same seed gives the same
    bytes in any order and for any number of jobs.

    Args:
        fit: The estimate.
        method: Which weights each refit gives to the runs.
        seed: Of the method's streams.
        fan: Applies a task to spans of replicates, in order; one after the other if not given.
    """
    runs, problem = fit.runs, fit.problem
    count = method.count(runs)
    notes = list(_design_notes(fit))
    size = max(1, min(_SPAN, (1 << 22) // max(1, runs.n)))
    spans = [(begin, min(count, begin + size)) for begin in range(0, count, size)]
    task = Refit(fit, method, seed)
    found = joined(fan(task, spans) if fan is not None else [task(span) for span in spans])
    u, good = found.u, found.converged
    failed = np.flatnonzero(~good)
    share = failed.size / max(1, count)
    if share > _NOTED_FAILED:
        doubt = doubts.NO_INTERVAL if share > _MOST_FAILED else doubts.FAILED_REPLICATES
        notes.append(doubt.note(f"{failed.size} of {count} refits did not converge"))
    return Draws(
        theta=problem.theta(problem.ordered(u[good])),
        estimate=fit.theta,
        method=method,
        df=method.df(runs),
        clusters=runs.clusters,
        tried=count,
        failed=tuple(int(k) for k in failed),
        notes=tuple(notes),
    )


def _design_notes(fit: Fit) -> list[Note]:
    runs, p = fit.runs, fit.problem.p
    if runs.clusters < p + 3:
        return [
            doubts.NO_INTERVAL.note(
                f"{runs.clusters} independent runs for {p} free parameters and the noise: no "
                f"interval; the fewest for this law is {p + 3}"
            )
        ]
    return []


def interval(draws: Draws, estimate: Array, values: Array, level: float, *, log: bool) -> Interval:
    """Interval of a quantity at the level, by the method that made the draws.

    Args:
        draws: What the values were computed from.
        estimate: The quantity at the fit, shape (m,).
        values: The quantity at each draw, shape (R, m).
        level: Such as 0.95.
        log: Whether to form it on the logarithm, for positive quantities.

    Returns:
        Ends on the quantity's own scale, se on the scale it was formed on; nan where withheld.
    """
    estimate = np.atleast_1d(np.asarray(estimate, dtype=float))
    values = np.asarray(values, dtype=float).reshape(-1, estimate.size)
    none = np.full(estimate.shape, np.nan)
    if draws.refused or values.shape[0] < 2:
        return Interval(estimate, none, none, none)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if log:
            found = draws.method.interval(np.log(estimate), np.log(values), level, draws.df)
            return Interval(estimate, found.se, np.exp(found.low), np.exp(found.high))
        found = draws.method.interval(estimate, values, level, draws.df)
    return Interval(estimate, found.se, found.low, found.high)
