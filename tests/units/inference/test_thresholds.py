"""Numbers at which a word changes: each is crossed from both sides."""

import dataclasses

import numpy as np
import pytest
from simulated import example, observations, runs_of

from scalefit.core.errors import FitError
from scalefit.inference import comparison
from scalefit.inference.allocation import allocate
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import LawError
from scalefit.inference.gates import GATES
from scalefit.inference.objectives import Gaussian, Huber
from scalefit.inference.prediction import trust
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")
TAU = LawError(0.02, "assumed", 0)


def near_a_ray(off, noise=0.002, law=LAW):
    """Runs at twenty tokens per parameter, a little off it."""
    random = np.random.default_rng(4)
    n = np.geomspace(1e7, 1e10, 40)
    d = 20 * n * np.exp(off * random.standard_normal(40))
    loss = law.predict(example(law), [n, d])
    return observations({"N": n, "D": d}, loss * np.exp(noise * random.standard_normal(40)))


def test_runs_at_a_correlation_above_four_nines_lie_on_one_line():
    for off, refused in ((0.02, True), (0.05, False)):
        runs = near_a_ray(off)
        r = np.corrcoef(np.log(runs.inputs["N"]), np.log(runs.inputs["D"]))[0, 1]
        assert bool(r > 0.9999) is refused
        assert r > 0.999
        found = fit(LAWS.get("kaplan"), near_a_ray(off, law=LAWS.get("kaplan")))
        drawn = draw(found, Jackknife())
        if refused:
            with pytest.raises(FitError, match="one line"):
                allocate(found, drawn, TAU, np.array([1e20]))
        else:
            assert allocate(found, drawn, TAU, np.array([1e20])).N.value[0] > 0


@pytest.fixture(scope="module")
def fitted():
    return fit(LAW, runs_of(LAW, noise=0.003))


def test_a_draw_without_a_best_split_is_left_out_and_no_other(fitted):
    drawn = draw(fitted, Bootstrap(40), seed=1)
    spoilt = drawn.theta.copy()
    # No data term: the bigger the model the better, to the edge of the search.
    spoilt[7, LAW.index("B")] = 1e-300
    kept = np.arange(len(spoilt)) != 7
    budgets = np.array([1e20, 1e22])
    with_it = allocate(fitted, dataclasses.replace(drawn, theta=spoilt), TAU, budgets)
    fewer = dataclasses.replace(drawn, theta=drawn.theta[kept], number=drawn.number[kept])
    without = allocate(fitted, fewer, TAU, budgets)
    assert with_it.unbracketed == pytest.approx([1 / len(spoilt)] * 2)
    for name in ("N", "D", "ratio", "exponent_N", "exponent_D"):
        for end in ("low", "high"):
            np.testing.assert_array_equal(
                getattr(getattr(with_it, name), end), getattr(getattr(without, name), end)
            )


def test_exponents_of_size_and_data_mirror_each_other(fitted):
    for method in (Jackknife(), Bootstrap(200)):
        made = allocate(fitted, draw(fitted, method), TAU, np.array([1e20, 1e22]))
        assert made.exponent_D.value == pytest.approx(1 - made.exponent_N.value, abs=1e-12)
        assert made.exponent_D.low == pytest.approx(1 - made.exponent_N.high, abs=1e-12)
        assert made.exponent_D.high == pytest.approx(1 - made.exponent_N.low, abs=1e-12)


def test_a_condition_above_a_million_is_weak():
    seen = set()
    for off in np.geomspace(3e-3, 3e-7, 13):
        found = fit(LAWS.get("chinchilla-tied"), near_a_ray(off, 1e-5), objective=Gaussian())
        kappa, codes = found.certificate.kappa, {n.code for n in found.notes}
        if found.certificate.bounds or not 1e5 < kappa < 1e8:
            continue
        seen.add(int(np.floor(np.log10(kappa))))
        assert ("weakly-identified" in codes) is (kappa > 1e6), kappa
    assert {5, 6} <= seen


