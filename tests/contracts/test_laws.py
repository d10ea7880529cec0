"""Every law in the library keeps these promises; none is named here."""

import warnings

import numpy as np
import pytest
from simulated import example, grid, observations, predicted, runs_of

from scalefit.core.observations import Observations
from scalefit.inference.certificate import complex_jacobian
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian, StudentT
from scalefit.inference.problem import bind
from scalefit.inference.starts import candidates
from scalefit.laws import LAWS
from scalefit.laws.base import power_of, rescaled


@pytest.fixture(params=LAWS.values(), ids=lambda law: law.name)
def law(request):
    return request.param


def values(inputs):
    return list(inputs.values())


def near(law, count=20, seed=1):
    """Parameter sets around the example and inside the box of its own runs, shape (count, P)."""
    problem = bind(law, runs_of(law), log_target=True)
    u = problem.search(example(law)[None])
    random = np.random.default_rng(seed)
    moved = u + 0.2 * np.where(problem.log, 1.0, np.abs(u)) * random.standard_normal(
        (count, problem.p)
    )
    return problem, np.clip(moved, problem.low, problem.high)


def test_the_jacobian_is_exact(law):
    problem, points = near(law)
    _, jacobian = problem.evaluate(points)
    for u, found in zip(points, jacobian, strict=True):
        exact = complex_jacobian(problem, u)
        size = np.abs(exact).max(axis=1, keepdims=True)
        assert np.all(np.abs(found - exact) <= 1e-10 * size + 1e-300)


