"""The best split of compute against closed forms, printed optima and brute force."""

import numpy as np
import pytest
from simulated import example, observations, runs_of

from scalefit.core.errors import FitError, InputError
from scalefit.inference.allocation import allocate, best_size
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import LawError
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.laws import LAWS

SPLITTING = [law for law in LAWS if law.inputs == ("N", "D")]
BUDGETS = np.array([1e19, 1e21, 5.76e23])
TAU = LawError(0.02, "assumed", 0)
CHINCHILLA = LAWS.get("chinchilla")

# The reference catalogue's golden optima: parameters, a, G, then N*, D*, D*/N*, L* per budget.
GOLDEN = {
    "hoffmann-rounded": (
        {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}, 0.45161, 1.34471,
        [(2.2796e8, 7.3114e9, 32.07, 2.98574), (1.8242e9, 9.1363e10, 50.08, 2.32888),
         (3.2190e10, 2.9823e12, 92.65, 1.93075)],
    ),
    "hoffmann-tex": (
        {"E": 1.6934, "A": 406.4, "B": 410.7, "alpha": 0.3392, "beta": 0.2849}, 0.45650, 1.30039,
        [(2.7058e8, 6.1596e9, 22.76, 2.92163), (2.2146e9, 7.5259e10, 33.98, 2.29539),
         (4.0310e10, 2.3815e12, 59.08, 1.91839)],
    ),
    "besiroglu": (
        {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
        0.51261, 0.119630,
        [(2.6217e8, 6.3572e9, 24.25, 2.92710), (2.7785e9, 5.9985e10, 21.59, 2.30553),
         (7.2249e10, 1.3287e12, 18.39, 1.97444)],
    ),
    "c4-tied": (
        {"E": np.exp(0.6254804), "A": np.exp(6.255414), "B": np.exp(7.3049974),
         "alpha": 0.3526596, "beta": 0.3526596}, 0.5, 0.225802,
        [(2.9151e8, 5.7174e9, 19.61, 2.94705), (2.9151e9, 5.7174e10, 19.61, 2.34769),
         (6.9962e10, 1.3722e12, 19.61, 2.02516)],
    ),
}  # fmt: skip


@pytest.fixture(params=SPLITTING, ids=lambda law: law.name)
def law(request):
    return request.param


def vector(parameters):
    return np.array([parameters[name] for name in CHINCHILLA.names])


def sizes(law, theta, budgets=BUDGETS):
    return np.exp(best_size(law, np.atleast_2d(theta), budgets))


def fitted(noise=0.003, seed=0):
    return fit(CHINCHILLA, runs_of(CHINCHILLA, noise=noise, seed=seed))


@pytest.mark.parametrize("name", GOLDEN)
def test_printed_optima_are_found_to_the_digits_printed(name):
    parameters, _, _, rows = GOLDEN[name]
    n = sizes(CHINCHILLA, vector(parameters))[0]
    d = BUDGETS / 6 / n
    loss = CHINCHILLA.predict(vector(parameters), [n, d])
    for k, (size, tokens, ratio, value) in enumerate(rows):
        assert n[k] == pytest.approx(size, rel=5e-5)
        assert d[k] == pytest.approx(tokens, rel=5e-5)
        assert d[k] / n[k] == pytest.approx(ratio, abs=0.0051)
        assert loss[k] == pytest.approx(value, abs=5.1e-6)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_closed_form_is_met_to_eight_digits(name):
    parameters, a, g, _ = GOLDEN[name]
    alpha, beta = parameters["alpha"], parameters["beta"]
    big_g = (alpha * parameters["A"] / (beta * parameters["B"])) ** (1 / (alpha + beta))
    assert beta / (alpha + beta) == pytest.approx(a, abs=5.1e-6)
    assert big_g == pytest.approx(g, rel=1e-5)
    closed = big_g * (BUDGETS / 6) ** (beta / (alpha + beta))
    np.testing.assert_allclose(sizes(CHINCHILLA, vector(parameters))[0], closed, rtol=1e-8)


def test_a_brute_force_grid_finds_nothing_lower(law):
    budgets = np.array([1e18, 1e20, 1e23])
    n = sizes(law, example(law), budgets)[0]
    at_best = law.predict(example(law), [n, budgets / 6 / n])
    for k, budget in enumerate(budgets):
        grid = np.geomspace(n[k] / 1e5, n[k] * 1e5, 200_001)
        loss = law.predict(example(law), [grid, budget / 6 / grid])
        assert at_best[k] <= loss.min() * (1 + 1e-14)
        assert grid[np.argmin(loss)] == pytest.approx(n[k], rel=1e-2)


def test_slopes_balance_at_the_optimum(law):
    # (dL/dN) / (dL/dD) = D / N, by complex steps of the formula itself.
    budgets = np.geomspace(1e18, 1e24, 7)
    n = sizes(law, example(law), budgets)[0]
    d = budgets / 6 / n
    parameters = {k: np.array(v) for k, v in law.example.items()}
    by_n = law.loss(n * (1 + 1e-30j), d, **parameters).imag
    by_d = law.loss(n, d * (1 + 1e-30j), **parameters).imag
    np.testing.assert_allclose(by_n, by_d, rtol=1e-8)


def test_five_hundred_random_laws_balance_too():
    random = np.random.default_rng(5)
    theta = np.stack(
        [
            random.uniform(1, 3, 500), np.exp(random.uniform(3, 8, 500)),
            random.uniform(0.15, 0.6, 500), np.exp(random.uniform(3, 10, 500)),
            random.uniform(0.15, 0.6, 500),
        ],
        axis=1,
    )  # fmt: skip
    n = sizes(CHINCHILLA, theta)
    d = BUDGETS / 6 / n
    pull = theta[:, 1:2] * theta[:, 2:3] * n ** -theta[:, 2:3]
    push = theta[:, 3:4] * theta[:, 4:5] * d ** -theta[:, 4:5]
    np.testing.assert_allclose(pull, push, rtol=1e-8)


def test_draws_are_solved_each_on_its_own():
    theta = example(CHINCHILLA) * np.random.default_rng(0).uniform(0.9, 1.1, (30, 5))
    together = best_size(CHINCHILLA, theta, BUDGETS)
    for k in (0, 13, 29):
        assert (
            best_size(CHINCHILLA, theta[k : k + 1], BUDGETS)[0].tobytes() == together[k].tobytes()
        )


def test_a_law_without_a_valley_has_no_best_size():
    flat = np.array([1.7, 400.0, 1e-3, 1e-9, 1e-3])
    assert np.isnan(best_size(CHINCHILLA, flat[None], BUDGETS)).all()


def test_the_near_optimal_range_wastes_exactly_what_it_says():
    found = fitted()
    made = allocate(found, draw(found, Jackknife()), TAU, BUDGETS[:2], waste=0.01, i_know=True)
    for k, budget in enumerate(BUDGETS[:2]):
        for n in made.near[k]:
            loss = CHINCHILLA.predict(found.theta, [np.array([n]), np.array([budget / 6 / n])])[0]
            # The budget whose best loss is the same, by bisection on the closed form.
            e, a, alpha, b, beta = found.theta
            g = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
            inner = a * g**-alpha + b * g**beta
            gamma = alpha * beta / (alpha + beta)
            equal = 6 * ((loss - e) / inner) ** (-1 / gamma)
            assert equal / budget == pytest.approx(0.99, abs=1e-7)
        assert made.near[k][0] < made.N.value[k] < made.near[k][1]


def test_the_exponents_are_those_of_the_closed_form_and_add_to_one():
    found = fitted()
    drawn = draw(found, Jackknife())
    made = allocate(found, drawn, TAU, np.array([1e21]), i_know=True)
    a = found.theta[4] / (found.theta[2] + found.theta[4])
    assert made.exponent_N.value[0] == pytest.approx(a, abs=1e-8)
    assert made.exponent_D.value[0] == pytest.approx(1 - a, abs=1e-8)
    each = drawn.theta[:, 4] / (drawn.theta[:, 2] + drawn.theta[:, 4])
    n = len(each)
    se = np.sqrt((n - 1) / n * ((each - a) ** 2).sum())
    assert made.exponent_N.se[0] == pytest.approx(se, rel=1e-6)


def test_tokens_sizes_and_budget_belong_together():
    found = fitted()
    made = allocate(found, draw(found, Bootstrap(draws=50)), TAU, BUDGETS, i_know=True)
    np.testing.assert_allclose(6 * made.N.value * made.D.value, BUDGETS, rtol=1e-12)
    np.testing.assert_allclose(made.ratio.value, made.D.value / made.N.value, rtol=1e-12)
    np.testing.assert_allclose(6 * made.N.low * made.D.high, BUDGETS, rtol=1e-6)
    assert (made.unbracketed == 0).all()


def test_twice_the_flop_per_token_is_half_the_budget():
    # A model in millions under a budget in the same units: only C/6 enters.
    theta = example(CHINCHILLA)
    np.testing.assert_allclose(
        sizes(CHINCHILLA, theta, np.array([2e21])),
        sizes(CHINCHILLA, theta, np.array([1e21])) * 2 ** (0.28 / 0.62),
        rtol=1e-10,
    )


@pytest.mark.parametrize("ratio", [20.0, 1.0])
def test_runs_on_one_line_are_refused(ratio):
    n = np.geomspace(1e7, 1e10, 25)
    noise = 0.003 * np.random.default_rng(0).standard_normal(25)
    loss = CHINCHILLA.predict(example(CHINCHILLA), [n, ratio * n]) * np.exp(noise)
    found = fit(CHINCHILLA, observations({"N": n, "D": ratio * n}, loss))
    with pytest.raises(FitError, match="one line"):
        allocate(found, draw(found, Jackknife()), TAU, np.array([1e21]))


@pytest.mark.parametrize(
    ("budgets", "told"),
    [
        ([0.0], "budget is 0, must be positive"), ([-1e20], "-1e[+]20"), ([np.inf], "inf"),
        ([np.nan], "nan"), ([1e20, -1], "budget is -1"), ([], "no budget is given"),
    ],
)  # fmt: skip
def test_budgets_that_are_none_are_refused(budgets, told):
    found = fitted()
    with pytest.raises(InputError, match=told):
        allocate(found, draw(found, Jackknife()), TAU, np.array(budgets))


def test_a_law_of_one_input_cannot_be_split():
    found = fit(LAWS.get("power-floor"), runs_of(LAWS.get("power-floor"), noise=0.003))
    with pytest.raises(InputError, match="N and D"):
        allocate(found, draw(found, Jackknife()), TAU, np.array([1e21]))


def test_a_fit_without_a_valley_is_refused():
    found = fitted()
    broken = type(found)(**{**found.__dict__, "theta": np.array([1.7, 400.0, 1e-3, 1e-9, 1e-3])})
    with pytest.raises(FitError, match="no best split"):
        allocate(broken, draw(found, Jackknife()), TAU, np.array([1e21]))
