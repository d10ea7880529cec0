"""Refits to made-up losses at the same inputs: what residual, parametric and wild methods do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalefit.core.errors import InputError
from scalefit.core.observations import Array, Observations
from scalefit.core.records import replace
from scalefit.inference.fitting import Fit
from scalefit.inference.solver import Solution, solve

Targets = Callable[[int], Array]


def refit_to_targets(fit: Fit, target: Targets, start: int, stop: int) -> Solution:
    """Refits to the target of each replicate, shape (n,), from the estimate on."""
    targets = np.stack([target(b) for b in range(start, stop)])
    begin = np.repeat(fit.u[None], len(targets), axis=0)
    problem = replace(fit.problem, target=targets)
    return solve(problem, fit.objective, fit.runs.weight[None], begin, cold=False)


def fitted_target(fit: Fit) -> Array:
    """What the law says of each row's target, shape (n,)."""
    return np.asarray(fit.problem.target - fit.residual)


def require_single_rows(runs: Observations, name: str) -> None:
    """Refuse a method that takes rows as independent where they are not.

    Raises:
        InputError: rows share a cluster.
    """
    if runs.clusters < runs.n:
        raise InputError(
            f"--interval {name} takes every row as independent, but {runs.n} rows are "
            f"{runs.clusters} clusters",
            "use --interval jackknife, wild, calibrated or bootstrap",
        )
