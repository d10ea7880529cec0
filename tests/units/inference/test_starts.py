"""Starts solve exactly for what is linear, on a grid of what is not."""

import numpy as np
import pytest
from scipy.optimize import nnls
from simulated import example, observations, runs_of

from scalefit.inference.problem import bind
from scalefit.inference.starts import candidates
from scalefit.laws import LAWS


def test_at_the_right_exponents_the_linear_part_is_non_negative_least_squares():
    law = LAWS.get("chinchilla")
    runs = runs_of(law, noise=0.01)
    starts = candidates(law, runs, log_target=True)
    problem = bind(law, runs, log_target=True)
    for theta in starts[:: len(starts) // 40]:
        alpha, beta = theta[2], theta[4]
        columns = np.stack(
            [np.ones(runs.n), runs.inputs["N"] ** -alpha, runs.inputs["D"] ** -beta], axis=1
        )
        size = columns.max(axis=0)
        expected = nnls(columns / size / runs.loss[:, None], np.ones(runs.n))[0] / size
        clipped = problem.theta(problem.search(np.array(
            [[expected[0], max(expected[1], 1e-300), alpha, max(expected[2], 1e-300), beta]]
        )))[0]  # fmt: skip
        inside = (expected > 0).all() and np.allclose(clipped[[0, 1, 3]], expected, rtol=1e-9)
        if inside:
            np.testing.assert_allclose(theta[[0, 1, 3]], expected, rtol=1e-3)


def test_a_pure_power_law_is_started_at_its_least_squares_line():
    law = LAWS.get("power")
    runs = runs_of(law, noise=0.01)
    slope, height = np.polyfit(np.log(runs.inputs["x"]), np.log(runs.loss), 1)
    (start,) = np.unique(candidates(law, runs, log_target=True).round(9), axis=0)[:1]
    assert start[1] == pytest.approx(-slope, rel=1e-6)
    assert np.log(start[0]) == pytest.approx(height, rel=1e-5)


def test_no_more_starts_than_asked_for():
    for law in LAWS:
        starts = candidates(law, runs_of(law), log_target=True, most=100)
        assert 1 <= len(starts) <= 100
        assert starts.shape[1] == len(law.parameters)


def test_starts_do_not_depend_on_units():
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.01)
    millions = observations({"x": runs.inputs["x"] / 1e6}, runs.loss)
    first = candidates(law, runs, log_target=True)
    second = candidates(law, millions, log_target=True)
    np.testing.assert_allclose(second[:, 1] * 1e6 ** second[:, 2], first[:, 1], rtol=1e-6)


def test_the_truth_of_noise_free_runs_is_bracketed_by_good_starts():
    law = LAWS.get("chinchilla")
    runs = runs_of(law)
    starts = candidates(law, runs, log_target=True)
    problem = bind(law, runs, log_target=True)
    rms = np.sqrt((problem.residual(problem.search(starts)) ** 2).mean(axis=1))
    best = starts[np.argmin(rms)]
    assert rms.min() < 0.01
    assert best[2] == pytest.approx(example(law)[2], rel=0.3)
