"""Quantiles of Student's t and of the normal distribution, without importing scipy.stats."""

from __future__ import annotations

import math


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t; of the normal distribution for infinite df.

    >>> round(t_quantile(0.975, 10), 6), round(t_quantile(0.975, math.inf), 6)
    (2.228139, 1.959964)
    """
    from scipy.special import ndtri, stdtrit

    if math.isinf(df):
        return float(ndtri(probability))
    return float(stdtrit(df, probability))
