"""Replicates start where a few thorough searches have shown that resamples end."""

import csv
from pathlib import Path

import numpy as np
import pytest
from simulated import example, observations, runs_of

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian, Huber, StudentT
from scalefit.inference.restarts import refit, scouted, scouts
from scalefit.inference.solver import solve
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.base import Refit
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.laws import LAWS

CURVE = Path(__file__).parents[3] / "data" / "learning-curves" / "runs.csv"


@pytest.fixture(scope="module")
def curve():
    with CURVE.open() as file:
        rows = [row for row in csv.DictReader(file) if row["task_id"] == "BB|date_1-shot|262M"]
    x, loss = (np.array([float(row[name]) for row in rows]) for name in ("seen_examples", "loss"))
    return observations({"x": x}, loss)


def test_scouts_are_spread_over_all_replicates():
    assert scouts(3) == [0, 1, 2]
    few = scouts(2000)
    assert (few[0], few[-1]) == (0, 1999)
    assert len(few) == len(set(few)) == 60


def test_a_law_of_one_basin_needs_no_scouts():
    found = fit(LAWS.get("power-floor"), runs_of(LAWS.get("power-floor"), noise=0.02))

    def weigh():
        raise AssertionError("no scout is wanted")

    told = found.problem, found.objective, found.runs, weigh, found.minima
    # One exponent has no valley to lie along.
    for valley in (False, True):
        starts = scouted(*told, valley=valley)
        assert starts is found.minima


def test_where_the_estimate_leads_home_from_it_is_start_enough(curve):
    found = fit(LAWS.get("broken-power-2"), curve, objective=Gaussian())
    starts = Refit(found, Bootstrap(draws=300), 0).known
    assert np.array_equal(starts, found.u[None])


def test_a_rival_of_the_estimate_is_tried_in_every_replicate():
    """Sizes and tokens that grow together: either of the two powers may take what is common."""
    law, random = LAWS.get("chinchilla"), np.random.default_rng(1)
    sizes = np.exp(random.uniform(17, 23, 130))
    inputs = {"N": sizes, "D": 20 * sizes * np.exp(0.3 * random.standard_normal(130))}
    loss = law.predict(example(law)[None], list(inputs.values()))[0]
    runs = observations(inputs, loss * np.exp(0.015 * random.standard_t(3, 130)))
    weight = Bootstrap(draws=300).weights(runs, 0, 0, 300)
    for objective, lower in ((StudentT(4.0), 10), (Huber(1e-3), 60)):
        found = fit(law, runs, objective=objective)
        assert len(found.minima) > 1
        told = found.problem, objective, runs, weight
        ends = refit(*told, found.minima, valley=False)
        alone = refit(*told, found.minima[:1], valley=False)
        second = np.repeat(found.minima[1:2], 300, axis=0)
        other = solve(found.problem, objective, weight, second, cold=False)
        near = 1e-7 * np.abs(other.value)
        assert (ends.value <= np.minimum(alone.value, other.value) + near).all()
        assert (ends.value < alone.value - 1e-4 * np.abs(alone.value)).sum() >= lower


def test_along_a_valley_every_replicate_is_searched_in_many_places():
    """Sizes and tokens on all but one line: minima of resamples lie far from the estimate."""
    law, random = LAWS.get("chinchilla"), np.random.default_rng(1)
    sizes = np.exp(random.uniform(np.log(1e8), np.log(1e10), 40))
    inputs = {"N": sizes, "D": 20 * sizes * np.exp(0.1 * random.standard_normal(40))}
    loss = 1.7 + 400 * inputs["N"] ** -0.34 + 410 * inputs["D"] ** -0.28
    runs = observations(inputs, loss * np.exp(0.01 * random.standard_normal(40)))
    weight = Bootstrap(draws=200).weights(runs, 0, 0, 200)
    for objective in (StudentT(4.0), Huber(1e-3)):
        found = fit(law, runs, objective=objective)
        problem = found.problem
        ends = Refit(found, Bootstrap(draws=200), 0)((0, 200))
        alone = refit(problem, objective, runs, weight, found.minima, valley=False)
        best = np.minimum(ends.value, alone.value)
        for beta in np.linspace(0.05, 1.2, 12):
            tilted = found.u + np.array([0.0, 0.0, 0.0, 0.0, 1.0]) * (beta - found.u[4])
            start = np.repeat(tilted[None], 200, axis=0)
            best = np.minimum(best, solve(problem, objective, weight, start, cold=True).value)
        size = objective.measure(problem.residual(ends.u), weight, ends.state).size
        assert ((ends.value - best) / size > 0.01).mean() <= 0.02
        assert ((alone.value - best) / size > 0.01).mean() >= 0.05


def test_starts_of_every_replicate_are_different_curves(curve):
    found = fit(LAWS.get("broken-power-2"), curve, objective=StudentT(4.0))
    starts = Refit(found, Bootstrap(draws=300), 0).known
    assert 1 < len(starts) <= 16
    assert np.array_equal(starts[0], found.u)
    curves = found.problem.residual(starts)
    near = 0.3 * np.sqrt(np.mean(found.residual**2))
    for k in range(1, len(starts)):
        assert np.abs(curves[:k] - curves[k]).max(axis=1).min() > near


def test_refits_of_two_breaks_end_where_cold_searches_do(curve):
    law = LAWS.get("broken-power-2")
    found = fit(law, curve, objective=Gaussian())
    method = Bootstrap(draws=300)
    drawn = draw(found, method, seed=0)
    weight = method.weights(curve, 0, 0, 40)
    near = []
    for k, theta in zip(drawn.number, drawn.theta, strict=True):
        if k < 40:
            some = observations(dict(curve.inputs), curve.loss, weight=weight[k])
            cold = fit(law, some, objective=Gaussian())
            ends = found.problem.residual(found.problem.search(np.stack([theta, cold.theta])))
            ours, theirs = (ends**2) @ weight[k]
            near.append(ours <= 1.01 * theirs)
    assert len(near) == 40
    assert np.mean(near) >= 0.95
