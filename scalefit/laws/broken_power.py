"""Power laws with smooth breaks in slope: one factory for any number of breaks."""

from collections.abc import Mapping
from inspect import Parameter as Argument
from inspect import Signature
from itertools import chain

import numpy as np

from scalefit.core.observations import Array
from scalefit.laws.base import (
    LAWS,
    Derived,
    Law,
    amplitude,
    irreducible,
    position,
    sharpness,
    slope,
)
from scalefit.laws.dual import softplus


def in_order(theta: Array) -> Array:
    """The same curves with d1 < d2 < ..: breaks change places, and A moves to the first one."""
    breaks = theta[..., 3:].reshape(*theta.shape[:-1], theta.shape[-1] // 3 - 1, 3)
    order = np.argsort(breaks[..., 1], axis=-1, kind="stable")
    breaks = np.take_along_axis(breaks, order[..., None], axis=-2)
    moved = theta.copy()
    moved[..., 1] *= (theta[..., 4] / breaks[..., 0, 1]) ** theta[..., 2]
    moved[..., 3:] = breaks.reshape(theta[..., 3:].shape)
    return moved


def broken_power(
    breaks: int, name: str, example: Mapping[str, float], within: Law | None = None
) -> Law:
    """The law with that many breaks at d1 < d2 < ..., of widths f in ln x.

    A is the height above the floor at the first break (up to the other breaks' factors), which
    the data fix far better than an amplitude at x = 1; the published b is
    A d1^c0 2^(c1 f1) d2-terms. After break i the log-log slope is -(c0 + c1 + .. + ci).
    """
    every = range(1, breaks + 1)

    def loss(x: Array, **p: Array) -> Array:
        """E + A (x/d1)^-c0 prod_i ((1 + (x/d_i)^(1/f_i)) / 2)^(-c_i f_i)."""
        height = np.log(p["A"]) - p["c0"] * np.log(x / p["d1"])
        for i in every:
            z = np.log(x / p[f"d{i}"]) / p[f"f{i}"]
            height = height - p[f"c{i}"] * p[f"f{i}"] * (softplus(z) - np.log(2))
        return p["E"] + np.exp(height)

    parameters = (
        irreducible("E"),
        amplitude("A", linear=False, log_linear=True),
        slope("c0"),
        *chain.from_iterable(
            (
                slope(f"c{i}", shaped_by=(f"d{i}", f"f{i}")),
                position(f"d{i}", "x"),
                sharpness(f"f{i}"),
            )
            for i in every
        ),
    )
    arguments = [Argument("x", Argument.POSITIONAL_OR_KEYWORD)]
    arguments += [Argument(p.name, Argument.KEYWORD_ONLY) for p in parameters]
    loss.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    return Law(
        name=name,
        formula="L(x) = E + A (x/d1)^-c0 prod_i ((1 + (x/d_i)^(1/f_i))/2)^(-c_i f_i)"
        f", {breaks} break{'s' * (breaks > 1)}",
        source="Caballero et al. 2023, arXiv:2210.14891, eq. 1; amplitude as in astropy's "
        "SmoothlyBrokenPowerLaw1D",
        loss=loss,
        parameters=parameters,
        example=example,
        within=within,
        ordered=in_order if breaks > 1 else None,
        derived=tuple(_slope_after(i) for i in every),
        breaks=tuple((f"d{i}", f"f{i}") for i in every),
        holds=("power", "power-floor") if within is None else (*within.holds, within.name),
    )


def _slope_after(last: int) -> Derived:
    """The log-log slope of the height above the floor, beyond a break."""
    names = [f"c{i}" for i in range(last + 1)]
    return Derived(
        f"slope_{last}",
        f"how steeply the height above the floor falls beyond break {last}, in powers of x",
        lambda p: np.sum([p[name] for name in names], axis=0),
    )


_ONE = {"E": 0.05, "A": 0.6, "c0": 0.1, "c1": 0.4, "d1": 1e4, "f1": 0.3}
_TWO = {**_ONE, "c2": -0.2, "d2": 3e6, "f2": 0.5}
_THREE = {**_TWO, "c3": 0.3, "d3": 1e9, "f3": 0.2}
BROKEN_POWER = LAWS.add(broken_power(1, "broken-power", _ONE))
BROKEN_POWER_2 = LAWS.add(broken_power(2, "broken-power-2", _TWO, BROKEN_POWER))
BROKEN_POWER_3 = LAWS.add(broken_power(3, "broken-power-3", _THREE, BROKEN_POWER_2))
