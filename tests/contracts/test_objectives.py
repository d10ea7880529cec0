"""Every objective is a penalty with a true derivative, two true curvatures and a true density."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from scipy.stats import t as student
from simulated import runs_of

from scalefit.core.errors import InputError, UnknownName
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import (
    OBJECTIVES,
    AsymmetricHuber,
    Gaussian,
    Huber,
    SquaredError,
    StudentT,
    parse_objective,
)
from scalefit.laws import LAWS

RANDOM = np.random.default_rng(11)
RESIDUAL = np.concatenate([0.01 * RANDOM.standard_t(4, 40), [0.3, -0.25, 1e-4, -2e-5, 0.05]])[
    None, :
]
WEIGHT = RANDOM.integers(0, 4, RESIDUAL.shape).astype(float)


@pytest.fixture(params=OBJECTIVES.values(), ids=lambda kind: kind.name)
def objective(request):
    return request.param()


def measured(objective, residual=RESIDUAL, weight=WEIGHT):
    return objective.measure(residual, weight, objective.begin(residual, weight, cold=False))


def test_psi_is_the_derivative_of_the_penalty(objective):
    found = measured(objective)
    at = found.state[:, None]
    step = 1e-6 * np.maximum(np.abs(RESIDUAL), 1e-4)
    if isinstance(objective, Gaussian | SquaredError):
        at = np.ones((1, 1))
    slope = (objective.rho(RESIDUAL + step, at) - objective.rho(RESIDUAL - step, at)) / (2 * step)
    # The square of a raw residual is reported whole and minimised halved.
    factor = 2.0 if isinstance(objective, SquaredError) else 1.0
    size = np.abs(slope).max()
    np.testing.assert_allclose(factor * found.psi, slope, rtol=1e-5, atol=1e-6 * size)


def test_sharp_is_the_derivative_of_psi(objective):
    found = measured(objective)
    step = 1e-7 * np.maximum(np.abs(RESIDUAL), 1e-3)

    def psi(residual):
        return objective.measure(residual, WEIGHT, found.state).psi

    np.testing.assert_allclose(psi(RESIDUAL), found.psi, rtol=1e-12)
    bend = (psi(RESIDUAL + step) - psi(RESIDUAL - step)) / (2 * step)
    np.testing.assert_allclose(found.sharp, bend, rtol=1e-5, atol=1e-5 * np.abs(bend).max())


def test_safe_is_the_curvature_of_a_parabola_above_the_penalty(objective):
    found = measured(objective)
    np.testing.assert_allclose(found.safe * RESIDUAL, found.psi, rtol=1e-12)
    if isinstance(objective, AsymmetricHuber):
        return  # no parabola about zero stands above both of its sides
    at = np.ones((1, 1)) if isinstance(objective, Gaussian | SquaredError) else found.state[:, None]
    factor = 2.0 if isinstance(objective, SquaredError) else 1.0
    elsewhere = np.linspace(-1, 1, 401)[:, None, None]
    here = objective.rho(RESIDUAL, at)
    parabola = here + factor * (
        found.psi * (elsewhere - RESIDUAL) + found.safe * (elsewhere - RESIDUAL) ** 2 / 2
    )
    there = objective.rho(elsewhere + 0 * RESIDUAL, at)
    assert (parabola >= there - 1e-9 * np.abs(here).max()).all()


def test_the_value_is_the_weighted_sum_of_penalties_at_the_best_scale(objective):
    value = float(objective.value(RESIDUAL, WEIGHT)[0])
    scale = objective.scale(RESIDUAL, WEIGHT)[:, None]
    assert value == pytest.approx(float((WEIGHT * objective.rho(RESIDUAL, scale)).sum()), rel=1e-12)


def test_no_other_scale_gives_a_likelihood_less(objective):
    if not isinstance(objective, Gaussian | StudentT):
        pytest.skip("no scale is estimated")

    def at(log_scale):
        return float((WEIGHT * objective.rho(RESIDUAL, np.exp(log_scale))).sum())

    best = minimize_scalar(at, bounds=(-12, 2), method="bounded", options={"xatol": 1e-10})
    assert float(objective.value(RESIDUAL, WEIGHT)[0]) <= best.fun + 1e-9
    assert np.log(objective.scale(RESIDUAL, WEIGHT)[0]) == pytest.approx(best.x, abs=1e-6)


def test_counts_as_weights_are_copies_of_rows(objective):
    copied = np.repeat(RESIDUAL[0], WEIGHT[0].astype(int))[None]
    ones = np.ones_like(copied)
    for quantity in (objective.value, objective.log_likelihood):
        assert quantity(RESIDUAL, WEIGHT)[0] == pytest.approx(quantity(copied, ones)[0], rel=1e-10)


def test_a_problem_in_a_batch_has_the_bits_it_has_alone(objective):
    batch = RESIDUAL * np.linspace(0.5, 2, 9)[:, None]
    weight = np.tile(WEIGHT, (9, 1))
    together = measured(objective, batch, weight)
    for k in range(9):
        alone = measured(objective, batch[k : k + 1], weight[k : k + 1])
        for name in ("value", "size", "psi", "sharp", "safe", "state"):
            assert getattr(alone, name)[0].tobytes() == getattr(together, name)[k].tobytes()


def test_an_infinite_residual_is_worse_than_any_other_but_no_nan(objective):
    broken = RESIDUAL.copy()
    broken[0, 3] = np.inf
    value = objective.value(broken, np.ones_like(broken))
    assert not np.isnan(value).any()
    assert value[0] > objective.value(RESIDUAL, np.ones_like(broken))[0]


def test_the_likelihood_of_one_row_is_a_density(objective):
    # exp(log-likelihood) of a single residual at a held scale integrates to one over the residual.
    s = 0.02
    if isinstance(objective, AsymmetricHuber):
        pytest.skip("its likelihood has a test of its own")
    if isinstance(objective, Huber):
        d, t = objective.threshold, 3e-7
        total = 2 * quad(lambda r: np.exp(-huber(r, d) / t), 0, d, epsabs=0)[0]
        total += 2 * quad(lambda r: np.exp(-huber(r, d) / t), d, 0.5, points=[2 * d, 10 * d])[0]
        # The best dispersion is found over t: no dispersion may give more than log_likelihood.
        rows = np.ones_like(RESIDUAL)
        at_t = -float(huber(RESIDUAL, d).sum()) / t - RESIDUAL.size * np.log(total)
        assert objective.log_likelihood(RESIDUAL, rows)[0] >= at_t
        return
    if isinstance(objective, SquaredError):
        pytest.skip("its penalty is no density")
    at = np.array([[s]])
    area = 2 * quad(lambda r: np.exp(-objective.rho(np.array([[r]]), at)[0, 0]), 0, s * 10)[0]
    area += 2 * quad(lambda r: np.exp(-objective.rho(np.array([[r]]), at)[0, 0]), s * 10, np.inf)[0]
    assert area == pytest.approx(1, abs=1e-7)


def huber(residual, d):
    size = np.abs(residual)
    return np.where(size <= d, size**2 / 2, d * (size - d / 2))


@pytest.mark.parametrize("delta", [1e-3, 0.01, 0.5])
def test_hubers_likelihood_is_that_of_a_density_at_its_best_dispersion(delta):
    rows = np.ones_like(RESIDUAL)
    total = float(huber(RESIDUAL, delta).sum())

    def minus(log_t):
        t = np.exp(log_t)
        inside = quad(lambda r: np.exp(-huber(r, delta) / t), 0, delta, epsabs=0)[0]
        tail = t / delta * np.exp(-(delta**2) / (2 * t))  # integral of the exponential tail
        return total / t + RESIDUAL.size * np.log(2 * (inside + tail))

    middle = np.log(total / RESIDUAL.size)
    best = minimize_scalar(minus, bounds=(middle - 4, middle + 4), method="bounded")
    assert Huber(delta).log_likelihood(RESIDUAL, rows)[0] == pytest.approx(-best.fun, rel=1e-6)


@pytest.mark.parametrize("over", [1.0, 3.0, 50.0])
def test_the_asymmetric_likelihood_is_that_of_a_density_at_its_best_dispersion(over):
    objective, rows = AsymmetricHuber(over, 0.01), np.ones_like(RESIDUAL)
    total = float(objective.value(RESIDUAL, rows)[0])

    def minus(log_t):
        t = np.exp(log_t)

        def density(r):
            return np.exp(-objective.rho(np.array([[r]]), np.ones((1, 1)))[0, 0] / t)

        ends = (-1e-2, 0.0, 1e-2)
        area = quad(density, -0.02, 0.02, points=ends, epsabs=0, limit=400)[0]
        for side, slope in ((1, 0.01 / t), (-1, over * 0.01 / t)):
            area += density(side * 0.02) / slope  # integral of the exponential tail
        return total / t + RESIDUAL.size * np.log(area)

    middle = np.log(total / RESIDUAL.size)
    best = minimize_scalar(minus, bounds=(middle - 3, middle + 2), method="bounded")
    assert objective.log_likelihood(RESIDUAL, rows)[0] == pytest.approx(-best.fun, rel=1e-5)


def test_asymmetry_of_one_is_huber_and_a_large_one_draws_the_curve_to_the_best_runs():
    np.testing.assert_allclose(
        AsymmetricHuber(1.0).rho(RESIDUAL, np.ones((1, 1))), Huber().rho(RESIDUAL, np.ones((1, 1)))
    )
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.02)
    below = {
        over: float((fit(law, runs, objective=AsymmetricHuber(over)).residual < 0).mean())
        for over in (1.0, 10.0)
    }
    # A quantile of 1/(1 + over): half of the runs, then one in eleven.
    assert below[1.0] == pytest.approx(0.5, abs=0.06)
    assert below[10.0] == pytest.approx(1 / 11, abs=0.06)


def test_the_t_likelihood_is_scipys():
    rows = np.ones_like(RESIDUAL)
    for nu in (1.0, 4.0, 30.0):
        s = StudentT(nu).scale(RESIDUAL, rows)[0]
        assert StudentT(nu).log_likelihood(RESIDUAL, rows)[0] == pytest.approx(
            student.logpdf(RESIDUAL, nu, scale=s).sum(), rel=1e-12
        )


def test_the_normal_likelihood_is_scipys():
    rows = np.ones_like(RESIDUAL)
    sigma = np.sqrt(np.mean(RESIDUAL**2))
    expected = norm.logpdf(RESIDUAL, scale=sigma).sum()
    for kind in (Gaussian(), SquaredError()):
        assert kind.log_likelihood(RESIDUAL, rows)[0] == pytest.approx(expected, rel=1e-12)


def test_t_with_many_degrees_of_freedom_is_gaussian():
    rows = np.ones_like(RESIDUAL)
    t, gaussian = StudentT(1e9), Gaussian()
    assert t.value(RESIDUAL, rows)[0] == pytest.approx(gaussian.value(RESIDUAL, rows)[0], rel=1e-6)
    assert t.scale(RESIDUAL, rows)[0] == pytest.approx(gaussian.scale(RESIDUAL, rows)[0], rel=1e-6)


def test_huber_with_a_wide_delta_is_half_the_sum_of_squares():
    value = Huber(10.0).value(RESIDUAL, WEIGHT)[0]
    assert value == pytest.approx(float((WEIGHT * RESIDUAL**2).sum() / 2), rel=1e-14)


def test_huber_with_a_tiny_delta_is_the_sum_of_absolute_residuals():
    d = 1e-9
    value = Huber(d).value(RESIDUAL, WEIGHT)[0] / d
    assert value == pytest.approx(float((WEIGHT * np.abs(RESIDUAL)).sum()), rel=1e-6)


def test_an_automatic_delta_is_1345_robust_standard_deviations():
    normal = 0.01 * norm.ppf((np.arange(999) + 0.5) / 999)
    assert Huber(None).settled(normal).delta == pytest.approx(1.345 * 0.01, rel=2e-3)


def test_continuation_ends_at_the_objective_itself(objective):
    state = objective.begin(RESIDUAL, WEIGHT, cold=True)
    for _ in range(60):
        state = objective.tighten(state)
    own = objective.begin(RESIDUAL, WEIGHT, cold=False)
    if isinstance(objective, Huber | AsymmetricHuber):
        np.testing.assert_array_equal(state, own)
    np.testing.assert_array_equal(objective.tighten(state), state)


@pytest.mark.parametrize(
    "text",
    [
        "t:0.5",
        "t:nan",
        "t:x",
        "huber:0",
        "huber:-1",
        "huber:inf",
        "gaussian:3",
        "mse:1",
        "asymmetric-huber:0.5",
        "asymmetric-huber:2,0",
        "huber:1,2",
        "t:mu=3",
    ],
)
def test_settings_that_mean_nothing_are_refused(text):
    with pytest.raises(InputError):
        parse_objective(text)


def test_an_unknown_objective_is_answered_with_the_nearest():
    with pytest.raises(UnknownName) as refused:
        parse_objective("hubr:1e-3")
    assert "huber" in str(refused.value.hint)


def test_a_text_names_the_objective_and_its_setting():
    assert parse_objective("t:7") == StudentT(7)
    assert parse_objective("huber:auto") == Huber(None)
    assert parse_objective("huber:1e-2") == Huber(0.01)
    assert parse_objective("asymmetric-huber:delta=1e-2") == AsymmetricHuber(10.0, 0.01)
    assert parse_objective("asymmetric-huber:3,1e-2") == AsymmetricHuber(3.0, 0.01)
    assert parse_objective("gaussian") == Gaussian()
