"""Bag of little bootstraps: the cluster bootstrap where it would weigh very many runs."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.records import dataclass, replace
from scalefit.inference import streams
from scalefit.inference.fitting import Fit
from scalefit.inference.solver import Solution, joined, solve
from scalefit.inference.uncertainty.percentiles import Percentiles

_FROM_ROWS = 100_000
_FROM_CLUSTERS = 25_000  # so many that no two little sets share one
_POWER = 0.7  # of the clusters, how many a little set has
_SETS = 20


def suits(runs: Observations) -> bool:
    """Whether the rows are so many, and so independent, that little sets of them tell as much."""
    return runs.n > _FROM_ROWS and runs.clusters >= _FROM_CLUSTERS


@dataclass(frozen=True)
class LittleBootstraps(Percentiles):
    """Bootstraps of little sets of clusters, each weighed as heavily as all clusters together.

    Every draw is the estimate, moved by what a draw of a little set differs from that set's own
    estimate. The weights have mean, variance and covariance of multinomial counts.

    Attributes:
        draws: Number of replicates, shared out among the sets.

    Source: Kleiner, Talwalkar, Sarkar & Jordan 2014, JRSS B 76(4); exchangeable weights:
    Praestgaard & Wellner 1993, Annals of Probability 21(4).
    """

    name: ClassVar[str] = "bootstrap"
    words: ClassVar[str] = "bag-of-little-bootstraps-percentile"

    def rows(self, runs: Observations) -> int:
        """Of a little set, about."""
        return math.ceil(runs.n * _size(runs.clusters) / runs.clusters)

    def refits(self, fit: Fit, seed: int, start: int, stop: int) -> Solution:
        """Draws `start` to `stop`, set by set."""
        each = -(-self.draws // _SETS)
        parts = []
        for number in range(start // each, -(-stop // each)):
            first, last = max(start, number * each), min(stop, (number + 1) * each)
            parts.append(_of_one_set(fit, seed, number, first, last))
        return joined(parts)


def _size(clusters: int) -> int:
    return math.ceil(math.pow(clusters, _POWER))


@lru_cache(maxsize=1)
def _dealt(seed: int, clusters: int) -> IntArray:
    """Clusters of every set, shape (sets, size): no cluster is in two of them."""
    order = np.argsort(streams.words(seed, streams.DEALT, 0, 1, clusters)[0], kind="stable")
    return np.asarray(order[: _SETS * _size(clusters)].reshape(_SETS, -1))


def _of_one_set(fit: Fit, seed: int, number: int, first: int, last: int) -> Solution:
    """Draws `first` to `last`, all of the same little set."""
    runs, size = fit.runs, _size(fit.runs.clusters)
    place = np.full(runs.clusters, -1)
    place[_dealt(seed, runs.clusters)[number]] = np.arange(size)
    rows = np.flatnonzero(place[runs.cluster] >= 0)
    mean = runs.clusters / size
    weight = np.full((1 + last - first, size), mean)
    weight[1:] += math.sqrt(mean) * _normal(seed, first, last, size)
    weight[1:] *= runs.clusters / weight[1:].sum(axis=1, keepdims=True)
    weight = np.maximum(weight, 0.0)[:, place[runs.cluster[rows]]] * runs.weight[rows]
    problem = fit.problem.rows(rows)
    own = solve(problem, fit.objective, weight[:1], fit.u[None], cold=False)
    start = np.repeat(own.u, last - first, axis=0)
    found = solve(problem, fit.objective, weight[1:], start, cold=False)
    moved = np.clip(fit.u + found.u - own.u, problem.low, problem.high)
    return replace(found, u=moved, converged=found.converged & own.converged[0])


def _normal(seed: int, first: int, last: int, size: int) -> Array:
    """Standard normal numbers of each draw, shape (last - first, size)."""
    from scipy.special import ndtri

    words = streams.words(seed, streams.LITTLE, first, last, size)
    return np.asarray(ndtri(streams.between(words)))
