"""Fits that ask together are the fits that each would be by itself, bit for bit."""

import numpy as np
import pytest
from simulated import example, observations, runs_of

from scalefit.core.errors import FitError, InputError
from scalefit.inference import batches, solver
from scalefit.inference.batches import alone, together
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Huber, SquaredError, StudentT
from scalefit.inference.problem import bind, likeness, stacked
from scalefit.inference.restarts import refit
from scalefit.inference.solver import Search, solve
from scalefit.laws import LAWS
from scalefit.laws.text import parse_law

USERS_OWN = parse_law(
    """
    [law]
    name = "mine"
    formula = "E + A * x**-a + log1p(b * b)"
    inputs = ["x"]
    [law.parameters.E]
    role = "irreducible"
    [law.parameters.A]
    role = "amplitude"
    of = "x"
    by = "a"
    [law.parameters.a]
    role = "exponent"
    [law.parameters.b]
    role = "slope"
    [law.example]
    E = 1.7
    A = 30.0
    a = 0.3
    b = 0.1
    """
)


def curves(law, count, line=14):
    for seed in range(count):
        runs = runs_of(law, noise=0.02, seed=seed, line=line)
        yield observations({"x": runs.inputs["x"] * 1.7**seed}, runs.loss * 1.01**seed)


def searched(monkeypatch):
    """Members of every batch that is searched from now on."""
    sizes = []

    def watched(search):
        sizes.append(len(search.start))
        return solver.solved(search)

    monkeypatch.setattr(batches, "solved", watched)
    return sizes


LINES = ("power", "power-floor", "shifted-power-floor", "log-quadratic", "broken-power")


@pytest.mark.parametrize("law", [*map(LAWS.get, LINES), USERS_OWN], ids=lambda law: law.name)
def test_fits_of_many_groups_are_those_of_each(law, engine, monkeypatch):
    every = list(curves(law, 5)) + list(curves(law, 2, line=19))
    sizes = searched(monkeypatch)
    for objective in (StudentT(4.0), Huber(1e-2)):
        sizes.clear()
        found = together([fit.steps(law, runs, objective=objective) for runs in every])
        joint = len(sizes)
        sizes.clear()
        each = [alone(fit.steps(law, runs, objective=objective)) for runs in every]
        assert joint < len(sizes) / 2
        for one, other in zip(found, each, strict=True):
            assert np.array_equal(one.u, other.u)
            assert one.value == other.value
            assert one.certificate == other.certificate
            assert np.array_equal(one.minima, other.minima)


def test_laws_and_groups_ask_together_and_each_is_answered(engine):
    laws = [LAWS.get(name) for name in LINES[:4]]
    every = list(curves(LAWS.get("power-floor"), 4))
    asked = [(law, runs) for runs in every for law in laws]
    found = together([fit.steps(law, runs) for law, runs in asked])
    for one, (law, runs) in zip(found, asked, strict=True):
        assert one.law is law
        assert np.array_equal(one.u, alone(fit.steps(law, runs)).u)


def test_refits_of_many_groups_are_those_of_each(engine):
    law, random = LAWS.get("power-floor"), np.random.default_rng(5)
    every = [alone(fit.steps(law, runs)) for runs in curves(law, 4)]
    weight = random.poisson(1.0, (9, 14)) * 1.0 + 0.01

    def ends(one):
        return refit.steps(one.problem, one.objective, one.runs, weight, one.minima, valley=False)

    for one, other in zip(together([ends(one) for one in every]), every, strict=True):
        apart = alone(ends(other))
        for name in ("u", "value", "state", "converged", "steps"):
            assert np.array_equal(getattr(one, name), getattr(apart, name))


def test_what_is_held_or_bounded_is_each_one_s_own(engine):
    law = LAWS.get("power-floor")
    for held in ({"fix": {"E": 1.5}}, {"bound": {"alpha": (0.1, 0.32)}}):
        every = list(curves(law, 4))
        found = together([fit.steps(law, runs, **held) for runs in every])
        for one, runs in zip(found, every, strict=True):
            assert np.array_equal(one.u, alone(fit.steps(law, runs, **held)).u)


def test_one_that_is_refused_stops_no_other():
    law = LAWS.get("power-floor")
    good, *_ = curves(law, 1)
    few = good.take(np.arange(2))
    same = observations({"x": np.full(9, 3.0)}, np.linspace(3, 2, 9))
    found = together([fit.steps(law, runs) for runs in (few, good, same, good)])
    assert [isinstance(one, InputError) for one in found] == [True, False, True, False]
    assert "only 2 runs" in str(found[0])
    assert np.array_equal(found[1].u, found[3].u)

    def fails():
        yield Search(*search(good), cold=True)
        raise FitError("nothing is finite")

    def search(runs):
        problem = bind(law, runs, log_target=True)
        return problem, Huber(1e-3), runs.weight[None], problem.search(example(law)[None])

    assert [type(one) for one in together([fails(), fails()])] == [FitError, FitError]


