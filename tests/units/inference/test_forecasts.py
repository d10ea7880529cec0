"""Rolling-origin forecasts and the law-error rate they show."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from simulated import observations

from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import (
    ASSUMED_TAU,
    Forecasts,
    budgets,
    growth,
    law_error,
    noise_of,
    rolling_origin,
    typical_error,
)
from scalefit.inference.objectives import OBJECTIVES, Gaussian, StudentT, parse_objective
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")
TRUTH = np.array([1.8172, 482.01, 0.3478, 2085.43, 0.3658])


def design(levels=7, side=5):
    """IsoFLOP sweeps: `levels` budgets from 1e18 to 1e21, sizes within four of the best."""
    compute = np.repeat(np.geomspace(1e18, 1e21, levels), side)
    best = 0.11963 * (compute / 6) ** 0.51261
    n = best * np.tile(np.geomspace(0.25, 4, side), levels)
    return n, compute / 6 / n


def swept(noise=0.005, seed=0, bend=0.0, law=LAW, truth=TRUTH, **shape):
    n, d = design(**shape)
    loss = law.predict(truth, [n, d])
    random = np.random.default_rng(seed)
    drift = bend * np.log10(6 * n * d / 1e18)
    return observations(
        {"N": n, "D": d}, loss * np.exp(drift + noise * random.standard_normal(n.size))
    )


def made(error, variance, decades):
    k = len(error)
    return Forecasts(
        cut=np.ones(k), scale=np.exp(0.01 * np.arange(k)), decades=np.asarray(decades, dtype=float),
        error=np.asarray(error, dtype=float), variance=np.asarray(variance, dtype=float),
        rows=np.ones(k, dtype=np.int64), df=np.full(k, 10.0),
    )  # fmt: skip


def test_runs_of_one_budget_share_a_number():
    label = budgets(np.array([1e20, 1.01e20, 1e18, 0.999e18, 3e19, 3.02e19]))
    assert label.tolist() == [2, 2, 0, 0, 1, 1]


def test_many_scales_are_cut_into_twelve():
    label = budgets(np.geomspace(1e17, 1e21, 100))
    assert label.min() == 0
    assert label.max() == 11
    assert (np.diff(label) >= 0).all()
    assert np.bincount(label).min() >= 8


def test_forecasts_see_nothing_of_the_budgets_they_forecast():
    runs = swept()
    found = fit(LAW, runs)
    base = rolling_origin(found)
    top = runs.scale > 0.5e21
    spoilt = observations(runs.inputs, np.where(top, 1.2 * runs.loss, runs.loss))
    other = rolling_origin(fit(LAW, spoilt))
    below = base.scale < 0.5e21
    assert below.sum() >= 3
    np.testing.assert_allclose(other.error[below], base.error[below], atol=1e-6)
    np.testing.assert_allclose(other.error[~below] - base.error[~below], np.log(1.2), atol=1e-6)


def test_a_forecast_is_the_fit_to_the_runs_below_the_cut():
    runs = swept()
    found = fit(LAW, runs, objective=Gaussian())
    forecast = rolling_origin(found)
    for k in range(forecast.count):
        part = runs.take(runs.scale <= forecast.cut[k] * (1 + 1e-9))
        alone = fit(LAW, part, objective=Gaussian())
        at = np.isclose(runs.scale, forecast.scale[k], rtol=1e-6)
        actual = np.log(runs.loss[at])
        expected = np.log(LAW.predict(alone.theta, [runs.inputs[i][at] for i in ("N", "D")]))
        assert forecast.error[k] == pytest.approx(np.mean(actual - expected), abs=1e-6)
        assert forecast.rows[k] == at.sum() == 5
        assert forecast.decades[k] == pytest.approx(
            np.log10(forecast.scale[k] / forecast.cut[k]), abs=1e-9
        )
        assert forecast.df[k] == part.n - 5


def test_no_cut_holds_fewer_runs_than_twice_the_parameters_or_ten():
    found = fit(LAW, swept(levels=7, side=4))
    forecast = rolling_origin(found)
    assert min(int((found.runs.scale <= c * 1.001).sum()) for c in forecast.cut) >= 10


def test_too_few_budgets_give_no_forecast_and_an_assumed_rate():
    found = fit(LAW, swept(levels=3, side=8))
    error = law_error(rolling_origin(found))
    assert (error.tau, error.source) == (ASSUMED_TAU, "assumed")


def test_fewer_than_three_forecasts_are_not_enough():
    two = law_error(made([0.1, 0.1], [1e-6] * 2, [1, 1]))
    three = law_error(made([0.1, 0.1, 0.1], [1e-6] * 3, [1, 1, 1]))
    assert (two.source, two.forecasts) == ("assumed", 2)
    assert (three.source, three.forecasts) == ("estimated", 3)


@pytest.mark.parametrize("misfit", [np.nan, 0.0, 0.07, 0.6])
def test_the_rate_is_the_posterior_root_mean_square_under_a_half_cauchy_prior(misfit):
    error, variance, decades = (
        [0.02, -0.05, 0.03, 0.01],
        [1e-4, 2e-4, 1e-4, 3e-4],
        [0.5, 1, 1.5, 0.2],
    )

    def density(tau):
        total = np.array(variance) + tau**2 * np.array(decades) ** 3
        prior = 1 / (1 + (tau / typical_error(misfit)) ** 2)
        return prior * np.exp(-0.5 * (np.log(total) + np.array(error) ** 2 / total).sum() - 15)

    area = quad(density, 0, 1, epsabs=0, points=[0.05])[0]
    second = quad(lambda tau: tau**2 * density(tau), 0, 1, epsabs=0, points=[0.05])[0]
    found = law_error(made(error, variance, decades), misfit)
    assert found.tau == pytest.approx(np.sqrt(second / area), rel=1e-4)


def test_a_law_without_a_sign_of_misfit_is_trusted_further():
    told = made([0.004, -0.003, 0.002], [1e-5] * 3, [0.5, 0.5, 1.0])
    rates = [law_error(told, p).tau for p in (np.nan, 1e-9, 0.05, 0.2, 0.9)]
    assert rates[0] == pytest.approx(rates[1])
    assert rates[1] > rates[2] > rates[3] == rates[4] > 0


@pytest.mark.parametrize("tau", [0.005, 0.02, 0.08])
def test_a_known_rate_is_recovered_from_many_forecasts(tau):
    random = np.random.default_rng(3)
    decades = random.uniform(0.2, 2, 400)
    error = tau * decades**1.5 * random.standard_normal(400)
    found = law_error(made(error, np.full(400, 1e-8), decades))
    assert found.tau == pytest.approx(tau, rel=0.1)


def test_forecasts_at_no_distance_say_nothing_of_the_rate():
    error = law_error(made([0.1, 0.02, 0.03, 0.02], [1e-4] * 4, [0, 1, 1, 1]))
    without = law_error(made([0.02, 0.03, 0.02], [1e-4] * 3, [1, 1, 1]))
    assert error == without


def test_a_right_law_has_a_small_rate_and_a_wrong_one_a_large_one():
    right = [law_error(rolling_origin(fit(LAW, swept(seed=s)))).tau for s in range(5)]
    # A coupled surface with k = 0.6 fitted by the additive law (method note, table 5.5).
    coupled = LAWS.get("coupled")
    truth = np.array(
        [1.8172, 482.01 ** (1 / 0.6), 0.3478 / 0.6, 2085.43 ** (1 / 0.6), 0.3658 / 0.6, 0.6]
    )
    n, d = design(levels=7, side=5)
    wrong = []
    for seed in range(5):
        noise = np.exp(0.005 * np.random.default_rng(seed).standard_normal(n.size))
        runs = observations({"N": n, "D": d}, coupled.predict(truth, [n, d]) * noise)
        wrong.append(law_error(rolling_origin(fit(LAW, runs))).tau)
    assert np.median(right) < 0.02
    assert np.median(wrong) > 1.3 * np.median(right)


def test_the_variance_of_a_forecast_is_what_simulation_shows():
    # Over 60 simulated sweeps the standardised errors of a right law have unit variance.
    z, covered = [], []
    for seed in range(60):
        forecast = rolling_origin(fit(LAW, swept(seed=100 + seed), objective=Gaussian()))
        first = np.argmin(forecast.decades + 10 * (forecast.df < 25))
        z.append(forecast.error[first] / np.sqrt(forecast.variance[first]))
        covered.append(forecast.coverage(0.95))
    assert 0.7 < np.sqrt(np.mean(np.square(z))) < 1.4
    assert np.mean(covered) > 0.85


# An asymmetry of ten rests on the lowest eleventh of the runs, too few here to have an error.
STEEP = "asymmetric-huber"
SPELLED = [o.name for o in OBJECTIVES if o.name != STEEP]
SPELLED += ["huber:auto", "huber:3e-3", f"{STEEP}:2,0.01"]


def forecast_errors(goal, seed, side):
    """Standard errors of the last forecast's mean, by the sandwich and by the jackknife."""
    runs = swept(seed=seed, levels=8, side=side)
    found = fit(LAW, runs, objective=parse_objective(goal))
    forecast = rolling_origin(found)
    below = runs.scale <= forecast.cut[-1] * (1 + 1e-9)
    alone = fit(LAW, runs.take(below), objective=found.objective)
    at = np.isclose(runs.scale, forecast.scale[-1], rtol=1e-6)
    told = np.log(
        LAW.predict(draw(alone, Jackknife()).theta, [runs.inputs[i][at] for i in ("N", "D")])
    ).mean(axis=1)
    share = (told.size - 1) / told.size
    noise = noise_of(found, alone.scale, int(below.sum()))
    # The jackknife counts from the estimate, as its intervals do.
    centre = np.log(LAW.predict(alone.theta, [runs.inputs[i][at] for i in ("N", "D")])).mean()
    jackknife = np.sqrt(share * ((told - centre) ** 2).sum())
    return np.sqrt(forecast.variance[-1] - noise**2 / at.sum()), jackknife


