"""Scores of forecasts: by hand, and by numerical integration."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from simulated import observations

from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import Forecasts
from scalefit.inference.scores import (
    crps_normal,
    leave_one_group_out,
    leave_one_out,
    score,
    score_by_distance,
)
from scalefit.laws import LAWS


def told(error, sd, decades):
    error, sd, decades = (np.asarray(v, dtype=float) for v in (error, sd, decades))
    k = np.ones(error.size)
    return Forecasts(k, k, decades, error, sd**2, k.astype(np.int64), 20 * k)


@pytest.mark.parametrize(("error", "sd"), [(0.0, 1.0), (0.3, 0.2), (-2.0, 0.5)])
def test_crps_is_the_integral_of_the_squared_gap(error, sd):
    below = quad(lambda y: norm.cdf(y, scale=sd) ** 2, -20, error)[0]
    above = quad(lambda y: norm.sf(y, scale=sd) ** 2, error, 20)[0]
    found = crps_normal(np.array([error]), np.array([sd]))[0]
    assert found == pytest.approx(below + above, rel=1e-6)


def test_scores_by_hand():
    found = score(told([0.01, -0.03], [0.01, 0.01], [0.2, 1.0]), 0.95)
    assert found.forecasts == 2
    assert found.rmse == pytest.approx(np.sqrt((1e-4 + 9e-4) / 2))
    assert found.mean_error == pytest.approx(-0.01)
    assert found.z == pytest.approx(np.sqrt((1 + 9) / 2))
    assert found.coverage == 0.5


def test_a_forecast_without_bounds_takes_the_mean_score_away_and_is_counted():
    found = score(told([0.01, -0.03], [0.01, 1e137], [0.2, 1.0]), 0.95)
    assert np.isnan(found.crps)
    assert found.boundless == 1
    infinite = score(told([0.01, -0.03], [0.01, np.inf], [0.2, 1.0]), 0.95)
    assert np.isnan(infinite.crps)
    assert score(told([0.01, -0.03], [0.01, 0.02], [0.2, 1.0]), 0.95).boundless == 0


def test_distances_part_the_forecasts():
    found = score_by_distance(told([0.0] * 4, [0.01] * 4, [0.0, 0.3, 1.0, 2.0]), 0.95)
    assert [one.forecasts for one in found.values()] == [1, 1, 1, 1]
    assert next(iter(found)) == "inside"


def test_no_forecasts_have_no_score():
    assert np.isnan(score(told([], [], []), 0.95).rmse)
    assert score_by_distance(told([], [], []), 0.95) == {}


def test_each_budget_is_forecast_from_all_the_others():
    x = np.repeat(np.geomspace(1e2, 1e6, 7), 3)
    jitter = np.exp(0.004 * np.random.default_rng(2).standard_normal(21))
    runs = observations({"x": x}, (1.5 + 8 * x**-0.3) * jitter)
    law = LAWS.get("power-floor")
    found = leave_one_out(fit(law, runs))
    assert found.count == 7
    assert (found.decades[1:-1] == 0).all()
    assert found.decades[0] > 0.5
    assert found.decades[-1] > 0.5
    # The middle budget by hand.
    label = np.unique(runs.scale, return_inverse=True)[1]
    alone = fit(law, runs.take(label != 3))
    at = runs.inputs["x"][label == 3]
    miss = np.log(runs.loss[label == 3]) - np.log(law.predict(alone.theta[None], [at])[0])
    assert found.error[3] == pytest.approx(miss.mean(), abs=1e-7)


def test_too_few_budgets_leave_nothing_out():
    x = np.tile([1e2, 1e4], 10)
    runs = observations({"x": x}, 1.5 + 8 * x**-0.3 + 1e-3 * np.arange(20))
    assert leave_one_out(fit(LAWS.get("power"), runs)).count == 0


def grouped(offset):
    """Four groups over the same scales, one of which is worse by a share of the loss."""
    random = np.random.default_rng(5)
    x = np.tile(np.geomspace(1e3, 1e6, 12), 4)
    group = np.repeat(np.arange(4.0), 12)
    loss = (1.5 + 8 * x**-0.3) * np.exp(offset * (group == 2) + 0.002 * random.standard_normal(48))
    runs = observations({"x": x, "group": group}, loss)
    codes = runs.inputs["group"]
    return replace(runs, inputs={"x": runs.inputs["x"]}, beside={"group": codes})


def test_a_group_of_its_own_shows_when_it_is_left_out():
    law = LAWS.get("power-floor")
    alike, apart = (leave_one_group_out(fit(law, grouped(offset))) for offset in (0.0, 0.02))
    assert alike.count == apart.count == 4
    assert list(apart.rows) == [12] * 4
    assert apart.error[2] == pytest.approx(0.02, abs=0.002)
    assert score(alike, 0.95).z < 2 < 5 < score(apart, 0.95).z


def test_without_groups_none_is_left_out():
    runs = replace(grouped(0.0), beside={})
    assert leave_one_group_out(fit(LAWS.get("power-floor"), runs)) is None
