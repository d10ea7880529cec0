"""Delete-one-cluster jackknife with Student's t: the default."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.records import dataclass
from scalefit.core.tails import t_quantile
from scalefit.inference.fitting import Fit
from scalefit.inference.uncertainty.base import METHODS, Interval


@METHODS.add
@dataclass(frozen=True)
class Jackknife:
    """Leave each cluster out once; t with G - 1 degrees of freedom.

    It needs no seed and no noise model. Beyond `most` clusters they are left out in `groups`
    balanced groups instead, with groups - 1 degrees of freedom.

    Source: CV3 of MacKinnon, Nielsen & Webb 2023, arXiv:2205.03288, eq. 13; groups as in
    Efron & Tibshirani 1993, section 11.7 (delete-d).
    """

    name: ClassVar[str] = "jackknife"
    words: ClassVar[str] = "jackknife-t"
    most: ClassVar[int] = 2000
    groups: ClassVar[int] = 200

    def unit(self, runs: Observations) -> IntArray:
        """What each row is left out with, shape (n,)."""
        # Clusters are numbered along the inputs, so every group spans the whole design.
        return runs.cluster if runs.clusters <= self.most else runs.cluster % self.groups

    def weights(self, runs: Observations, seed: int, start: int, stop: int) -> Array:
        """One everywhere but zero in the cluster that is left out."""
        kept = self.unit(runs)[None, :] != np.arange(start, stop)[:, None]
        return np.asarray(kept, dtype=float)

    def count(self, runs: Observations) -> int:
        """One refit per cluster, or per group of clusters."""
        return runs.clusters if runs.clusters <= self.most else self.groups

    def df(self, fit: Fit) -> float:
        """One less than the refits."""
        return self.count(fit.runs) - 1

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """Estimate -/+ t times the jackknife standard error, about the estimate itself."""
        # Not as a sum divided by (R - 1): the deviations of leave-one-out values are 1/(R - 1)
        # of an independent replicate's.
        share = (values.shape[0] - 1) / values.shape[0]
        se = np.sqrt(share * ((values - estimate) ** 2).sum(axis=0))
        reach = t_quantile((1 + level) / 2, df) * se
        return Interval(estimate, se, estimate - reach, estimate + reach)
