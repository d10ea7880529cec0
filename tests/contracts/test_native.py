"""The compiled part agrees with the NumPy code that stands in for it, on every instruction set."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from simulated import example, observations, runs_of

from scalefit.inference import solver, standing, systems
from scalefit.inference.native import NATIVE, engine
from scalefit.inference.objectives import (
    AsymmetricHuber,
    Gaussian,
    Huber,
    SquaredError,
    StudentT,
)
from scalefit.inference.problem import bind
from scalefit.inference.restarts import own_starts
from scalefit.inference.starts import screens
from scalefit.inference.uncertainty import streams
from scalefit.laws import LAWS

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
    inputs = {name: np.exp(random.normal(10, 2, n)) for name in law.inputs}
    return observations(inputs, 0.5 + np.abs(random.normal(2.5, 0.6, n)))


def anywhere(problem, count, random):
    """Search vectors from all over the box, but for its far corners, shape (count, p)."""
    low, high = np.maximum(problem.low, -3), np.minimum(problem.high, 3)
    u = random.uniform(low, np.maximum(high, low + 0.1), (count, problem.p))
    return np.clip(u, problem.low, problem.high)


def assert_same(one, other):
    """Both standings agree, each sum relative to what its own terms allow."""
    wide = np.einsum("bii->bi", other.safe)
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
@pytest.mark.parametrize(
    "name", ["power", "power-floor", "chinchilla", "chinchilla-tied", "granular-moe",
             "broken-power", "broken-power-2", "broken-power-3"],
)  # fmt: skip
def test_sums_over_rows_agree(name, n, objective, instructions):
    law, random = LAWS.get(name), np.random.default_rng(n)
    problem = bind(law, scattered(law, n, random), log_target=objective.log_target)
    u = anywhere(problem, 5, random)
    weight = random.poisson(1.0, (5, n)) + random.integers(2, size=(5, n)) / 4 + 0.01
    state = objective.begin(problem.residual(u), weight, cold=False)
    assert_same(
        standing._compiled(problem, objective, u, weight, state),
        standing._in_blocks(problem, objective, u, weight, state),
    )


def test_parameters_that_are_held_have_no_sums(instructions):
    law, random = LAWS.get("broken-power-2"), np.random.default_rng(3)
    runs = scattered(law, 40, random)
    for held in law.names:
        inside = float(np.exp(10)) if held.startswith("d") else 0.3
        problem = bind(law, runs, log_target=True, fix={held: inside})
        u, weight = anywhere(problem, 3, random), np.ones((1, 40))
        found = standing._compiled(problem, Gaussian(), u, weight, np.ones(3))
        assert found.gradient.shape == (3, len(law.names) - 1)
        assert_same(found, standing._in_blocks(problem, Gaussian(), u, weight, np.ones(3)))


def test_very_many_rows_agree(instructions):
    law, random = LAWS.get("chinchilla"), np.random.default_rng(5)
    runs = scattered(law, 100_003, random)
    problem = bind(law, runs, log_target=True)
    u, weight = anywhere(problem, 1, random), runs.weight[None]
    for objective in (Huber(1e-3), StudentT(4.0)):
        state = objective.begin(problem.residual(u), weight, cold=False)
        assert_same(
            standing._compiled(problem, objective, u, weight, state),
            standing._in_blocks(problem, objective, u, weight, state),
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
@pytest.mark.parametrize("name", ["power", "power-floor", "chinchilla", "broken-power-2"])
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


def test_a_start_outside_the_doubles_ends_where_it_began(instructions):
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.02)
    problem = bind(law, runs, log_target=True)
    start = np.concatenate([problem.search(example(law)[None]), np.full((1, 3), np.nan)])
    found = solver.solve(problem, Huber(1e-3), runs.weight[None], start, cold=True)
    assert found.converged.tolist() == [True, False]
    assert not np.isfinite(found.value[1])


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
