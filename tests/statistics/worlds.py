"""Simulated runs with a known truth: designs, noises, and what one asks of a fit."""

import numpy as np
from simulated import observations

from scalefit.core.tails import t_quantile
from scalefit.inference.allocation import best_size
from scalefit.inference.objectives import Gaussian, StudentT
from scalefit.inference.problem import bind
from scalefit.inference.solver import solve
from scalefit.inference.uncertainty.sandwich import STEP, around
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")
TRUTH = np.array([1.8172, 482.01, 0.3478, 2085.43, 0.3658])
SIGMA = 0.007


def design(n):
    """IsoFLOP budgets from 1e18 to 1e21, five sizes within four of the best, n runs."""
    compute = np.repeat(np.geomspace(1e18, 1e21, n // 5), 5)
    best = 0.11963 * (compute / 6) ** 0.51261
    size = best * np.tile(np.geomspace(0.25, 4, 5), n // 5)
    return size, compute / 6 / size


def targets(theta):
    """alpha, beta, log E, log N* and log L at ten and a hundred times the largest budget."""
    budgets = np.array([1e22, 1e23])
    log_n = best_size(LAW, theta, budgets)
    n = np.exp(log_n)
    e, a, alpha, b, beta = theta.T[:, :, None]
    loss = np.log(e + a * n**-alpha + b * (budgets / 6 / n) ** -beta)
    named = np.stack([theta[:, 2], theta[:, 4], np.log(np.maximum(theta[:, 0], 1e-12))], axis=1)
    return np.concatenate([named, log_n, loss], axis=1)


def gaussian(random, compute):
    return SIGMA * random.standard_normal(compute.size)


def heavy(random, compute):
    """Student t with 4 degrees of freedom, of the same standard deviation."""
    return SIGMA / np.sqrt(2) * random.standard_t(4, compute.size)


def rising(random, compute):
    """Noise that rises fourfold with scale."""
    return SIGMA / 2 * (compute / compute.min()) ** 0.2 * random.standard_normal(compute.size)


def falling(random, compute):
    """Noise that falls fourfold with scale."""
    return SIGMA / 2 * (compute.max() / compute) ** 0.2 * random.standard_normal(compute.size)


def contaminated(random, compute):
    """Three runs in a hundred are bad."""
    return gaussian(random, compute) + 0.05 * (random.random(compute.size) < 0.03)


NOISES = (gaussian, heavy, rising, falling, contaminated)


def left_out(n, d, loss, cluster, objective=None):
    """Targets of the fit to all rows and of each fit without one cluster, from the truth on."""
    runs = observations({"N": n, "D": d}, loss, cluster=cluster)
    problem = bind(LAW, runs, log_target=True)
    u = problem.search(TRUTH[None])
    groups = runs.clusters
    without = (runs.cluster[None, :] != np.arange(groups)[:, None]).astype(float)
    weight = np.concatenate([np.ones((1, runs.n)), without])
    ends = solve(
        problem, objective or StudentT(), weight, np.repeat(u, groups + 1, axis=0), cold=False
    )
    found = targets(problem.theta(ends.u))
    keep = ends.converged[1:] & np.isfinite(found[1:]).all(axis=1)
    return found[0], found[1:][keep], problem, ends.u[0], runs


def jackknife_t(estimate, values, level=0.95):
    """Half-widths of the delete-one-cluster jackknife."""
    count = len(values)
    se = np.sqrt((count - 1) / count * ((values - estimate) ** 2).sum(axis=0))
    return t_quantile((1 + level) / 2, count - 1) * se


def exact_t(n, d, loss, level=0.95):
    """Half-widths of the t-interval of least squares, first order in the parameters."""
    runs = observations({"N": n, "D": d}, loss)
    problem = bind(LAW, runs, log_target=True)
    start = problem.search(TRUTH[None])
    u = solve(problem, Gaussian(), np.ones((1, runs.n)), start, cold=False).u[0]
    residual, jacobian = problem.evaluate(u[None])
    df = runs.n - problem.p
    triangle = np.linalg.qr(jacobian[0].T, mode="r")
    root = np.linalg.inv(triangle) * np.sqrt(residual[0] @ residual[0] / df)
    near = targets(problem.theta(around(u, root))) - targets(problem.theta(u[None]))
    return t_quantile((1 + level) / 2, df) * np.sqrt(((near / STEP) ** 2).sum(axis=0))


def hits(half_width, estimate):
    return np.abs(estimate - targets(TRUTH[None])[0]) <= half_width
