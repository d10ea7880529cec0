"""Commands as functions: settings in, a report and an exit code out."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scipy
from scipy.stats import t as student

from scalefit.config import (
    FitSettings,
    LawChoice,
    OptimumSettings,
    PredictSettings,
    RunsSettings,
    Settings,
)
from scalefit.config import UncertaintySettings as Sure
from scalefit.core.errors import FitError, InputError
from scalefit.pipeline import commands, documents, pictures, steps, story
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
    assert f"1 decade of {role} beyond" in beyond["notes"][0]["message"]


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


def curve(seed=0, n=30, bend=0.0):
    """A loss along x with a floor, as a table; a bend makes plain laws fail."""
    x = np.geomspace(1e3, 1e8, n)
    noise = 0.003 * np.random.default_rng(seed).standard_normal(n)
    y = (0.5 + 5 * x**-0.2) * np.exp(noise + bend * np.sin(np.log(x)))
    return read(pa.table({"x": x, "y": y}))


def reported(table, *laws, **more):
    return commands.report(replace(settings(*laws), **more), table)


def test_a_report_warns_of_a_law_that_its_own_comparison_rules_out():
    told = reported(curve(), "power").report
    (note,) = [n for n in told.notes if n.code == "law-ruled-out"]
    assert "power fails residual-scale" in note.message
    first = told.document["comparison"]["laws"][0]["law"]
    assert f"{first} stands first" in note.message
    assert "law-ruled-out" not in {n.code for n in reported(curve(), "power-floor").report.notes}


def test_a_report_of_several_laws_goes_on_with_the_one_that_stands_first():
    told = reported(curve(), "power", "power-floor").report
    assert told.document["predictions"]["law"] == "power-floor"
    assert [law["law"] for law in told.document["comparison"]["laws"]] == ["power-floor", "power"]
    assert [law["name"] for law in told.manifest["settings"]["fit"]["laws"]] == [
        "power", "power-floor",
    ]  # fmt: skip


def test_a_report_says_each_doubt_once():
    x = np.geomspace(1e3, 1e8, 12)
    y = 0.5 + 5 * x**-0.2
    table = commands._table(settings(runs=RUNS))
    table = replace(read(pa.table({"x": [*x, *x], "y": [*y, *y]})), source=table.source)
    told = commands.report(settings("power-floor"), table).report
    said = [*told.notes, *(n for s in told.sections for n in s.notes)]
    assert "duplicate-rows" in {n.code for n in said}
    assert sorted(map(repr, said)) == sorted(map(repr, set(said)))


@pytest.mark.parametrize("kept", [True, False])
def test_a_report_of_nothing_but_refused_points_exits_as_predict_does(kept):
    points = ({"x": 1e30}, {"x": 1e5}) if kept else ({"x": 1e30},)
    at = {"predict": PredictSettings(points)}
    assert reported(curve(), "power-floor", **at).exit_code == (0 if kept else 3)


def test_the_manifest_holds_what_makes_a_report_again(tmp_path):
    path = tmp_path / "runs.csv"
    lines = "".join(f"{10**k},{3 - k / 4},?\n" for k in range(1, 9))
    path.write_text("size,val,note\n" + lines + "?,1,a\n")
    runs = RunsSettings(
        str(path), {"x": "size", "L": "val"}, where="size > 5", na=("?",), last=False
    )
    manifest = commands.check(Settings(runs=runs, seed=3)).report.manifest
    assert manifest["settings"]["runs"]["columns"] == {"x": "size", "L": "val"}
    assert manifest["settings"]["runs"]["where"] == "size > 5"
    assert manifest["settings"]["runs"]["na"] == ("?",)
    assert manifest["settings"]["runs"]["last"] is False
    assert manifest["settings"]["runs"]["path"] == manifest["input"]["path"] == "runs.csv"
    assert manifest["settings"]["seed"] == 3
    assert manifest["columns"] == {"x": "size", "L": "val"}
    for name, module in (("numpy", np), ("pyarrow", pa), ("scipy", scipy)):
        assert manifest[name] == module.__version__
    assert manifest["python"] == ".".join(map(str, sys.version_info[:3]))
    assert str(tmp_path) not in repr(manifest)


def test_a_parameter_of_no_compared_law_cannot_be_held():
    for held in ({"fix": {"gamma": 3.0}}, {"bound": {"gamma": (1.0, 2.0)}}):
        with pytest.raises(InputError, match="gamma"):
            steps.compare(curve(), ["power", "power-floor"], **held)
    ranked = steps.compare(curve(), ["power", "power-floor"], fix={"E": 0.5}).comparison.laws
    assert {r.fit.law.name: dict(r.fit.fixed) for r in ranked} == {
        "power": {}, "power-floor": {"E": 0.5},
    }  # fmt: skip


@pytest.mark.parametrize("role", ["N", "D"])
def test_an_axis_that_never_changes_is_a_finding_and_no_error(tmp_path, role):
    rows = {"N": np.geomspace(1e6, 1e9, 12), "D": np.geomspace(1e8, 1e11, 12)}
    rows[role] = np.full(12, 1e9)
    path = tmp_path / "runs.csv"
    loss = np.linspace(4, 2, 12)
    path.write_text(
        "N,D,loss\n"
        + "".join(f"{n},{d},{y}\n" for n, d, y in zip(*rows.values(), loss, strict=True))
    )
    findings = commands.check(settings(runs=path)).report.document["findings"]
    assert (
        f"{role} takes 1 distinct value"
        in {f["code"]: f["message"] for f in findings}["few-scales"]
    )


def test_what_is_too_far_below_is_told_the_smallest_that_is_not():
    estimate = steps.fit(curve(), "power-floor")
    low, high = (steps.predict(estimate, {"x": x}).notes[0][0] for x in (1e-9, 1e20))
    assert "the smallest supported x is 0.01" in low.message
    assert "the largest supported x is 1e+13" in high.message
    split = steps.fit(read(RUNS), "chinchilla")
    (note,) = [n for n in steps.allocate(split, 1e12).notes[0] if n.severity == "refusal"]
    assert "the smallest supported C" in note.message


@pytest.mark.parametrize("role", ["lr", "step", "width", "L"])
def test_any_role_may_be_the_independent_unit(tmp_path, role):
    path = tmp_path / "runs.csv"
    x = np.geomspace(1e3, 1e8, 24)
    unit = np.repeat(np.arange(1, 13), 2)
    loss = 2 + 5.0 * np.repeat(x[::2], 2) ** -0.2 if role == "L" else 2 + 5 * x**-0.2
    head = "x,loss" + ("" if role == "L" else f",{role}")
    more = ["" if role == "L" else f",{u}" for u in unit]
    path.write_text(
        head
        + "\n"
        + "".join(
            f"{a!r},{b!r}{c}\n" for a, b, c in zip(x.tolist(), loss.tolist(), more, strict=True)
        )
    )
    one = replace(settings("power-floor", runs=path), uncertainty=Sure(cluster=role))
    assert commands.fit(one).report.document["runs"]["clusters"] == 12


def test_own_budgets_and_points_of_a_report_begin_inside_the_data():
    told = commands.report(settings("chinchilla")).report.document
    budgets = [row["budget"] for row in told["optimum"]["rows"]]
    assert budgets == [1.2e21, 1.2e22, 1.2e23]  # the largest of the flops column is 1.2572e22
    assert [row["inside"] for row in told["optimum"]["rows"]] == [True, True, False]
    inside = commands.report(settings("power-floor", x="N")).report.document["predictions"]
    assert [row["at"]["N"] for row in inside["rows"]] == pytest.approx([16.1e9, 48.3e9, 161e9])
    assert inside["rows"][0]["inside"] is True


def test_a_table_of_runs_is_a_table_of_points(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("run,N,D,loss\na,7e9,1.4e11,2.2\n")
    assert commands.points_of(path) == ({"N": 7e9, "D": 1.4e11},)


def test_points_of_a_file_are_in_the_units_that_their_columns_name_as_runs_are(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("params_millions,tokens (B),x\n7000,1400,3\n")
    assert commands.points_of(path) == ({"N": 7e9, "D": 1.4e12, "x": 3.0},)


def test_points_of_a_file_are_named_as_columns_of_runs_are(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("params,tokens\n7B,1.4T\n")
    assert commands.points_of(path) == ({"N": 7e9, "D": 1.4e12},)
    path.write_text("N, D\n1e9,\n")
    with pytest.raises(InputError, match=r"line 2, column  D: nothing here"):
        commands.points_of(path)
    path.write_text("N,D\n1e9,2e9,3\n")
    with pytest.raises(InputError, match=r"line 2, a cell too many"):
        commands.points_of(path)


def test_a_loss_too_small_to_square_warns_nobody():
    y = [3, 1e-310, 2, 1.5, 1.2, 1.1, 1]
    table = read(pa.table({"x": [1.0, 2, 3, 4, 5, 6, 7], "y": y}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FitError, match="no start gives a finite objective"):
            steps.fit(table, "power-floor")


def test_the_forecast_figure_has_the_sign_of_its_table(monkeypatch):
    compared = steps.compare(curve(bend=0.02), ["power", "power-floor"])
    drawn = []
    monkeypatch.setattr(
        pictures.figures, "forecasts", lambda series, **settings: drawn.extend(series)
    )
    pictures.forecast_figure(compared, 0.9)
    assert len(drawn) == 2
    for series, one in zip(drawn, compared.comparison.laws, strict=True):
        told = one.forecasts
        assert series.label == one.fit.law.name
        np.testing.assert_allclose(series.error, 100 * told.error)
        reach = 100 * student.ppf(0.95, np.maximum(told.df, 1)) * np.sqrt(told.variance)
        np.testing.assert_allclose(series.high - series.error, reach)
        np.testing.assert_allclose(series.error - series.low, reach)
    assert abs(drawn[1].error).max() > 1


def counted(end, path):
    """What is said of breaks where the loss goes on with the power `end` after a fifth of 1e6."""
    x = np.geomspace(1e2, 1e6, 40)
    noise = 0.002 * np.random.default_rng(3).standard_normal(40)
    late = np.log1p((x / 2e5) ** 8) / 8
    y = (0.5 + 5 * x**-0.2) * np.exp(noise + end * late)
    np.savetxt(path, np.stack([x, y], axis=1), delimiter=",", header="x,y", comments="")
    told = commands.compare(settings("power-floor", "broken-power", runs=path)).report
    (section,) = [part for part in told.sections if part.name == "breaks"]
    return section, told.document["breaks"][0]


def test_breaks_are_supported_only_if_their_law_meets_the_gates(tmp_path):
    section, law = counted(0.5, tmp_path / "runs.csv")
    assert "The runs support 1 break" not in section.lead[0]
    assert "broken-power, with 1, is asked for, but the law fails monotone" in section.lead[0]
    assert not law["supported"]
    assert law["objections"] == ["the law fails monotone"]
    assert section.rows[0][-1] == "the law fails monotone"


def test_breaks_whose_law_meets_the_gates_are_counted(tmp_path):
    section, law = counted(-0.5, tmp_path / "runs.csv")
    assert section.lead == ("The runs support 1 break.",)
    assert law["supported"]
    assert law["objections"] == []


def test_a_size_of_the_law_error_is_assumed_only_where_it_widens_an_answer():
    few = curve(n=7)
    assert steps.fit(few, "power").law_error.source == "assumed"
    for points, told in ((({"x": 1e5},), False), (({"x": 1e5}, {"x": 1e9}), True)):
        whole = reported(few, "power", predict=PredictSettings(points)).report
        assert ("assumed-law-error" in {n.code for n in whole.notes}) is told


def test_a_refused_row_is_trusted_with_no_other_word():
    runs = settings("chinchilla", at=[{"N": 1e9, "D": 2e10}, {"N": 1e15, "D": 1e16}])
    told = commands.predict(runs).report
    assert [row["trust"] for row in told.document["rows"]] == ["inside", "refused"]
    assert told.sections[0].table.column("trust").to_pylist() == ["inside", "refused"]
    best = commands.optimum(replace(runs, optimum=OptimumSettings((1e21, 1e31)))).report
    assert [row["trust"] for row in best.document["rows"]] == ["inside", "refused"]
    assert best.sections[0].table.column("trust").to_pylist() == ["inside", "refused"]


def test_many_rows_beyond_the_data_are_told_of_once():
    points = [{"N": 1e10 * f, "D": 2e11 * f} for f in (1.5, 3, 6)]
    (section,) = commands.predict(settings("chinchilla", at=points)).report.sections
    (note,) = [n for n in section.notes if n.code == "no-new-regime-assumed"]
    assert note.message.startswith("1.5 decades of C")
    assert note.message.endswith("(farthest of 3 rows that say so)")


def test_an_input_that_is_named_is_not_said_to_be_missing(tmp_path):
    x = np.geomspace(10, 1e5, 30)
    path = tmp_path / "curve.csv"
    rows = "".join(f"{a:.0f},{2 + 9 * a**-0.3!r}\n" for a in x.tolist())
    path.write_text("step,loss\n" + rows)
    (missed,) = commands.check(settings(runs=path)).report.sections[0].notes
    assert (missed.code, "--x step" in missed.message) == ("no-input", True)
    with pytest.raises(InputError) as caught:
        commands.fit(settings(runs=path))
    assert "--x step" in caught.value.hint
    for told in (commands.fit(settings("power-floor", x="step", runs=path)),
                 commands.report(settings("power-floor", x="step", runs=path))):  # fmt: skip
        notes = [*told.report.notes, *(n for s in told.report.sections for n in s.notes)]
        assert "no-input" not in {n.code for n in notes}


def test_a_loss_that_a_bound_fixes_has_no_widths_to_set_side_by_side():
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e10, 8), np.geomspace(1e9, 1e11, 6)))
    luck = 0.01 * np.random.default_rng(2).standard_normal(8)[np.unique(n, return_inverse=True)[1]]
    table = read(pa.table({"N": n, "D": d, "loss": (1.7 + 0 * n) * np.exp(luck + 1e-4 * d**0)}))
    notes = steps.fit(table, "chinchilla", fix={"E": 1.7, "alpha": 2.9, "beta": 2.9}).notes
    (kin,) = [n for n in notes if n.code == "clustered-residuals"]
    assert "+-0.00%" not in kin.message


def test_a_report_of_an_average_says_each_doubt_once():
    told = reported(commands._table(settings()), "auto").report
    codes = [n.code for n in told.notes] + [n.code for s in told.sections for n in s.notes]
    assert "averaged-laws" in codes
    assert len(codes) - len(set(codes)) == codes.count("no-new-regime-assumed") - 1


def test_a_table_without_a_loss_is_said_to_lack_a_loss(tmp_path):
    path = tmp_path / "optima.csv"
    path.write_text("depth,width,weight_decay\n8,512,0.4\n12,768,0.22\n")
    with pytest.raises(InputError, match="no column plays the role L"):
        commands.check(settings(runs=path))


def test_a_forecast_without_bounds_has_no_score_in_any_format():
    x = np.geomspace(1e18, 1e22, 16)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.003, 16))
    runs = read(pa.table({"C": x, "L": (1.7 + (x / 1e18) ** -0.1) * noise}))
    compared = steps.compare(runs, ["power", "power-floor"], leave_out=True)

    def wild(told):
        return replace(told, variance=np.where(np.arange(told.count) == 0, 1e270, told.variance))

    laws = tuple(
        replace(r, forecasts=wild(r.forecasts), left_out=wild(r.left_out))
        for r in compared.comparison.laws
    )
    compared = replace(compared, comparison=replace(compared.comparison, laws=laws))
    document = documents.compare_document(compared, 0, 0.95)
    for law in document["laws"]:
        assert law["extrapolation"]["crps"] is None
        assert law["extrapolation"]["boundless"] == 1
        assert [part["crps"] is None for part in law["leave_one_out"]].count(True) == 1
        assert sum(part["boundless"] for part in law["leave_one_out"]) == 1
    _, ahead = story.comparison_sections(compared, 0.95)
    for section in (ahead, story.leave_out_section(compared, 0.95)):
        place = section.header.index("CRPS")
        assert "none" in {row[place] for row in section.rows}
        assert any("CRPS none" in words for words in section.footer)
    assert ahead.table["se"].null_count == len(laws)
    calm = steps.compare(runs, ["power", "power-floor"], leave_out=True)
    assert not any("CRPS none" in w for w in story.leave_out_section(calm, 0.95).footer)


def sweep(factor):
    """IsoFLOP sweeps whose C is so many times 6ND."""
    random = np.random.default_rng(0)
    budget = np.repeat(np.geomspace(1e18, 1e21, 7), 7)
    n = np.sqrt(budget / 6) * np.tile(np.geomspace(0.25, 4, 7), 7)
    d = budget / 6 / n
    loss = (1.7 + 400 * n**-0.34 + 410 * d**-0.3) * np.exp(random.normal(0, 0.003, 49))
    return read(pa.table({"N": n, "D": d, "C": factor * budget, "L": loss}))


def test_compute_that_is_not_6nd_moves_no_distance_and_no_split():
    plain, dear = (steps.fit(sweep(k), "chinchilla") for k in (1.0, 2.5))
    assert "so divide a budget counted like C by 2.5" in dear.table.notes[0].message
    budgets = [1e21, 2.4e21, 1e23]
    one, other = (steps.allocate(fit, budgets) for fit in (plain, dear))
    np.testing.assert_allclose(other.decades, np.log10([1, 2.4, 100]), atol=1e-9)
    for name in ("N_headline", "D_headline", "ratio_headline"):
        for end in ("low", "value", "high"):
            np.testing.assert_allclose(
                getattr(getattr(other, name), end), getattr(getattr(one, name), end), rtol=1e-6
            )
    at = {"N": [1e9, 1e10], "D": [2e10, 2e11]}
    # A point may give its compute too, counted like the runs'.
    said = [
        steps.predict(plain, at),
        steps.predict(dear, at),
        steps.predict(dear, {**at, "C": [2.5 * 6 * 2e19, 2.5 * 6 * 2e21]}),
    ]
    for found in said[1:]:
        np.testing.assert_allclose(found.decades, said[0].decades, atol=1e-9)
        np.testing.assert_allclose(found.band.headline.high, said[0].band.headline.high, rtol=1e-6)
    assert commands._own_budgets(dear) == pytest.approx(commands._own_budgets(plain))


def test_a_law_without_size_is_not_measured_by_compute(tmp_path):
    path = tmp_path / "law.toml"
    path.write_text(
        '[law]\nname = "width"\nsource = "none"\n'
        'formula = "E + B * D**-beta + G * width**-gamma"\ninputs = ["D", "width"]\n'
        "[law.parameters]\n"
        'E = { role = "irreducible", linear = true }\n'
        'B = { role = "amplitude", of = "D", by = "beta", linear = true }\n'
        'beta = { role = "exponent" }\n'
        'G = { role = "amplitude", of = "width", by = "gamma", linear = true }\n'
        'gamma = { role = "exponent" }\n'
        "[law.example]\nE = 1.7\nB = 400\nbeta = 0.3\nG = 10\ngamma = 1\n"
    )
    random = np.random.default_rng(1)
    d, width = np.meshgrid(np.geomspace(1e9, 1e11, 6), np.geomspace(128, 2048, 6))
    d, width = d.ravel(), width.ravel()
    loss = (1.7 + 400 * d**-0.3 + 10 / width) * np.exp(random.normal(0, 0.002, d.size))
    runs = read(pa.table({"D": d, "width": width, "C": d * width**2 * 60, "L": loss}))
    fitted = steps.fit(runs, str(path))
    said = steps.predict(fitted, {"D": [1e10, 1e12], "width": [500, 500]})
    assert fitted.fit.runs.scale_name == "D"
    np.testing.assert_allclose(said.decades, [0, 1], atol=1e-9)
