"""The fused path for power laws with breaks: one pass gives the curve and all of its slopes.

Stands beside the general path of dual arrays, with which it agrees to rounding (a promise of
every such law), because a search among breaks looks at few rows very often, and then the number of
NumPy calls is what it costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass
from scalefit.laws.base import Law
from scalefit.laws.dual import softplus

_AGREE = 1e-12


@dataclass(frozen=True)
class Broken:
    """A power law above a floor whose log-log slope changes at breaks, ready to be evaluated.

    L = E + A (x/d1)^-c0 prod_i ((1 + (x/d_i)^(1/f_i)) / 2)^(-c_i f_i).

    Attributes:
        floor: Number of E among the law's parameters.
        amplitude: Number of A.
        slope: Number of c0.
        breaks: Numbers of c_i, d_i and f_i.
        slot: Number of each free parameter to its row in a Jacobian.
    """

    floor: int
    amplitude: int
    slope: int
    breaks: tuple[tuple[int, int, int], ...]
    slot: Mapping[int, int]

    @cached_property
    def numbers(self) -> IntArray:
        """The law in whole numbers, as native/module.c reads it."""
        count = 3 + 3 * len(self.breaks)
        numbers = [1, count, len(self.slot), 1, *(self.slot.get(i, -1) for i in range(count))]
        numbers += [1, self.floor, self.amplitude, self.slope, len(self.breaks)]
        numbers += [i for one in self.breaks for i in one]
        return np.array(numbers, dtype=np.int64)

    def value(self, theta: Array, logs: Sequence[Array]) -> Array:
        """Loss, shape (B, n), for parameters (B, P) at an input given as -log, (n,) or (B, n)."""
        first = logs[0] + np.log(theta[:, self.breaks[0][1], None])
        height = np.log(theta[:, self.amplitude, None]) + theta[:, self.slope, None] * first
        for c, d, f in self.breaks:
            z = (-logs[0] - np.log(theta[:, d, None])) / theta[:, f, None]
            height -= (theta[:, c] * theta[:, f])[:, None] * (softplus(z) - np.log(2))
        return np.asarray(theta[:, self.floor, None] + np.exp(height))

    def slopes(
        self, theta: Array, logs: Sequence[Array], *, log_target: bool
    ) -> tuple[Array, Array]:
        """Loss (B, n), and the Jacobian (p, B, n) of the loss or of its logarithm.

        The input is given as -log, (n,) or (B, n). Derivatives are in the logarithms of A, d_i and
        f_i, in slopes and in the floor.
        """
        place = [np.log(theta[:, d, None]) for _, d, _ in self.breaks]
        first = logs[0] + place[0]
        height = np.log(theta[:, self.amplitude, None]) + theta[:, self.slope, None] * first
        parts = []
        for (c, _, f), at in zip(self.breaks, place, strict=True):
            z = (-logs[0] - at) / theta[:, f, None]
            small = np.exp(-np.abs(z))
            share = 1.0 / (1.0 + small)  # of the bend that is done: the logistic function of z
            np.subtract(1.0, share, out=share, where=z < 0)
            bend = np.log1p(small)
            bend += np.maximum(z, 0.0)
            bend -= np.log(2)
            height -= (theta[:, c] * theta[:, f])[:, None] * bend
            z *= share
            parts.append((bend, z, share))
        np.exp(height, out=height)
        value = theta[:, self.floor, None] + height
        jacobian = np.empty((len(self.slot), *value.shape))
        if log_target:
            part = 1 / value
            height *= part
            self._put(jacobian, self.floor, part)
        else:
            self._put(jacobian, self.floor, 1.0)
        self._put(jacobian, self.amplitude, height)
        self._put(jacobian, self.slope, height, first)
        for (c, d, f), (bend, done, share) in zip(self.breaks, parts, strict=True):
            reach = (theta[:, c] * theta[:, f])[:, None]
            self._put(jacobian, c, height, -theta[:, f, None] * bend)
            share *= theta[:, c, None]
            if d == self.breaks[0][1]:  # where A is the height, which moves along the curve
                share += theta[:, self.slope, None]
            self._put(jacobian, d, height, share)
            done -= bend
            done *= reach
            self._put(jacobian, f, height, done)
        return value, jacobian

    def _put(
        self, jacobian: Array, number: int, slope: Array | float, factor: Array | float = 1.0
    ) -> None:
        """The product into the row of a parameter, if it is free."""
        if number in self.slot:
            np.multiply(slope, factor, out=jacobian[self.slot[number]])


def broken_of(law: Law, free: Sequence[int]) -> Broken | None:
    """The fused path of a law, or None if it is no power law with breaks.

    The declaration proposes the parts, and the formula itself is asked whether they are all.
    """
    bent = {p.shaped_by: i for i, p in enumerate(law.parameters) if p.shaped_by}
    if not law.breaks or len(law.inputs) != 1 or set(law.breaks) != set(bent):
        return None
    breaks = tuple(
        (bent[place, width], law.index(place), law.index(width)) for place, width in law.breaks
    )
    rest = set(range(len(law.parameters))) - {i for one in breaks for i in one}
    floor = [i for i in rest if law.parameters[i].linear]
    amplitude = [i for i in rest if law.parameters[i].log and law.parameters[i].log_linear]
    slope = [i for i in rest if not law.parameters[i].log and law.parameters[i].log_linear]
    if not len(floor) == len(amplitude) == len(slope) == 1 or len(rest) != 3:
        return None
    if not all(law.parameters[i].log for _, d, f in breaks for i in (d, f)):
        return None
    path = Broken(floor[0], amplitude[0], slope[0], breaks, {i: k for k, i in enumerate(free)})
    theta = np.linspace(0.3, 1.9, 2 * len(law.parameters)).reshape(2, -1)
    logs = np.array([0.9, -0.3, -1.1, 0.4])
    same = np.allclose(
        law.predict(theta, [np.exp(-logs)]), path.value(theta, [logs]), rtol=_AGREE, atol=0.0
    )
    return path if same else None
