"""Mixtures of finer experts need fewer parameters for the same loss."""

from scalefit.core.observations import Array
from scalefit.laws.base import LAWS, Law, Parameter, amplitude, exponent, irreducible


def loss(
    N: Array, D: Array, G: Array, *,
    E: Array, A: Array, F: Array, gamma: Array, alpha: Array, B: Array, beta: Array,
) -> Array:  # fmt: skip
    """E + (A + F G^-gamma) N^-alpha + B D^-beta; G = d_ff / d_expert."""
    return E + (A + F * G**-gamma) * N**-alpha + B * D**-beta


GRANULAR_MOE = LAWS.add(
    Law(
        name="granular-moe",
        formula="L(N, D, G) = E + (A + F G^-gamma) N^-alpha + B D^-beta",
        source="Krajewski et al. 2024, arXiv:2402.07871, eq. 9",
        loss=loss,
        parameters=(
            irreducible("E"),
            amplitude("A", of="N", by="alpha"),
            Parameter("F", 1e-9, 1e9, (0.05, 0.3, 1.0), log=True, linear=True, relative_to="loss",
                      units=(("N", "alpha"), ("G", "gamma"))),
            Parameter("gamma", 1e-3, 3.0, (0.2, 0.6, 1.2)),
            exponent("alpha"),
            amplitude("B", of="D", by="beta"),
            exponent("beta"),
        ),
        example={"E": 0.47, "A": 18.1, "F": 2.1, "gamma": 0.58, "alpha": 0.115, "B": 30.8,
                 "beta": 0.147},
    ),
)  # fmt: skip
