"""Delete-one-cluster jackknife with Student's t: the default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, Observations
from scalefit.inference.uncertainty.base import METHODS, Interval
from scalefit.inference.uncertainty.student import t_quantile


@METHODS.add
@dataclass(frozen=True)
class Jackknife:
    """Leave each cluster out once; t with G - 1 degrees of freedom.

    It needs no seed and no noise model.

    Source: CV3 of MacKinnon, Nielsen & Webb 2023, arXiv:2205.03288, eq. 13.
    """

    name: ClassVar[str] = "jackknife"
    words: ClassVar[str] = "jackknife-t"

    def weights(self, runs: Observations, seed: int, start: int, stop: int) -> Array:
        """One everywhere but zero in the cluster that is left out."""
        kept = runs.cluster[None, :] != np.arange(start, stop)[:, None]
        return np.asarray(kept, dtype=float)

    def count(self, runs: Observations) -> int:
        """One refit per cluster."""
        return runs.clusters

    def df(self, runs: Observations) -> float:
        """G - 1."""
        return runs.clusters - 1

    def interval(self, estimate: Array, values: Array, level: float, df: float) -> Interval:
        """Estimate -/+ t times the jackknife standard error, about the estimate itself."""
        # Not as a sum divided by (R - 1): the deviations of leave-one-out values are 1/(R - 1)
        # of an independent replicate's.
        share = (values.shape[0] - 1) / values.shape[0]
        se = np.sqrt(share * ((values - estimate) ** 2).sum(axis=0))
        reach = t_quantile((1 + level) / 2, df) * se
        return Interval(estimate, se, estimate - reach, estimate + reach)
