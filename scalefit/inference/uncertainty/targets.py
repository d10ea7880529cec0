"""Refits to made-up losses at the same inputs: what residual, parametric and wild methods do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalefit.core.errors import InputError
from scalefit.core.observations import Array, Observations
from scalefit.core.records import replace
from scalefit.inference.fitting import Fit
from scalefit.inference.problem import Problem
from scalefit.inference.solver import Solution, joined, solve

_TILE_ROWS = 8192

Targets = Callable[[int], Array]


def refit_to_targets(fit: Fit, target: Targets, start: int, stop: int) -> Solution:
    """Refits to the target of each replicate, shape (n,), from the estimate on.

    The solver's problems share one target, so that replicates stand side by side as the rows of
    one wide problem, and each weighs its own rows alone. A replicate has its place in the tile by
    its number, so that it comes out the same in any span.
    """
    tile = max(1, int(np.sqrt(_TILE_ROWS / fit.runs.n)))
    parts = []
    for first in range(start - start % tile, stop, tile):
        numbers = [b for b in range(first, first + tile) if start <= b < stop]
        parts.append(_tile(fit, target, first, tile, numbers))
    return joined(parts)


def _tile(fit: Fit, target: Targets, first: int, tile: int, numbers: list[int]) -> Solution:
    n = fit.runs.n
    values = np.tile(fit.problem.target, (tile, 1))
    weight = np.zeros((len(numbers), tile, n))
    for row, b in enumerate(numbers):
        values[b - first] = target(b)
        weight[row, b - first] = fit.runs.weight
    wide: Problem = replace(
        fit.problem,
        inputs=tuple(np.tile(v, tile) for v in fit.problem.inputs),
        target=values.ravel(),
        weight=np.tile(fit.problem.weight, tile),
    )
    begin = np.repeat(fit.u[None], len(numbers), axis=0)
    return solve(wide, fit.objective, weight.reshape(len(numbers), -1), begin, cold=False)


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
