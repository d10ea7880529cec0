"""Stratified bootstrap whose spread is that of the jackknife: draws one may export."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.records import dataclass
from scalefit.core.sorting import quantiles
from scalefit.core.tails import t_quantile
from scalefit.inference.fitting import Fit
from scalefit.inference.scales import budgets
from scalefit.inference.streams import STRATIFIED, between, words
from scalefit.inference.uncertainty.base import METHODS, Interval
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.inference.uncertainty.percentiles import check_draws

_LEAST = 3  # clusters of a stratum: fewer have little to exchange


@METHODS.add
@dataclass(frozen=True)
class Calibrated:
    """Clusters drawn within budgets, spread scaled to the jackknife-t; keeps the draws' shape.

    The first replicates are the jackknife's own. The others draw clusters with replacement among
    those of about the same scale, so that no end of the design is ever lost; their deviations
    are then stretched until the interval is as wide as the jackknife's.

    Attributes:
        draws: Number of bootstrap replicates.

    Source: Davison & Hinkley 1997, section 3.2 (strata).
    """

    name: ClassVar[str] = "calibrated"
    words: ClassVar[str] = "stratified-bootstrap-calibrated-to-jackknife-t"
    draws: int = 2000

    def __post_init__(self) -> None:
        """Refuse a number of replicates that gives no quantiles or no end."""
        check_draws(self.draws)

    def weights(self, runs: Observations, seed: int, start: int, stop: int) -> Array:
        """The jackknife's weights first, then how often each row's cluster was drawn."""
        first = Jackknife().count(runs)
        left_out = Jackknife().weights(runs, seed, min(start, first), min(stop, first))
        strata = _strata(runs)
        counts = _counts(strata, seed, max(start, first), max(stop, first))
        return np.concatenate([left_out, counts[:, runs.cluster].astype(float)])

    def count(self, runs: Observations) -> int:
        """The jackknife's refits and as many draws as asked for."""
        return Jackknife().count(runs) + self.draws

    def df(self, fit: Fit) -> float:
        """The jackknife's."""
        return Jackknife().df(fit)

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """Percentiles of the stretched draws."""
        first = number <= df
        spread = Jackknife().interval(estimate, values[first], number[first], level, df)
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = quantiles(values[~first], tails)
        wanted = 2 * t_quantile((1 + level) / 2, df) * spread.se
        stretch = wanted / np.maximum(high - low, 1e-300)
        return Interval(
            estimate,
            spread.se,
            np.minimum(estimate + stretch * (low - estimate), estimate),
            np.maximum(estimate + stretch * (high - estimate), estimate),
        )


def _strata(runs: Observations) -> list[IntArray]:
    """Clusters by budget, neighbours joined until each stratum holds a few."""
    label = np.zeros(runs.clusters, dtype=np.int64)
    np.maximum.at(label, runs.cluster, budgets(runs.scale))
    strata: list[IntArray] = []
    for one in range(int(label.max(initial=0)) + 1):
        members = np.flatnonzero(label == one)
        if strata and (members.size < _LEAST or strata[-1].size < _LEAST):
            strata[-1] = np.concatenate([strata[-1], members])
        elif members.size:
            strata.append(members)
    return strata


def _counts(strata: list[IntArray], seed: int, start: int, stop: int) -> IntArray:
    """How often each cluster is drawn in replicates `start` to `stop`, shape (stop - start, G)."""
    members = np.concatenate(strata)
    size = np.repeat([s.size for s in strata], [s.size for s in strata])
    first = np.repeat(np.cumsum([0, *(s.size for s in strata[:-1])]), [s.size for s in strata])
    numbers = between(words(seed, STRATIFIED, start, stop, members.size))
    drawn = members[first + (numbers * size).astype(np.int64)]
    drawn += np.arange(stop - start)[:, None] * members.size
    counts = np.bincount(drawn.ravel(), minlength=drawn.size)
    return counts.reshape(stop - start, members.size)