def test_a_law_more_than_ten_behind_has_no_weight():
    scores = np.array([100.0, 109.9, 110.1, 150.0, 90.0])
    delta, weight = comparison._weights(scores, np.array([True, True, True, True, False]))
    np.testing.assert_allclose(delta, [0, 9.9, 10.1, 50, -10])
    assert weight[1] == pytest.approx(np.exp(-9.9 / 2) / (1 + np.exp(-9.9 / 2)))
    assert weight[2:].tolist() == [0, 0, 0]


def test_a_law_of_two_inputs_asks_for_three_values_of_each():
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e10, 8), [1e10, 1e11, 1e12]))
    for some, passed in ((d > 0, True), (d > 1e10, False)):
        runs = observations({"N": n[some], "D": d[some]}, LAW.predict(example(LAW), [n, d])[some])
        found = fit(LAWS.get("chinchilla-tied"), runs, fix={"E": 1.69})
        verdict = GATES.get("enough-data")().judge(found, [found])
        assert verdict.passed is passed
        assert f"{3 if passed else 2} of D" in verdict.detail


def test_a_fit_of_very_many_rows_keeps_the_second_minimum_of_its_sample(monkeypatch):
    from scalefit.inference import fitting

    runs = runs_of(LAWS.get("power-floor"), noise=0.003, line=5000)
    real = fitting.fit.steps

    def search(law, some, **settings):
        found = yield from real(law, some, **settings)
        if some.n < 5000:
            worse = dataclasses.replace(found.certificate, status="multiple-minima", minima=2)
            return dataclasses.replace(found, certificate=worse)
        return found

    monkeypatch.setattr(fitting.fit, "steps", search)
    found = fitting.fit(LAWS.get("power-floor"), runs)
    assert (found.status, found.certificate.minima) == ("multiple-minima", 2)


def test_the_scale_of_huber_is_that_of_normal_noise():
    residual = 0.01 * np.random.default_rng(2).standard_normal((1, 20_000))
    for goal in (Huber(1e-3), Huber(0.1)):
        assert goal.scale(residual, np.ones((1, 1)))[0] == pytest.approx(0.01, rel=0.03)


def test_half_the_span_of_the_data_is_as_far_as_is_not_speculative():
    assert [trust(h, 2.0) for h in (0.5, 0.51, 0.99, 1.01)] == [
        "near", "far", "far", "speculative",
    ]  # fmt: skip
    assert [trust(h, 6.0) for h in (1.49, 1.51)] == ["far", "speculative"]


@pytest.mark.parametrize(
    ("failing", "code"),
    [(0, ""), (2, ""), (8, "failed-replicates"), (10, "failed-replicates"), (11, "no-interval")],
)
def test_a_fifth_of_the_refits_may_fail(failing, code):
    found = fit(LAWS.get("power-floor"), runs_of(LAWS.get("power-floor"), noise=0.003))

    def some_fail(task, spans):
        ends = [task(span) for span in spans]
        broken = ends[0].converged.copy()
        broken[:failing] = False
        return [dataclasses.replace(ends[0], converged=broken), *ends[1:]]

    drawn = draw(found, Bootstrap(50), fan=some_fail)
    assert len(drawn.failed) == failing
    codes = {n.code for n in drawn.notes} & {"failed-replicates", "no-interval"}
    assert codes == ({code} if code else set())
    assert drawn.refused is (code == "no-interval")


def test_every_group_of_a_big_jackknife_spans_the_whole_design():
    law = LAWS.get("power-floor")
    runs = runs_of(law, line=2400)
    method = Jackknife()
    assert method.count(runs) == 200
    left_out = method.weights(runs, 0, 0, 200) == 0
    assert (left_out.sum(axis=0) == 1).all()
    assert set(left_out.sum(axis=1)) == {12}
    log = np.log(runs.inputs["x"])
    for rows in left_out:
        assert np.ptp(log[rows]) > 0.8 * np.ptp(log)
