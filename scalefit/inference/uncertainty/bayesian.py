"""Bayesian bootstrap: clusters weighed by a flat Dirichlet."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass
from scalefit.inference.streams import BAYESIAN, uniforms
from scalefit.inference.uncertainty.base import METHODS
from scalefit.inference.uncertainty.percentiles import Percentiles


@METHODS.add
@dataclass(frozen=True)
class BayesianBootstrap(Percentiles):
    """Dirichlet weights on clusters, percentile intervals; too narrow below 50 runs.

    Attributes:
        draws: Number of replicates.

    Source: Rubin 1981, Annals of Statistics 9(1).
    """

    name: ClassVar[str] = "bayesian"
    words: ClassVar[str] = "bayesian-bootstrap-percentile"

    def weights(self, runs: Observations, seed: int, start: int, stop: int) -> Array:
        """Gaps between ordered uniforms, times the number of clusters."""
        rows = []
        for b in range(start, stop):
            share = -np.log(uniforms(seed, BAYESIAN, b, runs.clusters))
            rows.append((share * runs.clusters / share.sum())[runs.cluster])
        return np.stack(rows)
