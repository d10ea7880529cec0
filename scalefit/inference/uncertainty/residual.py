"""Residual bootstrap: the law's losses with residuals of other rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scalefit.core.records import dataclass
from scalefit.inference.fitting import Fit
from scalefit.inference.solver import Solution
from scalefit.inference.streams import RESIDUAL, drawn
from scalefit.inference.uncertainty.base import METHODS
from scalefit.inference.uncertainty.percentiles import Percentiles
from scalefit.inference.uncertainty.targets import (
    fitted_target,
    refit_to_targets,
    require_single_rows,
)


@METHODS.add
@dataclass(frozen=True)
class ResidualBootstrap(Percentiles):
    """Centred residuals drawn with replacement, percentiles; wrong where scatter is uneven.

    Attributes:
        draws: Number of replicates.

    Source: Davison & Hinkley 1997, section 6.2.3; inflated by sqrt(n / (n - p)).
    """

    name: ClassVar[str] = "residual"
    words: ClassVar[str] = "residual-bootstrap-percentile"

    def refits(self, fit: Fit, seed: int, start: int, stop: int) -> Solution:
        """Fits to the law's losses with other rows' residuals."""
        require_single_rows(fit.runs, self.name)
        n = fit.runs.n
        residual = fit.residual - fit.residual.mean()
        residual = residual * np.sqrt(n / max(1, n - fit.problem.p))
        base = fitted_target(fit)
        return refit_to_targets(
            fit, lambda b: base + residual[drawn(seed, RESIDUAL, b, n, n)], start, stop
        )
