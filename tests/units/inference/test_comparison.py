"""Which laws the runs rule out: criteria by hand, gates, and words."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from simulated import observations

from scalefit.inference import doubts
from scalefit.inference.comparison import GATES, aicc, compare, trimmed_rms
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import Forecasts, rolling_origin
from scalefit.inference.objectives import Gaussian, Huber, SquaredError, StudentT
from scalefit.laws import LAWS

X = np.geomspace(1e2, 1e6, 30)
NONE = Forecasts(*(np.empty(0) for _ in range(7)))


def runs(loss, noise=0.003, seed=0, x=X):
    jitter = noise * np.random.default_rng(seed).standard_normal(x.size)
    return observations({"x": x}, loss * np.exp(jitter))


def fits(data, *names, objective=None):
    return [fit(LAWS.get(name), data, objective=objective) for name in names]


FLOOR = runs(1.5 + 8 * X**-0.3)


@pytest.mark.parametrize(
    ("objective", "density"),
    [
        (StudentT(4), lambda f: student.logpdf(f.residual, 4, scale=f.scale)),
        (StudentT(7), lambda f: student.logpdf(f.residual, 7, scale=f.scale)),
        (Gaussian(), lambda f: norm.logpdf(f.residual, scale=np.sqrt(np.mean(f.residual**2)))),
        (SquaredError(), lambda f: norm.logpdf(f.residual, scale=np.sqrt(np.mean(f.residual**2)))),
    ],
    ids=["t4", "t7", "gaussian", "mse"],
)
def test_aicc_is_the_textbooks_with_scipys_likelihood(objective, density):
    (found,) = fits(FLOOR, "power-floor", objective=objective)
    n, k = 30, 4  # three parameters and the scale
    expected = 2 * k - 2 * density(found).sum() + 2 * k * (k + 1) / (n - k - 1)
    assert aicc(found) == pytest.approx(expected, rel=1e-10)


def test_fixed_parameters_are_not_counted():
    free = fit(LAWS.get("power-floor"), FLOOR)
    held = fit(LAWS.get("power-floor"), FLOOR, fix={"E": float(free.theta[0])})
    gap = aicc(free) - aicc(held)
    assert gap == pytest.approx((8 + 40 / 25) - (6 + 24 / 26), abs=1e-6)


def test_too_few_runs_for_the_correction_are_infinitely_bad():
    few = runs(1.5 + 8 * X[:5] ** -0.3, x=X[:5])
    assert np.isinf(aicc(fit(LAWS.get("power-floor"), few)))


def test_rows_of_weight_zero_do_not_count_as_runs():
    silent = observations({"x": X}, FLOOR.loss, weight=np.where(np.arange(30) < 24, 1.0, 0.0))
    kept = FLOOR.take(np.arange(30) < 24)
    law = LAWS.get("power-floor")
    assert aicc(fit(law, silent)) == pytest.approx(aicc(fit(law, kept)), rel=1e-8)


def test_weights_are_akaikes_and_sum_to_one():
    found = fits(FLOOR, "power-floor", "shifted-power-floor", "power")
    ranked = compare(found, [NONE] * 3).laws
    assert sum(r.weight for r in ranked) == pytest.approx(1, abs=1e-12)
    good = [r for r in ranked if r.adequate]
    assert len(good) >= 2
    first, second = good[:2]
    assert second.weight / first.weight == pytest.approx(
        np.exp(-(second.aicc - first.aicc) / 2), rel=1e-10
    )
    assert first.delta == 0


def test_the_true_law_is_preferred_and_the_wrong_one_ruled_out():
    made = compare(fits(FLOOR, "power", "power-floor"), [NONE] * 2)
    assert made.laws[0].fit.law.name == "power-floor"
    assert "power-floor is preferred" in made.verdict
    assert "ruled out: power" in made.verdict


def forecasts(error):
    """Three forecasts of a decade each, all wrong by as much."""
    one = np.ones(3)
    return Forecasts(
        X[10] * one, X[20] * one, one, error * one, 1e-6 * one, one.astype(int), 9 * one
    )


def test_a_worse_fit_that_forecasts_better_is_not_ruled_out():
    bent = runs(1.5 + 8 * X**-0.3 + 0.05 * np.exp(-X / 1e5))
    found = fits(bent, "power-floor", "shifted-power-floor")
    first, second = compare(found, [NONE] * 2).laws
    assert second.delta > 10
    told = {first.fit.law.name: 0.02, second.fit.law.name: 0.01}
    verdict = {}
    for better in (0.01, 0.03):
        told[second.fit.law.name] = better
        verdict[better] = compare(found, [forecasts(told[f.law.name]) for f in found]).verdict
    assert f"not ruled out: {second.fit.law.name}" in verdict[0.01]
    assert f"{first.fit.law.name} fits best" in verdict[0.01]
    assert verdict[0.03].endswith(f"ruled out: {second.fit.law.name}")
    assert f"{first.fit.law.name} is preferred" in verdict[0.03]


def test_laws_that_coincide_are_undecided():
    # Runs of a pure power law: with floor, it is the same curve with a floor near nothing.
    data = runs(11 * X**-0.08)
    made = compare(fits(data, "power", "power-floor"), [NONE] * 2)
    gap = abs(made.laws[0].aicc - made.laws[1].aicc)
    assert gap < 6
    assert made.verdict.startswith("cannot tell apart")
    assert [note.code for note in made.notes] == [doubts.UNDECIDED.name]


def test_a_law_that_misses_the_runs_is_not_ranked_whatever_its_aicc():
    made = compare(fits(FLOOR, "power", "power-floor"), [NONE] * 2)
    missed = next(r for r in made.laws if r.fit.law.name == "power")
    assert not missed.adequate
    assert missed.weight == 0
    assert {v.gate: v.passed for v in missed.gates}["residual-scale"] is False


def test_if_no_law_is_adequate_none_may_be_extrapolated():
    few = runs(1.5 + 8 * X[:5] ** -0.3, x=X[:5])
    made = compare(fits(few, "power-floor"), [NONE])
    assert "no law is adequate" in made.verdict
    assert made.laws[0].weight == 0


def test_three_runs_more_than_parameters_are_needed():
    law = LAWS.get("power-floor")
    for count, passed in ((5, False), (6, True)):
        found = fit(law, runs(1.5 + 8 * X[::5][:count] ** -0.3, x=X[::5][:count]))
        assert GATES.get("enough-data")().judge(found, [found]).passed is passed


def test_repeated_scales_are_no_new_scales():
    x = np.tile([1e2, 1e4], 10)
    found = fit(LAWS.get("power-floor"), runs(1.5 + 8 * x**-0.3, x=x))
    assert not GATES.get("enough-data")().judge(found, [found]).passed


def test_typical_residuals_leave_out_the_worst_tenth():
    wild = FLOOR.loss.copy()
    wild[3] *= 1.5
    found = fit(LAWS.get("power-floor"), observations({"x": X}, wild))
    size = np.sort(np.abs(np.log(wild) - np.log(found.law.predict(found.theta, [X]))))
    assert trimmed_rms(found) == pytest.approx(np.sqrt(np.mean(size[:27] ** 2)), rel=1e-12)
    assert trimmed_rms(found) < 0.01


def test_a_better_forecaster_that_fits_worse_is_told():
    found = fits(runs(11 * X**-0.08), "power", "power-floor")
    k = np.ones(4)
    good = Forecasts(k, k, k, 0.001 * k, 1e-4 * k, k.astype(np.int64), 10 * k)
    bad = Forecasts(k, k, k, 0.1 * k, 1e-4 * k, k.astype(np.int64), 10 * k)
    best = min(range(2), key=lambda i: aicc(found[i]))
    made = compare(found, [bad if i == best else good for i in range(2)])
    assert doubts.RANKINGS_DISAGREE.name in [note.code for note in made.notes]
    same = compare(found, [good if i == best else bad for i in range(2)])
    assert doubts.RANKINGS_DISAGREE.name not in [note.code for note in same.notes]


def test_rmse_is_the_root_mean_square_of_forecast_errors():
    (found,) = fits(FLOOR, "power-floor")
    forecast = rolling_origin(found)
    assert forecast.count >= 3
    made = compare([found], [forecast])
    assert made.laws[0].rmse == pytest.approx(np.sqrt(np.mean(forecast.error**2)))
    assert np.isnan(compare([found], [NONE]).laws[0].rmse)


def test_the_order_of_the_laws_does_not_matter():
    names = ["power", "power-floor", "shifted-power-floor"]
    first = compare(fits(FLOOR, *names), [NONE] * 3)
    second = compare(fits(FLOOR, *reversed(names)), [NONE] * 3)
    assert [r.fit.law.name for r in first.laws] == [r.fit.law.name for r in second.laws]
    assert first.verdict == second.verdict


def test_a_hubers_aicc_can_rank_too():
    found = fits(FLOOR, "power", "power-floor", objective=Huber(1e-3))
    assert aicc(found[1]) < aicc(found[0]) - 10


def test_copies_of_a_row_in_its_cluster_are_no_evidence():
    names = ("power", "power-floor", "shifted-power-floor")
    once = runs(1.5 + 8 * X**-0.3, noise=0.05)
    copied = observations(
        {"x": np.repeat(once.inputs["x"], 5)}, np.repeat(once.loss, 5),
        cluster=np.repeat(np.arange(30), 5),
    )  # fmt: skip
    gaps = []
    for data in (once, copied):
        laws = compare(fits(data, *names), [NONE] * 3).laws
        gaps.append({r.fit.law.name: (r.delta, r.weight) for r in laws})
    assert max(delta for delta, _ in gaps[0].values()) > 0.5
    for name in names:
        assert gaps[1][name] == pytest.approx(gaps[0][name], rel=1e-3, abs=1e-3)
