"""Loss falls as a power of one input towards a floor."""

from scalefit.core.observations import Array
from scalefit.laws.base import LAWS, Law, amplitude, exponent, irreducible


def loss(x: Array, *, E: Array, A: Array, alpha: Array) -> Array:
    """E + A x^-alpha."""
    return E + A * x**-alpha


POWER_FLOOR = LAWS.add(
    Law(
        name="power-floor",
        formula="L(x) = E + A x^-alpha",
        source="Hestness et al. 2017, arXiv:1712.00409; Henighan et al. 2020, arXiv:2010.14701",
        loss=loss,
        parameters=(
            irreducible("E"),
            amplitude("A", of="x", by="alpha"),
            exponent("alpha"),
        ),
        example={"E": 1.5, "A": 8.0, "alpha": 0.3},
        holds=("power",),
    ),
)
