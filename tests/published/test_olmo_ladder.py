"""OLMo's model ladder (Bhagia et al. 2024): the published forecast of the 13B model."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Huber
from scalefit.laws import LAWS

TARGET = {"N": np.array([13202396160.0]), "D": np.array([5.0e12])}


@pytest.fixture(scope="module")
def ladder(shared):
    table = shared("olmo-ladder/curves.csv")
    sizes, tokens, losses = [], [], []
    for run in np.unique(table["run"][table["role"] == "train"]):
        at = np.flatnonzero(table["run"] == run)
        at = at[np.isfinite(table["c4_loss"][at])]
        last = at[np.argsort(table["step"][at])][-5:]
        sizes.append(table["params"][last[0]])
        tokens.append(table["tokens"][last].max())
        losses.append(table["c4_loss"][last].mean())
    return observations({"N": sizes, "D": tokens}, losses)


def forecast(found):
    return float(found.law.predict(found.theta, [TARGET["N"], TARGET["D"]])[0])


def test_sixteen_runs_give_the_published_forecast(ladder):
    found = fit(LAWS.get("chinchilla"), ladder, objective=Huber(1e-3))
    assert ladder.n == 16
    assert forecast(found) == pytest.approx(2.344387, abs=5e-6)
    e, a, alpha, b, beta = found.theta
    assert (a, b) == pytest.approx((12.48, 33.48), abs=0.02)
    assert (e, alpha, beta) == pytest.approx((0.934, 0.104, 0.162), abs=1e-3)


def test_another_delta_tells_another_story_of_the_floor(ladder):
    found = fit(LAWS.get("chinchilla"), ladder, objective=Huber(1e-2))
    assert found.theta[0] == pytest.approx(1.50, abs=0.01)
    assert forecast(found) == pytest.approx(2.373, abs=1e-3)
