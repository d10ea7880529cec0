"""Cluster-robust covariance of an estimate, and points around it that carry it to any quantity."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalefit.core.observations import Array, IntArray
from scalefit.inference.problem import Problem

STEP = 0.01  # standard errors: small enough for slopes, large enough for rounding


def covariance_root(
    problem: Problem,
    objective: Any,
    u: Array,
    weight: Array,
    cluster: IntArray,
    *,
    residual: Array | None = None,
) -> Array:
    """Columns S with S S' the sandwich covariance of u, shape (p, p); zero on a bound.

    Args:
        problem: Law and runs.
        objective: What was minimised.
        u: Estimate, shape (p,).
        weight: Row weights, shape (n,).
        cluster: Independent unit of each row as 0..G-1, shape (n,).
        residual: Of the target, shape (n,), if it is not the problem's own.

    Source: Liang & Zeger 1986, with G/(G - 1) (n - 1)/(n - p) as in CR1 of Cameron & Miller 2015.
    """
    own, jacobian = problem.evaluate(u[None])
    row = own if residual is None else residual[None]
    share = weight[None]
    found = objective.measure(row, share, objective.begin(row, share, cold=False))
    inside = (u > problem.low) & (u < problem.high)
    slope = jacobian[0] * np.where(inside, 1.0, 0.0)[:, None]
    weighed = slope * weight
    # Newton's curvature where it is positive definite; else the majoriser's, which always is.
    bread = _inverse((weighed * found.sharp[0]) @ slope.T)
    if bread is None:
        bread = _inverse((weighed * np.maximum(found.safe[0], 0)) @ slope.T)
    if bread is None:
        return np.full((problem.p, problem.p), np.nan)
    groups = int(cluster.max()) + 1
    scores = np.zeros((groups, problem.p))
    np.add.at(scores, cluster, (weighed * found.psi[0]).T)
    n, p = problem.n, int(inside.sum())
    correction = groups / max(1, groups - 1) * (n - 1) / max(1, n - p)
    _, size, right = np.linalg.svd(scores @ bread * np.sqrt(correction), full_matrices=False)
    root = np.zeros((problem.p, problem.p))
    root[:, : size.size] = right.T * size
    return root


def _inverse(matrix: Array) -> Array | None:
    """Inverse of a positive definite matrix, zero where a parameter does nothing; else None.

    What is positive by rounding alone has none either, whatever a factorisation makes of it.
    """
    width = np.sqrt(np.abs(np.diag(matrix)))
    used = width > 0
    scaled = matrix[np.ix_(used, used)] / np.outer(width[used], width[used])
    try:
        pivots = np.diag(np.linalg.cholesky(scaled))
    except np.linalg.LinAlgError:
        return None
    if not (pivots**2 > len(pivots) * np.finfo(float).eps).all():
        return None
    whole = np.zeros_like(matrix)
    whole[np.ix_(used, used)] = np.linalg.inv(scaled) / np.outer(width[used], width[used])
    return whole


def around(u: Array, root: Array) -> Array:
    """The estimate moved a little along each column of the root, shape (p, p)."""
    return np.asarray(u[None] + STEP * root.T)
