"""Commands as functions: settings in, a report and an exit code out."""

from pathlib import Path

import numpy as np
import pytest

from scalefit.config import FitSettings, LawChoice, PredictSettings, RunsSettings, Settings
from scalefit.pipeline import commands

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
