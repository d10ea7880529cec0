"""Predictions: nested intervals, distances in decades, and words that follow from both."""

import numpy as np
import pytest
from scipy.stats import t as student
from simulated import observations, predicted, runs_of

from scalefit.core.errors import InputError
from scalefit.inference import doubts
from scalefit.inference.allocation import allocate
from scalefit.inference.averaging import average_allocations
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import LawError
from scalefit.inference.objectives import Gaussian, SquaredError
from scalefit.inference.prediction import predict
from scalefit.inference.uncertainty import METHODS, draw
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.laws import LAWS

LAW = LAWS.get("power-floor")
TAU = LawError(0.02, "estimated", 5)


@pytest.fixture(scope="module")
def fitted():
    x = np.geomspace(1e2, 1e5, 30)
    noise = 0.004 * np.random.default_rng(0).standard_normal(30)
    return fit(
        LAW, observations({"x": x}, (1.5 + 8 * x**-0.3) * np.exp(noise)), objective=Gaussian()
    )


@pytest.fixture(scope="module")
def drawn(fitted):
    return draw(fitted, Jackknife())


def at(fitted, drawn, x, **settings):
    return predict(fitted, drawn, settings.pop("tau", TAU), {"x": np.asarray(x)}, **settings)


def test_the_point_is_the_law_at_the_estimate(fitted, drawn):
    x = np.array([1e2, 1e4, 1e6])
    np.testing.assert_array_equal(at(fitted, drawn, x).band.loss, predicted(fitted, {"x": x}))


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_three_intervals_are_nested(fitted, method, level):
    made = at(fitted, draw(fitted, method()), np.geomspace(10, 1e7, 13), level=level)
    exact, run, head = made.band.exact, made.band.new_run, made.band.headline
    assert (exact.low < made.band.loss).all()
    assert (made.band.loss < exact.high).all()
    assert (run.low < exact.low).all()
    assert (run.high > exact.high).all()
    assert (head.low <= run.low).all()
    assert (head.high >= run.high).all()
    beyond = made.decades > 0
    assert (head.high[beyond] > run.high[beyond]).all()
    np.testing.assert_array_equal(head.high[~beyond], run.high[~beyond])


def test_variances_add_in_log_loss(fitted, drawn):
    x = np.array([1e7])
    made = at(fitted, drawn, x)
    values = np.log(LAW.predict(drawn.theta, [x]))[:, 0]
    middle = np.log(made.band.loss[0])
    n = len(values)
    parameters = (n - 1) / n * ((values - middle) ** 2).sum()
    # Least squares: the unbiased noise of one run.
    noise = (fitted.residual**2).sum() / (fitted.runs.n - 3)
    law = 0.02**2 * 2**3
    reach = student.ppf(0.975, fitted.runs.n - 1)
    for interval, variance in (
        (made.band.exact, parameters),
        (made.band.new_run, parameters + noise),
        (made.band.headline, parameters + noise + law),
    ):
        assert np.log(interval.high[0]) - middle == pytest.approx(
            reach * np.sqrt(variance), rel=1e-6
        )
        assert interval.se[0] == pytest.approx(np.sqrt(variance), rel=1e-6)
    np.testing.assert_allclose(
        made.band.share[:, 0],
        np.array([parameters, noise, law]) / (parameters + noise + law),
        rtol=1e-6,
    )


def test_the_law_error_of_nothing_adds_nothing(fitted, drawn):
    made = at(fitted, drawn, [1e7], tau=LawError(0.0, "estimated", 9))
    np.testing.assert_array_equal(made.band.headline.high, made.band.new_run.high)


def test_distance_is_counted_in_decades_outside_the_data(fitted, drawn):
    made = at(fitted, drawn, [1e0, 1e2, 3e3, 1e5, 1e6, 3.1622776601683795e6])
    np.testing.assert_allclose(made.decades, [2, 0, 0, 0, 1, 1.5], atol=1e-9)


