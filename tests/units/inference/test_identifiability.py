"""Directions of the parameters in words."""

from dataclasses import replace

import numpy as np
import pytest
from simulated import observations

from scalefit.inference.fitting import fit
from scalefit.inference.identifiability import spectrum
from scalefit.laws import LAWS


@pytest.mark.parametrize(
    ("tie", "told"), [(-0.97, "A and alpha trade off: r = -0.97"), (8e-31, "no two trade off")]
)
def test_parameters_trade_off_only_if_their_estimates_are_correlated(tie, told):
    x = np.geomspace(1e2, 1e6, 20)
    found = spectrum(
        fit(LAWS.get("power"), observations({"x": x}, 8 * x**-0.3 * (1 + 0.01 * np.sin(x))))
    )
    assert replace(found, pair=("A", "alpha"), tie=tie).words.endswith(told)
