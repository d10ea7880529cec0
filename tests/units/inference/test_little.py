"""The bag of little bootstraps: as wide as the jackknife, the same in any order, and labelled."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian
from scalefit.inference.uncertainty import METHODS, draw, interval, little
from scalefit.laws import LAWS

LAW = LAWS.get("power-floor")


def runs(n):
    random = np.random.default_rng(3)
    x = np.exp(random.uniform(5, 15, n))
    noise = np.exp(0.01 * (1 + np.log(x) / 10) * random.standard_normal(n))
    return observations({"x": x}, (1.5 + 8 * x**-0.3) * noise)


@pytest.fixture(scope="module")
def found():
    return fit(LAW, runs(6000), objective=Gaussian())


@pytest.fixture
def many(monkeypatch):
    """Six thousand runs are very many."""
    monkeypatch.setattr(little, "_FROM_ROWS", 5000)
    monkeypatch.setattr(little, "_FROM_CLUSTERS", 5000)
    monkeypatch.setattr(little, "_SETS", 10)
    little._dealt.cache_clear()
    yield
    little._dealt.cache_clear()


def errors(drawn):
    return np.concatenate(
        [
            interval(
                drawn, drawn.estimate[i : i + 1], drawn.theta[:, i : i + 1], 0.95, log=False
            ).se
            for i in range(drawn.estimate.size)
        ]
    )


def test_few_runs_are_drawn_whole(found):
    assert draw(found, METHODS.get("bootstrap")(draws=20)).method.words == (
        "cluster-bootstrap-percentile"
    )


@pytest.mark.usefixtures("many")
def test_very_many_runs_are_drawn_in_little_sets_and_the_interval_says_so(found):
    drawn = draw(found, METHODS.get("bootstrap")(draws=600))
    assert drawn.method.words == "bag-of-little-bootstraps-percentile"
    assert drawn.tried == len(drawn.theta) == 600
    np.testing.assert_allclose(
        errors(drawn), errors(draw(found, METHODS.get("jackknife")())), rtol=0.2
    )
    # The draws lie about the estimate, not about those of the little sets.
    apart = np.abs(drawn.theta.mean(axis=0) - drawn.estimate) / drawn.theta.std(axis=0)
    assert (apart < 0.2).all()


@pytest.mark.usefixtures("many")
def test_draws_do_not_depend_on_who_makes_them(found):
    method = METHODS.get("bootstrap")(draws=47)
    once = draw(found, method)
    in_threes = draw(
        found, method,
        fan=lambda task, spans: [
            task((k, min(k + 3, last))) for first, last in spans for k in range(first, last, 3)
        ],
    )  # fmt: skip
    assert once.theta.tobytes() == in_threes.theta.tobytes()
    assert draw(found, method, seed=1).theta.tobytes() != once.theta.tobytes()


@pytest.mark.usefixtures("many")
def test_no_run_is_in_two_sets(found):
    dealt = little._dealt(0, 6000)
    assert dealt.shape == (10, 442)
    assert len(np.unique(dealt)) == dealt.size
