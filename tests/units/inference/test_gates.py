"""Gates: each passes what it should and fails what it should, with a reason."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import multivariate_normal
from simulated import observations

from scalefit.inference.criteria import (
    aicc,
    effective_aicc,
    effective_share,
    serial_aicc,
    serial_correlation,
    von_neumann_p,
)
from scalefit.inference.evidence import kinships, pure_error
from scalefit.inference.fitting import fit
from scalefit.inference.gates import (
    GATES,
    default_ahead,
    largest_rise,
    runs_fall,
    structure_p,
)
from scalefit.inference.objectives import Gaussian
from scalefit.inference.profile import deviance_at, prediction_se
from scalefit.inference.residuals import examined
from scalefit.laws import LAWS
from scalefit.tables import read, select

X = np.geomspace(1e2, 1e6, 30)


def noise(n, sd=0.003, seed=0):
    return np.exp(sd * np.random.default_rng(seed).standard_normal(n))


def one(name, loss, x=X):
    return fit(LAWS.get(name), observations({"x": x}, loss))


FLOOR = one("power-floor", (1.5 + 8 * X**-0.3) * noise(30))


def judged(gate, found, rivals=(), ahead=None):
    return GATES.get(gate)().judge(found, [found, *rivals], ahead)


def test_a_valley_ahead_is_seen_from_the_target():
    # A parabola through the falling part of a curve turns not far beyond it.
    found = one("log-quadratic", (1.5 + 8 * X**-0.3) * noise(30))
    assert judged("monotone", FLOOR, ahead={"x": np.array([1e9])}).passed
    turned = judged("monotone", found, ahead={"x": np.array([1e9])})
    assert not turned.passed
    assert "rises by" in turned.detail


def test_where_the_runs_themselves_turn_nothing_is_required():
    x = np.geomspace(1e7, 1e9, 15)
    found = one("log-quadratic", (3 + 0.05 * np.log(x / 1e8) ** 2) * noise(15), x)
    assert not runs_fall(found.runs)
    assert judged("monotone", found).passed


def test_a_rise_is_measured_along_the_way():
    law = LAWS.get("log-quadratic")
    x = np.geomspace(1e2, 1e6, 20)
    found = one("log-quadratic", law.predict(np.array([[2.0, 0.01, 1e5]]), [x])[0], x)
    end = float(law.predict(found.theta[None], [np.array([1e8])])[0, 0])
    rise = largest_rise(found, {"x": np.array([1e8])})
    assert rise == pytest.approx(np.log(end / 2.0), rel=0.02)


def test_residuals_in_order_are_found_and_chance_is_not():
    rejected = [von_neumann_p(one("power", 11 * X**-0.1 * noise(30, seed=s))) for s in range(60)]
    assert np.mean(np.array(rejected) <= 0.05) <= 0.15
    missed = one("power", (1.5 + 8 * X**-0.3) * noise(30))
    assert von_neumann_p(missed) < 1e-4


def test_a_shape_is_held_against_a_law_only_if_a_far_better_one_has_none():
    missed = one("power", (1.5 + 8 * X**-0.3) * noise(30))
    against = judged("residual-structure", missed, [FLOOR])
    assert not against.passed
    assert "power-floor has none" in against.detail
    assert judged("residual-structure", missed).passed
    assert judged("residual-structure", FLOOR, [missed]).passed


def surface(coupling, seed=0):
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
    loss = 1.8 + (480 * n**-0.35 + 2100 * d**-0.37) ** coupling
    return observations({"N": n, "D": d}, loss * noise(36, 0.004, seed))


def test_the_gate_looks_at_the_shape_that_the_warning_tells_of():
    found = fit(LAWS.get("chinchilla"), surface(0.8))
    assert structure_p(found) == examined(found).structure.p_value


def test_added_columns_find_a_coupling_and_leave_the_truth_alone():
    law = LAWS.get("chinchilla")
    true = [structure_p(fit(law, surface(1.0, seed))) for seed in range(12)]
    assert np.mean(np.array(true) <= 0.05) <= 0.34
    assert structure_p(fit(law, surface(0.5))) < 1e-4


def test_the_structure_test_needs_degrees_of_freedom():
    runs = surface(1.0).take(np.arange(36) % 4 == 0)
    assert structure_p(fit(LAWS.get("chinchilla"), runs)) == 1.0


def test_replicates_give_the_noise_floor():
    x = np.repeat(np.geomspace(1e2, 1e6, 10), 3)
    runs = observations({"x": x}, (1.5 + 8 * x**-0.3) * noise(30, 0.004))
    assert pure_error(runs).sd == pytest.approx(0.004, rel=0.5)
    fine, wrong = (fit(LAWS.get(name), runs) for name in ("power-floor", "power"))
    assert judged("residual-scale", fine).passed
    missed = judged("residual-scale", wrong)
    assert not missed.passed
    assert "20 degrees of freedom" in missed.detail


def test_laws_that_all_miss_losses_in_nats_are_not_saved_by_each_others_company():
    x = np.geomspace(1e2, 1e6, 20)
    runs = observations({"x": x}, (1.5 + 8 * x**-0.3) * noise(20, 0.03))
    for nats, passed in ((False, True), (True, False)):
        found = fit(LAWS.get("power-floor"), replace(runs, nats=nats))
        verdict = judged("residual-scale", found)
        assert verdict.passed is passed
        assert ("1.5 %" in verdict.detail) is nats
    quiet = replace(observations({"x": x}, (1.5 + 8 * x**-0.3) * noise(20, 0.008)), nats=True)
    assert judged("residual-scale", fit(LAWS.get("power-floor"), quiet)).passed


def test_runs_that_differ_in_what_a_law_does_not_see_excuse_no_misfit():
    # Each setting of N and D with little and much unique data: 20 % apart, and not by chance.
    n, d, u = (v.ravel() for v in np.meshgrid([1e8, 3e8, 1e9], [2e9, 8e9, 3e10], [1e8, 1e11]))
    loss = (1.7 + 400 * n**-0.34 + 410 * d**-0.28) * np.where(u < 1e9, 1.2, 1) * noise(18, 0.003)
    twice = {"N": n, "D": d, "loss": loss * noise(18, 0.003, 1)}
    runs = read(pa.table({k: np.concatenate([v, twice.get(k, v)]) for k, v in
                          {"N": n, "D": d, "U": u, "loss": loss}.items()}))  # fmt: skip
    blind = fit(LAWS.get("chinchilla"), select(runs, {"N": "N", "D": "D"}))
    assert pure_error(blind.runs).sd < 0.006
    assert not judged("residual-scale", blind).passed


def test_residuals_are_compared_per_degree_of_freedom():
    # Six parameters for eight runs come three times as near as three do without being better.
    x = np.geomspace(1e2, 1e6, 9)
    loss = (1.5 + 8 * x**-0.3) * noise(9, 0.004, 11)
    plain, broken = one("power-floor", loss, x), one("broken-power", loss, x)
    assert judged("residual-scale", plain, [broken]).passed


def test_a_law_with_as_many_parameters_as_runs_has_no_residual_to_judge():
    x = np.geomspace(1e2, 1e6, 3)
    loss = (1.5 + 8 * x**-0.3) * noise(3, 0.004, 11)
    verdict = judged("residual-scale", one("power-floor", loss, x), [one("power", loss, x)])
    assert not verdict.passed
    assert "no residual is left to judge" in verdict.detail
    assert "inf" not in verdict.detail


def test_a_profile_is_closed_where_the_runs_fix_the_prediction():
    found = judged("closed-profile", FLOOR)
    assert found.passed
    assert "rule out" in found.detail


def test_a_profile_is_open_where_the_floor_is_anywhere():
    x = np.geomspace(1e2, 1e3, 7)
    found = one("power-floor", (0.01 + 8 * x**-0.3) * noise(7, 0.02, 4), x)
    assert not judged("closed-profile", found, ahead={"x": np.array([1e9])}).passed


def test_the_deviance_is_that_of_the_normal_theory_near_the_estimate():
    at = {"x": np.array([1e7])}
    se = prediction_se(FLOOR, at)
    found = deviance_at(FLOOR, at, np.array([-1.0, 1.0]) * 0.5 * se)
    np.testing.assert_allclose(found, 0.25, rtol=0.35)
    wide = deviance_at(FLOOR, at, np.array([-1.0, 1.0]) * 3 * se)
    assert (wide > found).all()


def test_the_point_ahead_is_a_decade_or_half_the_span():
    assert default_ahead(FLOOR.runs)["x"][0] == pytest.approx(1e7)
    short = observations({"x": np.geomspace(1, 10, 8)}, np.linspace(3, 2, 8))
    assert default_ahead(short)["x"][0] == pytest.approx(10 * 10**0.5)


def test_independent_rows_are_worth_themselves():
    assert effective_share([FLOOR]) == 1.0
    assert effective_aicc(FLOOR, 1.0) == pytest.approx(aicc(FLOOR), rel=1e-12)


def test_neighbours_that_err_alike_are_worth_fewer():
    random = np.random.default_rng(5)
    r = np.zeros(60)
    for k in range(1, 60):
        r[k] = 0.8 * r[k - 1] + 0.003 * random.standard_normal()
    x = np.geomspace(1e2, 1e6, 60)
    found = one("power-floor", (1.5 + 8 * x**-0.3) * np.exp(r), x)
    assert serial_correlation(found) > 0.3
    assert effective_share([found]) < 0.6


def test_rows_of_one_run_that_err_alike_are_worth_fewer():
    random = np.random.default_rng(6)
    n, d = np.repeat(np.geomspace(1e7, 1e9, 8), 6), np.tile(np.geomspace(1e9, 1e11, 6), 8)
    shared = np.repeat(0.01 * random.standard_normal(8), 6)
    loss = (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(shared) * noise(48, 0.001)
    runs = observations({"N": n, "D": d}, loss, cluster=np.repeat(np.arange(8), 6))
    assert effective_share([fit(LAWS.get("chinchilla"), runs)]) < 0.5


def sizes_by_tokens(sizes, tokens, correlation, seed):
    """Runs on a grid of independent runs; those of one size share part of their error."""
    random = np.random.default_rng([seed, sizes, tokens])
    n = np.repeat(np.geomspace(1e7, 1e10, sizes), tokens)
    d = np.tile(np.geomspace(1e9, 1e12, tokens), sizes)
    shared = np.sqrt(correlation) * np.repeat(random.standard_normal(sizes), tokens)
    error = 0.005 * (shared + np.sqrt(1 - correlation) * random.standard_normal(n.size))
    return observations({"N": n, "D": d}, (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(error))


def test_runs_of_one_size_are_worth_fewer_only_where_chance_does_not_explain_it():
    law = LAWS.get("chinchilla")
    for correlation, least, most in ((0, 0, 0.1), (0.4, 0.75, 1)):
        worth = [
            effective_share([fit(law, sizes_by_tokens(12, 5, correlation, s))]) for s in range(60)
        ]
        assert least <= np.mean(np.array(worth) < 1) <= most


def test_a_law_that_misses_the_size_does_not_make_runs_of_one_size_kin():
    runs = sizes_by_tokens(12, 5, 0, 1)
    fits = [fit(LAWS.get(name), runs) for name in ("chinchilla", "kaplan")]
    assert effective_share(fits[1:]) < 0.5
    assert effective_share(fits) == 1


def test_rows_of_a_declared_run_need_no_test():
    # Of four runs no test finds that they differ; that their rows go together was said.
    law, passed = LAWS.get("power-floor"), []
    for seed in range(20):
        random = np.random.default_rng([seed, 4])
        shared = (
            0.005
            * np.sqrt([0.3, 0.7])
            @ np.stack([np.repeat(random.standard_normal(4), 5), random.standard_normal(20)])
        )
        x = np.tile(np.geomspace(1e2, 1e6, 5), 4)
        loss = (1.5 + 8 * x**-0.3) * np.exp(shared)
        runs = observations({"x": x}, loss, cluster=np.repeat(np.arange(4), 5))
        found = fit(law, runs)
        kin = kinships(found)["run"]
        if kin.correlation > 0.1 and kin.p_value > 0.05:
            passed.append(effective_share([found]) < 0.9)
    assert len(passed) >= 3
    assert all(passed)


@pytest.mark.parametrize("gate", GATES.names())
def test_every_gate_gives_a_reason(gate):
    found = judged(gate, FLOOR)
    assert found.gate == gate
    assert found.passed
    assert found.detail


def drifting(n, carried, sd=0.004, seed=0):
    """Noise that carries over from each row to the next."""
    fresh = sd * np.random.default_rng(seed).standard_normal(n)
    for k in range(1, n):
        fresh[k] = carried * fresh[k - 1] + np.sqrt(1 - carried**2) * fresh[k]
    return np.exp(fresh)


def test_aicc_under_carried_errors_is_that_of_the_normal_autoregression():
    runs = observations({"x": X}, (1.5 + 8 * X**-0.3) * drifting(30, 0.8))
    found = fit(LAWS.get("power-floor"), runs, objective=Gaussian())
    apart = np.abs(np.subtract.outer(np.arange(30), np.arange(30)))

    def told(carried):
        shape = carried**apart
        scale = found.residual @ np.linalg.solve(shape, found.residual) / 30
        return multivariate_normal(cov=shape * scale).logpdf(found.residual)

    best = max(told(carried) for carried in np.linspace(0, 0.98, 50))
    k = 5  # three parameters, the scale, and what is carried over
    assert serial_aicc(found) == pytest.approx(2 * k - 2 * best + 2 * k * (k + 1) / (30 - k - 1))
    assert serial_aicc(found) < aicc(found) - 10


def test_independent_errors_carry_nothing_over():
    assert aicc(FLOOR) - 3 < serial_aicc(FLOOR) <= aicc(FLOOR)


def test_a_break_that_a_plain_law_overlooks_is_held_against_it():
    x = np.geomspace(1e3, 1e6, 30)
    loss = 12 * x**-0.1 * ((1 + (x / 5e5) ** (1 / 0.3)) / 2) ** (-0.25 * 0.3)
    for seed in range(3):
        jitter = noise(30, 0.005, seed)
        plain, broken = (one(name, loss * jitter, x) for name in ("power", "broken-power"))
        found = judged("breaks", plain, [broken])
        assert not found.passed
        assert "the runs break at" in found.detail


def test_noise_that_drifts_is_no_break():
    passed = []
    for seed in range(12):
        loss = (1.5 + 8 * X**-0.3) * drifting(30, 0.9, seed=seed)
        plain, broken = one("power-floor", loss), one("broken-power", loss)
        passed.append(judged("breaks", plain, [broken]).passed)
    assert sum(passed) >= 11
