"""Averages of laws: the mean in the log, variance within and between, and both of two rivals."""

import numpy as np
import pytest
from simulated import observations

from scalefit.core.tails import t_quantile
from scalefit.inference import averaging
from scalefit.inference.allocation import allocate
from scalefit.inference.averaging import average_allocations, average_predictions
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import LawError
from scalefit.inference.prediction import predict
from scalefit.inference.uncertainty import METHODS, draw
from scalefit.laws import LAWS

X = np.geomspace(1e2, 1e6, 20)
JITTER = np.exp(0.004 * np.random.default_rng(3).standard_normal(20))
RUNS = observations({"x": X}, (1.5 + 8 * X**-0.3) * JITTER)
AT = {"x": np.array([1e6, 1e7])}
NAMES = ("power-floor", "shifted-power-floor")


def predicted(name, tau=0.01):
    found = fit(LAWS.get(name), RUNS)
    draws = draw(found, METHODS.get("jackknife")())
    return predict(found, draws, LawError(tau, "estimated", 5), AT)


PARTS = [predicted(name) for name in NAMES]


def test_one_law_of_weight_one_is_that_law():
    alone = average_predictions(PARTS[:1], NAMES[:1], np.ones(1))
    for name in ("exact", "new_run", "headline"):
        for end in ("value", "low", "high", "se"):
            ours = getattr(getattr(alone.band, name), end)
            np.testing.assert_allclose(ours, getattr(getattr(PARTS[0].band, name), end), rtol=1e-12)
    np.testing.assert_allclose(alone.band.share, PARTS[0].band.share, rtol=1e-12)


def test_the_mean_and_variance_are_those_of_the_mixture():
    weight = np.array([0.7, 0.3])
    both = average_predictions(PARTS, NAMES, weight)
    log = np.log([p.band.loss for p in PARTS])
    middle = weight @ log
    np.testing.assert_allclose(both.band.loss, np.exp(middle), rtol=1e-12)
    se = np.array([p.band.headline.se for p in PARTS])
    variance = weight @ se**2 + weight @ (log - middle) ** 2
    np.testing.assert_allclose(both.band.headline.se, np.sqrt(variance), rtol=1e-12)
    reach = t_quantile(0.975, 19)
    expected = np.exp(middle + reach * np.sqrt(variance))
    np.testing.assert_allclose(both.band.headline.high, expected, rtol=1e-9)
    assert both.average == (("power-floor", 0.7), ("shifted-power-floor", 0.3))


def test_intervals_stay_nested_and_shares_sum_to_one():
    both = average_predictions(PARTS, NAMES, np.array([0.5, 0.5])).band
    for inner, outer in ((both.exact, both.new_run), (both.new_run, both.headline)):
        assert (outer.low <= inner.low).all()
        assert (outer.high >= inner.high).all()
    np.testing.assert_allclose(both.share.sum(axis=0), 1, rtol=1e-12)


def test_laws_that_differ_widen_the_interval():
    apart = [PARTS[0], predicted("power")]
    both = average_predictions(apart, ("power-floor", "power"), np.array([0.5, 0.5])).band
    half = [float(np.log(p.band.headline.high[1] / p.band.loss[1])) for p in apart]
    assert np.log(both.headline.high[1] / both.loss[1]) > np.sqrt(np.mean(np.square(half)))


def test_where_rankings_disagree_the_headline_holds_both():
    apart = [PARTS[0], predicted("power")]
    names = ("power-floor", "power")
    both = average_predictions(apart, names, np.array([0.99, 0.01]), cover=names).band.headline
    for part in apart:
        assert (both.low <= part.band.headline.low).all()
        assert (both.high >= part.band.headline.high).all()


def test_the_rate_of_law_error_is_a_root_mean_square():
    errors = [LawError(0.03, "estimated", 5), LawError(0.01, "assumed", 1)]
    found = averaging._law_error(errors, np.array([0.5, 0.5]))
    assert found.tau == pytest.approx(np.sqrt((0.03**2 + 0.01**2) / 2))


def test_best_settings_are_averaged_in_the_log():
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    jitter = np.exp(0.003 * np.random.default_rng(1).standard_normal(25))
    runs = observations({"N": n, "D": d}, (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * jitter)
    parts = []
    for name in ("chinchilla", "chinchilla-tied"):
        found = fit(LAWS.get(name), runs)
        draws = draw(found, METHODS.get("jackknife")())
        parts.append(allocate(found, draws, LawError(0.01, "estimated", 5), np.array([1e21, 1e22])))
    both = average_allocations(parts, ("chinchilla", "chinchilla-tied"), np.array([0.6, 0.4]))
    log = np.log([p.N.value for p in parts])
    np.testing.assert_allclose(np.log(both.N.value), 0.6 * log[0] + 0.4 * log[1], rtol=1e-12)
    # N* D* = C/6 survives the average.
    np.testing.assert_allclose(both.N.value * both.D.value, both.budget / 6, rtol=1e-9)
    exponent = both.exponent_N.value + both.exponent_D.value
    np.testing.assert_allclose(exponent, 1, rtol=1e-9)
    assert (both.near[:, 0] < both.N.value).all()
    assert (both.N.high > both.N.value).all()


def test_rows_worth_fewer_runs_widen_the_parameters_share_alone():
    part = PARTS[0]
    found = averaging.swollen_prediction(part, 2.0).band
    before, after = (np.log(b.exact.high / b.loss) for b in (part.band, found))
    np.testing.assert_allclose(after, 2 * before, rtol=1e-9)
    np.testing.assert_allclose(
        found.new_run.se**2 - part.band.new_run.se**2, 3 * part.band.exact.se**2, rtol=1e-9
    )
    np.testing.assert_allclose(found.share.sum(axis=0), 1, rtol=1e-12)
    same = averaging.swollen_prediction(part, 1.0).band
    np.testing.assert_allclose(same.headline.low, part.band.headline.low, rtol=1e-12)
