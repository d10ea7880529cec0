"""lmfit's least_squares with its Huber loss on many small problems of several laws.

Called as SCRIPT PROBLEMS ENDS: JSON lists of a law, its inputs divided by their geometric mean,
the loss, delta, resamples as row counts, and a start in the parameters of LAWS below.
"""

import json
import sys
import time
from pathlib import Path

import lmfit
import numpy as np

LAWS = {
    "power": (("logA", "alpha"), lambda p, x: np.exp(p[0]) * x ** -p[1]),
    "power-floor": (("E", "logA", "alpha"), lambda p, x: p[0] + np.exp(p[1]) * x ** -p[2]),
    "shifted-power-floor": (
        ("E", "logA", "alpha", "d"),
        lambda p, x: p[0] + np.exp(p[1]) * (x + p[3]) ** -p[2],
    ),
    "log-quadratic": (
        ("E", "curvature", "position"),
        lambda p, x: p[0] + p[1] * (np.log(x) - p[2]) ** 2,
    ),
    "chinchilla": (
        ("E", "logA", "alpha", "logB", "beta"),
        lambda p, n, d: p[0] + np.exp(p[1]) * n ** -p[2] + np.exp(p[3]) * d ** -p[4],
    ),
}
POSITIVE = ("E", "alpha", "beta", "d", "curvature")


def fitted(problem: dict, at: np.ndarray) -> tuple[list[float], float]:
    """One refit: parameters, and the objective there."""
    names, law = LAWS[problem["law"]]
    inputs = [np.array(values)[at] for values in problem["inputs"]]
    target = np.log(np.array(problem["loss"])[at])
    parameters = lmfit.Parameters()
    for name, value in zip(names, problem["start"], strict=True):
        # lmfit takes no start on a bound.
        low = 0.0 if name in POSITIVE else -np.inf
        parameters.add(name, value=max(value, 1e-6) if low == 0 else value, min=low)

    def residual(p: lmfit.Parameters) -> np.ndarray:
        value = law([p[name].value for name in names], *inputs)
        return np.log(np.maximum(value, 1e-300)) - target

    found = lmfit.Minimizer(residual, parameters).minimize(
        method="least_squares", loss="huber", f_scale=problem["delta"]
    )
    size = np.abs(residual(found.params))
    delta = problem["delta"]
    penalty = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)).sum()
    return [found.params[name].value for name in names], float(penalty)


told = []
with np.errstate(all="ignore"):
    for problem in json.loads(Path(sys.argv[1]).read_text()):
        begin = time.process_time()
        ends = [
            fitted(problem, np.repeat(np.arange(len(problem["loss"])), count))
            for count in problem["counts"]
        ]
        took = time.process_time() - begin
        told.append({"cpu": took, "ends": [p for p, _ in ends], "values": [v for _, v in ends]})
Path(sys.argv[2]).write_text(json.dumps(told))
