"""Weights of few bits count as fewer parameters."""

import numpy as np

from scalefit.core.observations import Array
from scalefit.laws.base import LAWS, Law, Parameter, amplitude, exponent, irreducible


def loss(
    N: Array, D: Array, P: Array, *,
    E: Array, A: Array, alpha: Array, B: Array, beta: Array, gamma: Array,
) -> Array:  # fmt: skip
    """E + A (N (1 - e^(-P/gamma)))^-alpha + B D^-beta; P bits of the weights in training."""
    kept = -np.expm1(-P / gamma)
    return E + A * (N * kept) ** -alpha + B * D**-beta


PRECISION = LAWS.add(
    Law(
        name="precision",
        formula="L(N, D, P) = E + A (N (1 - e^(-P/gamma)))^-alpha + B D^-beta",
        source="Kumar et al. 2024, arXiv:2411.04330, weights in training",
        loss=loss,
        parameters=(
            irreducible("E"),
            amplitude("A", of="N", by="alpha"),
            exponent("alpha"),
            amplitude("B", of="D", by="beta"),
            exponent("beta"),
            Parameter("gamma", 0.05, 50.0, (0.5, 1.5, 3.0, 6.0), log=True, units=(("P", 1.0),)),
        ),
        example={"E": 2.76, "A": 4299.0, "alpha": 0.4965, "B": 1.806e4, "beta": 0.5, "gamma": 2.67},
    ),
)
