"""What a formula does, step by step: recorded once, then done by the compiled part for any rows.

A law is called with the inputs as they are and with parameters that only take down what is asked
of them. What needs no parameter is computed at once and becomes a column; what needs no row is
done once for all rows. The compiled part goes over the rest forwards for the value and backwards
for all slopes (Griewank & Walther 2008, Evaluating Derivatives, section 3.2, reverse mode).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from scalefit.core.observations import Array, IntArray
from scalefit.core.records import dataclass
from scalefit.laws.base import Law

# The numbers of the steps in inference/native/module.c.
_PARAMETER, _CONSTANT, _COLUMN = 0, 1, 2
_TWO = {"add": 3, "subtract": 4, "multiply": 5, "divide": 6, "minimum": 7, "maximum": 8}
_POWER = 9  # to a constant that is not whole, or to a parameter where a hinge may leave zero
_ONE = {
    "negative": 10, "exp": 11, "expm1": 12, "log": 13, "log1p": 14, "sqrt": 15, "absolute": 16,
    "tanh": 17, "sin": 18, "cos": 19, "arctan": 20,
}  # fmt: skip
_BENT = frozenset({_TWO["minimum"], _TWO["maximum"], _ONE["absolute"]})
_LARGEST_POWER = 8  # of a whole exponent that is no parameter: by so many products at most


class Unrecorded(Exception):
    """A formula does what no step does."""


@dataclass(frozen=True, eq=False)
class Tape:
    """The steps of a formula and the columns they begin from.

    Attributes:
        steps: Kind and two operands of each step, shape (T, 3); what needs no row comes first.
            A parameter's first operand is its number, a constant's the bits of a double, a
            column's its number; other operands are numbers of earlier steps.
        scalars: How many of them need no row.
        columns: What the rows bring along, each shape (n,).
    """

    steps: IntArray
    scalars: int
    columns: tuple[Array, ...]


class _Recorded(NDArrayOperatorsMixin):
    """A quantity that depends on parameters: the number of the step that yields it."""

    __slots__ = ("number", "recorder")

    def __init__(self, recorder: _Recorder, number: int) -> None:
        self.recorder, self.number = recorder, number

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        """Take the step down; NumPy calls this."""
        if method != "__call__" or kwargs:
            raise Unrecorded(ufunc.__name__)
        return self.recorder.take(ufunc.__name__, args)


class _Recorder:
    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.steps: list[tuple[int, int, int]] = []
        self.scalar: list[bool] = []
        self.columns: list[Array] = []
        self._known: dict[tuple[int, int, int], int] = {}

    def step(self, kind: int, a: int, b: int = -1) -> _Recorded:
        """A step, or the one that did the same before."""
        key = kind, a, b
        if key not in self._known:
            self._known[key] = len(self.steps)
            self.steps.append(key)
            of = (i for i in (a, b) if i >= 0)
            leaf = kind in (_PARAMETER, _CONSTANT, _COLUMN)
            self.scalar.append(kind != _COLUMN if leaf else all(self.scalar[i] for i in of))
        return _Recorded(self, self._known[key])

    def bent(self, number: int) -> bool:
        """Whether a step rests on a hinge: it may be zero then, which has no logarithm."""
        kind, a, b = self.steps[number]
        if kind <= _COLUMN or kind in _BENT:
            return kind in _BENT
        return self.bent(a) or (b >= 0 and self.bent(b))

    def taken(self, operand: Any) -> _Recorded:
        """Any operand as a step."""
        if isinstance(operand, _Recorded):
            return operand
        values = np.asarray(operand)
        if values.dtype.kind not in "iuf":
            raise Unrecorded("an operand is no number")
        if values.size == 1:
            (bits,) = struct.unpack("q", struct.pack("d", float(values.reshape(()))))
            return self.step(_CONSTANT, bits)
        if values.shape != (self.rows,):
            raise Unrecorded("an operand is no column")
        for number, column in enumerate(self.columns):
            if column is values or np.array_equal(column, values):
                return self.step(_COLUMN, number)
        self.columns.append(np.ascontiguousarray(values, dtype=float))
        return self.step(_COLUMN, len(self.columns) - 1)

    def take(self, name: str, operands: Sequence[Any]) -> _Recorded:
        """The step of a ufunc, or of a few of them."""
        if name in _TWO:
            return self.step(_TWO[name], *(self.taken(operand).number for operand in operands))
        if name in _ONE:
            return self.step(_ONE[name], self.taken(operands[0]).number)
        if name in _MANY:
            return self.taken(_MANY[name](*operands))
        raise Unrecorded(name)


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(exponent, _Recorded):
        recorder = exponent.recorder
        known = isinstance(base, _Recorded)
        if recorder.bent(base.number) if known else np.any(np.asarray(base) == 0):
            return recorder.step(_POWER, recorder.taken(base).number, exponent.number)
        # The logarithm of an input is a column, and that of a step may serve others too.
        return np.exp(exponent * np.log(base))
    power = float(np.asarray(exponent).reshape(()))
    if power == 0.5:
        return np.sqrt(base)
    if not power.is_integer():
        recorder = base.recorder
        return recorder.step(_POWER, base.number, recorder.taken(power).number)
    if not 1 <= abs(power) <= _LARGEST_POWER:
        raise Unrecorded("power")
    found = math.prod([base] * (int(abs(power)) - 1), start=base)
    return found if power > 0 else 1.0 / found


_MANY: dict[str, Callable[..., Any]] = {
    "power": _power,
    "float_power": _power,
    "positive": lambda a: a,
    "square": lambda a: a * a,
    "reciprocal": lambda a: 1.0 / a,
    "log2": lambda a: np.log(a) / math.log(2),
    "log10": lambda a: np.log(a) / math.log(10),
    "logaddexp": lambda a, b: np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b))),
}


def record(law: Law, inputs: Sequence[Array], held: Mapping[str, float]) -> Tape | None:
    """The steps of a law's formula at inputs of shape (n,) each; None where it cannot be told.

    What is held is a constant: a power of a negative number may be whole, and has a value then.
    The formula must be free of choices by the value of a parameter, as every law's is: it
    broadcasts.
    """
    rows = len(inputs[0])
    recorder = _Recorder(rows)
    theta = {
        name: np.float64(held[name]) if name in held else recorder.step(_PARAMETER, i)
        for i, name in enumerate(law.names)
    }
    try:
        with np.errstate(all="ignore"):
            result = law.loss(*inputs, **theta)
    except (Unrecorded, TypeError, ValueError, AttributeError):
        return None
    if rows < 2 or not isinstance(result, _Recorded) or recorder.scalar[result.number]:
        return None
    return _ordered(recorder, result.number)


def _ordered(recorder: _Recorder, result: int) -> Tape:
    """The steps that the result needs, those without rows first, the result last."""
    needed = {result}
    for i in range(result, -1, -1):
        kind, a, b = recorder.steps[i]
        if i in needed and kind > _COLUMN:
            needed |= {a} if b < 0 else {a, b}
    order = sorted(needed, key=lambda i: (not recorder.scalar[i], i))
    place = {i: k for k, i in enumerate(order)}
    used = [recorder.steps[i][1] for i in order if recorder.steps[i][0] == _COLUMN]
    steps = np.zeros((len(order), 3), dtype=np.int64)
    for k, i in enumerate(order):
        kind, a, b = recorder.steps[i]
        if kind == _COLUMN:
            steps[k] = kind, used.index(a), 0
        elif kind > _COLUMN:
            steps[k] = kind, place[a], place[b] if b >= 0 else 0
        else:
            steps[k] = kind, a, 0
    return Tape(
        steps, sum(recorder.scalar[i] for i in order), tuple(recorder.columns[c] for c in used)
    )
