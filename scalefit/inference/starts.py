"""Where to start: what is linear is solved for on a grid of what is not.

A law declares which parameters are linear in the loss, or affine in the log of the loss above
its floor. Over a grid of the others those are solved for exactly, so that the search begins in
every basin worth a look (variable projection: Golub & Pereyra 1973).
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from scalefit.core.observations import Array, Observations
from scalefit.inference.problem import Problem, bind
from scalefit.laws.base import Law, Parameter

_MOST = 4096


def candidates(law: Law, runs: Observations, log_target: bool, most: int = _MOST) -> Array:
    """Starting parameters, shape (K, P) with K <= `most`, for the inputs as they are."""
    problem = bind(law, runs, log_target=log_target and bool((runs.loss > 0).all()))
    affine = [i for i, p in enumerate(law.parameters) if p.log_linear]
    linear = [i for i, p in enumerate(law.parameters) if p.linear]
    solved = affine or linear
    held = [i for i in range(len(law.parameters)) if i not in solved]
    theta = np.ones((1, len(law.parameters)))
    if held:
        grid = _grid([law.parameters[i] for i in held], problem, runs, most)
        theta = np.repeat(theta, len(grid), axis=0)
        theta[:, held] = grid
    if affine:
        theta = _log_affine(problem, runs, theta, affine)
    elif linear:
        theta = _linear(problem, runs, theta, linear)
    theta = np.clip(theta, *_corners(problem))
    return problem.theta(_to_search(problem, theta))


def _to_search(problem: Problem, centred: Array) -> Array:
    with np.errstate(divide="ignore"):
        u = np.where(problem.log, np.log(np.where(problem.log, centred, 1.0)), centred)
    return np.clip(u, problem.low, problem.high)


def _corners(problem: Problem) -> tuple[Array, Array]:
    low = np.where(problem.log, np.exp(np.where(problem.log, problem.low, 0.0)), problem.low)
    with np.errstate(over="ignore"):
        high = np.where(problem.log, np.exp(np.where(problem.log, problem.high, 0.0)), problem.high)
    return low, high


def _grid(parameters: list[Parameter], problem: Problem, runs: Observations, most: int) -> Array:
    """Products of the starts of the held parameters, thinned evenly, shape (K, held).

    Positions on one axis are taken in increasing order: their labels are arbitrary.
    """
    axes: list[list[tuple[float, ...]]] = []
    seen: dict[str, list[int]] = {}
    for j, parameter in enumerate(parameters):
        if parameter.relative_to in problem.law.inputs:
            seen.setdefault(parameter.relative_to, []).append(j)
    together = [js for js in seen.values() if len({parameters[j].starts for j in js}) == 1]
    joint = {j for js in together for j in js}
    order: list[int] = []
    for j, parameter in enumerate(parameters):
        if j not in joint:
            order.append(j)
            axes.append([(v,) for v in _starts(parameter, problem, runs)])
    for js in together:
        order.extend(js)
        values = _starts(parameters[js[0]], problem, runs)
        axes.append(list(combinations(values, len(js))))
    chosen = _thinned([len(axis) for axis in axes], most)
    rows = [[v for axis, k in zip(axes, index, strict=True) for v in axis[k]] for index in chosen]
    grid = np.empty((len(rows), len(parameters)))
    grid[:, order] = rows
    return grid


def _starts(parameter: Parameter, problem: Problem, runs: Observations) -> list[float]:
    """Starts of a parameter in centred units, smallest first."""
    starts = np.array(sorted(parameter.starts))
    if parameter.relative_to == "loss":
        starts = starts * float(runs.loss.min())
    elif parameter.relative_to:
        values = problem.inputs[problem.law.inputs.index(parameter.relative_to)]
        lowest, highest = float(values.min()), float(values.max())
        starts = lowest * (highest / lowest) ** starts
    return [float(v) for v in starts]


def _thinned(sizes: list[int], most: int) -> list[tuple[int, ...]]:
    """Index tuples into axes of those sizes: all of them, or `most` spread evenly."""
    total = math.prod(sizes)
    stride = 1
    if total > most:
        # A golden-section stride visits the whole product evenly; coprime, it never repeats.
        stride = int(total * 0.6180339887498949) | 1
        while math.gcd(stride, total) != 1:
            stride += 2
    flat = (np.arange(min(total, most), dtype=object) * stride) % total
    return [tuple(int(i) for i in np.unravel_index(int(k), sizes)) for k in flat]


def _linear(problem: Problem, runs: Observations, theta: Array, linear: list[int]) -> Array:
    """Non-negative least squares for the linear parameters at each held set.

    Weights 1/loss^2 make it the first-order equivalent of least squares on the log loss.
    """
    law, inputs = problem.law, problem.inputs
    zero = theta.copy()
    zero[:, linear] = 0.0
    base = _predict(law, zero, inputs)
    columns = []
    for i in linear:
        one = zero.copy()
        one[:, i] = 1.0
        columns.append(_predict(law, one, inputs) - base)
    design = np.stack(columns, axis=1)
    rough = runs.weight / (runs.loss**2 if problem.log_target else np.ones(problem.n))
    weight = rough / rough.sum()
    right = np.matmul(design, (weight * (runs.loss - base))[:, :, None])[:, :, 0]
    normal = np.matmul(design * weight, np.swapaxes(design, 1, 2))
    result = zero.copy()
    result[:, linear] = _non_negative(normal, right)
    return result


def _predict(law: Law, theta: Array, inputs: tuple[Array, ...]) -> Array:
    value = law.predict(theta, inputs)
    return np.nan_to_num(
        np.broadcast_to(value, (theta.shape[0], inputs[0].size)), nan=0.0, posinf=1e100, neginf=0.0
    )


def _non_negative(normal: Array, right: Array) -> Array:
    """Minimisers of x'Nx/2 - r'x over x >= 0, shape (K, m): every active set is tried."""
    count, m = right.shape
    best = np.zeros((count, m))
    lowest = np.zeros(count)
    for size in range(1, m + 1):
        for chosen in combinations(range(m), size):
            at = list(chosen)
            part = normal[:, at][:, :, at]
            diagonal = np.einsum("kii->ki", part)
            scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
            scaled = part / scale[:, :, None] / scale[:, None, :]
            scaled = scaled + 1e-13 * np.eye(size)
            x = np.linalg.solve(scaled, (right[:, at] / scale)[:, :, None])[:, :, 0] / scale
            value = -(right[:, at] * x).sum(axis=1)
            better = (x >= 0).all(axis=1) & np.isfinite(value) & (value < lowest)
            lowest[better] = value[better]
            best[better] = 0.0
            best[np.ix_(better, at)] = x[better]
    return best


def _log_affine(problem: Problem, runs: Observations, theta: Array, affine: list[int]) -> Array:
    """Least squares on log(loss - floor) for the parameters that are affine there."""
    law, inputs = problem.law, problem.inputs
    log = np.array([p.log for p in law.parameters])
    floors = [i for i, p in enumerate(law.parameters) if p.linear and i not in affine]
    floor = theta[:, floors].sum(axis=1)[:, None]
    zero = theta.copy()
    zero[:, floors] = 0.0
    zero[:, affine] = np.where(log[affine], 1.0, 0.0)
    base = np.log(np.maximum(_predict(law, zero, inputs), 1e-300))
    columns = []
    for i in affine:
        one = zero.copy()
        one[:, i] = np.e if log[i] else 1.0
        columns.append(np.log(np.maximum(_predict(law, one, inputs), 1e-300)) - base)
    design = np.stack(columns, axis=1)
    above = np.maximum(runs.loss - floor, 1e-6 * runs.loss)
    weight = runs.weight * (above / runs.loss) ** 2
    target = np.log(above) - base
    normal = np.matmul(design * weight[:, None, :], np.swapaxes(design, 1, 2))
    right = np.matmul(design, (weight * target)[:, :, None])[:, :, 0]
    size = np.sqrt(np.maximum(np.einsum("kii->ki", normal), 1e-300))
    scaled = normal / size[:, :, None] / size[:, None, :] + 1e-10 * np.eye(len(affine))
    x = np.linalg.solve(scaled, (right / size)[:, :, None])[:, :, 0] / size
    result = theta.copy()
    result[:, affine] = np.where(log[affine], np.exp(np.clip(x, -700, 700)), x)
    return result
