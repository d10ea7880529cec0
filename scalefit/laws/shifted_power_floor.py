"""Loss falls as a power of a shifted input towards a floor: it saturates at both ends."""

from scalefit.core.observations import Array
from scalefit.laws.base import LAWS, Law, amplitude, exponent, irreducible, position


def loss(x: Array, *, E: Array, A: Array, d: Array, alpha: Array) -> Array:
    """E + A (x + d)^-alpha; the shift d has the unit of x."""
    return E + A * (x + d) ** -alpha


SHIFTED_POWER_FLOOR = LAWS.add(
    Law(
        name="shifted-power-floor",
        formula="L(x) = E + A (x + d)^-alpha",
        source="Zhai et al. 2021, arXiv:2106.04560 (double saturation)",
        loss=loss,
        parameters=(
            irreducible("E"),
            amplitude("A", of="x", by="alpha"),
            position("d", of="x", low=1e-4, high=10.0, starts=(-0.5, 0.0, 0.25, 0.5, 0.75, 1.0)),
            exponent("alpha"),
        ),
        example={"E": 0.09, "A": 0.26, "d": 0.01, "alpha": 0.35},
        holds=("power", "power-floor"),
    ),
)
