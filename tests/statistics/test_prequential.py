"""Forecasts of real projects at every earlier stage: does the headline hold, and at what width?

How law error grows and the scale of its prior were settled on the tables of CHOSEN_ON; those of
REPORTED_ON judge it, though not blindly: they were looked at while the prior's end was set, which
46 learning curves asked for. `make verify` writes every forecast, also those that scalefit would
refuse for their distance, to verify-results/prequential.csv, and the table of coverage to
verify-results/prequential.md.
"""

from pathlib import Path

import numpy as np
import pytest
from prequential import LAW, stages, told, write
from scores import crps, interval_score
from tables import CHOSEN_ON, REPORTED_ON

from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import ASSUMED_TAU, growth, law_error, rolling_origin

RESULTS = Path(__file__).resolve().parents[2] / "verify-results"
FAR = 0.9
GROUPS = {"chosen": CHOSEN_ON, "reported": REPORTED_ON}


@pytest.fixture(scope="module")
def tables():
    """Runs of every table, by group; skips where one is missing."""
    made = {group: {n: make() for n, make in GROUPS[group].items()} for group in GROUPS}
    if any(runs is None for group in made.values() for runs in group.values()):
        pytest.skip("the public tables stand beside the repository only where it is developed")
    return made


@pytest.fixture(scope="module")
def forecasts(tables):
    """Every forecast of every table, by group."""
    rows = {
        group: [row for name, runs in made.items() for row in stages(name, runs)]
        for group, made in tables.items()
    }
    everything = [row for part in rows.values() for row in part]
    write(everything, RESULTS / "prequential.csv")
    found = {group: told(part) for group, part in (*rows.items(), ("all", everything))}
    lines = [line for group, part in found.items() for line in summary(group, part.given())]
    lines += [summary(f"{group}, with refused", part)[0] for group, part in found.items()]
    (RESULTS / "prequential.md").write_text("\n".join([*TITLE, *lines]) + "\n")
    return found


