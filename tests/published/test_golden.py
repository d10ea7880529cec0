"""Values of the laws at published parameters, as the reference catalogue prints them."""

import numpy as np
import pytest

from scalefit.laws import LAWS


def value(name, parameters, **inputs):
    law = LAWS.get(name)
    theta = np.array([parameters[k] for k in law.names])
    points = [np.atleast_1d(np.asarray(inputs[k], dtype=float)) for k in law.inputs]
    return law.predict(theta, points)


def test_a_power_law_with_floor():
    found = value("power-floor", {"E": 1.5, "A": 8, "alpha": 0.3}, x=[1e2, 1e4])
    np.testing.assert_allclose(found, [3.50950915, 2.00476588], atol=5e-9)


def test_kaplans_law_of_size_and_data():
    table_2 = {"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
    assert value("kaplan", table_2, N=1e9, D=1e10)[0] == pytest.approx(2.41965182, abs=5e-9)


@pytest.mark.parametrize(
    ("scale", "power", "at", "expected"),
    [
        (8.8e13, 0.076, 1e9, 2.3756403),
        (5.4e13, 0.095, 1e10, 2.26244175),
        (3.1e8, 0.050, 1.0, 2.65808023),
    ],
)
def test_kaplans_laws_of_one_input_are_power_laws(scale, power, at, expected):
    found = value("power", {"A": scale**power, "alpha": power}, x=at)
    assert found[0] == pytest.approx(expected, abs=5e-9)


def test_the_coupled_law():
    supervised = LAWS.get("coupled").example
    assert value("coupled", supervised, N=1e9, D=2e10)[0] == pytest.approx(2.37469225, abs=5e-9)


def test_the_shifted_power_law_by_its_published_fit():
    # ImageNet, fine-tuned: .09 + .26 (C + .01)^-.35 (Zhai et al. 2022)
    found = value(
        "shifted-power-floor", {"E": 0.09, "A": 0.26, "d": 0.01, "alpha": 0.35}, x=[0.99, 9.99]
    )
    np.testing.assert_allclose(found, [0.35, 0.09 + 0.26 * 10**-0.35], rtol=1e-14)


def ours(a, b, c, d, f):
    """Parameters of our broken power law from the published a, b, c0.., d_i, f_i."""
    height = b * d[0] ** -c[0] * 2 ** -(c[1] * f[0])
    for ci, di, fi in zip(c[2:], d[1:], f[1:], strict=True):
        # Our factors of later breaks are halved, the published ones are not.
        height *= 2 ** -(ci * fi)
        assert di > d[0]
    parameters = {"E": a, "A": height, "c0": c[0]}
    for i, (ci, di, fi) in enumerate(zip(c[1:], d, f, strict=True), start=1):
        parameters |= {f"c{i}": ci, f"d{i}": di, f"f{i}": fi}
    return parameters


def test_the_broken_law_at_the_constants_of_figure_1():
    published = ours(1e-3, 4.66e3, (0.05, 0.49, -0.811, 2.1), (3e6, 1e14, 2e20), (1.1, 1.425, 0.05))
    x = [1e4, 1e8, 1e12, 1e16, 1e20, 1e22]
    expected = [2931.42809, 325.6435, 2.40875392, 0.698612621, 8.09580137, 0.00862675057]
    np.testing.assert_allclose(value("broken-power-3", published, x=x), expected, rtol=2e-9)


def test_one_break_is_astropys_smoothly_broken_power_law():
    # sbpl A=2 xb=1e3 a1=.1 a2=.5 Dl=.3
    parameters = {"E": 0.0, "A": 2.0, "c0": 0.1, "c1": 0.4, "d1": 1e3, "f1": 0.3}
    found = value("broken-power", parameters, x=[10, 1e3, 1e5])
    np.testing.assert_allclose(found, [3.44471728, 2, 0.21734697], atol=5e-9)


def test_a_break_without_change_of_slope_is_no_break():
    base = {"E": 0.3, "A": 2.0, "c0": 0.1, "c1": 0.4, "d1": 1e3, "f1": 0.3}
    more = {**base, "c2": 0.0, "d2": 1e6, "f2": 0.2}
    x = np.geomspace(1, 1e9, 20)
    np.testing.assert_allclose(
        value("broken-power-2", more, x=x), value("broken-power", base, x=x), rtol=1e-14
    )


def test_the_tied_law_is_the_untied_one_at_equal_exponents():
    tied = LAWS.get("chinchilla-tied").example
    untied = {**tied, "beta": tied["alpha"]}
    at = {"N": [1e8, 1e9], "D": [1e10, 3e10]}
    np.testing.assert_array_equal(
        value("chinchilla-tied", tied, **at), value("chinchilla", untied, **at)
    )


def test_the_published_law_of_repeated_data_with_fresh_tokens_only():
    # With D = U, the base law at N' = 9.58192373e8 (capped size) is the published loss.
    c4 = {"E": np.exp(0.6254804), "A": np.exp(6.255414), "B": np.exp(7.3049974)}
    parameters = {**c4, "alpha": 0.3526596}
    found = value("chinchilla-tied", parameters, N=9.58192373e8, D=1e10)
    assert found[0] == pytest.approx(2.66589358, abs=1e-7)
