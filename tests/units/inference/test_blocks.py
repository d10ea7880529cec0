"""Many rows in blocks: what is said of them is what is said of all at once."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference import blocks, certificate, fitting, problem, solver
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian, Huber, StudentT
from scalefit.inference.solver import Solution
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")


def swept(n=900):
    random = np.random.default_rng(8)
    size, data = np.exp(random.uniform(16, 22, n)), np.exp(random.uniform(20, 26, n))
    loss = 1.8 + 480 * size**-0.35 + 2100 * data**-0.37
    return observations({"N": size, "D": data}, loss * np.exp(0.01 * random.standard_normal(n)))


def in_blocks_of(monkeypatch, rows):
    """Every pass over rows takes so many at a time."""
    whole = blocks.slices

    def some(n, rows=rows):
        return whole(n, rows)

    for module in (blocks, certificate, problem, solver):
        if hasattr(module, "slices"):
            monkeypatch.setattr(module, "slices", some)
    monkeypatch.setattr(problem, "ROWS", rows)


def test_slices_are_all_rows_once():
    taken = [list(range(10))[part] for part in blocks.slices(10, 4)]
    assert taken == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(list(blocks.slices(0))) == 1


def test_a_triangle_of_blocks_has_the_inner_products_of_all_rows():
    rows = np.random.default_rng(0).standard_normal((50, 4))
    found = np.empty((0, 4))
    for part in blocks.slices(50, 7):
        found = blocks.triangle(found, rows[part])
    assert found.shape == (4, 4)
    np.testing.assert_allclose(found.T @ found, rows.T @ rows, atol=1e-12)


@pytest.mark.parametrize("objective", [StudentT(), Gaussian(), Huber(1e-3)], ids=lambda o: o.name)
def test_a_fit_in_blocks_is_the_fit_of_all_rows(objective, monkeypatch):
    runs = swept()
    whole = fit(LAW, runs, objective=objective)
    in_blocks_of(monkeypatch, 128)
    parts = fit(LAW, runs, objective=objective)
    assert parts.status == whole.status == "converged"
    np.testing.assert_allclose(parts.theta, whole.theta, rtol=1e-8)
    np.testing.assert_array_equal(parts.problem.residual(whole.u[None])[0], whole.residual)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    told, known = parts.certificate, whole.certificate
    assert told.kappa == pytest.approx(known.kappa, rel=1e-6)
    assert told.hess_min == pytest.approx(known.hess_min, rel=1e-4)
    assert (told.in_band, told.dof) == (known.in_band, known.dof)


@pytest.mark.parametrize("objective", [StudentT(), Gaussian(), Huber(1e-3)], ids=lambda o: o.name)
def test_sums_over_blocks_of_a_certificate_are_those_of_all_rows(objective, monkeypatch):
    found = fit(LAW, swept(), objective=objective)
    beside = found.u + 1e-3
    residual = found.problem.residual(beside[None])[0]
    arguments = (found.problem, found.objective, beside, residual, found.scale)
    whole = certificate._sums(*arguments)
    in_blocks_of(monkeypatch, 100)
    parts = certificate._sums(*arguments)
    np.testing.assert_allclose(parts.slope, whole.slope, rtol=1e-9)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-9)
    square = whole.rotated @ whole.rotated.T
    np.testing.assert_allclose(parts.rotated @ parts.rotated.T, square, rtol=1e-8, atol=1e-9)
    assert parts.pull == pytest.approx(whole.pull, rel=1e-12)


@pytest.mark.parametrize("objective", [StudentT(), Gaussian(), Huber(1e-3)], ids=lambda o: o.name)
def test_a_last_step_over_blocks_is_that_over_all_rows(objective, monkeypatch):
    found = fit(LAW, swept(), objective=objective)
    beside, weight = found.u + 1e-3, found.runs.weight[None]
    state = found.objective.begin(found.problem.residual(beside[None]), weight, cold=False)
    arguments = (found.problem, found.objective, beside, weight, state)
    step, size = solver._newton(*arguments)
    assert np.abs(step).max() > 1e-4
    in_blocks_of(monkeypatch, 100)
    parts, added = solver._newton(*arguments)
    np.testing.assert_allclose(parts, step, rtol=1e-7)
    assert added == pytest.approx(size, rel=1e-12)


def searches(value, converged):
    """Ends of searches at the fit's own place, with these objectives."""
    value = np.array(value, dtype=float)
    u = np.zeros((value.size, 5))
    return Solution(u, value, np.ones(value.size), np.array(converged), np.ones(value.size, int))


@pytest.mark.parametrize(
    ("value", "converged", "beaten"),
    [
        ([1.0, 1.0, 1.0, 1.2, 1.001], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0]),
        ([1.0, 1.0, 1.001, 1.2], [1, 1, 1, 0], [0, 0, 0, 0]),
        ([1.0, 1.0, 1.0, 1.2], [1, 1, 0, 0], [0, 0, 0, 0]),
        ([np.inf, np.inf, np.nan], [0, 0, 0], [0, 0, 0]),
    ],
    ids=["three agree", "only two agree", "one has not converged", "none is finite"],
)
def test_a_search_is_given_up_only_where_three_others_agree_far_below(
    value, converged, beaten, monkeypatch
):
    one = fit(LAW, swept(60), objective=Gaussian())
    weight = one.runs.weight[None]
    # Whatever the curve leaves, its squares are taken to be of size one.
    flat = np.full((1, 60), np.sqrt(2 / 60))
    monkeypatch.setattr(problem.Problem, "residual", lambda *_: flat)
    found = fitting._beaten(
        one.problem, Gaussian(), weight, searches(value, np.array(converged, bool))
    )
    assert found.tolist() == [bool(b) for b in beaten]
