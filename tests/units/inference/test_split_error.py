"""The error of the best split at earlier stages, and the headline that holds it."""

import numpy as np
import pytest
from simulated import observations
from test_forecasts import TRUTH, design, swept

from scalefit.core.tails import t_quantile
from scalefit.inference.allocation import ASSUMED_SPLIT, allocate, off_middle
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import LawError, stages
from scalefit.inference.split_error import _forecasts, split_error
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")
TAU = LawError(0.01, "estimated", 5)


@pytest.fixture(scope="module")
def found():
    return fit(LAW, swept(noise=0.003))


def test_a_law_that_changes_within_the_data_is_further_off_the_split_than_a_right_one():
    random = np.random.default_rng(0)
    n, d = design()
    noise = np.exp(0.001 * random.standard_normal(n.size))
    floor, of_n, alpha, of_d, beta = TRUTH
    # Beyond 2e10 tokens data help more and more: later budgets ask for smaller models.
    bent = floor + of_n * n**-alpha + of_d * d**-beta * np.maximum(d / 2e10, 1) ** -0.3
    right, wrong = (
        split_error(fit(LAW, observations({"N": n, "D": d}, loss * noise)))
        for loss in (LAW.predict(TRUTH, [n, d]), bent)
    )
    assert right.source == wrong.source == "estimated"
    assert 4 * right.tau < wrong.tau


def test_too_few_budgets_leave_the_value_of_the_field():
    few = split_error(fit(LAW, swept(levels=3, side=8)))
    assert (few.tau, few.source) == (ASSUMED_SPLIT.tau, "assumed")


def test_the_headline_of_the_split_holds_that_of_the_exact_law(found):
    middle = float(np.exp(np.log(found.runs.scale).mean()))
    made = allocate(
        found, draw(found, Jackknife()), TAU, np.array([middle, 1e22, 1e23]),
        split=LawError(0.3, "estimated", 9), i_know=True,
    )  # fmt: skip
    for exact, headline in (
        (made.N, made.N_headline), (made.D, made.D_headline), (made.ratio, made.ratio_headline),
    ):  # fmt: skip
        assert headline.low[0] == pytest.approx(exact.low[0], rel=1e-9)
        assert (headline.low[1:] < exact.low[1:]).all()
        assert (headline.high[1:] > exact.high[1:]).all()
    reach = t_quantile(0.975, made.df)
    # D/N is off by twice what N is, the other way.
    for exact, headline, times in (
        (made.N, made.N_headline, 1), (made.D, made.D_headline, 1),
        (made.ratio, made.ratio_headline, 2),
    ):  # fmt: skip
        far, near = (np.log(one.high / one.value) for one in (headline, exact))
        np.testing.assert_allclose(
            far**2 - near**2,
            (reach * 0.3 * times * off_middle(made.budget, found.runs.scale)) ** 2,
            rtol=1e-9, atol=1e-12,
        )  # fmt: skip


def test_distance_from_the_middle_is_in_standard_deviations_of_log_compute():
    # Two budgets, two decades apart: their middle is 1e19 and one deviation is a decade.
    budgets = np.array([1e19, 1e21, 1e16])
    found = off_middle(budgets, np.array([1e18, 1e20, 1e18, 1e20]))
    np.testing.assert_allclose(found, [0, 2, 3], atol=1e-12)


def test_each_stage_measures_the_distance_by_the_runs_it_had(found):
    past = stages(found)
    told = _forecasts(found, past)
    assert len(told) == sum(int(past.label.max()) - cut for cut in past.cuts)
    first = told[: int(past.label.max()) - past.cuts[0]]
    known = np.log10(found.runs.scale[past.below[0]])
    for _, _, away, budget in first:
        assert away == pytest.approx(abs(np.log10(budget) - known.mean()) / known.std())


def test_one_budget_is_no_spread_to_measure_by():
    alone = np.full(9, 1e20)
    assert off_middle(np.array([1e20]), alone)[0] == 0
    assert off_middle(np.array([1e21]), alone)[0] == pytest.approx(np.log(10) / 0.5)
