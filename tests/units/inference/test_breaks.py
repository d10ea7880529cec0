"""Breaks: placed where they are, counted where the runs ask for them, doubted near the end."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.breaks import breaks_of, interior_error, is_there, objections
from scalefit.inference.comparison import compare
from scalefit.inference.criteria import aicc, serial_aicc
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import Forecasts
from scalefit.inference.gates import GATES
from scalefit.laws import LAWS

X = np.geomspace(1e2, 1e6, 40)
ONE = LAWS.get("broken-power")
PAIR = ("power", "broken-power")
NONE = Forecasts(*(np.empty(0) for _ in range(7)))


def broken(at, sd=0.003, seed=0, x=X):
    theta = np.array([ONE.example | {"d1": at, "E": 0.2}]).tolist()[0]
    loss = ONE.predict(np.array([[theta[name] for name in ONE.names]]), [x])[0]
    jitter = np.exp(sd * np.random.default_rng(seed).standard_normal(x.size))
    return observations({"x": x}, loss * jitter)


def test_a_break_is_placed_with_its_error():
    (found,) = breaks_of(fit(ONE, broken(1e4)))
    assert abs(np.log(found.position / 1e4)) < 4 * found.se
    assert 0 < found.se < 1
    assert found.inside
    assert not found.late
    assert sum(found.scales) == 40


def test_a_break_that_is_there_meets_no_objection():
    runs = broken(1e4)
    fits = [fit(LAWS.get(name), runs) for name in ("power-floor", "broken-power")]
    assert objections(fits[1], fits) == ()
    assert interior_error(fits[1]) < interior_error(fits[0])


def test_a_break_that_is_not_there_does():
    jitter = np.exp(0.003 * np.random.default_rng(1).standard_normal(40))
    runs = observations({"x": X}, (1.5 + 8 * X**-0.3) * jitter)
    fits = [fit(LAWS.get(name), runs) for name in ("power-floor", "broken-power")]
    assert objections(fits[1], fits)


def test_too_few_scales_beyond_the_last_break_fail_the_gate():
    runs = broken(6e5)
    found = fit(ONE, runs)
    beyond = int((found.theta[ONE.index("d1")] <= X).sum())
    judged = GATES.get("breaks")().judge(found, [found])
    assert judged.passed is (beyond >= 4)
    assert str(beyond) in judged.detail
    early = fit(ONE, broken(1e4))
    assert GATES.get("breaks")().judge(early, [early]).passed


def test_a_late_break_is_a_warning():
    runs = broken(3.5e5, sd=0.0005)
    fits = [fit(LAWS.get(name), runs) for name in ("power-floor", "broken-power")]
    codes = [note.code for note in compare(fits, [NONE] * 2).notes]
    assert "late-break" in codes
    middle = [fit(LAWS.get(name), broken(1e4)) for name in ("power-floor", "broken-power")]
    assert "late-break" not in [note.code for note in compare(middle, [NONE] * 2).notes]


def test_the_slope_beyond_each_break_is_derived():
    law = LAWS.get("broken-power-2")
    values = {name: np.array([law.example[name]]) for name in law.names}
    slopes = {d.name: float(d.of(values)[0]) for d in law.derived}
    example = law.example
    assert slopes["slope_1"] == pytest.approx(example["c0"] + example["c1"])
    assert slopes["slope_2"] == pytest.approx(example["c0"] + example["c1"] + example["c2"])


def floored(n, sd, seed, ends=(1e2, 1e6)):
    """A power law with a floor, and no break."""
    x = np.geomspace(*ends, n)
    jitter = np.exp(sd * np.random.default_rng([seed, n, int(sd * 1e4)]).standard_normal(n))
    return observations({"x": x}, (1.5 + 8 * x**-0.3) * jitter)


def test_a_floor_that_a_power_law_lacks_is_no_break():
    for seed in range(3):
        runs = floored(30, 0.003, seed)
        fits = [fit(LAWS.get(name), runs) for name in ("power", "power-floor", "broken-power")]
        verdict = GATES.get("breaks")().judge(fits[0], fits)
        assert verdict.passed
        assert serial_aicc(fits[0]) - serial_aicc(fits[2]) > 25


def test_a_bend_before_the_fourth_scale_is_no_break_though_no_other_law_explains_it():
    jitter = np.exp(0.0005 * np.random.default_rng(5).standard_normal(X.size))
    loss = 11 * X**-0.1 * jitter
    loss[:2] *= [1.1, 1.04]
    plain, bent = (fit(LAWS.get(name), observations({"x": X}, loss)) for name in PAIR)
    (found,) = breaks_of(bent)
    assert found.scales[0] < 4
    assert serial_aicc(plain) - serial_aicc(bent) > 25
    assert GATES.get("breaks")().judge(plain, [plain, bent]).passed


def test_a_break_near_the_end_is_there_though_its_slope_is_not_measured():
    x = np.geomspace(1e3, 1e6, 15)
    loss = 12 * x**-0.1 * ((1 + (x / 5e5) ** (1 / 0.3)) / 2) ** (-0.25 * 0.3)
    jitter = np.exp(0.005 * np.random.default_rng([0, 15]).standard_normal(15))
    plain, bent = (fit(LAWS.get(name), observations({"x": x}, loss * jitter)) for name in PAIR)
    assert is_there(bent, plain)
    assert objections(bent, [plain, bent])


def test_a_break_that_is_not_asked_for_leads_no_simpler_law_by_more_than_six():
    # The first two of sixteen runs are off: a break follows them, but has no scales below.
    x = np.geomspace(1e2, 1e6, 16)
    loss = 11 * x**-0.1 * np.exp(0.002 * np.random.default_rng(3).standard_normal(16))
    loss[:2] *= [1.03, 1.012]
    fits = [fit(LAWS.get(name), observations({"x": x}, loss)) for name in PAIR]
    assert aicc(fits[0]) - aicc(fits[1]) > 10
    made = compare(fits, [NONE] * 2)
    assert [one.delta for one in made.laws] == pytest.approx([0, 6])
    assert "ruled out" not in made.verdict
    assert "break-not-asked-for" in [note.code for note in made.notes]