def test_words_of_trust_follow_the_distance(fitted, drawn):
    made = at(fitted, drawn, [1e4, 2e5, 3.1e5, 4e5, 3.1e6, 3.3e6, 5e1])
    assert made.trust == ("inside", "near", "near", "far", "far", "speculative", "near")


def test_a_short_span_makes_half_of_it_the_limit():
    x = np.geomspace(1e3, 1e4, 20)
    noise = 0.004 * np.random.default_rng(1).standard_normal(20)
    found = fit(LAW, observations({"x": x}, (1.5 + 8 * x**-0.3) * np.exp(noise)))
    drawn = draw(found, Jackknife())
    assert at(found, drawn, [2.9e4]).trust == ("near",)
    assert at(found, drawn, [3.5e4]).trust == ("speculative",)


SURFACE = LAWS.get("chinchilla")


@pytest.fixture(scope="module")
def surface():
    """A grid of 6 sizes, 1e8 to 1e10, and 6 token counts, 1e9 to 1e12, with its refits."""
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
    jitter = np.exp(0.003 * np.random.default_rng(4).standard_normal(36))
    loss = SURFACE.predict(np.array([[SURFACE.example[p] for p in SURFACE.names]]), [n, d])[0]
    found = fit(SURFACE, observations({"N": n, "D": d}, loss * jitter))
    return found, draw(found, Jackknife())


def on(surface, n, d, **asked):
    return predict(*surface, TAU, {"N": np.atleast_1d(n), "D": np.atleast_1d(d)}, **asked)


def test_size_or_tokens_beyond_the_runs_are_a_distance_though_compute_is_not(surface):
    n, d = [1e9, 2e10, 1e11, 1e12, 1e9, 3e11], [1e10, 1e10, 1e9, 1e9, 3e8, 3e11]
    made = on(surface, n, d)
    # The last lies further out in size than in compute: 1.48 decades of N and 0.95 of C.
    np.testing.assert_allclose(made.decades, [0, 0.301, 1, 2, 0.523, 1.477], atol=1e-3)
    assert made.trust == ("inside", "near", "far", "speculative", "far", "speculative")
    np.testing.assert_allclose(
        made.band.headline.se**2 - made.band.new_run.se**2, 0.02**2 * made.decades**3, rtol=1e-6
    )
    assert codes(made, 0) == []
    assert made.notes[3][0].message.startswith("2 decades of N beyond the data")
    assert "2 decades of N beyond 2 decades of data is speculation" in [
        note.message for note in made.notes[3]
    ]


def test_an_answer_is_refused_only_by_its_distance_in_compute(surface):
    # Three decades of N from two of data, at a compute that others had.
    assert on(surface, 1e13, 1e8).trust == ("speculative",)
    assert on(surface, 1e13, 1e16).trust == ("refused",)


def test_an_average_lies_as_far_out_as_the_farthest_of_its_laws(surface):
    near, far = (allocate(*surface, TAU, np.array([c])) for c in (1e21, 1e23))
    made = average_allocations([near, far], ["a", "b"], np.array([0.9, 0.1]))
    assert (made.decades, made.trust) == (far.decades, far.trust)
    assert near.trust != far.trust


def codes(made, k=0):
    return [note.code for note in made.notes[k]]


def test_beyond_the_span_the_number_is_refused_unless_asked_for(fitted, drawn):
    made = at(fitted, drawn, [0.9e8, 1.1e8])
    assert doubts.TOO_FAR.name not in codes(made, 0)
    assert codes(made, 1) == [doubts.TOO_FAR.name]
    assert made.notes[1][0].severity == "refusal"
    asked = at(fitted, drawn, [1.1e8], i_know=True)
    assert codes(asked) == [doubts.NO_NEW_REGIME.name, doubts.SPECULATIVE.name]


def test_beyond_the_data_no_new_regime_is_assumed_in_words(fitted, drawn):
    made = at(fitted, drawn, [1e4, 2e5])
    assert codes(made, 0) == []
    assert codes(made, 1) == [doubts.NO_NEW_REGIME.name]