@pytest.mark.parametrize("goal", SPELLED)
def test_the_error_of_a_forecast_agrees_with_the_jackknife(goal):
    both = [forecast_errors(goal, seed, side=12) for seed in range(5)]
    assert 0.75 < np.median([one / other for one, other in both]) < 1.25


def test_least_absolute_deviations_have_an_error_too():
    # Such a fit runs through as many runs as it has parameters, and no other is inside the kink.
    both = [forecast_errors("huber:1e-5", seed, side=12) for seed in range(6)]
    assert 0.5 < np.median([one / other for one, other in both]) < 1.5


def test_the_error_of_least_squares_is_the_textbook_sandwich():
    runs = swept(levels=8, side=2)
    found = fit(LAW, runs, objective=Gaussian())
    forecast = rolling_origin(found)
    part = runs.take(runs.scale <= forecast.cut[-1] * (1 + 1e-9))
    alone = fit(LAW, part, objective=Gaussian())

    def slopes(inputs):
        step = 1e-5 * np.eye(5)
        ends = [
            np.log(LAW.predict(alone.theta * np.exp(s * step), [inputs["N"], inputs["D"]]))
            for s in (1, -1)
        ]
        return (ends[0] - ends[1]) / 2e-5

    x = slopes(part.inputs).T
    scores = x * alone.residual[:, None]
    bread = np.linalg.inv(x.T @ x)
    covariance = bread @ (scores.T @ scores) @ bread * part.n / (part.n - 5)
    at = np.isclose(runs.scale, forecast.scale[-1], rtol=1e-6)
    slope = slopes({name: values[at] for name, values in runs.inputs.items()}).mean(axis=1)
    noise = (alone.residual**2).sum() / (part.n - 5)
    expected = slope @ covariance @ slope + noise / at.sum()
    assert part.n == 14
    assert forecast.variance[-1] == pytest.approx(expected, rel=1e-4)


