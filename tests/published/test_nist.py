"""NIST's 27 nonlinear data sets, each from its two published starts, by every solver."""

import nist_models as nist
import numpy as np
import pytest

from scalefit.inference.certificate import USABLE
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import SquaredError

STARTS = [(name, start) for name in nist.CERTIFIED for start in ("start1", "start2")]


@pytest.fixture(scope="module", params=["scalefit", "scipy", "lmfit"])
def fits(request):
    return {
        (name, start): fit(
            nist.law(name),
            nist.runs(name),
            objective=SquaredError(),
            starts=np.array([nist.CERTIFIED[name][start]], dtype=float),
            solver=request.param,
        )
        for name, start in STARTS
    }


def parameter_digits(fits):
    return {
        key: nist.digits(found.theta, nist.CERTIFIED[key[0]]["certified"])
        for key, found in fits.items()
    }


def digits_table(solver, fits):
    """Digits of the worst parameter, and of the sum of squares, of each set from each start."""
    rows = [f"NIST StRD by {solver}: digits", f"{'set':12}" + "  start 1   start 2    squares"]
    for name, certified in nist.CERTIFIED.items():
        ends = [fits[name, start] for start in ("start1", "start2")]
        found = [nist.digits(end.theta, certified["certified"]) for end in ends]
        squares = min(nist.digits(end.value, certified["rss"]) for end in ends)
        rows.append(f"{name:12}{found[0]:9.1f} {found[1]:9.1f} {squares:10.1f}")
    every = parameter_digits(fits).values()
    return "\n".join([*rows, f"mean {np.mean(list(every)):.2f}, least {min(every):.2f}"])


@pytest.mark.slow
def test_the_digits_of_every_set_are_told(fits, request, record_property):
    solver = request.node.callspec.params["fits"]
    record_property("table", digits_table(solver, fits))
    assert min(parameter_digits(fits).values()) >= 6


def test_there_are_27_sets_with_two_starts_each():
    assert len(STARTS) == 54


def test_every_run_agrees_with_the_certified_parameters_to_six_digits(fits):
    assert {key: d for key, d in parameter_digits(fits).items() if d < 6} == {}


def test_the_mean_agreement_is_nine_digits(fits):
    assert np.mean(list(parameter_digits(fits).values())) >= 9


def test_no_fit_of_less_than_two_digits_is_called_usable(fits):
    found = parameter_digits(fits)
    assert not [key for key in fits if fits[key].status in USABLE and found[key] < 2]


def test_a_right_fit_is_called_usable(fits):
    assert [key for key in fits if fits[key].status not in USABLE] == []


def test_residual_sums_of_squares_agree_to_ten_digits(fits):
    # Lanczos1 is generated without noise: its certified sum lies below rounding (NIST's own page).
    # Lanczos2's, 2e-11, rests on residuals of 1e-6 of values of 1: the tenth digit is rounding and
    # differs from processor to processor; nine are the solver's.
    poor = {}
    for (name, start), found in fits.items():
        digits = nist.digits(found.value, nist.CERTIFIED[name]["rss"])
        if name != "Lanczos1" and digits < (9 if name == "Lanczos2" else 10):
            poor[name, start] = digits
    assert poor == {}


@pytest.mark.parametrize("name", ["MGH17", "Bennett5", "DanWood", "MGH09", "BoxBOD", "Lanczos2"])
def test_sets_that_mirror_scaling_laws_are_called_converged(fits, name):
    for start in ("start1", "start2"):
        assert fits[name, start].status == "converged"


def test_a_search_cut_short_is_not_called_usable():
    # MGH10 from its first start, left after a few steps, is a known false success of others.
    from scalefit.inference.certificate import certify
    from scalefit.inference.problem import bind
    from scalefit.inference.solver import solve

    false = []
    for name, start in STARTS:
        problem = bind(nist.law(name), nist.runs(name), log_target=False)
        begin = problem.search(np.array([nist.CERTIFIED[name][start]], dtype=float))
        weight = np.ones((1, problem.n))
        for limit in (2, 4, 8, 16):
            ends = solve(problem, SquaredError(), weight, begin, cold=True, limit=limit)
            value = float(SquaredError().value(problem.residual(ends.u), weight)[0])
            judged = certify(
                problem, SquaredError(), ends.u[0], solver_value=value, ends=ends, capped=False
            )
            digits = nist.digits(problem.theta(ends.u)[0], nist.CERTIFIED[name]["certified"])
            if judged.status in USABLE and digits < 2:
                false.append((name, start, limit, digits))
    assert false == []
