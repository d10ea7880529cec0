"""The fused path for a floor plus powers: each term is its own derivative, up to a factor.

Stands beside the general path of dual arrays, with which it agrees to rounding (a promise of
every such law), because most fits are of these laws and spend their time here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass
from scalefit.laws.base import Law, Term


@dataclass(frozen=True)
class Powers:
    """A law that is a sum of powers, ready to be evaluated.

    Attributes:
        terms: Its terms.
        floors: Numbers of the parameters that stand alone.
        slot: Number of each free parameter to its row in a Jacobian.
    """

    terms: tuple[Term, ...]
    floors: tuple[int, ...]
    slot: Mapping[int, int]

    @cached_property
    def numbers(self) -> IntArray:
        """The law in whole numbers, as native/module.c reads it."""
        told = [i for term in self.terms for i in (term.amplitude, *(k for _, k in term.powers))]
        count = 1 + max((*told, *self.floors))
        inputs = 1 + max(i for term in self.terms for i, _ in term.powers)
        numbers = [0, count, len(self.slot), inputs, *(self.slot.get(i, -1) for i in range(count))]
        numbers += [len(self.floors), *self.floors, len(self.terms)]
        for term in self.terms:
            numbers += [
                term.amplitude,
                len(term.powers),
                *(i for pair in term.powers for i in pair),
            ]
        return np.array(numbers, dtype=np.int64)

    def value(self, theta: Array, logs: Sequence[Array]) -> Array:
        """Loss, shape (B, n), for parameters (B, P).

        Inputs are given as -log, each (n,) or (B, n).
        """
        value = self._begun(theta, logs[0].shape[-1])
        height = np.empty_like(value)
        for term in self.terms:
            value += _height(term, theta, logs, height)
        return value

    def slopes(
        self, theta: Array, logs: Sequence[Array], *, log_target: bool
    ) -> tuple[Array, Array]:
        """Loss (B, n), and the Jacobian (p, B, n) of the loss or of its logarithm.

        Inputs are given as -log, each (n,) or (B, n). Derivatives are in logarithms of amplitudes,
        in exponents and in floors.
        """
        value = self._begun(theta, logs[0].shape[-1])
        jacobian = np.empty((len(self.slot), *value.shape))
        heights = []
        for term in self.terms:
            own = self.slot.get(term.amplitude)
            out = np.empty_like(value) if own is None else jacobian[own]
            heights.append(_height(term, theta, logs, out))
            value += out
        standing = [jacobian[self.slot[i]] for i in self.floors if i in self.slot]
        part = standing[0] if standing else np.empty_like(value)
        if log_target:
            np.divide(1.0, value, out=part)
        else:
            part[:] = 1.0
        for other in standing[1:]:
            other[:] = part
        begun: set[int] = set()
        for term, height in zip(self.terms, heights, strict=True):
            if log_target:
                height *= part
            for i, k in term.powers:
                if k in begun:
                    jacobian[self.slot[k]] += logs[i] * height
                elif k in self.slot:
                    np.multiply(height, logs[i], out=jacobian[self.slot[k]])
                    begun.add(k)
        return value, jacobian

    def _begun(self, theta: Array, n: int) -> Array:
        value = np.empty((len(theta), n))
        value[:] = sum((theta[:, i, None] for i in self.floors), np.zeros((1, 1)))
        return value


def powers_of(law: Law, free: Sequence[int]) -> Powers | None:
    """The fused path of a law, or None if it is no sum of powers."""
    if law.terms is None:
        return None
    told = {i for term in law.terms for i in (term.amplitude, *(k for _, k in term.powers))}
    floors = tuple(i for i in range(len(law.parameters)) if i not in told)
    return Powers(law.terms, floors, {i: k for k, i in enumerate(free)})


def _height(term: Term, theta: Array, logs: Sequence[Array], out: Array) -> Array:
    """A prod_x x^-by into `out`, shape (B, n)."""
    (first, by), *others = term.powers
    np.multiply(theta[:, by, None], logs[first], out=out)
    for i, k in others:
        out += theta[:, k, None] * logs[i]
    np.exp(out, out=out)
    out *= theta[:, term.amplitude, None]
    return out
