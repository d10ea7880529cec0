"""Forward-mode dual arrays: a value and one partial per parameter, absent where it is zero.

A law is called with them once and yields its values and its exact Jacobian together; no law
writes a derivative. They know the ufuncs that laws use, and refuse the others by name.

Source: Griewank & Walther 2008, Evaluating Derivatives, section 3.1 (forward mode).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from scalefit.core.observations import Array

Partials = dict[int, Any]
_Rule = Callable[..., "Dual"]
_RULES: dict[str, _Rule] = {}


class Dual(NDArrayOperatorsMixin):
    """Values and their partial derivatives, both arrays that broadcast together.

    >>> slope = Dual(np.array([[2.0]]), {0: 1.0})
    >>> doubled = np.exp(-slope * np.array([0.0, 1.0]))
    >>> doubled.partials[0].round(4).tolist()
    [[-0.0, -0.1353]]
    """

    __slots__ = ("partials", "value")

    def __init__(self, value: Any, partials: Partials) -> None:
        """`value` of any shape; `partials` maps a parameter's number to its derivative."""
        self.value = value
        self.partials = partials

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        """Apply the rule of the ufunc; NumPy calls this."""
        rule = _RULES.get(ufunc.__name__)
        if method != "__call__" or kwargs or rule is None:
            return NotImplemented
        return rule(*args)


def value_of(operand: Any) -> Any:
    """The value alone, of a dual or of anything else."""
    return operand.value if isinstance(operand, Dual) else operand


def chain(operand: Dual, value: Array, slope: Any) -> Dual:
    """f(operand), given f's value and slope there."""
    return Dual(value, {k: slope * part for k, part in operand.partials.items()})


def _combine(value: Array, *terms: tuple[Any, Callable[[], Any] | None]) -> Dual:
    """The dual of that value whose partials are the sum of slope times operand's partials.

    A slope is a function, called only for an operand that has partials; None stands for 1.
    """
    partials: Partials = {}
    for operand, slope in terms:
        if isinstance(operand, Dual) and operand.partials:
            factor = None if slope is None else slope()
            for k, part in operand.partials.items():
                piece = part if factor is None else factor * part
                partials[k] = partials[k] + piece if k in partials else piece
    return Dual(value, partials)


def _rule(name: str) -> Callable[[_Rule], _Rule]:
    def keep(rule: _Rule) -> _Rule:
        _RULES[name] = rule
        return rule

    return keep


@_rule("add")
def _add(a: Any, b: Any) -> Dual:
    return _combine(value_of(a) + value_of(b), (a, None), (b, None))


@_rule("subtract")
def _subtract(a: Any, b: Any) -> Dual:
    return _combine(value_of(a) - value_of(b), (a, None), (b, lambda: -1.0))


@_rule("multiply")
def _multiply(a: Any, b: Any) -> Dual:
    return _combine(value_of(a) * value_of(b), (a, lambda: value_of(b)), (b, lambda: value_of(a)))


@_rule("divide")
def _divide(a: Any, b: Any) -> Dual:
    # By NumPy, to which a plain number that is zero is no exception.
    divisor = np.asarray(value_of(b))
    quotient = value_of(a) / divisor
    return _combine(quotient, (a, lambda: 1.0 / divisor), (b, lambda: -quotient / divisor))


@_rule("power")
def _power(a: Any, b: Any) -> Dual:
    base, exponent = value_of(a), value_of(b)
    if not isinstance(b, Dual):
        return _combine(base**exponent, (a, lambda: _slope_of_power(base, exponent)))
    # exp of a stored logarithm: the logarithm of an input has as few entries as there are rows,
    # where the power has as many as there are rows times problems.
    log_base = np.log(base)
    value = np.exp(exponent * log_base)
    # Where a hinge leaves zero its power is flat.
    flat = np.asarray(base == 0)
    if not flat.any():
        return _combine(value, (a, lambda: value * exponent / base), (b, lambda: value * log_base))
    flat = flat & (value == 0)
    return _combine(
        value,
        (a, lambda: np.where(flat, 0.0, value * exponent / base)),
        (b, lambda: np.where(flat, 0.0, value * log_base)),
    )


def _slope_of_power(base: Any, exponent: Any) -> Any:
    slope = exponent * base ** (exponent - 1)
    return np.where((base == 0) & (exponent > 0) & (exponent < 1), 0.0, slope)


@_rule("negative")
def _negative(a: Dual) -> Dual:
    return chain(a, -a.value, -1.0)


@_rule("positive")
def _positive(a: Dual) -> Dual:
    return a


@_rule("square")
def _square(a: Dual) -> Dual:
    return chain(a, a.value**2, 2 * a.value)


@_rule("minimum")
def _minimum(a: Any, b: Any) -> Dual:
    first = value_of(a) <= value_of(b)
    return _combine(np.minimum(value_of(a), value_of(b)), (a, lambda: first), (b, lambda: ~first))


@_rule("maximum")
def _maximum(a: Any, b: Any) -> Dual:
    first = value_of(a) >= value_of(b)
    return _combine(np.maximum(value_of(a), value_of(b)), (a, lambda: first), (b, lambda: ~first))


@_rule("logaddexp")
def _logaddexp(a: Any, b: Any) -> Dual:
    value = np.logaddexp(value_of(a), value_of(b))
    return _combine(
        value,
        (a, lambda: np.exp(value_of(a) - value)),
        (b, lambda: np.exp(value_of(b) - value)),
    )


# Each function of one argument: its value, and its slope from the argument x and the value y.
_SLOPES: Mapping[str, Callable[[Any, Any], Any]] = {
    "exp": lambda x, y: y,
    "expm1": lambda x, y: y + 1.0,
    "log": lambda x, y: 1.0 / x,
    "log1p": lambda x, y: 1.0 / (1.0 + x),
    "log2": lambda x, y: 1.0 / (x * np.log(2.0)),
    "log10": lambda x, y: 1.0 / (x * np.log(10.0)),
    "sqrt": lambda x, y: np.where(y == 0, 0.0, 0.5 / y),  # where a hinge leaves zero
    "reciprocal": lambda x, y: -y * y,
    "sin": lambda x, y: np.cos(x),
    "cos": lambda x, y: -np.sin(x),
    "arctan": lambda x, y: 1.0 / (1.0 + x * x),
    "tanh": lambda x, y: 1.0 - y * y,
}


def _add_rule_of_one_argument(name: str, slope: Callable[[Any, Any], Any]) -> None:
    ufunc = getattr(np, name)

    def rule(a: Dual) -> Dual:
        value = ufunc(a.value)
        return chain(a, value, slope(a.value, value))

    _RULES[name] = rule


for _name, _slope in _SLOPES.items():
    _add_rule_of_one_argument(_name, _slope)


def softplus(z: Any) -> Any:
    """log(1 + exp z) without overflow, for reals, complex numbers and duals."""
    if isinstance(z, Dual):
        small = np.exp(-np.abs(z.value))
        upper = 1.0 / (1.0 + small)
        return chain(
            z, np.maximum(z.value, 0) + np.log1p(small), np.where(z.value >= 0, 1.0, small) * upper
        )
    if np.iscomplexobj(z):
        positive = z.real >= 0
        return np.where(positive, z, 0) + np.log1p(np.exp(np.where(positive, -z, z)))
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
