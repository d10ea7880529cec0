"""Training compute counted as 6ND, and how far a given count is from it."""

from __future__ import annotations

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.sorting import median

PER_PARAMETER_TOKEN = 6.0
_TOLERANCE = 0.2


def six_nd(N: Array, D: Array) -> Array:
    """FLOP of runs of N parameters on D tokens, in the shape of both.

    Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
    """
    return np.asarray(PER_PARAMETER_TOKEN * N * D)


def tokens_for(C: Array, N: Array) -> Array:
    """Tokens that C FLOP train N parameters on, in the shape of both."""
    return np.asarray(C / PER_PARAMETER_TOKEN / N)


def against_six_nd(N: Array, D: Array, C: Array) -> tuple[float, float]:
    """C over 6ND in the median row, and how far from 1 it is in the median row; all of shape (n,).

    A ratio of exactly 1 where the rows are within 20 %: so much do rules of counting differ.
    """
    if not N.size:
        return 1.0, 0.0
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratios = C / six_nd(N, D)
    off = float(median(np.abs(ratios - 1)))
    return (float(median(ratios)) if off > _TOLERANCE else 1.0), off


def agrees(N: Array, D: Array, C: Array) -> np.ndarray:
    """Whether each C is within 20 % of 6ND, shape (n,)."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(C / six_nd(N, D) - 1) <= _TOLERANCE)
