"""Which runs decide a headline, and what becomes of it under other choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass, replace
from scalefit.inference.fitting import Fit
from scalefit.inference.headlines import Headline
from scalefit.inference.objectives import Gaussian, Huber, StudentT
from scalefit.inference.problem import Problem
from scalefit.inference.residuals import Residuals, log_problem
from scalefit.inference.scales import budgets
from scalefit.inference.solver import solve
from scalefit.inference.uncertainty.base import Draws

_SHOWN = 3
_MISCOUNT = 1.1
_MOST_OUTLYING = 0.1
_MOST_CULPRITS = 12


@dataclass(frozen=True)
class Pull:
    """What leaving one cluster out does to one headline.

    Attributes:
        cluster: Its number.
        rows: Its rows in the source.
        without: The headline without it.
        shift: Change in jackknife standard errors.
        share: Share of the jackknife variance that this cluster alone makes.
    """

    cluster: int
    rows: tuple[int, ...]
    without: float
    shift: float
    share: float

    @property
    def decides(self) -> bool:
        """Whether it moves the headline by more than all other clusters together say it may."""
        return self.share > 0.5


@dataclass(frozen=True)
class Influence:
    """One headline, its standard error, and the clusters that pull at it most.

    Attributes:
        headline: What it is.
        value: At the fit.
        se: Jackknife standard error, on the scale of differences; nan where it is withheld.
        pulls: Strongest first.
    """

    headline: Headline
    value: float
    se: float
    pulls: tuple[Pull, ...]


@dataclass(frozen=True, eq=False)
class Variant:
    """The fit under one other choice.

    Attributes:
        name: What was done otherwise.
        values: Each headline there, in their order.
        shifts: Change of each, in standard errors; nan where there is none.
        theta: Parameters there, shape (P,).
    """

    name: str
    values: tuple[float, ...]
    shifts: tuple[float, ...]
    theta: Array


def influences(fit: Fit, left_out: Draws, headlines: Sequence[Headline]) -> tuple[Influence, ...]:
    """Standard error and strongest pulls of each headline, from the jackknife's refits.

    Source: MacKinnon, Nielsen & Webb 2023, arXiv:2205.03288 (summclust), section 3.
    """
    theta = np.concatenate([fit.theta[None], left_out.theta])
    return tuple(_influence(fit, left_out, headline, theta) for headline in headlines)


def _influence(fit: Fit, left_out: Draws, headline: Headline, theta: Array) -> Influence:
    """One headline, from parameters (1 + R, P): the estimate and each refit."""
    values = np.asarray(headline.of(theta), dtype=float)
    value, without = float(values[0]), values[1:]
    none = Influence(headline, value, float("nan"), ())
    moved = headline.difference(without, value)
    sound = np.isfinite(moved)
    count, total = int(sound.sum()), float((moved[sound] ** 2).sum())
    if left_out.refused or count < 2 or total <= 0:
        return none
    se = float(np.sqrt((count - 1) / count * total))
    strongest = np.argsort(-np.abs(np.where(sound, moved, 0.0)), kind="stable")[:_SHOWN]
    # Where clusters are left out in groups, no single one can be named.
    singly = left_out.tried == fit.runs.clusters
    pulls = tuple(
        Pull(
            cluster=int(left_out.number[k]),
            rows=_rows_of(fit, int(left_out.number[k])),
            without=float(without[k]),
            shift=float(moved[k] / se),
            share=float(moved[k] ** 2 / total),
        )
        for k in strongest
        if singly
    )
    return Influence(headline, value, se, pulls)


def _rows_of(fit: Fit, cluster: int) -> tuple[int, ...]:
    return tuple(sorted(int(r) for r in fit.runs.row[fit.runs.cluster == cluster]))


@dataclass(frozen=True, eq=False)
class Rival:
    """One of the objectives that every fit is held against, and where it leads."""

    name: str
    objective: Any
    u: Array


def rivals(fit: Fit, weight: Array) -> tuple[Rival, ...]:
    """Student-t, normal and automatic Huber fits of the runs under other row weights."""
    problem = log_problem(fit)
    student = _again(problem, StudentT(), weight, fit.u)
    used = weight > 0
    automatic = Huber(None).settled(problem.residual(student[None])[0][used])
    return (
        Rival("t:4", StudentT(), student),
        Rival("gaussian", Gaussian(), _again(problem, Gaussian(), weight, student)),
        Rival("huber:auto", automatic, _again(problem, automatic, weight, student)),
    )


def sensitivity_box(
    fit: Fit, found: Sequence[Influence], residuals: Residuals
) -> tuple[Variant, ...]:
    """The headlines under other objectives, without some runs, and with N miscounted."""
    choices = [
        *((f"objective {r.name}", r.u, log_problem(fit)) for r in rivals(fit, fit.runs.weight)),
        *_without(fit, found, residuals),
        *_miscounted(fit),
    ]
    theta = np.concatenate([problem.theta(u[None]) for _, u, problem in choices])
    return _variants([name for name, _, _ in choices], theta, found)


def _variants(
    names: Sequence[str], theta: Array, found: Sequence[Influence]
) -> tuple[Variant, ...]:
    values = np.array([one.headline.of(theta) for one in found]).reshape(len(found), -1)
    shifts = np.array(
        [
            one.headline.difference(row, one.value) / one.se
            for one, row in zip(found, values, strict=True)
        ]
    ).reshape(values.shape)
    return tuple(
        Variant(name, tuple(map(float, values[:, k])), tuple(map(float, shifts[:, k])), theta[k])
        for k, name in enumerate(names)
    )


def outlying(fit: Fit, residuals: Residuals) -> IntArray:
    """Places of outlying rows if they are few enough to be called so, else none."""
    few = residuals.outliers.size <= max(1, _MOST_OUTLYING * fit.runs.n)
    return residuals.outliers if few else residuals.outliers[:0]


def culprits(fit: Fit, one: Influence, residuals: Residuals) -> tuple[IntArray, Array] | None:
    """The fewest outlying rows without which the objectives agree on a headline.

    Returns:
        Places of the rows, the worst first, and the parameters by each objective without them,
        shape (3, P); None where no few rows are to blame.
    """
    far = outlying(fit, residuals)[:_MOST_CULPRITS]
    for count in range(1, far.size + 1):
        left = rivals(fit, _silenced(fit, far[:count]))
        theta = np.concatenate([log_problem(fit).theta(rival.u[None]) for rival in left])
        values = np.asarray(one.headline.of(theta), dtype=float)
        if np.abs(one.headline.difference(values[1:], float(values[0]))).max() <= one.se:
            return far[:count], theta
    return None


def _silenced(fit: Fit, at: IntArray) -> Array:
    weight = fit.runs.weight.copy()
    weight[at] = 0.0
    return weight


def _without(
    fit: Fit, found: Sequence[Influence], residuals: Residuals
) -> list[tuple[str, Array, Problem]]:
    """Refits without outliers, the most influential cluster, the smallest and largest budget."""
    silenced: list[tuple[str, Array]] = []
    far = outlying(fit, residuals)
    if far.size:
        silenced.append((f"without {row_words(fit.runs.row[far])} (outlying)", _silenced(fit, far)))
    pulls = [one.pulls[0] for one in found if one.pulls]
    if pulls:
        strongest = max(pulls, key=lambda pull: abs(pull.shift))
        at = np.flatnonzero(fit.runs.cluster == strongest.cluster)
        words = f"without {row_words(strongest.rows)} (most influential)"
        silenced.append((words, _silenced(fit, at)))
    label = budgets(fit.runs.scale)
    for name, which in (("smallest", 0), ("largest", int(label.max(initial=0)))):
        at = np.flatnonzero(label == which)
        if fit.runs.n - at.size >= fit.problem.p + 1:
            words = f"without the {name} {fit.runs.scale_name} ({_count(at.size, 'row')})"
            silenced.append((words, _silenced(fit, at)))
    return [
        (name, _again(fit.problem, fit.objective, weight, fit.u), fit.problem)
        for name, weight in silenced
    ]


def _miscounted(fit: Fit) -> list[tuple[str, Array, Problem]]:
    """Refits with N larger or smaller by a tenth, throughout or in the small models only.

    Source: Schaeffer et al. 2025, arXiv:2509.23963 (errors that grow with scale matter most).
    """
    if "N" not in fit.law.inputs:
        return []
    place = fit.law.inputs.index("N")
    size = np.log(fit.problem.inputs[place])
    fading = (size.max() - size) / max(float(np.ptp(size)), 1e-300)
    found = []
    for name, factor in (
        ("N 10 % larger", np.full(size.shape, _MISCOUNT)),
        ("N 10 % smaller", np.full(size.shape, 1 / _MISCOUNT)),
        ("N 10 % larger in the smallest, fading", _MISCOUNT**fading),
    ):
        inputs = list(fit.problem.inputs)
        inputs[place] = inputs[place] * factor
        problem = replace(fit.problem, inputs=tuple(inputs))
        found.append((name, _again(problem, fit.objective, fit.runs.weight, fit.u), problem))
    return found


def _again(problem: Problem, objective: Any, weight: Array, u: Array) -> Array:
    return np.asarray(solve(problem, objective, weight[None], u[None], cold=False).u[0])


def row_words(rows: Sequence[int] | IntArray, most: int = 8) -> str:
    """`row 3` or `rows 3, 5, 8, ...`."""
    listed = ", ".join(str(int(r)) for r in sorted(int(r) for r in rows)[:most])
    return f"row{'s' * (len(rows) > 1)} {listed}{', ...' if len(rows) > most else ''}"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
