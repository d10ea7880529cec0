"""Broken power laws against the published recipe on five learning curves of the benchmark.

The recipe of Caballero et al. 2023 (arXiv:2210.14891): the best point of a brute grid, then
Levenberg-Marquardt on log(1 + y). It is restated here; scalefit minimises the log residual, so the
recipe is also given that objective, from both of its own points, and keeps its best.
"""

import csv
import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares

from scalefit.core.observations import Observations
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Gaussian, StudentT
from scalefit.laws import LAWS

RUNS = Path(__file__).parents[2] / "data" / "learning-curves" / "runs.csv"
TASKS = (
    "BB|date_1-shot|262M",
    "IC|bird_10|MiX/B/16",
    "IC|inet_5|BiT/101/3",
    "LM|val_loss|1.68e+07",
    "NMT|log_perplexity|Dec-only",
)


def curve(task):
    with RUNS.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["task_id"] == task and r["split"] == "train"]
    return np.array([[float(r["seen_examples"]), float(r["loss"])] for r in rows]).T


def observations(x, y):
    n = x.size
    return Observations({"x": x}, y, np.ones(n), np.arange(n), np.arange(1, n + 1), x, "x")


def published(p, x):
    """a + b x^-c0 (1 + (x/d1)^(1/f1))^(-c1 f1)."""
    a, b, c0, c1, d1, f1 = p
    with np.errstate(all="ignore"):
        return a + b * x**-c0 * (1 + (x / d1) ** (1 / f1)) ** (-c1 * f1)


def brute(x, y):
    """Best point of the published grid for log(1 + y)."""
    a, c = np.arange(0, 1.01, 0.1), np.arange(0, 1.01, 0.25)
    scale = 1.25 ** np.arange(0, 40.1, 2.5) - 1
    target, best, at = np.log1p(y), np.inf, None
    with np.errstate(all="ignore"):
        for c0, c1, f1 in itertools.product(c, c, c):
            shape = x**-c0 * (1 + (x / scale[:, None]) ** (1 / np.float64(f1))) ** (-c1 * f1)
            guess = a[:, None, None, None] + scale[:, None, None] * shape
            score = ((np.log1p(guess) - target) ** 2).sum(-1)
            score = np.where(np.isfinite(score), score, np.inf)
            k = np.unravel_index(score.argmin(), score.shape)
            if score[k] < best:
                best, at = score[k], np.array([a[k[0]], scale[k[1]], c0, c1, scale[k[2]], f1])
    return at


def marquardt(residual, start):
    def safe(p):
        with np.errstate(all="ignore"):
            found = residual(p)
        return np.where(np.isfinite(found), found, 1e3)

    return least_squares(safe, start, method="lm", max_nfev=20_000, x_scale="jac").x


@cache
def recipe(task):
    """The recipe's best curve on the fitted part of a task, under the log residual."""
    x, y = curve(task)
    unit = x.max() / 4000  # the grid's breaks end near 7,500: so they lie amid the data
    start = brute(x / unit, y)
    own = marquardt(lambda p: np.log1p(published(p, x / unit)) - np.log1p(y), start)
    ends = [start, own]
    for point in (start, own):
        ends.append(marquardt(lambda p: np.log(published(p, x / unit)) - np.log(y), point))
    with np.errstate(all="ignore"):
        residuals = [np.log(published(p, x / unit)) - np.log(y) for p in ends]
    return min((np.nan_to_num(r, nan=1e3) for r in residuals), key=lambda r: float(r @ r))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("objective", [Gaussian(), StudentT()], ids=lambda o: o.name)
def test_one_break_is_fitted_no_worse_than_by_the_published_recipe(task, objective):
    found = fit(LAWS.get("broken-power"), observations(*curve(task)), objective=objective)
    theirs = float(objective.value(recipe(task)[None], np.ones((1, recipe(task).size)))[0])
    assert found.value <= theirs + 1e-9 * abs(theirs)


@pytest.mark.parametrize("task", TASKS)
def test_the_objective_never_rises_with_the_number_of_breaks(task):
    runs = observations(*curve(task))
    names = ["power-floor", "broken-power", "broken-power-2", "broken-power-3"]
    laws = [LAWS.get(name) for name in names]
    values = [fit(law, runs).value for law in laws if len(law.parameters) <= runs.n]
    for fewer, more in itertools.pairwise(values):
        assert more <= fewer + 1e-7 * abs(fewer)


def test_breaks_come_out_in_order():
    law = LAWS.get("broken-power-2")
    found = fit(law, observations(*curve(TASKS[1])))
    assert found.theta[law.index("d1")] < found.theta[law.index("d2")]


# Squares of log residuals at the lowest minima known; what searches of the runs alone find is up to
# 7 % above.
@pytest.mark.parametrize(
    ("task", "squares"),
    [
        ("IC|bird_25|ViT/B/16", 0.00206148013),
        ("IC|c_25|BiT/101/3", 0.00321906849),
        ("IC|inet_10|ViT/B/16", 0.00057720269),
        ("IC|inet_5|MiX/B/16", 0.00049089162),
    ],
)
def test_searches_of_resamples_find_the_lowest_minimum_of_three_breaks(
    task, squares, shared, monkeypatch
):
    table = shared("bnsl-benchmark-dev/curves.csv")
    chosen = (np.array(table["task_id"]) == task) & (np.array(table["split"]) == "train")
    x, y = (np.array(table[name], dtype=float)[chosen] for name in ("seen_examples", "loss"))
    found = fit(LAWS.get("broken-power-3"), observations(x, y), objective=Gaussian())
    reached = float((found.residual**2).sum())
    assert reached <= squares * (1 + 1e-6)
    monkeypatch.setattr("scalefit.inference.fitting._MANY", 99)
    alone = fit(LAWS.get("broken-power-3"), observations(x, y), objective=Gaussian())
    assert reached < 0.98 * float((alone.residual**2).sum())