def test_fifteen_budgets_stand_and_sixteen_are_cut_into_twelve():
    assert budgets(np.geomspace(1e17, 1e21, 15)).max() == 14
    assert budgets(np.geomspace(1e17, 1e21, 16)).max() == 11


def test_noise_is_the_unbiased_standard_deviation():
    found = fit(LAW, swept(), objective=Gaussian())
    sigma = np.sqrt((found.residual**2).sum() / (found.runs.n - 5))
    assert noise_of(found, found.scale, found.runs.n) == pytest.approx(sigma, rel=1e-12)
    robust = fit(LAW, swept(), objective=StudentT(4))
    expected = robust.scale * np.sqrt(2) * np.sqrt(35 / 30)
    assert noise_of(robust, robust.scale, 35) == pytest.approx(expected, rel=1e-12)


def test_coverage_of_no_forecast_is_not_a_number():
    assert np.isnan(made([], [], []).coverage(0.95))


def test_forecasts_of_one_budget_count_together_as_one():
    one = made([0.02, -0.05, 0.03], [1e-4] * 3, [0.5, 1, 1.5])
    thrice = made(np.tile(one.error, 3), np.tile(one.variance, 3), np.tile(one.decades, 3))
    thrice = replace(thrice, scale=np.tile(one.scale, 3))
    apart = replace(thrice, scale=np.exp(0.01 * np.arange(9)))
    assert law_error(thrice).tau == pytest.approx(law_error(one).tau, rel=1e-9)
    assert law_error(apart).tau < law_error(one).tau


def test_the_error_of_a_wandering_slope_grows_as_assumed():
    # The true slope walks away from the law's, step by step; the error is what it adds up to.
    random = np.random.default_rng(7)
    steps = 200
    slope = np.cumsum(random.standard_normal((4000, 2 * steps)), axis=1)
    error = np.cumsum(slope, axis=1).std(axis=0)
    at = np.array([steps // 2, steps, 3 * steps // 2, 2 * steps])
    ratio = error[at - 1] / error[steps - 1]
    np.testing.assert_allclose(ratio, growth(at / steps), rtol=0.03)


def test_a_parameter_on_its_bound_adds_nothing_to_the_variance_of_a_forecast():
    # Losses that fall ever faster: below every cut the best floor is none, in each refit as well.
    n, d = design()
    loss = 400 * n**-0.3 + 2000 * d**-0.3
    noise = np.exp(0.002 * np.random.default_rng(0).standard_normal(n.size))
    runs = observations({"N": n, "D": d}, (loss - 0.3 * loss.min()) * noise)
    one = rolling_origin(fit(LAW, runs))
    other = rolling_origin(fit(LAW, runs, fix={"E": 0.0}))
    np.testing.assert_allclose(one.error, other.error, atol=1e-6)
    # The noise of a run divides by the law's parameters, with or without the floor.
    np.testing.assert_allclose(one.variance, other.variance, rtol=0.07)
