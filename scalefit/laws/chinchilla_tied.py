"""Loss falls with model size and with data at one common exponent."""

from scalefit.core.observations import Array
from scalefit.laws.base import LAWS, Derived, Law, amplitude, exponent, irreducible


def loss(N: Array, D: Array, *, E: Array, A: Array, B: Array, alpha: Array) -> Array:
    """E + A N^-alpha + B D^-alpha in nats per token; N parameters, D tokens."""
    return E + A * N**-alpha + B * D**-alpha


CHINCHILLA_TIED = LAWS.add(
    Law(
        name="chinchilla-tied",
        formula="L(N, D) = E + A N^-alpha + B D^-alpha",
        source="Muennighoff et al. 2023, arXiv:2305.16264, appendix A",
        loss=loss,
        parameters=(
            irreducible("E"),
            amplitude("A", of="N", by="alpha"),
            amplitude("B", of="D", by="alpha"),
            exponent("alpha"),
        ),
        example={"E": 1.8691, "A": 520.8, "B": 1487.6, "alpha": 0.35266},
        derived=(
            Derived(
                "tokens_per_parameter",
                "optimal D/N, the same at every budget",
                lambda p: (p["B"] / p["A"]) ** (1 / p["alpha"]),
                log=True,
            ),
        ),
    ),
)
