"""Loss falls separately with model size and with data."""

from scalefit.core.observations import Array
from scalefit.laws.allocation import split_exponents
from scalefit.laws.base import LAWS, Law, amplitude, exponent, irreducible


def loss(N: Array, D: Array, *, E: Array, A: Array, alpha: Array, B: Array, beta: Array) -> Array:
    """E + A N^-alpha + B D^-beta in nats per token; N parameters, D tokens."""
    return E + A * N**-alpha + B * D**-beta


CHINCHILLA = LAWS.add(
    Law(
        name="chinchilla",
        formula="L(N, D) = E + A N^-alpha + B D^-beta",
        source="Hoffmann et al. 2022, arXiv:2203.15556, eq. 2",
        loss=loss,
        parameters=(
            irreducible("E"),
            amplitude("A", of="N", by="alpha"),
            exponent("alpha"),
            amplitude("B", of="D", by="beta"),
            exponent("beta"),
        ),
        example={"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28},
        derived=split_exponents(lambda p: p["alpha"], lambda p: p["beta"]),
        holds=("chinchilla-tied",),
    ),
)
