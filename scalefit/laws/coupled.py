"""Model size and data help each other: one outer exponent couples the two terms."""

from scalefit.core.observations import Array
from scalefit.laws.allocation import split_exponents
from scalefit.laws.base import LAWS, Law, Parameter, amplitude, exponent, irreducible


def loss(
    N: Array, D: Array, *, E: Array, A: Array, alpha: Array, B: Array, beta: Array, k: Array
) -> Array:
    """E + (A N^-alpha + B D^-beta)^k in nats per token; k = 1 is the chinchilla law."""
    return E + (A * N**-alpha + B * D**-beta) ** k


COUPLED = LAWS.add(
    Law(
        name="coupled",
        formula="L(N, D) = E + (A N^-alpha + B D^-beta)^k",
        source="Videau et al. 2026, arXiv:2608.07222; Busbridge et al. 2025, arXiv:2502.08606",
        loss=loss,
        parameters=(
            irreducible("E"),
            amplitude("A", of="N", by="alpha", linear=False),
            exponent("alpha"),
            amplitude("B", of="D", by="beta", linear=False),
            exponent("beta"),
            Parameter("k", 0.05, 3.0, (0.3, 0.5, 0.8, 1.0), log=True),
        ),
        example={"E": 1.22, "A": 3355.0, "alpha": 0.408, "B": 18186.0, "beta": 0.431, "k": 0.452},
        derived=split_exponents(lambda p: p["alpha"], lambda p: p["beta"]),
        holds=("chinchilla", "chinchilla-tied"),
    ),
)
