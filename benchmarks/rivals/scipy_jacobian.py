"""SciPy's least_squares with its Huber loss and the exact Jacobian, from the point estimate."""

import numpy as np
from scipy.optimize import least_squares
from shared import DELTA, START, point_and_refits, residual, slopes


def refit(start: np.ndarray, *data: np.ndarray) -> np.ndarray:
    """One search, as well set up as SciPy allows."""
    return least_squares(
        residual, start, jac=slopes, args=data, loss="huber", f_scale=DELTA, x_scale="jac",
        ftol=1e-12, xtol=1e-12, gtol=1e-15,
    ).x  # fmt: skip


point_and_refits(lambda *data: refit(np.array(START), *data), refit)
