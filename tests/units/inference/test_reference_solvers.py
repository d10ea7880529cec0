"""SciPy's and lmfit's searches end where ours does, and say no more than they may."""

import numpy as np
import pytest
from simulated import observations, runs_of

from scalefit.core.errors import InputError, UnknownName
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian, Huber, SquaredError, StudentT
from scalefit.inference.problem import bind
from scalefit.inference.solvers import SOLVERS
from scalefit.laws import LAWS

OBJECTIVES = [StudentT(), StudentT(1), Gaussian(), Huber(1e-3), Huber(0.05), SquaredError()]


@pytest.fixture(params=SOLVERS.values(), ids=lambda kind: kind.name)
def solver(request):
    return request.param


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("name", ["chinchilla", "power-floor"])
def test_references_reach_our_objective(solver, objective, name):
    law = LAWS.get(name)
    runs = runs_of(law, noise=0.006, seed=4)
    ours = fit(law, runs, objective=objective)
    other = fit(law, runs, objective=objective, solver=solver.name)
    assert other.value == pytest.approx(ours.value, rel=1e-8)
    assert ours.value <= other.value + 1e-10 * abs(other.value)
    assert other.status == ours.status == "converged"


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_weights_mean_to_references_what_they_mean_to_us(solver, objective):
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.006, seed=5)
    weight = np.random.default_rng(1).integers(0, 4, runs.n).astype(float)
    weighed = observations(runs.inputs, runs.loss, weight=weight)
    ours = fit(law, weighed, objective=objective)
    other = fit(law, weighed, objective=objective, solver=solver.name)
    assert other.value == pytest.approx(ours.value, rel=1e-8)
    np.testing.assert_allclose(other.theta, ours.theta, rtol=1e-3)


def test_references_run_every_start(solver):
    law = LAWS.get("chinchilla")
    runs = runs_of(law, noise=0.003)
    problem = bind(law, runs, log_target=True)
    middle = problem.search(np.array([[law.example[k] for k in law.names]]))
    starts = middle + 0.3 * np.random.default_rng(2).standard_normal((4, 5))
    ends = solver().solve(problem, StudentT(), runs.weight, starts)
    assert ends.u.shape == (4, 5)
    assert ends.converged.all()
    np.testing.assert_allclose(ends.value, ends.value[0], rtol=1e-9)
    assert (ends.steps > 1).all()


def test_references_end_on_a_bound_and_not_beside_it(solver):
    law = LAWS.get("power-floor")
    x = np.geomspace(1, 1e5, 20)
    # Runs that bend downwards have no floor.
    runs = observations({"x": x}, 5 * x**-0.1 * np.exp(-0.004 * np.log(x) ** 2))
    found = fit(law, runs, solver=solver.name)
    assert found.theta[0] == 0.0
    assert found.status == "at-bound"
    assert found.value == pytest.approx(fit(law, runs).value, rel=1e-8)


def test_references_keep_bounds_and_fixed_parameters(solver):
    law = LAWS.get("chinchilla")
    runs = runs_of(law, noise=0.003)
    found = fit(law, runs, fix={"alpha": 0.3}, bound={"beta": (0.1, 0.25)}, solver=solver.name)
    assert found.theta[law.index("alpha")] == 0.3
    assert 0.1 <= found.theta[law.index("beta")] <= 0.25
    ours = fit(law, runs, fix={"alpha": 0.3}, bound={"beta": (0.1, 0.25)})
    assert found.value == pytest.approx(ours.value, rel=1e-8)


def test_a_start_out_of_the_doubles_is_not_converged(solver):
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.003)
    problem = bind(law, runs, log_target=True)
    good = problem.search(np.array([[law.example[k] for k in law.names]]))
    wide = type(problem)(**{**problem.__dict__, "high": np.full(3, 1e6), "low": np.full(3, -1e6)})
    ends = solver().solve(wide, StudentT(), runs.weight, np.stack([good[0], [0.0, 1e5, 900.0]]))
    assert ends.converged.tolist() == [True, False]
    assert np.isinf(ends.value[1])


def test_noise_free_runs_are_converged(solver):
    law = LAWS.get("chinchilla")
    for objective in (StudentT(), Gaussian(), Huber()):
        found = fit(law, runs_of(law), objective=objective, solver=solver.name)
        assert np.abs(found.residual).max() < 1e-9


def test_an_objective_that_no_reference_knows_is_refused(solver):
    class Cauchy(StudentT.__mro__[-1]):
        name = "cauchy"
        begin = StudentT.begin
        measure = StudentT.measure

    law = LAWS.get("power-floor")
    runs = runs_of(law)
    problem = bind(law, runs, log_target=True)
    from scalefit.inference.solvers.base import task

    with pytest.raises(InputError, match="cauchy"):
        task(Cauchy(), problem, runs.weight, np.zeros(runs.n))


def test_an_unknown_solver_is_answered_with_the_nearest():
    with pytest.raises(UnknownName) as refused:
        fit(LAWS.get("power"), runs_of(LAWS.get("power")), solver="scipi")
    assert "scipy" in str(refused.value.hint)


def test_the_house_loads_no_reference_until_it_is_asked():
    import subprocess
    import sys

    code = (
        "import sys, scalefit.inference.solvers, scalefit.inference.fitting;"
        "print([m for m in sys.modules if m.split('.')[0] in ('scipy', 'lmfit')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
