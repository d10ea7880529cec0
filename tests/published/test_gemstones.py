"""The authors' own fits of the Gemstones runs (McLeish et al. 2025), beaten or met."""

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Huber
from scalefit.laws import LAWS

SUBSETS = ["all_to_350b", "first_100b", "cooldown_end", "half_lr_first_100b"]


@pytest.fixture(scope="module")
def tables(shared):
    return shared("gemstones/runs.csv"), shared("gemstones/published_fits.csv")


def pair(tables, subset, delta):
    runs, published = tables
    at = (published["subset"] == subset) & np.isclose(published["huber_delta"], delta)
    if not at.any():
        pytest.skip("not published")
    row = {name: values[at][0] for name, values in published.items()}
    kept = runs["subset"] == subset
    found = fit(
        LAWS.get("chinchilla"),
        observations({"N": runs["params"][kept], "D": runs["tokens"][kept]}, runs["loss"][kept]),
        objective=Huber(delta),
    )
    return found, row


@pytest.mark.parametrize("delta", [1e-3, 1e-4])
@pytest.mark.parametrize("subset", SUBSETS)
def test_no_published_fit_is_better_than_ours(tables, subset, delta):
    found, row = pair(tables, subset, delta)
    assert found.status != "not-converged"
    assert found.value <= row["objective"] + 1e-9


def test_where_the_published_point_is_the_minimum_the_parameters_agree(tables):
    found, row = pair(tables, "all_to_350b", 1e-3)
    assert found.value == pytest.approx(0.0065925342, abs=1e-9)
    ours = [np.log(found.theta[1]), np.log(found.theta[3]), np.log(found.theta[0])]
    assert ours == pytest.approx([row["log_A"], row["log_B"], row["log_E"]], abs=5e-3)
    assert found.theta[2] == pytest.approx(row["alpha"], abs=2e-4)
    assert found.theta[4] == pytest.approx(row["beta"], abs=2e-4)


def test_where_the_published_search_stopped_early_ours_goes_on(tables):
    found, row = pair(tables, "cooldown_end", 1e-4)
    assert row["objective"] == pytest.approx(0.00020594, abs=1e-8)
    assert found.value <= 0.00020478 + 5e-9
    assert (found.theta[2], found.theta[4]) == pytest.approx((0.301, 0.586), abs=2e-3)
    found, row = pair(tables, "first_100b", 1e-4)
    assert found.value <= 0.00020751 + 5e-9
