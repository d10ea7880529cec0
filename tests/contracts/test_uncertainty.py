"""Every interval method: reproducible by replicate number, right where a textbook says what is."""

import numpy as np
import pytest
from scipy.stats import t as student
from simulated import observations, runs_of

from scalefit.core.errors import InputError
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian, SquaredError
from scalefit.inference.uncertainty import METHODS, draw, interval
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.inference.uncertainty.student import t_quantile
from scalefit.laws import LAWS
from scalefit.laws.base import Law, Parameter


@pytest.fixture(params=METHODS.values(), ids=lambda kind: kind.name)
def method(request):
    return request.param()


def clustered(n=60, g=20, seed=0):
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.004, line=n)
    cluster = np.random.default_rng(seed).permutation(np.arange(n) % g)
    return observations(runs.inputs, runs.loss, cluster=cluster)


@pytest.fixture(scope="module")
def fitted():
    return fit(LAWS.get("power-floor"), clustered())


def test_the_same_seed_gives_the_same_bytes(method, fitted):
    first, second = draw(fitted, method, seed=5), draw(fitted, method, seed=5)
    assert first.theta.tobytes() == second.theta.tobytes()
    assert first.failed == second.failed


def test_a_replicate_is_the_same_in_any_chunk(method, fitted):
    runs, count = fitted.runs, min(method.count(fitted.runs), 40)
    together = method.weights(runs, 3, 0, count)
    for size in (1, 7):
        parts = [method.weights(runs, 3, i, min(i + size, count)) for i in range(0, count, size)]
        assert np.concatenate(parts).tobytes() == together.tobytes()


def test_a_cluster_is_weighed_as_one(method, fitted):
    weight = method.weights(fitted.runs, 1, 0, 10)
    for g in range(fitted.runs.clusters):
        own = weight[:, fitted.runs.cluster == g]
        assert (own == own[:, :1]).all()


def test_a_replicate_is_the_fit_to_copied_rows(method, fitted):
    weight = method.weights(fitted.runs, 1, 0, 3)
    drawn = draw(fitted, method, seed=1)
    for b in range(3):
        assert b not in drawn.failed
        at = np.repeat(np.arange(fitted.runs.n), weight[b].astype(int))
        copied = observations(
            {k: v[at] for k, v in fitted.runs.inputs.items()}, fitted.runs.loss[at]
        )
        again = fit(fitted.law, copied)
        x = [fitted.runs.inputs["x"]]
        np.testing.assert_allclose(
            fitted.law.predict(drawn.theta[b], x), fitted.law.predict(again.theta, x), rtol=1e-7
        )


def test_a_wider_level_holds_a_narrower_one(method, fitted):
    drawn = draw(fitted, method)
    value = fitted.theta[2:3]
    low, high = np.inf, -np.inf
    for level in (0.5, 0.8, 0.95, 0.99):
        found = interval(drawn, value, drawn.theta[:, 2:3], level, log=False)
        assert found.low[0] < low
        assert found.high[0] > high
        assert found.low[0] < value[0] < found.high[0]
        low, high = found.low[0], found.high[0]


def test_an_interval_on_the_logarithm_is_that_of_the_logarithm(method, fitted):
    drawn = draw(fitted, method)
    plain = interval(drawn, np.log(fitted.theta[1:2]), np.log(drawn.theta[:, 1:2]), 0.9, log=False)
    on_log = interval(drawn, fitted.theta[1:2], drawn.theta[:, 1:2], 0.9, log=True)
    np.testing.assert_allclose(
        [on_log.low, on_log.high, np.exp(on_log.se)],
        np.exp([plain.low, plain.high, plain.se]),
        rtol=1e-12,
    )


def test_too_few_clusters_are_refused(method):
    few = observations(
        {"x": np.geomspace(1, 1e4, 12)},
        1.5 + 8 * np.geomspace(1, 1e4, 12) ** -0.3 + 0.001 * np.cos(np.arange(12)),
        cluster=np.arange(12) % 4,
    )
    drawn = draw(fit(LAWS.get("power-floor"), few), method)
    assert drawn.refused
    found = interval(drawn, np.ones(1), np.ones((5, 1)), 0.95, log=False)
    assert np.isnan([found.low[0], found.high[0], found.se[0]]).all()


def test_no_interval_stands_on_less_than_two_draws(method, fitted):
    drawn = draw(fitted, method)
    assert np.isnan(interval(drawn, np.ones(1), np.ones((1, 1)), 0.95, log=False).low[0])


def test_weight_zero_rows_stay_out_of_every_replicate(method):
    base = clustered()
    weight = np.where(np.arange(base.n) % 5 == 0, 0.0, 1.0)
    silenced = observations(base.inputs, base.loss, weight=weight, cluster=base.cluster)
    spoilt = observations(
        base.inputs, np.where(weight > 0, base.loss, 2 * base.loss), weight=weight,
        cluster=base.cluster,
    )  # fmt: skip
    law = LAWS.get("power-floor")
    first, second = draw(fit(law, silenced), method), draw(fit(law, spoilt), method)
    np.testing.assert_allclose(first.theta, second.theta, rtol=1e-6)


def mean_law():
    """A law whose fit is the mean of the losses: everything about it is in textbooks."""
    return Law(
        name="mean",
        formula="L = m",
        source="textbook",
        loss=lambda x, *, m: m + 0 * x,
        parameters=(Parameter("m", 0.0, 10.0, (1.0,), linear=True, relative_to="loss"),),
        example={"m": 1.0},
    )