def test_ratios_outside_those_of_the_runs_are_noted():
    law = LAWS.get("chinchilla")
    found = fit(law, runs_of(law, noise=0.003))
    drawn = draw(found, Jackknife())
    ratio = found.runs.inputs["D"] / found.runs.inputs["N"]
    n = np.array([1e9, 1e9])
    d = n * np.array([ratio.max() * 1.5, np.median(ratio)])
    made = predict(found, drawn, TAU, {"N": n, "D": d})
    assert doubts.OFF_RAY.name in codes(made, 0)
    assert doubts.OFF_RAY.name not in codes(made, 1)
    np.testing.assert_allclose(made.scale, 6 * n * d)


@pytest.mark.parametrize("points", [{}, {"x": [0.0]}, {"x": [-1.0]}, {"x": [np.nan]}, {"y": [1.0]}])
def test_points_that_are_none_are_refused(fitted, drawn, points):
    with pytest.raises(InputError):
        predict(fitted, drawn, TAU, {k: np.array(v) for k, v in points.items()})


def test_a_point_that_is_none_is_told_by_its_number_and_value(fitted, drawn):
    with pytest.raises(InputError, match="point 2: x is -3, must be positive"):
        predict(fitted, drawn, TAU, {"x": np.array([1.0, -3.0])})


def test_inputs_of_different_length_are_refused():
    law = LAWS.get("chinchilla")
    found = fit(law, runs_of(law, noise=0.003))
    with pytest.raises(InputError, match="length"):
        predict(
            found, draw(found, Jackknife()), TAU, {"N": np.ones(2) * 1e9, "D": np.ones(3) * 1e10}
        )


def test_the_band_of_a_raw_loss_fit_is_relative_to_the_loss_at_the_point():
    x = np.geomspace(1e2, 1e5, 40)
    noise = 0.02 * np.random.default_rng(2).standard_normal(40)
    found = fit(LAW, observations({"x": x}, 1.5 + 8 * x**-0.3 + noise), objective=SquaredError())
    made = at(found, draw(found, Jackknife()), [1e2, 1e5])
    sigma = np.sqrt((found.residual**2).sum() / 37)
    run = np.sqrt(made.band.new_run.se**2 - made.band.exact.se**2)
    np.testing.assert_allclose(run * made.band.loss, sigma, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "inside", "outside", "words"),
    [
        ("precision", {"P": 8.0}, {"P": 16.0}, "P = 16 lies outside the runs' 2 to 8"),
        ("data-constrained", {"U": 1e15}, {"U": 1e8}, "epochs = 200 lies outside the runs' 1 to "),
    ],
)
def test_an_input_beside_size_and_tokens_is_doubted_outside_its_runs(name, inside, outside, words):
    law = LAWS.get(name)
    (other,) = set(law.inputs) - {"N", "D"}
    values = {"P": [2.0, 4.0, 8.0], "U": [2e9, 1e10, 2e11]}[other]
    axes = {"N": np.geomspace(1e8, 1e10, 4), "D": np.geomspace(2e9, 2e11, 4), other: values}
    inputs = dict(zip(axes, map(np.ravel, np.meshgrid(*axes.values())), strict=True))
    theta = np.array([[law.example[p] for p in law.names]])
    loss = law.predict(theta, [inputs[i] for i in law.inputs])[0]
    noise = np.exp(0.003 * np.random.default_rng(1).standard_normal(loss.size))
    found = fit(law, observations(inputs, loss * noise))
    drawn = draw(found, Jackknife())
    told = []
    for more in (inside, outside):
        points = {k: np.array([v]) for k, v in ({"N": 1e9, "D": 2e10} | more).items()}
        said = predict(found, drawn, LawError(0.02, "assumed", 0), points)
        told.append([n.message for n in said.notes[0] if n.code == "off-range"])
    assert told[0] == []
    assert told[1][0].startswith(words)
