"""Repeated data (Muennighoff et al. 2023): the law without decay on its 182 runs."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Huber
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla-tied")
PUBLISHED = {
    "E": np.exp(0.6254804), "A": np.exp(6.255414), "B": np.exp(7.3049974), "alpha": 0.3526596,
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(shared):
    table = shared("muennighoff-data-constrained/runs.csv")
    used = table["used_in_published_fit"] == "True"
    return observations(
        {"N": table["params"][used], "D": table["tokens"][used]}, table["loss"][used]
    )


def at(parameters, runs):
    theta = np.array([parameters[name] for name in LAW.names])
    return LAW.predict(theta, [runs.inputs["N"], runs.inputs["D"]])


def test_without_decay_the_published_parameters_explain_445_of_1000(runs):
    assert runs.n == 182
    errors = runs.loss - at(PUBLISHED, runs)
    r2 = 1 - (errors**2).sum() / ((runs.loss - runs.loss.mean()) ** 2).sum()
    assert r2 == pytest.approx(0.4452, abs=5e-5)


def test_holding_every_published_parameter_but_one_cannot_be_worse_than_publishing(runs):
    size = np.abs(np.log(runs.loss) - np.log(at(PUBLISHED, runs)))
    published = float(np.where(size <= 1e-3, size**2 / 2, 1e-3 * (size - 5e-4)).sum())
    for free in LAW.names:
        held = {name: value for name, value in PUBLISHED.items() if name != free}
        found = fit(LAW, runs, objective=Huber(1e-3), fix=held)
        assert found.value <= published * (1 + 1e-12)
        for name, value in held.items():
            assert found.theta[LAW.index(name)] == pytest.approx(value, rel=1e-12)


def test_the_best_b_at_the_published_rest_is_that_of_a_line_search(runs):
    from scipy.optimize import minimize_scalar

    def objective(log_b):
        size = np.abs(np.log(runs.loss) - np.log(at(PUBLISHED | {"B": np.exp(log_b)}, runs)))
        return np.where(size <= 1e-3, size**2 / 2, 1e-3 * (size - 5e-4)).sum()

    best = minimize_scalar(objective, bounds=(5, 10), method="bounded", options={"xatol": 1e-9})
    held = {name: value for name, value in PUBLISHED.items() if name != "B"}
    found = fit(LAW, runs, objective=Huber(1e-3), fix=held)
    assert found.value == pytest.approx(best.fun, rel=1e-9)
    assert np.log(found.theta[LAW.index("B")]) == pytest.approx(best.x, abs=1e-4)


def repeated(shared):
    table = shared("muennighoff-data-constrained/runs.csv")
    used = table["used_in_published_fit"] == "True"
    inputs = {"N": table["params"][used], "D": table["tokens"][used]}
    return observations(inputs | {"U": table["unique_tokens"][used]}, table["loss"][used])


def test_with_decay_the_published_parameters_explain_772_of_1000(shared):
    runs, law = repeated(shared), LAWS.get("data-constrained")
    base = PUBLISHED | {"beta": PUBLISHED["alpha"], "R_D": 15.387756, "R_N": 5.309743}
    theta = np.array([base[name] for name in law.names])
    errors = runs.loss - law.predict(theta, [runs.inputs[name] for name in law.inputs])
    r2 = 1 - (errors**2).sum() / ((runs.loss - runs.loss.mean()) ** 2).sum()
    assert r2 == pytest.approx(0.7722, abs=5e-5)


def test_the_decay_is_fitted_at_the_lowest_of_its_several_minima(shared):
    # Published at 0.0158266; a free search from another start is known to reach 0.0158053.
    held = PUBLISHED | {"beta": PUBLISHED["alpha"]}
    found = fit(LAWS.get("data-constrained"), repeated(shared), objective=Huber(1e-3), fix=held)
    assert found.value <= 0.0158053 + 5e-8