def line_law():
    def loss(x, *, a, b):
        return a + b * x

    return Law(
        name="line",
        formula="L = a + b x",
        source="textbook",
        loss=loss,
        parameters=(
            Parameter("a", -100.0, 100.0, (1.0,), linear=True),
            Parameter("b", -100.0, 100.0, (1.0,), linear=True),
        ),
        example={"a": 1.0, "b": 1.0},
    )


def test_the_jackknife_of_a_mean_is_the_standard_error_of_the_mean():
    loss = np.random.default_rng(3).normal(3, 0.2, 25)
    runs = observations({"x": np.arange(1.0, 26)}, loss)
    found = fit(mean_law(), runs, objective=SquaredError())
    drawn = draw(found, Jackknife())
    made = interval(drawn, found.theta, drawn.theta, 0.95, log=False)
    se = loss.std(ddof=1) / np.sqrt(25)
    assert found.theta[0] == pytest.approx(loss.mean(), rel=1e-12)
    assert made.se[0] == pytest.approx(se, rel=1e-6)
    assert made.high[0] - made.value[0] == pytest.approx(student.ppf(0.975, 24) * se, rel=1e-6)
    assert drawn.df == 24


def test_the_cluster_jackknife_of_a_line_is_cv3():
    # CV3 of MacKinnon, Nielsen & Webb by its closed form: X'X, clusters taken out by algebra.
    random = np.random.default_rng(8)
    x = random.uniform(1, 5, 40)
    cluster = np.arange(40) % 8
    loss = 2 + 0.3 * x + random.normal(0, 0.1, 8)[cluster] + random.normal(0, 0.05, 40)
    runs = observations({"x": x}, loss, cluster=cluster)
    found = fit(line_law(), runs, objective=SquaredError())
    drawn = draw(found, Jackknife())
    made = interval(drawn, found.theta, drawn.theta, 0.95, log=False)
    design = np.stack([np.ones(40), x], axis=1)
    best = np.linalg.lstsq(design, loss, rcond=None)[0]
    meat = np.zeros((2, 2))
    for g in range(8):
        kept = cluster != g
        without = np.linalg.lstsq(design[kept], loss[kept], rcond=None)[0]
        meat += np.outer(without - best, without - best)
    np.testing.assert_allclose(found.theta, best, rtol=1e-10)
    np.testing.assert_allclose(made.se, np.sqrt(7 / 8 * np.diag(meat)), rtol=1e-6)


def test_the_bootstrap_of_a_mean_has_the_variance_that_theory_gives():
    loss = np.random.default_rng(4).normal(3, 0.2, 30)
    runs = observations({"x": np.arange(1.0, 31)}, loss)
    found = fit(mean_law(), runs, objective=SquaredError())
    drawn = draw(found, Bootstrap(draws=4000), seed=1)
    # Var of a resampled mean is the population variance over n; 4,000 draws give it to 2 %.
    assert drawn.theta[:, 0].std() == pytest.approx(loss.std() / np.sqrt(30), rel=0.04)
    made = interval(drawn, found.theta, drawn.theta, 0.9, log=False)
    assert (drawn.theta[:, 0] < made.low[0]).mean() == pytest.approx(0.05, abs=0.002)
    assert (drawn.theta[:, 0] > made.high[0]).mean() == pytest.approx(0.05, abs=0.002)


def test_bootstrap_counts_are_uniform_and_keep_the_number_of_clusters():
    runs = clustered(n=60, g=60)
    weight = Bootstrap().weights(runs, 9, 0, 2000)
    assert (weight.sum(axis=1) == 60).all()
    # Each cluster's count over 2,000 replicates is binomial with mean 2,000.
    assert np.abs(weight.sum(axis=0) - 2000).max() < 4.5 * np.sqrt(2000)
    assert weight.var() == pytest.approx(1 - 1 / 60, rel=0.03)


def test_other_seeds_and_other_replicates_draw_otherwise():
    runs = clustered()
    first, second = Bootstrap().weights(runs, 0, 0, 50), Bootstrap().weights(runs, 1, 0, 50)
    rows = {row.tobytes() for row in np.concatenate([first, second])}
    assert len(rows) == 100


def test_clusters_of_copies_have_the_interval_of_the_originals():
    base = clustered(n=30, g=30)
    twice = observations(
        {"x": np.tile(base.inputs["x"], 2)},
        np.tile(base.loss, 2),
        cluster=np.tile(base.cluster, 2),
    )
    law = LAWS.get("power-floor")
    made = []
    for runs in (base, twice):
        found = fit(law, runs, objective=Gaussian())
        drawn = draw(found, Jackknife())
        made.append(interval(drawn, found.theta, drawn.theta, 0.95, log=False))
    np.testing.assert_allclose(made[1].se, made[0].se, rtol=1e-5)


@pytest.mark.parametrize("draws", [0, 19, -3, 10**8])
def test_numbers_of_replicates_without_quantiles_or_end_are_refused(draws):
    with pytest.raises(InputError):
        Bootstrap(draws=draws)


def test_quantiles_of_t_are_scipys():
    for p in (0.6, 0.9, 0.975, 0.9995):
        for df in (1, 2.5, 9, 239):
            assert t_quantile(p, df) == pytest.approx(student.ppf(p, df), rel=1e-10)