@pytest.mark.parametrize("log_target", [True, False])
def test_the_fused_path_agrees_with_dual_arrays(law, log_target):
    problem, points = near(law)
    problem = bind(law, runs_of(law), log_target=log_target, fix={law.names[-1]: example(law)[-1]})
    if law.terms is None and not law.breaks:
        pytest.skip("neither a sum of powers nor broken: it has the general path alone")
    points = points[:, [i for i in range(len(law.names)) if i in problem.free]]
    theta = problem.centred(points)
    seeds = np.ones_like(theta)
    seeds[:, list(problem.free)] = np.where(problem.log, theta[:, list(problem.free)], 1.0)
    value, partials = law.jacobian(theta, problem.inputs, seeds, problem.free)
    jacobian = np.stack([np.broadcast_to(part, value.shape) for part in partials], axis=1)
    residual, slopes = problem.evaluate(points)
    if log_target:
        value, jacobian = np.log(value), jacobian / value[:, None, :]
    np.testing.assert_allclose(residual, problem.target - value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(problem.residual(points), residual, rtol=0, atol=1e-12)
    np.testing.assert_allclose(slopes, jacobian, rtol=1e-12, atol=1e-12 * np.abs(jacobian).max())


def test_the_example_lies_in_the_box_of_its_own_runs(law):
    problem = bind(law, runs_of(law), log_target=True)
    np.testing.assert_allclose(
        problem.theta(problem.search(example(law)[None]))[0], example(law), rtol=1e-12
    )


def test_units_change_parameters_as_declared_and_no_loss(law):
    inputs = grid(law)
    loss = law.predict(example(law), values(inputs))
    for factor in (1e-9, 1e-3, 7.0, 1e6):
        # An input that shares another's unit cannot change it alone.
        for changed in (name for name in law.inputs if name not in law.shares_unit):
            units = {name: factor for name in law.inputs if name == changed}
            units |= {name: factor for name, twin in law.shares_unit.items() if twin == changed}
            moved = rescaled(law, example(law), units)
            other = [inputs[name] / units.get(name, 1.0) for name in law.inputs]
            np.testing.assert_allclose(law.predict(moved, other), loss, rtol=1e-9)


def test_moving_units_there_and_back_changes_nothing(law):
    there = rescaled(law, example(law), dict.fromkeys(law.inputs, 1e6))
    back = rescaled(law, there, dict.fromkeys(law.inputs, 1e-6))
    np.testing.assert_allclose(back, example(law), rtol=1e-12)


def test_a_fit_in_millions_is_the_same_fit(law):
    runs = runs_of(law, noise=0.003)
    small = observations({k: v / 1e6 for k, v in runs.inputs.items()}, runs.loss)
    first, second = fit(law, runs), fit(law, small)
    np.testing.assert_allclose(predicted(second), predicted(first), rtol=1e-8)
    if first.status == "converged" and first.certificate.kappa < 1e3:
        for i, parameter in enumerate(law.parameters):
            moved = first.theta[i]
            for _, power in parameter.units:
                moved /= 1e6 ** power_of(law, first.theta, power)
            assert second.theta[i] == pytest.approx(moved, rel=1e-5)


def test_declared_linear_parameters_are_linear(law):
    linear = np.array([p.linear for p in law.parameters])
    if not linear.any():
        pytest.skip("declares none")
    inputs, theta = values(grid(law)), example(law)
    at = [law.predict(np.where(linear, k, 1) * theta, inputs) for k in (1, 2, 3)]
    np.testing.assert_allclose(at[2] - at[1], at[1] - at[0], rtol=1e-9, atol=1e-12)
    for i in np.flatnonzero(linear):
        at = [
            law.predict(np.where(np.arange(len(theta)) == i, k, 1) * theta, inputs)
            for k in (1, 2, 3)
        ]
        np.testing.assert_allclose(at[2] - at[1], at[1] - at[0], rtol=1e-9, atol=1e-12)


def test_declared_log_linear_parameters_are_affine_in_the_log_above_the_floor(law):
    affine = [i for i, p in enumerate(law.parameters) if p.log_linear]
    if not affine:
        pytest.skip("declares none")
    floors = [i for i, p in enumerate(law.parameters) if p.linear and not p.log_linear]
    inputs, theta = values(grid(law)), example(law)
    for i in affine:
        height = []
        for k in (0.0, 0.1, 0.2):
            moved = theta.copy()
            moved[i] = theta[i] * np.exp(k) if law.parameters[i].log else theta[i] + k
            height.append(np.log(law.predict(moved, inputs) - theta[floors].sum()))
        np.testing.assert_allclose(
            height[2] - height[1], height[1] - height[0], rtol=1e-7, atol=1e-7
        )


def test_parameters_of_many_draws_broadcast_against_the_runs(law):
    inputs = values(grid(law))
    draws = example(law) * np.linspace(0.95, 1.05, 5)[:, None]
    together = law.predict(draws, inputs)
    assert together.shape == (5, inputs[0].size)
    for row, theta in zip(together, draws, strict=True):
        np.testing.assert_array_equal(row, law.predict(theta, inputs))


def test_noise_free_runs_are_fitted_exactly_and_called_converged(law):
    runs = runs_of(law)
    found = fit(law, runs)
    np.testing.assert_allclose(predicted(found), runs.loss, rtol=1e-9)
    assert found.status in ("converged", "at-bound")


def test_noise_free_runs_are_fitted_from_other_truths_too(law):
    problem, points = near(law, count=4, seed=5)
    for u in points:
        inputs = grid(law)
        truth = problem.theta(u[None])[0]
        runs = observations(inputs, law.predict(truth, values(inputs)))
        np.testing.assert_allclose(predicted(fit(law, runs)), runs.loss, rtol=1e-5)


def test_the_fit_beats_the_truth_on_noisy_runs(law):
    runs = runs_of(law, noise=0.005, seed=3)
    found = fit(law, runs)
    truth = found.problem.search(example(law)[None])
    weight = runs.weight[None]
    at_truth = float(found.objective.value(found.problem.residual(truth), weight)[0])
    assert found.value <= at_truth
    assert found.status != "not-converged"


def test_row_order_changes_no_bit(law):
    inputs = grid(law)
    loss = law.predict(example(law), values(inputs)) * np.exp(
        0.004 * np.random.default_rng(2).standard_normal(values(inputs)[0].size)
    )
    order = np.random.default_rng(3).permutation(loss.size)
    first = fit(law, observations(inputs, loss))
    second = fit(law, observations({k: v[order] for k, v in inputs.items()}, loss[order]))
    assert first.theta.tobytes() == second.theta.tobytes()
    assert first.value == second.value


def test_a_row_twice_is_a_row_of_weight_two(law):
    runs = runs_of(law, noise=0.004)
    some = np.arange(runs.n) % 3 == 0
    twice = {k: np.concatenate([v, v[some]]) for k, v in runs.inputs.items()}
    copied = observations(twice, np.concatenate([runs.loss, runs.loss[some]]))
    weighted = observations(runs.inputs, runs.loss, weight=np.where(some, 2.0, 1.0))
    first, second = fit(law, copied), fit(law, weighted)
    assert first.value == pytest.approx(second.value, rel=1e-10)
    np.testing.assert_allclose(
        predicted(first, runs.inputs), predicted(second, runs.inputs), rtol=1e-7
    )


def test_a_row_of_weight_zero_is_a_row_left_out(law):
    runs = runs_of(law, noise=0.004)
    kept = np.arange(runs.n) % 4 != 1
    spoilt = np.where(kept, runs.loss, 1.3 * runs.loss)
    silenced = observations(runs.inputs, spoilt, weight=kept.astype(float))
    first, second = fit(law, runs.take(kept)), fit(law, silenced)
    assert first.value == pytest.approx(second.value, rel=1e-9)
    np.testing.assert_allclose(
        predicted(first, runs.inputs), predicted(second, runs.inputs), rtol=1e-6
    )


def test_loss_in_bits_leaves_the_curve_where_it_was(law):
    # A power of a sum has no amplitude in front: only laws that can scale the loss can follow.
    scales = [i for i, p in enumerate(law.parameters) if p.relative_to == "loss"]
    if not scales or (example(law)[scales][None] == 0).any():
        pytest.skip("the law has a loss of its own unit")
    runs = runs_of(law, noise=0.004)
    bits = observations(runs.inputs, runs.loss / np.log(2))
    first, second = fit(law, runs), fit(law, bits)
    np.testing.assert_allclose(predicted(second) * np.log(2), predicted(first), rtol=1e-7)
    for i, parameter in enumerate(law.parameters):
        if parameter.relative_to != "loss" and first.certificate.kappa < 1e3:
            assert second.theta[i] == pytest.approx(first.theta[i], rel=1e-5), parameter.name


def test_the_loss_falls_in_an_input_that_an_amplitude_is_a_power_of(law):
    falls = {name for p in law.parameters for name, power in p.units if isinstance(power, str)}
    if {"N", "D"} == set(law.inputs):
        falls = {"N", "D"}
    if not falls:
        pytest.skip("the law may turn")
    inputs = grid(law)
    loss = law.predict(example(law), values(inputs))
    for name in falls:
        more = {k: v * (1.1 if k == name else 1.0) for k, v in inputs.items()}
        after = law.predict(example(law), values(more))
        assert (after <= loss).all()
        # Where a law saturates, more of the input may change no digit any longer.
        assert (after < loss).mean() > 0.5


def test_starts_lie_in_the_box_and_one_of_them_is_near(law):
    runs = runs_of(law)
    starts = candidates(law, runs, log_target=True)
    problem = bind(law, runs, log_target=True)
    u = problem.search(starts)
    assert np.isfinite(starts).all()
    assert ((u >= problem.low) & (u <= problem.high)).all()
    rms = np.sqrt((problem.residual(u) ** 2).mean(axis=1)).min()
    constant = np.std(np.log(runs.loss))
    assert rms < 0.3 * constant


def test_laws_meet_extreme_parameters_without_a_word(law):
    problem = bind(law, runs_of(law), log_target=True)
    corners = np.where(
        np.random.default_rng(0).random((50, problem.p)) < 0.5, problem.low, problem.high
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        residual, jacobian = problem.evaluate(corners)
    assert not np.isnan(residual).any()
    assert np.isfinite(jacobian).all()


def test_every_objective_finds_noise_free_runs(law):
    runs = runs_of(law)
    for objective in (StudentT(), Gaussian()):
        found = fit(law, runs, objective=objective)
        np.testing.assert_allclose(predicted(found), runs.loss, rtol=1e-9)


def test_fixing_a_parameter_at_its_estimate_leaves_the_rest(law):
    runs = runs_of(law, noise=0.003)
    free = fit(law, runs)
    if free.status != "converged":
        pytest.skip("the free fit is no point of comparison")
    name = law.names[0]
    held = fit(law, runs, fix={name: float(free.theta[0])})
    assert held.theta[0] == pytest.approx(free.theta[0], rel=1e-12)
    assert held.value == pytest.approx(free.value, rel=1e-9)
    assert isinstance(held.runs, Observations)
