"""Breaks: placed where they are, counted where the runs ask for them, doubted near the end."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.breaks import breaks_of, interior_error, objections
from scalefit.inference.comparison import compare
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import Forecasts
from scalefit.inference.gates import GATES
from scalefit.laws import LAWS

X = np.geomspace(1e2, 1e6, 40)
ONE = LAWS.get("broken-power")
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
