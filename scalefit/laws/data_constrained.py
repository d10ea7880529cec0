"""Repeated tokens, and parameters beyond what unique tokens can use, are worth less and less."""

import numpy as np

from scalefit.core.observations import Array
from scalefit.laws.base import LAWS, Law, Parameter, amplitude, exponent, irreducible


def loss(
    N: Array, D: Array, U: Array, *,
    E: Array, A: Array, alpha: Array, B: Array, beta: Array, R_D: Array, R_N: Array,
) -> Array:  # fmt: skip
    """E + A N'^-alpha + B D'^-beta; u' = u (1 + R (1 - e^(-(x/u - 1)/R))) for u = U or best N."""
    unique = np.minimum(U, D)
    tokens = unique * (1 - R_D * np.expm1(-(D / unique - 1) / R_D))
    best = np.minimum(N, (alpha * A / (beta * B)) ** (1 / alpha) * unique ** (beta / alpha))
    size = best * (1 - R_N * np.expm1(-(N / best - 1) / R_N))
    return E + A * size**-alpha + B * tokens**-beta


DATA_CONSTRAINED = LAWS.add(
    Law(
        name="data-constrained",
        formula="L(N, D, U) = E + A N'^-alpha + B D'^-beta, repetition decaying at R_D and R_N",
        source="Muennighoff et al. 2023, arXiv:2305.16264, section 3",
        loss=loss,
        parameters=(
            irreducible("E"), amplitude("A", of="N", by="alpha", linear=False), exponent("alpha"),
            amplitude("B", of="D", by="beta", linear=False), exponent("beta"),
            *(Parameter(name, 0.1, 1e3, (4.0, 16.0), log=True) for name in ("R_D", "R_N")),
        ),
        example={"E": 1.87, "A": 521.0, "alpha": 0.353, "B": 1488.0, "beta": 0.353, "R_D": 15.4,
                 "R_N": 5.31}, shares_unit={"U": "D"},
    ),
)  # fmt: skip
