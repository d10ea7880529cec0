"""Proper scores of an interval forecast: Student's t with a centre, a scale and degrees."""

import numpy as np
from scipy.special import gammaln
from scipy.stats import t as student


def interval_score(error, half_width, level=0.95):
    """Width of the interval and a fine for every miss (Gneiting & Raftery 2007, eq. 43)."""
    alpha = 1 - level
    return 2 * half_width + 2 / alpha * np.maximum(0, np.abs(error) - half_width)


def crps(error, se, df):
    """Continuous ranked probability score of t with df > 1 degrees (Jordan et al. 2019, A.2)."""
    z = error / se
    log_beta = gammaln(0.5) + gammaln(df - 0.5) - gammaln(df)
    log_half = gammaln(0.5) + gammaln(df / 2) - gammaln(df / 2 + 0.5)
    tail = 2 * np.sqrt(df) / (df - 1) * np.exp(log_beta - 2 * log_half)
    body = z * (2 * student.cdf(z, df) - 1) + 2 * student.pdf(z, df) * (df + z**2) / (df - 1)
    return se * (body - tail)
