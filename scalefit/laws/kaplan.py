"""Kaplan's joint law of model size and data set size: no floor, scales instead of amplitudes."""

from scalefit.core.observations import Array
from scalefit.laws.allocation import split_exponents
from scalefit.laws.base import LAWS, Law, exponent, position


def loss(N: Array, D: Array, *, N_c: Array, D_c: Array, alpha_N: Array, alpha_D: Array) -> Array:
    """((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D in nats per token."""
    return ((N_c / N) ** (alpha_N / alpha_D) + D_c / D) ** alpha_D


FAR = (0.5, 1.0, 2.0, 3.0, 5.0)  # the scales are where the loss would be 1: far beyond the data
KAPLAN = LAWS.add(
    Law(
        name="kaplan",
        formula="L(N, D) = ((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D",
        source="Kaplan et al. 2020, arXiv:2001.08361, eq. 1.5",
        loss=loss,
        parameters=(
            position("N_c", of="N", low=1e-6, high=1e30, starts=FAR),
            position("D_c", of="D", low=1e-6, high=1e30, starts=FAR),
            exponent("alpha_N"),
            exponent("alpha_D"),
        ),
        example={"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
        derived=split_exponents(
            lambda p: p["alpha_N"] / p["alpha_D"], lambda p: 1.0 + 0 * p["N_c"]
        ),
    ),
)
