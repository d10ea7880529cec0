"""Every interval method: reproducible by replicate number, right where a textbook says what is."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.stats import t as student
from simulated import observations, runs_of

from scalefit.core.errors import InputError
from scalefit.core.tails import t_quantile
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian, SquaredError
from scalefit.inference.uncertainty import METHODS, draw, interval
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.inference.uncertainty.sandwich import _inverse
from scalefit.laws import LAWS
from scalefit.laws.base import Law, Parameter


def few(kind):
    """The method with as many draws as a promise needs, where it draws."""
    return kind(draws=200) if any(f.name == "draws" for f in fields(kind)) else kind()


@pytest.fixture(params=METHODS.values(), ids=lambda kind: kind.name)
def method(request):
    return few(request.param)


@pytest.fixture(
    params=[kind for kind in METHODS if hasattr(kind, "weights")], ids=lambda kind: kind.name
)
def weigher(request):
    return few(request.param)


@pytest.fixture(
    params=[kind for kind in METHODS if not hasattr(kind, "weights")], ids=lambda kind: kind.name
)
def maker(request):
    return few(request.param)


def clustered(n=60, g=20, seed=0):
    law = LAWS.get("power-floor")
    runs = runs_of(law, noise=0.004, line=n)
    cluster = np.random.default_rng(seed).permutation(np.arange(n) % g)
    return observations(runs.inputs, runs.loss, cluster=cluster)


@pytest.fixture(scope="module")
def fitted():
    return fit(LAWS.get("power-floor"), clustered())


@pytest.fixture(scope="module")
def singles():
    return fit(LAWS.get("power-floor"), clustered(g=60))


@pytest.fixture
def suited(method, fitted, singles):
    """A fit that the method takes: some take rows one by one."""
    try:
        draw(fitted, replace(method, draws=20) if hasattr(method, "draws") else method)
    except InputError:
        return singles
    return fitted


def test_the_same_seed_gives_the_same_bytes(method, suited):
    first, second = draw(suited, method, seed=5), draw(suited, method, seed=5)
    assert first.theta.tobytes() == second.theta.tobytes()
    assert first.failed == second.failed


def test_a_replicate_is_the_same_in_any_chunk(weigher, fitted):
    runs, count = fitted.runs, min(weigher.count(fitted.runs), 40)
    together = weigher.weights(runs, 3, 0, count)
    for size in (1, 7):
        parts = [weigher.weights(runs, 3, i, min(i + size, count)) for i in range(0, count, size)]
        assert np.concatenate(parts).tobytes() == together.tobytes()


def test_a_cluster_is_weighed_as_one(weigher, fitted):
    weight = weigher.weights(fitted.runs, 1, 0, 10)
    for g in range(fitted.runs.clusters):
        own = weight[:, fitted.runs.cluster == g]
        assert (own == own[:, :1]).all()


def test_a_replicate_is_the_fit_to_rows_so_weighed(weigher, fitted):
    count = weigher.count(fitted.runs)
    weight = weigher.weights(fitted.runs, 1, 0, count)
    drawn = draw(fitted, weigher, seed=1)
    for b in (0, 1, count - 1):
        assert b not in drawn.failed
        again = fit(fitted.law, replace(fitted.runs, weight=weight[b]))
        x = [fitted.runs.inputs["x"]]
        theta = drawn.theta[np.flatnonzero(drawn.number == b)[0]]
        np.testing.assert_allclose(
            fitted.law.predict(theta, x), fitted.law.predict(again.theta, x), rtol=1e-7
        )


def test_made_replicates_are_the_same_in_any_chunk(maker, singles):
    count = min(maker.count(singles.runs), 23)
    together = maker.refits(singles, 3, 0, count)
    for size in (1, 7):
        parts = [maker.refits(singles, 3, i, min(i + size, count)) for i in range(0, count, size)]
        assert np.concatenate([part.u for part in parts]).tobytes() == together.u.tobytes()


def test_a_wider_level_holds_a_narrower_one(method, suited):
    drawn = draw(suited, method)
    value = suited.theta[2:3]
    low, high = np.inf, -np.inf
    for level in (0.5, 0.8, 0.95, 0.99):
        found = interval(
            drawn, value, drawn.theta[:, 2:3], level, log=False, of=lambda theta: theta[:, 2:3]
        )
        assert found.low[0] < low
        assert found.high[0] > high
        assert found.low[0] < value[0] < found.high[0]
        low, high = found.low[0], found.high[0]


def test_an_interval_on_the_logarithm_is_that_of_the_logarithm(method, suited):
    drawn = draw(suited, method)
    column = drawn.theta[:, 1:2]
    plain = interval(
        drawn, np.log(suited.theta[1:2]), np.log(column), 0.9, log=False,
        of=lambda theta: np.log(theta[:, 1:2]),
    )  # fmt: skip
    on_log = interval(
        drawn, suited.theta[1:2], column, 0.9, log=True, of=lambda theta: theta[:, 1:2]
    )
    np.testing.assert_allclose(
        [on_log.low, on_log.high, np.exp(on_log.se)],
        np.exp([plain.low, plain.high, plain.se]),
        rtol=1e-12,
    )


def test_too_few_clusters_are_refused(method):
    x = np.geomspace(1, 1e4, 5)
    runs = observations({"x": x}, 1.5 + 8 * x**-0.3 + 0.001 * np.cos(np.arange(5)))
    drawn = draw(fit(LAWS.get("power-floor"), runs, objective=Gaussian()), method)
    assert drawn.refused
    found = interval(drawn, np.ones(1), np.ones((5, 1)), 0.95, log=False)
    assert np.isnan([found.low[0], found.high[0], found.se[0]]).all()


def test_no_interval_stands_on_less_than_two_draws(method, suited):
    drawn = draw(suited, method)
    assert np.isnan(interval(drawn, np.ones(1), np.ones((1, 1)), 0.95, log=False).low[0])


def test_weight_zero_rows_stay_out_of_every_replicate(method):
    base = clustered(g=60)
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


def simple_line(n=40, seed=3):
    random = np.random.default_rng(seed)
    x = np.linspace(1, 5, n)
    return fit(
        line_law(),
        observations({"x": x}, 2 + 0.3 * x + random.normal(0, 0.1, n)),
        objective=SquaredError(),
    )


def half_width(found, kind, level=0.95):
    drawn = draw(found, kind, seed=2)
    made = interval(
        drawn, found.theta[1:], drawn.theta[:, 1:], level, log=False, of=lambda theta: theta[:, 1:]
    )
    return made.se[0], (made.high[0] - made.low[0]) / 2


def line_se(found):
    """Of the slope of an ordinary line, by the textbook."""
    x = found.runs.inputs["x"]
    sigma = np.sqrt((found.residual**2).sum() / (x.size - 2))
    return sigma / np.sqrt(((x - x.mean()) ** 2).sum())


@pytest.mark.parametrize("name", ["parametric", "residual"])
def test_made_up_noise_has_the_spread_of_the_textbook(name):
    found = simple_line()
    se, _ = half_width(found, METHODS.get(name)(draws=4000))
    assert se == pytest.approx(line_se(found), rel=0.05)


def test_the_profile_of_a_line_is_its_t_interval():
    found = simple_line()
    _, half = half_width(found, METHODS.get("profile")())
    assert half == pytest.approx(student.ppf(0.975, 38) * line_se(found), rel=1e-5)


def test_the_profile_names_the_degrees_of_freedom_of_its_allowance():
    found = simple_line()
    drawn = draw(found, METHODS.get("profile")())
    assert drawn.df == found.runs.n - found.problem.p
    # What is built on its standard errors takes them back to its ends.
    se, half = half_width(found, METHODS.get("profile")())
    assert half == pytest.approx(t_quantile(0.975, drawn.df) * se, rel=1e-6)


def test_the_profile_of_a_curve_is_lmfits():
    import lmfit

    random = np.random.default_rng(0)
    x = np.geomspace(1, 1e4, 30)
    loss = (1.5 + 8 * x**-0.3) * np.exp(random.normal(0, 0.01, 30))
    found = fit(LAWS.get("power-floor"), observations({"x": x}, loss), objective=Gaussian())
    given = lmfit.Parameters()
    for name, value in zip(found.law.names, found.theta, strict=True):
        given.add(name, value)

    def residual(parameters):
        return np.log(loss) - np.log(found.law.loss(x, **parameters.valuesdict()))

    rival = lmfit.Minimizer(residual, given)
    best = rival.minimize()
    known = lmfit.conf_interval(rival, best, sigmas=[0.95])
    drawn = draw(found, METHODS.get("profile")())
    for k, name in enumerate(found.law.names):
        made = interval(
            drawn, found.theta[k : k + 1], drawn.theta[:, k : k + 1], 0.95, log=False,
            of=lambda theta, k=k: theta[:, k : k + 1],
        )  # fmt: skip
        tolerance = 1e-3 * best.params[name].stderr
        assert made.low[0] == pytest.approx(known[name][0][1], abs=tolerance)
        assert made.high[0] == pytest.approx(known[name][2][1], abs=tolerance)


def test_a_profile_that_does_not_close_is_open():
    random = np.random.default_rng(1)
    x = np.geomspace(1, 30, 14)
    loss = (0.2 + 3 * x**-0.2) * np.exp(random.normal(0, 0.02, 14))
    found = fit(LAWS.get("power-floor"), observations({"x": x}, loss), objective=Gaussian())
    drawn = draw(found, METHODS.get("profile")())
    floor = interval(
        drawn, found.theta[:1], drawn.theta[:, :1], 0.95, log=False, of=lambda theta: theta[:, :1]
    )
    assert np.isneginf(floor.low[0])
    assert np.isfinite(floor.high[0])


def test_a_parameter_on_a_bound_is_open_beyond_it_and_closed_where_the_runs_object():
    free = simple_line()
    reach = student.ppf(0.975, 38) * line_se(free)
    top = free.theta[1] - reach
    held = fit(free.law, free.runs, objective=SquaredError(), bound={"b": (-100.0, top)})
    assert held.certificate.bounds == ("b",)
    made = METHODS.get("profile")().search(held, lambda theta: theta[:, 1:], 0.95)
    assert np.isposinf(made.high[0])
    # Squares grow by ((b - best) / se)^2 s^2: from the bound down they may grow by the same factor
    # as from the best one up to where its own interval ends.
    lower = free.theta[1] - reach * np.sqrt(2 + reach**2 / (38 * line_se(free) ** 2))
    assert made.low[0] == pytest.approx(lower, rel=1e-4)


def test_the_delta_method_of_a_line_is_the_cluster_sandwich():
    # CR1 by its closed form: (X'X)^-1 sum_g X_g' e_g e_g' X_g (X'X)^-1, scaled.
    random = np.random.default_rng(8)
    x = random.uniform(1, 5, 40)
    cluster = np.arange(40) % 8
    loss = 2 + 0.3 * x + random.normal(0, 0.1, 8)[cluster] + random.normal(0, 0.05, 40)
    found = fit(line_law(), observations({"x": x}, loss, cluster=cluster), objective=SquaredError())
    design = np.stack([np.ones(40), x], axis=1)
    bread = np.linalg.inv(design.T @ design)
    error = loss - design @ (bread @ design.T @ loss)
    scores = np.array([design[cluster == g].T @ error[cluster == g] for g in range(8)])
    covariance = bread @ scores.T @ scores @ bread * 8 / 7 * 39 / 38
    se, half = half_width(found, METHODS.get("delta")())
    assert se == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-5)
    assert half == pytest.approx(student.ppf(0.975, 7) * se, rel=1e-9)


def test_weights_of_rows_count_in_refits_to_made_up_losses():
    law = LAWS.get("power-floor")
    plain = runs_of(law, noise=0.05, line=30)
    weight = np.geomspace(0.05, 20, 30)
    found = fit(law, observations(dict(plain.inputs), plain.loss, weight=weight))
    made = METHODS.get("wild")(draws=20).refits(found, 0, 0, 1)  # the first is the estimate
    np.testing.assert_allclose(made.u[0], found.u, rtol=1e-6, atol=1e-6)


def test_a_form_that_is_positive_by_rounding_alone_has_no_inverse():
    # Three parameters and two rows that count, as in wild refits with few rows in Huber's band:
    # Cholesky's factor exists, and the last pivot of LU is zero to the bit.
    slopes = np.array([[6.0, 1.0], [-1.0, -6.0], [3.0, 4.0]])
    form = slopes @ slopes.T
    assert _inverse(form) is None
    firm = form + 1e-3 * np.eye(3)
    np.testing.assert_allclose(_inverse(firm) @ firm, np.eye(3), atol=1e-8)


def test_calibrated_draws_are_as_wide_as_the_jackknife():
    found = fit(LAWS.get("power-floor"), clustered())
    value = found.theta[2:3]
    widths = []
    for kind in (METHODS.get("calibrated")(draws=400), Jackknife()):
        drawn = draw(found, kind)
        made = interval(drawn, value, drawn.theta[:, 2:3], 0.95, log=False)
        widths.append(made.high[0] - made.low[0])
    assert widths[0] == pytest.approx(widths[1], rel=1e-9)


def test_stratified_draws_never_lose_an_end_of_the_design():
    runs = clustered(n=60, g=60)
    kind = METHODS.get("calibrated")(draws=300)
    weight = kind.weights(runs, 0, 60, 360)
    assert (weight.sum(axis=1) == 60).all()
    order = np.argsort(runs.inputs["x"])
    for end in (order[:5], order[-5:]):
        assert (weight[:, end].sum(axis=1) > 0).all()


def test_wild_weights_keep_every_row_and_the_spread_of_the_line():
    found = simple_line(60)
    kind = METHODS.get("wild")(draws=999)
    se, half = half_width(found, kind)
    assert se == pytest.approx(line_se(found), rel=0.25)
    assert half == pytest.approx(student.ppf(0.975, 58) * line_se(found), rel=0.25)


@pytest.mark.parametrize("name", ["residual", "parametric"])
def test_methods_of_single_rows_refuse_clusters(name, fitted):
    with pytest.raises(InputError, match="clusters"):
        draw(fitted, METHODS.get(name)())
