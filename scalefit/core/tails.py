"""Tails and quantiles of the distributions that every fit needs, as plain functions of numbers.

SciPy has them all, but importing scipy.special takes longer than a fit; what a fit does not need
(rankings, tests between laws) takes SciPy's. Agreement with it is a promise of the tests.
"""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300
_MOST_TERMS = 20_000


def normal_tail(z: float) -> float:
    """Probability that a standard normal number exceeds z.

    >>> round(normal_tail(1.959963984540054), 12)
    0.025
    """
    return math.erfc(z / math.sqrt(2)) / 2


def chi_square_tail(x: float) -> float:
    """Probability that a chi-square number with one degree of freedom exceeds x >= 0."""
    return math.erfc(math.sqrt(x / 2))


def f_tail(upper: float, lower: float, x: float) -> float:
    """Probability that F with `upper` and `lower` degrees of freedom exceeds x >= 0."""
    return beta_share(lower / 2, upper / 2, lower / (lower + upper * x))


@lru_cache(maxsize=256)
def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t; of the normal distribution for infinite df.

    >>> round(t_quantile(0.975, 10), 6), round(t_quantile(0.975, math.inf), 6)
    (2.228139, 1.959964)
    """
    if probability < 0.5:
        return -t_quantile(1 - probability, df)
    target = 1 - probability
    low, high = 0.0, 1.0
    while _t_tail(high, df) > target:
        low, high = high, 2 * high
    # Bisection: a quantile is asked for once, and nothing in it can go astray.
    while high - low > 4e-16 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _t_tail(middle, df) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _t_tail(t: float, df: float) -> float:
    """Probability that Student's t exceeds t >= 0."""
    if math.isinf(df):
        return normal_tail(t)
    # With many degrees of freedom the share near one has lost the digits of the tail.
    far = t * t > df
    if far:
        return beta_share(df / 2, 0.5, df / (df + t * t)) / 2
    return 0.5 - beta_share(0.5, df / 2, t * t / (df + t * t)) / 2


def beta_share(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b), by its continued fraction.

    Source: DLMF 8.17.22, evaluated by the modified Lentz method (Thompson & Barnett 1986).
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(b, a, 1 - x)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    above, below, fraction = 1.0, 0.0, 1.0
    for k in range(_MOST_TERMS):
        m = k // 2
        if k == 0:
            step = 1.0
        elif k % 2:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        below = 1 / _apart(1 + step * below)
        above = _apart(1 + step / above)
        fraction *= above * below
        if k and abs(above * below - 1) < 1e-16:
            break
    return math.exp(log_front) * (fraction - 1) / a


def _apart(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
