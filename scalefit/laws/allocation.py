"""Derived exponents that laws of model size and data have in common."""

from scalefit.laws.base import ByName, Derived


def split_exponents(alpha: ByName, beta: ByName) -> tuple[Derived, ...]:
    """How the best N and D grow with compute under C = 6ND, from the two inner exponents.

    Source: Hoffmann et al. 2022, eq. 4: N* ~ C^(beta/(alpha+beta)), D* ~ C^(alpha/(alpha+beta)).
    """
    return (
        Derived("a", "exponent of the best N in compute", lambda p: beta(p) / (alpha(p) + beta(p))),
        Derived(
            "b", "exponent of the best D in compute", lambda p: alpha(p) / (alpha(p) + beta(p))
        ),
    )
