"""Tests between pairs of laws, by independent runs: nested, not nested, and of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.records import dataclass, replace
from scalefit.inference.fitting import Fit
from scalefit.inference.solver import solve
from scalefit.inference.uncertainty.targets import fitted_target, refit_to_targets

_LEVEL = 0.05
_CHUNK = 1 << 21
_SIGNS = np.array([-1.0, 1.0])


@dataclass(frozen=True)
class Nested:
    """Whether a law is better than one of its own special cases.

    Attributes:
        simple: Name of the special case.
        general: Name of the law that holds it.
        ratio: Twice the gain in log-likelihood.
        p_value: Of a gain as large, were the special case true; from refits to simulated runs.
        replicates: Simulated sets of runs.
    """

    simple: str
    general: str
    ratio: float
    p_value: float
    replicates: int


@dataclass(frozen=True)
class Contest:
    """Two laws of which neither holds the other.

    Attributes:
        first: Name of the one.
        second: Name of the other.
        z: Vuong's statistic with Schwarz's correction; positive for the first.
        vuong: Its two-sided p value.
        wins: Independent runs that the first fits better, after the correction.
        runs: Independent runs.
        clarke: Two-sided p value of the sign test.
        verdict: The better law's name, or `undecided` unless both tests agree at 5 %.
    """

    first: str
    second: str
    z: float
    vuong: float
    wins: int
    runs: int
    clarke: float
    verdict: str


@dataclass(frozen=True)
class Guard:
    """Whether the best of many beats the simplest by more than picking the best explains.

    Attributes:
        best: The law with the largest studentised gain.
        reference: The simplest law.
        laws: How many were tried against it.
        p_value: Of the best gain, were none of them better.
    """

    best: str
    reference: str
    laws: int
    p_value: float


def nested_test(simple: Fit, general: Fit, *, replicates: int = 199, seed: int = 0) -> Nested:
    """Likelihood ratio of a law against its special case, with a bootstrap p value.

    Chi-square would be wrong where the special case lies on a boundary (no floor, no break) and
    with few runs. Runs are simulated from the special case: its residuals, with a random sign for
    each independent run (wild bootstrap), and both laws are refitted.

    Source: Davidson & MacKinnon 1999, Econometric Theory 15(3) (bootstrap likelihood ratio);
    Self & Liang 1987, JASA 82(398) (boundaries).
    """
    ratio = _ratio(simple, general)
    runs, residual = simple.runs, simple.residual
    swollen = residual * np.sqrt(runs.n / max(1, runs.n - simple.problem.p))
    base = fitted_target(simple)

    def target(k: int) -> Array:
        random = np.random.default_rng([seed, k])
        sign = np.asarray(random.choice(_SIGNS, runs.clusters)[runs.cluster], dtype=float)
        return np.asarray(base + sign * swollen)

    low = _best_values(simple, (simple.u,), target, replicates)
    high = _best_values(general, (general.u, _embedded(simple, general)), target, replicates)
    more = int((2 * (low - high) >= ratio - 1e-9).sum())
    return Nested(
        simple.law.name, general.law.name, ratio, (1 + more) / (1 + replicates), replicates
    )


def _ratio(simple: Fit, general: Fit) -> float:
    return max(0.0, 2 * (_minus_log_likelihood(simple) - _minus_log_likelihood(general)))


def _minus_log_likelihood(fit: Fit) -> float:
    return -float(fit.objective.log_likelihood(fit.residual[None], fit.runs.weight[None])[0])


def _best_values(
    fit: Fit, starts: Sequence[Array], target: Callable[[int], Array], replicates: int
) -> Array:
    """Least minus log-likelihood of the law for each replicate's target, from some starts."""
    targets = np.stack([target(k) for k in range(replicates)])
    weight = np.repeat(fit.runs.weight[None], replicates, axis=0)
    best = np.full(replicates, np.inf)
    for start in starts:
        ends = refit_to_targets(replace(fit, u=start), target, 0, replicates)
        residual = fit.problem.residual(ends.u) + targets - fit.problem.target
        values = -fit.objective.log_likelihood(residual, weight)
        best = np.fmin(best, np.where(np.isfinite(values), values, np.inf))
    return np.asarray(best)


