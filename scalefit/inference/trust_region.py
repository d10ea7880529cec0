"""The slow, stubborn search for one problem: a trust region, its step from a decomposition.

Damped steps of the batch solver creep along bent valleys and may throw a parameter out to where
the law no longer feels it. A radius in scaled parameters, found anew from the singular values at
every step, keeps all of them in reach.

Source: Moré 1978, The Levenberg-Marquardt algorithm; Conn, Gould & Toint 2000, section 7.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scalefit.core.observations import Array
from scalefit.inference.problem import Problem
from scalefit.inference.solver import Solution
from scalefit.inference.standing import rounding_gain


@np.errstate(all="ignore")  # what is not finite is judged as such
def solve_in_trust_region(
    problem: Problem,
    objective: Any,
    weight: Array,
    start: Array,
    *,
    tolerance: float = 1e-14,
    limit: int = 2000,
) -> Solution:
    """Minimise from each start in turn; arguments and result as in `solver.solve`."""
    ends = [_one(problem, objective, weight, u, tolerance, limit) for u in start]
    return Solution(
        u=np.stack([u for u, *_ in ends]),
        value=np.array([v for _, v, *_ in ends]),
        state=np.array([s for _, _, s, *_ in ends]),
        converged=np.array([c for *_, c, _ in ends]),
        steps=np.array([k for *_, k in ends], dtype=np.int64),
    )


def _one(
    problem: Problem, objective: Any, weight: Array, start: Array, tolerance: float, limit: int
) -> tuple[Array, float, float, bool, int]:
    u = np.clip(start, problem.low, problem.high)
    residual, jacobian = problem.evaluate(u[None])
    found = objective.measure(residual, weight, objective.begin(residual, weight, cold=False))
    if not np.isfinite(residual).all():
        return u, np.inf, float(found.state[0]), False, 1
    width = np.zeros(problem.p)
    radius = 0.0
    for steps in range(1, limit):
        # Rows are weighted by the majoriser, whose model never promises less than it keeps.
        root = np.sqrt(weight[0] * found.safe[0])
        gradient = -(jacobian[0] @ (weight[0] * found.psi[0]))
        frozen = ((u <= problem.low) & (gradient > 0)) | ((u >= problem.high) & (gradient < 0))
        width = np.maximum(width, np.sqrt(((jacobian[0] * root) ** 2).sum(axis=1)))
        scale = np.where(width > 0, width, 1.0)
        radius = radius or float(np.linalg.norm(u * scale)) or 1.0
        rows = np.where(frozen[:, None], 0.0, jacobian[0] * root / scale[:, None])
        free, hit = _within(rows, root * residual[0], radius)
        move = np.clip(u + np.where(frozen, 0.0, free / scale), problem.low, problem.high) - u
        along = (move * scale) @ rows
        gain = float((along * (root * residual[0])).sum() - along @ along / 2)
        rows = problem.rounding(weight)
        tiny = float(rounding_gain(objective, found.state, rows)[0])
        size = float(found.size[0])
        if size <= tiny or (gain <= tolerance * size + tiny and not hit):
            return u, float(found.value[0]), float(found.state[0]), True, steps
        after, slopes = problem.evaluate((u + move)[None])
        new = objective.measure(after, weight, objective.settle(after, weight, found.state))
        drop = float(found.value[0] - new.value[0]) if np.isfinite(after).all() else -np.inf
        length = float(np.linalg.norm(move * scale))
        if drop < 0.25 * gain:
            radius = 0.25 * length
        elif drop > 0.75 * gain and hit:
            radius *= 2.0
        if drop > 0:
            u, residual, jacobian, found = u + move, after, slopes, new
        if radius < 1e-15 * max(1.0, float(np.linalg.norm(u * scale))):
            break
    return u, float(found.value[0]), float(found.state[0]), False, limit


def _within(rows: Array, right: Array, radius: float) -> tuple[Array, bool]:
    """The x of length at most `radius` that minimises |rows' x - right|, and whether it is cut."""
    _, s, v = np.linalg.svd(rows.T, full_matrices=False)
    image = (rows @ right) @ v.T
    kept = s > 1e-14 * max(float(s[0]), 1e-300)
    newton = np.where(kept, image / np.where(kept, s, 1.0) ** 2, 0.0)
    if float(np.linalg.norm(newton)) <= radius:
        return newton @ v, False
    # |x| falls in the damping: Newton on 1/|x| comes from below and never overshoots.
    damping = max(0.0, float(np.linalg.norm(image)) / radius - float(s[0]) ** 2)
    for _ in range(60):
        x = image / (s**2 + damping) if damping > 0 else newton
        size = float(np.linalg.norm(x))
        if abs(size - radius) <= 1e-3 * radius:
            break
        below = np.where(kept, s**2, 0.0) + damping
        # Without damping a direction that the rows do not feel is not stepped along.
        bend = float(np.divide(x**2, below, out=np.zeros_like(x), where=below > 0).sum()) / size
        damping += (size - radius) / radius * size / bend
        damping = max(damping, 0.0)
    return (image / (s**2 + damping) if damping > 0 else newton) @ v, True
