"""Refit of the runs of Li, Kudugunta & Zettlemoyer 2025 (arXiv:2502.18969)."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Huber
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")


@pytest.fixture(scope="module")
def table(shared):
    return shared("misfitting/runs_final.csv")


def fitted(table, kept=None, size="params"):
    kept = np.ones(table["loss"].size, dtype=bool) if kept is None else kept
    runs = observations({"N": table[size][kept], "D": table["tokens"][kept]}, table["loss"][kept])
    return fit(LAW, runs, objective=Huber(1e-3))


def test_all_261_runs_have_the_published_fit(table):
    found = fitted(table)
    e, a, alpha, b, beta = found.theta
    assert found.runs.n == 261
    assert found.value <= 0.0050216542 + 1e-9
    assert found.value == pytest.approx(0.0050216541, abs=1e-9)
    assert np.log(a) == pytest.approx(3.9398, abs=2e-4)
    assert np.log(b) == pytest.approx(13.0551, abs=2e-4)
    assert np.log(e) == pytest.approx(0.5923, abs=2e-4)
    assert (alpha, beta) == pytest.approx((0.2003, 0.6357), abs=1e-4)


def test_the_best_learning_rates_alone_give_other_exponents(table):
    best = {}
    for k, key in enumerate(zip(table["params"], table["tokens"], strict=True)):
        if key not in best or table["loss"][k] < table["loss"][best[key]]:
            best[key] = k
    kept = np.isin(np.arange(table["loss"].size), list(best.values()))
    found = fitted(table, kept)
    assert found.runs.n == 81
    assert (found.theta[2], found.theta[4]) == pytest.approx((0.138, 0.670), abs=2e-3)


def test_counting_no_embeddings_drives_the_floor_to_nothing(table):
    found = fitted(table, size="params_non_embedding")
    assert found.theta[0] < 0.05
    assert found.status != "converged"
