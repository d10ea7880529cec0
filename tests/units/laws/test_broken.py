"""Broken laws: what the promises of every law do not cover."""

import numpy as np

from scalefit.laws import LAWS


def test_no_curves_at_all_are_in_order():
    law = LAWS.get("broken-power-2")
    assert law.ordered(np.empty((0, len(law.names)))).shape == (0, len(law.names))
