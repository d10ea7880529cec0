"""The compiled part agrees with the NumPy code that stands in for it, on every instruction set."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from simulated import example, observations, runs_of

from scalefit.core.records import replace
from scalefit.inference import fitting, solver, standing, streams, systems
from scalefit.inference.native import NATIVE, engine
from scalefit.inference.objectives import (
    AsymmetricHuber,
    Gaussian,
    Huber,
    SquaredError,
    StudentT,
)
from scalefit.inference.problem import bind, stacked
from scalefit.inference.restarts import own_starts
from scalefit.inference.starts import screens
from scalefit.laws import LAWS
from scalefit.laws.text import parse_law

pytestmark = pytest.mark.skipif(NATIVE is None, reason="the compiled part is not built here")

OBJECTIVES = [
    Huber(1e-3),
    Huber(0.3),
    AsymmetricHuber(7.0, 0.1),
    StudentT(4.0),
    Gaussian(),
    SquaredError(),
]


@pytest.fixture(params=NATIVE.instructions() if NATIVE else ())
def instructions(request):
    best = NATIVE.instructions()[0]
    NATIVE.restrict_to(request.param)
    yield request.param
    NATIVE.restrict_to(best)


def scattered(law, n, random):
    """Runs that lie near no law, so that residuals of every size and sign occur."""
    inputs = {name: np.exp(random.normal(1 if name in "PG" else 10, 1, n)) for name in law.inputs}
    return observations(inputs, 0.5 + np.abs(random.normal(2.5, 0.6, n)))


def anywhere(problem, count, random):
    """Search vectors from all over the box, but for its far corners, shape (count, p)."""
    low, high = np.maximum(problem.low, -3), np.minimum(problem.high, 3)
    u = random.uniform(low, np.maximum(high, low + 0.1), (count, problem.p))
    return np.clip(u, problem.low, problem.high)


def assert_same(one, other):
    """Both standings agree, each sum relative to what its own terms allow."""
    known = np.isfinite(one.value)
    assert np.array_equal(known, np.isfinite(other.value))
    assert known.any()
    one, other = one.take(known), other.take(known)
    wide = np.einsum("bii->bi", other.safe)
    # Where a parameter moves nothing what is left of its slopes is rounding of the others'.
    wide = np.maximum(wide, 1e-9 * wide.max(axis=1, keepdims=True))
    sizes = {
        "gradient": np.sqrt(wide * np.abs(other.size)[:, None]),
        "sharp": np.sqrt(wide[:, :, None] * wide[:, None, :]),
        "safe": np.sqrt(wide[:, :, None] * wide[:, None, :]),
    }
    for name in ("value", "size", "state", "gradient", "sharp", "safe"):
        a, b = getattr(one, name), getattr(other, name)
        gap = np.abs(a - b) / (sizes.get(name, np.abs(b)) + 1e-300)
        assert np.median(gap) < 1e-13, name
        # A slope that is nearly zero all over is a difference of numbers that are not.
        assert gap.max() < (1e-12 if name in ("value", "size", "state") else 1e-9), name


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("n", [1, 7, 64, 250, 700])
@pytest.mark.parametrize("law", list(LAWS), ids=lambda law: law.name)
def test_sums_over_rows_agree(law, n, objective, instructions):
    random = np.random.default_rng(n)
    problem = bind(law, scattered(law, n, random), log_target=objective.log_target)
    u = anywhere(problem, 5, random)
    weight = random.poisson(1.0, (5, n)) + random.integers(2, size=(5, n)) / 4 + 0.01
    if n > 600:
        weight[1] = 0.3  # alike in every row
    if problem.compiled is None:
        assert n == 1
        assert problem.fused is None
        return
    state = objective.begin(problem.residual(u), weight, cold=False)
    assert_same(
        standing._compiled(problem, objective, u, weight, state),
        standing._by_numpy(problem, objective, u, weight, state),
    )


@pytest.mark.parametrize("name", ["broken-power-2", "data-constrained", "log-quadratic"])
def test_parameters_that_are_held_have_no_sums(name, instructions):
    law, random = LAWS.get(name), np.random.default_rng(3)
    runs = scattered(law, 40, random)
    for held in law.names:
        inside = float(np.exp(10)) if held[0] in "dx" else 0.3
        problem = bind(law, runs, log_target=True, fix={held: inside})
        u, weight = anywhere(problem, 3, random), np.ones((1, 40))
        found = standing._compiled(problem, Gaussian(), u, weight, np.ones(3))
        assert found.gradient.shape == (3, len(law.names) - 1)
        assert_same(found, standing._by_numpy(problem, Gaussian(), u, weight, np.ones(3)))


@pytest.mark.parametrize("held", [0.0, 1.0, 2.0, 3.0, -2.0, 0.5, 1.5])
def test_a_power_that_is_held_knows_negative_numbers(held, instructions):
    law, random = text_law("3 + a * (log(x) - b)**c"), np.random.default_rng(43)
    runs = observations({"x": np.exp(random.normal(0, 0.7, 40))}, random.uniform(2, 4, 40))
    problem = bind(law, runs, log_target=False, fix={"c": held})
    u, weight = random.normal(0, 0.5, (4, 2)), np.ones((1, 40))
    u[0, 1] = -30.0
    found = standing._compiled(problem, SquaredError(), u, weight, np.ones(4))
    known = standing._by_numpy(problem, SquaredError(), u, weight, np.ones(4))
    assert np.isfinite(known.value).all() == held.is_integer()
    if held == 0:
        assert found is None
    else:
        assert_same(found, known)


def test_very_many_rows_agree(instructions):
    law, random = LAWS.get("chinchilla"), np.random.default_rng(5)
    runs = scattered(law, 100_003, random)
    problem = bind(law, runs, log_target=True)
    u, weight = anywhere(problem, 1, random), runs.weight[None]
    for objective in (Huber(1e-3), StudentT(4.0)):
        state = objective.begin(problem.residual(u), weight, cold=False)
        assert_same(
            standing._compiled(problem, objective, u, weight, state),
            standing._by_numpy(problem, objective, u, weight, state),
        )


@pytest.mark.parametrize("log_target", [True, False])
def test_exponentials_and_logarithms_reach_as_far_as_the_doubles(log_target, instructions):
    # A power law at x = 1/e, one row a problem: the residual is exp(exponent) or the log of it.
    random = np.random.default_rng(17)
    exponent = np.concatenate([np.linspace(-760, 760, 4001), random.normal(0, 1, 2000)])
    problem = bind(LAWS.get("power"), observations({"x": [2.0, 3.0]}, [1.0, 1.0]), log_target=True)
    count = len(exponent)
    value, size, settled = np.empty((3, count))
    NATIVE.assess(
        problem.fused.numbers, 2, np.zeros(3), log_target, (np.ones(1),), np.zeros(1),
        np.stack([np.ones(count), exponent], axis=1), np.ones((1, 1)), np.ones(count), value, size,
        settled, np.empty((count, 2)), np.empty((count, 2, 2)), np.empty((count, 2, 2)),
    )  # fmt: skip
    with np.errstate(all="ignore"):
        expected = np.log(np.exp(exponent)) if log_target else np.exp(exponent)
        squares = expected**2 / 2
    # What would be subnormal is 0.
    known = np.isfinite(squares) & (squares > 1e-300) & (exponent >= -708)
    assert known.sum() > 2000
    gap = np.abs(size[known] / squares[known] - 1)
    # The logarithm of a number near 1 keeps the error of that number, and no more.
    assert (gap <= (1e-13 if log_target else 2e-15) + 2e-15 / np.sqrt(squares[known])).all()
    assert not np.isfinite(value[~np.isfinite(squares)]).any()


def test_what_leaves_the_doubles_has_no_value(instructions):
    law = LAWS.get("power-floor")
    runs = observations({"x": np.geomspace(1, 1e6, 20)}, np.linspace(4, 2, 20))
    problem = bind(law, runs, log_target=True)
    good = problem.search(np.array([[1.5, 3.0, 0.3]]))
    for place in range(3):
        for bad in (np.nan, np.inf, -np.inf):
            u = np.concatenate([good, good])
            u[1, place] = bad
            for objective in OBJECTIVES[:5]:
                found = standing._compiled(
                    problem, objective, u, np.ones((1, 20)), np.full(2, 0.01)
                )
                assert np.isfinite(found.value[0])
                other = standing.assess(problem, objective, u, np.ones((1, 20)), np.full(2, 0.01))
                assert np.isfinite(other.value[1]) == np.isfinite(found.value[1])
                if np.isnan(bad):
                    assert not np.isfinite(found.value[1])


def test_bits_do_not_depend_on_the_batch(instructions):
    law, random = LAWS.get("chinchilla"), np.random.default_rng(9)
    problem = bind(law, scattered(law, 300, random), log_target=True)
    u, weight = anywhere(problem, 6, random), random.poisson(1.0, (6, 300)) * 1.0
    state = np.full(6, 0.2)
    for objective in OBJECTIVES:
        whole = standing._compiled(problem, objective, u, weight, state)
        for k in range(6):
            some = slice(k, k + 1)
            alone = standing._compiled(problem, objective, u[some], weight[some], state[some])
            for name in ("value", "gradient", "sharp", "safe", "state"):
                assert np.array_equal(getattr(whole, name)[some], getattr(alone, name))


@pytest.mark.parametrize("n", [20, 300])
def test_rows_of_each_problem_are_its_own(n, instructions):
    law, random = LAWS.get("chinchilla"), np.random.default_rng(n)
    each = [bind(law, scattered(law, n, random), log_target=True) for _ in range(4)]
    u = np.concatenate([anywhere(problem, 1, random) for problem in each])
    whole, weight = stacked(each, [1] * 4), random.uniform(0.5, 2, (4, n))
    same_inputs = replace(each[0], target=whole.target)
    for objective in OBJECTIVES[:5]:
        found = standing._compiled(whole, objective, u, weight, np.full(4, 0.2))
        other = standing._compiled(same_inputs, objective, u, weight, np.full(4, 0.2))
        for k, problem in enumerate(each):
            some = slice(k, k + 1)
            own = replace(each[0], target=problem.target)
            for stack, alone in ((found, problem), (other, own)):
                one = standing._compiled(alone, objective, u[some], weight[some], np.full(1, 0.2))
                for name in ("value", "gradient", "sharp", "safe", "state"):
                    assert np.array_equal(getattr(stack, name)[some], getattr(one, name))


@pytest.mark.parametrize("n", [1, 5, 300, 40_000])
def test_scales_of_student_s_t_agree(n, instructions):
    random = np.random.default_rng(n)
    residual = random.standard_t(2, (6, n)) * np.array([[1e-9], [0.01], [1], [30], [1], [0]])
    weight = random.poisson(1.0, (6, n)) + 0.01
    for nu in (1.0, 4.0, 1000.0):
        objective = StudentT(nu)
        for given in (weight, weight[:1]):
            for begin in (1e-12, 1.0, 1e6):
                state = np.full(6, begin)
                found = objective.settle(residual, given, state)
                other = objective._settle_by_numpy(residual, given, state)
                np.testing.assert_allclose(found, other, rtol=1e-11)
                assert (state == begin).all()
    residual[0, 0] = np.nan
    assert np.isnan(StudentT().settle(residual, weight, np.ones(6))).tolist() == [True] + 5 * [
        False
    ]


def test_the_least_in_a_box_agrees():
    random = np.random.default_rng(11)
    for p in (1, 2, 5, 12):
        half = random.standard_normal((200, p + 2, p))
        system, right = half.transpose(0, 2, 1) @ half, random.standard_normal((200, p))
        system[::40] *= -1  # not positive definite
        low, high = -np.abs(random.standard_normal((2, 200, p)))
        low[random.random((200, p)) < 0.2] = 0.0
        high[random.random((200, p)) < 0.2] = 0.0
        found, sound = systems.least_in_box(system, right, low, -high)
        other, also = systems._least_by_turns(system, right, low, -high)
        assert np.array_equal(sound, also)
        assert not sound[::40].any()
        np.testing.assert_allclose(found, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sets", [1, 3, 4, 9])
@pytest.mark.parametrize("columns", [1, 5, 6, 23, 24, 25, 100])
def test_products_of_matrices_agree_and_depend_on_no_batch(sets, columns, instructions):
    random = np.random.default_rng(sets + columns)
    for n in (1, 2, 57):
        weight, column = random.standard_normal((sets, n)), random.standard_normal((n, columns))
        found = np.full((sets, columns), np.nan)
        NATIVE.products(weight, column, found)
        np.testing.assert_allclose(found, weight @ column, rtol=1e-12, atol=1e-13)
        for k in range(sets):
            alone = np.empty((1, columns))
            NATIVE.products(weight[k : k + 1], column, alone)
            assert np.array_equal(found[k], alone[0])
    for wrong in (np.ones((n + 1, columns)), np.ones(n), np.ones((n, columns), dtype=np.float32)):
        with pytest.raises((ValueError, BufferError)):
            NATIVE.products(weight, wrong, found)
    with pytest.raises(ValueError, match="multiplied"):
        NATIVE.products(weight, column, np.empty((sets + 1, columns)))


@pytest.mark.parametrize("floor", [True, False])
@pytest.mark.parametrize("name", ["power-floor", "chinchilla", "broken-power", "broken-power-2"])
def test_screened_starts_agree(name, floor, instructions, monkeypatch):
    law, random = LAWS.get(name), np.random.default_rng(13)
    runs = scattered(law, 30, random)
    if not floor:  # steeper than any power of the grid: the best floor would be negative
        loss = 5.0 - 0.2 * sum(np.log(values) for values in runs.inputs.values())
        runs = observations(dict(runs.inputs), loss - loss.min() + 0.5)
    problem = bind(law, runs, log_target=True)
    weight = random.poisson(1.0, (4, 30)) + 0.01
    grids = screens(problem, runs)
    here = [grid.left(grid.sums(weight)) for grid in grids]
    starts = own_starts(problem, grids, weight, 3)
    monkeypatch.setattr("scalefit.inference.starts.NATIVE", None)
    there = [grid.left(grid.sums(weight)) for grid in grids]
    for a, b in zip(here, there, strict=True):
        assert np.array_equal(np.isfinite(a), np.isfinite(b))
        known = np.isfinite(b)
        np.testing.assert_allclose(a[known], b[known], rtol=1e-5)
    np.testing.assert_allclose(starts, own_starts(problem, grids, weight, 3), atol=2e-3)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize(
    "name", ["power", "power-floor", "chinchilla", "broken-power-2", "coupled", "data-constrained",
             "shifted-power-floor", "precision"],
)  # fmt: skip
def test_searches_end_alike(name, objective, instructions):
    law, random = LAWS.get(name), np.random.default_rng(19)
    runs = runs_of(law, noise=0.02, seed=3)
    problem = bind(law, runs, log_target=objective.log_target)
    begin = problem.search(example(law)[None])
    begin = begin + 0.05 * random.standard_normal((6, problem.p))
    weight = random.poisson(1.0, (6, runs.n)) + 0.01
    for cold in (False, True):
        for limit in (5, 300):
            task = solver._Task(problem, objective, weight, cold, 1e-12, limit)
            one, other = solver._compiled(task, begin), solver._by_numpy(task, begin)
            size = np.abs(other.value) + runs.n * (objective.name == "t")
            if limit == 5:
                np.testing.assert_allclose(one.u, other.u, rtol=1e-4, atol=1e-6)
                assert np.array_equal(one.steps, other.steps)
            assert (np.abs(one.value - other.value) <= 1e-9 * size).mean() > 0.8
            assert np.array_equal(one.converged, other.converged)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("n", [49, 256, 700])
@pytest.mark.parametrize(
    "name", ["power", "chinchilla", "broken-power", "coupled", "data-constrained", "precision"]
)
def test_polishing_ends_alike(name, n, objective, instructions):
    law, random = LAWS.get(name), np.random.default_rng(n)
    runs = runs_of(law, noise=0.02, seed=4)
    runs = runs.take(np.linspace(0, runs.n - 1, n).astype(int))
    problem = bind(law, runs, log_target=objective.log_target)
    weight = random.uniform(0.5, 2, (1, runs.n))
    begin = problem.search(example(law)[None])
    rough = solver.solve(problem, objective, weight, begin, cold=True).u[0]
    rough = np.clip(rough + 1e-6, problem.low, problem.high)
    found = solver.polish(problem, objective, weight, rough)
    assert not np.array_equal(found, rough)
    known = solver._polish_by_numpy(problem, objective, weight, rough, 200)
    value = [objective.value(problem.residual(u[None]), weight)[0] for u in (found, known, rough)]
    assert value[0] <= value[2] + 1e-12 * abs(value[2])
    assert value[0] == pytest.approx(value[1], rel=1e-9, abs=1e-20)
    np.testing.assert_allclose(found, known, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("n", [49, 700])
def test_every_step_of_polishing_agrees(n, objective, instructions):
    # Where one kind of step goes wrong the other often makes up for it in the end.
    for name in ("power", "chinchilla", "broken-power"):
        law, random = LAWS.get(name), np.random.default_rng(n)
        runs = runs_of(law, noise=0.02, seed=4)
        runs = runs.take(np.linspace(0, runs.n - 1, n).astype(int))
        weight = random.uniform(0.5, 2, (1, runs.n))
        free = bind(law, runs, log_target=objective.log_target)
        begin = free.search(example(law)[None])
        best = solver.solve(free, objective, weight, begin, cold=True).u[0]
        edge = np.where(np.arange(free.p) % 2, 1e-3, -1e-3)  # held on a bound of either side
        boxes = (
            free,
            replace(free, low=np.where(edge > 0, best + edge, free.low)),
            replace(free, high=np.where(edge < 0, best + edge, free.high)),
        )
        for problem in boxes:
            rough = np.clip(best + random.normal(0, 1e-4, free.p), problem.low, problem.high)
            for begun in (rough, np.clip(begin[0], problem.low, problem.high)):
                value = objective.value(problem.residual(begun[None]), weight)[0]
                for rounds in (1, 2, 5):
                    found = solver.polish(problem, objective, weight, begun, rounds)
                    known = solver._polish_by_numpy(problem, objective, weight, begun, rounds)
                    np.testing.assert_allclose(found, known, rtol=1e-6, atol=1e-8)
                    end = objective.value(problem.residual(found[None]), weight)[0]
                    assert end <= value + 1e-11 * max(1, abs(value))


def test_polishing_moves_nothing_that_the_runs_do_not_tell_apart(instructions):
    law = LAWS.get("chinchilla")
    N = np.geomspace(1e7, 1e10, 40)
    runs = observations({"N": N, "D": 20 * N}, 1.7 + 400 * N**-0.34 + 400 * (20 * N) ** -0.34)
    noisy = observations(dict(runs.inputs), runs.loss * (1 + 0.01 * np.sin(np.arange(40))))
    problem = bind(law, noisy, log_target=True)
    u = problem.search(np.array([[1.7, 400.0, 0.34, 400.0, 0.34]]))[0]
    for objective in (Gaussian(), StudentT(4.0)):
        found = solver.polish(problem, objective, noisy.weight[None], u)
        known = solver._polish_by_numpy(problem, objective, noisy.weight[None], u, 200)
        one, other = (
            objective.value(problem.residual(v[None]), noisy.weight[None])[0]
            for v in (found, known)
        )
        assert one == pytest.approx(other, rel=1e-9)
        assert np.abs(found - u).max() < 1  # along the flat direction it stays where it was


def test_ranks_are_the_objective(instructions):
    law, random = LAWS.get("chinchilla"), np.random.default_rng(61)
    for n in (30, 700):
        problem = bind(law, scattered(law, n, random), log_target=True)
        u, weight = anywhere(problem, 9, random), random.uniform(0.5, 2, (1, n))
        for objective in OBJECTIVES[:5]:
            found = standing.ranks(problem, objective, u, weight)
            known = objective.value(problem.residual(u), weight)
            if objective.name == "gaussian":  # what grows with it
                known = (weight * problem.residual(u) ** 2).sum(axis=1) / 2
            np.testing.assert_allclose(found, known, rtol=1e-11)


def test_few_of_one_curve_are_kept(monkeypatch):
    random = np.random.default_rng(67)
    for n, kinds in ((1, 3), (7, 4), (80, 30)):
        curves = random.standard_normal((kinds, n))[random.integers(kinds, size=200)]
        curves = curves + 0.01 * random.random((200, n))
        for count in (1, 5, 40, 300):
            kept = fitting._distinct(curves, 0.012, count)
            with monkeypatch.context() as without:
                without.setattr(fitting, "NATIVE", None)
                assert np.array_equal(fitting._distinct(curves, 0.012, count), kept)
            assert len(kept) <= count
    for wrong in (np.ones(5), np.ones((2, 5), dtype=np.float32), np.ones((4, 5)).T):
        with pytest.raises((ValueError, BufferError)):
            NATIVE.distinct(wrong, 0.1, 3, np.empty(5, dtype=np.int64))


def test_a_start_outside_the_doubles_ends_where_it_began(instructions):
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.02)
    problem = bind(law, runs, log_target=True)
    start = np.concatenate([problem.search(example(law)[None]), np.full((1, 3), np.nan)])
    found = solver.solve(problem, Huber(1e-3), runs.weight[None], start, cold=True)
    assert found.converged.tolist() == [True, False]
    assert not np.isfinite(found.value[1])


@pytest.mark.parametrize("name", ["chinchilla", "broken-power", "coupled"])
def test_a_search_leaves_out_rows_that_weigh_nothing(name, instructions):
    law = LAWS.get(name)
    random = np.random.default_rng(23)
    runs = runs_of(law, noise=0.02).take(np.zeros(300, dtype=int) + np.arange(300) % 30)
    problem = bind(law, runs, log_target=True)
    begin = problem.search(example(law)[None])
    weight = random.poisson(1.0, (1, 300)) * random.uniform(0.5, 2, (1, 300))
    kept = np.flatnonzero(weight[0])
    assert 100 < kept.size < 250
    for objective in (Huber(1e-3), StudentT(4.0)):
        for cold in (False, True):
            whole = solver.solve(problem, objective, weight, begin, cold=cold)
            some = solver.solve(problem.rows(kept), objective, weight[:, kept], begin, cold=cold)
            assert np.array_equal(whole.u, some.u)
            assert np.array_equal(whole.value, some.value)
    # In none of them may a row that weighs nothing show, not even one without a logarithm.
    target = problem.target.copy()
    target[weight[0] == 0] = np.nan
    other = replace(problem, target=target)
    found = solver.solve(other, Huber(1e-3), weight, begin, cold=True)
    again = solver.solve(problem, Huber(1e-3), weight, begin, cold=True)
    assert np.isfinite(found.value).all()
    assert np.array_equal(found.u, again.u)


def text_law(formula):
    return parse_law(
        f"""
        [law]
        name = "mine"
        formula = "{formula}"
        inputs = ["x"]
        [law.parameters.a]
        role = "slope"
        [law.parameters.b]
        role = "slope"
        [law.parameters.c]
        role = "slope"
        [law.example]
        a = 0.4
        b = 0.3
        c = 0.2
        """
    )


@pytest.mark.parametrize(
    "formula",
    [
        "exp(a) + exp(b * log(x)) * exp(c)",
        "2 + expm1(a * b) + log1p(exp(c) * x)",
        "3 + log2(x + exp(a)) - log10(x * exp(b)) + c",
        "sqrt(1 + a**2 + (b * x)**2) + exp(c) / x",
        "4 + tanh(a * (log(x) - b)) + c",
        "4 + sin(a * x) + cos(b) * x + cos(b * x) + sin(b - c) * arctan(c * x) + arctan(a)",
        "3 + softplus(a - log(x)) + softplus(log(x) * b) * exp(c)",
        "2 + min(exp(a) * x, exp(b)) + max(c, x**-a)",
        "4 + logaddexp(a * log(x), b) - logaddexp(c, a)",
        "3 + (a + b / x)**3 + (exp(c) + x)**-2 + (exp(a) + x)**0.5 + (exp(b) + x)**1.7",
        "3 + max(x - 1, 0)**1.5 * a + b * max(0, log(x) - c)**2.5",
        "3 + max(1 - x, a * 0)**1.2 + max(b - x, 0)**1.8 + min(c, 0) * 0.1",
        "3 + max(x - 1, 0)**(1.5 + a) * b + max(0, log(x) - c)**exp(a)",
        "3 + sqrt(max(x + b, 1) - 1) + a * (c * c)**0.7 + x",
        "3 + max(b - x, 0)**0.5 + max(exp(a) - 1, 0)**exp(b) + max(x, exp(c))**max(a, b)",
        "3 + a * a + b * b * x * x / (1 + x * x) + c - -c",
        "5 + a * log(x) / (1 + exp(b)) - 1 / (x + exp(c))",
    ],
)
@pytest.mark.parametrize("log_target", [True, False])
def test_any_formula_agrees_with_dual_arrays(formula, log_target, instructions):
    law, random = text_law(formula), np.random.default_rng(29)
    runs = observations({"x": np.exp(random.normal(0, 0.7, 50))}, random.uniform(2, 4, 50))
    problem = bind(law, runs, log_target=log_target)
    assert problem.fused is None
    assert problem.compiled is not None
    u, weight = random.normal(0, 0.3, (8, 3)), random.poisson(1.0, (8, 50)) + 0.01
    for objective in (Huber(0.1), Gaussian()) if log_target else (SquaredError(),):
        state = objective.begin(problem.residual(u), weight, cold=False)
        assert_same(
            standing._compiled(problem, objective, u, weight, state),
            standing._by_numpy(problem, objective, u, weight, state),
        )


@pytest.mark.parametrize(
    "formula",
    ["3 + max(log(a - x), 0) + b + c", "3 + max(0, log(a - x)) + b + c",
     "3 + min(log(a - x), 9) + b + c", "3 + min(9, log(a)) + b * x + c"],
)  # fmt: skip
def test_what_is_no_number_is_no_least_or_most(formula, instructions):
    law, random = text_law(formula), np.random.default_rng(41)
    runs = observations({"x": np.linspace(1, 2, 30)}, random.uniform(2, 4, 30))
    problem = bind(law, runs, log_target=False)
    u, state = np.array([[-0.5, 0.0, 0.0], [2.5, 0.0, 0.0]]), np.ones(2)
    found = standing._compiled(problem, SquaredError(), u, np.ones((1, 30)), state)
    assert np.isinf(found.value[0])
    assert_same(found, standing._by_numpy(problem, SquaredError(), u, np.ones((1, 30)), state))


@pytest.mark.parametrize("formula", ["3 + (a + x)**9 + b + c", "3 + a * x**b + (3 + b - c)**-11"])
def test_what_no_step_does_goes_by_dual_arrays(formula):
    law, random = text_law(formula), np.random.default_rng(31)
    runs = observations({"x": np.exp(random.normal(0, 0.5, 30))}, random.uniform(2, 4, 30))
    problem = bind(law, runs, log_target=False)
    assert problem.compiled is None
    found = solver.solve(problem, SquaredError(), runs.weight[None], np.zeros((1, 3)), cold=True)
    assert np.isfinite(found.value).all()


def test_steps_that_are_none_are_refused():
    law, random = LAWS.get("data-constrained"), np.random.default_rng(37)
    problem = bind(law, scattered(law, 20, random), log_target=True)
    numbers, columns = problem.compiled
    known = {"logs": columns, "theta": np.ones((2, 7)), "gradient": np.empty((2, 7)),
             "sharp": np.empty((2, 7, 7)), "safe": np.empty((2, 7, 7))}  # fmt: skip
    NATIVE.assess(*arguments(law=numbers, **known))
    refused = 0
    for trial in range(4000):
        other = numbers.copy()
        at = random.integers(len(other), size=random.integers(1, 4))
        other[at] = random.choice(
            [-(2**62), -2, -1, 0, 1, 2, 3, 5, 9, 16, 17, 20, 21, 40, 2**40], len(at)
        )
        if trial % 5 == 0:
            other = other[: random.integers(len(other))].copy()
        try:
            NATIVE.assess(*arguments(law=other, **known))
        except ValueError:
            refused += 1
    assert 2000 < refused < 4000


@pytest.mark.parametrize("among", [1, 2, 3, 4, 5, 240])
def test_counts_of_draws_are_numpys(among, monkeypatch):
    for seed, start, stop in ((0, 0, 50), (3**90, 10**12, 10**12 + 3)):
        ours = streams.counts(seed, streams.BOOTSTRAP, start, stop, among)
        assert (ours.sum(axis=1) == among).all()
        with monkeypatch.context() as without:
            without.setattr(streams, "NATIVE", None)
            assert np.array_equal(streams.counts(seed, streams.BOOTSTRAP, start, stop, among), ours)


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 + 5, 2**64 - 1, 3**90, 7**200])
def test_random_words_are_numpys(seed, monkeypatch):
    for use, start, stop, each in ((1, 0, 3, 7), (8, 10**12, 10**12 + 2, 240), (3, 5, 6, 1)):
        ours = streams.words(seed, use, start, stop, each)
        with monkeypatch.context() as without:
            without.setattr(streams, "NATIVE", None)
            assert np.array_equal(streams.words(seed, use, start, stop, each), ours)


def test_ctrl_c_ends_a_search_among_very_many_rows():
    code = (
        "import sys, numpy as np\n"
        "sys.path.insert(0, 'tests')\n"
        "from simulated import example, runs_of\n"
        "from scalefit.inference import solver\n"
        "from scalefit.inference.objectives import Huber\n"
        "from scalefit.inference.problem import bind\n"
        "from scalefit.laws import LAWS\n"
        "law = LAWS.get('chinchilla')\n"
        "runs = runs_of(law, noise=0.02)\n"
        "problem = bind(law, runs.take(np.zeros(2_000_000, dtype=int)), log_target=True)\n"
        "start = np.repeat(problem.search(example(law)[None]), 10_000, axis=0)\n"
        "weight = np.ones((1, 2_000_000))\n"
        "print('begun', flush=True)\n"
        "solver.solve(problem, Huber(1e-3), weight, start, cold=True)\n"  # hours, if left alone
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout.readline() == "begun\n"
    started.send_signal(signal.SIGINT)
    _, told = started.communicate(timeout=60)
    assert told.rstrip().endswith("KeyboardInterrupt")


def arguments(**changed):
    """Good arguments of `assess`, some of them changed."""
    law = LAWS.get("chinchilla")
    runs = scattered(law, 20, np.random.default_rng(1))
    problem = bind(law, runs, log_target=True)
    good = {
        "law": problem.fused.numbers,
        "goal": 0,
        "settings": np.ones(3),
        "log_target": True,
        "logs": problem.logs,
        "target": problem.target,
        "theta": np.ones((2, 5)),
        "weight": np.ones((2, 20)),
        "state": np.ones(2),
        "value": np.empty(2),
        "size": np.empty(2),
        "settled": np.empty(2),
        "gradient": np.empty((2, 5)),
        "sharp": np.empty((2, 5, 5)),
        "safe": np.empty((2, 5, 5)),
    }
    return list({**good, **changed}.values())


@pytest.mark.parametrize(
    "changed",
    [
        {"law": np.array([0, 5, 5], dtype=np.int64)},
        {"law": np.array([7] * 30, dtype=np.int64)},
        {"law": np.arange(24, dtype=np.int64)},
        {"law": np.ones(24)},
        {"goal": 3},
        {"goal": -1},
        {"settings": np.ones(2)},
        {"logs": (np.ones(20),)},
        {"logs": (np.ones(20), np.ones(19))},
        {"logs": [np.ones(20), np.ones(20)]},
        {"target": np.ones(0)},
        {"target": np.ones(20, dtype=np.float32)},
        {"target": np.ones(40)[::2]},
        {"target": np.ones((3, 20))},
        {"target": np.ones((0, 20))},
        {"target": np.ones((2, 1, 20))},
        {"target": np.float64(1.0)},
        {"target": np.ones((2, 0))},
        {"logs": (np.ones((3, 20)), np.ones((3, 20)))},
        {"logs": (np.ones((2, 20)), np.ones((3, 20)))},
        {"logs": (np.ones((2, 19)), np.ones(20))},
        {"theta": np.ones((2, 4))},
        {"weight": np.ones((3, 20))},
        {"state": np.ones(3)},
        {"value": np.empty(1)},
        {"gradient": np.empty((2, 4))},
        {"sharp": np.empty((2, 5, 4))},
        {"safe": np.frombuffer(bytes(400)).reshape(2, 5, 5)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_arrays_of_another_size_are_refused(changed):
    NATIVE.assess(*arguments())
    with pytest.raises((ValueError, TypeError, BufferError)):
        NATIVE.assess(*arguments(**changed))


def test_searches_of_a_stack_of_another_size_are_refused():
    law, random = LAWS.get("chinchilla"), np.random.default_rng(1)
    each = [bind(law, scattered(law, 20, random), log_target=True) for _ in range(3)]
    whole, one = stacked(each, [1] * 3), np.ones((1, 20))
    begin = np.concatenate([anywhere(problem, 1, random) for problem in each])
    made_up = replace(each[0], target=whole.target)  # in one box that all share
    wrong = [
        *((problem, one, size) for problem in (whole, made_up) for size in (2, 4)),
        (replace(whole, low=whole.low[:2]), one, 3),
        (replace(whole, high=whole.high[:2]), one, 3),
        (whole, np.ones((2, 20)), 3),
    ]
    for problem, weight, size in wrong:
        start = np.resize(begin, (size, 5))
        with pytest.raises(ValueError, match="every problem"):
            solver.solve(problem, Huber(0.1), weight, start, cold=True)
        with pytest.raises(ValueError, match="every problem"):
            solver.polish(problem, Huber(0.1), weight, begin[0])
    for problem in (whole, made_up):
        assert solver.solve(problem, Huber(0.1), one, begin, cold=True).u.shape == (3, 5)


def test_numbers_of_sums_that_are_not_there_are_refused():
    sums, left = np.ones((2, 4)), np.empty((2, 3))
    number = np.zeros((1, 2, 3), dtype=np.int64)
    NATIVE.screen(sums, number, 3, 1e-10, 1, False, False, left, None)
    for wrong in (np.full((1, 2, 3), 4), np.full((1, 2, 3), -1), np.zeros((3, 2, 3), dtype=int)):
        with pytest.raises(ValueError, match="numbers of sums"):
            NATIVE.screen(sums, wrong, 3, 1e-10, 1, False, False, left, None)
    with pytest.raises(ValueError, match="numbers of sums"):
        NATIVE.screen(sums, number, 4, 1e-10, 1, False, False, left, None)
    with pytest.raises(ValueError, match="type or size"):
        NATIVE.screen(sums, number, 3, 1e-10, 1, False, False, left[:1], None)
    with pytest.raises(ValueError, match="columns"):
        NATIVE.screen(sums, number, 3, 1e-10, 17, False, False, left, None)


@pytest.mark.parametrize(
    ("switch", "named"), [("0", "NumPy"), ("1", NATIVE.instructions()[0] if NATIVE else "")]
)
def test_a_report_names_what_computed_it(switch, named, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "scalefit", "report", "data/chinchilla-subset/runs.csv", "--law",
         "chinchilla", "-o", tmp_path / "report"],
        capture_output=True, check=True, env={**os.environ, "SCALEFIT_NATIVE": switch},
    )  # fmt: skip
    told = json.loads((tmp_path / "report" / "manifest.json").read_text())
    assert told["engine"] == named


def test_a_whole_fit_says_the_same_either_way(tmp_path):
    said = {}
    for switch in ("0", "1"):
        out = tmp_path / f"{switch}.json"
        subprocess.run(
            [sys.executable, "-m", "scalefit", "fit", "data/chinchilla-subset/runs.csv", "--law",
             "chinchilla", "--interval", "bootstrap", "--draws", "200", "--out", out],
            capture_output=True, check=True, env={**os.environ, "SCALEFIT_NATIVE": switch},
        )  # fmt: skip
        said[switch] = json.loads(out.read_text())
    assert engine() != "NumPy"
    numbers = [list(leaves(said[switch])) for switch in ("0", "1")]
    assert [where for where, _ in numbers[0]] == [where for where, _ in numbers[1]]
    apart = [
        (where, a, b)
        for (where, a), (_, b) in zip(*numbers, strict=True)
        if not (isinstance(a, str) or a == pytest.approx(b, rel=1e-5, abs=1e-9))
    ]
    assert not [one for one in apart if "certificate" not in one[0] and "steps" not in one[0]]


def leaves(tree, where=""):
    """Every number and text of a JSON document with the way to it."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{where}/{key}")
    elif isinstance(tree, list):
        for k, value in enumerate(tree):
            yield from leaves(value, f"{where}/{k}")
    elif tree is not None and not isinstance(tree, bool):
        yield where, tree
