"""A fit that is saved says what it said before, and no more than it holds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scalefit.cli.options import SHARED, settings_of
from scalefit.config import FitSettings, LawChoice, PredictSettings, RunsSettings, Settings
from scalefit.core.errors import InputError
from scalefit.pipeline import commands, documents, steps
from scalefit.tables import read

RUNS = str(Path(__file__).parents[3] / "data" / "chinchilla-subset" / "runs.csv")


def on(path, *laws, **more):
    fit = FitSettings(laws=tuple(LawChoice(law) for law in laws))
    return Settings(runs=RunsSettings(path=str(path)), fit=fit, **more)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "fit.json"
    outcome = commands.fit(on(RUNS, "chinchilla"))
    commands.write_outcome(outcome, path)
    return outcome, path


def test_a_saved_fit_is_the_fit(saved):
    outcome, path = saved
    again = commands.fit(on(path)).report
    assert again.document["runs"] == outcome.report.document["runs"]
    (one,), (other,) = again.document["fits"], outcome.report.document["fits"]
    for key in ("status", "notes", "interval"):
        assert one[key] == other[key], key
    # Parameters are saved in the units of the runs, and come back to the search's to rounding.
    assert one["sigma"] == pytest.approx(other["sigma"], rel=1e-12)
    for key in ("starts", "agree", "minima", "dof"):
        assert one["certificate"][key] == other["certificate"][key]
    assert sorted(again.sections[0].rows) == sorted(outcome.report.sections[0].rows)
    assert ("C", "flops", "1.4e18", "1.3e22") in again.sections[0].rows


def test_doubts_about_runs_and_likelihood_are_saved(tmp_path):
    random = np.random.default_rng(7)
    n, d = 10 ** random.uniform(7, 10, 6), 10 ** random.uniform(9, 12, 6)
    loss = (1.7 + 400 * n**-0.34 + 410 * d**-0.28) * np.exp(0.003 * random.standard_normal(6))
    lines = [f"{a!r},{b!r},{c!r}\n" for a, b, c in np.stack([n, d, loss], -1).tolist()]
    runs = tmp_path / "few.csv"
    runs.write_text("N,D,loss\n" + "".join(lines) + "1e9,1e9,\n")
    fresh = commands.fit(on(runs, "chinchilla"))
    commands.write_outcome(fresh, tmp_path / "few.json")
    again = commands.fit(on(tmp_path / "few.json")).report.document
    codes = [note["code"] for note in again["fits"][0]["notes"]]
    assert "t-unbounded" in codes
    assert codes == [note["code"] for note in fresh.report.document["fits"][0]["notes"]]
    points = PredictSettings(({"N": 1e9, "D": 1e10},))
    told = [
        commands.predict(on(path, predict=points)).report for path in (runs, tmp_path / "few.json")
    ]
    assert "missing-cells" in {n.code for n in told[0].notes}
    assert told[1].notes == told[0].notes
    excluded = told[1].document["runs"]["excluded"]
    assert [e["row"] for e in excluded] == [7]
    assert excluded == told[0].document["runs"]["excluded"]


def test_what_the_search_found_amiss_is_not_forgotten(saved, tmp_path):
    document = json.loads(saved[1].read_text())
    document["fits"][0]["status"] = "multiple-minima"
    path = tmp_path / "worse.json"
    path.write_text(json.dumps(document))
    (estimate,) = documents.load_saved(path)
    assert estimate.status == "multiple-minima"
    document["fits"][0]["status"] = "splendid"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="splendid"):
        documents.load_saved(path)


@pytest.mark.parametrize("command", [commands.fit, commands.predict])
def test_a_law_that_is_not_in_the_file_is_refused_with_those_that_are(saved, command):
    settings = on(saved[1], "kaplan", predict=PredictSettings(({"N": 1e9, "D": 2e10},)))
    with pytest.raises(InputError, match="holds no fit of kaplan: it holds chinchilla"):
        command(settings)


@pytest.mark.parametrize("command", [commands.check, commands.compare, commands.report])
def test_where_runs_are_needed_a_saved_fit_is_refused(saved, command):
    with pytest.raises(InputError, match="is a saved fit") as refused:
        command(on(saved[1]))
    assert "predict" in refused.value.hint


SETTLED = [
    ("objective", "gaussian"), ("level", 0.9), ("where", "loss < 3"), ("cluster", "row"),
    ("fix", ["E=1.7"]), ("bound", ["E=1:2"]), ("interval", "bootstrap"), ("draws", 100),
    ("seed", 1), ("col", ["N=params"]), ("x", "C"), ("solver", "scipy"), ("last", True),
    ("na", ["?"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), SETTLED)
def test_no_flag_is_silently_ignored_beside_a_saved_fit(saved, name, value):
    given = {key: default for key, (_, default) in SHARED.items()}
    settings_of({**given, "runs": str(saved[1]), "law": ["chinchilla"]})
    with pytest.raises(InputError, match=f"--{name} cannot change a fit that is saved"):
        settings_of({**given, "runs": str(saved[1]), name: value})


def test_a_saved_curve_of_one_axis_is_measured_along_it_again(tmp_path):
    table = read(pa.table({"N": [1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9],
                           "D": [2e7, 9e7, 2e8, 9e8, 2e9, 9e9, 2e10, 9e10],
                           "L": [4.1, 3.7, 3.4, 3.1, 2.9, 2.7, 2.6, 2.5]}))  # fmt: skip
    estimate = steps.fit(table, "power-floor", x="N")
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(documents.saved_document([estimate], Settings())))
    (again,) = documents.load_saved(path)
    assert again.fit.runs.scale_name == "N"
    assert again.fit.runs.nats
    told = [steps.predict(e, {"N": 6e9}).decades[0] for e in (estimate, again)]
    assert told == pytest.approx([np.log10(2)] * 2)
    assert replace(again.fit.runs, row=estimate.fit.runs.row).scale.max() == 3e9
