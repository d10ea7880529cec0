"""The table of law choice: five candidates, four truths, and what their average covers.

Method.md 4 D: one input over three decades, noise 0.5 % of the loss. The average with its headline
must cover the true curve a decade beyond in at least 93 % of sets with 15 runs or more, stay within
3 % two decades beyond where the truth is a power law with floor, and refuse eight runs across a
break in their middle. Tests between laws must keep their size where checkpoints share an error.
"""

from dataclasses import replace

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.averaging import average_predictions
from scalefit.inference.comparison import RULED_OUT, compare
from scalefit.inference.contests import contest, guard, nested_test
from scalefit.inference.fitting import fit
from scalefit.inference.forecasts import Forecasts, law_error, rolling_origin
from scalefit.inference.prediction import predict
from scalefit.inference.residuals import misfit
from scalefit.inference.uncertainty import METHODS, draw
from scalefit.laws import LAWS

CANDIDATES = ("power", "power-floor", "log-quadratic", "shifted-power-floor", "broken-power")
NONE = Forecasts(*(np.empty(0) for _ in range(7)))
FAR = {"x": np.array([1e7, 1e8])}  # one and two decades beyond


def bend(x, at):
    return 12 * x**-0.1 * ((1 + (x / at) ** (1 / 0.3)) / 2) ** (-0.25 * 0.3)


TRUTHS = {
    "power + floor": lambda x: 1.5 + 8 * x**-0.3,
    "pure power": lambda x: 11 * x**-0.1,
    "break mid-range": lambda x: bend(x, 3e4),
    "break in the last half decade": lambda x: bend(x, 5e5),
}


def averaged(truth, n, seed):
    """Headline of the average a decade and two beyond; None where no law is adequate."""
    x = np.geomspace(1e3, 1e6, n)
    jitter = np.exp(0.005 * np.random.default_rng([seed, n]).standard_normal(n))
    runs = replace(observations({"x": x}, truth(x) * jitter), nats=True)
    fits = [
        fit(law, runs)
        for law in (LAWS.get(name) for name in CANDIDATES)
        if n >= len(law.parameters)
    ]
    told = [rolling_origin(one) for one in fits]
    made = compare(fits, told, ahead=FAR)
    chosen = [one for one in made.laws if one.weight > 0.005]
    if not chosen:
        return None
    parts = []
    for one in chosen:
        draws = draw(one.fit, METHODS.get("jackknife")())
        parts.append(
            predict(one.fit, draws, law_error(one.forecasts, misfit(one.fit)), FAR, i_know=True)
        )
    weight = np.array([one.weight for one in chosen])
    names = [one.fit.law.name for one in chosen]
    return average_predictions(parts, names, weight / weight.sum(), made.disagreeing).band


SETS = 25
# Fewer than four scales lie beyond that break: the slope to be extended is not measured, and most
# sets must be refused (method.md 1.6).
UNMEASURED = "break in the last half decade"


@pytest.mark.slow
@pytest.mark.parametrize("n", [15, 30])
@pytest.mark.parametrize("name", TRUTHS)
def test_the_average_covers_the_truth_a_decade_beyond(name, n, record_property):
    truth = TRUTHS[name]
    bands = [averaged(truth, n, seed) for seed in range(SETS)]
    kept = [band for band in bands if band is not None]
    true = truth(FAR["x"])
    inside = np.array([(b.headline.low <= true) & (true <= b.headline.high) for b in kept])
    error = np.array([np.abs(np.log(b.loss / true)) for b in kept])
    inside, error = inside.reshape(-1, 2), error.reshape(-1, 2)
    told = f"{name}, n = {n}: refused {SETS - len(kept)} of {SETS}"
    if kept:
        told += (
            f"; covered {inside.mean(axis=0).round(2)} at 10x and 100x, error median "
            f"{np.median(error, axis=0).round(4)}, 95 % {np.quantile(error, 0.95, axis=0).round(4)}"
        )
    record_property("table", told)
    # Three misses of 25 are no evidence against 93 %, nor is one of a few.
    assert inside[:, 0].sum() >= len(kept) - max(1, int(0.12 * len(kept)))
    if name != UNMEASURED:
        assert len(kept) >= SETS - 1
    if name == "power + floor":
        assert np.quantile(error[:, 1], 0.95) <= 0.03


