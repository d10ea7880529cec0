"""The one primitive: the same bits in any batch, inside its box, at a minimum."""

import numpy as np
import pytest
from simulated import example, observations, runs_of

from scalefit.core.errors import InputError, UnknownName
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian, Huber, StudentT
from scalefit.inference.problem import bind
from scalefit.inference.solver import joined, polish, solve
from scalefit.inference.starts import candidates
from scalefit.inference.trust_region import solve_in_trust_region
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")
RUNS = runs_of(LAW, noise=0.005, side=6)
PROBLEM = bind(LAW, RUNS, log_target=True)
TRUTH = PROBLEM.search(example(LAW)[None])[0]
RANDOM = np.random.default_rng(12)
STARTS = TRUTH + 0.3 * RANDOM.standard_normal((1000, PROBLEM.p))
WEIGHTS = RANDOM.poisson(1.0, (1000, RUNS.n)).astype(float)
OBJECTIVES = [StudentT(), Gaussian(), Huber(1e-3)]


@pytest.mark.parametrize("cold", [True, False])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_a_problem_has_the_bits_it_has_alone_in_a_thousand_and_in_odd_chunks(objective, cold):
    together = solve(PROBLEM, objective, WEIGHTS, STARTS, cold=cold)
    for b in (0, 1, 499, 998, 999):
        one = slice(b, b + 1)
        alone = solve(PROBLEM, objective, WEIGHTS[one], STARTS[one], cold=cold)
        assert alone.u[0].tobytes() == together.u[b].tobytes()
        assert alone.value[0] == together.value[b]
        assert alone.converged[0] == together.converged[b]
        assert alone.steps[0] == together.steps[b]
    parts = joined(
        [
            solve(PROBLEM, objective, WEIGHTS[i : i + 37], STARTS[i : i + 37], cold=cold)
            for i in range(0, 1000, 37)
        ]
    )
    assert parts.u.tobytes() == together.u.tobytes()
    assert parts.value.tobytes() == together.value.tobytes()


def test_a_neighbour_of_giant_weight_changes_no_bit():
    alone = solve(PROBLEM, Gaussian(), WEIGHTS[:2], STARTS[:2], cold=True, limit=9)
    giant = np.concatenate([WEIGHTS[:2], 1e30 * WEIGHTS[2:3]])
    beside = solve(PROBLEM, Gaussian(), giant, STARTS[:3], cold=True, limit=9)
    assert beside.u[:2].tobytes() == alone.u.tobytes()


def test_shared_weights_are_the_same_weights_repeated():
    one = np.ones((1, RUNS.n))
    shared = solve(PROBLEM, StudentT(), one, STARTS[:50], cold=True)
    own = solve(PROBLEM, StudentT(), np.repeat(one, 50, axis=0), STARTS[:50], cold=True)
    assert shared.u.tobytes() == own.u.tobytes()


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_every_start_reaches_the_same_minimum(objective):
    ends = solve(PROBLEM, objective, np.ones((1, RUNS.n)), STARTS[:200], cold=True)
    assert ends.converged.all()
    size = abs(float(objective.measure(
        PROBLEM.residual(ends.u[:1]), np.ones((1, RUNS.n)), ends.state[:1]
    ).size[0]))  # fmt: skip
    assert np.ptp(ends.value) <= 1e-9 * size


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("name", ["power-floor", "kaplan"])
def test_a_search_that_begins_at_the_minimum_ends_there(name, objective):
    law = LAWS.get(name)
    for seed in range(20):
        found = fit(law, runs_of(law, noise=0.01, seed=seed), objective=objective)
        weight, start = found.runs.weight[None], found.u[None]
        again = solve(found.problem, objective, weight, start, cold=False)
        assert again.converged[0], seed
        assert again.steps[0] < 10


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_no_small_move_lowers_the_objective(objective):
    weight = np.ones((1, RUNS.n))
    end = solve(PROBLEM, objective, weight, TRUTH[None], cold=True).u[0]
    moved = end + 1e-3 * RANDOM.standard_normal((300, PROBLEM.p))
    best = objective.value(PROBLEM.residual(end[None]), weight)[0]
    assert (objective.value(PROBLEM.residual(moved), weight) >= best).all()


def test_the_box_is_kept_and_a_pressed_parameter_ends_on_its_edge():
    tight = bind(LAW, RUNS, log_target=True, bound={"alpha": (0.1, 0.3), "beta": (0.35, 1.0)})
    starts = tight.search(tight.theta(TRUTH[None]))
    starts = np.clip(starts + STARTS[:100] - TRUTH, tight.low, tight.high)
    ends = solve(tight, StudentT(), np.ones((1, RUNS.n)), starts, cold=True)
    assert ((ends.u >= tight.low) & (ends.u <= tight.high)).all()
    assert ends.converged.all()
    theta = tight.theta(ends.u)
    np.testing.assert_array_equal(theta[:, LAW.index("alpha")], 0.3)
    np.testing.assert_array_equal(theta[:, LAW.index("beta")], 0.35)


