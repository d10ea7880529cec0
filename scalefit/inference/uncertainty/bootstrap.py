"""Cluster bootstrap: whole clusters drawn with replacement, as weights."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass
from scalefit.inference import streams
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
        counts = streams.counts(seed, streams.BOOTSTRAP, start, stop, runs.clusters)
        alone = runs.clusters == runs.n and bool((np.diff(runs.cluster) > 0).all())
        return counts if alone else counts[:, runs.cluster]
