"""Cluster bootstrap: whole clusters drawn with replacement, as weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, IntArray, Observations
from scalefit.inference.uncertainty import streams
from scalefit.inference.uncertainty.base import METHODS, Interval
from scalefit.inference.uncertainty.little import LittleBootstraps, suits
from scalefit.inference.uncertainty.percentiles import check_draws, percentiles


@METHODS.add
@dataclass(frozen=True)
class Bootstrap:
    """Pairs bootstrap over clusters with percentile intervals.

    Attributes:
        draws: Number of replicates.

    Source: Davison & Hinkley 1997, sections 2.4 and 3.8.
    """

    name: ClassVar[str] = "bootstrap"
    words: ClassVar[str] = "cluster-bootstrap-percentile"
    draws: int = 2000

    def __post_init__(self) -> None:
        """Refuse a number of replicates that gives no quantiles or no end."""
        check_draws(self.draws)

    def lighter(self, runs: Observations) -> Bootstrap | LittleBootstraps:
        """Little bootstraps for very many runs."""
        return LittleBootstraps(self.draws) if suits(runs) else self

    def weights(self, runs: Observations, seed: int, start: int, stop: int) -> Array:
        """How often each row's cluster was drawn."""
        drawn = streams.below(
            runs.clusters, streams.words(seed, streams.BOOTSTRAP, start, stop, runs.clusters)
        )
        drawn += np.arange(stop - start)[:, None] * runs.clusters
        counts = np.bincount(drawn.ravel(), minlength=(stop - start) * runs.clusters)
        return counts.reshape(stop - start, -1)[:, runs.cluster].astype(float)

    def count(self, runs: Observations) -> int:
        """As many as asked for."""
        return self.draws

    def df(self, runs: Observations) -> float:
        """None are used."""
        return math.inf

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """Percentiles of the draws, linearly interpolated."""
        return percentiles(estimate, values, level)
