"""lmfit's Minimizer.least_squares with its Huber loss, from the point estimate."""

import lmfit
import numpy as np
from shared import DELTA, START, point_and_refits, residual

NAMES = ("e", "a", "alpha", "b", "beta")


def refit(start: np.ndarray, *data: np.ndarray) -> np.ndarray:
    """One search."""
    parameters = lmfit.Parameters()
    for name, value in zip(NAMES, start, strict=True):
        parameters.add(name, value=value)

    def of(p: lmfit.Parameters) -> np.ndarray:
        return residual(np.array([p[name].value for name in NAMES]), *data)

    found = lmfit.Minimizer(of, parameters).minimize(
        method="least_squares", loss="huber", f_scale=DELTA
    )
    return np.array([found.params[name].value for name in NAMES])


point_and_refits(lambda *data: refit(np.array(START), *data), refit)
