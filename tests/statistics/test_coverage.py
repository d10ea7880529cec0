"""The default interval covers what it says it covers, on runs that obey the law."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.allocation import best_size
from scalefit.inference.objectives import StudentT
from scalefit.inference.problem import bind
from scalefit.inference.solver import solve
from scalefit.inference.uncertainty.student import t_quantile
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")
TRUTH = np.array([1.8172, 482.01, 0.3478, 2085.43, 0.3658])
WORLDS = 150


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


def covered(n, noise):
    """Share of worlds in which the jackknife-t interval holds the truth, per target."""
    size, tokens = design(n)
    clean = LAW.predict(TRUTH, [size, tokens])
    hits, truth = [], targets(TRUTH[None])[0]
    for world in range(WORLDS):
        random = np.random.default_rng((n, world))
        runs = observations({"N": size, "D": tokens}, clean * np.exp(noise(random, clean.size)))
        problem = bind(LAW, runs, log_target=True)
        u = problem.search(TRUTH[None])
        weight = np.concatenate([np.ones((1, n)), 1 - np.eye(n)])
        ends = solve(problem, StudentT(), weight, np.repeat(u, n + 1, axis=0), cold=False)
        found = targets(problem.theta(ends.u))
        keep = ends.converged[1:] & np.isfinite(found[1:]).all(axis=1)
        values = found[1:][keep]
        se = np.sqrt((len(values) - 1) / len(values) * ((values - found[0]) ** 2).sum(axis=0))
        hits.append(np.abs(found[0] - truth) <= t_quantile(0.975, n - 1) * se)
    return np.mean(hits, axis=0)


def gaussian(random, n):
    return 0.007 * random.standard_normal(n)


def contaminated(random, n):
    return 0.007 * random.standard_normal(n) + 0.05 * (random.random(n) < 0.03)


# method.md section 4, B2: every cell in [0.91, 0.99]; two points wider for so few worlds.
@pytest.mark.parametrize("noise", [gaussian, contaminated], ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [15, 25])
def test_jackknife_t_covers_nineteen_in_twenty(n, noise):
    share = covered(n, noise)
    assert share.min() >= 0.89
    assert 0.92 <= share.mean() <= 0.995