def test_only_what_is_alike_is_stacked():
    law = LAWS.get("power-floor")
    one, other = curves(law, 2)
    longer, *_ = curves(law, 1, line=15)

    def like(law, runs, **held):
        return likeness(bind(law, runs, log_target=True, **held))

    assert like(law, one) == like(law, other)
    assert like(law, one) != like(law, longer)
    assert like(law, one) != like(LAWS.get("shifted-power-floor"), one)
    assert like(law, one) != like(law, one, fix={"E": 1.0})
    assert like(law, one, fix={"E": 1.1}) != like(law, one, fix={"E": 1.0})


def test_what_is_asked_otherwise_is_answered_otherwise(engine):
    law = LAWS.get("power-floor")
    runs, *_ = curves(law, 1)
    problem = bind(law, runs, log_target=True)
    start = problem.search(2 * example(law)[None])
    usual = {"cold": True, "tolerance": 1e-12, "limit": 300}
    others = ({"cold": False}, {"tolerance": 1e-2}, {"limit": 3})
    asked = [
        Search(problem, Huber(delta), problem.weight[None], start, **(usual | other))
        for delta in (1e-3, 0.3)
        for other in ({}, *others)
    ]

    def ask(search):
        return (yield search)

    found = together([ask(search) for search in asked])
    for one, search in zip(found, asked, strict=True):
        alone_found = solver.solved(search)
        assert np.array_equal(one.u, alone_found.u)
        assert np.array_equal(one.steps, alone_found.steps)
    assert len({one.u.tobytes() for one in found}) == len(asked)


def test_rounding_is_each_member_s_own(engine):
    # Losses of the law itself, large and small: what rounding leaves ends each search.
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.0, line=14)
    sizes = (1e6, 1.0, 1e-6)
    every = [observations(dict(runs.inputs), runs.loss * size) for size in sizes]
    problems = [bind(law, one, log_target=False) for one in every]
    start = np.concatenate([p.search(example(law)[None]) for p in problems])
    whole, weight = stacked(problems, [1, 1, 1]), np.ones((1, 14))
    found = solve(whole, SquaredError(), weight, start, cold=True)
    for k, problem in enumerate(problems):
        other = solve(problem, SquaredError(), weight, start[k : k + 1], cold=True)
        assert np.array_equal(found.u[k : k + 1], other.u)
        assert found.steps[k] == other.steps[0]


def test_a_large_search_goes_by_itself(monkeypatch):
    law = LAWS.get("power-floor")
    monkeypatch.setattr(batches, "_SMALL", 14 * 20)
    sizes = searched(monkeypatch)
    problems = [bind(law, runs, log_target=True) for runs in curves(law, 3)]

    def ask(problem, count):
        start = np.repeat(problem.search(example(law)[None]), count, axis=0)
        return (yield Search(problem, Huber(1e-3), problem.weight[None], start, cold=True))

    together([ask(problem, 20) for problem in problems])
    assert sizes == [60]
    sizes.clear()
    together([ask(problem, 21) for problem in problems])
    assert sizes == [21, 21, 21]
    sizes.clear()
    monkeypatch.setattr(batches, "_MOST", 14 * 30)
    together([ask(problem, 20) for problem in problems])
    assert sorted(sizes) == [20, 40]


@pytest.mark.parametrize("name", ["chinchilla", "broken-power-2", "coupled"])
def test_a_stack_is_solved_as_its_members_are(name, engine):
    law, random = LAWS.get(name), np.random.default_rng(7)
    runs = runs_of(law, noise=0.02)
    each = [
        observations(dict(runs.inputs), runs.loss * np.exp(0.01 * random.standard_normal(runs.n)))
        for _ in range(3)
    ]
    problems = [bind(law, one, log_target=True) for one in each]
    start = np.concatenate([p.search(example(law)[None]) for p in problems]).repeat(2, axis=0)
    start = start + 0.05 * random.standard_normal(start.shape)
    whole = stacked(problems, [2, 2, 2])
    for objective in (StudentT(4.0), Huber(1e-3)):
        for weight in (np.ones((1, runs.n)), random.poisson(1.0, (6, runs.n)) + 0.01):
            found = solve(whole, objective, weight, start, cold=True)
            for k, problem in enumerate(problems):
                some = slice(2 * k, 2 * k + 2)
                own = weight if len(weight) == 1 else weight[some]
                other = solve(problem, objective, own, start[some], cold=True)
                assert np.array_equal(found.u[some], other.u)
                assert np.array_equal(found.steps[some], other.steps)
