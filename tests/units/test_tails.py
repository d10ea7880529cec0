"""Tails and quantiles agree with SciPy's."""

import math

import numpy as np
import pytest
from scipy import special

from scalefit.core.tails import beta_share, chi_square_tail, f_tail, normal_tail, t_quantile


def test_the_incomplete_beta_function_is_scipys():
    random = np.random.default_rng(0)
    for _ in range(3000):
        a, b = np.exp(random.uniform(-1, 7, 2))
        x = random.beta(a, b)
        assert beta_share(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("df", [1, 2, 3, 5, 10, 49, 233, 2000, 1e5, math.inf])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.6, 0.9, 0.975, 0.9995])
def test_quantiles_of_t_are_scipys(df, probability):
    exact = special.ndtri(probability) if math.isinf(df) else special.stdtrit(df, probability)
    assert t_quantile(probability, df) == pytest.approx(exact, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("x", [0.0, 0.01, 0.7, 3.3, 40.0])
def test_tails_are_scipys(x):
    assert normal_tail(x) == pytest.approx(special.ndtr(-x), rel=1e-12)
    assert normal_tail(-x) == pytest.approx(special.ndtr(x), rel=1e-12)
    assert chi_square_tail(x) == pytest.approx(special.chdtrc(1, x), rel=1e-10)
    for upper, lower in ((1, 3), (2, 40), (3, 500)):
        assert f_tail(upper, lower, x) == pytest.approx(
            special.fdtrc(upper, lower, x), rel=1e-9, abs=1e-15
        )