def _embedded(simple: Fit, general: Fit) -> Array:
    """The general law's search vector nearest to the special case's curve."""
    law = general.law
    theta = general.theta.copy()
    for name, value in zip(simple.law.names, simple.theta, strict=True):
        if name in law.names:
            theta[law.index(name)] = value
    problem = replace(general.problem, target=general.problem.target - 0.0)
    start = problem.search(np.stack([theta, general.theta]))
    held = replace(problem, target=simple.problem.target - simple.residual)
    ends = solve(held, general.objective, general.runs.weight[None], start, cold=True)
    return np.asarray(ends.u[int(np.argmin(np.where(np.isfinite(ends.value), ends.value, np.inf)))])


def run_likelihoods(fit: Fit) -> Array:
    """What each independent run adds to the log-likelihood, shape (G,).

    As the whole less that without the run, so that it holds for every objective; to first order
    the run's own log density.
    """
    runs = fit.runs
    residual, weight = fit.residual[None], runs.weight[None]
    whole = float(fit.objective.log_likelihood(residual, weight)[0])
    found = np.empty(runs.clusters)
    size = max(1, _CHUNK // runs.n)
    for begin in range(0, runs.clusters, size):
        some = np.arange(begin, min(begin + size, runs.clusters))
        kept = weight * (runs.cluster[None, :] != some[:, None])
        rest = fit.objective.log_likelihood(np.repeat(residual, some.size, axis=0), kept)
        found[some] = whole - rest
    return found


def contest(first: Fit, second: Fit) -> Contest:
    """Vuong's test and Clarke's sign test of two laws, by independent run.

    Where the two curves differ by no more than their fitted parameters' noise (Vuong's first
    step), only the correction would speak: undecided.

    Source: Vuong 1989, Econometrica 57(2); Clarke 2007, Political Analysis 15(3).
    """
    from scipy.special import chdtri, ndtr

    gap = run_likelihoods(first) - run_likelihoods(second)
    groups = gap.size
    # Each parameter of either law adds at most one squared normal to the sum of squares.
    apart = groups * float(gap.var()) > float(chdtri(first.problem.p + second.problem.p, _LEVEL))
    penalty = (first.problem.p - second.problem.p) / 2 * np.log(groups)
    gap = gap - penalty / groups
    spread = float(gap.std(ddof=1)) if groups > 1 else 0.0
    z = float(gap.mean() * np.sqrt(groups) / spread) if spread > 0 else 0.0
    wins = int((gap > 0).sum())
    vuong, clarke = 2 * float(ndtr(-abs(z))), _sign_test(wins, int((gap != 0).sum()))
    ahead = first.law.name if z > 0 else second.law.name
    agree = (z > 0) == (2 * wins > groups)
    decided = apart and vuong <= _LEVEL and clarke <= _LEVEL and agree
    return Contest(
        first.law.name, second.law.name, z, vuong, wins, groups, clarke,
        ahead if decided else "undecided",
    )  # fmt: skip


def _sign_test(wins: int, trials: int) -> float:
    """Two-sided binomial p value at one half."""
    from scipy.special import bdtr

    if trials == 0:
        return 1.0
    fewer = min(wins, trials - wins)
    return min(1.0, 2 * float(bdtr(fewer, trials, 0.5)))


def guard(fits: Sequence[Fit], *, replicates: int = 1999, seed: int = 0) -> Guard:
    """Whether the best of several laws beats the simplest, allowing for the choice among them.

    The largest studentised mean gain over independent runs, against its distribution when runs
    are drawn anew and every law's own gain is taken out.

    Source: Romano & Wolf 2005, Econometrica 73(4); Hansen 2005, JBES 23(4).
    """
    order = sorted(fits, key=lambda fit: (fit.problem.p, fit.law.name))
    reference, others = order[0], order[1:]
    base = run_likelihoods(reference)
    groups = base.size
    gain = np.stack([run_likelihoods(fit) - base for fit in others])
    extra = np.array([fit.problem.p - reference.problem.p for fit in others])
    gain = gain - (extra / groups)[:, None]  # Akaike's price of each further parameter
    spread = np.maximum(gain.std(axis=1, ddof=1), 1e-300) / np.sqrt(groups)
    statistic = gain.mean(axis=1) / spread
    random = np.random.default_rng(seed)
    counts = random.multinomial(groups, np.full(groups, 1 / groups), replicates)
    drawn = (counts @ gain.T / groups - gain.mean(axis=1)) / spread
    best = int(np.argmax(statistic))
    more = int((drawn.max(axis=1) >= statistic[best]).sum())
    p_value = (1 + more) / (1 + replicates)
    return Guard(others[best].law.name, reference.law.name, len(others), p_value)