TITLE = (
    "| tables | forecasts | trusts the law | headline | beyond 0.9 decade: trusts | headline | "
    "median half-width: trusts | headline |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def summary(group, found):
    """One line for the group and one for each of its tables."""
    lines = []
    for name in (group, *dict.fromkeys(found.table if group in GROUPS else ())):
        at = np.ones(found.error.size, bool) if name == group else found.table == name
        far = at & (found.decades >= FAR)
        cells = [found.covered(found.plain, at), found.covered(found.headline, at)]
        beyond = (found.plain, found.headline)
        cells += [found.covered(w, far) if far.any() else float("nan") for w in beyond]
        widths = [float(np.median(w[at])) for w in beyond]
        shares = " | ".join("–" if np.isnan(c) else f"{100 * c:.0f} %" for c in cells)
        lines.append(
            f"| {name} | {int(at.sum())} | {shares} | " + " | ".join(f"{w:.2%}" for w in widths)
            + " |"
        )  # fmt: skip
    return lines


@pytest.mark.slow
def test_headlines_hold_on_tables_that_law_error_was_not_chosen_on(forecasts, record_property):
    record_property("table", (RESULTS / "prequential.md").read_text())
    found = forecasts["reported"].given()
    far = found.decades >= FAR
    assert found.covered(found.headline) >= 0.90
    assert found.covered(found.headline, far) >= 0.95
    assert found.covered(found.plain) <= 0.75
    assert found.covered(found.plain, far) <= 0.65
    # 134 forecasts lie further out in size or tokens than in compute; by compute alone their
    # headlines would hold 61 %, and all together be 1.58 times as wide as the interval of a run.
    assert np.median(found.headline) <= 1.65 * np.median(found.plain)


@pytest.mark.slow
def test_headlines_hold_on_all_tables_at_a_fair_width(forecasts):
    found = forecasts["all"].given()
    assert found.covered(found.headline) >= 0.90
    assert found.covered(found.headline, found.decades >= FAR) >= 0.945
    assert np.median(found.headline) <= 1.6 * np.median(found.plain)


@pytest.mark.slow
def test_forecasts_from_too_far_are_rightly_refused(forecasts):
    # Beyond the span of the data headlines hold less often than nearer, at any width.
    found = forecasts["all"]
    assert found.covered(found.headline, found.refused) < found.covered(
        found.headline, ~found.refused
    )
    # C4 asks for 83 % and 93 % of all forecasts, whatever the distance.
    assert found.covered(found.headline) >= 0.83


@pytest.mark.slow
@pytest.mark.parametrize("group", ["chosen", "reported", "all"])
def test_the_headline_scores_better_than_intervals_that_trust_the_law(
    forecasts, group, record_property
):
    found = forecasts[group].given()
    widths = (found.headline, found.plain, found.exact)
    scored = [interval_score(found.error, w).mean() for w in widths]
    ranked = [crps(found.error, w / found.reach, found.df).mean() for w in widths]
    lines = [f"{group}, % of the loss: headline, one new run, law exactly right"]
    for name, scores in (("interval score", scored), ("CRPS", ranked)):
        lines.append(f"  {name}: " + ", ".join(f"{100 * s:.2f}" for s in scores))
    record_property("table", "\n".join(lines))
    assert scored[0] < min(scored[1:])
    assert ranked[0] < ranked[2]
    # CRPS forgives a narrow interval its far misses: beside one new run's the headline is as good.
    assert ranked[0] < 1.01 * ranked[1]


@pytest.mark.slow
def test_the_assumed_law_error_is_what_the_tables_it_was_chosen_on_show(tables, record_property):
    found = {n: law_error(rolling_origin(fit(LAW, r))) for n, r in tables["chosen"].items()}
    assert {error.source for error in found.values()} == {"estimated"}
    median = float(np.median([error.tau for error in found.values()]))
    lines = [f"law error at one decade, whole tables, median {median:.2%}:"]
    lines += [f"  {name:20} {error.tau:.2%}" for name, error in found.items()]
    record_property("table", "\n".join(lines))
    assert median == pytest.approx(ASSUMED_TAU, abs=0.005)


@pytest.mark.slow
def test_earlier_forecasts_are_likelier_if_the_slope_wanders(tables, record_property):
    told_by = {name: rolling_origin(fit(LAW, runs)) for name, runs in tables["chosen"].items()}
    gains = {
        name: evidence(told, growth(told.decades)) - evidence(told, told.decades)
        for name, told in told_by.items()
    }
    record_property(
        "table",
        "log evidence of growth with the power 3/2 over growth with the distance:\n"
        + "\n".join(f"  {name:20} {gain:+.2f}" for name, gain in gains.items()),
    )
    assert sum(gains.values()) > 0


def evidence(told, distance):
    """Log of the composite likelihood of the forecasts, averaged over rates to 20 %."""
    tau = np.linspace(0, 0.2, 2001)
    _, same, count = np.unique(told.scale.round(-10), return_inverse=True, return_counts=True)
    spread = told.variance[:, None] + (tau * distance[:, None]) ** 2
    each = -0.5 * (np.log(spread) + told.error[:, None] ** 2 / spread)
    total = (each / count[same.ravel()][:, None]).sum(axis=0)
    return float(np.log(np.exp(total - total.max()).mean()) + total.max())


@pytest.mark.slow
def test_the_table_of_forecasts_can_be_opened(forecasts):
    lines = (RESULTS / "prequential.csv").read_text().splitlines()
    assert len(lines) == 1 + forecasts["all"].error.size


def test_scores_are_those_of_scoringrules():
    rules = pytest.importorskip("scoringrules")
    random = np.random.default_rng(0)
    error, se = random.normal(size=200), random.uniform(0.1, 2, 200)
    df, width = random.uniform(2.5, 60, 200), random.uniform(0.1, 2, 200)
    np.testing.assert_allclose(crps(error, se, df), rules.crps_t(error, df, 0.0, se), rtol=1e-10)
    np.testing.assert_allclose(
        interval_score(error, width), rules.interval_score(error, -width, width, 0.05), rtol=1e-10
    )


def test_a_truthful_forecast_scores_best():
    random = np.random.default_rng(1)
    error = random.standard_t(8, 20_000)
    scores = [crps(error, se, 8.0).mean() for se in (0.5, 1.0, 2.0)]
    assert np.argmin(scores) == 1
    widths = [interval_score(error, w).mean() for w in (1.2, 2.306, 4.5)]
    assert np.argmin(widths) == 1
