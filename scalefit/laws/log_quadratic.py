"""A valley in the logarithm of one input: the isoFLOP profile of one budget."""

import numpy as np

from scalefit.core.observations import Array
from scalefit.laws.base import LAWS, Law, Parameter, position


def loss(x: Array, *, L_min: Array, curvature: Array, x_opt: Array) -> Array:
    """L_min + curvature (ln x - ln x_opt)^2; curvature in loss per squared e-fold of x."""
    distance: Array = np.log(x) - np.log(x_opt)
    return L_min + curvature * distance**2


LOG_QUADRATIC = LAWS.add(
    Law(
        name="log-quadratic",
        formula="L(x) = L_min + curvature (ln x - ln x_opt)^2",
        source="Hoffmann et al. 2022, arXiv:2203.15556, section 3.2 (approach 2), vertex form",
        loss=loss,
        parameters=(
            Parameter("L_min", 0.0, 2.0, (0.9, 1.0), linear=True, relative_to="loss"),
            Parameter("curvature", 0.0, 10.0, (0.01, 0.1), linear=True, relative_to="loss"),
            position("x_opt", of="x", low=1e-3, high=1e3),
        ),
        example={"L_min": 2.9, "curvature": 0.03, "x_opt": 2.6e8},
    ),
)