@pytest.mark.slow
def test_eight_runs_across_a_break_are_refused(record_property):
    refused = [averaged(TRUTHS["break mid-range"], 8, seed) is None for seed in range(20)]
    record_property("table", f"break mid-range, n = 8: refused {sum(refused)} of 20")
    assert all(refused)


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 15, 30])
def test_no_break_stands_in_for_a_floor(n, record_property):
    """A power law with a floor: no break rules it out, nor the one without for a break.

    With ten runs the residual-scale gate may, some three times in a hundred: six parameters can
    pass three times nearer than the noise.
    """
    told = []
    for sd in (0.003, 0.01):
        floor, plain = [], []
        for seed in range(40):
            jitter = np.exp(sd * np.random.default_rng([seed, n, int(1e4 * sd)]).standard_normal(n))
            x = np.geomspace(1e2, 1e6, n)
            runs = observations({"x": x}, (1.5 + 8 * x**-0.3) * jitter)
            fits = [fit(LAWS.get(name), runs) for name in CANDIDATES]
            made = {one.fit.law.name: one for one in compare(fits, [NONE] * len(fits)).laws}
            lead = made["power-floor"].delta - made["broken-power"].delta
            floor.append(not made["power-floor"].adequate or lead > RULED_OUT)
            plain.append(any(v.gate == "breaks" and not v.passed for v in made["power"].gates))
        told.append(f"noise {sd:.1%}: power-floor {sum(floor)}, power {sum(plain)} of 40")
        assert sum(floor) <= (4 if n == 10 else 0)
        assert sum(plain) <= 1
    record_property("table", f"ruled out for a break, n = {n}: " + "; ".join(told))


def checkpoints(alpha, beta, seed):
    """Twenty runs of four checkpoints each, whose errors a run shares."""
    random = np.random.default_rng([seed, 77])
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 3e9, 5), np.geomspace(2e9, 6e10, 4)))
    share = np.array([0.4, 0.6, 0.8, 1.0])
    run = np.repeat(np.arange(n.size), share.size)
    N, D = n[run], np.tile(share, n.size) * d[run]
    shared = 0.004 * random.standard_normal(n.size)[run]
    noise = shared + 0.0015 * random.standard_normal(N.size)
    a, b = 0.4 * 5e8**alpha, 0.4 * 1e10**beta
    loss = (1.8 + a * N**-alpha + b * D**-beta) * np.exp(noise)
    return observations({"N": N, "D": D}, loss, cluster=run), observations({"N": N, "D": D}, loss)


@pytest.mark.slow
def test_tests_between_laws_count_runs_and_not_checkpoints(record_property):
    """False alarms at 5 %, power, and the trap: rows taken as runs find what is not there."""
    laws = [LAWS.get(name) for name in ("chinchilla-tied", "chinchilla", "kaplan")]
    found = {"size": [], "by row": [], "power": [], "kaplan": [], "chance": []}
    for seed in range(60):
        by_run, by_row = checkpoints(0.34, 0.34, seed)
        for words, runs in (("size", by_run), ("by row", by_row)):
            tied, free = (fit(law, runs) for law in laws[:2])
            tested = nested_test(tied, free, replicates=59, seed=seed)
            found[words].append(tested.p_value <= 0.05)
            if words == "size":
                found["chance"].append(guard([tied, free], seed=seed).p_value <= 0.05)
        apart, _ = checkpoints(0.25, 0.6, seed)
        tied, free, kaplan = (fit(law, apart) for law in laws)
        found["power"].append(nested_test(tied, free, replicates=59, seed=seed).p_value <= 0.05)
        found["kaplan"].append(contest(free, kaplan).verdict == "chinchilla")
    share = {words: float(np.mean(one)) for words, one in found.items()}
    record_property(
        "table",
        f"tied against free exponents, 60 sets of 20 runs x 4 checkpoints: size {share['size']:.2f}"
        f" (rows taken as runs {share['by row']:.2f}), power {share['power']:.2f}; best of many "
        f"{share['chance']:.2f}; Vuong and Clarke find kaplan worse {share['kaplan']:.2f}",
    )
    assert share["size"] <= 0.13
    assert share["by row"] > share["size"] + 0.1
    assert share["chance"] <= 0.13
    assert share["power"] >= 0.7
