"""The error of the best split at earlier stages, and the headline that holds it."""

import numpy as np
import pytest
from test_forecasts import swept

from scalefit.inference.allocation import ASSUMED_SPLIT, allocate
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import LawError
from scalefit.inference.split_error import split_error
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")
TAU = LawError(0.01, "estimated", 5)


@pytest.fixture(scope="module")
def found():
    return fit(LAW, swept(noise=0.003))


def test_a_right_law_is_less_wrong_about_the_split_than_a_wrong_one(found):
    random = np.random.default_rng(0)
    base = swept(noise=0.0)
    n, d = base.inputs["N"], base.inputs["D"]
    # Training that gets better with data as it grows: later budgets ask for another split.
    from simulated import observations

    loss = base.loss * np.exp(-0.01 * np.log(d / d.min()) ** 2 / 10)
    bent = observations({"N": n, "D": d}, loss * np.exp(0.003 * random.standard_normal(n.size)))
    right, wrong = split_error(found), split_error(fit(LAW, bent))
    assert right.source == wrong.source == "estimated"
    assert right.tau < wrong.tau


def test_too_few_budgets_leave_the_value_of_the_field():
    few = split_error(fit(LAW, swept(levels=3, side=8)))
    assert (few.tau, few.source) == (ASSUMED_SPLIT.tau, "assumed")


def test_the_headline_of_the_split_holds_that_of_the_exact_law(found):
    made = allocate(
        found, draw(found, Jackknife()), TAU, np.array([5e20, 1e22, 1e23]),
        split=LawError(0.3, "estimated", 9), i_know=True,
    )  # fmt: skip
    for exact, headline in (
        (made.N, made.N_headline), (made.D, made.D_headline), (made.ratio, made.ratio_headline),
    ):  # fmt: skip
        assert headline.low[0] == pytest.approx(exact.low[0], rel=1e-12)
        assert (headline.low[1:] < exact.low[1:]).all()
        assert (headline.high[1:] > exact.high[1:]).all()
    far = np.log(made.N_headline.high / made.N.value)
    near = np.log(made.N.high / made.N.value)
    from scalefit.inference.uncertainty.student import t_quantile

    reach = t_quantile(0.975, made.df)
    np.testing.assert_allclose(
        far**2 - near**2, (reach * 0.3 * made.decades) ** 2, rtol=1e-9, atol=1e-12
    )
