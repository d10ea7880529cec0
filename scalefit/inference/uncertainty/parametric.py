"""Parametric bootstrap: the law's losses with noise of the distribution that was fitted."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.inference.fitting import Fit
from scalefit.inference.solver import Solution
from scalefit.inference.streams import PARAMETRIC, uniforms
from scalefit.inference.uncertainty.base import METHODS
from scalefit.inference.uncertainty.percentiles import Percentiles
from scalefit.inference.uncertainty.targets import (
    fitted_target,
    refit_to_targets,
    require_single_rows,
)


@METHODS.add
@dataclass(frozen=True)
class Parametric(Percentiles):
    """Noise of the fitted distribution, percentiles; as good as that distribution.

    Attributes:
        draws: Number of replicates.

    Source: Davison & Hinkley 1997, section 6.2.2; scale inflated by sqrt(n / (n - p)).
    """

    name: ClassVar[str] = "parametric"
    words: ClassVar[str] = "parametric-bootstrap-percentile"

    def refits(self, fit: Fit, seed: int, start: int, stop: int) -> Solution:
        """Fits to the law's losses with noise: Student's t of a t fit, else normal."""
        require_single_rows(fit.runs, self.name)
        n = fit.runs.n
        scale = fit.scale * np.sqrt(n / max(1, n - fit.problem.p))
        scale = scale / np.sqrt(np.maximum(fit.runs.weight, 1e-300))
        nu = fit.objective.nu if fit.objective.name == "t" else math.inf
        base = fitted_target(fit)
        return refit_to_targets(
            fit, lambda b: base + scale * _noise(uniforms(seed, PARAMETRIC, b, n), nu), start, stop
        )


def _noise(probability: Array, nu: float) -> Array:
    from scipy.special import ndtri, stdtrit

    return np.asarray(ndtri(probability) if math.isinf(nu) else stdtrit(nu, probability))
