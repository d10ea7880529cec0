"""Bayesian bootstrap: clusters weighed by a flat Dirichlet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, IntArray, Observations
from scalefit.inference.uncertainty.base import METHODS, Interval
from scalefit.inference.uncertainty.percentiles import check_draws, percentiles
from scalefit.inference.uncertainty.streams import BAYESIAN, uniforms


@METHODS.add
@dataclass(frozen=True)
class BayesianBootstrap:
    """Dirichlet weights on clusters, percentile intervals; too narrow below 50 runs.

    Attributes:
        draws: Number of replicates.

    Source: Rubin 1981, Annals of Statistics 9(1).
    """

    name: ClassVar[str] = "bayesian"
    words: ClassVar[str] = "bayesian-bootstrap-percentile"
    draws: int = 2000

    def __post_init__(self) -> None:
        """Refuse a number of replicates that gives no quantiles or no end."""
        check_draws(self.draws)

    def weights(self, runs: Observations, seed: int, start: int, stop: int) -> Array:
        """Gaps between ordered uniforms, times the number of clusters."""
        rows = []
        for b in range(start, stop):
            share = -np.log(uniforms(seed, BAYESIAN, b, runs.clusters))
            rows.append((share * runs.clusters / share.sum())[runs.cluster])
        return np.stack(rows)

    def count(self, runs: Observations) -> int:
        """As many as asked for."""
        return self.draws

    def df(self, runs: Observations) -> float:
        """None are used."""
        return math.inf

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """Percentiles of the draws."""
        return percentiles(estimate, values, level)
