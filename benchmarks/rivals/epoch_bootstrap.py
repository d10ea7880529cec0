"""The bootstrap of Besiroglu et al. 2024, restated: BFGS with autograd, from the point estimate.

Each resample is fitted once by SciPy's BFGS at its default tolerances, with the gradient of the
summed Huber penalty by automatic differentiation.
"""

import autograd.numpy as anp
import numpy as np
from autograd import grad
from scipy.optimize import minimize
from shared import DELTA, START, point_and_refits


def objective(v: np.ndarray, n: np.ndarray, d: np.ndarray, y: np.ndarray) -> float:
    """Sum of the Huber penalties of the log residuals."""
    e, a, alpha, b, beta = v
    r = y - anp.log(anp.exp(e) + anp.exp(a - alpha * n) + anp.exp(b - beta * d))
    size = anp.abs(r)
    return anp.sum(anp.where(size <= DELTA, r**2 / 2, DELTA * (size - DELTA / 2)))


SLOPE = grad(objective)


def refit(start: np.ndarray, *data: np.ndarray) -> np.ndarray:
    """One search."""
    return minimize(objective, start, args=data, jac=SLOPE, method="BFGS").x


point_and_refits(lambda *data: refit(np.array(START), *data), refit)
