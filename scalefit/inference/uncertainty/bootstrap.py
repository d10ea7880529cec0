"""Cluster bootstrap: whole clusters drawn with replacement, as weights."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass
from scalefit.inference.uncertainty import streams
from scalefit.inference.uncertainty.base import METHODS
from scalefit.inference.uncertainty.little import LittleBootstraps, suits
from scalefit.inference.uncertainty.percentiles import Percentiles


@METHODS.add
@dataclass(frozen=True)
class Bootstrap(Percentiles):
    """Pairs bootstrap over clusters with percentile intervals.

    Attributes:
        draws: Number of replicates.

    Source: Davison & Hinkley 1997, sections 2.4 and 3.8.
    """

    name: ClassVar[str] = "bootstrap"
    words: ClassVar[str] = "cluster-bootstrap-percentile"

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