def test_a_start_outside_the_box_is_brought_inside():
    ends = solve(PROBLEM, StudentT(), np.ones((1, RUNS.n)), STARTS[:5] + 1e9, cold=True)
    assert ((ends.u >= PROBLEM.low) & (ends.u <= PROBLEM.high)).all()


def test_a_search_cut_short_does_not_call_itself_converged():
    ends = solve(PROBLEM, StudentT(), np.ones((1, RUNS.n)), STARTS[:100], cold=True, limit=3)
    full = solve(PROBLEM, StudentT(), np.ones((1, RUNS.n)), STARTS[:100], cold=True)
    wrong = ends.value > full.value + 1e-6
    assert wrong.sum() > 50
    assert not ends.converged[wrong].any()
    assert (ends.steps <= 3).all()


def test_polishing_brings_the_score_to_rounding():
    weight = np.ones((1, RUNS.n))
    objective = StudentT()
    rough = solve(PROBLEM, objective, weight, TRUTH[None], cold=True, tolerance=1e-4).u[0]
    fine = polish(PROBLEM, objective, weight, rough)

    def slope(u):
        residual, jacobian = PROBLEM.evaluate(u[None])
        found = objective.measure(residual, weight, objective.begin(residual, weight, cold=False))
        terms = jacobian[0] * found.psi[0]
        return np.abs(terms.sum(axis=1)) / np.abs(terms).sum(axis=1)

    assert slope(rough).max() > 1e-7
    assert slope(fine).max() < 1e-12


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_the_stubborn_search_ends_where_the_quick_one_does(objective):
    weight = np.ones((1, RUNS.n))
    quick = solve(PROBLEM, objective, weight, STARTS[:4], cold=True)
    slow = solve_in_trust_region(PROBLEM, objective, weight, STARTS[:4])
    assert quick.converged.all()
    np.testing.assert_allclose(slow.value, quick.value, rtol=1e-7)


def test_the_way_to_search_vectors_and_back_changes_nothing():
    theta = example(LAW) * np.exp(-0.1 * RANDOM.random((20, 5)))
    np.testing.assert_allclose(PROBLEM.theta(PROBLEM.search(theta)), theta, rtol=1e-12)


def test_residuals_are_those_of_the_log_loss():
    residual = PROBLEM.residual(TRUTH[None])[0]
    expected = np.log(RUNS.loss) - np.log(
        LAW.predict(example(LAW), [RUNS.inputs["N"], RUNS.inputs["D"]])
    )
    np.testing.assert_allclose(residual, expected, atol=1e-13)
    np.testing.assert_allclose(PROBLEM.evaluate(TRUTH[None])[0][0], residual, atol=1e-15)


@pytest.mark.parametrize(
    "asked",
    [
        {"bound": {"alpha": (0.3, 0.3)}},
        {"bound": {"alpha": (0.4, 0.3)}},
        {"bound": {"A": (0.0, 5.0)}},
        {"fix": {"A": -1.0}},
        {"fix": {"alpha": np.nan}},
        {"fix": dict(LAW.example)},
    ],
    ids=str,
)
def test_bounds_and_values_that_mean_nothing_are_refused(asked):
    with pytest.raises(InputError):
        bind(LAW, RUNS, log_target=True, **asked)


def test_an_unknown_parameter_is_answered_with_the_nearest():
    with pytest.raises(UnknownName):
        bind(LAW, RUNS, log_target=True, fix={"alfa": 0.3})


def test_a_loss_without_logarithm_is_refused_only_where_one_is_taken():
    runs = observations({"x": [1.0, 2, 3, 4, 5]}, [1.0, 0.5, 0.2, 0.1, 0.0])
    with pytest.raises(InputError, match="logarithm"):
        bind(LAWS.get("power"), runs, log_target=True)
    assert bind(LAWS.get("log-quadratic"), runs, log_target=False).n == 5


BENT = LAWS.get("broken-power-2")
CURVE = runs_of(BENT, noise=0.01, side=40)
BENDS = bind(BENT, CURVE, log_target=True)
BEGIN = BENDS.search(candidates(BENT, CURVE, True))[:60]


def test_slopes_that_follow_a_step_cross_bent_valleys(monkeypatch):
    weight = np.ones((1, CURVE.n))

    def arrived():
        ends = solve(BENDS, Gaussian(), weight, BEGIN, cold=False, tolerance=1e-10, limit=60)
        return ends.converged.mean()

    followed = arrived()
    monkeypatch.setitem(BENDS.__dict__, "affine", np.zeros(BENDS.p, dtype=bool))
    assert followed > arrived() + 0.2


def test_the_value_of_a_search_cut_short_is_the_objective_where_it_stands():
    weight = np.ones((1, CURVE.n))
    ends = solve(BENDS, Gaussian(), weight, BEGIN, cold=False, limit=7)
    assert not ends.converged.all()
    squares = (BENDS.residual(ends.u) ** 2).sum(axis=1) / 2
    short = ~ends.converged
    np.testing.assert_allclose(ends.value[short], squares[short], rtol=1e-12)
