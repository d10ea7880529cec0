"""Commands as functions: settings in, a report and an exit code out."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scalefit.config import FitSettings, LawChoice, PredictSettings, RunsSettings, Settings
from scalefit.config import UncertaintySettings as Sure
from scalefit.core.errors import InputError
from scalefit.pipeline import commands, steps
from scalefit.tables import read

RUNS = str(Path(__file__).parents[3] / "data" / "chinchilla-subset" / "runs.csv")


def settings(*laws, x="", runs=RUNS, at=(), **fit):
    return Settings(
        runs=RunsSettings(path=str(runs)),
        fit=FitSettings(laws=tuple(LawChoice(law, x) for law in laws), **fit),
        predict=PredictSettings(tuple(at)),
    )


@pytest.mark.parametrize(("role", "largest"), [("N", 16.182e9), ("D", 318.14e9)])
def test_a_law_of_one_axis_goes_as_far_as_that_axis(role, largest):
    told = commands.predict(
        settings("power-floor", x=role, at=[{role: largest / 2}, {role: 10 * largest}])
    ).report.document
    inside, beyond = told["rows"]
    assert inside["trust"] == "inside"
    assert beyond["decades"] == pytest.approx(1, abs=0.01)
    assert f"decades of {role} beyond" in beyond["notes"][0]["message"]


def test_the_law_error_of_one_axis_is_learnt_along_that_axis():
    (estimate,) = commands._estimates(settings("power-floor", x="N"))
    runs = estimate.fit.runs
    assert runs.scale_name == "N"
    assert set(np.unique(estimate.forecasts.cut)) <= set(runs.inputs["x"])


def test_no_interval_has_a_level_outside_a_half_to_one():
    for level in (95.0, 0.3, 1.0):
        with pytest.raises(InputError, match="level"):
            Sure(level=level)


@pytest.fixture(scope="module")
def nearly_no_floor():
    """Runs of a pure power law, and noise that leaves a floor in most refits but not in all."""
    x = np.geomspace(1e3, 1e9, 14)
    for seed in range(40):
        jitter = 0.02 * np.random.default_rng(seed).standard_normal(x.size)
        table = read(pa.table({"x": x, "y": 5 * x**-0.2 * np.exp(jitter)}))
        estimate = steps.fit(table, "power-floor")
        drawn = estimate.draws.theta[:, 0]
        if estimate.fit.theta[0] > 0 and (drawn == 0).any():
            return estimate
    raise AssertionError("no such runs among forty")


def test_a_floor_that_a_refit_puts_at_zero_has_an_interval_from_zero(nearly_no_floor):
    found = nearly_no_floor.parameters["E"]
    assert found.low[0] == 0
    assert found.value[0] < found.high[0] < 0.1
    assert 0 < found.se[0] < found.high[0]


def test_a_floor_that_a_refit_puts_at_zero_is_told_of(nearly_no_floor):
    notes = [n for n in nearly_no_floor.draws.notes if n.code == "reaches-zero"]
    count = int((nearly_no_floor.draws.theta[:, 0] == 0).sum())
    assert [n.message for n in notes] == [
        f"E is 0 in {count} of 14 refits: its interval begins at 0"
    ]


def test_the_unit_of_weights_changes_no_comparison():
    x = np.geomspace(1e3, 1e8, 24)
    jitter = 0.02 * np.random.default_rng(1).standard_normal(x.size)
    weight = np.random.default_rng(2).uniform(1, 3, x.size)
    ranked = [
        steps.compare(
            read(pa.table({"x": x, "y": 1 + 5 * x**-0.2 * np.exp(jitter), "weight": c * weight})),
            ["power", "power-floor", "shifted-power-floor"],
        ).comparison.laws
        for c in (1.0, 1000.0)
    ]
    for one, other in zip(*ranked, strict=True):
        assert one.fit.law is other.fit.law
        assert one.delta == pytest.approx(other.delta, abs=1e-6)
        np.testing.assert_allclose(one.fit.theta, other.fit.theta, rtol=1e-6)
