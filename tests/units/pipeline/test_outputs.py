"""Every number that is written is the one that was computed, under its own name and sign."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import t as student

from scalefit.inference.forecasts import noise_of
from scalefit.inference.scores import BOUNDLESS
from scalefit.pipeline import commands, documents, pictures, steps, story
from scalefit.tables import read

RUNS = Path(__file__).parents[3] / "data" / "chinchilla-subset" / "runs.csv"
POINTS = ({"N": 1e9, "D": 2e10}, {"N": 7e10, "D": 1.4e12}, {"N": 1e15, "D": 1e16})
BUDGETS = (1e21, 5.76e23, 1e31)
BANDS = {"exact_law": "exact", "new_run": "new_run", "headline": "headline"}


@pytest.fixture(scope="module")
def estimate():
    return steps.fit(read(RUNS), "chinchilla", level=0.9)


@pytest.fixture(scope="module")
def told(estimate):
    return steps.predict(estimate, {k: [p[k] for p in POINTS] for k in ("N", "D")})


@pytest.fixture(scope="module")
def best(estimate):
    return steps.allocate(estimate, BUDGETS)


@pytest.fixture(scope="module")
def compared():
    x = np.geomspace(1e3, 1e8, 30)
    noise = 0.01 * np.random.default_rng(1).standard_normal(30)
    table = read(pa.table({"x": x, "y": (0.3 + 5 * x**-0.2) * np.exp(noise + 0.03 * np.sin(x))}))
    return steps.compare(table, ["power", "power-floor", "shifted-power-floor"])


def test_the_numbers_of_these_tests_are_apart(estimate, told, best):
    # Else a mix-up would not show.
    for band, k in ((told.band, 1), (best.band, 1)):
        lows = [band.exact.low[k], band.new_run.low[k], band.headline.low[k]]
        assert (np.diff(lows) < -1e-4).all()
        assert len({round(float(v), 6) for v in band.share[:, k]}) == 3
    assert told.decades[0] == 0 < told.decades[1]
    assert best.decades[0] == 0 < best.decades[1]


def test_predictions_are_written_as_computed(estimate, told):
    document = documents.predict_document(estimate, told, POINTS, stamp=False)
    table = story.prediction_section(estimate, told).table.to_pylist()
    refused = [any(n.severity == "refusal" for n in row) for row in told.notes]
    assert refused == [False, False, True]
    for k, (row, cells) in enumerate(zip(document["rows"], table, strict=True)):
        assert row["at"] == POINTS[k] == {"N": cells["N"], "D": cells["D"]}
        assert row["decades"] == cells["decades_beyond"] == told.decades[k]
        assert row["inside"] == cells["interpolation"] == (told.decades[k] == 0)
        assert row["trust"] == cells["trust"] == told.trust[k]
        value = None if refused[k] else told.band.loss[k]
        assert row["loss"]["value"] == cells["loss"] == value
        for name, part in BANDS.items():
            band = getattr(told.band, part)
            ends = (None, None) if refused[k] else (band.low[k], band.high[k])
            assert (row[name]["low"], row[name]["high"]) == ends
            assert (cells[f"{name}_low"], cells[f"{name}_high"]) == ends
        shares = [row["share"][name] for name in ("parameters", "noise", "law_error")]
        assert shares == told.band.share[:, k].tolist()
    assert row["share"]["law_error"] > 0.5
    assert document["rows"][0]["share"]["law_error"] == 0


def test_each_row_of_a_fit_that_is_no_minimum_carries_its_status():
    x = np.geomspace(1e3, 1e6, 30)
    table = read(pa.table({"x": x, "y": 2 * x**-0.1 * np.exp(0.01 * np.sin(x))}))
    found = steps.fit(table, "power")
    bad = replace(found.fit, certificate=replace(found.fit.certificate, status="not-converged"))
    for estimate, trust in ((found, "inside"), (replace(found, fit=bad), "inside, not-converged")):
        section = story.prediction_section(
            estimate, steps.predict(estimate, {"x": [1e5]}, allow_unconverged=True)
        )
        assert section.rows[0][-1] == trust
        assert section.table["status"].to_pylist() == [estimate.status]
        parameters = story.parameters_section(estimate).table
        assert set(parameters["status"].to_pylist()) == {estimate.status}


def test_parameters_name_the_method_level_and_freedom_of_their_intervals(estimate):
    (row,) = {
        (row["method"], row["level"], row["df"])
        for row in story.parameters_section(estimate).table.to_pylist()
    }
    assert row == (estimate.draws.method.words, estimate.level, estimate.draws.df)


@pytest.mark.parametrize(
    ("column", "unit"), [("loss", b"nats per token"), ("bpb", b"bits per byte")]
)
def test_a_loss_that_is_written_keeps_the_unit_in_which_it_was_read(column, unit):
    x = np.geomspace(1e3, 1e6, 30)
    table = read(pa.table({"x": x, column: 2 * x**-0.1 * np.exp(0.01 * np.sin(x))}))
    found = steps.fit(table, "power")
    said = story.prediction_section(found, steps.predict(found, {"x": [1e5]})).table
    runs = story.runs_table(table, found.fit.runs, found)
    for schema, name in ((said, "loss"), (runs, "L"), (runs, "fitted")):
        assert schema.schema.field(name).metadata[b"unit"] == unit


def test_optima_are_written_as_computed(estimate, best):
    document = documents.optimum_document(estimate, best, stamp=False)
    table = story.optimum_section(estimate, best).table.to_pylist()
    quantities = {
        "N": best.N, "D": best.D, "tokens_per_parameter": best.ratio, "loss": best.band.headline,
    }  # fmt: skip
    for k, (row, cells) in enumerate(zip(document["rows"], table, strict=True)):
        gone = k == 2
        assert row["budget"] == cells["budget"] == BUDGETS[k]
        for name, one in quantities.items():
            expected = (None,) * 3 if gone else (one.value[k], one.low[k], one.high[k])
            assert tuple(row[name][end] for end in ("value", "low", "high")) == expected
            assert (cells[name], cells[f"{name}_low"], cells[f"{name}_high"]) == expected
        for name, one in (
            ("loss_exact_law", best.band.exact), ("loss_new_run", best.band.new_run),
            ("N_exact_law", best.N), ("D_exact_law", best.D),
            ("tokens_per_parameter_exact_law", best.ratio),
        ):  # fmt: skip
            ends = (None, None) if gone else (one.low[k], one.high[k])
            assert (row[name]["low"], row[name]["high"]) == ends
        for name, one in (
            ("N", best.N_headline), ("D", best.D_headline),
            ("tokens_per_parameter", best.ratio_headline), ("loss", best.band.headline),
        ):  # fmt: skip
            ends = (None, None) if gone else (one.low[k], one.high[k])
            headline = row[f"{name}_headline"]
            assert (headline["low"], headline["high"]) == ends
            assert tuple(cells[f"{name}_headline_{end}"] for end in ("low", "high")) == ends
        near = [None, None] if gone else best.near[k].tolist()
        assert row["near_optimal"]["N"] == near
        assert [cells["near_optimal_N_low"], cells["near_optimal_N_high"]] == near
        assert row["decades"] == cells["decades_beyond"] == best.decades[k]
        assert row["inside"] == cells["interpolation"] == (best.decades[k] == 0)
        assert row["trust"] == cells["trust"] == best.trust[k]
    split = best.split_error
    assert document["split_tau"] == {
        "value": split.tau, "source": split.source, "forecasts": split.forecasts,
    }  # fmt: skip
    for name, one in (("N", best.exponent_N), ("D", best.exponent_D)):
        expected = {"value": one.value[0], "low": one.low[0], "high": one.high[0]}
        assert document["exponents"][name] == expected


def test_parameters_are_the_jackknifes_own(estimate):
    # By an independent path: the refits themselves, and the quantile of another library.
    theta, drawn = estimate.fit.theta, estimate.draws.theta
    count = len(drawn)
    reach = student.ppf(0.95, count - 1)
    table = story.parameters_section(estimate).table.to_pylist()
    fitted = documents.fitted(estimate)["parameters"]
    for i, parameter in enumerate(estimate.law.parameters):
        log = parameter.name in ("E", "A", "B")
        at, values = (np.log(theta[i]), np.log(drawn[:, i])) if log else (theta[i], drawn[:, i])
        spread = np.sqrt((count - 1) / count * ((values - at) ** 2).sum())
        ends = [at - reach * spread, at + reach * spread]
        low, high = np.exp(ends) if log else ends
        se = spread * theta[i] if log else spread
        for found in (table[i], fitted[parameter.name]):
            assert found["value"] == theta[i]
            assert found["se"] == pytest.approx(se, rel=1e-9)
            assert found["low"] == pytest.approx(low, rel=1e-9)
            assert found["high"] == pytest.approx(high, rel=1e-9)
    a, b = estimate.law.index("alpha"), estimate.law.index("beta")
    assert table[5]["parameter"] == "a"
    assert table[5]["value"] == pytest.approx(theta[b] / (theta[a] + theta[b]), rel=1e-12)


def test_the_noise_is_that_of_one_run(estimate):
    fit = estimate.fit
    sigma = fit.scale * math.sqrt(2) * math.sqrt(234 / 229)  # of t with 4 degrees of freedom
    assert documents.fitted(estimate)["sigma"] == pytest.approx(sigma, rel=1e-12)
    assert f"{100 * sigma:.2g} % of the loss" in " ".join(story.parameters_section(estimate).footer)


def test_runs_are_written_with_loss_over_law_less_one(estimate):
    rows = story.runs_table(estimate.table, estimate.fit.runs, estimate).to_pylist()
    assert len(rows) == 234
    p = dict(zip(estimate.law.names, estimate.fit.theta, strict=True))
    for row in rows[::40]:
        law = p["E"] + p["A"] * row["N"] ** -p["alpha"] + p["B"] * row["D"] ** -p["beta"]
        assert row["fitted"] == pytest.approx(law, rel=1e-12)
        assert row["residual"] == pytest.approx(row["L"] / law - 1, abs=1e-12)
    assert max(abs(r["residual"]) for r in rows) > 0.01


def test_the_figure_of_residuals_has_the_sign_of_the_table(estimate, monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures.figures, "residuals", lambda one, against: drawn.append(one))
    pictures.residual_figure(estimate)
    rows = story.runs_table(estimate.table, estimate.fit.runs, estimate)
    np.testing.assert_allclose(
        drawn[0].percent, 100 * np.array(rows.column("residual").to_pylist()), atol=1e-12
    )
    used = estimate.fit.runs.n
    assert drawn[0].sigma == 100 * noise_of(estimate.fit, estimate.fit.scale, used)


def test_comparisons_are_written_as_computed(compared):
    level = 0.8
    table = story.comparison_sections(compared, level)[0].table.to_pylist()
    laws = documents.compare_document(compared, 0, level)["laws"]
    ranked = compared.comparison.laws
    assert len({r.delta for r in ranked}) == len(ranked) == 3
    for cells, law, one in zip(table, laws, ranked, strict=True):
        assert cells["law"] == law["law"] == one.fit.law.name
        for key in ("aicc", "delta", "weight"):
            assert cells[key] == law[key] == getattr(one, key)
        error, told = one.forecasts.error, law["extrapolation"]
        assert cells["forecasts"] == told["forecasts"] == error.size > 0
        rmse = math.sqrt((error**2).mean())
        assert cells["forecast_rmse"] == pytest.approx(rmse, rel=1e-12)
        assert told["rmse"] == pytest.approx(rmse, rel=1e-12)
        assert told["mean_error"] == pytest.approx(error.mean(), rel=1e-12)
        reach = student.ppf(0.9, np.maximum(one.forecasts.df, 1)) * np.sqrt(one.forecasts.variance)
        assert told["coverage"] == np.mean(np.abs(error) <= reach)


def test_forecasts_are_written_with_their_standard_errors(compared):
    rows = story.forecast_table(compared).to_pylist()
    ranked = compared.comparison.laws
    assert len(rows) == sum(r.forecasts.count for r in ranked)
    for one in ranked:
        told = one.forecasts
        own = [row for row in rows if row["law"] == one.fit.law.name]
        for key, values in (
            ("cut", told.cut), ("scale", told.scale), ("decades", told.decades),
            ("error", told.error),
        ):  # fmt: skip
            assert [row[key] for row in own] == values.tolist()
        # One that is as good as infinite is none.
        errors = [se if se <= BOUNDLESS else None for se in np.sqrt(told.variance).tolist()]
        assert [row["se"] for row in own] == errors


def test_forecasts_for_people_have_the_sign_of_those_for_machines(compared):
    section = story.comparison_sections(compared, 0.8)[1]
    at = section.header.index("mean")
    for one in compared.comparison.laws:
        row = next(r for r in section.rows if r[0] == one.fit.law.name and r[1] == "all")
        assert row[at] == f"{100 * float(one.forecasts.error.mean()):+.2g} %"


def test_a_command_exits_3_only_if_every_row_is_refused():
    rows = [{"notes": [{"severity": "refusal"}]}, {"notes": [{"severity": "note"}]}]
    assert commands._refused(rows) == 0
    assert commands._refused(rows[:1]) == 3
