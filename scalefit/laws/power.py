"""Loss falls as a power of one input, without a floor."""

from scalefit.core.observations import Array
from scalefit.laws.base import LAWS, Law, amplitude, exponent


def loss(x: Array, *, A: Array, alpha: Array) -> Array:
    """A x^-alpha."""
    return A * x**-alpha


POWER = LAWS.add(
    Law(
        name="power",
        formula="L(x) = A x^-alpha",
        source="Kaplan et al. 2020, arXiv:2001.08361, eq. 1.1-1.3, with A = x_c^alpha",
        loss=loss,
        parameters=(
            amplitude("A", of="x", by="alpha", log_linear=True),
            exponent("alpha", log_linear=True),
        ),
        example={"A": 11.4, "alpha": 0.076},
    ),
)
